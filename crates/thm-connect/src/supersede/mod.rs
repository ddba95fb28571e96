//! Takes out of a topic what a new snapshot or a TRUNCATE has made untrue.
//!
//! A snapshot that is taken again (after a crash in the middle, or because its slot was lost) shows only the rows there
//! are. What the topic already said of others stays true for its readers until somebody says otherwise, so it is said
//! here: from the topic itself, for nobody else knows what its readers have been told.
//!
//! ```text
//!   topic:   … r(1) r(2) r(3) u(2) │boundary│ r(1) r(2')            1 unchanged: nothing
//!                     scan ─▶ index of keys ─▶ findings             2 another row: u, before = 2, after = 2'
//!                                                                   3 is gone: d (and tombstone), before = 3
//! ```
//!
//! Invariants: everything appended stands at the given position, after all rows that it concerns, and is durable before
//! the topic is called complete there. Until the last of it is durable the partition's progress stays below that of a
//! TRUNCATE, so that it is done again after a crash; a snapshot is then taken again anyway. Foreign records and records
//! without a key are left alone. Memory: one index of keys, one chunk of rows.

mod index;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use thm_api::{
    Append, Error, ErrorKind, Log, LogBatch, Offset, Position, Progress, ReadLimits, Result, Superseded, Supersession,
    TopicPartition,
};
use thm_codec::debezium::{EventTime, StoredEnvelope};
use thm_codec::record_batch::{BatchWriter, HeaderBlock, Record, records};
use tokio_util::sync::CancellationToken;

use self::index::{DEFAULT_INDEX_BYTES, Index, Side, States};

/// Bytes of rows held while their findings are written.
const DEFAULT_CHUNK_BYTES: usize = 8 << 20;
/// Most findings in a chunk.
const DEFAULT_CHUNK_KEYS: usize = 65_536;
/// Reads and appends are of this size.
const DEFAULT_BATCH_BYTES: usize = 1 << 20;

/// What is wrong with one key.
#[derive(Clone, Copy, Debug)]
struct Finding {
    /// Where its old row is.
    old: Offset,
    /// Where its new row is, if it has one.
    new: Option<Offset>,
}

/// One partition's work.
pub(crate) struct Supersede<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) producer: &'a Arc<str>,
    pub(crate) partition: &'a TopicPartition,
    pub(crate) order: &'a Superseded,
    /// First offset that is not superseded.
    pub(crate) boundary: Offset,
    pub(crate) stop: &'a CancellationToken,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) deletes: u64,
    pub(crate) updates: u64,
    /// False: a stop came first.
    pub(crate) whole: bool,
}

