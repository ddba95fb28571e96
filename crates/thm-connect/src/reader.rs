//! A sink's cursor in one partition: fills a buffer from the log and cuts it into ranges.
//!
//! ```text
//!           cursor        next          high watermark
//!             ▼             ▼                 ▼
//!   ──────────┬─────────────┬─────────────────┬───
//!    cut      │ buffered    │ not read yet    │
//! ```
//! A buffer is ready to be cut when it is full, when its oldest record has lingered long enough, or when it holds the
//! whole of a range that must be repeated. It never holds more than a batch's worth and one log batch beyond.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{
    BatchPolicy, Error, ErrorKind, Log, Offset, ReadLimits, Result, SinkBatch, SinkChunk, SinkPartition, SinkRecord,
};

use crate::decode::{Decoded, decode, record_bytes};

/// How long one read waits at the end of a partition; appends wake it, so this only bounds a silent wait.
const IDLE_WAIT: Duration = Duration::from_secs(5);

/// Reads one partition for one sink.
#[derive(Debug)]
pub(crate) struct PartitionReader {
    connector: Arc<str>,
    partition: SinkPartition,
    /// First offset of the next range.
    cursor: Offset,
    /// First offset that is not read yet.
    next: Offset,
    high_watermark: Offset,
    buffer: VecDeque<Decoded>,
    records: usize,
    bytes: usize,
    /// When the oldest buffered record came.
    since: Option<Instant>,
}

impl PartitionReader {
    /// Begins at `cursor`.
    pub(crate) fn new(connector: Arc<str>, partition: SinkPartition, cursor: Offset, high_watermark: Offset) -> Self {
        Self {
            connector,
            partition,
            cursor,
            next: cursor,
            high_watermark,
            buffer: VecDeque::new(),
            records: 0,
            bytes: 0,
            since: None,
        }
    }

    pub(crate) const fn partition(&self) -> &SinkPartition {
        &self.partition
    }

    pub(crate) const fn cursor(&self) -> Offset {
        self.cursor
    }

    pub(crate) const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Forgets the buffer and goes on at `cursor`.
    pub(crate) fn seek(&mut self, cursor: Offset) {
        *self = Self::new(Arc::clone(&self.connector), self.partition.clone(), cursor, self.high_watermark);
    }

    /// Reads until a batch is ready to be cut, `until` being the last offset of a range that must be repeated.
    /// Cancel-safe: what was read stays in the buffer.
    pub(crate) async fn fill(&mut self, log: &dyn Log, policy: &BatchPolicy, until: Option<Offset>) -> Result<()> {
        loop {
            let wait = match until {
                Some(last) if self.next > last => return Ok(()),
                Some(_) => IDLE_WAIT,
                None if self.bytes >= policy.max_bytes => return Ok(()),
                // More that is there already comes along, so that one durable write freezes several ranges.
                None if self.records >= policy.max_records => match policy.frozen && self.next < self.high_watermark {
                    true => Duration::ZERO,
                    false => return Ok(()),
                },
                None => match self.since {
                    None => IDLE_WAIT,
                    Some(since) => match policy.linger.checked_sub(since.elapsed()) {
                        None | Some(Duration::ZERO) => return Ok(()),
                        Some(rest) => rest,
                    },
                },
            };
            self.read(log, policy, wait).await?;
        }
    }

    async fn read(&mut self, log: &dyn Log, policy: &BatchPolicy, max_wait: Duration) -> Result<()> {
        let max_bytes = policy.max_bytes.saturating_sub(self.bytes).max(1);
        let found = log.read(&self.partition.partition, self.next, ReadLimits { max_bytes, max_wait }).await?;
        self.high_watermark = found.high_watermark;
        for fetched in found.batches {
            self.push(decode(&self.partition.partition, &self.connector, fetched, self.next)?);
        }
        Ok(())
    }

    fn push(&mut self, decoded: Decoded) {
        self.next = decoded.next;
        self.records += decoded.chunk.records.len();
        self.bytes += decoded.bytes;
        self.since.get_or_insert_with(Instant::now);
        self.buffer.push_back(decoded);
    }

    /// Cuts the next range off the buffer: up to `until`, or as much as the policy allows; at least one record.
    /// The buffer must not be empty.
    pub(crate) fn cut(&mut self, policy: &BatchPolicy, until: Option<Offset>) -> Result<SinkBatch> {
        let mut room = Room { records: policy.max_records.max(1), bytes: policy.max_bytes, until, taken: false };
        let first = self.cursor;
        let mut chunks = Vec::with_capacity(self.buffer.len());
        while let Some(front) = self.buffer.front_mut() {
            let count = room.fits(&front.chunk.records);
            let whole = count == front.chunk.records.len() && until.is_none_or(|last| front.next.0 <= last.0 + 1);
            if whole {
                let Some(done) = self.buffer.pop_front() else { break };
                self.cursor = done.next;
                self.forget(done.chunk.records.len(), done.bytes);
                push_chunk(&mut chunks, done.chunk);
            } else {
                let rest = front.chunk.records.split_off(count);
                let records = std::mem::replace(&mut front.chunk.records, rest);
                let bytes = records.iter().map(record_bytes).sum::<usize>();
                front.bytes -= bytes;
                let end = records.last().map_or(self.cursor, |record| Offset(record.offset.0 + 1));
                self.cursor = until.map_or(end, |last| Offset(last.0 + 1));
                let (base_offset, columns) = (front.chunk.base_offset, front.chunk.columns.clone());
                self.forget(records.len(), bytes);
                push_chunk(&mut chunks, SinkChunk { base_offset, records, columns });
                break;
            }
        }
        if self.buffer.is_empty() {
            self.since = None;
        }
        if self.cursor <= first {
            let object = format!("{} at offset {first}", self.partition.partition);
            return Err(Error::new(ErrorKind::Internal, "cutting a batch", object));
        }
        let last = Offset(self.cursor.0 - 1);
        Ok(SinkBatch { partition: self.partition.clone(), first, last, chunks })
    }

