//! The groups' file: one line per fsync, each with its own CRC.
//!
//! ```text
//!   thm-groups 1
//!   9a1b02ff [{"g":"connect-ch","n":2,"c":true,"t":1763800000000,"set":[["thm.enriched.events",0,128,""]]}]
//!   ▲        ▲ all records that became durable together, as JSON
//!   └─ CRC32C of the JSON, eight hex digits
//! ```
//!
//! A line is acknowledged before the next one is written, so a crash can spoil the last line only: that one is
//! cut off. A bad line with a good one after it is damage, and the file is refused. When the file has grown
//! enough it is replaced, by rename, with one line of whole groups.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thm_api::{Error, ErrorKind, Result};

use super::state::{Groups, Record, apply};

/// First line of the file: format and version.
const HEADER: &str = "thm-groups 1";

/// The file is rewritten when it has at least this many bytes, and twice what it had after the last time. A
/// connector adds about 150 bytes a second, so that is a few rewrites a day.
pub const DEFAULT_COMPACT_BYTES: u64 = 4 << 20;

/// Where lines go: the file, or a test's double that forgets what was not synced.
pub trait Storage: Send + 'static {
    /// Writes at the end. May stay in the operating system's cache.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Everything appended so far is durable when it returns.
    fn sync(&mut self) -> io::Result<()>;
    /// Puts `bytes` in place of all there is, atomically and durably.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The real file.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    file: File,
}

impl FileStorage {
    /// Opens or creates the file and gives what is in it.
    pub fn open(path: &Path) -> Result<(Self, Vec<u8>)> {
        let failed = |error| {
            Error::new(ErrorKind::LogIo, "opening the file of consumer groups", path.display().to_string())
                .with_source(error)
        };
        let open = || -> io::Result<(File, Vec<u8>)> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            Ok((file, fs::read(path)?))
        };
        let (file, content) = open().map_err(failed)?;
        Ok((Self { path: path.to_owned(), file }, content))
    }
}

impl Storage for FileStorage {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("tmp");
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}

/// Appends lines and compacts.
pub struct Journal {
    storage: Box<dyn Storage>,
    /// Bytes in the file.
    bytes: u64,
    /// Bytes at which it is rewritten.
    compact_at: u64,
    /// Set by a failed write or fsync: what is on disk is unknown, so nothing more may be promised.
    broken: bool,
}

impl Journal {
    /// Replays `content` and makes the file whole again: header present, no torn line.
    pub fn open(mut storage: Box<dyn Storage>, content: &[u8], name: &str) -> Result<(Self, Groups)> {
        let (groups, good) = replay(content, name)?;
        let torn = good != content.len();
        if torn {
            tracing::warn!(bytes = content.len() - good, "cut a torn line off the file of consumer groups");
        }
        if torn || content.is_empty() {
            let whole = snapshot(&groups);
            storage.replace(&whole).map_err(|error| write_failed(error, name))?;
        }
        let bytes = good as u64;
        Ok((Self { storage, bytes, compact_at: DEFAULT_COMPACT_BYTES.max(2 * bytes), broken: false }, groups))
    }

    /// Makes the records durable. After an error every later call fails as well.
    pub fn write(&mut self, records: &[Record]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write of consumer groups failed"));
        }
        let line = encode_line(records);
        let written = self.storage.append(&line).and_then(|()| self.storage.sync());
        self.broken = written.is_err();
        self.bytes += line.len() as u64;
        written
    }

    /// Rewrites the file if it has grown enough.
    pub fn compact_if_due(&mut self, groups: &Groups) -> io::Result<()> {
        if self.broken || self.bytes < self.compact_at {
            return Ok(());
        }
        let whole = snapshot(groups);
        let replaced = self.storage.replace(&whole);
        self.broken = replaced.is_err();
        self.bytes = whole.len() as u64;
        self.compact_at = DEFAULT_COMPACT_BYTES.max(2 * self.bytes);
        replaced
    }
}

fn write_failed(error: io::Error, name: &str) -> Error {
    Error::new(ErrorKind::LogIo, "writing the file of consumer groups", name).with_source(error)
}

fn encode_line(records: &[Record]) -> Vec<u8> {
    let json = serde_json::to_vec(records).expect("records of groups have text keys and finite numbers");
    let mut line = format!("{:08x} ", crc32c::crc32c(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

fn decode_line(line: &[u8]) -> Option<Vec<Record>> {
    let (crc, json) = (line.get(..8)?, line.get(9..)?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    if crc != crc32c::crc32c(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// The whole file for these groups.
fn snapshot(groups: &Groups) -> Vec<u8> {
    let mut whole = format!("{HEADER}\n").into_bytes();
    let mut records: Vec<_> = groups.iter().map(|(name, stored)| Record::whole(name, stored)).collect();
    records.sort_by(|a, b| a.group.cmp(&b.group));
    if !records.is_empty() {
        whole.extend_from_slice(&encode_line(&records));
    }
    whole
}

/// The groups, and how many bytes of the file are whole lines.
fn replay(content: &[u8], name: &str) -> Result<(Groups, usize)> {
    let corrupt = |what: &'static str| Error::new(ErrorKind::LogCorrupt, what, name);
    let mut groups = Groups::new();
    let mut lines = content.split_inclusive(|byte| *byte == b'\n');
    let Some(first) = lines.next() else { return Ok((groups, 0)) };
    if first != format!("{HEADER}\n").as_bytes() {
        // Only creation writes a header, by rename: another one is no crash's work.
        return Err(corrupt("reading the header of the file of consumer groups"));
    }
    let mut good = first.len();
    let mut bad = false;
    for line in lines {
        let records = line.strip_suffix(b"\n").and_then(decode_line);
        match records {
            Some(_) if bad => return Err(corrupt("reading a damaged line of the file of consumer groups")),
            Some(records) => {
                records.iter().for_each(|record| apply(&mut groups, record));
                good += line.len();
            }
            None => bad = true,
        }
    }
    Ok((groups, good))
}
