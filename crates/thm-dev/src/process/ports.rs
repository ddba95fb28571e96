//! Ports of 127.0.0.1: free ones, and who holds a taken one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use thm_api::{Error, ErrorKind, Result};

use super::ProcessId;

/// Chooses `N` different ports that nobody listens on now. They are free again at once: start the listener soon.
///
/// # Errors
/// `LocalService` when the system has none to give.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until all are known, so that they differ.
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| Error::new(ErrorKind::LocalService, "choosing a port", "127.0.0.1").with_source(error))?;
        *port = listener
            .local_addr()
            .map_err(|error| Error::new(ErrorKind::LocalService, "choosing a port", "127.0.0.1").with_source(error))?
            .port();
        held.push(listener);
    }
    Ok(ports)
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

    use super::*;

    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports::<3>().unwrap();
        assert!(a != b && b != c && a != c);
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
