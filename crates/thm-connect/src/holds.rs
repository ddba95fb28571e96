//! Registered cursors: what a sink has not delivered yet must stay in the log.
//!
//! A sink's place goes in when it opens and with each commit; retention does not pass it. It holds while the
//! connector is paused, stopped or failed too, and ends when the connector is deleted.

use std::sync::Arc;

use thm_api::{Offset, TopicPartition};

/// A log that can keep records from retention.
pub trait CursorHolds: Send + Sync + 'static {
    /// Keeps everything from `offset` on in the partition, for a cursor of that name; a later call moves it.
    fn hold(&self, name: &str, partition: &TopicPartition, offset: Offset);
    /// Forgets the cursors of that name.
    fn release(&self, name: &str);
}

/// One connector's cursors; none if the log cannot hold.
#[derive(Clone)]
pub(crate) struct Cursors {
    holds: Option<Arc<dyn CursorHolds>>,
    name: Arc<str>,
}

impl Cursors {
    pub(crate) fn new(holds: Option<Arc<dyn CursorHolds>>, connector: &str) -> Self {
        Self { holds, name: format!("connect:{connector}").into() }
    }

    /// The connector still needs these partitions from their offsets on.
    pub(crate) fn hold<'a>(&self, places: impl IntoIterator<Item = (&'a TopicPartition, Offset)>) {
        let Some(holds) = &self.holds else { return };
        for (partition, offset) in places {
            holds.hold(&self.name, partition, offset);
        }
    }

    /// It needs nothing any more.
    pub(crate) fn release(&self) {
        if let Some(holds) = &self.holds {
            holds.release(&self.name);
        }
    }
}
