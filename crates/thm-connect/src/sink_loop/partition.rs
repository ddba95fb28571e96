//! One partition of a sink: its reader, its uncommitted ranges, and how far the target is.

use std::collections::BTreeMap;
use std::sync::Arc;

use thm_api::{
    BatchPolicy, Error, ErrorKind, Generation, Offset, PartitionInfo, RejectedRecord, Result, SinkBatch, SinkPartition,
    TopicPartition,
};

use crate::context::WorkerContext;
use crate::ranges::Ranges;
use crate::reader::{MAX_BATCHES_GATHERED, PartitionReader};

/// Most ranges that are stored ahead of their turn: few to repeat after a crash, enough that storing them costs little.
pub(super) const MAX_RANGES_AHEAD: usize = MAX_BATCHES_GATHERED - 1;

/// A partition's state for one session.
pub(super) struct PartitionState {
    pub(super) reader: PartitionReader,
    pub(super) ranges: Ranges,
    /// Next offset that the target holds for certain.
    pub(super) flushed: Offset,
    /// What the group has.
    pub(super) committed: Option<Offset>,
    /// Refused in the last attempt; they go to the dead letter queue before the next one.
    pub(super) refused: BTreeMap<i64, RejectedRecord>,
    /// The code that the refusal had.
    pub(super) refusal_code: &'static str,
}

impl PartitionState {
    /// Begins at `cursor`, which must be in the log.
    pub(super) fn new(
        context: &WorkerContext,
        generation: Generation,
        partition: SinkPartition,
        info: PartitionInfo,
        start: Start,
        frozen: bool,
    ) -> Result<Self> {
        in_range(&partition.partition, start.cursor, info)?;
        let mut ranges = Ranges::load(&*context.state, &context.connector, &partition, generation, frozen)?;
        ranges.seek(start.cursor);
        context.status.used_topic(&partition.partition.topic);
        context.status.set_lag(&partition.partition, start.cursor, info.high_watermark);
        Ok(Self {
            reader: PartitionReader::new(
                Arc::clone(&context.decodes),
                context.connector.clone(),
                partition,
                start.cursor,
                info.high_watermark,
                start.share,
                context.common.clone(),
            ),
            ranges,
            flushed: start.cursor,
            committed: start.committed,
            refused: BTreeMap::new(),
            refusal_code: ErrorKind::RecordRejected.code(),
        })
    }

    /// How far the target is.
    pub(super) fn place(&self) -> (&TopicPartition, Offset) {
        (&self.reader.partition().partition, self.flushed)
    }

    /// Last offset of the range that must come next, if one was attempted before.
    pub(super) fn repeat_until(&self) -> Option<Offset> {
        self.ranges.at(self.reader.cursor()).map(|range| range.last)
    }

    /// Notes the range that was just cut and, where ranges are stored, the full ones that follow in the buffer: each
    /// store is an fsync or two, and one for several small batches is enough.
    pub(super) fn note_ranges(&mut self, batch: &SinkBatch, policy: &BatchPolicy) {
        self.ranges.push(batch.first, batch.last);
        if policy.frozen {
            for (first, last) in self.reader.full_ranges(policy).into_iter().take(MAX_RANGES_AHEAD) {
                self.ranges.push(first, last);
            }
        }
    }

    /// Takes the dead letters of its range out of a batch.
    pub(super) fn leave_out_excluded(&self, batch: &mut SinkBatch) {
        let Some(range) = self.ranges.at(batch.first).filter(|range| !range.excluded.is_empty()) else { return };
        for chunk in &mut batch.chunks {
            chunk.records.retain(|record| !range.excluded.contains(&record.offset.0));
        }
        batch.chunks.retain(|chunk| !chunk.records.is_empty());
    }

    /// Notes what the target refused of the range at `first`, and goes back to it. `Err` gives the error back if it
    /// names nothing new there: the same attempt would fail for ever.
    pub(super) fn refuse(&mut self, first: Offset, last: Offset, error: Error) -> Result<()> {
        let partition = &self.reader.partition().partition;
        let inside = |offset: Offset| first <= offset && offset <= last;
        let known = self.ranges.at(first).map(|range| &range.excluded);
        let new: BTreeMap<i64, RejectedRecord> = error
            .rejected()
            .iter()
            .filter(|rejected| rejected.partition == *partition && inside(rejected.offset))
            .filter(|rejected| known.is_none_or(|known| !known.contains(&rejected.offset.0)))
            .map(|rejected| (rejected.offset.0, rejected.clone()))
            .collect();
        if new.is_empty() {
            return Err(error);
        }
        self.refusal_code = error.kind().code();
        self.refused = new;
        self.reader.seek(first);
        Ok(())
    }
}

/// Where a session begins in a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) cursor: Offset,
    pub(super) committed: Option<Offset>,
    /// Bytes that its reader may hold.
    pub(super) share: usize,
}

/// Refuses a cursor outside the log, naming what is lost.
pub(super) fn in_range(partition: &TopicPartition, cursor: Offset, info: PartitionInfo) -> Result<()> {
    let PartitionInfo { log_start, high_watermark } = info;
    if cursor < log_start {
        let object = format!("{partition} offsets {cursor} to {}", log_start.0 - 1);
        return Err(Error::new(ErrorKind::OffsetOutOfRange, "reading records that retention has removed", object)
            .with_hint(format!(
                "These records were never delivered. Reset the consumer group to {log_start} to go on without them."
            )));
    }
    if cursor > high_watermark {
        let object = format!("{partition} offset {cursor}, the log ends at {high_watermark}");
        return Err(Error::new(ErrorKind::OffsetOutOfRange, "reading beyond the end of the log", object)
            .with_hint("The offset is of another log. Reset the consumer group to an offset of this one.".to_owned()));
    }
    Ok(())
}
