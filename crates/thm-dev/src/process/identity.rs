//! Who a process is: its number alone is reused, number and start time together are not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How often a foreign process is looked at while we wait for its end; short beside any shutdown.
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process of this boot, past or present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now, if there is one. A zombie is none: it runs no more.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Self::look_up(pid).and_then(|(identity, runs)| runs.then_some(identity))
    }

    /// A child of ours that is not reaped yet, whether it still runs or not.
    pub(super) fn of_child(child: &std::process::Child) -> Option<Self> {
        Self::look_up(child.id().cast_signed()).map(|(identity, _)| identity)
    }

    fn look_up(pid: i32) -> Option<(Self, bool)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name in parentheses may itself hold blanks and parentheses; fields count from the last one.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some((Self { pid, start_ticks }, state != "Z" && state != "X"))
    }

    /// Whether exactly this process still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal if it still runs.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may have ended since the check; then there is nothing left to do.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Kills it with its process group, which [`super::Process::spawn`] makes one per child.
    pub fn kill_group(self) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            self.signal(Signal::SIGKILL);
        }
    }

    /// Waits until it has ended; false when it has not after `limit`.
    #[must_use]
    pub fn wait_until_gone(self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(DEFAULT_POLL_INTERVAL);
        }
        true
    }

    /// Resident memory in bytes, 0 when it has ended.
    #[must_use]
    pub fn resident_bytes(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Its command line with blanks between the arguments, shortened to be shown.
    #[must_use]
    pub fn command(self) -> String {
        const SHOWN_CHARS: usize = 100;
        let raw = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&raw).replace('\0', " ");
        text.trim_end().chars().take(SHOWN_CHARS).collect()
    }

    /// As a pid file holds it.
    pub(super) fn write(self, file: &Path) -> std::io::Result<()> {
        fs::write(file, format!("{} {}\n", self.pid, self.start_ticks))
    }

    /// From a pid file; none when the file is missing or not one of ours.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let mut words = text.split_ascii_whitespace();
        Some(Self { pid: words.next()?.parse().ok()?, start_ticks: words.next()?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_number_with_another_start_time_is_not() {
        let own = ProcessId::of(std::process::id().cast_signed()).expect("this process runs");
        assert!(own.is_alive());
        assert!(own.resident_bytes() > 0);
        assert!(!ProcessId { start_ticks: own.start_ticks + 1, ..own }.is_alive());
    }
}
