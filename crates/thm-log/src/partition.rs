//! A partition: a queue in front, segments behind, and between them the line that readers never pass.
//!
//! ```text
//!   append ─▶ queue ─▶ writer (log thread) ─▶ segments ─▶ readers
//!             next offset     written, synced   durable     state: log start, high watermark
//! ```
//!
//! Locks, in the order in which they may be held together: writer, queue, work list; the others alone.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use thm_api::{
    Append, Error, ErrorKind, FetchedBatch, Offset, PartitionInfo, Permit, Progress, Result, TopicPartition,
};
use tokio::sync::{oneshot, watch};

use crate::fsync::WorkList;
use crate::meters::TopicMeters;
use crate::names;
use crate::pace::Pace;
use crate::progress::ProgressMap;
use crate::queue::Pending;
use crate::segment::index::Summary;
use crate::segment::writer::SegmentWriter;
use crate::segment::{Segment, Want};
use crate::storage::Storage;
use crate::tail_cache::{PartitionKey, TailCache};

/// One partition of one life of a topic.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Its name.
    pub id: TopicPartition,
    /// Its place in the tail cache.
    pub key: PartitionKey,
    /// Its topic's metrics.
    pub meters: TopicMeters,
    /// Its folder.
    pub dir: PathBuf,
    pub(crate) storage: Arc<dyn Storage>,
    queue: Mutex<Queue>,
    writer: Mutex<SegmentWriter>,
    segments: RwLock<Vec<Arc<Segment>>>,
    progress: RwLock<ProgressMap>,
    /// Holds producers back for a reader that keeps up.
    pub pace: Pace,
    state: watch::Sender<PartitionState>,
}

/// What readers wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionState {
    /// Readable range.
    pub info: PartitionInfo,
    /// Whether the topic is gone.
    pub deleted: bool,
}

#[derive(Debug)]
struct Queue {
    next_offset: i64,
    pending: Vec<Pending>,
    /// Whether the log thread has been told since it last took the queue.
    listed: bool,
    deleted: bool,
}

/// What a partition is opened with.
pub(crate) struct Parts {
    /// Its name.
    pub id: TopicPartition,
    /// Its place in the tail cache.
    pub key: PartitionKey,
    /// Its topic's metrics.
    pub meters: TopicMeters,
    /// Its folder.
    pub dir: PathBuf,
    /// The file layer.
    pub storage: Arc<dyn Storage>,
    /// At least one; the last is active.
    pub segments: Vec<Arc<Segment>>,
    /// Writes to the active segment.
    pub writer: SegmentWriter,
    /// How far producers may be ahead of a reader that keeps up, in bytes of memory.
    pub window_bytes: usize,
}

