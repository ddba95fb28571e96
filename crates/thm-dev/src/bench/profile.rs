//! `--profile`: what the engine's CPU was spent on, as `perf` sees it. Wants a binary with symbols.

use std::collections::BTreeMap;
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
const SHOWN_LINES: usize = 30;
/// Share of the samples under which an area is not shown, percent.
const SHOWN_PERCENT: f64 = 0.5;

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
        let output = Command::new("perf")
            .args(["report", "--stdio", "--no-children", "-g", "none", "--sort", "comm,symbol", "-i"])
            .arg(self.file())
            .output()
            .await?;
        let report = String::from_utf8_lossy(&output.stdout);
        let samples: Vec<Sample<'_>> = report.lines().filter_map(Sample::parse).collect();
        let text = format!("{}\n{}", by_area(&samples), by_function(&samples));
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

/// One line of `perf report`: `12.34%  thread  [.] symbol`.
#[derive(Clone, Copy, Debug)]
struct Sample<'a> {
    percent: f64,
    thread: &'a str,
    is_kernel: bool,
    symbol: &'a str,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (percent, rest) = line.trim().split_once('%')?;
        let (thread, rest) = rest.trim().split_once(" [")?;
        let (mark, symbol) = rest.split_once("] ")?;
        // Columns that this perf leaves empty come last.
        let symbol = symbol.trim_end_matches(['-', ' ']);
        Some(Self { percent: percent.parse().ok()?, thread: thread.trim(), is_kernel: mark == "k", symbol })
    }

    /// The module of ours, else the crate, else what it is.
    fn area(&self) -> String {
        if self.is_kernel {
            return "kernel".to_owned();
        }
        let path = self.symbol.trim_start_matches(['<', '&', '*']).split([' ', '>', '<']).next().unwrap_or_default();
        let mut parts = path.split("::");
        match (parts.next(), parts.next()) {
            (Some(first), Some(second)) if first.starts_with("thm_") => format!("{first}::{second}"),
            (Some(first), Some(_)) => first.to_owned(),
            _ => "memory and C library".to_owned(),
        }
    }
}

fn by_area(samples: &[Sample<'_>]) -> String {
    let mut areas: BTreeMap<(&str, String), f64> = BTreeMap::new();
    for sample in samples {
        *areas.entry((sample.thread, sample.area())).or_default() += sample.percent;
    }
    let mut areas: Vec<_> = areas.into_iter().filter(|(_, percent)| *percent >= SHOWN_PERCENT).collect();
    areas.sort_by(|a, b| b.1.total_cmp(&a.1));
    areas.iter().map(|((thread, area), percent)| format!("{percent:5.1} %  {thread:<16} {area}\n")).collect()
}

fn by_function(samples: &[Sample<'_>]) -> String {
    let line = |sample: &Sample<'_>| format!("{:5.1} %  {:<16} {}\n", sample.percent, sample.thread, sample.symbol);
    samples.iter().take(SHOWN_LINES).map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_of_perf_are_told_apart_by_area() {
        let area = |line: &str| Sample::parse(line).unwrap().area();
        assert_eq!(area("     7.60%  thm-log          [k] copy_folio_from_iter_atomic    -      -"), "kernel");
        assert_eq!(area("     1.81%  job-a1  [.] thm_codec::java_json::write_string"), "thm_codec::java_json");
        assert_eq!(
            area("     0.70%  x  [.] <thm_codec::record_batch::reader::Records as Iterator>::next"),
            "thm_codec::record_batch"
        );
        assert_eq!(area("     0.98%  x  [.] core::str::converts::from_utf8"), "core");
        assert_eq!(area("     0.98%  x  [.] _int_malloc"), "memory and C library");
        assert!(Sample::parse("# comment").is_none());
    }
}
