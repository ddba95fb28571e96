//! A batch of records to rows in the table's columns and types, and what happened to each.
//!
//! ```text
//!  SinkBatch ─┬─ decoded chunk ─▶ arrow cells ─┐
//!             └─ other chunk ───▶ json cells ──┴▶ column builders ─▶ Rows ─▶ fold
//! ```
//! Invariant: a record gives the same row on either path, and a record that does not fit is named; then nothing of
//! the batch is sent, and the worker brings the same range again without it.

use arrow::array::{Array, ArrayRef};
use serde_json::value::RawValue;
use thm_api::{
    ChangelogBatch, Error, ErrorKind, Offset, Op, RejectedRecord, Result, RowKind, SinkBatch, SinkChunk, SinkRecord,
};

use super::arrow_cells::{CellReader, is_faithful};
use super::cell::{Cell, Misfit};
use super::column::ColumnBuilder;
use super::instant::Instant;
use super::json_cells::{self, FieldIndex};
use super::table::Table;
use super::types::Kind;

/// From this many rows on, a column that took not one of their values is the table's mistake, not the records'.
const MISMATCH_ROWS: usize = 10;

/// Identity of records that do not say otherwise.
const DEFAULT_KEY: &str = "id";

/// What one record does to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Row of that number is its key's state. `touched`: it replaces an earlier one, which may stand elsewhere.
    Upsert {
        /// Row in the columns.
        row: usize,
        /// Whether the record is an update.
        touched: bool,
    },
    /// The key of that number has no row any more.
    Remove {
        /// Row in the removed keys.
        removal: usize,
    },
}

/// All records of a batch in the table's terms.
#[derive(Debug)]
pub struct Rows {
    /// In record order.
    pub actions: Vec<Action>,
    /// Places of the table's columns that the records speak of, in table order.
    pub columns: Vec<usize>,
    /// One array for each of `columns`.
    pub arrays: Vec<ArrayRef>,
    /// Offset of each row's record.
    pub offsets: Vec<Offset>,
    /// Places of the identity's columns; empty if the table lacks one, and then nothing can be folded.
    pub key: Vec<usize>,
    /// The removed keys, one array for each of `key`.
    pub removed: Vec<ArrayRef>,
    /// Rows that stand for a deletion (`is_deleted`).
    pub tombstones: usize,
    /// Deletions of foreign records without a key to delete by, which the original passes over too.
    pub skipped: usize,
}

impl Rows {
    /// Reads the batch. `RecordRejected` names every record that does not fit.
    pub fn read(table: &Table, batch: &SinkBatch, schemas_enabled: bool) -> Result<Self> {
        let mut reader = Reader::new(table, batch, schemas_enabled)?;
        for chunk in &batch.chunks {
            reader.read_chunk(chunk)?;
        }
        reader.finish()
    }
}

/// The names of the key's columns: from the first of our records that has a key, else the first key of any that
/// fits the table, else `id`.
#[must_use]
pub fn key_names(table: &Table, batch: &SinkBatch) -> Vec<String> {
    let names = |record: &SinkRecord| json_cells::field_names(record.key.as_deref()?);
    if let Some(own) = batch.records().find(|record| record.origin.is_some()).and_then(names) {
        return own;
    }
    let fits = |names: &Vec<String>| !names.is_empty() && names.iter().all(|name| table.place(name).is_some());
    let foreign = batch.records().find(|record| record.key.is_some()).and_then(names).filter(fits);
    foreign.unwrap_or_else(|| vec![DEFAULT_KEY.to_owned()])
}

/// Empty bytes and JSON's `null` are no value either.
pub fn has_value(record: &SinkRecord) -> Option<&[u8]> {
    record.value.as_deref().filter(|value| !value.is_empty() && *value != b"null")
}

struct Reader<'b> {
    table: &'b Table,
    batch: &'b SinkBatch,
    schemas_enabled: bool,
    fields: FieldIndex,
    slots: Vec<Option<&'b RawValue>>,
    builders: Vec<Option<ColumnBuilder>>,
    seen: Vec<bool>,
    key_fields: FieldIndex,
    key_slots: Vec<Option<&'b RawValue>>,
    key_builders: Vec<ColumnBuilder>,
    /// Whether a deletion is a row with `is_deleted`, because the key alone says where the row stands.
    deletes_are_rows: bool,
    misfits: Vec<usize>,
    rejected: Vec<RejectedRecord>,
    rows: Rows,
}

