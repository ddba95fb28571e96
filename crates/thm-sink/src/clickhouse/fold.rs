//! Rows to what is sent: one last state per key as one Arrow record batch, and the deletes that follow it.
//!
//! ```text
//!  Rows ─▶ last action of each key ─▶ surviving rows ─▶ RecordBatch            INSERT, with the token
//!                                └──▶ touched keys, kept sorting keys ─▶ DELETE … NOT IN   after it, never before
//! ```
//! Deterministic: the same records give the same batch byte for byte and the same statements in the same order.
//!
//! Where the sorting key lies inside the record key, a later insert finds the row's earlier state by itself, and only
//! removals need a DELETE. Elsewhere an update may move the row, so its earlier states are deleted too.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::row::{RowConverter, Rows as KeyRows, SortField};
use foldhash::fast::RandomState;
use thm_api::{Error, ErrorKind, Offset, Result};

use super::rows::{Action, Rows};
use super::statement::{self, DEFAULT_DELETE_KEYS};
use super::table::Table;

/// The place of each key's last action. Keys are the users' data, so the hash has a seed of its own.
type LastActions<'k> = HashMap<&'k [u8], usize, RandomState>;

/// A batch, ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// The surviving rows; may have none.
    pub rows: RecordBatch,
    /// Offset of each row's record.
    pub offsets: Vec<Offset>,
    /// Places of the table's columns in `rows`.
    pub columns: Vec<usize>,
    /// Statements to run after the insert, in order.
    pub deletes: Vec<String>,
    /// NULLs that become a column's default.
    pub defaulted: usize,
    /// Deletions passed over.
    pub skipped: usize,
}

impl Prepared {
    /// Folds `rows` for `table`. The deletes spare the rows of the same batch with `spares_kept`; only a test does
    /// without.
    pub fn fold(table: &Table, mut rows: Rows, spares_kept: bool) -> Result<Self> {
        let batch = record_batch(table, &rows)?;
        let keys = Keys::new(table, &rows)?;
        if keys.are_fresh(&rows.actions) {
            return Ok(Self::of(table, rows, batch, Vec::new()));
        }
        let last = keys.last_actions(&rows.actions);
        let survives = |at: usize| keys.key(&rows.actions[at]).is_none_or(|key| last.get(key) == Some(&at));
        let kept: Vec<bool> = (0..rows.actions.len())
            .filter(|at| matches!(rows.actions[*at], Action::Upsert { .. }))
            .map(survives)
            .collect();
        let deletes =
            Deletes { table, rows: &rows, keys: &keys, last: &last, batch: &batch, spares_kept }.statements()?;
        let batch = if kept.contains(&false) {
            let offsets = rows.offsets.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(offset, _)| *offset);
            rows.offsets = offsets.collect();
            filter_record_batch(&batch, &BooleanArray::from(kept)).map_err(internal)?
        } else {
            batch
        };
        Ok(Self::of(table, rows, batch, deletes))
    }

    /// `batch` is what survives of the rows.
    fn of(table: &Table, rows: Rows, batch: RecordBatch, deletes: Vec<String>) -> Self {
        let nulls = rows.columns.iter().zip(batch.columns()).filter(|(place, _)| !is_nullable(table, **place));
        let defaulted = nulls.map(|(_, array)| array.null_count().saturating_sub(rows.tombstones)).sum();
        let Rows { offsets, columns, skipped, .. } = rows;
        Self { rows: batch, offsets, columns, deletes, defaulted, skipped }
    }
}

fn is_nullable(table: &Table, place: usize) -> bool {
    table.columns[place].ty.is_some_and(|ty| ty.nullable)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "building an Arrow record batch", "rows").with_source(error)
}

/// Every field is nullable: what a NULL means in a column is the table's business.
fn record_batch(table: &Table, rows: &Rows) -> Result<RecordBatch> {
    let field =
        |(place, array): (&usize, &ArrayRef)| Field::new(&table.columns[*place].name, array.data_type().clone(), true);
    let fields: Vec<_> = rows.columns.iter().zip(&rows.arrays).map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.offsets.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), rows.arrays.clone(), &options).map_err(internal)
}

/// The identities of a batch's actions as comparable bytes.
struct Keys {
    upserts: Option<KeyRows>,
    removed: Option<KeyRows>,
    /// Rows whose identity is NULL somewhere: they stand for themselves.
    unknown: Vec<bool>,
}

impl Keys {
    fn new(table: &Table, rows: &Rows) -> Result<Self> {
        let place = |place: &usize| rows.columns.iter().position(|candidate| candidate == place);
        let arrays: Option<Vec<ArrayRef>> =
            rows.key.iter().map(|key| Some(Arc::clone(&rows.arrays[place(key)?]))).collect();
        let kinds = rows.key.iter().filter_map(|key| Some(table.columns[*key].ty?.kind.arrow_type()));
        let fields: Vec<_> = kinds.map(SortField::new).collect();
        if fields.is_empty() {
            return Ok(Self { upserts: None, removed: None, unknown: Vec::new() });
        }
        let converter = RowConverter::new(fields).map_err(internal)?;
        let convert = |arrays: &[ArrayRef]| converter.convert_columns(arrays).map_err(internal);
        let mut unknown = vec![false; rows.offsets.len()];
        for array in arrays.iter().flatten().filter(|array| array.null_count() > 0) {
            unknown.iter_mut().enumerate().for_each(|(row, unknown)| *unknown |= array.is_null(row));
        }
        let upserts = arrays.as_deref().map(convert).transpose()?;
        Ok(Self { upserts, removed: Some(convert(&rows.removed)?), unknown })
    }

