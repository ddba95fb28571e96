//! Rows of a batch, and how far they are consumed. Small batches that follow each other are joined: a database of small
//! transactions writes many of them.

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;
use thm_api::{Error, ErrorKind, Result};

use crate::operator::Rows;

/// Rows of one batch.
#[derive(Debug)]
pub(super) struct Chunk {
    pub rows: Rows,
    /// Record keys, for look-up tables.
    pub keys: Vec<Bytes>,
    /// First row that has not been consumed.
    pub at: usize,
    /// Offset behind the batch.
    pub next_offset: i64,
}

impl Chunk {
    /// Chunks that follow each other as one; none of none. Rows that have been consumed already are left out.
    pub fn joined(mut parts: Vec<Self>) -> Result<Option<Self>> {
        let Some(next_offset) = parts.last().map(|last| last.next_offset) else { return Ok(None) };
        if parts.len() == 1 {
            return Ok(parts.pop());
        }
        parts.retain(|part| part.at < part.rows.len());
        let mut meta = Vec::with_capacity(parts.iter().map(|part| part.rows.len()).sum());
        let mut keys = Vec::new();
        let mut columns: Vec<Vec<ArrayRef>> = Vec::new();
        for mut part in parts {
            columns.resize_with(part.rows.columns.len(), Vec::new);
            let count = part.rows.len() - part.at;
            columns.iter_mut().zip(&part.rows.columns).for_each(|(all, one)| all.push(one.slice(part.at, count)));
            meta.extend_from_slice(&part.rows.meta[part.at..]);
            keys.extend(part.keys.drain(..).skip(part.at));
        }
        let concat = |parts: &Vec<ArrayRef>| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            arrow::compute::concat(&parts)
        };
        let columns: Result<Vec<ArrayRef>, _> = columns.iter().map(concat).collect();
        let columns =
            columns.map_err(|error| Error::new(ErrorKind::Internal, "joining batches", "rows").with_source(error))?;
        Ok(Some(Self { rows: Rows { columns, meta }, keys, at: 0, next_offset }))
    }
}
