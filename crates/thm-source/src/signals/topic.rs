//! Signals from a topic of our own log: records of its first partition whose key is the connector's `topic.prefix`.
//!
//! The place behind the last one that was obeyed is kept with the connector, with the topic's identity: a topic that was
//! made anew is read from its start.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thm_api::{ErrorKind, Log, Offset, ReadLimits, Result, StateStore, TopicPartition};
use thm_codec::record_batch::{Record, records};
use uuid::Uuid;

use super::Signal;

/// Key of the place, under the connector's own prefix.
const STATE_KEY: &str = "signals";
/// Most that one look reads: thousands of signals.
const DEFAULT_READ_BYTES: usize = 1 << 20;

/// How far a topic was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    topic: Uuid,
    next: Offset,
}

/// The topic.
pub(super) struct SignalTopic {
    log: Arc<dyn Log>,
    partition: TopicPartition,
    /// What keys say that are meant for this connector.
    key: String,
    /// Begin at the end where no place is kept.
    from_end: bool,
    /// Settled.
    kept: Option<Place>,
    /// Read.
    read: Option<Place>,
}

impl SignalTopic {
    /// A topic that may come later.
    pub(super) fn new(
        topic: &str,
        key: &str,
        from_end: bool,
        log: Arc<dyn Log>,
        store: &dyn StateStore,
    ) -> Result<Self> {
        let kept = store.get(STATE_KEY)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let partition = TopicPartition::new(topic, 0);
        Ok(Self { log, partition, key: key.to_owned(), from_end, kept, read: kept })
    }

    /// Signals that were added. A record that is none is told of and passed over. Cancel-safe.
    pub(super) async fn read(&mut self, store: &dyn StateStore) -> Result<Vec<Signal>> {
        let Some(topic) = self.log.topic(&self.partition.topic) else { return Ok(Vec::new()) };
        let Some(info) = topic.partitions.first() else { return Ok(Vec::new()) };
        let next = match self.kept {
            Some(place) if place.topic == topic.uuid => place.next.max(info.log_start),
            None if self.from_end => info.high_watermark,
            _ => info.log_start,
        };
        if self.kept.is_none() {
            // From now on nothing that comes is passed over, whatever is restarted.
            self.read = Some(Place { topic: topic.uuid, next });
            self.settle(store)?;
        }
        if next >= info.high_watermark {
            return Ok(Vec::new());
        }
        let limits = ReadLimits { max_bytes: DEFAULT_READ_BYTES, max_wait: Duration::ZERO };
        let found = match self.log.read(&self.partition, next, limits).await {
            // Cut or deleted this very moment.
            Err(error) if matches!(error.kind(), ErrorKind::OffsetOutOfRange | ErrorKind::TopicMissing) => {
                return Ok(Vec::new());
            }
            found => found?,
        };
        let (mut signals, mut end) = (Vec::new(), next);
        for fetched in &found.batches {
            match records(&fetched.batch.bytes) {
                Ok(all) => signals.extend(all.filter_map(|record| {
                    let record = record.ok()?;
                    let offset = Offset(fetched.base_offset.0 + i64::from(record.offset_delta));
                    (offset >= next).then(|| self.signal(&record, offset)).flatten()
                })),
                Err(error) => tracing::warn!(%error, partition = %self.partition, offset = %fetched.base_offset,
                    "batch of the signal topic cannot be read"),
            }
            end = end.max(fetched.next_offset());
        }
        self.read = Some(Place { topic: topic.uuid, next: end });
        Ok(signals)
    }

    fn signal(&self, record: &Record, offset: Offset) -> Option<Signal> {
        let partition = &self.partition;
        if record.key.as_deref() != Some(self.key.as_bytes()) {
            tracing::info!(%partition, %offset, key = self.key, "signal is not for this connector: its key is another one");
            return None;
        }
        let value = record.value.as_deref().filter(|value| !value.is_empty())?;
        let signal = Signal::of_json(value);
        if signal.is_none() {
            tracing::warn!(%partition, %offset, "record is no signal: an object with id, type and data is");
        }
        signal
    }

    /// What was read need not come again.
    pub(super) fn settle(&mut self, store: &dyn StateStore) -> Result<()> {
        if self.kept == self.read {
            return Ok(());
        }
        self.kept = self.read;
        // A place of two numbers always has its JSON.
        store.put(STATE_KEY, &serde_json::to_vec(&self.kept).unwrap_or_default())
    }
}
