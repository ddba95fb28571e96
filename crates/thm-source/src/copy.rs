//! `COPY … (FORMAT binary)`, decoded: chunks of bytes in, rows out.
//!
//! ```text
//!   header: 11 bytes of signature │ flags i32 │ extension length i32 │ extension
//!   row:    n i16 │ n × (length i32, -1 for NULL │ bytes)             trailer: -1 i16
//! ```
//!
//! Rows may be cut anywhere between chunks; the reader keeps the beginning of a row until its end comes. A row is given as a
//! tuple, so that snapshot and stream share one way to JSON. Memory: what was pushed and not read, and nothing is allocated
//! for a row.

use bytes::Buf;

use crate::pgoutput::{DecodeError, Tuple};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A row, where the reader holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyRow<'a> {
    columns: u16,
    /// Its values with their lengths.
    bytes: &'a [u8],
}

impl<'a> CopyRow<'a> {
    /// As a tuple; a row is well formed once it was returned.
    #[must_use]
    pub const fn tuple(&self) -> Tuple<'a> {
        Tuple::of_copied(self.columns, self.bytes)
    }
}

/// A row that was kept, in memory that is used for one after the other.
#[derive(Clone, Debug, Default)]
pub struct KeptRow {
    columns: u16,
    bytes: Vec<u8>,
}

impl KeptRow {
    /// Keeps this one instead.
    pub fn keep(&mut self, row: CopyRow<'_>) {
        self.columns = row.columns;
        self.bytes.clear();
        self.bytes.extend_from_slice(row.bytes);
    }

    /// As a tuple.
    #[must_use]
    pub fn tuple(&self) -> Tuple<'_> {
        Tuple::of_copied(self.columns, &self.bytes)
    }
}

/// Reads rows from chunks.
#[derive(Debug, Default)]
pub struct CopyReader {
    /// What came.
    bytes: Vec<u8>,
    /// How much of it is read.
    at: usize,
    in_rows: bool,
    ended: bool,
}

impl CopyReader {
    /// Appends a chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        // A server sends a row as one chunk: then all that came before is read, and nothing is moved.
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole row; `None` until more comes, or at the end.
    pub fn next_row(&mut self) -> Result<Option<CopyRow<'_>>, DecodeError> {
        if self.ended || !self.skip_header()? {
            return Ok(None);
        }
        let Some((columns, mut rest)) = self.bytes[self.at..].split_first_chunk::<2>() else { return Ok(None) };
        let Ok(columns) = u16::try_from(i16::from_be_bytes(*columns)) else {
            self.ended = true;
            return Ok(None);
        };
        let start = self.at + 2;
        for _ in 0..columns {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let Some(after) = after.get(length..) else { return Ok(None) };
            rest = after;
        }
        self.at = self.bytes.len() - rest.len();
        Ok(Some(CopyRow { columns, bytes: &self.bytes[start..self.at] }))
    }

    /// Whether the trailer was read.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    fn skip_header(&mut self) -> Result<bool, DecodeError> {
        if self.in_rows {
            return Ok(true);
        }
        let fixed = SIGNATURE.len() + 8;
        if self.bytes.len() < fixed {
            return Ok(false);
        }
        if !self.bytes.starts_with(SIGNATURE) {
            return Err(DecodeError::new("COPY does not begin with its signature"));
        }
        let extension = (&self.bytes[SIGNATURE.len() + 4..fixed]).get_u32() as usize;
        if self.bytes.len() < fixed.saturating_add(extension) {
            return Ok(false);
        }
        self.at = fixed + extension;
        self.in_rows = true;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;
    use crate::pgoutput::Datum;

    fn stream(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for row in rows {
            bytes.put_i16(row.len() as i16);
            for value in row {
                match value {
                    None => bytes.put_i32(-1),
                    Some(value) => {
                        bytes.put_i32(value.len() as i32);
                        bytes.extend_from_slice(value);
                    }
                }
            }
        }
        bytes.put_i16(-1);
        bytes
    }

    proptest! {
        #[test]
        fn rows_survive_any_cut(
            rows in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 0..4), 0..6),
            step in 1_usize..40,
        ) {
            let mut reader = CopyReader::default();
            let mut read = Vec::new();
            for chunk in stream(&rows).chunks(step) {
                reader.push(chunk);
                while let Some(row) = reader.next_row().unwrap() {
                    let value = |datum| match datum { Datum::Binary(bytes) => Some(Vec::from(bytes)), _ => None };
                    read.push(row.tuple().values().map(value).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(read, rows);
            prop_assert!(reader.ended());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), signed: bool) {
            let mut reader = CopyReader::default();
            if signed {
                reader.push(&stream(&[])[..19]);
            }
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_row() {}
        }
    }
}
