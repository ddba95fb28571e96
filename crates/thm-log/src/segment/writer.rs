//! `SegmentWriter`: frames into the active segment, and the roll to the next.
//!
//! ```text
//!  write ─▶ page cache ─▶ sync ─▶ durable ─▶ publish: readers may see it
//!    └─ full: sync · progress file · index file · new file · sync the folder
//! ```
//!
//! The order of a roll matters. The progress file is durable before the new segment exists, and covers the whole
//! old one; so whatever is cut by retention later, progress is never rebuilt from frames that are gone.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::Segment;
use super::index::{INTERVAL_BYTES, Summary};
use crate::frame::{self, FrameRef};
use crate::progress::{ProgressFile, ProgressMap};
use crate::queue::Pending;
use crate::storage::{LogFile, Storage};

/// Slices given to one gathering write; Linux takes 1024.
const MAX_SLICES: usize = 1024;

/// What stays in the system's memory behind the end of a file: as much as the tail cache has decoded, and a good part
/// more for readers that are a little late.
const DEFAULT_WAKE_BYTES: u64 = 32 << 20;
/// Memory is given back in pieces of this size: a call for each fsync would cost more than it frees.
const WAKE_STEP_BYTES: u64 = 4 << 20;

/// The part of a file that the system is to keep in memory. Without a limit a flood takes new memory for all it writes,
/// which costs more than the write itself where memory must be got first, and pushes out what the database keeps there.
#[derive(Debug, Default)]
struct Wake {
    /// What lies before has been given back.
    from: u64,
}

impl Wake {
    /// What may go now that the file is durable up to `end`.
    fn behind(&mut self, end: u64) -> Option<Range<u64>> {
        let to = end.saturating_sub(DEFAULT_WAKE_BYTES) / WAKE_STEP_BYTES * WAKE_STEP_BYTES;
        (to > self.from).then(|| std::mem::replace(&mut self.from, to)..to)
    }

    /// All that has not gone yet.
    fn rest(&mut self, end: u64) -> Range<u64> {
        std::mem::replace(&mut self.from, end)..end
    }
}

/// Appends to one partition. Owned by the log thread; others take it only to stop it.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    segment_bytes: u64,
    segment: Arc<Segment>,
    file: Arc<dyn LogFile>,
    /// Frames written, durable or not.
    written: Summary,
    /// Bytes of the file known to be durable.
    synced: u64,
    /// Which of those the system still keeps in memory.
    wake: Wake,
    /// Progress as of the last frame written.
    progress: ProgressMap,
    /// Boundaries for the index that readers do not see yet.
    boundaries: Vec<Summary>,
    next_boundary: u64,
    heads: Vec<u8>,
}

