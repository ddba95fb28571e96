//! Messages of one transaction, held until its commit.
//!
//! ```text
//!   Change ──▶ arena (bytes) ──beyond the limit──▶ unnamed file in the spool folder
//!                  └────────── commit ──────────────────┴──▶ peek/advance, message by message
//! ```
//!
//! A row's `Position` holds the **end** of the commit record, which protocol version 1 tells only with the commit
//! message, after all rows. So the raw messages wait here and are encoded when the end is known. Holding them raw
//! keeps one way of encoding, lets a poll stop between any two rows of a huge transaction, and costs one copy of some
//! hundred bytes a row. Beyond the limit they go to a file that has no name any more when it is written, so nothing is
//! left of it after a crash: the server sends the transaction again.
//!
//! Frame, in memory as in the file: length u32 │ LSN u64 │ message.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thm_api::{Error, ErrorKind, Lsn, Result};

const FRAME_HEAD_BYTES: usize = 12;
/// Reads of the file are of this size: large enough that the calls do not count.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// A transaction that is open or being given out.
#[derive(Debug)]
pub struct TransactionBuffer {
    spool: PathBuf,
    limit_bytes: usize,
    arena: Vec<u8>,
    at: usize,
    file: Option<File>,
    reader: Option<SpillReader>,
}

#[derive(Debug)]
struct SpillReader {
    file: BufReader<File>,
    left_bytes: u64,
    frame: Vec<u8>,
    loaded: bool,
}

impl TransactionBuffer {
    /// `limit_bytes` stay in memory, the rest goes to `spool`.
    #[must_use]
    pub fn new(spool: PathBuf, limit_bytes: usize) -> Self {
        Self { spool, limit_bytes, arena: Vec::new(), at: 0, file: None, reader: None }
    }

    /// Appends a message.
    pub fn push(&mut self, lsn: u64, message: &[u8]) -> Result<()> {
        let frame_bytes = FRAME_HEAD_BYTES + message.len();
        if !self.arena.is_empty() && self.arena.len() + frame_bytes > self.limit_bytes {
            self.spill()?;
        }
        self.arena.extend_from_slice(&(message.len() as u32).to_be_bytes());
        self.arena.extend_from_slice(&lsn.to_be_bytes());
        self.arena.extend_from_slice(message);
        Ok(())
    }

    /// No message will follow: [`Self::peek`] gives them now.
    pub fn finish(&mut self) -> Result<()> {
        self.at = 0;
        if self.file.is_none() {
            return Ok(());
        }
        self.spill()?;
        if let Some(mut file) = self.file.take() {
            let left_bytes = file.stream_position().map_err(|error| self.failed(error))?;
            file.seek(SeekFrom::Start(0)).map_err(|error| self.failed(error))?;
            let file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
            self.reader = Some(SpillReader { file, left_bytes, frame: Vec::new(), loaded: false });
        }
        Ok(())
    }

    /// The message in front, with its LSN; `None` after the last.
    pub fn peek(&mut self) -> Result<Option<(Lsn, &[u8])>> {
        let frame = match &mut self.reader {
            None => self.arena.get(self.at..).unwrap_or_default(),
            Some(reader) => {
                reader.load().map_err(|error| failed(&self.spool, error))?;
                &reader.frame
            }
        };
        let Some((head, rest)) = frame.split_first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let [a, b, c, d, lsn @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        Ok(rest.get(..length).map(|message| (Lsn(u64::from_be_bytes(lsn)), message)))
    }

    /// The messages after the one in front. `None` if some of the transaction is in the file.
    pub fn following(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let mut at = self.at;
        let next = move || {
            let (head, rest) = self.arena.get(at..)?.split_first_chunk::<FRAME_HEAD_BYTES>()?;
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            at += FRAME_HEAD_BYTES + length;
            rest.get(..length)
        };
        (!self.is_spilled()).then(|| std::iter::from_fn(next).skip(1))
    }

    /// Takes the message in front away.
    pub fn advance(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.loaded = false;
            return;
        }
        let head = self.arena.get(self.at..).and_then(|frame| frame.first_chunk::<4>());
        self.at += head.map_or(0, |length| FRAME_HEAD_BYTES + u32::from_be_bytes(*length) as usize);
    }

    /// Forgets everything; memory beyond the limit (one huge message) is given back.
    pub fn clear(&mut self) {
        (self.at, self.file, self.reader) = (0, None, None);
        self.arena.clear();
        self.arena.shrink_to(self.limit_bytes);
    }

    /// Whether some of it went to the file.
    #[must_use]
    pub const fn is_spilled(&self) -> bool {
        self.file.is_some() || self.reader.is_some()
    }

    /// Writes the arena out. The write ends in the page cache; it is as long as the limit is.
    fn spill(&mut self) -> Result<()> {
        if self.file.is_none() {
            let file = unnamed(&self.spool).map_err(|error| self.failed(error))?;
            tracing::info!(limit_bytes = self.limit_bytes, "large transaction goes on in the spool folder");
            metrics::counter!("thm_source_spilled_transactions_total").increment(1);
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.arena).map_err(|error| failed(&self.spool, error))?;
        }
        self.arena.clear();
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        failed(&self.spool, error)
    }
}

impl SpillReader {
    fn load(&mut self) -> std::io::Result<()> {
        if self.loaded {
            return Ok(());
        }
        self.frame.clear();
        self.loaded = true;
        if self.left_bytes == 0 {
            return Ok(());
        }
        let mut head = [0; FRAME_HEAD_BYTES];
        self.file.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        self.frame.extend_from_slice(&head);
        self.frame.resize(FRAME_HEAD_BYTES + length, 0);
        self.file.read_exact(&mut self.frame[FRAME_HEAD_BYTES..])?;
        self.left_bytes = self.left_bytes.saturating_sub(self.frame.len() as u64);
        Ok(())
    }
}

fn failed(spool: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::LogIo, "holding a large transaction", spool.display().to_string()).with_source(error)
}

/// A file that only this process sees and that ends with it.
fn unnamed(spool: &Path) -> std::io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(spool)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = spool.join(format!("transaction-{}-{number}.spool", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn drain(buffer: &mut TransactionBuffer) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some((lsn, message)) = buffer.peek().unwrap() {
            all.push((lsn.0, message.to_vec()));
            buffer.advance();
        }
        all
    }

    #[test]
    fn memory_and_file_give_the_same_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for limit in [1, 100, 1 << 20] {
            let mut buffer = TransactionBuffer::new(folder.path().to_owned(), limit);
            for round in 0..2 {
                let sent: Vec<_> = (0..50_u64).map(|n| (n + round, vec![n as u8; n as usize])).collect();
                for (lsn, message) in &sent {
                    buffer.push(*lsn, message).unwrap();
                }
                buffer.finish().unwrap();
                assert_eq!(buffer.is_spilled(), limit < 1 << 20);
                assert_eq!(drain(&mut buffer), sent);
                buffer.clear();
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left in the spool folder");
    }
}
