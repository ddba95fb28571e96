//! `--profile`: what the engine's CPU was spent on, as `perf` sees it. Wants a binary with symbols.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::report::Report;

/// Samples per second: no multiple of a timer's rate.
const FREQUENCY_HZ: &str = "797";
/// Functions shown.
const SHOWN_LINES: usize = 45;
/// Share of the samples under which a function is not shown, percent.
const SHOWN_PERCENT: &str = "0.6";

/// Records one pass of each kind of load.
pub(super) struct Profile {
    is_wanted: bool,
    folder: PathBuf,
    recording: Option<(Child, String)>,
    done: Vec<(String, String)>,
}

impl Profile {
    pub(super) fn new(is_wanted: bool, folder: &Path) -> Self {
        Self { is_wanted, folder: folder.to_owned(), recording: None, done: Vec::new() }
    }

    /// Begins to record, if this load was not recorded yet.
    pub(super) fn begin(&mut self, pid: i32, name: &str) -> Result<()> {
        if !self.is_wanted || self.done.iter().any(|(done, _)| done == name) {
            return Ok(());
        }
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-F", FREQUENCY_HZ, "-g", "-p", &pid.to_string(), "-o"]).arg(self.file());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("starting perf; it comes with linux-perf")?;
        self.recording = Some((child, name.to_owned()));
        Ok(())
    }

    /// Ends the recording and keeps its summary.
    pub(super) async fn end(&mut self) -> Result<()> {
        let Some((mut child, name)) = self.recording.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT)?;
        }
        child.wait().await?;
        let mut text = String::new();
        for (heading, sort) in [("By thread and function:", "comm,symbol")] {
            let mut command = Command::new("perf");
            command.args(["report", "--stdio", "--no-children", "-g", "none", "--percent-limit", SHOWN_PERCENT]);
            let output = command.args(["--sort", sort, "-i"]).arg(self.file()).output().await?;
            let report = String::from_utf8_lossy(&output.stdout);
            let lines = report.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
            let lines: Vec<&str> = lines.map(str::trim_end).take(SHOWN_LINES).collect();
            text.push_str(&format!("{heading}\n{}\n", lines.join("\n")));
        }
        self.done.push((name, text));
        Ok(())
    }

    /// Adds what was found.
    pub(super) fn add_notes(&mut self, report: &mut Report) {
        for (name, text) in self.done.drain(..) {
            report.note(format!("Profile of the engine, whole path, {name}"), text);
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("perf.data")
    }
}
