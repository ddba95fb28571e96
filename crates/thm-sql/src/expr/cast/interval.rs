//! CAST between intervals and numbers or texts: a number counts the interval's last unit, as Flink keeps it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::datatypes::{Int32Type, Int64Type};

use super::{Context, number, text};
use crate::expr::{EvalError, Vector};
use crate::types::LogicalType;

pub(super) fn cast(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let array = &value.array;
    if context.to.is_numeric() {
        let from = if context.from == LogicalType::IntervalMonth { LogicalType::Int } else { LogicalType::BigInt };
        let inner = Context { from, ..*context };
        return if from == context.to { Ok(Arc::clone(array)) } else { number::to_number(value, &inner) };
    }
    let mut wide: Vec<Option<i64>> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        wide.push(if text::is_null(array, row, context.from) { None } else { one(array, row, context)? });
    }
    Ok(match context.to {
        LogicalType::IntervalMonth => Arc::new(
            wide.into_iter().map(|value| value.and_then(|value| i32::try_from(value).ok())).collect::<Int32Array>(),
        ),
        _ => Arc::new(wide.into_iter().collect::<Int64Array>()),
    })
}

fn one(array: &ArrayRef, row: usize, context: &Context<'_>) -> Result<Option<i64>, EvalError> {
    match context.from {
        LogicalType::IntervalMonth => Ok(Some(i64::from(array.as_primitive::<Int32Type>().value(row)))),
        LogicalType::IntervalSecond => Ok(Some(array.as_primitive::<Int64Type>().value(row))),
        from if from.is_integer() => Ok(Some(text::integer(array, row, from))),
        from => context.failed(row, || format!("Unsupported cast from '{from}' to '{}'.", context.to)),
    }
}