impl<'b> Reader<'b> {
    fn new(table: &'b Table, batch: &'b SinkBatch, schemas_enabled: bool) -> Result<Self> {
        let capacity = batch.len();
        let names = key_names(table, batch);
        let key: Option<Vec<usize>> = names.iter().map(|name| table.place(name)).collect();
        let key = key.filter(|key| key.iter().all(|place| table.columns[*place].ty.is_some())).unwrap_or_default();
        let kind = |place: &usize| table.columns[*place].ty.map(|ty| ty.kind);
        let key_builders = key.iter().filter_map(kind).map(|kind| ColumnBuilder::new(kind, 0)).collect();
        let in_key = !table.sort_key.is_empty() && table.sort_key.iter().all(|place| key.contains(place));
        let builder = |column: &super::table::Column| column.ty.map(|ty| ColumnBuilder::new(ty.kind, capacity));
        Ok(Self {
            table,
            batch,
            schemas_enabled,
            fields: FieldIndex::new(table.columns.iter().map(|column| column.name.clone()).collect()),
            slots: vec![None; table.columns.len()],
            builders: table.columns.iter().map(builder).collect(),
            seen: vec![false; table.columns.len()],
            key_slots: vec![None; names.len()],
            key_fields: FieldIndex::new(names),
            key_builders,
            deletes_are_rows: in_key && table.is_deleted.is_some() && table.version.is_some(),
            misfits: vec![0; table.columns.len()],
            rejected: Vec::new(),
            rows: Rows {
                actions: Vec::with_capacity(capacity),
                columns: Vec::new(),
                arrays: Vec::new(),
                offsets: Vec::with_capacity(capacity),
                key,
                removed: Vec::new(),
                tombstones: 0,
                skipped: 0,
            },
        })
    }

    fn read_chunk(&mut self, chunk: &'b SinkChunk) -> Result<()> {
        let decoded = chunk.columns.as_deref().and_then(|columns| self.decoded(columns, chunk));
        let mut at = 0;
        let mut run = Run::default();
        for record in &chunk.records {
            let op = record.origin.as_ref().map(|origin| origin.op);
            let value = has_value(record).filter(|_| op != Some(Op::Delete));
            let place = record.offset.0 - chunk.base_offset.0;
            if let Some(row) = value.and_then(|_| decoded.as_ref()?.row(place, &mut at)) {
                run.rows.push(row);
                run.records.push(record);
                continue;
            }
            self.push_decoded(decoded.as_ref(), &mut run);
            match value {
                Some(value) => self.push_json(value, record)?,
                None => self.read_removal(record)?,
            }
        }
        self.push_decoded(decoded.as_ref(), &mut run);
        Ok(())
    }

