//! Tells the server how far we are, on time, whatever the reader does.
//!
//! ```text
//!   reader ──received──┐                        every interval, and when the server asks
//!                      ├──▶ Progress ──▶ StandbyStatus ──▶ Channel
//!   worker ─acknowledged┘
//! ```
//!
//! The server ends a session that it has not heard of for `wal_sender_timeout`, and it listens even while it cannot
//! send. So a reader that stalls, for the log is full or a disk is slow, must not keep the statuses from going out:
//! they come from a task of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thm_codec::debezium::PG_EPOCH_MICROS;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::channel::Channel;
use super::frame::StandbyStatus;

/// Where the session stands; both never go back.
#[derive(Debug, Default)]
pub struct Progress {
    received: AtomicU64,
    acknowledged: AtomicU64,
}

impl Progress {
    /// Received up to here.
    pub fn receive(&self, lsn: u64) {
        self.received.fetch_max(lsn, Ordering::Relaxed);
    }

    /// Durable up to here.
    pub fn acknowledge(&self, lsn: u64) {
        self.acknowledged.fetch_max(lsn, Ordering::Relaxed);
    }

    /// As the server hears it.
    #[must_use]
    pub fn status(&self) -> StandbyStatus {
        let flushed = self.acknowledged.load(Ordering::Relaxed);
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX) - PG_EPOCH_MICROS;
        StandbyStatus { written: self.received.load(Ordering::Relaxed).max(flushed), flushed, clock_us }
    }
}

/// The task; it ends with this.
#[derive(Debug)]
pub struct Reporter(JoinHandle<()>);

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reporter {
    /// Starts telling.
    #[must_use]
    pub fn start(channel: Arc<Channel>, progress: Arc<Progress>, interval: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut tick = tokio::time::interval(interval);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Err(error) = channel.send_if_free(&progress.status().encode()) {
                    // The reader finds out by itself.
                    tracing::debug!(%error, "could not send a status");
                    return;
                }
            }
        }))
    }
}
