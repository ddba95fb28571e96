//! `COPY … (FORMAT binary)`, decoded: chunks of bytes in, rows out.
//!
//! ```text
//!   header: 11 bytes of signature │ flags i32 │ extension length i32 │ extension
//!   row:    n i16 │ n × (length i32, -1 for NULL │ bytes)             trailer: -1 i16
//! ```
//!
//! Rows may be cut anywhere between chunks; the reader keeps the beginning of a row until its end comes. A server sends a
//! row as one chunk, and then nothing is copied: the row is a slice of it. It is given as a tuple, so that snapshot and
//! stream share one way to JSON.

use bytes::{Buf, Bytes, BytesMut};

use crate::pgoutput::{DecodeError, Tuple};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A row, owned: it outlives the chunk it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyRow {
    columns: u16,
    /// Its values with their lengths.
    bytes: Bytes,
}

impl CopyRow {
    /// As a tuple; a row is well formed once it was returned.
    #[must_use]
    pub fn tuple(&self) -> Tuple<'_> {
        Tuple::of_copied(self.columns, &self.bytes)
    }

    /// Bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Reads rows from chunks.
#[derive(Debug, Default)]
pub struct CopyReader {
    /// What came and is not read yet.
    chunk: Bytes,
    in_rows: bool,
    ended: bool,
}

impl CopyReader {
    /// Appends a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
        joined.extend_from_slice(&self.chunk);
        joined.extend_from_slice(&chunk);
        self.chunk = joined.freeze();
    }

    /// The next whole row; `None` until more comes, or at the end.
    pub fn next_row(&mut self) -> Result<Option<CopyRow>, DecodeError> {
        if self.ended || !self.skip_header()? {
            return Ok(None);
        }
        let mut rest = &self.chunk[..];
        if rest.len() < 2 {
            return Ok(None);
        }
        let Ok(columns) = u16::try_from(rest.get_i16()) else {
            self.ended = true;
            return Ok(None);
        };
        for _ in 0..columns {
            if rest.len() < 4 {
                return Ok(None);
            }
            let length = usize::try_from(rest.get_i32()).unwrap_or(0);
            if rest.len() < length {
                return Ok(None);
            }
            rest.advance(length);
        }
        let used = self.chunk.len() - rest.len();
        let mut bytes = self.chunk.split_to(used);
        bytes.advance(2);
        Ok(Some(CopyRow { columns, bytes }))
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
        if self.chunk.len() < fixed {
            return Ok(false);
        }
        if !self.chunk.starts_with(SIGNATURE) {
            return Err(DecodeError::new("COPY does not begin with its signature"));
        }
        let extension = (&self.chunk[SIGNATURE.len() + 4..fixed]).get_u32() as usize;
        if self.chunk.len() < fixed.saturating_add(extension) {
            return Ok(false);
        }
        self.chunk.advance(fixed + extension);
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
                reader.push(Bytes::copy_from_slice(chunk));
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
                reader.push(Bytes::copy_from_slice(&stream(&[])[..19]));
            }
            reader.push(bytes.into());
            while let Ok(Some(_)) = reader.next_row() {}
        }
    }
}