    /// The chunk's decoded form, if its rows are what the records' texts say: the same fields, each of a type that
    /// converts as its text would.
    fn decoded(&self, columns: &'b ChangelogBatch, chunk: &'b SinkChunk) -> Option<Decoded<'b>> {
        let first = chunk.records.iter().find_map(has_value)?;
        let fields = columns.rows.schema_ref().fields();
        if self.schemas_enabled || !json_cells::has_fields(first, fields.iter().map(|field| field.name().as_str())) {
            return None;
        }
        let mut readers = Vec::with_capacity(self.table.columns.len());
        for column in &self.table.columns {
            let array = columns.rows.column_by_name(&column.name);
            readers.push(match (array, column.ty) {
                (None, _) => None,
                (Some(array), Some(ty)) if is_faithful(array.data_type(), ty.kind) => Some(CellReader::new(array)?),
                _ => return None,
            });
        }
        Some(Decoded { columns, readers })
    }

    /// Adds a run of decoded rows, column by column, and empties it.
    fn push_decoded(&mut self, decoded: Option<&Decoded<'b>>, run: &mut Run<'b>) {
        let Some(decoded) = decoded.filter(|_| !run.rows.is_empty()) else { return };
        for (place, reader) in decoded.readers.iter().enumerate() {
            let Some(reader) = reader else {
                run.records.iter().for_each(|record| self.push_absent(place, record, false));
                continue;
            };
            let Some(builder) = &mut self.builders[place] else { continue };
            self.seen[place] = true;
            let mut misfits = Vec::new();
            builder.extend(reader, &run.rows, |at, misfit| misfits.push((at, misfit)));
            for (at, misfit) in misfits {
                self.misfit(place, misfit, run.records[at]);
            }
        }
        run.records.iter().for_each(|record| self.end_row(record));
        run.rows.clear();
        run.records.clear();
    }

    fn push_json(&mut self, value: &'b [u8], record: &SinkRecord) -> Result<()> {
        let read = if self.schemas_enabled { payload(value) } else { Ok(value) };
        let read = read.and_then(|value| json_cells::read_fields(value, &self.fields, &mut self.slots));
        if let Err(reason) = read {
            self.reject(record, reason.to_owned());
            return Ok(());
        }
        if record.origin.is_some() && self.slots.iter().all(Option::is_none) {
            return Err(self.foreign_shape(value));
        }
        for place in 0..self.slots.len() {
            match self.slots[place] {
                Some(field) => {
                    let cell = json_cells::cell(Some(field));
                    if self.builders[place].is_none() && cell != Cell::Null {
                        return Err(self.unwritable(place, &cell));
                    }
                    self.push_cell(place, &cell, record);
                }
                None => self.push_absent(place, record, false),
            }
        }
        self.end_row(record);
        Ok(())
    }

    /// Records of our own jobs that share no field with the table: a row of defaults for each would be a loss. (Of
    /// a record that somebody made by hand it is what the original writes.)
    fn foreign_shape(&self, value: &[u8]) -> Error {
        let names = json_cells::field_names(value).unwrap_or_default().join(", ");
        self.table.mismatch("columns", format!(
            "The records have the fields {names}, and {} has a column for none of them. The sink wants flat records, \
             as a SQL job writes them, not a change envelope.",
            self.table.label()
        ))
    }

    fn unwritable(&self, place: usize, cell: &Cell<'_>) -> Error {
        let column = &self.table.columns[place];
        self.table.mismatch(&column.name, format!(
            "Column {} has type {}, which we cannot write; the records have {} for it. Alter its type, or leave the \
             field out of the topic.",
            column.name,
            column.type_name,
            cell.kind()
        ))
    }

    fn push_cell(&mut self, place: usize, cell: &Cell<'_>, record: &SinkRecord) {
        let Some(builder) = &mut self.builders[place] else { return };
        self.seen[place] = true;
        if let Err(misfit) = builder.push(cell) {
            self.misfit(place, misfit, record);
        }
    }

    fn misfit(&mut self, place: usize, misfit: Misfit, record: &SinkRecord) {
        self.misfits[place] += 1;
        let column = &self.table.columns[place];
        self.reject(record, format!("column {} {} does not take {}", column.name, column.type_name, misfit.0));
    }

    /// A column that the record does not speak of: ours to fill, or the table's default.
    fn push_absent(&mut self, place: usize, record: &SinkRecord, deleted: bool) {
        let Some(builder) = &mut self.builders[place] else { return };
        let kind = self.table.columns[place].ty.map(|ty| ty.kind);
        let ours = if self.table.version == Some(place) {
            kind.and_then(|kind| version(kind, record))
        } else if self.table.is_deleted == Some(place) {
            Some(Cell::Int(deleted.into()))
        } else {
            None
        };
        match ours {
            Some(cell) if builder.push(&cell).is_ok() => self.seen[place] = true,
            Some(_) => {}
            None => builder.push_null(),
        }
    }

    fn end_row(&mut self, record: &SinkRecord) {
        let touched = record.origin.as_ref().is_some_and(|origin| origin.op == Op::Update);
        self.rows.actions.push(Action::Upsert { row: self.rows.offsets.len(), touched });
        self.rows.offsets.push(record.offset);
    }

    /// A deletion: by the record's key.
    fn read_removal(&mut self, record: &'b SinkRecord) -> Result<()> {
        let key = record.key.as_deref();
        let fields = key.map(|key| json_cells::read_fields(key, &self.key_fields, &mut self.key_slots));
        let whole =
            matches!(fields, Some(Ok(()))) && self.key_slots.iter().all(|slot| json_cells::cell(*slot) != Cell::Null);
        if !whole {
            if record.origin.is_some() {
                self.reject(record, "a deletion whose key does not name its row".to_owned());
            } else {
                self.rows.skipped += 1;
            }
            return Ok(());
        }
        if self.rows.key.is_empty() {
            return Err(self.table.mismatch(
                "key",
                format!(
                    "A row was deleted, and {} lacks a column of its key that we can write; add it.",
                    self.table.label()
                ),
            ));
        }
        if self.deletes_are_rows {
            self.push_tombstone(record)
        } else {
            self.push_removed_key(record)
        }
        Ok(())
    }

    fn push_tombstone(&mut self, record: &SinkRecord) {
        for place in 0..self.table.columns.len() {
            match self.rows.key.iter().position(|key| *key == place) {
                Some(part) => self.push_cell(place, &json_cells::cell(self.key_slots[part]), record),
                None => self.push_absent(place, record, true),
            }
        }
        self.rows.tombstones += 1;
        self.end_row(record);
    }

    fn push_removed_key(&mut self, record: &SinkRecord) {
        let removal = self.key_builders.first().map_or(0, ColumnBuilder::len);
        let mut misfit = None;
        for (builder, slot) in self.key_builders.iter_mut().zip(&self.key_slots) {
            misfit = builder.push(&json_cells::cell(*slot)).err().or(misfit);
        }
        if let Some(misfit) = misfit {
            self.reject(record, format!("the key's column does not take {}", misfit.0));
        }
        self.rows.actions.push(Action::Remove { removal });
    }

    fn reject(&mut self, record: &SinkRecord, reason: String) {
        let partition = self.batch.partition.partition.clone();
        self.rejected.push(RejectedRecord { partition, offset: record.offset, reason });
    }

    fn finish(mut self) -> Result<Rows> {
        self.refuse()?;
        if !self.seen.contains(&true) {
            // Records without one field of ours are rows of defaults; an insert must name some column.
            self.seen.fill(true);
        }
        for (place, builder) in self.builders.iter_mut().enumerate() {
            if let Some(builder) = builder.as_mut().filter(|_| self.seen[place]) {
                self.rows.columns.push(place);
                self.rows.arrays.push(builder.finish());
            }
        }
        self.rows.removed = self.key_builders.iter_mut().map(ColumnBuilder::finish).collect();
        Ok(self.rows)
    }

    fn refuse(&mut self) -> Result<()> {
        if self.rejected.is_empty() {
            return Ok(());
        }
        // One entry a record: the reason of its first column is the one told.
        self.rejected.sort_by_key(|rejected| rejected.offset);
        self.rejected.dedup_by_key(|rejected| rejected.offset);
        let rows = self.rows.offsets.len();
        let hopeless = self.misfits.iter().position(|misfits| rows >= MISMATCH_ROWS && *misfits == rows);
        let label = self.table.label();
        if let Some(place) = hopeless {
            let column = &self.table.columns[place];
            let reason = &self.rejected[0].reason;
            return Err(self.table.mismatch(
                &column.name,
                format!(
                    "None of {rows} records fits column {} of {label}, which has type {}: {reason}.",
                    column.name, column.type_name
                ),
            ));
        }
        let rejected = std::mem::take(&mut self.rejected);
        Err(Error::new(ErrorKind::RecordRejected, "converting records to rows", label).with_rejected(rejected))
    }
}

