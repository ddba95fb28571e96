//! PostgreSQL servers for cases: user and database `thm`, superuser, as the recordings had it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server.
pub struct Postgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    programs: PathBuf,
    folder: TempDir,
    child: Child,
}

/// The newest PostgreSQL of the system.
pub fn system_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed")
}

/// The server refuses to be root: root starts it in a user namespace in which root has another number.
fn command(programs: &Path, program: &str) -> Command {
    let root = std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"));
    if !root {
        return Command::new(programs.join(program));
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(programs.join(program));
    command
}

impl Postgres {
    /// A new cluster.
    pub fn start(programs: &Path, wal_level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "thm").unwrap();
        let data = folder.path().join("data");
        let made = command(programs, "initdb")
            .args(["-U", "thm", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let [port] = thm_dev::process::free_ports().unwrap();
        let child = command(programs, "postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "timezone=UTC"])
            .args(["-c", "shared_buffers=32MB", "-c", "autovacuum=off", "-c", &format!("wal_level={wal_level}")])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { port, programs: programs.to_owned(), folder, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.run("postgres", "SELECT 1").status.success() {
            let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL did not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if !self.programs.join(name).exists() {
            command = Command::new(name);
        }
        command.env("PGPASSWORD", "thm");
        command
    }

    fn run(&self, database: &str, sql: &str) -> Output {
        let mut child = self
            .program("psql")
            .args(["-XqAt", "-h", "127.0.0.1", "-U", "thm", "-d", database, "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A server that is not up yet ends psql before it has read anything.
        let _ = child.stdin.take().unwrap().write_all(sql.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// A session for questions, which costs less than a psql for each.
    pub async fn session(&self) -> Result<tokio_postgres::Client, String> {
        let url = format!("postgres://thm:thm@127.0.0.1:{}/thm", self.port);
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Statements one by one in one session of database `thm`, as psql runs them.
    pub fn psql(&self, sql: &str) -> Result<String, String> {
        Self::answer(&self.run("thm", sql))
    }

    fn answer(done: &Output) -> Result<String, String> {
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        }
    }

    /// Database `thm` anew, and no slot.
    pub fn fresh_database(&self) -> Result<(), String> {
        let drop_slots = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active;\n\
                          SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = Self::answer(&self.run("postgres", drop_slots)) {
            if Instant::now() > deadline {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let fresh = "DROP DATABASE IF EXISTS thm WITH (FORCE);\nCREATE DATABASE thm";
        Self::answer(&self.run("postgres", fresh)).map(drop)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
