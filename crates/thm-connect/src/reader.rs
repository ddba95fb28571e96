//! A sink's cursor in one partition: fills a buffer from the log and cuts it into ranges.
//!
//! ```text
//!           cursor        next          high watermark
//!             ▼             ▼                 ▼
//!   ──────────┬─────────────┬─────────────────┬───
//!    cut      │ buffered    │ not read yet    │
//! ```
//! A buffer is ready to be cut when it is full, when its oldest record has lingered long enough, or when it holds the
//! whole of a range that must be repeated. What it holds counts whole, see [`Decoded::held`], and never passes its
//! share of memory: a log batch that has no room is read again later, unless it comes alone. A batch that its policy
//! wants larger than that takes from what all sinks have in common, while it lasts, and gives it back when it is written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{
    BatchPolicy, Error, ErrorKind, Log, MemoryBudget, Offset, Permit, ReadLimits, Result, SinkBatch, SinkChunk,
    SinkPartition, SinkRecord,
};

use crate::decode::{Decoded, held_bytes, record_bytes, select};
use crate::shared_decodes::SharedDecodes;

/// Full batches that are gathered for a sink that stores its ranges: one durable write names them all.
pub(crate) const MAX_BATCHES_GATHERED: usize = 9;
/// Most bytes of one read: what has no room after all is read twice.
const MAX_READ_BYTES: usize = 1 << 20;
/// Bytes taken at once from what sinks have in common: about what the largest log batch of a job holds.
const BORROWED_BYTES: usize = 1 << 20;
/// How long one read waits at the end of a partition; appends wake it, so this only bounds a silent wait.
const IDLE_WAIT: Duration = Duration::from_secs(5);

/// Reads one partition for one sink.
#[derive(Debug)]
pub(crate) struct PartitionReader {
    decodes: Arc<SharedDecodes>,
    connector: Arc<str>,
    partition: SinkPartition,
    /// First offset of the next range.
    cursor: Offset,
    /// First offset that is not read yet.
    next: Offset,
    high_watermark: Offset,
    buffer: VecDeque<Decoded>,
    records: usize,
    /// Of the records' keys and values.
    bytes: usize,
    /// Of everything that the buffer keeps alive.
    held: usize,
    /// How much the buffer may hold by itself.
    share: usize,
    /// What all sinks have in common beside their shares.
    common: MemoryBudget,
    /// Taken from it, [`BORROWED_BYTES`] each.
    borrowed: Vec<Permit>,
    /// The next log batch has no room.
    is_full: bool,
    /// When the oldest buffered record came.
    since: Option<Instant>,
}

