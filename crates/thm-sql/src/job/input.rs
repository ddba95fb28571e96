//! One partition that a job reads: what has been fetched, what has been consumed, what is known behind that.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Complete, Log, Offset, Position, ReadLimits, ReadResult, Result, TopicPartition};
use tokio::sync::watch;
use uuid::Uuid;

use super::chunk::Chunk;
use super::decode::Decoder;
use super::feed::Feed;
use super::merge::{Bound, View};
use super::shape::TableShape;
use crate::operator::Rows;

/// Ranks of stream partitions begin here, so that all look-ups come before them whatever the plan.
pub(super) const STREAM_RANK: u32 = 1 << 16;

/// Batches are joined up to this many rows, for a database of small transactions writes small batches.
const DEFAULT_CHUNK_ROWS: usize = 8_192;

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Rows of the n-th branch.
    Stream(usize),
    /// Changes of the n-th look-up table.
    Lookup(usize),
}

/// One partition.
pub(super) struct Input {
    pub partition: TopicPartition,
    pub topic_uuid: Uuid,
    pub rank: u32,
    pub role: Role,
    /// Of a stream: its name among the producers of the job.
    pub producer: Option<Arc<str>>,
    /// Next offset to consume: what a checkpoint stores.
    pub consumed: i64,
    /// Position of the last record read.
    pub place: Position,
    /// Position of the last record consumed.
    pub consumed_place: Position,
    pub complete: watch::Receiver<Option<Arc<Complete>>>,
    pub high_watermark: i64,
    /// Offset at which it ends, if it does.
    pub end: Option<i64>,
    next_read: i64,
    chunks: VecDeque<Chunk>,
    from: From,
}

/// Where an input's rows come from.
pub(super) enum From {
    /// Records of a partition.
    Topic(Box<Decoder>),
    /// Rows that are made or read here; the partition is a name for the checkpoint.
    Feed(Box<Feed>),
}

impl Input {
    pub fn new(
        (partition, topic_uuid): (TopicPartition, Uuid),
        (rank, role): (u32, Role),
        (offset, place, end): (i64, Position, Option<i64>),
        from: From,
        complete: watch::Receiver<Option<Arc<Complete>>>,
    ) -> Self {
        Self {
            partition,
            topic_uuid,
            rank,
            role,
            producer: None,
            consumed: offset,
            place,
            consumed_place: place,
            complete,
            high_watermark: offset,
            end,
            next_read: offset,
            chunks: VecDeque::new(),
            from,
        }
    }

    /// A stream that writes under a name.
    pub fn writing_as(mut self, producer: String) -> Self {
        self.producer = Some(producer.into());
        self
    }

    /// Whether it has no record at hand and may still get some.
    pub fn is_drained(&self) -> bool {
        self.chunks.is_empty() && !self.is_done()
    }

    /// Whether it has come to its end.
    pub fn is_done(&self) -> bool {
        self.chunks.is_empty() && self.end.is_some_and(|end| self.consumed >= end)
    }

    /// What has been seen of the captured tables, for a checkpoint.
    pub fn shapes(&self) -> Vec<TableShape> {
        match &self.from {
            From::Topic(decoder) => decoder.shapes(),
            From::Feed(_) => Vec::new(),
        }
    }

    /// Whether it has rows to remember.
    pub const fn remembers(&self) -> bool {
        matches!(&self.from, From::Topic(decoder) if decoder.remembers())
    }

    /// The rows that it has to remember, for a checkpoint; none if they are those of the last one.
    pub fn snapshot(&mut self) -> Option<Vec<u8>> {
        match &mut self.from {
            From::Topic(decoder) => decoder.snapshot(self.consumed),
            From::Feed(_) => None,
        }
    }

    /// Whether it reads a topic.
    pub const fn is_topic(&self) -> bool {
        matches!(self.from, From::Topic(_))
    }

    /// Takes the next rows of a feed.
    pub fn feed(&mut self) -> Result<()> {
        let From::Feed(feed) = &mut self.from else { return Ok(()) };
        let Some(rows) = feed.next(self.next_read, DEFAULT_CHUNK_ROWS)? else {
            self.end = Some(self.next_read);
            return Ok(());
        };
        let Some(last) = rows.meta.last() else { return Ok(()) };
        self.next_read = last.offset + 1;
        self.high_watermark = self.next_read;
        self.chunks.push_back(Chunk { rows, keys: Vec::new(), at: 0, next_offset: self.next_read });
        Ok(())
    }

