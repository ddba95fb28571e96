//! The fast way from a batch to rows: the columns that the source made stay as they are, if they are provably what the
//! records' JSON gives.
//!
//! ```text
//!   decoded columns ──┬─ types as before, all columns fit, one table, texts seen to agree ─▶ rows
//!                     └─ else ─▶ nothing: the records are parsed
//! ```

use arrow::array::{Array, AsArray};
use arrow::datatypes::SchemaRef;
use thm_api::{ChangelogBatch, FetchedBatch, Result, RowKind, TopicPartition};
use thm_codec::record_batch;

use super::chunk::Chunk;
use super::decode::{Decoder, Read, broken};
use super::record::RecordPlace;
use crate::format::cells::Cell;
use crate::format::debezium_json::{LastSource, OldRows};
use crate::format::{Field, Meta, Place, ValueFormat, decoded, json_read};
use crate::operator::Rows;

/// Which text columns of the tail cache have been seen to agree with the record's JSON: a `numeric` is a text there and
/// may be anything in JSON, by the source's options. Kept per schema; one record of a batch is looked at until all agree.
#[derive(Default)]
pub(super) struct Trust {
    schema: Option<SchemaRef>,
    unseen: Vec<usize>,
    broken: bool,
}

impl Decoder {
    /// The fast way; `None` where it is not provably the same as the slow one.
    pub(super) fn take_columns(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedBatch,
        batch: &ChangelogBatch,
        from: i64,
    ) -> Result<Option<Chunk>> {
        let plain = self.spec.value.kind == ValueFormat::DebeziumJson && self.spec.key.is_none() && !self.spec.retract;
        if !plain || fetched.batch.positions.is_empty() {
            return Ok(None);
        }
        // Of another type than before: whether that is another table's column is known from the records alone.
        if self.trust.schema.as_ref() != Some(&batch.rows.schema()) && !self.shapes.has_types(&self.types_of(batch)) {
            return Ok(None);
        }
        let options = &self.spec.value.json;
        let Some(columns) = decoded::columns(&batch.rows, &self.fields, options) else { return Ok(None) };
        let there = |(index, field): (usize, &Field)| {
            let found = field.needed && field.place == Place::Value && batch.rows.column_by_name(&field.name).is_some();
            if found { json_read::bit(index) } else { 0 }
        };
        let present = self.fields.iter().enumerate().map(there).fold(0, |all, bit| all | bit);
        if !self.shapes.knows(present) && batch.meta.iter().any(|row| row.kind != RowKind::Delete) {
            return Ok(None);
        }
        let base = fetched.base_offset.0;
        let meta: Vec<Meta> = batch
            .meta
            .iter()
            .map(|row| Meta {
                kind: row.kind,
                op: row.op,
                position: row.position,
                commit_us: row.commit_us,
                timestamp_ms: row.commit_us.div_euclid(1_000),
                offset: base + i64::from(row.record),
                whole: false,
            })
            .collect();
        let changes = !self.key_checked && meta.iter().any(|meta| meta.kind != RowKind::Insert);
        let mut keys = Vec::new();
        if self.with_keys || changes {
            match self.keys_of(partition, fetched, &meta)? {
                Some(found) => keys = found,
                None => return Ok(None),
            }
        }
        let rows = Rows { columns, meta };
        if !self.agrees(partition, fetched, batch, &rows)? {
            return Ok(None);
        }
        let at = rows.meta.partition_point(|meta| meta.offset < from);
        Ok(Some(Chunk { rows, keys, at, next_offset: fetched.next_offset().0 }))
    }

    /// Whether the texts of a decoded batch are those of its JSON, as far as that has not been seen yet.
    fn agrees(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedBatch,
        batch: &ChangelogBatch,
        rows: &Rows,
    ) -> Result<bool> {
        let schema = batch.rows.schema();
        if self.trust.schema.as_ref() != Some(&schema) {
            let text =
                |field: &Field| field.needed && field.kind.is_text() && schema.column_with_name(&field.name).is_some();
            let unseen =
                self.fields.iter().enumerate().filter(|(_, field)| text(field)).map(|(index, _)| index).collect();
            self.trust = Trust { schema: Some(schema), unseen, broken: false };
        }
        let shown = |row: usize| {
            rows.meta[row].kind != RowKind::Delete
                && self.trust.unseen.iter().any(|field| rows.columns[*field].is_valid(row))
        };
        let Some(row) = (0..rows.len()).find(|row| !self.trust.broken && shown(*row)) else {
            return Ok(!self.trust.broken);
        };
        let records = record_batch::records(&fetched.batch.bytes).map_err(|error| broken(partition, fetched, error))?;
        let wanted = rows.meta[row].offset - fetched.base_offset.0;
        let record = records.flatten().find(|record| i64::from(record.offset_delta) == wanted);
        let Some(record) = record else { return Ok(false) };
        let origin = RecordPlace {
            partition,
            offset: rows.meta[row].offset,
            timestamp_ms: record.timestamp_ms,
            headers: &record.headers,
        };
        let Ok(Some(Read { cells, .. })) = self.record(
            record.key.as_deref(),
            record.value.as_deref(),
            &origin,
            OldRows::Unread,
            &mut LastSource::default(),
        ) else {
            return Ok(false);
        };
        let same = |field: usize| match &cells[field] {
            Some(Cell::Text(text)) => {
                rows.columns[field].is_valid(row) && rows.columns[field].as_string::<i32>().value(row) == text
            }
            _ => rows.columns[field].is_null(row),
        };
        let differs = self.trust.unseen.iter().any(|field| !same(*field));
        let seen = |field: &usize| rows.columns[*field].is_null(row);
        self.trust.unseen.retain(seen);
        self.trust.broken = differs;
        if differs {
            tracing::info!(job = %self.job, %partition, "texts of the tail cache differ from the records': parsing those");
        }
        Ok(!differs)
    }

    /// Names and types of the columns that are read, as the source has them.
    pub(super) fn types_of(&self, batch: &ChangelogBatch) -> Vec<(String, String)> {
        let read = self.fields.iter().filter(|field| field.needed && field.place == Place::Value);
        let typed = |field: &Field| {
            let column = batch.rows.column_by_name(&field.name)?;
            Some((field.name.clone(), column.data_type().to_string()))
        };
        read.filter_map(typed).collect()
    }
}
