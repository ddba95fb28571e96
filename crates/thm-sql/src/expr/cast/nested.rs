//! CAST of ARRAY, MAP and ROW: element by element. A failure inside fails the whole value's row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt64Array, new_null_array};

use super::Context;
use crate::expr::{EvalError, Input, Vector};
use crate::types::LogicalType;
use crate::types::nested::{Entry, entries_field, entry_fields, item_field, row_fields};

pub(super) fn cast(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let strict = Context { lenient: false, ..*context };
    match whole(value, &strict) {
        Err(_) if context.lenient => row_by_row(value, &strict),
        done => done,
    }
}

/// NULL for each row in which something cannot be converted: TRY_CAST of a value is all of it or nothing.
fn row_by_row(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let failed = |error: arrow::error::ArrowError| EvalError { message: error.to_string(), row: 0 };
    let mut rows = Vec::with_capacity(value.array.len());
    for row in 0..value.array.len() {
        let place = UInt64Array::from(vec![u64::try_from(row).unwrap_or(u64::MAX)]);
        let array = arrow::compute::take(&value.array, &place, None).map_err(failed)?;
        let done = whole(&Vector { array, scalar: value.scalar }, context);
        rows.push(done.unwrap_or_else(|_| new_null_array(&context.to.to_arrow(), 1)));
    }
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    if rows.is_empty() {
        return Ok(new_null_array(&context.to.to_arrow(), 0));
    }
    arrow::compute::concat(&rows).map_err(failed)
}

fn whole(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let failed = |error: arrow::error::ArrowError| EvalError { message: error.to_string(), row: 0 };
    match (context.from, context.to) {
        (LogicalType::Array(from), LogicalType::Array(to)) => {
            let list = value.array.as_list::<i32>();
            let items = inner(list.values(), from.kind, to.kind, context)?;
            let array = ListArray::try_new(item_field(to.kind), list.offsets().clone(), items, list.nulls().cloned());
            Ok(Arc::new(array.map_err(failed)?))
        }
        (LogicalType::Row(from), LogicalType::Row(to)) if from.len() == to.len() => {
            let rows = value.array.as_struct();
            let columns: Result<Vec<ArrayRef>, EvalError> = rows
                .columns()
                .iter()
                .zip(from.iter().zip(to))
                .map(|(column, (from, to))| inner(column, from.data_type.kind, to.data_type.kind, context))
                .collect();
            let array = StructArray::try_new(row_fields(to), columns?, rows.nulls().cloned());
            Ok(Arc::new(array.map_err(failed)?))
        }
        (from, to) => match (from.entry(), to.entry()) {
            (Some(from), Some(to)) => entries(value, from, to, context),
            _ => Err(EvalError { message: format!("Unsupported cast from '{from}' to '{to}'."), row: 0 }),
        },
    }
}

fn entries(value: &Vector, from: Entry, to: Entry, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let failed = |error: arrow::error::ArrowError| EvalError { message: error.to_string(), row: 0 };
    let list = value.array.as_list::<i32>();
    let pairs = list.values().as_struct();
    let keys = inner(pairs.column(0), from.key.kind, to.key.kind, context)?;
    let values = inner(pairs.column(1), from.value.kind, to.value.kind, context)?;
    let pairs = StructArray::try_new(entry_fields(to), vec![keys, values], None).map_err(failed)?;
    let array = ListArray::try_new(entries_field(to), list.offsets().clone(), Arc::new(pairs), list.nulls().cloned());
    Ok(Arc::new(array.map_err(failed)?))
}

fn inner(array: &ArrayRef, from: LogicalType, to: LogicalType, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    if from == LogicalType::Null {
        return Ok(arrow::array::new_null_array(&to.to_arrow(), array.len()));
    }
    let value = Vector { array: Arc::clone(array), scalar: false };
    let input = Input::new(&[], array.len()).in_zone(context.input.zone);
    let done = super::cast(&value, from, to, context.lenient, &input, None)?;
    crate::expr::nested::retyped(done.array, to)
}