impl Supersede<'_> {
    /// Does it; everything before must be durable.
    pub(crate) async fn run(&self) -> Result<Done> {
        let mut done = Done { whole: true, ..Done::default() };
        let Some(index) = self.scan().await? else { return Ok(Done::default()) };
        let mut merge = index.finish()?;
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        loop {
            let states = merge.next()?;
            if let Some((finding, cost)) = states.and_then(|states| self.judge(states)) {
                chunk.push(finding);
                bytes += cost;
            }
            let full = bytes >= DEFAULT_CHUNK_BYTES || chunk.len() >= DEFAULT_CHUNK_KEYS;
            if full || (states.is_none() && !chunk.is_empty()) {
                if self.stop.is_cancelled() {
                    return Ok(Done { whole: false, ..done });
                }
                done.deletes += chunk.iter().filter(|finding| finding.new.is_none()).count() as u64;
                done.updates += chunk.iter().filter(|finding| finding.new.is_some()).count() as u64;
                self.write(std::mem::take(&mut chunk)).await?;
                bytes = 0;
            }
            if states.is_none() {
                break;
            }
        }
        // Only now is it done up to its own place.
        let last =
            Append { batch: None, progress: Some((Arc::clone(self.producer), Progress::at(self.order.position))) };
        self.log.append(self.partition, last).await?.durable.await?;
        Ok(done)
    }

    fn judge(&self, states: States) -> Option<(Finding, usize)> {
        let Side::Row { offset: old, hash, bytes } = states.before else { return None };
        let cost = bytes as usize + 64;
        match states.since {
            Side::Silent | Side::Gone => Some((Finding { old, new: None }, cost)),
            Side::Row { hash: other, .. } if other == hash => None,
            Side::Row { offset: new, .. } => Some((Finding { old, new: Some(new) }, cost)),
        }
    }

    /// Reads the partition once. `None`: a stop came first.
    async fn scan(&self) -> Result<Option<Index>> {
        let mut index = Index::new(&self.order.spool, DEFAULT_INDEX_BYTES);
        let info = self.log.topic(&self.partition.topic);
        let info = info.and_then(|topic| topic.partitions.get(self.partition.partition as usize).copied());
        let Some(info) = info.filter(|info| info.log_start < self.boundary) else { return Ok(Some(index)) };
        let mut from = info.log_start;
        while from < info.high_watermark {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            let Some(next) = self.each(from, |offset, record| self.note(&mut index, offset, record)).await? else {
                break;
            };
            from = next;
        }
        Ok(Some(index))
    }

    fn note(&self, index: &mut Index, offset: Offset, record: &Record) -> Result<()> {
        let Some(key) = &record.key else { return Ok(()) };
        let side = match &record.value {
            None => Side::Gone,
            Some(value) => match StoredEnvelope::parse(value) {
                Some(envelope) => envelope.row().map_or(Side::Gone, |row| row_at(offset, row.as_bytes(), value)),
                None => row_at(offset, value, value),
            },
        };
        let states = match offset < self.boundary {
            true => States { before: side, since: Side::Silent },
            false => States { before: Side::Silent, since: side },
        };
        index.put(key, states)
    }

    /// Gives each of our own records of one read from `from` on; the offset after them.
    async fn each(&self, from: Offset, mut take: impl FnMut(Offset, &Record) -> Result<()>) -> Result<Option<Offset>> {
        let limits = ReadLimits { max_bytes: DEFAULT_BATCH_BYTES, max_wait: Duration::ZERO };
        let read = self.log.read(self.partition, from, limits).await?;
        for fetched in &read.batches {
            if fetched.producer.as_ref() != Some(self.producer) {
                continue;
            }
            let bad = |error| {
                let object = format!("{} at {}", self.partition, fetched.base_offset);
                Error::new(ErrorKind::LogCorrupt, "reading a topic's records", object).with_source(error)
            };
            for record in records(&fetched.batch.bytes).map_err(bad)? {
                let record = record.map_err(bad)?;
                let offset = Offset(fetched.base_offset.0 + i64::from(record.offset_delta));
                if offset >= from {
                    take(offset, &record)?;
                }
            }
        }
        Ok(read.batches.last().map(thm_api::FetchedBatch::next_offset))
    }

    /// Records at these offsets, in order of offset, whatever the log needs to be read for them.
    async fn pick(&self, offsets: &[Offset]) -> Result<HashMap<Offset, Record>> {
        let mut found = HashMap::with_capacity(offsets.len());
        let mut wanted = offsets.iter().copied().peekable();
        while let Some(first) = wanted.peek().copied() {
            let next = self.each(first, |offset, record| {
                if wanted.next_if_eq(&offset).is_some() {
                    // The batch it lies in is not kept for its sake.
                    found.insert(offset, copied(record));
                }
                Ok(())
            });
            if next.await?.is_none() || wanted.peek() == Some(&first) {
                let object = format!("{} at {first}", self.partition);
                return Err(Error::new(ErrorKind::OffsetOutOfRange, "reading a superseded row", object));
            }
        }
        Ok(found)
    }

    async fn write(&self, mut chunk: Vec<Finding>) -> Result<()> {
        chunk.sort_unstable_by_key(|finding| finding.old);
        let old = self.pick(&chunk.iter().map(|finding| finding.old).collect::<Vec<_>>()).await?;
        let mut out = Output { supersede: self, writer: BatchWriter::new(), waiting: Vec::new() };
        for finding in chunk.iter().filter(|finding| finding.new.is_none()) {
            if let Some(record) = old.get(&finding.old) {
                out.delete(record).await?;
            }
        }
        let mut moved: Vec<_> = chunk.iter().filter_map(|finding| Some((finding.new?, finding.old))).collect();
        moved.sort_unstable_by_key(|(new, _)| *new);
        for part in moved.chunks(DEFAULT_CHUNK_KEYS / 16) {
            let new = self.pick(&part.iter().map(|(new, _)| *new).collect::<Vec<_>>()).await?;
            for (new, record) in part.iter().filter_map(|(at, before)| Some((new.get(at)?, old.get(before)?))) {
                out.update(record, new).await?;
            }
        }
        out.finish().await
    }
}

