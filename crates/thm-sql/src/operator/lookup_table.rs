//! The current rows of a table, by record key and by join key.
//!
//! ```text
//!   by_record: record key ──▶ slot          index: join key ──▶ slots
//!                              │
//!   batches: [one row of NULLs][rows][rows]…  a slot is (batch, row)
//! ```
//! Rows stay in the columns they came in; a row that is replaced is dead until compaction. NULL in a join key matches
//! nothing, so such rows are not indexed.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use thm_api::{Error, ErrorKind, Result};

use crate::expr::{EvalError, Expr, Input, text};
use crate::types::LogicalType;

/// Batches above which dead rows and small batches are merged: look-ups gather across all batches.
const MAX_BATCHES: usize = 64;

/// By key. Every row of the stream is hashed once, and the keys are those of the user's own database: a quick hash with a
/// seed of its own does, where the standard one guards against keys that an enemy chooses.
type KeyMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Where a row lies.
pub type Slot = (usize, usize);

/// Rows of a table, current version only.
#[derive(Debug)]
pub struct LookupTable {
    types: Vec<LogicalType>,
    keys: Vec<Expr>,
    batches: Vec<Vec<ArrayRef>>,
    by_record: KeyMap<Bytes, Entry>,
    index: KeyMap<Box<[u8]>, Vec<(Bytes, Slot)>>,
    stored: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    slot: Slot,
    key: Option<Box<[u8]>>,
}

impl LookupTable {
    /// An empty table with columns of these types, looked up by these expressions over them.
    #[must_use]
    pub fn new(types: Vec<LogicalType>, keys: Vec<Expr>) -> Self {
        let nulls = types.iter().map(|kind| new_null_array(&kind.to_arrow(), 1)).collect();
        Self { types, keys, batches: vec![nulls], by_record: KeyMap::default(), index: KeyMap::default(), stored: 0 }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_record.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_record.is_empty()
    }

    /// Applies changes in order: row i belongs to `records[i]`; `deleted[i]` removes it.
    pub fn apply(&mut self, columns: Vec<ArrayRef>, records: Vec<Bytes>, deleted: &[bool]) -> Result<(), EvalError> {
        let join_keys = key_texts(&self.keys, &columns, records.len())?;
        let batch = self.batches.len();
        self.stored += records.len();
        self.batches.push(columns);
        for (row, (record, key)) in records.into_iter().zip(join_keys).enumerate() {
            self.forget(&record);
            if !deleted[row] {
                self.remember(record, key, (batch, row));
            }
        }
        if self.batches.len() > MAX_BATCHES {
            self.compact()?;
        }
        Ok(())
    }

    fn remember(&mut self, record: Bytes, key: Option<Box<[u8]>>, slot: Slot) {
        if let Some(key) = &key {
            let slots = self.index.entry(key.clone()).or_default();
            // Sorted by record key, so that the order of matches does not depend on history.
            let at = slots.partition_point(|(other, _)| *other < record);
            slots.insert(at, (record.clone(), slot));
        }
        self.by_record.insert(record, Entry { slot, key });
    }

    fn forget(&mut self, record: &Bytes) {
        let Some(old) = self.by_record.remove(record) else { return };
        let Some(key) = old.key else { return };
        if let Some(slots) = self.index.get_mut(&key) {
            slots.retain(|(other, _)| other != record);
            if slots.is_empty() {
                self.index.remove(&key);
            }
        }
    }

    /// Drops all rows with this join key.
    pub fn forget_key(&mut self, key: &[u8]) {
        for (record, _) in self.index.remove(key).unwrap_or_default() {
            self.by_record.remove(&record);
        }
    }

    /// Frees what dead rows take, once there are more of them than of the others.
    pub fn shrink(&mut self) -> Result<(), EvalError> {
        if self.is_empty() {
            self.batches.truncate(1);
            self.stored = 0;
        } else if self.stored > 2 * self.len() {
            self.compact()?;
        }
        Ok(())
    }

