//! What the kernel counts: CPU time of processes and threads, anonymous memory. All of it from `/proc`.
//!
//! CPU times come in ticks of 10 ms, so they mean something over a second and more.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// One tick in microseconds: `USER_HZ` is 100 on Linux, whatever the kernel was built with.
const TICK_US: u64 = 10_000;
/// Between two looks at memory: short beside a full-speed run, cheap beside its CPU time.
const DEFAULT_SAMPLE_INTERVAL: Duration = Duration::from_millis(25);

/// User and system time of a process with all its threads, ended ones too.
pub(super) fn process_us(pid: i32) -> u64 {
    stat(&format!("/proc/{pid}/stat")).map_or(0, |stat| stat.own_us)
}

/// The same of the children that this process has waited for.
pub(super) fn waited_children_us() -> u64 {
    stat("/proc/self/stat").map_or(0, |stat| stat.children_us)
}

/// User and system time of a process and all its descendants, ended ones too.
pub(super) fn tree_us(root: i32) -> u64 {
    // A child that ends while we look is counted in its parent only afterwards: then we look again.
    let waited = || stat(&format!("/proc/{root}/stat")).map(|stat| stat.children_us);
    loop {
        let before = waited();
        let sum = tree_once_us(root);
        if waited() == before {
            return sum;
        }
    }
}

fn tree_once_us(root: i32) -> u64 {
    let processes = processes();
    let members = members(root, &processes);
    processes.iter().filter(|one| members.contains(&one.pid)).map(|one| one.own_us + one.children_us).sum()
}

/// A process and its descendants, parents before their children.
pub(crate) fn family(root: i32) -> Vec<i32> {
    members(root, &processes())
}

fn processes() -> Vec<Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| stat(&format!("/proc/{pid}/stat")))
        .collect()
}

fn members(root: i32, processes: &[Stat]) -> Vec<i32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        members.extend(processes.iter().filter(|one| one.parent == parent).map(|one| one.pid));
        next += 1;
    }
    members
}

/// User and system time by thread name.
pub(super) fn threads_us(pid: i32) -> BTreeMap<String, u64> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        if let Some(one) = stat(&entry.path().join("stat").display().to_string()) {
            *threads.entry(one.name).or_default() += one.own_us;
        }
    }
    threads
}

/// Anonymous resident memory in bytes.
pub(super) fn anonymous_bytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Watches the anonymous memory of a process until dropped.
pub(crate) struct MemoryWatch {
    peak: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl MemoryWatch {
    pub(crate) fn start(pid: i32) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&peak);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(DEFAULT_SAMPLE_INTERVAL);
            loop {
                ticks.tick().await;
                seen.fetch_max(anonymous_bytes(pid), Ordering::Relaxed);
            }
        });
        Self { peak, task }
    }

    /// The most that was seen so far.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Stat {
    pid: i32,
    name: String,
    parent: i32,
    own_us: u64,
    children_us: u64,
}

/// Fields of `stat` as `man proc_pid_stat` numbers them; the name may hold blanks and brackets.
fn stat(path: &str) -> Option<Stat> {
    parse(&fs::read_to_string(path).ok()?)
}

fn parse(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    // Field 3 is the first after the name.
    let ticks = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        pid: pid.trim().parse().ok()?,
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own_us: (ticks(14)? + ticks(15)?) * TICK_US,
        children_us: (ticks(16)? + ticks(17)?) * TICK_US,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_with_brackets_moves_no_field() {
        let stat = parse("7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 5 6 7").unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.parent), (7, "a) b (c)", 3));
        assert_eq!((stat.own_us, stat.children_us), (330_000, 770_000));
    }

    #[test]
    fn our_own_figures_are_there() {
        let pid = std::process::id().cast_signed();
        assert!(anonymous_bytes(pid) > 100_000);
        assert!(!threads_us(pid).is_empty());
        // Read first: other tests of this process work meanwhile.
        let own = process_us(pid);
        assert!(tree_us(pid) >= own);
    }
}
