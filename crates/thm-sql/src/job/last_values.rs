//! The last value of each key of an `upsert-kafka` topic, for a client that wants to see old rows.
//!
//! ```text
//!   first value of a key → +I      other value → -U of the last, +U      same value → nothing
//!   tombstone → -D of the last     tombstone of an unknown key → nothing
//! ```
//! Invariant: it holds at most [`DEFAULT_MAX_BYTES`]; it lives as long as its query, so that jobs, which go on after a
//! restart, are refused such sources when they are planned.

use std::collections::HashMap;

use bytes::Bytes;

use crate::format::ReadError;

/// Bytes of keys and values: what a query of a shell may take beside jobs.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// Values by key.
#[derive(Default)]
pub(super) struct LastValues {
    values: HashMap<Vec<u8>, Bytes>,
    bytes: usize,
}

impl LastValues {
    /// The last value of a key.
    pub fn get(&self, key: Option<&[u8]>) -> Option<Bytes> {
        self.values.get(key?).cloned()
    }

    /// Follows a record.
    pub fn put(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), ReadError> {
        let Some(key) = key else { return Ok(()) };
        let gone = match value {
            Some(value) => {
                self.bytes += key.len() + value.len();
                self.values.insert(key.to_vec(), Bytes::copy_from_slice(value))
            }
            None => self.values.remove(key),
        };
        self.bytes -= gone.map_or(0, |gone| key.len() + gone.len());
        if self.bytes > DEFAULT_MAX_BYTES {
            return Err(ReadError::Record("the rows of the upsert-kafka table are more than 64 MiB".to_owned()));
        }
        Ok(())
    }
}
