//! Columns → bytes of a record's key or value, in any of the formats.

use arrow::array::ArrayRef;

use super::csv::CsvWriter;
use super::json_write::JsonWriter;
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

    /// Appends a row; false if its bytes are null. `deleted` is a row that goes away.
    pub fn write(&self, out: &mut Vec<u8>, columns: &[ArrayRef], row: usize, deleted: bool) -> Result<bool, EvalError> {
        match self {
            Self::Json(writer) => writer.write(out, columns, row)?,
            Self::Debezium(writer) => {
                out.extend_from_slice(if deleted { b"{\"before\":" } else { b"{\"before\":null,\"after\":" });
                writer.write(out, columns, row)?;
                out.extend_from_slice(if deleted { b",\"after\":null,\"op\":\"d\"}" } else { b",\"op\":\"c\"}" });
            }
            Self::Csv(writer) => writer.write(out, columns, row)?,
            Self::Raw(index, kind, options) => return raw::write(out, &columns[*index], row, *kind, *options),
        }
        Ok(true)
    }
}
