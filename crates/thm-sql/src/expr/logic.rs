//! Comparisons, three-valued logic, CASE.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Datum, PrimitiveArray, Scalar};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{boolean, cmp, zip::zip};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Float32Type, Float64Type};

use super::{CompareOp, EvalError, Expr, Input, Mask, Vector, shape, truth};
use crate::types::{LogicalType, decimal};

/// Runs a kernel of two operands that knows constants.
fn with_datums<R>(a: &Vector, b: &Vector, run: impl FnOnce(&dyn Datum, &dyn Datum) -> R) -> R {
    match (a.scalar, b.scalar) {
        (true, false) => run(&Scalar::new(Arc::clone(&a.array)), &b.array),
        (false, true) => run(&a.array, &Scalar::new(Arc::clone(&b.array))),
        _ => run(&a.array, &b.array),
    }
}

/// Compares values of one Arrow type. NULL with anything is NULL. FLOAT and DOUBLE as Java: NaN is equal to nothing, and
/// both zeros are the same.
pub(super) fn compare(op: CompareOp, a: &Vector, b: &Vector, rows: usize) -> Result<Vector, EvalError> {
    let (_, scalar) = shape(&[a, b], rows);
    match a.array.data_type() {
        ArrowType::Float64 => return Ok(floats::<Float64Type>(op, a, b, rows)),
        ArrowType::Float32 => return Ok(floats::<Float32Type>(op, a, b, rows)),
        ArrowType::Decimal128(..) if a.array.data_type() != b.array.data_type() => return Ok(decimals(op, a, b, rows)),
        _ => {}
    }
    let result = with_datums(a, b, |a, b| match op {
        CompareOp::Equal => cmp::eq(a, b),
        CompareOp::NotEqual => cmp::neq(a, b),
        CompareOp::Less => cmp::lt(a, b),
        CompareOp::LessOrEqual => cmp::lt_eq(a, b),
        CompareOp::Greater => cmp::gt(a, b),
        CompareOp::GreaterOrEqual => cmp::gt_eq(a, b),
    });
    let array = result.map_err(|error| EvalError { message: error.to_string(), row: 0 })?;
    Ok(Vector { array: Arc::new(array), scalar })
}

/// DECIMALs whose common type would not hold all their digits.
fn decimals(op: CompareOp, a: &Vector, b: &Vector, rows: usize) -> Vector {
    let (count, scalar) = shape(&[a, b], rows);
    let (x, y) = (a.primitive::<Decimal128Type>(), b.primitive::<Decimal128Type>());
    let scale = |array: &PrimitiveArray<Decimal128Type>| array.scale().cast_unsigned();
    let holds = |row: usize| {
        let (left, right) = (a.at(row), b.at(row));
        if x.is_null(left) || y.is_null(right) {
            return None;
        }
        let order = decimal::order((x.value(left), scale(x)), (y.value(right), scale(y)));
        Some(match op {
            CompareOp::Equal => order.is_eq(),
            CompareOp::NotEqual => order.is_ne(),
            CompareOp::Less => order.is_lt(),
            CompareOp::LessOrEqual => order.is_le(),
            CompareOp::Greater => order.is_gt(),
            CompareOp::GreaterOrEqual => order.is_ge(),
        })
    };
    Vector { array: Arc::new((0..count).map(holds).collect::<BooleanArray>()), scalar }
}

fn floats<T>(op: CompareOp, a: &Vector, b: &Vector, rows: usize) -> Vector
where
    T: ArrowPrimitiveType,
    T::Native: PartialOrd,
{
    let (count, scalar) = shape(&[a, b], rows);
    let (x, y) = (a.primitive::<T>(), b.primitive::<T>());
    let holds = |row: usize| {
        let (x, y) = (x.value(a.at(row)), y.value(b.at(row)));
        match op {
            CompareOp::Equal => x == y,
            CompareOp::NotEqual => x != y,
            CompareOp::Less => x < y,
            CompareOp::LessOrEqual => x <= y,
            CompareOp::Greater => x > y,
            CompareOp::GreaterOrEqual => x >= y,
        }
    };
    let values = BooleanBuffer::collect_bool(count, holds);
    let nulls = match (x.nulls(), y.nulls()) {
        (None, None) => None,
        _ => Some((0..count).map(|row| !a.is_null(row) && !b.is_null(row)).collect()),
    };
    Vector { array: Arc::new(BooleanArray::new(values, nulls)), scalar }
}

