//! PostgreSQL: a cluster of our own from the system's programs, ready for logical replication.
//!
//! The pipeline's user `app` (password `app`) owns the database `thm` and may replicate; it is no superuser. The
//! cluster's superuser has a random password in `superuser.password` beside the data. Both log in by SCRAM over
//! loopback TCP; there is no socket and no `trust`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;
use thm_api::{Error, ErrorKind, Result};

use super::run_as::{hand_over, unprivileged};
use super::{Running, Service, postgres_schema};
use crate::process::{Folders, Launch, Process, RunAs, describe_exit, find_program, free_ports, local};

/// A fast shutdown writes a checkpoint; on a slow disk behind a long load that takes a while.
const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(20);
/// Slots and senders: room for the product, its tests and a few comparisons at once.
const DEFAULT_MAX_SLOTS: u32 = 20;
/// Sessions of a killed server end within milliseconds; on a machine with far too much to do it takes seconds.
const DEFAULT_ORPHAN_WAIT: Duration = Duration::from_secs(30);
const ORPHAN_PAUSE: Duration = Duration::from_millis(20);
/// The cluster's superuser.
const SUPERUSER: &str = "postgres";

/// A PostgreSQL on 127.0.0.1 with database `thm`.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    /// Holds `data/` and `superuser.password`; belongs to whom the server runs as.
    folder: PathBuf,
    port: u16,
    run_as: RunAs,
    init: Vec<PathBuf>,
    settings: Vec<(String, String)>,
}

impl Postgres {
    /// With its cluster in `folder`, whose database gets the SQL files `init` once, in this order.
    ///
    /// # Errors
    /// `LocalService` when PostgreSQL is not installed.
    pub fn new(folder: &Path, port: u16, init: Vec<PathBuf>) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|error| local("finding", folder.display(), error))?;
        let run_as = unprivileged(&folder);
        Ok(Self { programs: programs()?, folder, port, run_as, init, settings: Vec::new() })
    }

    /// With a server setting (`name = value`) over our own.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A fresh one on a free port with an empty database, for tests.
    ///
    /// # Errors
    /// `LocalService` when it does not start.
    pub async fn temporary() -> Result<Running<Self>> {
        Self::temporary_with(|postgres| postgres).await
    }

    /// The same with settings of the test's own.
    ///
    /// # Errors
    /// `LocalService` when it does not start.
    pub async fn temporary_with(adjust: impl FnOnce(Self) -> Self) -> Result<Running<Self>> {
        let [port] = free_ports()?;
        Running::temporary(|folder| {
            // The folder is ours alone (0700); the server's user must get through it.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
                .map_err(|error| local("opening", folder.display(), error))?;
            Ok(adjust(Self::new(&folder.join("postgres"), port, Vec::new())?))
        })
        .await
    }

    /// Where the pipeline's user connects.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://app:app@127.0.0.1:{}/thm", self.port)
    }

    /// Where the superuser connects, to database `thm`.
    ///
    /// # Errors
    /// `LocalService` before the first start.
    pub fn superuser_url(&self) -> Result<String> {
        self.superuser_url_of("thm")
    }

    fn superuser_url_of(&self, database: &str) -> Result<String> {
        let file = self.password_file();
        let password = fs::read_to_string(&file).map_err(|error| local("reading", file.display(), error))?;
        Ok(format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", password.trim(), self.port))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of PostgreSQL's own programs, of this server's version.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("superuser.password")
    }

    /// Waits for the sessions of a server that was killed: they end by themselves once they notice, and until then a new
    /// server refuses to start. After [`DEFAULT_ORPHAN_WAIT`] it says so in its own words.
    async fn wait_for_orphans(&self) {
        let deadline = Instant::now() + DEFAULT_ORPHAN_WAIT;
        let lock_file = self.data().join("postmaster.pid");
        while Instant::now() < deadline
            && fs::read_to_string(&lock_file).is_ok_and(|lock| {
                fs::read_to_string("/proc/sysvipc/shm").is_ok_and(|segments| is_attached(&lock, &segments))
            })
        {
            tokio::time::sleep(ORPHAN_PAUSE).await;
        }
    }

    /// Makes the cluster beside its place and moves it there when it is whole.
    async fn make_cluster(&self) -> Result<()> {
        let part = self.folder.join("data.part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(|error| local("removing", part.display(), error))?;
        }
        let password = self.password_file();
        fs::write(&password, uuid::Uuid::new_v4().simple().to_string())
            .and_then(|()| fs::set_permissions(&password, fs::Permissions::from_mode(0o600)))
            .map_err(|error| local("writing", password.display(), error))?;
        // Parents first need an owner who may look into them; the folder itself is new here.
        if let RunAs::User { uid, gid } = self.run_as {
            std::os::unix::fs::chown(&password, Some(uid), Some(gid))
                .map_err(|error| local("changing the owner of", password.display(), error))?;
        }
        let mut launch = Launch::new(
            self.programs.join("initdb"),
            ["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"],
        );
        launch.args.extend(["--no-instructions".into(), "--pwfile".into(), password.into()]);
        launch.args.extend(["--pgdata".into(), part.clone().into()]);
        launch.run_as = self.run_as;
        launch.directory = Some(self.folder.clone());
        let folders = Folders { logs: self.folder.clone(), pids: self.folder.clone() };
        let initdb = Process::spawn("initdb", launch, &folders).await?;
        let status = initdb.ended().await;
        if !status.success() {
            let advice = match self.run_as {
                RunAs::Namespace => "Choose a folder that user postgres can reach, for example --data /var/tmp/thm. ",
                RunAs::Caller | RunAs::User { .. } => "",
            };
            let what = format!("initdb {}", describe_exit(status));
            return Err(Error::new(ErrorKind::LocalService, "making a cluster", what)
                .with_hint(format!("{advice}The end of its log:\n{}", initdb.log_tail(20))));
        }
        fs::rename(&part, self.data()).map_err(|error| local("moving", part.display(), error))
    }
}

