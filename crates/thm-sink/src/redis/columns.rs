//! Fields of a record's row in the tail cache: Arrow columns instead of JSON.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
};
use thm_api::{ChangelogBatch, Offset, SinkChunk};

use super::config::Fields;
use super::values::{Time, Values};

/// The four columns of a decoded batch, if all of them are there and of a type we read.
pub(super) struct Columns<'a> {
    batch: &'a ChangelogBatch,
    id: &'a ArrayRef,
    content: &'a ArrayRef,
    kind: &'a ArrayRef,
    time: &'a ArrayRef,
}

/// One row of them.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a Columns<'a>,
    row: usize,
}

impl<'a> Columns<'a> {
    /// `None` where the rows must be read from JSON.
    pub fn of(chunk: &'a SinkChunk, fields: &Fields) -> Option<Self> {
        let batch = chunk.columns.as_deref()?;
        let column = |name: &str| batch.rows.column_by_name(name).filter(|column| is_readable(column.data_type()));
        Some(Self {
            batch,
            id: column(&fields.id)?,
            content: column(&fields.content)?,
            kind: column(&fields.kind)?,
            time: column(&fields.time)?,
        })
    }

    /// The last row of the record at `offset`; `from` is where to look first, and moves on.
    pub fn row(&'a self, base: Offset, offset: Offset, from: &mut usize) -> Option<Row<'a>> {
        let record = u32::try_from(offset.0 - base.0).ok()?;
        let meta = &self.batch.meta;
        while *from < meta.len() && meta[*from].record < record {
            *from += 1;
        }
        let mut found = None;
        while *from < meta.len() && meta[*from].record == record {
            found = Some(Row { columns: self, row: *from });
            *from += 1;
        }
        found
    }
}

impl<'a> Row<'a> {
    /// Its identity.
    pub fn id(self) -> Option<Cow<'a, str>> {
        text(self.columns.id, self.row)
    }

    /// All four fields.
    pub fn values(self) -> Values<'a> {
        let Self { columns, row } = self;
        Values {
            id: Some(text(columns.id, row)),
            content: Some(text(columns.content, row)),
            kind: Some(text(columns.kind, row)),
            time: Some(time(columns.time, row)),
        }
    }
}

fn is_readable(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
        || matches!(kind, DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, _))
}

fn integer(column: &dyn Array, row: usize) -> Option<i64> {
    Some(match column.data_type() {
        DataType::Int16 => i64::from(column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => i64::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row),
        DataType::Timestamp(TimeUnit::Millisecond, _) => column.as_primitive::<TimestampMillisecondType>().value(row),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000)
        }
        _ => return None,
    })
}

fn text(column: &ArrayRef, row: usize) -> Option<Cow<'_, str>> {
    if column.is_null(row) {
        return None;
    }
    match column.as_string_opt::<i32>() {
        Some(texts) => Some(Cow::Borrowed(texts.value(row))),
        None => integer(column, row).map(|number| Cow::Owned(number.to_string())),
    }
}

fn time(column: &ArrayRef, row: usize) -> Option<Time<'_>> {
    if column.is_null(row) {
        return None;
    }
    match column.as_string_opt::<i32>() {
        Some(texts) => Some(Time::Text(Cow::Borrowed(texts.value(row)))),
        None => integer(column, row).map(Time::Millis),
    }
}
