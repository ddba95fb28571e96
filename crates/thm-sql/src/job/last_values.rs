//! The last value of each key of an `upsert-kafka` topic, where old rows are wanted: Flink's ChangelogNormalize.
//!
//! ```text
//!   first value of a key → +I      other value → -U of the last, +U      same value → nothing
//!   tombstone → -D of the last     tombstone of an unknown key → nothing
//!
//!   read ahead:   values ──────────────────────────▶ as of the last record read
//!                 undo: what each later record took    └─ without these: as of the last record consumed, for checkpoints
//! ```
//! Invariant: it holds at most [`DEFAULT_MAX_BYTES`] of keys and values; `undo` holds no more than one read.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, Bytes};
use thm_api::{Error, ErrorKind, Result};

use crate::format::ReadError;

/// Bytes of keys and values: a table of some hundred thousand rows. Larger ones belong behind a look-up.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// Values by key.
#[derive(Default)]
pub(super) struct LastValues {
    values: HashMap<Bytes, Bytes>,
    bytes: usize,
    /// Offset and key of records that may not be consumed yet, with the value before them.
    undo: VecDeque<(i64, Bytes, Option<Bytes>)>,
    /// Whether anything is other than in the last snapshot; `None` before the first.
    stored: Option<bool>,
}

impl LastValues {
    /// The last value of a key.
    pub fn get(&self, key: Option<&[u8]>) -> Option<Bytes> {
        self.values.get(key?).cloned()
    }

    /// Follows the record of an offset.
    pub fn put(&mut self, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), ReadError> {
        let Some(key) = key.map(Bytes::copy_from_slice) else { return Ok(()) };
        let gone = match value {
            Some(value) => {
                self.bytes += key.len() + value.len();
                self.values.insert(key.clone(), Bytes::copy_from_slice(value))
            }
            None => self.values.remove(&key),
        };
        self.bytes -= gone.as_ref().map_or(0, |gone| key.len() + gone.len());
        self.undo.push_back((offset, key, gone));
        self.stored = self.stored.map(|_| false);
        if self.bytes > DEFAULT_MAX_BYTES {
            return Err(ReadError::Record("the rows of the upsert-kafka table are more than 64 MiB".to_owned()));
        }
        Ok(())
    }

    /// All records before an offset are consumed.
    pub fn consumed(&mut self, next: i64) {
        while self.undo.front().is_some_and(|(offset, ..)| *offset < next) {
            self.undo.pop_front();
        }
    }

    /// The values as of the records before an offset; none if the last snapshot still holds.
    pub fn snapshot(&mut self, next: i64) -> Option<Vec<u8>> {
        self.consumed(next);
        if self.stored == Some(true) {
            return None;
        }
        // Records that were only read so far change the next snapshot.
        self.stored = Some(self.undo.is_empty());
        let mut before: HashMap<&Bytes, Option<&Bytes>> = HashMap::new();
        for (_, key, value) in &self.undo {
            before.entry(key).or_insert(value.as_ref());
        }
        let untouched = self.values.iter().filter(|(key, _)| !before.contains_key(key));
        let undone = before.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
        let mut out = Vec::with_capacity(self.bytes + 8 * self.values.len());
        for (key, value) in untouched.chain(undone) {
            for part in [key, value] {
                // Far below 4 GiB: `bytes` bounds all of them.
                out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend_from_slice(part);
            }
        }
        Some(out)
    }

    /// What [`Self::snapshot`] gave.
    pub fn restored(stored: Vec<u8>) -> Result<Self> {
        let bad = || Error::new(ErrorKind::DataFolder, "reading a checkpoint", "rows of an upsert-kafka table");
        let mut left = Bytes::from(stored);
        let mut out = Self { stored: Some(true), ..Self::default() };
        while !left.is_empty() {
            let (key, value) = (part(&mut left).ok_or_else(bad)?, part(&mut left).ok_or_else(bad)?);
            out.bytes += key.len() + value.len();
            out.values.insert(key, value);
        }
        Ok(out)
    }
}

/// Bytes with their length before them.
fn part(left: &mut Bytes) -> Option<Bytes> {
    let length = left.try_get_u32().ok()? as usize;
    (length <= left.len()).then(|| left.split_to(length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(values: &mut LastValues, offset: i64, key: &str, value: Option<&str>) {
        values.put(offset, Some(key.as_bytes()), value.map(str::as_bytes)).unwrap();
    }

    fn of(values: &LastValues, key: &str) -> Option<String> {
        values.get(Some(key.as_bytes())).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn a_snapshot_is_as_of_what_was_consumed_not_of_what_was_read() {
        let mut values = LastValues::default();
        put(&mut values, 0, "a", Some("1"));
        put(&mut values, 1, "b", Some("1"));
        put(&mut values, 2, "a", Some("2"));
        put(&mut values, 3, "b", None);
        put(&mut values, 4, "c", Some("1"));
        put(&mut values, 5, "a", Some("3"));
        let then = LastValues::restored(values.snapshot(2).unwrap()).unwrap();
        assert_eq!([of(&then, "a"), of(&then, "b"), of(&then, "c")], [Some("1".into()), Some("1".into()), None]);
        let now = LastValues::restored(values.snapshot(6).unwrap()).unwrap();
        assert_eq!([of(&now, "a"), of(&now, "b"), of(&now, "c")], [Some("3".into()), None, Some("1".into())]);
        assert_eq!(values.snapshot(6), None, "nothing has changed since");
        assert_eq!(now.bytes, values.bytes);
    }

    #[test]
    fn a_snapshot_that_was_cut_is_refused() {
        let mut values = LastValues::default();
        assert_eq!(values.snapshot(0), Some(Vec::new()), "that there is none is kept too");
        put(&mut values, 0, "key", Some("value"));
        let whole = values.snapshot(1).unwrap();
        for length in 1..whole.len() {
            assert!(LastValues::restored(whole[..length].to_vec()).is_err());
        }
    }
}
