//! The sparse index of a segment: where to start looking for an offset or a time.
//!
//! ```text
//!  <base offset>.index:  "THI1" · entries u32 · summary (4 × 8) · entries (3 × 8 each) · CRC32C
//! ```
//!
//! One entry stands for at least [`INTERVAL_BYTES`] of the segment, so the indexes of a full 10 GiB log take a few
//! MiB. The file is written when the segment is closed and is rebuilt by a scan whenever it is not there or not
//! whole: it can never make a read wrong, only slow.

/// Distance of entries: a look-up reads this much too much at most, a small part of one read.
pub(crate) const INTERVAL_BYTES: u64 = 64 << 10;

const MARKER: [u8; 4] = *b"THI1";
const ENTRY_BYTES: usize = 24;
const HEAD_BYTES: usize = 8 + 4 * 8;

/// A frame boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Every frame before it ends at or before this offset.
    pub offset: i64,
    /// Where it stands in the file.
    pub position: u64,
    /// Latest timestamp of all frames before it, milliseconds since 1970; -1 for none.
    pub max_timestamp_ms: i64,
}

/// What is known about a segment as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Bytes of whole, durable frames.
    pub bytes: u64,
    /// Offset after the last record.
    pub next_offset: i64,
    /// Latest record timestamp, milliseconds since 1970; -1 for none.
    pub max_timestamp_ms: i64,
    /// When it was last written, milliseconds since 1970: its age for retention.
    pub written_ms: i64,
}

impl Summary {
    /// Of an empty segment.
    pub(crate) const fn empty(base_offset: i64, now_ms: i64) -> Self {
        Self { bytes: 0, next_offset: base_offset, max_timestamp_ms: -1, written_ms: now_ms }
    }

    /// Counts one more frame.
    pub(crate) fn add(&mut self, bytes: u64, next_offset: i64, max_timestamp_ms: i64) {
        self.bytes += bytes;
        self.next_offset = next_offset;
        self.max_timestamp_ms = self.max_timestamp_ms.max(max_timestamp_ms);
    }
}

/// Entries in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Offers the boundary before a frame; taken if the last entry is far enough away.
    pub(crate) fn offer(&mut self, before: &Summary) {
        let due = self.entries.last().map_or(0, |entry| entry.position) + INTERVAL_BYTES;
        if before.bytes >= due {
            let Summary { next_offset: offset, bytes: position, max_timestamp_ms, .. } = *before;
            self.entries.push(Entry { offset, position, max_timestamp_ms });
        }
    }

    /// Where to start looking for the frame that holds `offset`.
    pub(crate) fn seek(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }

    /// Where to start looking for the first frame with a timestamp at or after `timestamp_ms`.
    pub(crate) fn seek_time(&self, timestamp_ms: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_ms < timestamp_ms);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }

    /// The file's contents.
    pub(crate) fn encode(&self, summary: &Summary) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.entries.len() * ENTRY_BYTES + 4);
        out.extend_from_slice(&MARKER);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for field in [summary.bytes as i64, summary.next_offset, summary.max_timestamp_ms, summary.written_ms] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for entry in &self.entries {
            for field in [entry.offset, entry.position as i64, entry.max_timestamp_ms] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the file's contents; `None` if they are not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, Summary)> {
        let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if body.get(..4)? != MARKER || crc32c::crc32c(body).to_le_bytes() != crc {
            return None;
        }
        let count = u32::from_le_bytes(body.get(4..8)?.try_into().ok()?) as usize;
        if body.len() != HEAD_BYTES + count.checked_mul(ENTRY_BYTES)? {
            return None;
        }
        let mut fields =
            body[8..].chunks_exact(8).map(|field| i64::from_le_bytes(field.try_into().unwrap_or_default()));
        let mut next = || fields.next();
        let (bytes, next_offset) = (next()? as u64, next()?);
        let summary = Summary { bytes, next_offset, max_timestamp_ms: next()?, written_ms: next()? };
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(Entry { offset: next()?, position: next()? as u64, max_timestamp_ms: next()? });
        }
        Some((Self { entries }, summary))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> (Index, Summary) {
        let mut index = Index::default();
        let mut summary = Summary::empty(100, 5);
        for frame in 0..100 {
            index.offer(&summary);
            summary.add(INTERVAL_BYTES / 2, 100 + (frame + 1) * 10, 1000 + frame);
        }
        (index, summary)
    }

    #[test]
    fn look_ups_start_at_or_before_the_frame() {
        let (index, _) = sample();
        assert_eq!(index.seek(100), 0);
        assert_eq!(index.seek(119), 0);
        assert_eq!(index.seek(120), INTERVAL_BYTES);
        assert_eq!(index.seek(1099), 49 * INTERVAL_BYTES);
        assert_eq!(index.seek_time(0), 0);
        // Frames 0 and 1 have times 1000 and 1001; the first at or after 1001 lies before the first entry.
        assert_eq!(index.seek_time(1001), 0);
        assert_eq!(index.seek_time(1002), INTERVAL_BYTES);
    }

    #[test]
    fn file_round_trip_and_damage() {
        let (index, summary) = sample();
        let bytes = index.encode(&summary);
        assert_eq!(Index::decode(&bytes).unwrap(), (index, summary));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Index::decode(&damaged).is_none());
            assert!(Index::decode(&bytes[..at]).is_none());
        }
    }
}
