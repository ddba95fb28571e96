//! CAST and TRY_CAST from every type to every type that Flink allows.
//!
//! ```text
//!   to text     any value as it prints; CHAR pads, CHAR and VARCHAR cut
//!   to number   integers wrap, doubles saturate, DECIMALs round half up or become NULL
//!   to time     text by Flink's patterns; cut to the precision
//! ```

mod interval;
mod nested;
mod number;
mod time;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, StringBuilder};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type};

use super::{EvalError, Input, Mask, Vector, counts, text};
use crate::types::{LogicalType, MAX_LENGTH};

/// What a cast needs beside its value.
struct Context<'a> {
    from: LogicalType,
    to: LogicalType,
    /// TRY_CAST: NULL instead of failure.
    lenient: bool,
    input: &'a Input<'a>,
    mask: Mask<'a>,
    scalar: bool,
}

impl Context<'_> {
    /// What a value that cannot be converted gives: NULL, or failure where it counts.
    fn failed<T>(&self, row: usize, message: impl FnOnce() -> String) -> Result<Option<T>, EvalError> {
        if self.lenient || !counts(self.mask, row, self.scalar) {
            return Ok(None);
        }
        Err(EvalError { message: message(), row })
    }

    /// A DECIMAL that does not fit: NULL, counted.
    fn overflow<T>(&self, row: usize) -> Option<T> {
        if counts(self.mask, row, self.scalar) {
            self.input.overflows.set(self.input.overflows.get() + 1);
        }
        None
    }
}

/// Converts a vector from one type to another.
pub fn cast(
    value: &Vector,
    from: LogicalType,
    to: LogicalType,
    lenient: bool,
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    if from == to || from.is_text() && to == LogicalType::STRING {
        return Ok(value.clone());
    }
    let context = Context { from, to, lenient, input, mask, scalar: value.scalar };
    let array = match to {
        _ if to.is_nested() => nested::cast(value, &context)?,
        _ if to.is_interval() || from.is_interval() && to.is_numeric() => interval::cast(value, &context)?,
        _ if to.is_text() => to_text(value, &context),
        _ if to.is_binary() => to_binary(value, &context),
        LogicalType::Boolean => to_boolean(value, &context)?,
        _ if to.is_numeric() => number::to_number(value, &context)?,
        _ => time::to_time(value, &context)?,
    };
    Ok(Vector { array, scalar: value.scalar })
}

fn to_text(value: &Vector, context: &Context<'_>) -> ArrayRef {
    let rows = value.array.len();
    let mut out = StringBuilder::with_capacity(rows, rows * 16);
    let mut buffer = String::new();
    for row in 0..rows {
        if text::is_null(&value.array, row, context.from) {
            out.append_null();
            continue;
        }
        buffer.clear();
        text::write_in(&mut buffer, &value.array, row, context.from, context.input.zone);
        if context.from.is_binary() {
            fit_units(&mut buffer, context.to);
        } else {
            fit(&mut buffer, context.to);
        }
        out.append_value(&buffer);
    }
    Arc::new(out.finish())
}

/// Cuts to the declared length; CHAR pads with blanks.
fn fit(text: &mut String, to: LogicalType) {
    let (length, pads) = match to {
        LogicalType::Char(length) => (length, true),
        LogicalType::VarChar(length) if length < MAX_LENGTH => (length, false),
        _ => return,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if let Some((end, _)) = text.char_indices().nth(length) {
        text.truncate(end);
    } else if pads {
        let missing = length - text.chars().count();
        text.extend(std::iter::repeat_n(' ', missing));
    }
}

/// Bytes are cut and padded as Java's texts, whose length counts characters beyond the basic plane twice.
fn fit_units(text: &mut String, to: LogicalType) {
    let (LogicalType::Char(length) | LogicalType::VarChar(length)) = to else { return };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut units = 0;
    let end = text.char_indices().find(|(_, letter)| {
        units += letter.len_utf16();
        units > length
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    } else if matches!(to, LogicalType::Char(_)) {
        text.extend(std::iter::repeat_n(' ', length - units));
    }
}

fn to_binary(value: &Vector, context: &Context<'_>) -> ArrayRef {
    let rows = value.array.len();
    let mut out = BinaryBuilder::with_capacity(rows, rows * 16);
    let (length, pads) = match context.to {
        LogicalType::Binary(length) => (usize::try_from(length).unwrap_or(usize::MAX), true),
        LogicalType::VarBinary(length) => {
            // Where bytes may have to be cut, shorter ones are padded too: the real one copies a fixed number of them.
            let pads =
                matches!(context.from, LogicalType::Binary(most) | LogicalType::VarBinary(most) if most > length);
            (usize::try_from(length).unwrap_or(usize::MAX), pads)
        }
        _ => (usize::MAX, false),
    };
    for row in 0..rows {
        if value.array.is_null(row) {
            out.append_null();
            continue;
        }
        let bytes = if context.from.is_text() {
            value.array.as_string::<i32>().value(row).as_bytes()
        } else {
            value.array.as_binary::<i32>().value(row)
        };
        let kept = &bytes[..bytes.len().min(length)];
        if pads && kept.len() < length {
            let mut padded = kept.to_vec();
            padded.resize(length, 0);
            out.append_value(padded);
        } else {
            out.append_value(kept);
        }
    }
    Arc::new(out.finish())
}

fn to_boolean(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    let array = &value.array;
    let mut out = BooleanArray::builder(array.len());
    for row in 0..array.len() {
        if text::is_null(array, row, context.from) {
            out.append_null();
            continue;
        }
        let found = match context.from {
            LogicalType::Boolean => Some(array.as_boolean().value(row)),
            LogicalType::Decimal { .. } => Some(array.as_primitive::<Decimal128Type>().value(row) != 0),
            LogicalType::Float => Some(array.as_primitive::<Float32Type>().value(row) != 0.0),
            LogicalType::Double => Some(array.as_primitive::<Float64Type>().value(row) != 0.0),
            _ if context.from.is_integer() => Some(text::integer(array, row, context.from) != 0),
            _ => {
                let word = array.as_string::<i32>().value(row);
                match boolean_word(word) {
                    Some(found) => Some(found),
                    None => context.failed(row, || format!("Cannot parse '{word}' as BOOLEAN."))?,
                }
            }
        };
        out.append_option(found);
    }
    Ok(Arc::new(out.finish()))
}

fn boolean_word(word: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
    match () {
        () if is_one_of(&["t", "true", "y", "yes", "1"]) => Some(true),
        () if is_one_of(&["f", "false", "n", "no", "0"]) => Some(false),
        () => None,
    }
}
