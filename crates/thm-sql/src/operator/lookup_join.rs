//! `JOIN t FOR SYSTEM_TIME AS OF`: each row of the stream with the table's rows as they are now.
//!
//! "Now" is right because the job feeds the table's changes and the stream in commit order: a row meets the table as of
//! its own commit.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use bytes::Bytes;
use thm_api::{Result, RowKind};

use super::database_join::Question;
use super::lookup_table::{LookupTable, Slot, key_text};
use super::{Operator, Rows, without};
use crate::expr::{EvalError, Expr, Input, text, truth};
use crate::format::Meta;
use crate::types::LogicalType;

/// Input of the stream.
pub const STREAM: usize = 0;
/// Input of the table's changes.
pub const TABLE: usize = 1;

/// A look-up join with its table.
#[derive(Debug)]
pub struct LookupJoin {
    table: LookupTable,
    keys: Vec<Expr>,
    residual: Option<Expr>,
    outer: bool,
    changed: bool,
    records: Vec<Bytes>,
}

impl LookupJoin {
    /// Joins rows by `keys` with the table's rows by `table_keys`, in the same order and of the same types.
    #[must_use]
    pub fn new(
        types: Vec<LogicalType>,
        (keys, table_keys): (Vec<Expr>, Vec<Expr>),
        residual: Option<Expr>,
        outer: bool,
    ) -> Self {
        let table = LookupTable::new(types, table_keys);
        Self { table, keys, residual, outer, changed: false, records: Vec::new() }
    }

    /// The rows that are looked up.
    pub(super) const fn table(&mut self) -> &mut LookupTable {
        &mut self.table
    }

    /// What each row asks for; none where a part of its key is NULL, or only the key of a deleted row is known.
    pub(super) fn keys_of(&self, rows: &Rows) -> Result<Vec<Option<Question>>, EvalError> {
        let parts = self.key_columns(rows)?;
        let mut buffer = String::with_capacity(36);
        let of_row = |(row, meta): (usize, &Meta)| {
            buffer.clear();
            if super::is_key_only(meta) || !key_text(&mut buffer, &parts, row) {
                return None;
            }
            let text = |(array, kind): &(ArrayRef, LogicalType)| {
                let mut text = String::new();
                text::write(&mut text, array, row, *kind);
                text
            };
            Some(Question { key: buffer.as_bytes().into(), parts: parts.iter().map(text).collect() })
        };
        Ok(rows.meta.iter().enumerate().map(of_row).collect())
    }

    fn key_columns(&self, rows: &Rows) -> Result<Vec<(ArrayRef, LogicalType)>, EvalError> {
        let input = Input::new(&rows.columns, rows.len());
        self.keys.iter().map(|key| Ok((key.evaluate(&input)?, key.data_type.kind))).collect()
    }

    /// Pairs of (row, slot) that match by key.
    fn matches(&self, rows: &Rows) -> Result<Vec<(u32, Slot)>, EvalError> {
        let parts = self.key_columns(rows)?;
        let mut pairs = Vec::with_capacity(rows.len());
        let mut buffer = String::with_capacity(36);
        for (row, meta) in rows.meta.iter().enumerate() {
            buffer.clear();
            if !super::is_key_only(meta) && key_text(&mut buffer, &parts, row) {
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                pairs.extend(self.table.find(buffer.as_bytes()).map(|slot| (row, slot)));
            }
        }
        Ok(pairs)
    }

    /// Drops pairs for which the rest of the condition is not TRUE.
    fn passing(&self, rows: &Rows, pairs: Vec<(u32, Slot)>) -> Result<Vec<(u32, Slot)>, EvalError> {
        let Some(residual) = &self.residual else { return Ok(pairs) };
        let columns = self.joined(rows, &pairs)?;
        let result = residual.evaluate(&Input::new(&columns, pairs.len()))?;
        let passes = truth(result.as_boolean());
        Ok(pairs.into_iter().enumerate().filter(|(pair, _)| passes.value(*pair)).map(|(_, pair)| pair).collect())
    }

    fn joined(&self, rows: &Rows, pairs: &[(u32, Slot)]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots: Vec<Slot> = pairs.iter().map(|(_, slot)| *slot).collect();
        let one_to_one = pairs.len() == rows.len() && pairs.iter().zip(0_u32..).all(|((row, _), at)| *row == at);
        let mut columns: Vec<ArrayRef> = if one_to_one {
            rows.columns.iter().map(Arc::clone).collect()
        } else {
            let indices = UInt32Array::from_iter_values(pairs.iter().map(|(row, _)| *row));
            let taken: Result<Vec<_>, _> =
                rows.columns.iter().map(|column| arrow::compute::take(column, &indices, None)).collect();
            taken.map_err(|error| EvalError { message: error.to_string(), row: 0 })?
        };
        columns.extend(self.table.gather(&slots)?);
        Ok(columns)
    }

    /// Rows that matched nothing: they stay with NULLs in a LEFT JOIN; else an update becomes a delete.
    fn with_unmatched(&self, rows: &Rows, pairs: &[(u32, Slot)]) -> (Vec<(u32, Slot)>, Vec<Meta>) {
        let mut all = Vec::with_capacity(pairs.len().max(rows.len()));
        let mut meta = Vec::with_capacity(all.capacity());
        let mut next = pairs.iter().peekable();
        for (row, of_row) in (0_u32..).zip(&rows.meta) {
            let before = all.len();
            while let Some(pair) = next.next_if(|(other, _)| *other == row) {
                all.push(*pair);
                meta.push(*of_row);
            }
            if all.len() > before {
                continue;
            }
            let kept = if self.outer { Some(*of_row) } else { without(*of_row) };
            if let Some(kept) = kept {
                all.push((row, LookupTable::nothing()));
                meta.push(kept);
            }
        }
        (all, meta)
    }
}

impl Operator for LookupJoin {
    fn process(&mut self, input: usize, rows: Rows, out: &mut Vec<Rows>) -> Result<(), EvalError> {
        if input == TABLE {
            let deleted: Vec<bool> = rows.meta.iter().map(|meta| meta.kind == RowKind::Delete).collect();
            self.changed = true;
            return self.table.apply(rows.columns, std::mem::take(&mut self.records), &deleted);
        }
        let pairs = self.passing(&rows, self.matches(&rows)?)?;
        let (pairs, meta) = self.with_unmatched(&rows, &pairs);
        out.push(Rows { columns: self.joined(&rows, &pairs)?, meta });
        Ok(())
    }

    fn keys(&mut self, keys: Vec<Bytes>) {
        self.records = keys;
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>> {
        if !std::mem::take(&mut self.changed) {
            return Ok(None);
        }
        self.table.to_bytes().map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.changed = false;
        self.table.restore(state)
    }
}
