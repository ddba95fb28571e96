//! `UNNEST`: the elements of a collection as rows.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, UInt32Array, new_null_array};
use arrow::compute::take;

use super::{Operator, Rows};
use crate::expr::{EvalError, Expr, Input};
use crate::types::LogicalType;

/// What a batch of collections becomes.
pub struct Expanded {
    /// For each new row, the row it comes from.
    pub rows: Vec<u32>,
    /// The columns that are added.
    pub columns: Vec<ArrayRef>,
}

/// Expands collections of a type into columns of `types`; with `outer` an empty one gives a row of NULLs.
pub fn expand(
    collections: &ArrayRef,
    kind: LogicalType,
    types: &[LogicalType],
    ordinality: bool,
    outer: bool,
) -> Result<Expanded, EvalError> {
    let failed = |message: String| EvalError { message, row: 0 };
    let list = collections.as_list_opt::<i32>().ok_or_else(|| failed(format!("{kind} is no collection")))?;
    let (mut rows, mut elements, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let counted = matches!(kind, LogicalType::Multiset(_));
    for row in 0..list.len() {
        let start = list.value_offsets()[row];
        let count = if list.is_null(row) { 0 } else { list.value_length(row) };
        let at = u32::try_from(row).unwrap_or(u32::MAX);
        let mut number = 0;
        for element in start..start + count {
            let copies = if counted { multiplicity(list.values(), element) } else { 1 };
            for _ in 0..copies {
                number += 1;
                rows.push(at);
                elements.push(u32::try_from(element).ok());
                numbers.push(Some(number));
            }
        }
        if number == 0 && outer {
            rows.push(at);
            elements.push(None);
            numbers.push(None);
        }
    }
    let elements = UInt32Array::from(elements);
    let values = take(list.values(), &elements, None).map_err(|error| failed(error.to_string()))?;
    let plain = types.len() - usize::from(ordinality);
    let mut columns = parts(&values, kind, &types[..plain]);
    if ordinality {
        columns.push(std::sync::Arc::new(Int32Array::from(numbers)));
    }
    Ok(Expanded { rows, columns })
}

/// How often an element of a MULTISET occurs.
fn multiplicity(entries: &ArrayRef, at: i32) -> i32 {
    let counts = entries.as_struct_opt().map(|entries| std::sync::Arc::clone(entries.column(1)));
    let at = usize::try_from(at).unwrap_or(0);
    counts.map_or(1, |counts| counts.as_primitive::<arrow::datatypes::Int32Type>().value(at))
}

/// The columns of elements: a ROW's fields, a MAP's key and value, or the element itself.
fn parts(values: &ArrayRef, kind: LogicalType, types: &[LogicalType]) -> Vec<ArrayRef> {
    let rows = matches!(kind, LogicalType::Array(of) if matches!(of.kind, LogicalType::Row(_)));
    let (split, first_only) = match kind {
        LogicalType::Map(_) => (true, false),
        LogicalType::Multiset(_) => (true, true),
        _ => (rows, false),
    };
    let Some(fields) = values.as_struct_opt().filter(|_| split) else { return vec![std::sync::Arc::clone(values)] };
    if first_only {
        let element = std::sync::Arc::clone(fields.column(0));
        return match element.as_struct_opt() {
            Some(inner) if types.len() > 1 => inner.columns().to_vec(),
            _ => vec![element],
        };
    }
    // A NULL row has NULL fields, which Arrow does not promise of a struct's children.
    let nulls = fields.nulls();
    let masked = |(column, kind): (&ArrayRef, &LogicalType)| match nulls {
        None => std::sync::Arc::clone(column),
        Some(nulls) => {
            let null = arrow::array::BooleanArray::new(!nulls.inner(), None);
            let blank = arrow::compute::nullif(column, &null);
            blank.unwrap_or_else(|_| new_null_array(&kind.to_arrow(), column.len()))
        }
    };
    fields.columns().iter().zip(types).map(masked).collect()
}

/// UNNEST in a job.
#[derive(Debug)]
pub struct Unnest {
    collection: Expr,
    types: Vec<LogicalType>,
    ordinality: bool,
    outer: bool,
    overflows: u64,
}

impl Unnest {
    /// Of a collection; see [`expand`].
    #[must_use]
    pub const fn new(collection: Expr, types: Vec<LogicalType>, ordinality: bool, outer: bool) -> Self {
        Self { collection, types, ordinality, outer, overflows: 0 }
    }
}

impl Operator for Unnest {
    fn process(&mut self, _: usize, rows: Rows, out: &mut Vec<Rows>) -> Result<(), EvalError> {
        let input = Input::new(&rows.columns, rows.len());
        let collection = self.collection.evaluate(&input)?;
        self.overflows += input.overflows.get();
        let kind = self.collection.data_type.kind;
        let expanded = expand(&collection, kind, &self.types, self.ordinality, self.outer)?;
        let indices = UInt32Array::from(expanded.rows.clone());
        let failed = |error: arrow::error::ArrowError| EvalError { message: error.to_string(), row: 0 };
        let taken: Result<Vec<ArrayRef>, _> = rows.columns.iter().map(|column| take(column, &indices, None)).collect();
        let mut columns = taken.map_err(failed)?;
        columns.extend(expanded.columns);
        let meta = expanded.rows.iter().map(|row| rows.meta[*row as usize]).collect();
        out.push(Rows { columns, meta });
        Ok(())
    }

    fn take_overflows(&mut self) -> u64 {
        std::mem::take(&mut self.overflows)
    }
}