impl Partition {
    /// A partition whose files have been opened.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { id, key, meters, dir, storage, segments, writer, window_bytes } = parts;
        let end = writer.written().next_offset;
        let start = segments.first().map_or(end, |segment| segment.base_offset);
        let info = PartitionInfo { log_start: Offset(start), high_watermark: Offset(end) };
        Self {
            id,
            key,
            meters,
            dir,
            storage,
            queue: Mutex::new(Queue { next_offset: end, pending: Vec::new(), listed: false, deleted: false }),
            progress: RwLock::new(writer.progress().clone()),
            writer: Mutex::new(writer),
            segments: RwLock::new(segments),
            pace: Pace::new(window_bytes),
            state: watch::Sender::new(PartitionState { info, deleted: false }),
        }
    }

    /// Gives an append its offsets and queues it. What comes back resolves when it is durable and fails when it
    /// never will be.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        append: Append,
        (memory_bytes, permit): (usize, Permit),
        work: &WorkList,
    ) -> Result<(i64, oneshot::Receiver<()>)> {
        let (done, durable) = oneshot::channel();
        let mut queue = self.queue.lock();
        if queue.deleted {
            return Err(names::missing(&self.id));
        }
        if !queue.listed {
            work.list(self)?;
            queue.listed = true;
        }
        let base_offset = queue.next_offset;
        let Append { batch, progress } = append;
        let pending = Pending { base_offset, batch, progress, memory_bytes, _permit: permit, done };
        queue.next_offset = pending.next_offset();
        queue.pending.push(pending);
        self.pace.queued(base_offset, memory_bytes);
        Ok((base_offset, durable))
    }

    /// A reader that wants to keep up goes on at `next`.
    pub(crate) fn reader_at(&self, next: i64) {
        let queued = self.queue.lock().next_offset;
        self.pace.reader_at(next, queued);
    }

    /// Durable progress of a producer.
    pub(crate) fn progress(&self, producer: &str) -> Option<Progress> {
        self.progress.read().get(producer)
    }

    /// Readable range.
    pub(crate) fn info(&self) -> PartitionInfo {
        self.state.borrow().info
    }

    /// Wakes at every change of the readable range.
    pub(crate) fn subscribe(&self) -> watch::Receiver<PartitionState> {
        self.state.subscribe()
    }

    /// Closed segments, oldest first, and the active one.
    pub(crate) fn summaries(&self) -> (Vec<Summary>, Option<Summary>) {
        let segments = self.segments.read();
        let mut all: Vec<_> = segments.iter().map(|segment| segment.summary()).collect();
        let active = all.pop();
        (all, active)
    }

    /// Batches from the segments. `want.from` lies below the high watermark.
    pub(crate) fn read_segments(&self, want: &Want) -> Result<Vec<FetchedBatch>> {
        let segments = {
            let segments = self.segments.read();
            let after = segments.partition_point(|segment| segment.base_offset <= want.from);
            after.checked_sub(1).map_or_else(Vec::new, |at| segments[at..].to_vec())
        };
        let found = read_on(&segments, want);
        let PartitionInfo { log_start, high_watermark } = self.info();
        match found {
            Ok(batches) if !batches.is_empty() => Ok(batches),
            // Retention came between: the segment, or its file, is gone.
            _ if want.from < log_start.0 => {
                Err(names::out_of_range(&self.id, want.from, log_start.0, high_watermark.0))
            }
            Ok(_) => Err(Error::new(ErrorKind::Internal, "reading", self.id.to_string())
                .with_source(format!("no segment holds offset {}", want.from))),
            Err(error) => Err(error),
        }
    }

    /// Base offset of the first durable batch with a timestamp at or after `timestamp_ms`.
    pub(crate) fn find_time(&self, timestamp_ms: i64) -> Result<Option<Offset>> {
        let segments = self.segments.read().clone();
        let until = self.info().high_watermark.0;
        for segment in segments.iter().filter(|segment| segment.summary().max_timestamp_ms >= timestamp_ms) {
            match segment.find_time(timestamp_ms, until) {
                Ok(None) => {}
                Ok(Some(found)) => return Ok(Some(Offset(found))),
                // Retention came between.
                Err(_) if segment.base_offset < self.info().log_start.0 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Begins a round of the log thread: nobody else touches the files until it ends.
    pub(crate) fn begin(&self) -> Turn<'_> {
        let writer = self.writer.lock();
        let mut queue = self.queue.lock();
        queue.listed = false;
        let pending = std::mem::take(&mut queue.pending);
        Turn { partition: self, writer, pending }
    }

    /// Closes the active segment if it has records and was last written before `before_ms`.
    pub(crate) fn roll_older(&self, before_ms: i64, now_ms: i64) -> std::io::Result<()> {
        let mut writer = self.writer.lock();
        let written = writer.written();
        let has_records = self.segments.read().last().is_some_and(|last| last.base_offset < written.next_offset);
        if has_records && written.written_ms < before_ms {
            self.segments.write().extend(writer.roll(now_ms)?);
        }
        Ok(())
    }

    /// Removes the `count` oldest closed segments: first out of sight, then from the disk.
    pub(crate) fn remove_oldest(&self, count: usize) -> std::io::Result<()> {
        let (removed, start) = {
            let mut segments = self.segments.write();
            let count = count.min(segments.len().saturating_sub(1));
            let removed: Vec<_> = segments.drain(..count).collect();
            (removed, segments.first().map(|segment| segment.base_offset))
        };
        if let Some(start) = start {
            self.state.send_modify(|state| state.info.log_start = Offset(start));
        }
        for segment in &removed {
            segment.remove()?;
        }
        if removed.is_empty() { Ok(()) } else { self.storage.sync_dir(&self.dir) }
    }

    /// Ends this life: waits for the round under way, drops what is queued, wakes everyone.
    pub(crate) fn delete(&self) {
        let _writer = self.writer.lock();
        let dropped = {
            let mut queue = self.queue.lock();
            queue.deleted = true;
            std::mem::take(&mut queue.pending)
        };
        self.state.send_modify(|state| state.deleted = true);
        drop(dropped);
    }

    /// Clean stop: stores progress. What is queued has been written before.
    pub(crate) fn finish(&self) -> Result<()> {
        let failed = |error| Error::new(ErrorKind::LogIo, "stopping", self.id.to_string()).with_source(error);
        if self.queue.lock().deleted { Ok(()) } else { self.writer.lock().finish().map_err(failed) }
    }

    /// Whether the topic is gone.
    pub(crate) fn is_deleted(&self) -> bool {
        self.state.borrow().deleted
    }
}

/// One partition's part in a round: write, sync, publish. Dropping it earlier fails its appends.
pub(crate) struct Turn<'a> {
    partition: &'a Partition,
    writer: MutexGuard<'a, SegmentWriter>,
    pending: Vec<Pending>,
}