/// Equality of arrays, maps and rows. NULL with anything is NULL; inside of them NULL equals NULL.
pub(super) fn compare_nested(
    op: CompareOp,
    a: &Vector,
    b: &Vector,
    kind: LogicalType,
    rows: usize,
) -> Result<Vector, EvalError> {
    let (count, scalar) = shape(&[a, b], rows);
    let mut out = BooleanArray::builder(count);
    for row in 0..count {
        if a.is_null(row) || b.is_null(row) {
            out.append_null();
        } else {
            let equal = super::nested::equal(&a.array, a.at(row), &b.array, b.at(row), kind)?;
            out.append_value(equal == (op == CompareOp::Equal));
        }
    }
    Ok(Vector { array: Arc::new(out.finish()), scalar })
}

/// AND or OR. The right side counts only where the left has not decided.
pub(super) fn and_or(
    and: bool,
    left: &Expr,
    right: &Expr,
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    let a = left.eval(input, mask)?;
    let decided = is(&a, !and);
    let open = !&full_mask(&decided, input.rows);
    let open = mask.map_or_else(|| open.clone(), |mask| &open & mask);
    let b = right.eval(input, Some(&open))?;
    let scalar = a.scalar && b.scalar;
    let (a, b) = if scalar { (a.array, b.array) } else { (a.into_column(input.rows), b.into_column(input.rows)) };
    let (a, b) = (a.as_boolean(), b.as_boolean());
    let result = if and { boolean::and_kleene(a, b) } else { boolean::or_kleene(a, b) };
    let array = result.expect("both sides have the same length");
    Ok(Vector { array: Arc::new(array), scalar })
}

pub(super) fn not(value: &Vector) -> Vector {
    let array = boolean::not(value.array.as_boolean()).expect("NOT of booleans works");
    Vector { array: Arc::new(array), scalar: value.scalar }
}

pub(super) fn is_null(value: &Vector) -> Vector {
    let array = boolean::is_null(&value.array).expect("every array knows its NULLs");
    Vector { array: Arc::new(array), scalar: value.scalar }
}

/// IS TRUE or IS FALSE: never NULL.
pub(super) fn is(value: &Vector, wanted: bool) -> Vector {
    let array = value.array.as_boolean();
    let values = if wanted { array.values().clone() } else { !array.values() };
    let values = array.nulls().map_or_else(|| values.clone(), |nulls| &values & nulls.inner());
    Vector { array: Arc::new(BooleanArray::new(values, None)), scalar: value.scalar }
}

/// A condition without NULLs as one bit a row.
fn full_mask(condition: &Vector, rows: usize) -> BooleanBuffer {
    let array = condition.array.as_boolean();
    if !condition.scalar {
        return truth(array);
    }
    if array.is_valid(0) && array.value(0) { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }
}

/// Searched CASE: each row takes the first branch whose condition is TRUE.
pub(super) fn case(
    branches: &[(Expr, Expr)],
    otherwise: &Expr,
    kind: LogicalType,
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    let mut open = mask.cloned().unwrap_or_else(|| BooleanBuffer::new_set(input.rows));
    let mut taken: Vec<(BooleanBuffer, Vector)> = Vec::with_capacity(branches.len());
    for (condition, result) in branches {
        let condition = condition.eval(input, Some(&open))?;
        let chosen = &full_mask(&condition, input.rows) & &open;
        if chosen.count_set_bits() > 0 {
            let value = result.eval(input, Some(&chosen))?;
            open = &open & &!&chosen;
            taken.push((chosen, value));
        }
    }
    let mut merged = otherwise.eval(input, Some(&open))?;
    for (chosen, value) in taken.into_iter().rev() {
        merged = choose(chosen, &value, &merged)?;
    }
    debug_assert_eq!(merged.array.data_type(), &kind.to_arrow(), "branches have the type of the CASE");
    Ok(merged)
}

fn choose(chosen: BooleanBuffer, value: &Vector, other: &Vector) -> Result<Vector, EvalError> {
    let mask = BooleanArray::new(chosen, None);
    let of = |vector: &Vector| -> Box<dyn Datum> {
        if vector.scalar {
            Box::new(Scalar::new(Arc::clone(&vector.array)))
        } else {
            Box::new(Arc::clone(&vector.array))
        }
    };
    let array: ArrayRef =
        zip(&mask, &*of(value), &*of(other)).map_err(|error| EvalError { message: error.to_string(), row: 0 })?;
    Ok(Vector { array, scalar: false })
}
