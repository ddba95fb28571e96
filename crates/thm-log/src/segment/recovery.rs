//! What a segment file holds after a stop or a crash: its whole frames, a torn tail to cut, or damage to refuse.
//!
//! ```text
//!   ├── frames whose checksums hold ──┤ B: first bytes that are no frame          end of file
//!                                     │
//!        nothing valid after B  ──────┼──▶ torn tail: cut (only the last segment has one)
//!        B below what was fsynced ────┼──▶ damage: refuse
//!        a valid frame after B  ──────┴──▶ damage: refuse, unless that frame itself was never fsynced and
//!                                          a page between is a hole: the crash kept later pages, lost earlier ones
//! ```
//!
//! A frame says how much of the file was fsynced when it was written; so bytes below that are known to have been
//! durable, and losing them is never mistaken for a torn tail.

use std::io;
use std::path::Path;

use thm_api::{Error, ErrorKind, Result};

use super::index::{Index, Summary};
use super::scan::{Scanned, Scanner};
use crate::frame::{Frame, FrameError, MARKER};
use crate::storage::LogFile;

/// File systems lose and keep whole pages of this size.
const PAGE_BYTES: u64 = 4096;

/// A segment read from end to end.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Rebuilt index.
    pub index: Index,
    /// Its whole frames.
    pub summary: Summary,
}

/// Which file, and what is known about it from elsewhere.
pub(crate) struct Subject<'a> {
    /// Its path, for messages.
    pub path: &'a Path,
    /// The file.
    pub file: &'a dyn LogFile,
    /// Offset its first frame must have.
    pub base_offset: i64,
    /// Bytes that the partition's state says were durable.
    pub durable_bytes: u64,
    /// Whether a torn tail may be cut: only of the last segment.
    pub last: bool,
}

/// Checks every frame and shows it to `see`; cuts a torn tail.
pub(crate) fn recover(subject: &Subject<'_>, mut see: impl FnMut(&Scanned<'_>)) -> Result<Recovered> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::LogIo, "recovering segment", subject.path.display().to_string()).with_source(error)
    };
    let end = subject.file.length().map_err(failed)?;
    if end < subject.durable_bytes {
        return Err(corrupt(
            subject.path,
            end,
            format!("the file ends here, {} bytes were durable", subject.durable_bytes),
        ));
    }
    let mut index = Index::default();
    let mut summary = Summary::empty(subject.base_offset, subject.file.modified_ms().map_err(failed)?);
    let mut scanner = Scanner::new(subject.file, 0, end);
    let problem = loop {
        let scanned = match scanner.next().map_err(failed)? {
            Ok(Some(scanned)) => scanned,
            Ok(None) => break None,
            Err(problem) => break Some(problem),
        };
        let frame = &scanned.frame;
        if frame.base_offset != summary.next_offset {
            let cause = format!("offset {} stands where {} is due", frame.base_offset, summary.next_offset);
            return Err(corrupt(subject.path, scanned.position, cause));
        }
        see(&scanned);
        index.offer(&summary);
        summary.add(frame.length as u64, frame.next_offset(), scanned.max_timestamp_ms());
    };
    if let Some(problem) = problem {
        let at = scanner.position();
        judge(subject, at, end, problem)?;
        subject.file.truncate(at).and_then(|()| subject.file.sync()).map_err(failed)?;
        tracing::warn!(segment = %subject.path.display(), at, bytes = end - at, %problem, "cut a torn tail");
    }
    Ok(Recovered { index, summary })
}

/// `Ok` if what begins at `at` is a torn tail.
fn judge(subject: &Subject<'_>, at: u64, end: u64, problem: FrameError) -> Result<()> {
    let refuse = |why: &str| Err(corrupt(subject.path, at, format!("{problem}; {why}")));
    if !subject.last {
        return refuse("the segment was closed and durable");
    }
    if at < subject.durable_bytes {
        return refuse("these bytes were durable at the last stop or roll");
    }
    let mut rest = vec![0; usize::try_from(end - at).unwrap_or(usize::MAX)];
    let read = subject.file.read_at(at, &mut rest).map_err(|error| {
        Error::new(ErrorKind::LogIo, "recovering segment", subject.path.display().to_string()).with_source(error)
    })?;
    rest.truncate(read);
    let Some(first) = valid_frames(&rest).next() else { return Ok(()) };
    if valid_frames(&rest).any(|(_, frame)| frame.synced > at) {
        return refuse("a later frame says they were durable");
    }
    if has_hole(&rest[..first.0], at) { Ok(()) } else { refuse("whole frames follow") }
}

/// Every place after the first byte where a whole frame begins.
fn valid_frames(bytes: &[u8]) -> impl Iterator<Item = (usize, Frame<'_>)> {
    let starts = bytes.windows(MARKER.len()).enumerate().skip(1).filter(|(_, window)| *window == MARKER);
    starts.filter_map(|(at, _)| Frame::decode(&bytes[at..]).ok().map(|frame| (at, frame)))
}

/// Whether a page, or the rest of the page in which `bytes` begin, holds nothing but zeros: it was never written.
fn has_hole(bytes: &[u8], position: u64) -> bool {
    let first_page = (PAGE_BYTES - position % PAGE_BYTES) as usize;
    let (head, rest) = bytes.split_at(first_page.min(bytes.len()));
    let zeros = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    (head.len() == first_page && zeros(head)) || rest.chunks_exact(PAGE_BYTES as usize).any(zeros)
}

/// The error of bytes that are not what was written.
pub(crate) fn corrupt(path: &Path, byte: u64, cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::LogCorrupt, "reading segment", format!("{} at byte {byte}", path.display()))
        .with_source(cause.into())
}
