//! GREATEST and LEAST: the largest or smallest of values of one type; NULL if any is.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};

use super::bind::{Bound, strict};
use super::{Call, Function};
use crate::expr::nested::comparator;
use crate::expr::{EvalError, Expr, Vector};
use crate::types::{DataType, LogicalType, coerce};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("GREATEST", "Write GREATEST(value, value, …), all of one type.", bind, |call| {
        pick(call, Ordering::Greater)
    }),
    Function::new("LEAST", "Write LEAST(value, value, …), all of one type.", bind, |call| pick(call, Ordering::Less)),
];

fn bind(arguments: Vec<Expr>) -> Bound {
    let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type).collect();
    let common = coerce::merged_type(&types)?;
    // A day and a time of it have a common type elsewhere, but no order.
    if types.iter().any(|one| one.kind.is_timestamp()) && !common.kind.is_timestamp() {
        return None;
    }
    if arguments.is_empty() || common.kind == LogicalType::Null || common.kind.is_nested() {
        return None;
    }
    strict(arguments.into_iter().map(|argument| argument.cast(common.kind)).collect(), common.kind)
}

fn pick(call: &Call<'_>, wanted: Ordering) -> Result<Vector, EvalError> {
    let columns: Vec<ArrayRef> = call.values.iter().map(|value| Arc::clone(&value.array)).collect();
    let mut compare = Vec::with_capacity(columns.len() * columns.len());
    for a in &columns {
        for b in &columns {
            compare.push(comparator(a, b)?);
        }
    }
    // The winner's argument and place, row by row; one gather then makes the column.
    let mut places = Vec::with_capacity(call.count);
    for row in 0..call.count {
        let mut best = 0;
        for other in 1..columns.len() {
            if compare[other * columns.len() + best](call.at(other, row), call.at(best, row)) == wanted {
                best = other;
            }
        }
        places.push(if call.any_null(row) { None } else { Some((best, call.at(best, row))) });
    }
    let starts: Vec<usize> = columns
        .iter()
        .scan(0, |sum, column| {
            let start = *sum;
            *sum += column.len();
            Some(start)
        })
        .collect();
    let parts: Vec<&dyn arrow::array::Array> = columns.iter().map(AsRef::as_ref).collect();
    let failed = |error: arrow::error::ArrowError| EvalError { message: error.to_string(), row: 0 };
    let all = arrow::compute::concat(&parts).map_err(failed)?;
    let indices: UInt64Array = places
        .into_iter()
        .map(|place| place.and_then(|(column, at)| u64::try_from(starts[column] + at).ok()))
        .collect();
    let array = arrow::compute::take(&all, &indices, None).map_err(failed)?;
    Ok(Vector { array, scalar: call.scalar })
}
