//! `thm dev` as a user runs it, on free ports, with the example program's stand-ins for `run` and `verify`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thm_dev::process::ProcessId;

/// Longest wait for anything here; a loaded machine needs a few seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `dev_stack dev`; stopped when dropped, with whatever is left of it.
struct Dev {
    folder: tempfile::TempDir,
    child: Child,
}

impl Dev {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        for part in ["connectors", "db"] {
            symlink(clone.join(part), folder.path().join(part)).unwrap();
        }
        fs::create_dir_all(folder.path().join("flink/sql")).unwrap();
        fs::write(folder.path().join("flink/sql/01_enrich.sql"), "").unwrap();
        let child = Self::spawn(folder.path(), options);
        Self { folder, child }
    }

    fn spawn(folder: &Path, options: &[&str]) -> Child {
        let out = fs::File::options().create(true).append(true).open(folder.join("out.txt")).unwrap();
        let mut command = command(folder, &[&["--ports", "auto"], options].concat());
        command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap()
    }

    fn out(&self) -> String {
        fs::read_to_string(self.folder.path().join("out.txt")).unwrap()
    }

    fn wait_for(&mut self, text: &str, times: usize) {
        let began = Instant::now();
        while self.out().matches(text).count() < times {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no '{text}' in:\n{}", self.out());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, words: &[&str]) -> Output {
        command(self.folder.path(), words).output().unwrap()
    }

    /// Every service of this stack that runs, by its pid file.
    fn services(&self) -> Vec<(String, ProcessId)> {
        let files: Vec<PathBuf> =
            fs::read_dir(self.folder.path().join(".thm/run")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let of = |file: &PathBuf| {
            let text = fs::read_to_string(file).ok()?;
            let pid = text.split_ascii_whitespace().next()?.parse().ok()?;
            Some((file.file_stem()?.to_str()?.to_owned(), ProcessId::of(pid)?))
        };
        files.iter().filter_map(of).collect()
    }

    fn service(&self, name: &str) -> ProcessId {
        self.services().into_iter().find(|(own, _)| own == name).unwrap().1
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
        // Only when the test has found that something outlives its supervisor.
        for (_, left) in self.services() {
            left.kill_group();
        }
    }
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(thm_dev::clickhouse::engine_program().unwrap());
    command.arg("dev").args(words).current_dir(folder).env_remove("THM_DATA");
    command
}

fn expect_gone(services: &[(String, ProcessId)]) {
    for (name, identity) in services {
        assert!(identity.wait_until_gone(PATIENCE), "{name} is still there");
    }
}

#[test]
fn a_killed_engine_comes_back_and_ctrl_c_leaves_nothing() {
    let mut dev = Dev::start(&["--rate", "50"]);
    dev.wait_for("Everything runs", 1);
    let services = dev.services();
    assert_eq!(services.len(), 6, "{services:?}");

    dev.service("run").kill_group();
    dev.wait_for("was killed by SIGKILL; starting again", 1);
    dev.wait_for("run           ready", 2);

    let ps = String::from_utf8(dev.ask(&["ps"]).stdout).unwrap();
    assert_eq!(ps.matches(" running ").count(), 6, "{ps}");
    assert!(dev.ask(&["stop", "thm-redis-1"]).status.success());
    assert!(dev.services().iter().all(|(name, _)| name != "redis"));
    assert!(dev.ask(&["restart", "redis"]).status.success());
    assert!(!dev.ask(&["restart", "airflow"]).status.success());
    assert!(!dev.ask(&["logs", "postgres"]).stdout.is_empty());

    let services = dev.services();
    dev.signal(Signal::SIGINT);
    assert_eq!(dev.child.wait().unwrap().code(), Some(130));
    expect_gone(&services);
    assert!(dev.services().is_empty());
}

#[test]
fn a_killed_supervisor_takes_its_services_along_and_the_next_start_works() {
    let mut dev = Dev::start(&["--no-generator", "--no-connectors"]);
    dev.wait_for("Everything runs", 1);
    let config = fs::read_to_string(dev.folder.path().join(".thm/thm.toml")).unwrap();
    assert!(config.contains("connectors = []"), "{config}");
    let services = dev.services();
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    expect_gone(&services);

    dev.child = Dev::spawn(dev.folder.path(), &["--no-generator"]);
    dev.wait_for("Everything runs", 2);
    let second = dev.ask(&["--ports", "auto"]);
    assert_eq!(second.status.code(), Some(4));
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(said.contains(&format!("used by pid {}", dev.child.id())), "{said}");
}

#[test]
fn a_measured_run_verifies_and_says_so_by_its_exit_code() {
    let mut dev = Dev::start(&["--rate", "2000", "--duration", "2s"]);
    assert_eq!(dev.child.wait().unwrap().code(), Some(0), "{}", dev.out());
    assert!(dev.services().is_empty());
    let out = dev.out();
    let place = |text: &str| out.find(text).unwrap_or_else(|| panic!("no '{text}' in:\n{out}"));
    assert!(place("Everything runs") < place("the time is over"));
    assert!(place("generator     stopped") < place("run           stopped"));
    assert!(place("run           stopped") < place("postgres      stopped"));
}
