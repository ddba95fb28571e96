//! What the log thread does between rounds: retention, and a look at the free space.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::embedded::Inner;
use crate::fsync::{Chores, now_ms};
use crate::retention::{Candidate, Limits, decide};

/// How often free space is looked at: a fast disk writes less than the default reserve in this time.
const SPACE_INTERVAL: Duration = Duration::from_millis(500);

/// Runs on the log thread, so it never meets a roll or a write.
#[derive(Debug)]
pub(crate) struct Housekeeper {
    inner: Arc<Inner>,
    retention_due: Instant,
}

impl Housekeeper {
    /// Looks at once, then at the configured interval.
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, retention_due: Instant::now() }
    }
}

impl Chores for Housekeeper {
    fn run(&mut self) -> Duration {
        self.inner.look_at_space();
        if Instant::now() >= self.retention_due {
            self.inner.retain(now_ms());
            self.retention_due = Instant::now() + self.inner.config.retention_interval;
        }
        SPACE_INTERVAL
    }
}

impl Inner {
    fn look_at_space(&self) {
        match self.folder.storage.free_bytes(&self.config.dir) {
            Ok(free) => {
                let short = free < self.config.min_free_bytes;
                if self.short_of_space.swap(short, Ordering::Relaxed) != short {
                    tracing::warn!(free, min_free = self.config.min_free_bytes, short, "free space");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot tell the free space"),
        }
    }

    /// Removes what retention lets go. A failure to remove is a warning: the files are out of sight already, and
    /// come again at the next start.
    pub(crate) fn retain(&self, now_ms: i64) {
        if self.disk.poison.is_set() {
            return;
        }
        let limits = Limits {
            retention_ms: self.config.retention_ms,
            retention_bytes: self.config.retention_bytes,
            max_bytes: self.config.max_bytes,
        };
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        let mut candidates = Vec::new();
        for topic in &topics {
            for partition in &topic.partitions {
                let mut candidate = Candidate::new(Arc::clone(partition), topic.spec.clone(), &self.holds);
                if let Some(keep_ms) = candidate.active_keep_ms(&limits) {
                    if let Err(error) = partition.roll_older(now_ms.saturating_sub(keep_ms), now_ms) {
                        self.disk.poison.set(format!("rolling {}: {error}", partition.id));
                        return;
                    }
                    candidate = Candidate::new(Arc::clone(partition), topic.spec.clone(), &self.holds);
                }
                candidates.push(candidate);
            }
        }
        let size = decide(&mut candidates, &limits, now_ms);
        self.disk.meters.size_bytes.set(size as f64);
        for candidate in candidates.iter().filter(|candidate| candidate.remove > 0) {
            let partition = &candidate.partition;
            match partition.remove_oldest(candidate.remove) {
                Ok(()) => tracing::info!(partition = %partition.id, segments = candidate.remove, "cut by retention"),
                Err(error) => tracing::warn!(partition = %partition.id, %error, "cannot remove old segments"),
            }
        }
    }
}