    /// The next read; only when drained, so that memory stays at one read per input.
    pub async fn read(&self, log: &dyn Log, limits: ReadLimits) -> Result<ReadResult> {
        if matches!(self.role, Role::Stream(_)) {
            log.keeps_up(&self.partition, Offset(self.next_read));
        }
        log.read(&self.partition, Offset(self.next_read), limits).await
    }

    /// Takes what a read gave.
    pub fn take(&mut self, found: ReadResult) -> Result<()> {
        self.high_watermark = found.high_watermark.0;
        let From::Topic(decoder) = &mut self.from else { return Ok(()) };
        // It is drained.
        decoder.consumed(self.consumed);
        let mut small: Vec<Chunk> = Vec::new();
        let mut rows = 0;
        for fetched in &found.batches {
            if self.end.is_some_and(|end| self.next_read >= end) {
                break;
            }
            let mut chunk = decoder.decode(&self.partition, fetched, self.next_read, &mut self.place)?;
            if let Some(end) = self.end.filter(|end| *end < chunk.next_offset) {
                let kept = chunk.rows.meta.partition_point(|meta| meta.offset < end);
                chunk.rows = chunk.rows.slice(0, kept);
                chunk.keys.truncate(kept);
                chunk.next_offset = end;
            }
            self.next_read = chunk.next_offset;
            rows += chunk.rows.len();
            small.push(chunk);
            if rows >= DEFAULT_CHUNK_ROWS {
                self.chunks.extend(Chunk::joined(std::mem::take(&mut small))?);
                rows = 0;
            }
        }
        self.chunks.extend(Chunk::joined(small)?);
        self.skip_empty();
        Ok(())
    }

    /// Records without rows are consumed as soon as they are next.
    fn skip_empty(&mut self) {
        while let Some(chunk) = self.chunks.front().filter(|chunk| chunk.at >= chunk.rows.len()) {
            self.consumed = chunk.next_offset;
            self.chunks.pop_front();
        }
        if self.chunks.is_empty() {
            self.consumed = self.next_read;
            self.consumed_place = self.place;
        }
    }

    /// How the merge sees it.
    pub fn view(&mut self) -> View {
        let head = self.chunks.front().and_then(|chunk| chunk.rows.meta.get(chunk.at)).map(|meta| meta.position);
        // The statement is looked at in any case, so that waiting for the next one begins after this one.
        let bound = self.bound();
        View { rank: self.rank, lookup: matches!(self.role, Role::Lookup(_)), head, bound }
    }

    fn bound(&mut self) -> Bound {
        if self.is_done() || !self.is_topic() {
            return Bound::Endless;
        }
        let statement = self.complete.borrow_and_update().clone();
        let Some(complete) = statement else {
            // Only records of others so far: nobody will ever say how complete it is.
            let foreign = self.next_read > 0 && self.place == Position::default();
            return if foreign && matches!(self.role, Role::Stream(_)) { Bound::Endless } else { Bound::Unknown };
        };
        let ends = complete.ends.get(&*self.partition.topic);
        let end = ends.and_then(|ends| ends.get(self.partition.partition as usize)).copied().flatten();
        match end {
            Some(end) if self.next_read >= end.0 => Bound::UpTo(complete.position),
            _ => Bound::Unknown,
        }
    }

    /// The chunk at hand and the rows of it that `admits` lets pass, at most `most`.
    pub fn run(&self, most: usize, admits: impl Fn(Position) -> bool) -> Option<(&Chunk, usize, usize)> {
        let chunk = self.chunks.front()?;
        let left = &chunk.rows.meta[chunk.at..];
        let count = left.iter().take(most).take_while(|meta| admits(meta.position)).count();
        Some((chunk, chunk.at, chunk.at + count))
    }

    /// Rows of the chunk at hand.
    pub fn rows(&self, from: usize, to: usize) -> Rows {
        self.chunks.front().map(|chunk| chunk.rows.slice(from, to - from)).unwrap_or_default()
    }

    /// Consumes rows up to `to` of the chunk at hand.
    pub fn advance(&mut self, to: usize) {
        let Some(chunk) = self.chunks.front_mut() else { return };
        chunk.at = to;
        if let Some(last) = to.checked_sub(1).and_then(|last| chunk.rows.meta.get(last)) {
            self.consumed = last.offset + 1;
            self.consumed_place = last.position;
        }
        self.skip_empty();
    }
}
