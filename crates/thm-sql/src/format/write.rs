//! Columns → bytes of a record's key or value, in any of the formats.

use arrow::array::ArrayRef;

use super::csv::CsvWriter;
use super::json_write::{JsonRows, JsonWriter};
use super::raw;
use super::{Format, RawOptions, ValueFormat};
use crate::catalog::PhysicalColumn;
use crate::expr::EvalError;
use crate::types::LogicalType;

/// Writes some columns of a table.
#[derive(Clone, Debug)]
pub enum Writer {
    /// One JSON object.
    Json(JsonWriter),
    /// `{"before":…,"after":…,"op":"c"}`
    Debezium(JsonWriter),
    /// One line of separated values.
    Csv(CsvWriter),
    /// The bytes of one column.
    Raw(usize, LogicalType, RawOptions),
}

impl Writer {
    /// For some columns under the names they have in the record.
    #[must_use]
    pub fn new(format: &Format, columns: &[PhysicalColumn], fields: &[(usize, String)]) -> Self {
        match format.kind {
            ValueFormat::Json => Self::Json(JsonWriter::new(columns, fields, format.json)),
            ValueFormat::DebeziumJson => Self::Debezium(JsonWriter::new(columns, fields, format.json)),
            ValueFormat::Csv => Self::Csv(CsvWriter::new(columns, fields, format.csv.clone())),
            ValueFormat::Raw => {
                let index = fields.first().map_or(0, |(index, _)| *index);
                Self::Raw(index, columns[index].data_type.kind, format.raw)
            }
        }
    }

    /// Whether a row that goes away is a record of its own, not a tombstone.
    #[must_use]
    pub const fn writes_deletes(&self) -> bool {
        matches!(self, Self::Debezium(_))
    }

    /// For the rows of one batch.
    #[must_use]
    pub fn rows<'a>(&'a self, columns: &'a [ArrayRef]) -> RowWriter<'a> {
        match self {
            Self::Json(writer) => RowWriter::Json(writer.rows(columns)),
            Self::Debezium(writer) => RowWriter::Debezium(writer.rows(columns)),
            Self::Csv(writer) => RowWriter::Csv(writer, columns),
            Self::Raw(index, kind, options) => RowWriter::Raw(&columns[*index], *kind, *options),
        }
    }
}

/// Writes the rows of one batch.
pub enum RowWriter<'a> {
    /// One JSON object.
    Json(JsonRows<'a>),
    /// `{"before":…,"after":…,"op":"c"}`
    Debezium(JsonRows<'a>),
    /// One line of separated values.
    Csv(&'a CsvWriter, &'a [ArrayRef]),
    /// The bytes of one column.
    Raw(&'a ArrayRef, LogicalType, RawOptions),
}

impl RowWriter<'_> {
    /// Appends a row; false if its bytes are null. `deleted` is a row that goes away.
    pub fn write(&self, out: &mut Vec<u8>, row: usize, deleted: bool) -> Result<bool, EvalError> {
        match self {
            Self::Json(rows) => rows.write(out, row)?,
            Self::Debezium(rows) => {
                let nulls = !rows.leaves_nulls_out();
                out.extend_from_slice(match deleted {
                    true => b"{\"before\":".as_slice(),
                    false if nulls => b"{\"before\":null,\"after\":",
                    false => b"{\"after\":",
                });
                rows.write(out, row)?;
                out.extend_from_slice(match deleted {
                    true if nulls => b",\"after\":null,\"op\":\"d\"}".as_slice(),
                    true => b",\"op\":\"d\"}",
                    false => b",\"op\":\"c\"}",
                });
            }
            Self::Csv(writer, columns) => writer.write(out, columns, row)?,
            Self::Raw(column, kind, options) => return raw::write(out, column, row, *kind, *options),
        }
        Ok(true)
    }
}
