//! The log thread: one per log. It alone writes and fsyncs segments.
//!
//! ```text
//!   dirty partitions ─▶ write all ─▶ fsync all ─▶ advance all high watermarks, wake readers and appenders
//!         ▲                                               │
//!         └───────── the next round begins at once ◀──────┘      no timer: load makes rounds larger, not slower
//! ```
//!
//! A failed write or fsync poisons the log; from then on a round only fails what it finds.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use thm_api::{Error, ErrorKind, Result};

use crate::meters::DiskMeters;
use crate::partition::{Partition, Turn};
use crate::poison::Poison;
use crate::tail_cache::TailCache;

/// Partitions with something to write, and whether the thread should end.
#[derive(Debug, Default)]
pub(crate) struct WorkList {
    state: Mutex<Work>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    dirty: Vec<Arc<Partition>>,
    stopped: bool,
}

impl WorkList {
    /// Tells the thread of a partition. Fails once the log is closed.
    pub(crate) fn list(&self, partition: &Arc<Partition>) -> Result<()> {
        let mut work = self.state.lock();
        if work.stopped {
            return Err(
                Error::new(ErrorKind::LogIo, "appending to", partition.id.to_string()).with_source("the log is closed")
            );
        }
        work.dirty.push(Arc::clone(partition));
        drop(work);
        self.wake.notify_one();
        Ok(())
    }

    /// No more appends; the thread writes what is queued and ends.
    fn stop(&self) {
        self.state.lock().stopped = true;
        self.wake.notify_one();
    }

    /// Waits for work, at most `patience`; `None` when the log is closed and nothing is left.
    fn next(&self, patience: Duration) -> Option<Vec<Arc<Partition>>> {
        let mut work = self.state.lock();
        if work.dirty.is_empty() && !work.stopped {
            self.wake.wait_for(&mut work, patience);
        }
        if work.dirty.is_empty() && work.stopped { None } else { Some(std::mem::take(&mut work.dirty)) }
    }
}

/// What the thread needs.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What to do.
    pub work: WorkList,
    /// Set by the first failure.
    pub poison: Poison,
    /// Where durable batches go.
    pub cache: TailCache,
    /// Counts.
    pub meters: DiskMeters,
}

/// Work that is due without appends: retention, a look at the free space.
pub(crate) trait Chores: Send + 'static {
    /// Does what is due, and says how long nothing else is.
    fn run(&mut self) -> Duration;
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct LogThread {
    disk: Arc<Disk>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl LogThread {
    /// Starts it.
    pub(crate) fn start(disk: Arc<Disk>, mut chores: impl Chores) -> io::Result<Self> {
        let own = Arc::clone(&disk);
        let handle = std::thread::Builder::new().name("thm-log".to_owned()).spawn(move || {
            let _end = EndOfThread(Arc::clone(&own));
            let mut due = Instant::now();
            while let Some(dirty) = own.work.next(due.saturating_duration_since(Instant::now())) {
                run_round(&own, &dirty);
                if Instant::now() >= due {
                    due = Instant::now() + chores.run();
                }
            }
        })?;
        Ok(Self { disk, handle: Mutex::new(Some(handle)) })
    }

    /// Writes what is queued and ends the thread. Only the first call does anything.
    pub(crate) fn stop(&self) {
        self.disk.work.stop();
        if let Some(handle) = self.handle.lock().take() {
            // A panic has poisoned the log already.
            let _ = handle.join();
        }
    }
}

/// Sees to it that nobody waits for a thread that has ended by a bug.
struct EndOfThread(Arc<Disk>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison.set("the log thread has panicked".to_owned());
            self.0.work.stop();
            while let Some(left) = self.0.work.next(Duration::ZERO) {
                run_round(&self.0, &left);
            }
        }
    }
}

/// One round over the dirty partitions.
fn run_round(disk: &Disk, dirty: &[Arc<Partition>]) {
    let mut turns: Vec<_> = dirty.iter().map(|partition| partition.begin()).filter(|turn| !turn.is_empty()).collect();
    if disk.poison.is_set() {
        return;
    }
    match make_durable(disk, &mut turns) {
        Ok(()) => turns.into_iter().for_each(|turn| turn.publish(&disk.cache)),
        // The poison comes before the drop of the turns, which fails their appends.
        Err(reason) => disk.poison.set(reason),
    }
}

fn make_durable(disk: &Disk, turns: &mut [Turn<'_>]) -> Result<(), String> {
    let now_ms = now_ms();
    for turn in &mut *turns {
        turn.write(now_ms).map_err(|error| format!("writing {}: {error}", turn.id()))?;
    }
    for turn in turns {
        let started = Instant::now();
        turn.sync().map_err(|error| format!("fsync of {}: {error}", turn.id()))?;
        disk.meters.fsyncs.increment(1);
        disk.meters.fsync_seconds.record(started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