impl Turn<'_> {
    /// Whether there is anything to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Its partition's name, for messages.
    pub(crate) fn id(&self) -> &TopicPartition {
        &self.partition.id
    }

    /// Writes all that was queued.
    pub(crate) fn write(&mut self, now_ms: i64) -> std::io::Result<()> {
        self.pending.iter_mut().for_each(Pending::number);
        let begun = self.writer.write(&self.pending, now_ms)?;
        if !begun.is_empty() {
            self.partition.segments.write().extend(begun);
        }
        Ok(())
    }

    /// Makes it durable.
    pub(crate) fn sync(&mut self) -> std::io::Result<()> {
        self.writer.sync()
    }

    /// Shows it to readers and tells those who appended. Called after the whole round is durable.
    pub(crate) fn publish(mut self, cache: &TailCache) {
        let partition = self.partition;
        self.writer.publish();
        let (mut records, mut bytes) = (0, 0);
        let batches = self.pending.iter_mut().filter_map(|pending| {
            let batch = pending.take_batch()?;
            records += u64::from(batch.batch.records);
            bytes += batch.batch.bytes.len() as u64;
            Some((batch, pending.memory_bytes))
        });
        cache.insert(partition.key, batches);
        partition.meters.records.increment(records);
        partition.meters.bytes.increment(bytes);
        {
            let mut progress = partition.progress.write();
            for (producer, reached) in self.pending.iter().filter_map(|pending| pending.progress.as_ref()) {
                progress.set(producer, *reached);
            }
        }
        let end = Offset(self.writer.written().next_offset);
        partition.state.send_if_modified(|state| {
            let advanced = state.info.high_watermark < end;
            state.info.high_watermark = end;
            advanced
        });
        self.pending.drain(..).for_each(Pending::settle);
    }
}

/// Reads on from segment to segment until the caller has what it wants.
fn read_on(segments: &[Arc<Segment>], want: &Want) -> Result<Vec<FetchedBatch>> {
    let mut found: Vec<FetchedBatch> = Vec::new();
    let mut room = want.max_bytes;
    for segment in segments.iter().take_while(|segment| segment.base_offset < want.until) {
        let mut more = segment.read(&Want { max_bytes: room, ..*want })?;
        let bytes = more.iter().map(|batch| batch.batch.bytes.len()).sum::<usize>();
        if !found.is_empty() && bytes > room {
            // The first of a segment comes whole, but it is not the first of this read.
            break;
        }
        let whole = more.last().is_some_and(|last| last.next_offset().0 == segment.summary().next_offset);
        found.append(&mut more);
        room = room.saturating_sub(bytes);
        if !whole || room == 0 {
            break;
        }
    }
    Ok(found)
}
