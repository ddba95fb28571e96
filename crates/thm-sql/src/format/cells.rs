//! Builders of columns, one value at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time32MillisecondBuilder,
    TimestampMicrosecondBuilder, TimestampMillisecondBuilder, TimestampNanosecondBuilder, new_null_array,
};
use arrow::datatypes::TimeUnit;

use super::nested::NestedCells;
use crate::types::time::Moment;
use crate::types::{LogicalType, unit_for};

/// A value for one cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// BOOLEAN
    Boolean(bool),
    /// Any integer; it has been checked against the column's range.
    Integer(i64),
    /// FLOAT and DOUBLE
    Double(f64),
    /// DECIMAL in units of its scale.
    Decimal(i128),
    /// CHAR and VARCHAR
    Text(std::borrow::Cow<'a, str>),
    /// BINARY and VARBINARY
    Bytes(Vec<u8>),
    /// DATE, days since 1970.
    Date(i32),
    /// TIME, milliseconds of the day.
    Time(i32),
    /// TIMESTAMP and TIMESTAMP_LTZ
    Moment(Moment),
    /// ARRAY
    List(Vec<Option<Self>>),
    /// MAP and MULTISET: keys and values.
    Entries(Vec<(Option<Self>, Option<Self>)>),
    /// ROW
    Row(Vec<Option<Self>>),
}

/// A column being built.
pub enum Cells {
    /// Nobody reads it: all NULL.
    Unneeded(LogicalType, usize),
    /// BOOLEAN
    Boolean(BooleanBuilder),
    /// TINYINT
    TinyInt(Int8Builder),
    /// SMALLINT
    SmallInt(Int16Builder),
    /// INT
    Int(Int32Builder),
    /// BIGINT
    BigInt(Int64Builder),
    /// FLOAT
    Float(Float32Builder),
    /// DOUBLE
    Double(Float64Builder),
    /// DECIMAL
    Decimal(Decimal128Builder),
    /// Texts
    Text(StringBuilder),
    /// Bytes
    Bytes(BinaryBuilder),
    /// DATE
    Date(Date32Builder),
    /// TIME
    Time(Time32MillisecondBuilder),
    /// TIMESTAMP(0..=3) and its precision
    Millis(TimestampMillisecondBuilder, u8),
    /// TIMESTAMP(4..=6)
    Micros(TimestampMicrosecondBuilder, u8),
    /// TIMESTAMP(7..=9)
    Nanos(TimestampNanosecondBuilder, u8),
    /// ARRAY, MAP, MULTISET and ROW.
    Nested(Box<NestedCells>),
}

impl Cells {
    /// For a type, with room for `rows`.
    #[must_use]
    pub fn new(kind: LogicalType, needed: bool, rows: usize) -> Self {
        Self::with_text_bytes(kind, needed, rows, rows * 16)
    }