/// The payload of `{"schema":…,"payload":…}`.
pub fn payload(value: &[u8]) -> Result<&[u8], &'static str> {
    let mut slots = [None];
    json_cells::read_fields(value, &FieldIndex::new(vec!["payload".to_owned()]), &mut slots)?;
    slots[0].map(|payload| payload.get().as_bytes()).ok_or("the value has no payload beside its schema")
}

/// What orders the states of a row: the commit's LSN, or its time in a column of times. A foreign record is older
/// than every change of the database.
fn version(kind: Kind, record: &SinkRecord) -> Option<Cell<'static>> {
    let origin = record.origin.as_ref();
    match kind {
        Kind::Int { bits: 64, .. } => {
            Some(Cell::Int(origin.map_or(0, |origin| i128::from(origin.position.commit_end.0))))
        }
        Kind::DateTime | Kind::DateTime64 { .. } => {
            let micros = origin.map_or(record.timestamp_ms.saturating_mul(1_000), |origin| origin.commit_us);
            Instant::from_ticks(micros, 6).map(Cell::Instant)
        }
        _ => None,
    }
}

/// Records that follow each other and whose rows are decoded.
#[derive(Default)]
struct Run<'b> {
    rows: Vec<usize>,
    records: Vec<&'b SinkRecord>,
}

/// A chunk's decoded rows with a reader for each table column.
struct Decoded<'b> {
    columns: &'b ChangelogBatch,
    readers: Vec<Option<CellReader<'b>>>,
}

impl Decoded<'_> {
    /// The row that is the state after `record`; `at` remembers where the last one was found.
    fn row(&self, record: i64, at: &mut usize) -> Option<usize> {
        let meta = &self.columns.meta;
        let mut found = None;
        while let Some(row) = meta.get(*at).filter(|row| i64::from(row.record) <= record) {
            if i64::from(row.record) == record && matches!(row.kind, RowKind::Insert | RowKind::UpdateAfter) {
                found = Some(*at);
            }
            *at += 1;
        }
        found.filter(|row| *row < self.columns.rows.num_rows())
    }
}

#[cfg(test)]
mod tests;