/// Whether a process holds the shared memory that a `postmaster.pid` names (in its seventh line: key, identifier), by
/// `/proc/sysvipc/shm` (the identifier in its second column, the number of holders in its seventh).
fn is_attached(lock_file: &str, segments: &str) -> bool {
    let Some(id) = lock_file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) else { return false };
    segments.lines().any(|line| {
        let mut columns = line.split_whitespace();
        columns.nth(1) == Some(id) && columns.nth(4).is_some_and(|holders| holders != "0")
    })
}

#[async_trait]
impl Service for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    async fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|error| local("creating a folder", self.folder.display(), error))?;
        hand_over(&self.folder, self.run_as)?;
        if !self.data().join("PG_VERSION").exists() {
            return self.make_cluster().await;
        }
        self.wait_for_orphans().await;
        Ok(())
    }

    fn launch(&self) -> Launch {
        let mut launch = Launch::new(self.programs.join("postgres"), ["-D"]);
        launch.args.push(self.data().into());
        let (port, slots) = (self.port.to_string(), DEFAULT_MAX_SLOTS.to_string());
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
            ("timezone", "UTC"),
            ("wal_level", "logical"),
            ("max_wal_senders", &slots),
            ("max_replication_slots", &slots),
        ];
        let others = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(others) {
            launch.args.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        launch.run_as = self.run_as;
        launch.directory = Some(self.folder.clone());
        // Fast shutdown: sessions are ended, a checkpoint is written.
        launch.stop_signal = Signal::SIGINT;
        launch.grace = DEFAULT_STOP_GRACE;
        launch
    }

    async fn probe(&self) -> Result<()> {
        postgres_schema::connect(&self.superuser_url_of("postgres")?).await.map(drop)
    }

    async fn initialise(&self) -> Result<()> {
        postgres_schema::create_database(&self.superuser_url_of("postgres")?).await?;
        postgres_schema::apply_once(&self.url(), &self.init).await
    }
}

/// The folder of PostgreSQL's programs: the newest of Debian's, or where `initdb` is on `PATH`.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .max();
    newest
        .map(|(_, programs)| programs)
        .or_else(|| Some(find_program("initdb")?.canonicalize().ok()?.parent()?.to_owned()))
        .ok_or_else(|| {
            Error::new(ErrorKind::LocalService, "looking for a program", "PostgreSQL's initdb")
                .with_hint("Run tools/setup.sh, which installs what the local stack needs.")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_servers_sessions_hold_its_memory() {
        let lock_file = "4711\n/data\n1795391125\n5432\n\n127.0.0.1\n  10200249   9109508\nready\n";
        let segments = |holders: u32| {
            format!(
                "       key      shmid perms                  size  cpid  lpid nattch   uid\n  \
                 10200249    9109508   600                    56  3090  3114      {holders}   101\n"
            )
        };
        assert!(is_attached(lock_file, &segments(2)));
        assert!(!is_attached(lock_file, &segments(0)));
        assert!(!is_attached(&lock_file.replace("9109508", "9109509"), &segments(2)), "another server's");
        assert!(!is_attached("4711\n", &segments(2)), "not written yet");
    }
}
