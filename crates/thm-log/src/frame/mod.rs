//! The frame: one append as it lies in a segment. A pure codec; no I/O.
//!
//! ```text
//!   0  marker        4 bytes "THF1": the format, and where to look for the next frame after damage
//!   4  length        u32  of the whole frame
//!   8  head CRC32C   u32  over bytes 12.. of the head
//!  12  flags         u8   has a batch, has progress, has positions
//!  13  zero          u8
//!  14  name length   u16  of the producer
//!  16  base offset   i64  of the batch, or where one would have stood
//!  24  records       u32
//!  28  head length   u32  where the batch begins
//!  32  synced        u64  how much of the file was fsynced when this was written
//!  40  batch CRC32C  u32  over the batch without its base offset
//!  44  producer name · progress (varints) · positions (delta varints)      ── end of the head
//!      RecordBatch v2, untouched but for its base offset
//! ```
//!
//! Fixed fields are little-endian. Invariant: a frame whose CRCs hold was written whole by us.

mod crc;
mod varint;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use thm_api::{Lsn, Position, Progress};
use varint::{Reader, write_i64, write_u64};

/// First bytes of every frame.
pub(crate) const MARKER: [u8; 4] = *b"THF1";

/// Bytes of the fixed fields.
pub(crate) const FIXED_BYTES: usize = 44;

/// The batch's own base offset, which the head's CRC covers by its copy.
const BASE_OFFSET_BYTES: usize = 8;

const HAS_BATCH: u8 = 1;
const HAS_PROGRESS: u8 = 2;
const HAS_POSITIONS: u8 = 4;

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The bytes end before the frame does; it needs at least this many.
    Short(usize),
    /// They do not begin with the marker.
    NoMarker,
    /// Its lengths contradict each other.
    Length,
    /// The head's checksum is wrong.
    HeadCrc,
    /// The batch's checksum or base offset is wrong.
    BatchCrc,
    /// A field of the head cannot be decoded although its checksum holds.
    Field,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(need) => write!(f, "the frame is cut short, it needs {need} bytes"),
            Self::NoMarker => f.write_str("there is no frame marker"),
            Self::Length => f.write_str("the frame's lengths contradict each other"),
            Self::HeadCrc => f.write_str("the frame's head fails its checksum"),
            Self::BatchCrc => f.write_str("the batch fails its checksum"),
            Self::Field => f.write_str("a field of the frame cannot be decoded"),
        }
    }
}

impl std::error::Error for FrameError {}

/// What goes into a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameRef<'a> {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Number of records; 0 for progress alone.
    pub records: u32,
    /// The batch, with the base offset in it and its own CRC right; empty for progress alone.
    pub batch: &'a [u8],
    /// One per record, or none.
    pub positions: &'a [Position],
    /// Who wrote it, and how far that brings him.
    pub progress: Option<(&'a str, Progress)>,
    /// How much of the segment file is known to be fsynced.
    pub synced: u64,
}

