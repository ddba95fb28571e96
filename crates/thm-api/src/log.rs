//! `Log`: topics of Kafka record batches, and what an append and a read promise.
//!
//! ```text
//!   log start                       high watermark (fsynced)      end
//!      │                                   │                       │
//!      ▼                                   ▼                       ▼
//!   ───┬─────────┬─────────┬───────────────┬───────────────────────┐
//!      │ frame   │ frame   │ frame         │ written, not durable  │
//!   ───┴─────────┴─────────┴───────────────┴───────────────────────┘
//!      ◀────── readers see exactly this ──▶
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{ChangelogBatch, Position, Progress, Result};

/// Place of a record in a partition, from 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A partition of a topic, printed as Kafka prints it: `topic-0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What retention does with old records, as `cleanup.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Cleanup {
    /// Whole old segments go.
    #[default]
    Delete,
    /// The last record of each key stays for ever; nothing is cut by age or size.
    Compact,
    /// Both.
    CompactDelete,
}

/// A topic as its producer wants it. Zero in a limit means the log's default.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicSpec {
    /// Name: 1 to 249 of `[a-zA-Z0-9._-]`.
    pub name: String,
    /// How many partitions; 1 keeps commit order.
    pub partitions: u32,
    /// Cleanup policy.
    #[serde(default)]
    pub cleanup: Cleanup,
    /// Age at which a segment may go, in milliseconds.
    #[serde(default)]
    pub retention_ms: u64,
    /// Size of a partition above which its oldest segments may go, in bytes.
    #[serde(default)]
    pub retention_bytes: u64,
}

impl TopicSpec {
    /// One partition, cleanup by delete, default limits.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: 1, cleanup: Cleanup::Delete, retention_ms: 0, retention_bytes: 0 }
    }
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// What it was created with.
    pub spec: TopicSpec,
    /// New with each creation: a recreated topic is another one.
    pub uuid: Uuid,
    /// By partition number.
    pub partitions: Vec<PartitionInfo>,
}

/// The readable range of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionInfo {
    /// First offset that is still there.
    pub log_start: Offset,
    /// First offset that is not yet durable: one past the last readable record.
    pub high_watermark: Offset,
}

/// One Kafka `RecordBatch` v2 with what our own producers know beside it.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// The batch's bytes, with a CRC that is right: the log builds its own upon it. The base offset in them is the log's to
    /// write; all else is stored untouched.
    pub bytes: Bytes,
    /// Number of records.
    pub records: u32,
    /// Position of each record; empty for foreign batches.
    pub positions: Arc<[Position]>,
    /// The same records decoded, while the tail cache holds them.
    pub decoded: Option<Arc<ChangelogBatch>>,
}

impl LogBatch {
    /// Latest record timestamp as the batch's header says it, milliseconds since 1970; -1 if there is none.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        // Kafka's RecordBatch v2: maxTimestamp is the big-endian 64-bit field at byte 35.
        let field = self.bytes.get(35..43).and_then(|bytes| bytes.try_into().ok());
        field.map_or(-1, i64::from_be_bytes)
    }
}

/// One append: a batch and, from our own producers, how far it brings them.
#[derive(Clone, Debug)]
pub struct Append {
    /// The records. `None` moves the progress alone: everything up to it was filtered out.
    pub batch: Option<LogBatch>,
    /// Producer and its progress; none for foreign batches.
    pub progress: Option<(Arc<str>, Progress)>,
}

/// A queued append: it has its offsets, and becomes durable some time after.
pub struct Appended {
    /// Offset of the first record (or where it would have been, of an append of progress alone).
    pub base_offset: Offset,
    /// Resolves when the append, and with it all earlier ones of the partition, is durable.
    pub durable: BoxFuture<'static, Result<()>>,
}

impl fmt::Debug for Appended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appended").field("base_offset", &self.base_offset).finish_non_exhaustive()
    }
}

/// How much a read wants, and how long it waits for it.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Stop before the batch that would pass this many bytes; the first batch always comes whole.
    pub max_bytes: usize,
    /// How long to wait while there is nothing at `from`; zero answers at once.
    pub max_wait: Duration,
}

/// A batch as it stands in the log.
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    /// Offset of its first record; also in the bytes.
    pub base_offset: Offset,
    /// The records; may begin before the offset that was asked for.
    pub batch: LogBatch,
    /// Which of our producers wrote it; none for foreign batches.
    pub producer: Option<Arc<str>>,
}