    /// Rows with this join key, in the order of their record keys.
    pub fn find(&self, key: &[u8]) -> impl Iterator<Item = Slot> + '_ {
        self.index.get(key).into_iter().flatten().map(|(_, slot)| *slot)
    }

    /// The slot of the row of NULLs.
    #[must_use]
    pub const fn nothing() -> Slot {
        (0, 0)
    }

    /// Columns of some slots.
    pub fn gather(&self, slots: &[Slot]) -> Result<Vec<ArrayRef>, EvalError> {
        let column = |index: usize| {
            let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[index].as_ref()).collect();
            // Columns that nothing uses are never read.
            if parts.iter().all(|part| part.null_count() == part.len()) {
                return Ok(new_null_array(&self.types[index].to_arrow(), slots.len()));
            }
            interleave(&parts, slots).map_err(|error| EvalError { message: error.to_string(), row: 0 })
        };
        (0..self.types.len()).map(column).collect()
    }

    /// Merges all batches into one without dead rows, in the order of the record keys.
    fn compact(&mut self) -> Result<(), EvalError> {
        let mut records: Vec<(Bytes, Entry)> = self.by_record.drain().collect();
        records.sort_by(|(a, _), (b, _)| a.cmp(b));
        let slots: Vec<Slot> = records.iter().map(|(_, entry)| entry.slot).collect();
        let columns = self.gather(&slots)?;
        self.batches.truncate(1);
        self.batches.push(columns);
        self.index.clear();
        self.stored = records.len();
        for (row, (record, entry)) in records.into_iter().enumerate() {
            self.remember(record, entry.key, (1, row));
        }
        Ok(())
    }

    /// All rows with their record keys, as an Arrow stream.
    pub fn to_bytes(&mut self) -> Result<Vec<u8>> {
        self.compact().map_err(|error| failed("saving a look-up table").with_source(error))?;
        let mut records: Vec<&Bytes> = self.by_record.keys().collect();
        records.sort();
        let keys = BinaryArray::from_iter_values(records.iter().map(|record| record.as_ref()));
        let mut fields = vec![Field::new("record", keys.data_type().clone(), false)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(keys)];
        for (index, column) in self.batches.last().into_iter().flatten().enumerate() {
            fields.push(Field::new(index.to_string(), column.data_type().clone(), true));
            columns.push(if self.by_record.is_empty() { column.slice(0, 0) } else { Arc::clone(column) });
        }
        let schema = Arc::new(Schema::new(fields));
        let write = || {
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
            writer.write(&batch)?;
            writer.into_inner()
        };
        write().map_err(|error| failed("saving a look-up table").with_source(error))
    }

    /// Takes back what [`Self::to_bytes`] gave.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let bad = |error: arrow::error::ArrowError| failed("restoring a look-up table").with_source(error);
        *self = Self::new(std::mem::take(&mut self.types), std::mem::take(&mut self.keys));
        for batch in StreamReader::try_new(Cursor::new(bytes), None).map_err(bad)? {
            let batch = batch.map_err(bad)?;
            let (records, columns) =
                batch.columns().split_first().ok_or_else(|| failed("restoring a look-up table"))?;
            let same = columns.len() == self.types.len()
                && columns.iter().zip(&self.types).all(|(column, kind)| *column.data_type() == kind.to_arrow());
            if !same {
                return Err(failed("restoring a look-up table").with_hint("Its columns have changed."));
            }
            let records = records.as_binary::<i32>();
            let records: Vec<Bytes> = records.iter().flatten().map(Bytes::copy_from_slice).collect();
            let alive = vec![false; records.len()];
            let applied = self.apply(columns.to_vec(), records, &alive);
            applied.map_err(|error| failed("restoring a look-up table").with_source(error))?;
        }
        Ok(())
    }
}

fn failed(doing: &'static str) -> Error {
    Error::new(ErrorKind::Internal, doing, "checkpoint")
}

/// Join keys as bytes: the canonical text of each part, of several with its length behind it; `None` where a part is NULL.
pub fn key_texts(keys: &[Expr], columns: &[ArrayRef], rows: usize) -> Result<Vec<Option<Box<[u8]>>>, EvalError> {
    let input = Input::new(columns, rows);
    let parts: Result<Vec<(ArrayRef, LogicalType)>, EvalError> =
        keys.iter().map(|key| Ok((key.evaluate(&input)?, key.data_type.kind))).collect();
    let parts = parts?;
    let mut out = Vec::with_capacity(rows);
    let mut buffer = String::new();
    for row in 0..rows {
        buffer.clear();
        out.push(key_text(&mut buffer, &parts, row).then(|| Box::from(buffer.as_bytes())));
    }
    Ok(out)
}

/// Appends the key of one row; false if a part is NULL.
pub fn key_text(out: &mut String, parts: &[(ArrayRef, LogicalType)], row: usize) -> bool {
    for (array, kind) in parts {
        if text::is_null(array, row, *kind) {
            return false;
        }
        let start = out.len();
        text::write(out, array, row, *kind);
        if parts.len() > 1 {
            let length = out.len() - start;
            out.push(':');
            out.push_str(itoa::Buffer::new().format(length));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Int32Array, StringArray};

    use super::*;

    fn table() -> LookupTable {
        let key = Expr::column(0, LogicalType::STRING.nullable(true));
        LookupTable::new(vec![LogicalType::STRING, LogicalType::Int], vec![key])
    }

    fn put(table: &mut LookupTable, record: &str, key: Option<&str>, value: i32, deleted: bool) {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec![key])), Arc::new(Int32Array::from(vec![value]))];
        table.apply(columns, vec![Bytes::copy_from_slice(record.as_bytes())], &[deleted]).unwrap();
    }

    fn values(table: &LookupTable, key: &str) -> Vec<i32> {
        let slots: Vec<Slot> = table.find(key.as_bytes()).collect();
        let columns = table.gather(&slots).unwrap();
        columns[1].as_primitive::<arrow::datatypes::Int32Type>().values().to_vec()
    }

    #[test]
    fn keeps_the_current_row_of_each_record() {
        let mut table = table();
        put(&mut table, "1", Some("a"), 1, false);
        put(&mut table, "2", Some("a"), 2, false);
        put(&mut table, "3", None, 3, false);
        assert_eq!(values(&table, "a"), [1, 2]);
        put(&mut table, "1", Some("b"), 10, false);
        put(&mut table, "2", Some("a"), 0, true);
        assert_eq!((values(&table, "a"), values(&table, "b")), (vec![], vec![10]));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn survives_compaction_and_a_checkpoint() {
        let mut before = table();
        for round in 0..300 {
            put(&mut before, &format!("r{}", round % 7), Some(&format!("k{}", round % 3)), round, round % 11 == 0);
        }
        let bytes = before.to_bytes().unwrap();
        let mut after = table();
        after.restore(&bytes).unwrap();
        for key in ["k0", "k1", "k2"] {
            assert_eq!(values(&before, key), values(&after, key));
        }
        assert_eq!(after.to_bytes().unwrap(), bytes, "the same rows give the same bytes");
        let empty = table().to_bytes().unwrap();
        after.restore(&empty).unwrap();
        assert!(after.is_empty());
    }
}
