//! Ranges of a partition that were cut for a sink and are not committed yet.
//!
//! A range that was attempted once must come again with the same records, whatever happened in between: a
//! deduplication token names it. So a range is kept from before its first attempt until its end is committed, and for
//! a policy that asks for frozen batches it is kept durably, several at a time where they are full already. The invariant: the ranges are in offset order and
//! without overlap, and none ends below the committed offset.
//!
//! ```text
//!   committed          cursor
//!       ▼                 ▼
//!   ────┼────────┬────────┼─────────┬──────────▶ offset
//!       │ range  │ range  │ fresh   │
//!       └────────┴────────┘ cut     │
//!        attempted, replayed after a crash
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Generation, Offset, Result, SinkPartition, StateStore};
use uuid::Uuid;

use crate::names::ranges_key;

/// A range that was cut, and what of it went to the dead letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) first: Offset,
    /// Inclusive.
    pub(crate) last: Offset,
    /// Offsets that the target refused and that are in the dead letter queue.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) excluded: BTreeSet<i64>,
}

/// What is stored: the ranges and whose they are.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    generation: Generation,
    topic_uuid: Uuid,
    ranges: VecDeque<Range>,
}

/// The ranges of one partition.
#[derive(Debug)]
pub(crate) struct Ranges {
    key: String,
    generation: Generation,
    topic_uuid: Uuid,
    durable: bool,
    ranges: VecDeque<Range>,
}

impl Ranges {
    /// The ranges that an earlier life left, if they are of this generation and topic. With `durable` false
    /// nothing is ever stored.
    pub(crate) fn load(
        state: &dyn StateStore,
        connector: &str,
        partition: &SinkPartition,
        generation: Generation,
        durable: bool,
    ) -> Result<Self> {
        let key = ranges_key(connector, &partition.partition);
        let mut ranges = VecDeque::new();
        if durable && let Some(bytes) = state.get(&key)? {
            let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(ErrorKind::LogCorrupt, "reading frozen ranges", key.as_str()).with_source(error)
            })?;
            if stored.generation == generation && stored.topic_uuid == partition.topic_uuid {
                ranges = stored.ranges;
            }
        }
        Ok(Self { key, generation, topic_uuid: partition.topic_uuid, durable, ranges })
    }

    /// Goes on at `cursor`: ranges before it are done; if none begins there the others are of no use.
    pub(crate) fn seek(&mut self, cursor: Offset) {
        self.committed(cursor);
        let fits = self.ranges.front().is_none_or(|range| range.first == cursor);
        if !fits {
            tracing::warn!(key = %self.key, %cursor, "the target stands inside a frozen range; cutting anew");
            self.ranges.clear();
        }
    }

    /// The range that begins at `cursor`, if one was cut before.
    pub(crate) fn at(&self, cursor: Offset) -> Option<&Range> {
        self.ranges.iter().find(|range| range.first == cursor)
    }

    /// The same, to exclude records.
    pub(crate) fn at_mut(&mut self, cursor: Offset) -> Option<&mut Range> {
        self.ranges.iter_mut().find(|range| range.first == cursor)
    }

    /// Adds a range that was cut just now.
    pub(crate) fn push(&mut self, first: Offset, last: Offset) {
        debug_assert!(self.ranges.back().is_none_or(|range| range.last < first), "ranges are in order");
        self.ranges.push_back(Range { first, last, excluded: BTreeSet::new() });
    }

    /// Everything before `next` is committed.
    pub(crate) fn committed(&mut self, next: Offset) {
        while self.ranges.front().is_some_and(|range| range.last < next) {
            self.ranges.pop_front();
        }
    }

    /// How many are not committed.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Stores them durably, off the runtime's threads. Nothing to do for a policy without frozen batches.
    pub(crate) async fn save(&self, state: &Arc<dyn StateStore>) -> Result<()> {
        if !self.durable {
            return Ok(());
        }
        let stored = Stored { generation: self.generation, topic_uuid: self.topic_uuid, ranges: self.ranges.clone() };
        let bytes = serde_json::to_vec(&stored).map_err(|error| {
            Error::new(ErrorKind::Internal, "writing frozen ranges", self.key.as_str()).with_source(error)
        })?;
        put(state, self.key.clone(), bytes).await
    }
}

/// Stores a value off the runtime's threads: it blocks for an fsync.
pub(crate) async fn put(state: &Arc<dyn StateStore>, key: String, value: Vec<u8>) -> Result<()> {
    let store = Arc::clone(state);
    let stored = tokio::task::spawn_blocking(move || store.put(&key, &value)).await;
    stored.map_err(|error| Error::new(ErrorKind::Internal, "storing a value", "state").with_source(error))?
}
