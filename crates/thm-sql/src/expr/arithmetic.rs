//! `+ - * / %`: integers wrap, division of integers by zero fails, DECIMALs that do not fit are NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, Decimal128Array, PrimitiveArray};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};

use super::{ArithmeticOp, EvalError, Input, Mask, Vector, counts, shape};
use crate::types::{LogicalType, decimal};

/// Java's words for a division of integers by zero.
const BY_ZERO: &str = "/ by zero";

/// Computes `a op b`; `kinds` are the types of a, b and the result.
pub(super) fn compute(
    op: ArithmeticOp,
    a: &Vector,
    b: &Vector,
    kinds: (LogicalType, LogicalType, LogicalType),
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    match kinds.2 {
        LogicalType::TinyInt => integers::<Int8Type>(op, a, b, input, mask),
        LogicalType::SmallInt => integers::<Int16Type>(op, a, b, input, mask),
        LogicalType::Int | LogicalType::IntervalMonth => integers::<Int32Type>(op, a, b, input, mask),
        LogicalType::BigInt | LogicalType::IntervalSecond => integers::<Int64Type>(op, a, b, input, mask),
        LogicalType::Float => floats::<Float32Type>(op, a, b, input),
        LogicalType::Double => floats::<Float64Type>(op, a, b, input),
        LogicalType::Decimal { precision, scale } => {
            let scales = (scale_of(kinds.0), scale_of(kinds.1));
            decimals(op, a, b, scales, (precision, scale), input, mask)
        }
        other => Err(EvalError { message: format!("no arithmetic gives {other}"), row: 0 }),
    }
}

const fn scale_of(kind: LogicalType) -> u8 {
    match kind {
        LogicalType::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

/// Runs `compute` for each row where both sides have a value.
pub(crate) fn binary<A, B, O>(
    a: &Vector,
    b: &Vector,
    rows: usize,
    mut compute: impl FnMut(usize, A::Native, B::Native) -> Result<Option<O::Native>, EvalError>,
) -> Result<PrimitiveArray<O>, EvalError>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    use arrow::array::Array;
    let (count, _) = shape(&[a, b], rows);
    let (left, right) = (a.primitive::<A>(), b.primitive::<B>());
    let mut out = PrimitiveArray::<O>::builder(count);
    for row in 0..count {
        let (i, j) = (a.at(row), b.at(row));
        if left.is_null(i) || right.is_null(j) {
            out.append_null();
        } else {
            out.append_option(compute(row, left.value(i), right.value(j))?);
        }
    }
    Ok(out.finish())
}

/// Integers of one width, with Java's wrapping.
trait Wrapping: Sized + Copy + PartialEq + Default {
    fn run(self, op: ArithmeticOp, other: Self) -> Self;
}

macro_rules! wrapping {
    ($($kind:ty),*) => {$(
        impl Wrapping for $kind {
            fn run(self, op: ArithmeticOp, other: Self) -> Self {
                match op {
                    ArithmeticOp::Add => self.wrapping_add(other),
                    ArithmeticOp::Subtract => self.wrapping_sub(other),
                    ArithmeticOp::Multiply => self.wrapping_mul(other),
                    ArithmeticOp::Divide => self.wrapping_div(other),
                    ArithmeticOp::Remainder => self.wrapping_rem(other),
                }
            }
        }
    )*};
}
wrapping!(i8, i16, i32, i64);

fn integers<T>(op: ArithmeticOp, a: &Vector, b: &Vector, input: &Input<'_>, mask: Mask<'_>) -> Result<Vector, EvalError>
where
    T: ArrowPrimitiveType,
    T::Native: Wrapping,
{
    let (_, scalar) = shape(&[a, b], input.rows);
    let divides = matches!(op, ArithmeticOp::Divide | ArithmeticOp::Remainder);
    let zero = T::Native::default();
    let array = binary::<T, T, T>(a, b, input.rows, |row, x, y| {
        if divides && y == zero {
            return if counts(mask, row, scalar) {
                Err(EvalError { message: BY_ZERO.to_owned(), row })
            } else {
                Ok(None)
            };
        }
        Ok(Some(x.run(op, y)))
    })?;
    Ok(Vector { array: Arc::new(array), scalar })
}

fn floats<T>(op: ArithmeticOp, a: &Vector, b: &Vector, input: &Input<'_>) -> Result<Vector, EvalError>
where
    T: ArrowPrimitiveType,
    T::Native: std::ops::Add<Output = T::Native>
        + std::ops::Sub<Output = T::Native>
        + std::ops::Mul<Output = T::Native>
        + std::ops::Div<Output = T::Native>
        + std::ops::Rem<Output = T::Native>,
{
    let (_, scalar) = shape(&[a, b], input.rows);
    let array = binary::<T, T, T>(a, b, input.rows, |_, x, y| {
        Ok(Some(match op {
            ArithmeticOp::Add => x + y,
            ArithmeticOp::Subtract => x - y,
            ArithmeticOp::Multiply => x * y,
            ArithmeticOp::Divide => x / y,
            ArithmeticOp::Remainder => x % y,
        }))
    })?;
    Ok(Vector { array: Arc::new(array), scalar })
}

fn decimals(
    op: ArithmeticOp,
    a: &Vector,
    b: &Vector,
    (s1, s2): (u8, u8),
    to: (u8, u8),
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    let (_, scalar) = shape(&[a, b], input.rows);
    let mut overflows = 0;
    let array = binary::<Decimal128Type, Decimal128Type, Decimal128Type>(a, b, input.rows, |row, x, y| {
        let result = match op {
            ArithmeticOp::Add => decimal::add(x, s1, y, s2, to),
            ArithmeticOp::Subtract => decimal::add(x, s1, -y, s2, to),
            ArithmeticOp::Multiply => decimal::multiply(x, s1, y, s2, to),
            ArithmeticOp::Divide | ArithmeticOp::Remainder if y == 0 => {
                let message = "Division by zero".to_owned();
                return if counts(mask, row, scalar) { Err(EvalError { message, row }) } else { Ok(None) };
            }
            ArithmeticOp::Divide => decimal::divide(x, s1, y, s2, to),
            ArithmeticOp::Remainder => decimal::remainder(x, s1, y, s2, to),
        };
        overflows += u64::from(result.is_none() && counts(mask, row, scalar));
        Ok(result)
    })?;
    input.overflows.set(input.overflows.get() + overflows);
    Ok(Vector { array: typed(array, to), scalar })
}

/// The array with the declared precision and scale.
pub(crate) fn typed(array: Decimal128Array, (precision, scale): (u8, u8)) -> ArrayRef {
    let kind = LogicalType::Decimal { precision, scale }.to_arrow();
    Arc::new(array.with_data_type(kind))
}