/// Appends the frame's head to `out`; the batch's bytes follow it in the file. Returns the frame's whole length.
pub(crate) fn encode_head(out: &mut Vec<u8>, frame: &FrameRef<'_>) -> u64 {
    let start = out.len();
    let name = frame.progress.map_or("", |(name, _)| name);
    let mut flags = if frame.batch.is_empty() { 0 } else { HAS_BATCH };
    flags |= if frame.progress.is_some() { HAS_PROGRESS } else { 0 };
    flags |= if frame.positions.is_empty() { 0 } else { HAS_POSITIONS };
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&[flags, 0]);
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(&frame.base_offset.to_le_bytes());
    out.extend_from_slice(&frame.records.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&frame.synced.to_le_bytes());
    out.extend_from_slice(&crc::without_base_offset(frame.batch).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    if let Some((_, progress)) = frame.progress {
        write_u64(out, progress.position.commit_end.0);
        write_u64(out, progress.position.ordinal);
        write_u64(out, u64::from(progress.input));
        write_i64(out, progress.offset);
    }
    write_positions(out, frame.positions);
    let head_bytes = out.len() - start;
    let length = head_bytes + frame.batch.len();
    out[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    out[start + 28..start + 32].copy_from_slice(&(head_bytes as u32).to_le_bytes());
    let crc = crc32c::crc32c(&out[start + 12..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
    length as u64
}

/// Length of the frame at the start of `bytes` as its fixed fields say, without looking at checksums.
pub(crate) fn peek_length(bytes: &[u8]) -> Result<usize, FrameError> {
    let fixed = bytes.get(..FIXED_BYTES).ok_or(FrameError::Short(FIXED_BYTES))?;
    if fixed[..4] != MARKER {
        return Err(FrameError::NoMarker);
    }
    let length = u32_at(fixed, 4) as usize;
    let head = u32_at(fixed, 28) as usize;
    if head < FIXED_BYTES || length < head { Err(FrameError::Length) } else { Ok(length) }
}

/// Fixed fields of a frame whose bytes are all there, before any checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// Whole length in bytes.
    pub length: usize,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Number of records.
    pub records: u32,
}

impl Fixed {
    /// Offset after the last record.
    pub(crate) const fn next_offset(&self) -> i64 {
        self.base_offset + self.records as i64
    }
}

/// The fixed fields of the frame at the start of `bytes`, which may end before the frame does. Unchecked: only good
/// for stepping over frames.
pub(crate) fn peek(bytes: &[u8]) -> Result<Fixed, FrameError> {
    let length = peek_length(bytes)?;
    let base_offset = u64_at(bytes, 16) as i64;
    Ok(Fixed { length, base_offset, records: u32_at(bytes, 24) })
}

/// A frame whose checksums hold.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    head: &'a [u8],
    flags: u8,
    name: &'a str,
    rest: usize,
    /// Whole length in bytes.
    pub length: usize,
    /// Where the batch begins.
    pub batch_from: usize,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Number of records; 0 for progress alone.
    pub records: u32,
    /// How much of the file was fsynced when it was written.
    pub synced: u64,
    /// Producer and progress.
    pub progress: Option<Progress>,
}

impl<'a> Frame<'a> {
    /// Checks and decodes the frame at the start of `bytes`.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let length = peek_length(bytes)?;
        let whole = bytes.get(..length).ok_or(FrameError::Short(length))?;
        let batch_from = u32_at(whole, 28) as usize;
        let (head, batch) = whole.split_at(batch_from);
        if crc32c::crc32c(&head[12..]) != u32_at(head, 8) {
            return Err(FrameError::HeadCrc);
        }
        let base_offset = u64_at(head, 16) as i64;
        let body = batch.get(BASE_OFFSET_BYTES..).unwrap_or_default();
        if crc32c::crc32c(body) != u32_at(head, 40) {
            return Err(FrameError::BatchCrc);
        }
        if batch.get(..BASE_OFFSET_BYTES).is_some_and(|field| field != base_offset.to_be_bytes()) {
            return Err(FrameError::BatchCrc);
        }
        let flags = head[12];
        let name_to = FIXED_BYTES + usize::from(u16::from_le_bytes([head[14], head[15]]));
        let name = head.get(FIXED_BYTES..name_to).ok_or(FrameError::Field)?;
        let name = std::str::from_utf8(name).map_err(|_| FrameError::Field)?;
        let mut reader = Reader::new(head, name_to);
        let progress = if flags & HAS_PROGRESS == 0 { None } else { Some(read_progress(&mut reader)?) };
        let (records, synced) = (u32_at(head, 24), u64_at(head, 32));
        if (flags & HAS_BATCH == 0) != batch.is_empty() || (records == 0) != batch.is_empty() {
            return Err(FrameError::Field);
        }
        let rest = reader.at();
        Ok(Self { head, flags, name, rest, length, batch_from, base_offset, records, synced, progress })
    }

    /// Offset after the last record.
    pub(crate) const fn next_offset(&self) -> i64 {
        self.base_offset + self.records as i64
    }

    /// Who wrote it; none for foreign batches.
    pub(crate) fn producer(&self) -> Option<&'a str> {
        self.progress.map(|_| self.name)
    }

    /// Position of each record; empty for foreign batches.
    pub(crate) fn positions(&self) -> Result<Arc<[Position]>, FrameError> {
        if self.flags & HAS_POSITIONS == 0 {
            return Ok(Arc::default());
        }
        read_positions(&mut Reader::new(self.head, self.rest), self.records)
    }

    /// The batch as a slice of the bytes it was decoded from; `whole` begins where the frame does.
    pub(crate) fn batch(&self, whole: &Bytes) -> Bytes {
        whole.slice(self.batch_from..self.length)
    }
}

/// Each position as the difference from the one before: the same transaction and the next ordinal take 2 bytes.
fn write_positions(out: &mut Vec<u8>, positions: &[Position]) {
    let mut last = Position::default();
    for position in positions {
        write_i64(out, position.commit_end.0.wrapping_sub(last.commit_end.0) as i64);
        write_i64(out, position.ordinal.wrapping_sub(last.ordinal) as i64);
        last = *position;
    }
}

fn read_positions(reader: &mut Reader<'_>, records: u32) -> Result<Arc<[Position]>, FrameError> {
    // Each takes at least 2 bytes: a wrong count cannot make us reserve more than the frame's own size.
    if reader.left() / 2 < records as usize {
        return Err(FrameError::Field);
    }
    let mut positions = Vec::with_capacity(records as usize);
    let mut last = Position::default();
    for _ in 0..records {
        let commit_end = Lsn(last.commit_end.0.wrapping_add(reader.i64()? as u64));
        let ordinal = last.ordinal.wrapping_add(reader.i64()? as u64);
        last = Position { commit_end, ordinal };
        positions.push(last);
    }
    Ok(positions.into())
}

fn read_progress(reader: &mut Reader<'_>) -> Result<Progress, FrameError> {
    let commit_end = Lsn(reader.u64()?);
    let ordinal = reader.u64()?;
    let input = u32::try_from(reader.u64()?).map_err(|_| FrameError::Field)?;
    Ok(Progress { position: Position { commit_end, ordinal }, input, offset: reader.i64()? })
}

/// Callers have checked that the fixed fields are there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, u64::from_le_bytes)
}
