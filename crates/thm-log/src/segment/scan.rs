//! `Scanner`: the frames of a segment one after the other, through a window of bounded size.

use std::io;

use crate::frame::{self, Frame, FrameError};
use crate::storage::LogFile;

/// Bytes read at once; the window grows for a frame that is larger.
const WINDOW_BYTES: usize = 1 << 20;

/// A pass over a file from some frame boundary to an end.
pub(crate) struct Scanner<'a> {
    file: &'a dyn LogFile,
    end: u64,
    position: u64,
    window: Vec<u8>,
    used: usize,
}

/// A frame and where it stands.
pub(crate) struct Scanned<'a> {
    /// Its first byte in the file.
    pub position: u64,
    /// The frame.
    pub frame: Frame<'a>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Scanned<'_> {
    /// Latest timestamp as the batch's header says; -1 without a batch.
    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        let field = self.bytes.get(self.frame.batch_from + 35..self.frame.batch_from + 43);
        field.and_then(|bytes| bytes.try_into().ok()).map_or(-1, i64::from_be_bytes)
    }
}

impl<'a> Scanner<'a> {
    /// Starts at `position`, which must be a frame boundary.
    pub(crate) fn new(file: &'a dyn LogFile, position: u64, end: u64) -> Self {
        Self { file, end, position, window: Vec::new(), used: 0 }
    }

    /// Where the next frame begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next frame; `None` at the end; or why the bytes there are no frame (the position stays).
    pub(crate) fn next(&mut self) -> io::Result<Result<Option<Scanned<'_>>, FrameError>> {
        if self.position >= self.end {
            return Ok(Ok(None));
        }
        self.fill(frame::FIXED_BYTES)?;
        let length = match frame::peek_length(&self.window[self.used..]) {
            Ok(length) if length as u64 > self.end - self.position => return Ok(Err(FrameError::Short(length))),
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        self.fill(length)?;
        let from = self.used;
        let position = self.position;
        let bytes = &self.window[from..];
        match Frame::decode(bytes) {
            Ok(frame) => {
                self.used += length;
                self.position += length as u64;
                Ok(Ok(Some(Scanned { position, frame, bytes: &bytes[..length] })))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Has at least `need` bytes from the position on in the window, or all there are.
    fn fill(&mut self, need: usize) -> io::Result<()> {
        if self.window.len() - self.used >= need {
            return Ok(());
        }
        self.window.drain(..self.used);
        self.used = 0;
        let have = self.window.len();
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let want = need.max(WINDOW_BYTES).min(left);
        self.window.resize(want.max(have), 0);
        let read = self.file.read_at(self.position + have as u64, &mut self.window[have..])?;
        self.window.truncate(have + read);
        Ok(())
    }
}
