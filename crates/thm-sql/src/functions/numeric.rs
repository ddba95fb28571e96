//! ROUND, TRUNCATE, ABS, SIGN, CEIL, FLOOR.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array};
use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};

use super::{Call, Function};
use crate::expr::arithmetic::{binary, typed};
use crate::expr::{EvalError, Expr, ExprKind, Vector};
use crate::types::{DataType, LogicalType, decimal};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("ROUND", "Write ROUND(number) or ROUND(number, digits).", bind_round, round),
    Function::new("TRUNCATE", "Write TRUNCATE(number) or TRUNCATE(number, digits).", bind_round, truncate),
    Function::new("ABS", "Write ABS(number).", bind_same, abs),
    Function::new("SIGN", "Write SIGN(number).", bind_same, sign),
    Function::new("CEIL", "Write CEIL(number) or CEIL(time TO HOUR).", bind_whole, ceil),
    Function::new("FLOOR", "Write FLOOR(number) or FLOOR(time TO HOUR).", bind_whole, floor),
];

fn bind_same(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let [only] = arguments.as_slice() else { return None };
    let data_type = only.data_type;
    data_type.kind.is_numeric().then_some((arguments, data_type))
}

fn bind_whole(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let (arguments, data_type) = bind_same(arguments)?;
    let kind = match data_type.kind {
        LogicalType::Decimal { precision, .. } => LogicalType::Decimal { precision, scale: 0 },
        other => other,
    };
    Some((arguments, kind.nullable(data_type.nullable)))
}

/// Digits given as a constant, which decide the result's type; none for NULL.
fn constant_digits(argument: &Expr) -> Option<i32> {
    match &argument.kind {
        ExprKind::Literal(array) if array.is_valid(0) => {
            array.as_primitive_opt::<Int32Type>().map(|array| array.value(0))
        }
        _ => None,
    }
}

fn bind_round(mut arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    if arguments.len() == 1 {
        arguments.push(Expr::literal(Int32Array::from(vec![0]), LogicalType::Int.nullable(false)));
    }
    let [value, digits] = arguments.as_slice() else { return None };
    let kind = value.data_type.kind;
    if !kind.is_numeric() || !digits.data_type.kind.is_integer() {
        return None;
    }
    let kind = match kind {
        // Digits that are only known per row keep the type.
        LogicalType::Decimal { precision, scale } => match constant_digits(digits) {
            Some(digits) => decimal::round_type((precision, scale), digits),
            None => kind,
        },
        other => other,
    };
    let nullable = arguments.iter().any(|argument| argument.data_type.nullable);
    let mut sides = arguments.into_iter();
    let value = sides.next()?;
    let digits = sides.next()?.cast(LogicalType::Int);
    Some((vec![value, digits], kind.nullable(nullable)))
}

fn scale_of_array(vector: &Vector) -> u8 {
    match vector.array.data_type() {
        arrow::datatypes::DataType::Decimal128(_, scale) => u8::try_from(*scale).unwrap_or(0),
        _ => 0,
    }
}

fn round(call: &Call<'_>) -> Result<Vector, EvalError> {
    to_digits(call, decimal_round, |number, digits| java_round(number, digits, f64::round))
}

fn truncate(call: &Call<'_>) -> Result<Vector, EvalError> {
    to_digits(call, decimal_truncate, |number, digits| java_round(number, digits, f64::trunc))
}

/// Value at a scale, to so many digits, half up, in the same scale.
fn decimal_round(value: i128, scale: u8, digits: i32) -> Option<i128> {
    let drop = i32::from(scale) - digits;
    match u8::try_from(drop) {
        Ok(0) | Err(_) if drop <= 0 => Some(value),
        Ok(drop) if drop <= 38 => decimal::rescale(value, drop, 38, 0)?.checked_mul(decimal::power(drop)),
        _ => Some(0),
    }
}

fn decimal_truncate(value: i128, scale: u8, digits: i32) -> Option<i128> {
    let drop = i32::from(scale) - digits;
    match u8::try_from(drop) {
        Ok(0) | Err(_) if drop <= 0 => Some(value),
        Ok(drop) if drop <= 38 => Some(decimal::truncate(value, drop, 0)),
        _ => Some(0),
    }
}

/// A double by way of its decimal text, as Java's `BigDecimal.valueOf(x).setScale(…)`.
fn java_round(number: f64, digits: i32, whole: fn(f64) -> f64) -> f64 {
    if !number.is_finite() || digits > 300 {
        return number;
    }
    let text = format!("{number:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return number };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let scaled: f64 = format!("{mantissa}e{}", exponent + digits).parse().unwrap_or(number);
    let rounded = format!("{:e}", whole(scaled));
    let Some((mantissa, exponent)) = rounded.split_once('e') else { return number };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}", exponent - digits).parse().unwrap_or(number)
}

