//! `SinkTask`: batches of records into an outside system, and the offsets it then holds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::{ChangelogBatch, Generation, Offset, Op, Position, Result, SinkRecords, TopicPartition};

/// A partition that a sink reads, with the identity of its topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SinkPartition {
    /// Topic and partition.
    pub partition: TopicPartition,
    /// New with each creation of the topic.
    pub topic_uuid: Uuid,
}

/// Where a record of our own jobs comes from, read from its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `thm.op`
    pub op: Op,
    /// `thm.pos`
    pub position: Position,
    /// `thm.ts`: commit time, microseconds since 1970, UTC.
    pub commit_us: i64,
    /// `thm.old`: the old row as JSON, for updates and deletes where it is known.
    pub old: Option<Bytes>,
}

/// One record, in slices of the log's batch.
#[derive(Clone, Debug)]
pub struct SinkRecord {
    /// Its offset.
    pub offset: Offset,
    /// Kafka timestamp, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Key bytes.
    pub key: Option<Bytes>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The record's headers in order; empty if [`Self::origin`] holds all of them.
    pub headers: Arc<[(Bytes, Option<Bytes>)]>,
    /// Where it comes from; `None` for foreign records.
    pub origin: Option<Origin>,
}

/// Records of one `LogBatch`, in offset order.
#[derive(Clone, Debug)]
pub struct SinkChunk {
    /// Offset of the log batch's first record: row `meta.record` of `columns` has offset `base_offset + record`.
    pub base_offset: Offset,
    /// The records; a chunk at the edge of a range holds only those inside it.
    pub records: SinkRecords,
    /// The log batch decoded (all its rows), if the tail cache still had it.
    pub columns: Option<Arc<ChangelogBatch>>,
}

/// A range of one partition.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    /// Which partition.
    pub partition: SinkPartition,
    /// First offset of the range.
    pub first: Offset,
    /// Last offset of the range, inclusive.
    pub last: Offset,
    /// The records, in offset order.
    pub chunks: Vec<SinkChunk>,
}

impl SinkBatch {
    /// All records in offset order.
    pub fn records(&self) -> impl Iterator<Item = &SinkRecord> {
        self.chunks.iter().flat_map(|chunk| chunk.records.iter())
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.records.len()).sum()
    }

    /// Whether no record is left in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.records.is_empty())
    }
}

/// How the worker cuts a partition into batches for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most records in one batch.
    pub max_records: usize,
    /// Most bytes of keys and values in one batch; a larger record comes alone.
    pub max_bytes: usize,
    /// How long to wait for a batch to fill; zero sends what is there.
    pub linger: Duration,
    /// Whether the range is stored durably before its first attempt, so that every later attempt, also after a
    /// crash, has exactly the same records (deduplication tokens need it).
    pub frozen: bool,
}

/// A connection to an outside system.
///
/// The worker owns retry, back-off, time-out, batching, the dead letter queue and offset commits. A task makes
/// one attempt and classifies the failure by its `ErrorKind`; records that the target or a check refuses for
/// themselves are listed in [`crate::Error::rejected`], and the same range comes again without them.
#[async_trait]
pub trait SinkTask: Send {
    /// How to cut batches. Constant for the life of the task.
    fn batch_policy(&self) -> BatchPolicy;

    /// Connects, checks the target, and says where it stands: the next offset to write for each partition whose
    /// place the target itself holds **for this generation** (it wins over the group's committed offset). Partitions
    /// that are not mentioned go on at the committed offset. Called again after errors.
    async fn open(
        &mut self,
        partitions: &[SinkPartition],
        generation: Generation,
    ) -> Result<Vec<(TopicPartition, Offset)>>;

    /// Writes a range: all or nothing as the target shows it in the end. May come again, with the same records,
    /// after an error, a time-out or a crash; ranges of a partition come in order.
    async fn write(&mut self, batch: SinkBatch) -> Result<()>;

    /// Whether what was just written must be committed before the next range of its partition is written, because a
    /// repetition after that one would undo it. Asked after each write.
    fn commit_before_next(&self) -> bool {
        false
    }

    /// Next offsets that are durable in the target; everything before them may be committed.
    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>>;

    /// Work that is due without records (a window that slides). Called every [`Self::tick_interval`] and never
    /// during a write.
    async fn tick(&mut self) -> Result<()> {
        Ok(())
    }

    /// How often [`Self::tick`] is wanted; `None` for never.
    fn tick_interval(&self) -> Option<Duration> {
        None
    }

    /// Disconnects. Nothing durable happens here.
    async fn close(&mut self);
}
