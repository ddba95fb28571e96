//! Ports of 127.0.0.1: free ones, and who holds a taken one.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};

use thm_api::{Error, ErrorKind, Result};

use super::ProcessId;

/// Ports that we hand out: below the range from which Linux takes the near end of outgoing connections, and above
/// those of well-known services. A port from the system's own range (a listener on port 0) may be taken by anybody's
/// outgoing connection between our choice and the service's start.
const HANDED_OUT: std::ops::Range<u16> = 10_240..32_000;

/// Chooses `N` different ports that nobody listens on now and that no other call, of any process of this user, gets
/// until the whole range has been handed out: services that start at the same time do not meet.
///
/// # Errors
/// `LocalService` when the machine has none to give, or the turn (a file among the temporary ones) cannot be kept.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let failed =
        |error: io::Error| Error::new(ErrorKind::LocalService, "choosing a port", "127.0.0.1").with_source(error);
    let mut turn = Turn::take().map_err(failed)?;
    let mut ports = [0; N];
    let mut left = HANDED_OUT.len();
    for port in &mut ports {
        *port = loop {
            left = left.checked_sub(1).ok_or_else(|| failed(io::ErrorKind::AddrInUse.into()))?;
            let candidate = turn.next();
            if TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok() {
                break candidate;
            }
        };
    }
    turn.keep().map_err(failed)?;
    Ok(ports)
}

/// Whose turn it is: the next port, in a file that all processes of this user share and lock.
struct Turn {
    file: File,
    next: u16,
}

impl Turn {
    fn take() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("thm-ports-{}", nix::unistd::Uid::current()));
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let next = text.trim().parse().unwrap_or_else(|_| rand::random_range(HANDED_OUT));
        Ok(Self { file, next })
    }

    fn next(&mut self) -> u16 {
        let port = if HANDED_OUT.contains(&self.next) { self.next } else { HANDED_OUT.start };
        self.next = port + 1;
        port
    }

    /// Writes the turn for whoever comes next; the lock goes with the file.
    fn keep(mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", self.next)
    }
}

/// Fails if somebody listens on `port`, naming the process.
///
/// # Errors
/// `LocalService` with the owner's pid and command and what to do.
pub fn require_free(service: &str, port: u16) -> Result<()> {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
        return Ok(());
    }
    let owner = match owner_of(port) {
        Some(owner) => format!("pid {} ({})", owner.pid, owner.command()),
        None => "a process of another user".to_owned(),
    };
    Err(Error::new(ErrorKind::LocalService, "port is taken", format!("{port}, wanted for {service}, held by {owner}"))
        .with_hint("Stop that process, or have free ones chosen with `--ports auto`."))
}

/// The process that listens on `port`, as far as we may see it.
#[must_use]
pub fn owner_of(port: u16) -> Option<ProcessId> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| listening_inodes(table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds = descriptors.any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        });
        if holds { ProcessId::of(pid) } else { None }
    })
}

/// Inodes of the sockets that listen (state `0A`) on `port` in a table of `/proc/net`.
fn listening_inodes(table: &str, port: u16) -> impl Iterator<Item = &str> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).filter_map(move |line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        (local.ends_with(&suffix) && *state == "0A").then_some(*inode)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_calls_get_the_same_port() {
        let calls: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| std::array::from_fn::<_, 100, _>(|_| free_ports::<2>().unwrap())))
            .collect();
        let ports: Vec<u16> = calls.into_iter().flat_map(|call| call.join().unwrap()).flatten().collect();
        let different: BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), ports.len(), "{ports:?}");
        assert!(ports.iter().all(|port| HANDED_OUT.contains(port)), "{ports:?}");
    }

    #[test]
    fn a_taken_port_names_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owner_of(port).unwrap().pid, std::process::id().cast_signed());
        let error = require_free("redis", port).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.hint().contains("--ports auto"));
        drop(listener);
        // Another test may be starting a child just now, which holds a copy until it has become its program.
        while require_free("redis", port).is_err() {
            std::thread::yield_now();
        }
    }
}
