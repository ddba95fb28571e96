//! Columns of the tail cache → declared columns, without parsing.
//!
//! Says no (`None`) wherever the result might differ from that of the record's JSON; then the bytes are parsed.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch, new_null_array};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType,
};

use super::{Field, JsonOptions, TimestampFormat};
use crate::types::LogicalType;

/// The fields as columns of a decoded batch.
#[must_use]
pub fn columns(batch: &RecordBatch, fields: &[Field], options: &JsonOptions) -> Option<Vec<ArrayRef>> {
    fields.iter().map(|field| column(batch, field, options)).collect()
}

fn column(batch: &RecordBatch, field: &Field, options: &JsonOptions) -> Option<ArrayRef> {
    let absent = || new_null_array(&field.kind.to_arrow(), batch.num_rows());
    if !field.needed {
        return Some(absent());
    }
    if field.place != super::Place::Value {
        return None;
    }
    // A column that the table lacks is a field that the JSON lacks: NULL.
    let Some(array) = batch.column_by_name(&field.name) else {
        return (!options.fail_on_missing_field).then(absent);
    };
    match (array.data_type(), field.kind) {
        (ArrowType::Boolean, LogicalType::Boolean)
        | (ArrowType::Int16, LogicalType::SmallInt)
        | (ArrowType::Int32, LogicalType::Int)
        | (ArrowType::Int64, LogicalType::BigInt)
        | (ArrowType::Date32, LogicalType::Date)
        | (ArrowType::Utf8, LogicalType::Char(_) | LogicalType::VarChar(_)) => Some(Arc::clone(array)),
        (ArrowType::Int16, LogicalType::Int) => Some(widened::<Int16Type, Int32Type>(array)),
        (ArrowType::Int16, LogicalType::BigInt) => Some(widened::<Int16Type, Int64Type>(array)),
        (ArrowType::Int32, LogicalType::BigInt) => Some(widened::<Int32Type, Int64Type>(array)),
        (ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)), kind) if options.timestamps == TimestampFormat::Iso => {
            zoned(array, kind)
        }
        _ => None,
    }
}

/// Integers in a wider type.
fn widened<N, W>(array: &ArrayRef) -> ArrayRef
where
    N: ArrowPrimitiveType,
    W: ArrowPrimitiveType<Native: From<N::Native>>,
{
    Arc::new(array.as_primitive::<N>().unary::<_, W>(W::Native::from))
}

/// A timestamptz, which its JSON shows as ISO-8601 text in UTC with six digits.
fn zoned(array: &ArrayRef, kind: LogicalType) -> Option<ArrayRef> {
    let (LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p)) = kind else { return None };
    let micros = array.as_primitive::<TimestampMicrosecondType>();
    // Infinities are no dates in JSON either.
    if micros.iter().flatten().any(|value| matches!(value, i64::MIN | i64::MAX)) {
        return None;
    }
    match p {
        6 => {
            let same: PrimitiveArray<TimestampMicrosecondType> = micros.clone();
            Some(Arc::new(same.with_data_type(kind.to_arrow())))
        }
        3 => {
            let cut: PrimitiveArray<TimestampMillisecondType> = micros.unary(|value| value.div_euclid(1_000));
            Some(Arc::new(cut.with_data_type(kind.to_arrow())))
        }
        _ => None,
    }
}