impl PartitionReader {
    /// Begins at `cursor`, and holds at most `share` bytes and what it gets of `common`.
    pub(crate) fn new(
        decodes: Arc<SharedDecodes>,
        connector: Arc<str>,
        partition: SinkPartition,
        cursor: Offset,
        high_watermark: Offset,
        share: usize,
        common: MemoryBudget,
    ) -> Self {
        Self {
            decodes,
            connector,
            partition,
            cursor,
            next: cursor,
            high_watermark,
            buffer: VecDeque::new(),
            records: 0,
            bytes: 0,
            held: 0,
            share,
            common,
            borrowed: Vec::new(),
            is_full: false,
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
        let (decodes, connector) = (Arc::clone(&self.decodes), Arc::clone(&self.connector));
        let (partition, common) = (self.partition.clone(), self.common.clone());
        *self = Self::new(decodes, connector, partition, cursor, self.high_watermark, self.share, common);
    }

    /// Reads until a batch is ready to be cut, `until` being the last offset of a range that must be repeated.
    /// Cancel-safe: what was read stays in the buffer.
    pub(crate) async fn fill(&mut self, log: &dyn Log, policy: &BatchPolicy, until: Option<Offset>) -> Result<()> {
        self.give_back();
        loop {
            let has_batch = self.records >= policy.max_records || self.bytes >= policy.max_bytes;
            let wait = match until {
                Some(last) if self.next > last => return Ok(()),
                Some(_) => IDLE_WAIT,
                None if self.is_full || self.held >= self.room() => match !has_batch && self.borrow() {
                    true => continue,
                    false => return Ok(()),
                },
                None if has_batch => {
                    // More that is there already comes along, so that one durable write freezes several ranges.
                    match policy.frozen && self.next < self.high_watermark && !self.has_gathered(policy) {
                        true => Duration::ZERO,
                        false => return Ok(()),
                    }
                }
                None => match self.since {
                    None => IDLE_WAIT,
                    Some(since) => match policy.linger.checked_sub(since.elapsed()) {
                        None | Some(Duration::ZERO) => return Ok(()),
                        Some(rest) => rest,
                    },
                },
            };
            self.read(log, wait, until.is_some()).await?;
        }
    }

    /// How much the buffer may hold now.
    const fn room(&self) -> usize {
        self.share + self.borrowed.len() * BORROWED_BYTES
    }

    /// Takes more room from what sinks have in common, if there is any.
    fn borrow(&mut self) -> bool {
        let permit = self.common.try_acquire(BORROWED_BYTES);
        let has_more = permit.is_some();
        self.borrowed.extend(permit);
        self.is_full &= !has_more;
        has_more
    }

    /// Gives back what the buffer has no use for. The batch that was cut last is written by now.
    fn give_back(&mut self) {
        self.borrowed.truncate(self.held.saturating_sub(self.share).div_ceil(BORROWED_BYTES));
    }

    /// Whether it holds as many batches as are frozen at once.
    const fn has_gathered(&self, policy: &BatchPolicy) -> bool {
        self.records / MAX_BATCHES_GATHERED >= policy.max_records
            || self.bytes / MAX_BATCHES_GATHERED >= policy.max_bytes
    }

    /// Reads once. A range that must come again comes whole, whatever it holds.
    async fn read(&mut self, log: &dyn Log, max_wait: Duration, whole: bool) -> Result<()> {
        let max_bytes = self.room().saturating_sub(self.held).clamp(1, MAX_READ_BYTES);
        let found = log.read(&self.partition.partition, self.next, ReadLimits { max_bytes, max_wait }).await?;
        self.high_watermark = found.high_watermark;
        for fetched in found.batches {
            if !whole && !self.buffer.is_empty() && self.held + held_bytes(&fetched.batch) > self.room() {
                self.is_full = true;
                break;
            }
            let parsed = self.decodes.parse(&self.partition.partition, &fetched)?;
            self.push(select(&parsed, &self.connector, fetched, self.next));
            while whole && self.held > self.room() && self.borrow() {}
        }
        Ok(())
    }

    fn push(&mut self, decoded: Decoded) {
        self.next = decoded.next;
        self.records += decoded.chunk.records.len();
        self.bytes += decoded.bytes;
        self.held += decoded.held;
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
                self.held -= done.held;
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
        self.is_full = false;
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
        for record in self.buffer.iter().flat_map(|decoded| decoded.chunk.records.iter()) {
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
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use thm_api::{Append, LogBatch, TopicPartition, TopicSpec};
    use thm_codec::record_batch::{BatchWriter, HeaderBlock};
    use thm_log::MemoryLog;
    use uuid::Uuid;

    use super::*;

    fn record(offset: i64) -> SinkRecord {
        let value = Some(Bytes::from_static(b"0123456789"));
        SinkRecord { offset: Offset(offset), timestamp_ms: 0, key: None, value, headers: Arc::from([]), origin: None }
    }

    fn reader_of(partition: SinkPartition, end: i64, share: usize, common: &MemoryBudget) -> PartitionReader {
        let (name, common) = ("c".into(), common.clone());
        PartitionReader::new(Arc::default(), name, partition, Offset(0), Offset(end), share, common)
    }

    /// Less than a reader takes at once.
    fn nothing_in_common() -> MemoryBudget {
        let common = MemoryBudget::new(BORROWED_BYTES);
        std::mem::forget(common.try_acquire(1));
        common
    }

    fn reader(offsets: &[i64]) -> PartitionReader {
        let partition = SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: Uuid::nil() };
        let mut reader = reader_of(partition, 100, 1 << 20, &nothing_in_common());
        for offsets in offsets.chunks(4) {
            let records: Vec<SinkRecord> = offsets.iter().copied().map(record).collect();
            let next = Offset(records.last().map_or(0, |last| last.offset.0 + 1));
            let base_offset = records.first().map_or(Offset(0), |first| first.offset);
            let bytes = records.iter().map(record_bytes).sum();
            reader.push(Decoded {
                chunk: SinkChunk { base_offset, records: records.into(), columns: None },
                next,
                bytes,
                held: bytes,
            });
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

    /// A log of batches with so many records each, whose keys and values are as small as can be.
    async fn log_of(batches: usize, records: usize) -> (MemoryLog, TopicPartition) {
        let (log, partition) = (MemoryLog::new(), TopicPartition::new("t", 0));
        log.create_topic(&TopicSpec::new("t")).await.unwrap();
        for _ in 0..batches {
            let mut writer = BatchWriter::new();
            (0..records).for_each(|_| writer.push(1, None, None, &HeaderBlock::default()));
            let batch = LogBatch {
                bytes: writer.finish(),
                records: u32::try_from(records).unwrap(),
                positions: Arc::from([]),
                decoded: None,
            };
            let append = Append { batch: Some(batch), progress: None };
            log.append(&partition, append).await.unwrap().durable.await.unwrap();
        }
        (log, partition)
    }

    /// What the buffer keeps alive, counted anew.
    fn alive(reader: &PartitionReader) -> usize {
        reader.buffer.iter().map(|decoded| decoded.chunk.records.len() * size_of::<SinkRecord>()).sum()
    }

    #[tokio::test]
    async fn what_the_buffer_holds_stays_within_its_share_whatever_the_records_weigh() {
        let (log, partition) = log_of(200, 500).await;
        let topic_uuid = log.topic("t").unwrap().uuid;
        let partition = SinkPartition { partition, topic_uuid };
        let share = 1 << 20;
        let policy =
            BatchPolicy { max_records: 100_000, max_bytes: 8 << 20, linger: Duration::from_secs(60), frozen: true };
        let mut reader = reader_of(partition, 100_000, share, &nothing_in_common());
        let mut batches = 0;
        // Before the end, where it would wait for more.
        while reader.next < Offset(90_000) {
            reader.fill(&log, &policy, None).await.unwrap();
            assert!(alive(&reader) <= share, "{} bytes in {} records", alive(&reader), reader.records);
            let batch = reader.cut(&policy, None).unwrap();
            assert_eq!(batch.len() as i64, batch.last.0 - batch.first.0 + 1);
            batches += 1;
        }
        assert!(batches < 40, "{batches} batches");
    }

    #[tokio::test]
    async fn a_batch_takes_from_what_is_in_common_and_gives_it_back() {
        let (log, partition) = log_of(200, 500).await;
        let topic_uuid = log.topic("t").unwrap().uuid;
        let partition = SinkPartition { partition, topic_uuid };
        let (share, pieces) = (1 << 20, 4);
        let common = MemoryBudget::new(pieces * BORROWED_BYTES);
        let policy =
            BatchPolicy { max_records: 20_000, max_bytes: 8 << 20, linger: Duration::from_secs(60), frozen: false };
        let (mut one, mut other) = [(); 2].map(|()| reader_of(partition.clone(), 100_000, share, &common)).into();
        one.fill(&log, &policy, None).await.unwrap();
        assert!(alive(&one) > share && alive(&one) <= one.room(), "{} bytes", alive(&one));
        assert!(one.records >= 20_000);
        // The other one has its share, and what is left.
        other.fill(&log, &policy, None).await.unwrap();
        assert!(other.records < 20_000 && alive(&other) <= other.room());
        let borrowed = [&one, &other].map(|reader| reader.borrowed.len());
        assert_eq!(borrowed.iter().sum::<usize>(), pieces);
        assert!(common.try_acquire(BORROWED_BYTES).is_none());
        // What was cut is counted until the reader is asked for more.
        one.cut(&policy, None).unwrap();
        assert_eq!(one.borrowed.len(), borrowed[0]);
        let nothing_more = BatchPolicy { max_records: 1, ..policy };
        one.fill(&log, &nothing_more, None).await.unwrap();
        assert!(one.borrowed.is_empty());
        other.fill(&log, &policy, None).await.unwrap();
        assert!(other.records >= 20_000);
        other.seek(Offset(0));
        assert!(common.try_acquire(pieces * BORROWED_BYTES).is_some());
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_share_comes_alone_and_a_repeated_range_whole() {
        let (log, partition) = log_of(4, 500).await;
        let topic_uuid = log.topic("t").unwrap().uuid;
        let partition = SinkPartition { partition, topic_uuid };
        let policy =
            BatchPolicy { max_records: 10_000, max_bytes: 8 << 20, linger: Duration::from_secs(60), frozen: true };
        let mut reader = reader_of(partition, 2_000, 10_000, &nothing_in_common());
        reader.fill(&log, &policy, None).await.unwrap();
        assert_eq!(reader.cut(&policy, None).unwrap().len(), 500);
        let until = Some(Offset(1_699));
        reader.fill(&log, &policy, until).await.unwrap();
        assert_eq!(reader.cut(&policy, until).unwrap().len(), 1_200);
        reader.fill(&log, &policy, None).await.unwrap();
        assert_eq!(reader.cut(&policy, None).unwrap().len(), 300);
        assert_eq!(reader.held, 0);
    }
}
