//! Cells from the decoded form of a log batch: one downcast per column, one [`Cell`] per value.
//!
//! A column is used only if its cells convert to exactly what the JSON text of the same record would give
//! ([`is_faithful`]); a retry after a crash reads the bytes, and must write the same rows.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::cell::Cell;
use super::instant::Instant;
use super::types::Kind;

/// Whether cells of `from` give a column of `to` the same value as the JSON text of the record would.
#[must_use]
pub fn is_faithful(from: &DataType, to: Kind) -> bool {
    match from {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Null => true,
        DataType::Boolean => matches!(to, Kind::Bool | Kind::Int { .. } | Kind::String),
        from if from.is_integer() => {
            matches!(to, Kind::Int { .. } | Kind::Float64 | Kind::Decimal { .. } | Kind::String | Kind::ServerParsed)
        }
        DataType::Float32 => to == Kind::Float32,
        DataType::Float64 => to == Kind::Float64,
        DataType::Decimal128(_, scale) => *scale >= 0 && matches!(to, Kind::Decimal { .. } | Kind::Int { .. }),
        DataType::Timestamp(..) => matches!(to, Kind::DateTime | Kind::DateTime64 { .. }),
        DataType::Date32 => matches!(to, Kind::Date | Kind::Date32),
        _ => false,
    }
}

/// A decoded column, ready to give cells.
#[derive(Clone, Copy, Debug)]
pub struct CellReader<'a> {
    array: &'a ArrayRef,
    typed: Typed<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Typed<'a> {
    Null,
    Bool(&'a arrow::array::BooleanArray),
    I8(&'a PrimitiveArray<Int8Type>),
    I16(&'a PrimitiveArray<Int16Type>),
    I32(&'a PrimitiveArray<Int32Type>),
    I64(&'a PrimitiveArray<Int64Type>),
    U8(&'a PrimitiveArray<UInt8Type>),
    U16(&'a PrimitiveArray<UInt16Type>),
    U32(&'a PrimitiveArray<UInt32Type>),
    U64(&'a PrimitiveArray<UInt64Type>),
    F32(&'a PrimitiveArray<Float32Type>),
    F64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, u32),
    Text(&'a arrow::array::StringArray),
    LargeText(&'a arrow::array::LargeStringArray),
    Days(&'a PrimitiveArray<Date32Type>),
    Ticks(&'a [i64], u32),
}

fn ticks<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef, digits: u32) -> Typed<'_> {
    Typed::Ticks(array.as_primitive::<T>().values(), digits)
}

impl<'a> CellReader<'a> {
    /// For a column of a type that [`is_faithful`] knows; `None` for others.
    #[must_use]
    pub fn new(array: &'a ArrayRef) -> Option<Self> {
        let typed = match array.data_type() {
            DataType::Null => Typed::Null,
            DataType::Boolean => Typed::Bool(array.as_boolean()),
            DataType::Int8 => Typed::I8(array.as_primitive()),
            DataType::Int16 => Typed::I16(array.as_primitive()),
            DataType::Int32 => Typed::I32(array.as_primitive()),
            DataType::Int64 => Typed::I64(array.as_primitive()),
            DataType::UInt8 => Typed::U8(array.as_primitive()),
            DataType::UInt16 => Typed::U16(array.as_primitive()),
            DataType::UInt32 => Typed::U32(array.as_primitive()),
            DataType::UInt64 => Typed::U64(array.as_primitive()),
            DataType::Float32 => Typed::F32(array.as_primitive()),
            DataType::Float64 => Typed::F64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Typed::Decimal(array.as_primitive(), u32::try_from(*scale).ok()?),
            DataType::Utf8 => Typed::Text(array.as_string()),
            DataType::LargeUtf8 => Typed::LargeText(array.as_string()),
            DataType::Date32 => Typed::Days(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Second, _) => ticks::<TimestampSecondType>(array, 0),
            DataType::Timestamp(TimeUnit::Millisecond, _) => ticks::<TimestampMillisecondType>(array, 3),
            DataType::Timestamp(TimeUnit::Microsecond, _) => ticks::<TimestampMicrosecondType>(array, 6),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => ticks::<TimestampNanosecondType>(array, 9),
            _ => return None,
        };
        Some(Self { array, typed })
    }

    /// The column as texts, if it is one.
    #[must_use]
    pub const fn texts(&self) -> Option<&'a arrow::array::StringArray> {
        match self.typed {
            Typed::Text(array) => Some(array),
            _ => None,
        }
    }

    /// The value in `row`.
    #[must_use]
    pub fn cell(&self, row: usize) -> Cell<'a> {
        if self.array.is_null(row) {
            return Cell::Null;
        }
        match self.typed {
            Typed::Null => Cell::Null,
            Typed::Bool(array) => Cell::Bool(array.value(row)),
            Typed::I8(array) => Cell::Int(array.value(row).into()),
            Typed::I16(array) => Cell::Int(array.value(row).into()),
            Typed::I32(array) => Cell::Int(array.value(row).into()),
            Typed::I64(array) => Cell::Int(array.value(row).into()),
            Typed::U8(array) => Cell::Int(array.value(row).into()),
            Typed::U16(array) => Cell::Int(array.value(row).into()),
            Typed::U32(array) => Cell::Int(array.value(row).into()),
            Typed::U64(array) => Cell::Int(array.value(row).into()),
            Typed::F32(array) => Cell::Float(array.value(row).into()),
            Typed::F64(array) => Cell::Float(array.value(row)),
            Typed::Decimal(array, scale) => Cell::Decimal { unscaled: array.value(row), scale },
            Typed::Text(array) => Cell::Text(Cow::Borrowed(array.value(row))),
            Typed::LargeText(array) => Cell::Text(Cow::Borrowed(array.value(row))),
            Typed::Days(array) => Cell::Days(array.value(row)),
            Typed::Ticks(values, digits) => Instant::from_ticks(values[row], digits).map_or(
                // A moment beyond the year 9999 has no text form either; no column takes it.
                Cell::Float(f64::INFINITY),
                Cell::Instant,
            ),
        }
    }
}
