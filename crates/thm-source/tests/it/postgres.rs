//! A PostgreSQL server for one test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Postgres {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

/// The folder that `THM_TEST_POSTGRES` names, else the newest PostgreSQL of the system.
fn binaries() -> PathBuf {
    if let Some(named) = std::env::var_os("THM_TEST_POSTGRES") {
        return named.into();
    }
    system()
}

fn system() -> PathBuf {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path().join("bin")).collect();
    found.sort();
    found.pop().unwrap()
}

/// A client program: not every folder of a server's programs has them, and the system's talk to newer servers too.
pub fn client(name: &str) -> PathBuf {
    let own = binaries().join(name);
    if own.exists() { own } else { system().join(name) }
}

/// The server refuses to be root: root starts it in a user namespace in which root has another number.
fn command(program: &str) -> Command {
    let path = binaries().join(program);
    // SAFETY-free way to ask: /proc tells who we are.
    let root = std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"));
    if !root {
        return Command::new(path);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(path);
    command
}

impl Postgres {
    pub fn start() -> Self {
        Self::with(&["-c", "wal_level=logical"])
    }

    pub fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "thm").unwrap();
        let data = folder.path().join("data");
        let made = command("initdb")
            .args(["-U", "thm", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = Self::run(folder, settings);
        server.psql_in("postgres", "CREATE DATABASE thm");
        server
    }

    /// Starts the server of a folder that is made already.
    fn run(folder: TempDir, settings: &[&str]) -> Self {
        let [port] = thm_dev::process::free_ports().unwrap();
        let child = command("postgres")
            .arg("-D")
            .arg(folder.path().join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "timezone=UTC"])
            .args(["-c", "shared_buffers=16MB", "-c", "max_replication_slots=8", "-c", "max_wal_senders=8"])
            .args(settings)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { port, folder, child };
        server.wait();
        server
    }

    /// A standby that follows this server from now on, through the slot `standby`.
    pub fn standby(&self) -> Self {
        self.psql("SELECT pg_create_physical_replication_slot('standby', true)");
        let folder = tempfile::tempdir().unwrap();
        // Files that are copied between the two calls are made whole by the WAL since the first.
        let data = self.folder.path().join("data");
        let copy = format!("cp -r {} {}/data", data.display(), folder.path().display());
        let label = self.psql(&format!(
            "SELECT pg_backup_start('standby', true);\n\\! {copy}\nSELECT labelfile FROM pg_backup_stop(false)"
        ));
        let label = label.split_once("START WAL").unwrap().1;
        let own = folder.path().join("data");
        std::fs::write(own.join("backup_label"), format!("START WAL{label}\n")).unwrap();
        std::fs::write(own.join("standby.signal"), "").unwrap();
        std::fs::remove_file(own.join("postmaster.pid")).unwrap();
        let primary = format!("host=127.0.0.1 port={} user=thm password=thm dbname=thm", self.port);
        let settings = format!(
            "primary_conninfo = '{primary}'\nprimary_slot_name = 'standby'\nhot_standby_feedback = on\nwal_level = logical\n"
        );
        std::fs::write(own.join("postgresql.auto.conf"), settings).unwrap();
        Self::run(folder, &[])
    }

    /// Release, as in 18.
    pub fn release() -> u32 {
        let told = Command::new(binaries().join("postgres")).arg("--version").output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        let digits = told.split_whitespace().nth(2).unwrap().split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.try_psql("postgres", "SELECT 1").status.success() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL did not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts a line in front of `pg_hba.conf`.
    pub fn allow(&self, line: &str) {
        let path = self.folder.path().join("data/pg_hba.conf");
        let lines = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{line}\n{lines}")).unwrap();
        self.psql("SELECT pg_reload_conf()");
    }

    fn try_psql(&self, database: &str, sql: &str) -> std::process::Output {
        use std::io::Write;
        let mut child = Command::new(client("psql"))
            .args(["-XqAt", "-h", "127.0.0.1", "-U", "thm", "-d", database, "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", "thm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A psql that found no server yet ends before it reads anything: its status tells of it.
        let _ = child.stdin.take().unwrap().write_all(sql.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        let done = self.try_psql(database, sql);
        assert!(done.status.success(), "{}\n{sql}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Statements one by one, each its own transaction, as psql runs them.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("thm", sql)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}
