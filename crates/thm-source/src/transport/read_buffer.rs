//! Bytes between the socket and the frames in them.
//!
//! ```text
//!   ├── given away ──┼── frames, the last one maybe cut ──┼── free: the next read goes here ──┤
//!   0              start                                 end                               len
//! ```
//!
//! A frame is given as a range of the buffer, which stays until the next read: nothing is copied but a cut frame's
//! beginning, and that only when the end of the buffer is near. Limits: the buffer grows from
//! [`DEFAULT_FIRST_READ_BYTES`] to [`DEFAULT_READ_BYTES`] as long as reads fill it, beyond that only to hold one long
//! frame, in steps that follow what has arrived, and gives that memory back afterwards.

use std::io;
use std::ops::Range;

use super::frame::{self, Frame, FrameError};

/// What an idle stream reads into: some hundred messages.
const DEFAULT_FIRST_READ_BYTES: usize = 64 * 1024;
/// Reads are at most so long: beyond it a system call costs nothing beside the copy it makes, and more would only be
/// memory.
pub const DEFAULT_READ_BYTES: usize = 1 << 20;
/// Below so much free space the rest is moved to the front before the next read.
const LEAST_FREE_BYTES: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; DEFAULT_FIRST_READ_BYTES], start: 0, end: 0 }
    }
}

/// What one read did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSize {
    /// Bytes that came.
    pub bytes: usize,
    /// It filled the buffer: more may be waiting.
    pub filled: bool,
}

impl ReadBuffer {
    /// Reads once. Ranges given before are no longer valid. No bytes: the other side has ended the connection.
    pub fn read(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<ReadSize> {
        self.make_room();
        let free = &mut self.bytes[self.end..];
        let free_bytes = free.len();
        let bytes = read(free)?.min(free_bytes);
        self.end += bytes;
        Ok(ReadSize { bytes, filled: bytes == free_bytes })
    }

    /// The next whole frame, taken off the front.
    #[inline]
    pub fn frame(&mut self, max_body_bytes: usize) -> Result<Option<Frame>, FrameError> {
        let Some(found) = frame::split(&self.bytes[self.start..self.end], max_body_bytes)? else { return Ok(None) };
        let body = self.start + found.body.start..self.start + found.body.end;
        self.start = body.end;
        Ok(Some(Frame { tag: found.tag, body }))
    }

    /// Bytes of a frame's body.
    #[inline]
    #[must_use]
    pub fn body(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    fn make_room(&mut self) {
        let held = self.end - self.start;
        if held == 0 {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > DEFAULT_READ_BYTES {
                self.bytes.truncate(DEFAULT_READ_BYTES);
                self.bytes.shrink_to_fit();
            }
        }
        if self.bytes.len() - self.end >= LEAST_FREE_BYTES {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, held);
        // Full again although all of it was taken each time: reads are as long as the buffer is.
        if self.bytes.len() < DEFAULT_READ_BYTES || self.bytes.len() - held < LEAST_FREE_BYTES {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Reads `wire` in pieces of the given lengths, taking every frame that is there after each.
    fn frames(wire: &[u8], pieces: impl Iterator<Item = usize>) -> (Vec<(u8, Vec<u8>)>, usize) {
        let (mut buffer, mut found, mut at, mut largest) = (ReadBuffer::default(), Vec::new(), 0, 0);
        for piece in pieces {
            let size = buffer.read(|free| {
                let take = piece.min(free.len()).min(wire.len() - at);
                free[..take].copy_from_slice(&wire[at..at + take]);
                Ok(take)
            });
            at += size.unwrap().bytes;
            while let Some(frame) = buffer.frame(1 << 30).unwrap() {
                found.push((frame.tag, buffer.body(frame.body).to_vec()));
            }
            largest = largest.max(buffer.bytes.len());
            if at == wire.len() {
                break;
            }
        }
        (found, largest)
    }

    fn wire(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (tag, body) in frames {
            wire.push(*tag);
            wire.extend((body.len() as u32 + 4).to_be_bytes());
            wire.extend_from_slice(body);
        }
        wire
    }

    proptest! {
        /// Wherever the pieces end, the frames are the same.
        #[test]
        fn frames_cut_anywhere_are_the_same(
            sent in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 1..30),
            pieces in proptest::collection::vec(1_usize..400, 1..20),
        ) {
            let (found, _) = frames(&wire(&sent), pieces.into_iter().cycle());
            prop_assert_eq!(found, sent);
        }
    }

    #[test]
    fn long_frames_grow_the_buffer_and_give_the_memory_back() {
        let sent: Vec<_> = [10, 5 << 20, 10, 700_000, 10].map(|length| (b'd', vec![7_u8; length])).into();
        let (found, largest) = frames(&wire(&sent), std::iter::repeat(usize::MAX));
        assert!(found == sent, "frames differ");
        assert!(largest <= 16 << 20, "{largest}");
        let mut buffer = ReadBuffer { bytes: vec![0; 8 << 20], start: 5, end: 5 };
        buffer.read(|free| Ok(free.len().min(1))).unwrap();
        assert_eq!(buffer.bytes.len(), DEFAULT_READ_BYTES);
    }

    #[test]
    fn a_claimed_length_reserves_nothing_before_its_bytes_come() {
        let mut buffer = ReadBuffer::default();
        for _ in 0..100 {
            buffer
                .read(|free| {
                    free[..5].copy_from_slice(&[b'd', 0x30, 0, 0, 0]);
                    Ok(5)
                })
                .unwrap();
            assert_eq!(buffer.frame(1 << 30), Ok(None));
        }
        assert_eq!(buffer.bytes.len(), DEFAULT_FIRST_READ_BYTES);
    }
}
