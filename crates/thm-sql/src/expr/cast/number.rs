//! CAST to TINYINT … BIGINT, FLOAT, DOUBLE, DECIMAL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};

use super::{Context, text};
use crate::expr::arithmetic::typed;
use crate::expr::{EvalError, Vector};
use crate::types::{LogicalType, decimal, java_double};

/// A number or text before it is narrowed.
enum Number<'a> {
    Integer(i64),
    Decimal(i128, u8),
    Float(f32),
    Double(f64),
    Text(&'a str),
}

fn number<'a>(array: &'a ArrayRef, row: usize, from: LogicalType) -> Number<'a> {
    match from {
        LogicalType::Boolean => Number::Integer(i64::from(array.as_boolean().value(row))),
        LogicalType::Decimal { scale, .. } => Number::Decimal(array.as_primitive::<Decimal128Type>().value(row), scale),
        LogicalType::Float => Number::Float(array.as_primitive::<Float32Type>().value(row)),
        LogicalType::Double => Number::Double(array.as_primitive::<Float64Type>().value(row)),
        _ if from.is_text() => Number::Text(array.as_string::<i32>().value(row)),
        _ => Number::Integer(text::integer(array, row, from)),
    }
}

pub(super) fn to_number(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    match context.to {
        LogicalType::TinyInt => integers::<Int8Type>(value, context, |wide| wide as i8),
        LogicalType::SmallInt => integers::<Int16Type>(value, context, |wide| wide as i16),
        LogicalType::Int => integers::<Int32Type>(value, context, |wide| wide as i32),
        LogicalType::BigInt => integers::<Int64Type>(value, context, |wide| wide),
        LogicalType::Float => each::<Float32Type>(value, context, |row, number| to_f32(row, &number, context))
            .map(|array| Arc::new(array) as ArrayRef),
        LogicalType::Decimal { precision, scale } => {
            let to = (precision, scale);
            each::<Decimal128Type>(value, context, |row, number| to_decimal(row, &number, to, context))
                .map(|array| typed(array, to))
        }
        _ => each::<Float64Type>(value, context, |row, number| to_f64(row, &number, context))
            .map(|array| Arc::new(array) as ArrayRef),
    }
}

fn each<T: ArrowPrimitiveType>(
    value: &Vector,
    context: &Context<'_>,
    mut convert: impl FnMut(usize, Number<'_>) -> Result<Option<T::Native>, EvalError>,
) -> Result<PrimitiveArray<T>, EvalError> {
    let array = &value.array;
    let mut out = PrimitiveArray::<T>::builder(array.len());
    for row in 0..array.len() {
        if text::is_null(array, row, context.from) {
            out.append_null();
        } else {
            out.append_option(convert(row, number(array, row, context.from))?);
        }
    }
    Ok(out.finish())
}

/// Java's narrowing: doubles saturate at INT (BIGINT for BIGINT), then the low bits are kept.
fn integers<T: ArrowPrimitiveType>(
    value: &Vector,
    context: &Context<'_>,
    narrow: impl Fn(i64) -> T::Native,
) -> Result<ArrayRef, EvalError> {
    let big = context.to == LogicalType::BigInt;
    let saturated = |number: f64| if big { number as i64 } else { i64::from(number as i32) };
    let array = each::<T>(value, context, |row, number| {
        let wide = match number {
            Number::Integer(number) => Some(number),
            Number::Decimal(number, scale) => Some((number / decimal::power(scale)) as i64),
            Number::Float(number) => Some(saturated(f64::from(number))),
            Number::Double(number) => Some(saturated(number)),
            Number::Text(word) => match integer_word(word).filter(|wide| in_range(*wide, context.to)) {
                Some(found) => Some(found),
                None => context.failed(row, || format!("For input string: '{word}'. Invalid character found."))?,
            },
        };
        Ok(wide.map(&narrow))
    })?;
    Ok(Arc::new(array))
}

fn in_range(wide: i64, to: LogicalType) -> bool {
    match to {
        LogicalType::TinyInt => i8::try_from(wide).is_ok(),
        LogicalType::SmallInt => i16::try_from(wide).is_ok(),
        LogicalType::Int => i32::try_from(wide).is_ok(),
        _ => true,
    }
}

/// An integer with optional sign and a fraction that is cut: `+5`, ` 12 `, `1.9`, `.5`.
fn integer_word(word: &str) -> Option<i64> {
    let word = word.trim();
    let pointed = word.contains('.');
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    let fine = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    if fine && pointed && digits.is_empty() {
        return Some(0);
    }
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fine && plain { whole.parse().ok() } else { None }
}

fn to_f64(row: usize, number: &Number<'_>, context: &Context<'_>) -> Result<Option<f64>, EvalError> {
    Ok(match *number {
        Number::Integer(number) => Some(number as f64),
        Number::Decimal(number, scale) => Some(decimal::to_f64(number, scale)),
        Number::Float(number) => Some(f64::from(number)),
        Number::Double(number) => Some(number),
        Number::Text(word) => match java_double::parse(word) {
            Some(found) => Some(found),
            None => context.failed(row, || format!("For input string: \"{word}\""))?,
        },
    })
}

fn to_f32(row: usize, number: &Number<'_>, context: &Context<'_>) -> Result<Option<f32>, EvalError> {
    Ok(match *number {
        Number::Integer(number) => Some(number as f32),
        Number::Decimal(number, scale) => Some(decimal::to_f64(number, scale) as f32),
        Number::Float(number) => Some(number),
        Number::Double(number) => Some(number as f32),
        Number::Text(word) => match java_double::parse_float(word) {
            Some(found) => Some(found),
            None => context.failed(row, || format!("For input string: \"{word}\""))?,
        },
    })
}

fn to_decimal(
    row: usize,
    number: &Number<'_>,
    (precision, scale): (u8, u8),
    context: &Context<'_>,
) -> Result<Option<i128>, EvalError> {
    let found = match *number {
        Number::Integer(number) => decimal::rescale(i128::from(number), 0, precision, scale),
        Number::Decimal(number, from) => decimal::rescale(number, from, precision, scale),
        Number::Float(number) => decimal::from_f64(f64::from(number), precision, scale),
        Number::Double(number) => decimal::from_f64(number, precision, scale),
        Number::Text(word) => {
            return match decimal::parse(word, precision, scale) {
                Some(found) => Ok(Some(found)),
                None => context.failed(row, || format!("For input string: '{word}'. Overflow.")),
            };
        }
    };
    Ok(found.or_else(|| context.overflow(row)))
}
