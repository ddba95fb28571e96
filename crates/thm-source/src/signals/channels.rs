//! The channels beside the stream: a file and a topic, looked at now and then.
//!
//! ```text
//!   every signal.poll.interval.ms ─▶ read ─▶ signals, obeyed at once ─▶ … what they gave is durable ─▶ settle
//!                                     ▲          crash: they come again ◀──────┘                         │
//!                                     └──────────────────────────────────────────────────────────────────┘
//! ```
//! Invariant: nothing is read while what was read before is not settled.

use std::sync::Arc;

use thm_api::{Position, Result, StateStore, TaskContext};
use tokio::time::Instant;

use super::Signal;
use super::file::SignalFile;
use super::topic::SignalTopic;
use crate::options::Options;

/// One task's channels.
pub struct Channels {
    file: Option<SignalFile>,
    topic: Option<SignalTopic>,
    interval: std::time::Duration,
    due: Instant,
    /// What was read last is durable when everything up to here is.
    unsettled: Option<Position>,
    /// Where the last notification stands.
    told_at: Position,
}

impl Channels {
    /// By the options; `None` where no channel but the stream is on. `told_at` is the durable place of notifications.
    ///
    /// # Errors
    /// The kept place in the topic cannot be read.
    pub fn new(context: &TaskContext, options: &Options, told_at: Position) -> Result<Option<Self>> {
        let wanted = &options.signals;
        let file = wanted.file.clone().map(SignalFile::new);
        let topic = match (&wanted.topic, &context.log) {
            (Some(topic), Some(log)) => {
                Some(SignalTopic::new(topic, &options.prefix, wanted.from_end, Arc::clone(log), &*context.state)?)
            }
            _ => None,
        };
        let channels = Self { file, topic, interval: wanted.interval, due: Instant::now(), unsettled: None, told_at };
        Ok((channels.file.is_some() || channels.topic.is_some()).then_some(channels))
    }

    /// When they are to be looked at next.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// Signals that have come, if it is time. Cancel-safe.
    pub async fn read(&mut self, store: &dyn StateStore) -> Result<Vec<Signal>> {
        let now = Instant::now();
        if now < self.due {
            return Ok(Vec::new());
        }
        self.due = now + self.interval;
        let mut found = Vec::new();
        if self.unsettled.is_some() {
            return Ok(found);
        }
        if let Some(topic) = &mut self.topic {
            found.extend(topic.read(store).await?);
        }
        if let Some(file) = &mut self.file {
            found.extend(file.read());
        }
        Ok(found)
    }

    /// Where notifications stand of what was just read; all else is complete up to `complete`.
    pub fn place(&mut self, complete: Position) -> Position {
        self.unsettled = Some(complete);
        self.told_at = self.told_at.max(complete);
        self.told_at
    }

    /// Everything up to `position` is durable.
    ///
    /// # Errors
    /// The place in the topic cannot be kept.
    pub fn settle(&mut self, position: Position, store: &dyn StateStore) -> Result<()> {
        if self.unsettled.is_some_and(|place| place > position) {
            return Ok(());
        }
        self.unsettled = None;
        if let Some(file) = &mut self.file {
            file.settle();
        }
        self.topic.as_mut().map_or(Ok(()), |topic| topic.settle(store))
    }
}
