//! What rows pass on their way: synchronous, CPU only, deterministic.
//!
//! ```text
//!  rows of the stream ──▶ input 0 ┐
//!  changes of a table ──▶ input 1 ┴ Operator ──▶ rows
//! ```
//! The same inputs in the same order give the same output, which is what makes replays possible.

pub mod answers;
pub mod database_join;
pub mod filter;
pub mod lookup_join;
pub mod lookup_table;
pub mod unnest;

use arrow::array::{Array, ArrayRef, BooleanArray};
use thm_api::{Result, RowKind};

use crate::expr::EvalError;
use crate::format::Meta;

/// Rows with what goes with each; all columns and `meta` have the same length.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns.
    pub columns: Vec<ArrayRef>,
    /// What goes with each row.
    pub meta: Vec<Meta>,
}

impl Rows {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meta.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }

    /// Some of the rows, without copying columns.
    #[must_use]
    pub fn slice(&self, from: usize, count: usize) -> Self {
        let columns = self.columns.iter().map(|column| column.slice(from, count)).collect();
        Self { columns, meta: self.meta[from..from + count].to_vec() }
    }

    /// The rows for which `keep` is true.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, EvalError> {
        let columns: Result<Vec<_>, _> =
            self.columns.iter().map(|column| arrow::compute::filter(column, keep)).collect();
        let columns = columns.map_err(|error| EvalError { message: error.to_string(), row: 0 })?;
        let kept = self.meta.iter().zip(keep.values()).filter(|(_, keep)| *keep);
        Ok(Self { columns, meta: kept.map(|(meta, _)| *meta).collect() })
    }
}

/// Whether of a deleted row only the key is known.
#[must_use]
pub fn is_key_only(meta: &Meta) -> bool {
    meta.kind == RowKind::Delete && !meta.whole
}

/// A row that does not belong into the result: an update turns into a delete, an insert into nothing. Where old rows go
/// through the same steps nothing has to be made up.
#[must_use]
pub fn without(meta: Meta) -> Option<Meta> {
    match meta.kind {
        _ if meta.whole => None,
        RowKind::UpdateAfter | RowKind::Delete => Some(Meta { kind: RowKind::Delete, ..meta }),
        RowKind::Insert | RowKind::UpdateBefore => None,
    }
}

/// One step of a job.
pub trait Operator: Send {
    /// Takes rows: input 0 is the stream, 1 the changes of a table. `Ok` promises that `out` holds everything that
    /// follows from them.
    fn process(&mut self, input: usize, rows: Rows, out: &mut Vec<Rows>) -> Result<(), EvalError>;

    /// State for a checkpoint, if it changed since the last call; the same state gives the same bytes.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Takes a snapshot's state back.
    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Takes the keys of the records behind the next call of `process` on input 1.
    fn keys(&mut self, keys: Vec<bytes::Bytes>) {
        let _ = keys;
    }

    /// DECIMAL results that became NULL since the last call.
    fn take_overflows(&mut self) -> u64 {
        0
    }
}