    fn key(&self, action: &Action) -> Option<&[u8]> {
        match action {
            Action::Upsert { row, .. } => {
                let keys = self.upserts.as_ref().filter(|_| !self.unknown[*row])?;
                Some(keys.row(*row).data())
            }
            Action::Remove { removal } => Some(self.removed.as_ref()?.row(*removal).data()),
        }
    }

    /// Whether nothing of it speaks of an earlier row: rows that were not there before, each with a key above the last.
    fn are_fresh(&self, actions: &[Action]) -> bool {
        let Some(upserts) = &self.upserts else { return false };
        let is_new = |action: &Action| matches!(action, Action::Upsert { touched: false, .. });
        let ascend = upserts.iter().zip(upserts.iter().skip(1)).all(|(one, next)| one < next);
        ascend && actions.iter().all(is_new) && !self.unknown.contains(&true)
    }

    /// For each key the place of its last action.
    fn last_actions(&self, actions: &[Action]) -> LastActions<'_> {
        let mut last = HashMap::with_capacity_and_hasher(actions.len(), RandomState::default());
        for (at, action) in actions.iter().enumerate() {
            if let Some(key) = self.key(action) {
                last.insert(key, at);
            }
        }
        last
    }
}

/// What has to go after the insert.
struct Deletes<'r> {
    table: &'r Table,
    rows: &'r Rows,
    keys: &'r Keys,
    last: &'r LastActions<'r>,
    batch: &'r RecordBatch,
    spares_kept: bool,
}

impl Deletes<'_> {
    fn statements(&self) -> Result<Vec<String>> {
        let is_update = |action: &&Action| matches!(action, Action::Upsert { touched: true, .. });
        if self.rows.actions.iter().filter(is_update).any(|action| self.keys.key(action).is_none()) {
            return Err(self.table.mismatch("key", format!(
                "A row was updated, and its key names no row of {}: the table needs every column of the record key.",
                self.table.label()
            )));
        }
        let touched = self.touched();
        let updates = touched.iter().any(|at| matches!(self.rows.actions[*at], Action::Upsert { .. }));
        if updates && !self.table.replaces() {
            return Err(self.table.mismatch(
                "engine",
                format!(
                    "A row was updated, and {} has engine {}, where the old row would stay beside the new one. Use \
                 ReplacingMergeTree.",
                    self.table.label(),
                    self.table.engine
                ),
            ));
        }
        let in_key =
            !self.table.sort_key.is_empty() && self.table.sort_key.iter().all(|place| self.rows.key.contains(place));
        let gone = |at: &usize| !in_key || matches!(self.rows.actions[*at], Action::Remove { .. });
        let ending: Vec<usize> = touched.into_iter().filter(gone).collect();
        ending.chunks(DEFAULT_DELETE_KEYS).map(|chunk| self.statement(chunk)).collect()
    }

    /// The last actions of all keys that an update or a removal touched, in record order.
    fn touched(&self) -> Vec<usize> {
        let mut touched: Vec<usize> = self
            .rows
            .actions
            .iter()
            .filter(|action| !matches!(action, Action::Upsert { touched: false, .. }))
            .filter_map(|action| self.last.get(self.keys.key(action)?).copied())
            .collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    fn statement(&self, ending: &[usize]) -> Result<String> {
        let (mut keys, mut kept) = (Vec::with_capacity(ending.len()), Vec::new());
        for at in ending {
            match self.rows.actions[*at] {
                Action::Upsert { row, .. } => {
                    keys.push(self.tuple(&self.rows.key, row)?);
                    if self.spares_kept {
                        kept.push(self.tuple(&self.table.sort_key, row)?);
                    }
                }
                Action::Remove { removal } => {
                    let arrays: Vec<&ArrayRef> = self.rows.removed.iter().collect();
                    let tuple = statement::tuple(self.table, &self.rows.key, &arrays, removal);
                    keys.push(tuple.ok_or_else(|| self.unknown_default())?);
                }
            }
        }
        Ok(statement::delete(self.table, &self.rows.key, &keys, &kept))
    }

    fn tuple(&self, places: &[usize], row: usize) -> Result<String> {
        let array = |place: &usize| {
            let at = self.rows.columns.iter().position(|candidate| candidate == place);
            at.map(|at| self.batch.column(at))
        };
        // A sorting key's column that no record speaks of holds its default in every row.
        let absent: ArrayRef = Arc::new(arrow::array::NullArray::new(self.batch.num_rows()));
        let arrays: Vec<&ArrayRef> = places.iter().map(|place| array(place).unwrap_or(&absent)).collect();
        statement::tuple(self.table, places, &arrays, row).ok_or_else(|| self.unknown_default())
    }

    fn unknown_default(&self) -> Error {
        self.table.mismatch("sorting key", format!(
            "A row was updated whose sorting key holds a NULL, and the default of that column of {} is an expression \
             of the server's; give the column a value in the topic.",
            self.table.label()
        ))
    }
}