fn to_digits(
    call: &Call<'_>,
    exact: fn(i128, u8, i32) -> Option<i128>,
    approximate: fn(f64, i32) -> f64,
) -> Result<Vector, EvalError> {
    let [value, digits] = call.values else { return Err(wrong_count()) };
    let (kind, rows, scalar) = (call.to, call.input.rows, call.scalar);
    macro_rules! integers {
        ($kind:ty, $native:ty) => {
            Arc::new(binary::<$kind, Int32Type, $kind>(value, digits, rows, |_, number, digits| {
                // What is rounded up beyond its type wraps, as in Java.
                Ok(exact(i128::from(number), 0, digits).map(|wide| wide as $native))
            })?) as _
        };
    }
    let array = match kind {
        LogicalType::Decimal { precision, scale } => {
            let from = scale_of_array(value);
            let array =
                binary::<Decimal128Type, Int32Type, Decimal128Type>(value, digits, rows, |_, number, digits| {
                    Ok(exact(number, from, digits).and_then(|kept| decimal::rescale(kept, from, precision, scale)))
                })?;
            typed(array, (precision, scale))
        }
        LogicalType::TinyInt => integers!(Int8Type, i8),
        LogicalType::SmallInt => integers!(Int16Type, i16),
        LogicalType::Int => integers!(Int32Type, i32),
        LogicalType::BigInt => integers!(Int64Type, i64),
        LogicalType::Float => {
            Arc::new(binary::<Float32Type, Int32Type, Float32Type>(value, digits, rows, |_, x, d| {
                // A FLOAT is widened first: -2.675 is a little less than that.
                Ok(Some(approximate(f64::from(x), d) as f32))
            })?) as _
        }
        _ => Arc::new(binary::<Float64Type, Int32Type, Float64Type>(value, digits, rows, |_, x, d| {
            Ok(Some(approximate(x, d)))
        })?) as _,
    };
    Ok(Vector { array, scalar })
}

fn wrong_count() -> EvalError {
    EvalError { message: "wrong number of arguments".to_owned(), row: 0 }
}

/// Applies a function to each number, whatever its width.
fn each(call: &Call<'_>, exact: fn(i128, u8) -> i128, approximate: fn(f64) -> f64) -> Result<Vector, EvalError> {
    let [value] = call.values else { return Err(wrong_count()) };
    let kind = call.to;
    fn unary<T: ArrowPrimitiveType>(value: &Vector, f: impl Fn(T::Native) -> T::Native) -> arrow::array::ArrayRef {
        Arc::new(value.array.as_primitive::<T>().unary::<_, T>(f))
    }
    let array = match kind {
        LogicalType::Decimal { precision, scale } => {
            let from = scale_of_array(value);
            let array = value.array.as_primitive::<Decimal128Type>();
            let array = array
                .unary_opt::<_, Decimal128Type>(|number| decimal::rescale(exact(number, from), from, precision, scale));
            typed(array, (precision, scale))
        }
        LogicalType::TinyInt => unary::<Int8Type>(value, |number| exact(i128::from(number), 0) as i8),
        LogicalType::SmallInt => unary::<Int16Type>(value, |number| exact(i128::from(number), 0) as i16),
        LogicalType::Int => unary::<Int32Type>(value, |number| exact(i128::from(number), 0) as i32),
        LogicalType::BigInt => unary::<Int64Type>(value, |number| exact(i128::from(number), 0) as i64),
        LogicalType::Float => unary::<Float32Type>(value, |number| approximate(f64::from(number)) as f32),
        _ => unary::<Float64Type>(value, approximate),
    };
    Ok(Vector { array, scalar: value.scalar })
}

fn abs(call: &Call<'_>) -> Result<Vector, EvalError> {
    each(call, |number, _| number.abs(), f64::abs)
}

fn sign(call: &Call<'_>) -> Result<Vector, EvalError> {
    let approximate = |number: f64| if number == 0.0 || number.is_nan() { number } else { number.signum() };
    each(call, |number, scale| number.signum() * decimal::power(scale), approximate)
}

fn ceil(call: &Call<'_>) -> Result<Vector, EvalError> {
    let exact = |number: i128, scale: u8| {
        let unit = decimal::power(scale);
        (number.div_euclid(unit) + i128::from(number.rem_euclid(unit) != 0)) * unit
    };
    each(call, exact, f64::ceil)
}

fn floor(call: &Call<'_>) -> Result<Vector, EvalError> {
    let exact = |number: i128, scale: u8| number.div_euclid(decimal::power(scale)) * decimal::power(scale);
    each(call, exact, f64::floor)
}