/// Records on their way to the log.
struct Output<'a> {
    supersede: &'a Supersede<'a>,
    writer: BatchWriter,
    waiting: Vec<futures::future::BoxFuture<'static, Result<()>>>,
}

impl Output<'_> {
    async fn delete(&mut self, old: &Record) -> Result<()> {
        let (order, now) = (self.supersede.order, now());
        let envelope = old.value.as_deref().and_then(StoredEnvelope::parse);
        let value = envelope.map(|envelope| envelope.delete(&order.source_json, now));
        if let Some(value) = &value {
            self.push(old, Some(value), now).await?;
        }
        // A row without an envelope has no other way to go.
        if order.tombstones || value.is_none() {
            self.push(old, None, now).await?;
        }
        Ok(())
    }

    async fn update(&mut self, old: &Record, new: &Record) -> Result<()> {
        let envelopes = old.value.as_deref().zip(new.value.as_deref());
        let envelopes = envelopes.and_then(|(old, new)| StoredEnvelope::parse(old).zip(StoredEnvelope::parse(new)));
        // Without an envelope the new record says all there is to say.
        let Some((before, after)) = envelopes else { return Ok(()) };
        let now = now();
        let value = after.update(before.row().unwrap_or("null"), &self.supersede.order.source_json, now);
        self.push(new, Some(&value), now).await
    }

    async fn push(&mut self, like: &Record, value: Option<&[u8]>, now: EventTime) -> Result<()> {
        let mut headers = HeaderBlock::default();
        for (name, value) in like.headers.iter() {
            // A changed key belongs to the change that it was.
            if let Ok(name) = std::str::from_utf8(&name)
                && !matches!(name, "__debezium.newkey" | "__debezium.oldkey")
            {
                headers.push(name, value.as_deref());
            }
        }
        self.writer.push(now.0.div_euclid(1_000_000), like.key.as_deref(), value, &headers);
        if self.writer.byte_len() >= DEFAULT_BATCH_BYTES { self.cut().await } else { Ok(()) }
    }

    async fn cut(&mut self) -> Result<()> {
        let records = self.writer.len();
        if records == 0 {
            return Ok(());
        }
        let Superseded { position, by, .. } = *self.supersede.order;
        let batch = LogBatch {
            bytes: self.writer.finish(),
            records,
            positions: vec![position; records as usize].into(),
            decoded: None,
        };
        let progress = Progress::at(match by {
            Supersession::Snapshot => position,
            Supersession::Truncate => Position::new(position.commit_end, position.ordinal.saturating_sub(1)),
        });
        let append = Append { batch: Some(batch), progress: Some((Arc::clone(self.supersede.producer), progress)) };
        self.waiting.push(self.supersede.log.append(self.supersede.partition, append).await?.durable);
        Ok(())
    }

    async fn finish(mut self) -> Result<()> {
        self.cut().await?;
        futures::future::try_join_all(self.waiting).await.map(drop)
    }
}

fn row_at(offset: Offset, row: &[u8], value: &Bytes) -> Side {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    Side::Row { offset, hash: hasher.finish(), bytes: u32::try_from(value.len()).unwrap_or(u32::MAX) }
}

fn copied(record: &Record) -> Record {
    let copy = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| Bytes::copy_from_slice(bytes));
    Record { key: copy(&record.key), value: copy(&record.value), ..record.clone() }
}

fn now() -> EventTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
}
