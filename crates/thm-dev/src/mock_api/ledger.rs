//! What was received, on disk: one line per accepted request, appended before the answer.
//!
//! ```json
//! {"key":"thm.enriched.events/…","ids":[4711],"sums":[1234567890123456789]}
//! ```
//!
//! `key` is the request's `Idempotency-Key` (null without one), `ids` the `id` of each event in order (null where an
//! event has none), `sums` the [`checksum`] of each event's text, which tells its versions apart. A line is whole or, after a crash, the last one: its request was not acknowledged. No fsync: the
//! file survives the process, which is what the tests kill.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thm_api::Result;

use crate::process::local;

/// Keys remembered to count repeats: 4 million at 24 bytes are 100 MB at most; older ones are forgotten by the
/// counter, never by the file.
const DEFAULT_REMEMBERED_KEYS: usize = 4 << 20;

/// One accepted request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// The `id` of each event, as it stood in the JSON.
    pub ids: Vec<serde_json::Value>,
    /// The [`checksum`] of each event's text; files of older versions have none.
    #[serde(default)]
    pub sums: Vec<u64>,
}

/// What tells versions of an event apart: FNV-1a of its JSON text, 64 bits, the same for ever.
#[must_use]
pub fn checksum(text: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    text.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The same, borrowed, to be written without a copy.
#[derive(Serialize)]
pub(super) struct LedgerLine<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) ids: Vec<Option<&'a RawValue>>,
    pub(super) sums: Vec<u64>,
}

/// Totals since the file began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted requests.
    pub requests: u64,
    /// Events in them.
    pub events: u64,
    /// Accepted requests whose key was seen before.
    pub repeated_keys: u64,
    /// Requests answered 400.
    pub malformed: u64,
    /// Requests refused by a fault.
    pub faults: u64,
}

pub(super) struct Ledger {
    file: File,
    seen: HashSet<u64>,
    order: VecDeque<u64>,
    pub(super) counts: Counts,
    line: Vec<u8>,
}

impl Ledger {
    /// Opens or creates the file, reads what is there and cuts off a line without an end.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| local("opening the ledger", path.display(), error);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(failed)?;
        let mut ledger =
            Self { file, seen: HashSet::new(), order: VecDeque::new(), counts: Counts::default(), line: Vec::new() };
        let whole_bytes = ledger.read_back(path)?;
        ledger.file.set_len(whole_bytes).and_then(|()| ledger.file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok(ledger)
    }

    /// Counts what the file holds; gives the length of its whole lines.
    fn read_back(&mut self, path: &Path) -> Result<u64> {
        let failed = |error: std::io::Error| local("reading the ledger", path.display(), error);
        let mut reader = BufReader::new(self.file.try_clone().map_err(failed)?);
        let (mut line, mut whole_bytes) = (Vec::new(), 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if length == 0 || !line.ends_with(b"\n") {
                return Ok(whole_bytes);
            }
            let entry: LedgerEntry =
                serde_json::from_slice(&line).map_err(|error| local("reading the ledger", path.display(), error))?;
            self.count(entry.key.as_deref(), entry.ids.len());
            whole_bytes += length as u64;
        }
    }

    /// Writes one request down.
    pub(super) fn append(&mut self, entry: &LedgerLine<'_>) -> std::io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry)?;
        self.line.push(b'\n');
        self.file.write_all(&self.line)?;
        self.count(entry.key, entry.ids.len());
        Ok(())
    }

    fn count(&mut self, key: Option<&str>, events: usize) {
        self.counts.requests += 1;
        self.counts.events += events as u64;
        let Some(key) = key else { return };
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.seen.insert(hash) {
            self.counts.repeated_keys += 1;
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > DEFAULT_REMEMBERED_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}