    /// The full batches that follow in what is buffered: first and last offset, without gaps.
    pub(crate) fn full_ranges(&self, policy: &BatchPolicy) -> Vec<(Offset, Offset)> {
        let mut ranges = Vec::new();
        let (mut first, mut records, mut bytes) = (self.cursor, 0, 0);
        for record in self.buffer.iter().flat_map(|decoded| &decoded.chunk.records) {
            let size = record_bytes(record);
            if records > 0 && bytes + size > policy.max_bytes {
                ranges.push((first, Offset(record.offset.0 - 1)));
                (first, records, bytes) = (record.offset, 0, 0);
            }
            records += 1;
            bytes += size;
            if records >= policy.max_records {
                ranges.push((first, record.offset));
                (first, records, bytes) = (Offset(record.offset.0 + 1), 0, 0);
            }
        }
        ranges
    }

    /// So much has left the buffer.
    const fn forget(&mut self, records: usize, bytes: usize) {
        self.records -= records;
        self.bytes -= bytes;
    }
}

/// A chunk without records is a control batch or was compacted away: only its offsets count.
fn push_chunk(chunks: &mut Vec<SinkChunk>, chunk: SinkChunk) {
    if !chunk.records.is_empty() {
        chunks.push(chunk);
    }
}

/// What still fits into the batch that is being cut.
struct Room {
    records: usize,
    bytes: usize,
    until: Option<Offset>,
    taken: bool,
}

impl Room {
    /// How many of the records fit; takes their room.
    fn fits(&mut self, records: &[SinkRecord]) -> usize {
        if let Some(last) = self.until {
            return records.partition_point(|record| record.offset <= last);
        }
        let mut count = 0;
        for record in records {
            let bytes = record_bytes(record);
            // A record larger than a batch comes alone.
            if self.records == 0 || (bytes > self.bytes && self.taken) {
                break;
            }
            self.records -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.taken = true;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use thm_api::TopicPartition;
    use uuid::Uuid;

    use super::*;

    fn record(offset: i64) -> SinkRecord {
        let value = Some(Bytes::from_static(b"0123456789"));
        SinkRecord { offset: Offset(offset), timestamp_ms: 0, key: None, value, headers: Arc::from([]), origin: None }
    }

    fn reader(offsets: &[i64]) -> PartitionReader {
        let partition = SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: Uuid::nil() };
        let mut reader = PartitionReader::new("c".into(), partition, Offset(0), Offset(100));
        for offsets in offsets.chunks(4) {
            let records: Vec<SinkRecord> = offsets.iter().copied().map(record).collect();
            let next = Offset(records.last().map_or(0, |last| last.offset.0 + 1));
            let base_offset = records.first().map_or(Offset(0), |first| first.offset);
            let bytes = records.iter().map(record_bytes).sum();
            reader.push(Decoded { chunk: SinkChunk { base_offset, records, columns: None }, next, bytes });
        }
        reader
    }

    #[test]
    fn full_batches_ahead_leave_no_gap_and_take_no_started_one() {
        let policy =
            |max_records, max_bytes| BatchPolicy { max_records, max_bytes, linger: Duration::ZERO, frozen: true };
        let ranges = |reader: &PartitionReader, policy: &BatchPolicy| -> Vec<(i64, i64)> {
            reader.full_ranges(policy).into_iter().map(|(first, last)| (first.0, last.0)).collect()
        };
        // Offset 5 is not there: compacted.
        let offsets = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10];
        assert_eq!(ranges(&reader(&offsets), &policy(3, 1000)), [(0, 2), (3, 6), (7, 9)]);
        assert_eq!(ranges(&reader(&offsets), &policy(100, 25)), [(0, 1), (2, 3), (4, 6), (7, 8)]);
        assert_eq!(ranges(&reader(&offsets), &policy(100, 1000)), []);
    }

    #[test]
    fn what_was_noted_ahead_is_cut_just_so() {
        let policy = BatchPolicy { max_records: 3, max_bytes: 1000, linger: Duration::ZERO, frozen: true };
        let mut reader = reader(&[0, 1, 2, 3, 4, 6, 7, 8, 9, 10]);
        for (first, last) in reader.full_ranges(&policy) {
            let batch = reader.cut(&policy, Some(last));
            let places = batch.map(|batch| (batch.first, batch.last, batch.len()));
            assert_eq!(places.ok(), Some((first, last, 3)));
        }
        // One record is left, and counted.
        assert_eq!((reader.records, reader.bytes), (1, 10));
    }
}