impl SegmentWriter {
    /// Goes on at the end of the active segment.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        segment_bytes: u64,
        segment: Arc<Segment>,
        progress: ProgressMap,
    ) -> io::Result<Self> {
        let file = segment.file().ok_or_else(|| io::Error::other("the active segment has no open file"))?;
        let written = segment.summary();
        let (synced, next_boundary) = (written.bytes, written.bytes);
        let (boundaries, heads) = (Vec::new(), Vec::new());
        Ok(Self {
            storage,
            dir,
            segment_bytes,
            segment,
            file,
            written,
            synced,
            wake: Wake { from: synced },
            progress,
            boundaries,
            next_boundary,
            heads,
        })
    }

    /// Writes the frames in order, rolling where a segment is full. Returns the segments begun on the way.
    pub(crate) fn write(&mut self, frames: &[Pending], now_ms: i64) -> io::Result<Vec<Arc<Segment>>> {
        let mut begun = Vec::new();
        let mut rest = frames;
        while !rest.is_empty() {
            let count = self.encode(rest, now_ms);
            let (now, later) = rest.split_at(count.max(1));
            if count == 0 {
                begun.extend(self.roll(now_ms)?);
                continue;
            }
            self.gather(now)?;
            rest = later;
        }
        Ok(begun)
    }

    /// Encodes heads of frames until the segment is full; 0 if the first does not fit into a segment in use.
    fn encode(&mut self, frames: &[Pending], now_ms: i64) -> usize {
        self.heads.clear();
        let mut count = 0;
        for pending in frames.iter().take(MAX_SLICES / 2) {
            let full = self.written.bytes > 0 && self.written.bytes + pending.frame_bytes() > self.segment_bytes;
            if full {
                break;
            }
            let batch = pending.batch.as_ref();
            let frame = FrameRef {
                base_offset: pending.base_offset,
                records: batch.map_or(0, |batch| batch.records),
                batch: batch.map_or(&[], |batch| &batch.bytes),
                positions: batch.map_or(&[], |batch| &batch.positions),
                progress: pending.progress.as_ref().map(|(name, progress)| (&**name, *progress)),
                synced: self.synced,
            };
            if self.written.bytes >= self.next_boundary {
                self.boundaries.push(self.written);
                self.next_boundary = self.written.bytes + INTERVAL_BYTES;
            }
            let bytes = frame::encode_head(&mut self.heads, &frame);
            let max_timestamp_ms = batch.map_or(-1, thm_api::LogBatch::max_timestamp_ms);
            self.written.add(bytes, pending.next_offset(), max_timestamp_ms);
            self.written.written_ms = now_ms;
            if let Some((producer, progress)) = &pending.progress {
                self.progress.set(producer, *progress);
            }
            count += 1;
        }
        count
    }

    /// One gathering write of heads and batches.
    fn gather(&mut self, frames: &[Pending]) -> io::Result<()> {
        let mut slices = Vec::with_capacity(frames.len() * 2);
        let mut heads = self.heads.as_slice();
        for pending in frames {
            let batch = pending.batch.as_ref().map_or(&[][..], |batch| &batch.bytes);
            let length = frame::peek(heads).map_err(io::Error::other)?.length;
            let (head, after) = heads.split_at(length - batch.len());
            heads = after;
            slices.push(IoSlice::new(head));
            if !batch.is_empty() {
                slices.push(IoSlice::new(batch));
            }
        }
        self.file.append(&mut slices)
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.synced = self.written.bytes;
        if let Some(bytes) = self.wake.behind(self.synced) {
            self.file.forget(bytes);
        }
        Ok(())
    }

    /// Shows readers what is durable. Called after [`Self::sync`].
    pub(crate) fn publish(&mut self) {
        self.segment.extend(&self.boundaries, self.written);
        self.boundaries.clear();
    }

    /// Closes the active segment and begins the next; `None` if the active one holds no records and was emptied.
    pub(crate) fn roll(&mut self, now_ms: i64) -> io::Result<Option<Arc<Segment>>> {
        self.sync()?;
        self.publish();
        if self.written.next_offset == self.segment.base_offset {
            self.empty()?;
            return Ok(None);
        }
        self.store_progress(self.written.bytes)?;
        self.file.forget(self.wake.rest(self.synced));
        self.segment.close(&self.dir)?;
        let next = Segment::create(&self.storage, &self.dir, self.written.next_offset, now_ms)?;
        self.storage.sync_dir(&self.dir)?;
        let next = Arc::new(next);
        tracing::debug!(segment = %next.path.display(), "rolled");
        self.file = next.file().ok_or_else(|| io::Error::other("a new segment has no open file"))?;
        self.segment = Arc::clone(&next);
        self.written = Summary::empty(self.written.next_offset, now_ms);
        (self.synced, self.next_boundary, self.wake) = (0, 0, Wake::default());
        Ok(Some(next))
    }

    /// A segment full of progress alone cannot be closed: the next would have its name. Its frames are no longer
    /// needed once the progress file has them; until then replaying them again gives the same progress.
    fn empty(&mut self) -> io::Result<()> {
        self.store_progress(0)?;
        self.file.truncate(0)?;
        self.file.sync()?;
        self.segment.reset();
        self.written.bytes = 0;
        (self.synced, self.next_boundary, self.wake) = (0, 0, Wake::default());
        Ok(())
    }

    /// Stores progress as of `bytes` of the active segment. Everything written must be durable.
    fn store_progress(&self, bytes: u64) -> io::Result<()> {
        let file = ProgressFile { segment: self.segment.base_offset, bytes, progress: self.progress.clone() };
        file.store(&*self.storage, &self.dir)
    }

    /// Clean stop: progress need not be replayed, and the end of the file is known to be durable.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.sync()?;
        self.publish();
        self.store_progress(self.written.bytes)
    }

    /// Progress as of the last frame written.
    pub(crate) fn progress(&self) -> &ProgressMap {
        &self.progress
    }

    /// Frames written to the active segment.
    pub(crate) fn written(&self) -> Summary {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte is given back once, in order, and never what lies within the wake.
    #[test]
    fn a_wake_of_bounded_length_is_kept() {
        let mut wake = Wake::default();
        let (mut end, mut given_back) = (0, 0);
        while end < 10 * DEFAULT_WAKE_BYTES {
            end += 1_700_000;
            let Some(bytes) = wake.behind(end) else {
                assert!(end - given_back < DEFAULT_WAKE_BYTES + WAKE_STEP_BYTES, "{end}");
                continue;
            };
            assert_eq!(bytes.start, given_back);
            given_back = bytes.end;
            assert!(bytes.end + DEFAULT_WAKE_BYTES <= end);
        }
        assert_eq!(wake.rest(end), given_back..end);
        assert_eq!(wake.rest(end), end..end);
    }
}
