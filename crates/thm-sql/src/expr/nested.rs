//! Comparing and gathering values of any type, nested ones included.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_comparator};
use arrow::compute::SortOptions;

use super::EvalError;
use crate::types::LogicalType;

/// How two places compare.
pub type Comparator = Box<dyn Fn(usize, usize) -> Ordering + Send + Sync>;

/// Compares places of two arrays of one type; NULL is smaller than everything, and equal to NULL.
pub fn comparator(a: &ArrayRef, b: &ArrayRef) -> Result<Comparator, EvalError> {
    let options = SortOptions { descending: false, nulls_first: true };
    make_comparator(a, b, options).map_err(|error| EvalError { message: error.to_string(), row: 0 })
}

/// Whether two places hold equal values; the order of a map's entries does not matter.
pub fn equal(a: &ArrayRef, i: usize, b: &ArrayRef, j: usize, kind: LogicalType) -> Result<bool, EvalError> {
    let (left, right) = (super::text::is_null(a, i, kind), super::text::is_null(b, j, kind));
    if left || right {
        return Ok(left && right);
    }
    match kind {
        LogicalType::Array(of) => {
            let (x, y) = (a.as_list::<i32>().value(i), b.as_list::<i32>().value(j));
            if x.len() != y.len() {
                return Ok(false);
            }
            all(0..x.len(), |at| equal(&x, at, &y, at, of.kind))
        }
        LogicalType::Map(_) | LogicalType::Multiset(_) => {
            let Some(entry) = kind.entry() else { return Ok(false) };
            let (x, y) = (a.as_list::<i32>().value(i), b.as_list::<i32>().value(j));
            let (x, y) = (x.as_struct(), y.as_struct());
            if x.len() != y.len() {
                return Ok(false);
            }
            all(0..x.len(), |at| {
                let found = find(y.column(0), x.column(0), at, entry.key.kind)?;
                found.map_or(Ok(false), |other| equal(x.column(1), at, y.column(1), other, entry.value.kind))
            })
        }
        LogicalType::Row(fields) => {
            let (x, y) = (a.as_struct(), b.as_struct());
            all(0..fields.len(), |field| equal(x.column(field), i, y.column(field), j, fields[field].data_type.kind))
        }
        _ => Ok(comparator(a, b)?(i, j) == Ordering::Equal),
    }
}

fn all(places: std::ops::Range<usize>, holds: impl Fn(usize) -> Result<bool, EvalError>) -> Result<bool, EvalError> {
    for place in places {
        if !holds(place)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where `keys` holds what `wanted` holds at a place.
pub fn find(keys: &ArrayRef, wanted: &ArrayRef, at: usize, kind: LogicalType) -> Result<Option<usize>, EvalError> {
    for place in 0..keys.len() {
        if equal(keys, place, wanted, at, kind)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The array in another type of the same shape: only field names may differ.
pub fn retyped(array: ArrayRef, kind: LogicalType) -> Result<ArrayRef, EvalError> {
    if *array.data_type() == kind.to_arrow() {
        return Ok(array);
    }
    let data = array.to_data().into_builder().data_type(kind.to_arrow());
    let data = data.build().map_err(|error| EvalError { message: error.to_string(), row: 0 })?;
    Ok(Arc::clone(&arrow::array::make_array(data)))
}
