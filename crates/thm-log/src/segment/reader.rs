//! Reads from a segment: one `pread` at the index's position, then slices of that one buffer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thm_api::{Error, ErrorKind, FetchedBatch, LogBatch, Offset, Result};

use super::index::INTERVAL_BYTES;
use super::recovery::corrupt;
use super::scan::Scanner;
use super::{Place, Segment};
use crate::frame::{self, Frame, FrameError};

/// Most bytes of one `pread`, whatever the caller would take: a bound on the memory of a read.
const MAX_WINDOW_BYTES: usize = 8 << 20;

/// What a reader wants from a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Batches from the one that holds this offset on.
    pub from: i64,
    /// No batch that begins at or after this offset.
    pub until: i64,
    /// Stop before the batch that would pass this; the first comes whole.
    pub max_bytes: usize,
}

/// How far a walk through a window came.
enum Walk {
    /// The caller has what it wants, or what the window holds of it.
    Done,
    /// Go on `used` bytes later, with a window of at least `need`.
    More { used: usize, need: usize },
}

impl Segment {
    /// Durable batches; empty if `from` is at or after the segment's end.
    pub(crate) fn read(&self, want: &Want) -> Result<Vec<FetchedBatch>> {
        let Place { file, mut position, end } = self.place_of(want.from)?;
        let usual = want.max_bytes.saturating_add(INTERVAL_BYTES as usize).min(MAX_WINDOW_BYTES);
        let mut window = usual;
        let mut found = Vec::new();
        while position < end {
            let length = usize::try_from(end - position).unwrap_or(usize::MAX).min(window);
            let buffer = file.read_new(position, length).map_err(|error| self.failed(error))?;
            if buffer.len() < length {
                let end = position + buffer.len() as u64;
                return Err(corrupt(&self.path, end, "the file ends before its durable bytes do"));
            }
            let buffer = Bytes::from(buffer);
            match walk(&buffer, want, &mut found) {
                Ok(Walk::Done) => break,
                Ok(Walk::More { used, need }) if (used + need) as u64 > end - position => {
                    return Err(corrupt(&self.path, position + used as u64, FrameError::Short(need).to_string()));
                }
                Ok(Walk::More { used, need }) => {
                    position += used as u64;
                    window = usual.max(need);
                }
                Err((at, problem)) => return Err(corrupt(&self.path, position + at as u64, problem.to_string())),
            }
        }
        Ok(found)
    }

    /// Base offset of the first batch with a timestamp at or after `timestamp_ms`.
    pub(crate) fn find_time(&self, timestamp_ms: i64, until: i64) -> Result<Option<i64>> {
        let Place { file, position, end } = self.place_of_time(timestamp_ms)?;
        let mut scanner = Scanner::new(&*file, position, end);
        loop {
            let at = scanner.position();
            match scanner.next().map_err(|error| self.failed(error))? {
                Ok(Some(scanned)) if scanned.frame.base_offset >= until => return Ok(None),
                Ok(Some(scanned)) if scanned.frame.records > 0 && scanned.max_timestamp_ms() >= timestamp_ms => {
                    return Ok(Some(scanned.frame.base_offset));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(problem) => return Err(corrupt(&self.path, at, problem.to_string())),
            }
        }
    }

    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::new(ErrorKind::LogIo, "reading segment", self.path.display().to_string()).with_source(error)
    }
}

/// Collects batches from a window that begins at a frame. An error says at which byte of the window.
fn walk(window: &Bytes, want: &Want, found: &mut Vec<FetchedBatch>) -> Result<Walk, (usize, FrameError)> {
    let mut at = 0;
    let mut taken = 0;
    while at < window.len() {
        let rest = window.slice(at..);
        let fixed = match frame::peek(&rest) {
            Ok(fixed) => fixed,
            Err(FrameError::Short(_)) if !found.is_empty() => return Ok(Walk::Done),
            Err(FrameError::Short(need)) => return Ok(Walk::More { used: at, need }),
            Err(problem) => return Err((at, problem)),
        };
        // Frames before the one wanted, and frames without records: stepped over.
        if fixed.next_offset() <= want.from || fixed.records == 0 {
            at += fixed.length;
            continue;
        }
        if fixed.base_offset >= want.until {
            return Ok(Walk::Done);
        }
        if fixed.length > rest.len() {
            return Ok(if found.is_empty() { Walk::More { used: at, need: fixed.length } } else { Walk::Done });
        }
        let frame = Frame::decode(&rest).map_err(|problem| (at, problem))?;
        taken += frame.length - frame.batch_from;
        if taken > want.max_bytes && !found.is_empty() {
            return Ok(Walk::Done);
        }
        found.push(fetched(&frame, &rest, found.last()).map_err(|problem| (at, problem))?);
        at += frame.length;
    }
    Ok(if found.is_empty() { Walk::More { used: at, need: 0 } } else { Walk::Done })
}

fn fetched(frame: &Frame<'_>, bytes: &Bytes, last: Option<&FetchedBatch>) -> Result<FetchedBatch, FrameError> {
    let producer = frame.producer().map(|name| match last.and_then(|last| last.producer.as_ref()) {
        Some(same) if **same == *name => Arc::clone(same),
        _ => Arc::from(name),
    });
    let batch =
        LogBatch { bytes: frame.batch(bytes), records: frame.records, positions: frame.positions()?, decoded: None };
    Ok(FetchedBatch { base_offset: Offset(frame.base_offset), batch, producer })
}