    /// The same with room for so many bytes of texts: a column that outgrows its memory is copied.
    #[must_use]
    pub fn with_text_bytes(kind: LogicalType, needed: bool, rows: usize, text_bytes: usize) -> Self {
        if !needed {
            return Self::Unneeded(kind, 0);
        }
        match kind {
            LogicalType::Array(_) | LogicalType::Map(_) | LogicalType::Multiset(_) | LogicalType::Row(_) => {
                Self::Nested(Box::new(NestedCells::new(kind)))
            }
            // No table has columns of these types: the catalog refuses them.
            LogicalType::Null | LogicalType::IntervalMonth | LogicalType::IntervalSecond => Self::Unneeded(kind, 0),
            LogicalType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            LogicalType::TinyInt => Self::TinyInt(Int8Builder::with_capacity(rows)),
            LogicalType::SmallInt => Self::SmallInt(Int16Builder::with_capacity(rows)),
            LogicalType::Int => Self::Int(Int32Builder::with_capacity(rows)),
            LogicalType::BigInt => Self::BigInt(Int64Builder::with_capacity(rows)),
            LogicalType::Float => Self::Float(Float32Builder::with_capacity(rows)),
            LogicalType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            LogicalType::Decimal { .. } => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(kind.to_arrow()))
            }
            LogicalType::Char(_) | LogicalType::VarChar(_) => {
                Self::Text(StringBuilder::with_capacity(rows, text_bytes))
            }
            LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
                Self::Bytes(BinaryBuilder::with_capacity(rows, text_bytes))
            }
            LogicalType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            LogicalType::Time(_) => Self::Time(Time32MillisecondBuilder::with_capacity(rows)),
            LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
                let data_type = kind.to_arrow();
                match unit_for(p) {
                    TimeUnit::Microsecond => {
                        Self::Micros(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type), p)
                    }
                    TimeUnit::Nanosecond => {
                        Self::Nanos(TimestampNanosecondBuilder::with_capacity(rows).with_data_type(data_type), p)
                    }
                    _ => Self::Millis(TimestampMillisecondBuilder::with_capacity(rows).with_data_type(data_type), p),
                }
            }
        }
    }

    /// Appends a value or NULL. A cell of another type than the column's is NULL.
    pub fn push(&mut self, cell: Option<Cell<'_>>) {
        let integer = |cell: &Option<Cell<'_>>| if let Some(Cell::Integer(wide)) = cell { Some(*wide) } else { None };
        let double = |cell: &Option<Cell<'_>>| if let Some(Cell::Double(wide)) = cell { Some(*wide) } else { None };
        let moment = |cell: &Option<Cell<'_>>| if let Some(Cell::Moment(moment)) = cell { Some(*moment) } else { None };
        match self {
            Self::Unneeded(_, rows) => *rows += 1,
            Self::Boolean(out) => out.append_option(if let Some(Cell::Boolean(yes)) = cell { Some(yes) } else { None }),
            Self::TinyInt(out) => out.append_option(integer(&cell).and_then(|wide| wide.try_into().ok())),
            Self::SmallInt(out) => out.append_option(integer(&cell).and_then(|wide| wide.try_into().ok())),
            Self::Int(out) => out.append_option(integer(&cell).and_then(|wide| wide.try_into().ok())),
            Self::BigInt(out) => out.append_option(integer(&cell)),
            Self::Float(out) => out.append_option(double(&cell).map(|wide| wide as f32)),
            Self::Double(out) => out.append_option(double(&cell)),
            Self::Decimal(out) => {
                out.append_option(if let Some(Cell::Decimal(value)) = cell { Some(value) } else { None });
            }
            Self::Text(out) => out.append_option(if let Some(Cell::Text(text)) = cell { Some(text) } else { None }),
            Self::Bytes(out) => out.append_option(if let Some(Cell::Bytes(bytes)) = cell { Some(bytes) } else { None }),
            Self::Date(out) => out.append_option(if let Some(Cell::Date(days)) = cell { Some(days) } else { None }),
            Self::Time(out) => out.append_option(if let Some(Cell::Time(millis)) = cell { Some(millis) } else { None }),
            Self::Millis(out, p) => {
                out.append_option(moment(&cell).and_then(|moment| moment.to(*p, TimeUnit::Millisecond)));
            }
            Self::Micros(out, p) => {
                out.append_option(moment(&cell).and_then(|moment| moment.to(*p, TimeUnit::Microsecond)));
            }
            Self::Nanos(out, p) => {
                out.append_option(moment(&cell).and_then(|moment| moment.to(*p, TimeUnit::Nanosecond)));
            }
            Self::Nested(out) => out.push(cell),
        }
    }

    /// The column.
    #[must_use]
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Unneeded(kind, rows) => new_null_array(&kind.to_arrow(), std::mem::take(rows)),
            Self::Boolean(out) => Arc::new(out.finish()),
            Self::TinyInt(out) => Arc::new(out.finish()),
            Self::SmallInt(out) => Arc::new(out.finish()),
            Self::Int(out) => Arc::new(out.finish()),
            Self::BigInt(out) => Arc::new(out.finish()),
            Self::Float(out) => Arc::new(out.finish()),
            Self::Double(out) => Arc::new(out.finish()),
            Self::Decimal(out) => Arc::new(out.finish()),
            Self::Text(out) => Arc::new(out.finish()),
            Self::Bytes(out) => Arc::new(out.finish()),
            Self::Date(out) => Arc::new(out.finish()),
            Self::Time(out) => Arc::new(out.finish()),
            Self::Millis(out, _) => Arc::new(out.finish()),
            Self::Micros(out, _) => Arc::new(out.finish()),
            Self::Nanos(out, _) => Arc::new(out.finish()),
            Self::Nested(out) => out.finish(),
        }
    }
}