impl FetchedBatch {
    /// Offset after its last record.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        Offset(self.base_offset.0 + self.batch.records as i64)
    }
}

/// What a read found.
#[derive(Clone, Debug, Default)]
pub struct ReadResult {
    /// Whole batches, in order; the first holds `from`.
    pub batches: Vec<FetchedBatch>,
    /// First offset that is not yet durable.
    pub high_watermark: Offset,
    /// First offset that is still there.
    pub log_start: Offset,
}

/// Topics of record batches.
///
/// Every implementation runs `thm_log::conformance`.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Creates the topic, durably. A topic of that name with the same number of partitions is returned as it
    /// is; another number is refused with `ErrorKind::TopicMismatch`.
    async fn create_topic(&self, spec: &TopicSpec) -> Result<Topic>;

    /// Deletes the topic with its progress, durably. Waiting readers are woken with `ErrorKind::TopicMissing`.
    async fn delete_topic(&self, name: &str) -> Result<()>;

    /// All topics, sorted by name.
    fn topics(&self) -> Vec<Topic>;

    /// The topic of that name. Called per request: an implementation with an index overrides the search.
    fn topic(&self, name: &str) -> Option<Topic> {
        self.topics().into_iter().find(|topic| topic.spec.name == name)
    }

    /// Queues the append in call order and gives it its offsets; waits only for room in the queue.
    ///
    /// `Ok` promises order, not durability: await [`Appended::durable`] for that. Batch and progress become
    /// durable together or not at all. Dropping the future before it resolves appends all or nothing; dropping
    /// `Appended` changes nothing. After a failed write or fsync every later append fails
    /// (`ErrorKind::LogIo`): restart, never retry.
    async fn append(&self, partition: &TopicPartition, append: Append) -> Result<Appended>;

    /// Reads durable batches from the one that holds `from` on. Below the log start or above the high
    /// watermark it is `ErrorKind::OffsetOutOfRange`. Cancel-safe. Waiting readers are woken by appends.
    async fn read(&self, partition: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<ReadResult>;

    /// The reader that goes on at `next` wants decoded rows: while it keeps up, appends to the partition wait for it
    /// rather than push what it has not read out of the tail cache. They never wait long for one that stands still, nor
    /// at all for one that reads old records. For readers on this machine that are part of the pipeline, not for
    /// sinks: one of those must not slow the others down. A log without such a cache does nothing.
    fn keeps_up(&self, _partition: &TopicPartition, _next: Offset) {}

    /// First offset of the first batch whose latest timestamp is at or after `timestamp_ms`; none if all batches
    /// are older. The record itself may lie later in that batch: whoever wants it exactly looks inside.
    async fn batch_at_time(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<Option<Offset>> {
        let info = |topic: Topic| topic.partitions.get(partition.partition as usize).copied();
        let mut from = self.topic(&partition.topic).and_then(info).unwrap_or_default().log_start;
        loop {
            let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
            let found = self.read(partition, from, limits).await?;
            for fetched in &found.batches {
                if fetched.batch.max_timestamp_ms() >= timestamp_ms {
                    return Ok(Some(fetched.base_offset));
                }
                from = fetched.next_offset();
            }
            if found.batches.is_empty() || from >= found.high_watermark {
                return Ok(None);
            }
        }
    }

    /// The durable progress of a producer in a partition: it survives restarts, retention, compaction and
    /// foreign appends.
    fn progress(&self, partition: &TopicPartition, producer: &str) -> Result<Option<Progress>>;
}

/// "All partitions in `ends` are complete up to `position`": every change up to there lies below the end
/// offset that stands beside the partition.
///
/// While a snapshot runs, a table that is not finished is absent from `ends` unless its rows so far may be
/// used without the rest: facts may, look-up tables may not. A partition that is absent says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Complete {
    /// Up to where, inclusive.
    pub position: Position,
    /// Next offset of each partition at that moment.
    pub ends: BTreeMap<String, Vec<Option<Offset>>>,
}

/// Where a source says how complete its topics are, and SQL jobs wait for it.
pub trait Completeness: Send + Sync + 'static {
    /// Tells all watchers of the topics in `complete`. Called only after everything in it is durable; the
    /// positions of one producer never go back.
    fn publish(&self, producer: &str, complete: Arc<Complete>);
    /// The latest statement about a topic: `None` until its producer has spoken since the start.
    fn watch(&self, topic: &str) -> watch::Receiver<Option<Arc<Complete>>>;
}
