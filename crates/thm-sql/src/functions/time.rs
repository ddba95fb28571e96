//! DATE_FORMAT and TO_TIMESTAMP_LTZ. The session's time zone is UTC.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};

use super::Function;
use crate::expr::{EvalError, Expr, Input, Mask, Vector, counts, shape, text};
use crate::types::time::{self, Moment};
use crate::types::{DataType, LogicalType};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "DATE_FORMAT",
        usage: "Write DATE_FORMAT(timestamp, 'yyyy-MM-dd HH:mm:ss.SSS').",
        bind: bind_date_format,
        eval: date_format,
    },
    Function {
        name: "TO_TIMESTAMP_LTZ",
        usage: "Write TO_TIMESTAMP_LTZ(milliseconds, 3) or TO_TIMESTAMP_LTZ(seconds, 0).",
        bind: bind_to_ltz,
        eval: to_ltz,
    },
];

fn bind_date_format(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let [value, pattern] = arguments.as_slice() else { return None };
    let fits = value.data_type.kind.is_timestamp() && pattern.data_type.kind.is_text();
    // Nanoseconds hold what every precision holds, so that one reader is enough.
    let nullable = value.data_type.nullable || pattern.data_type.nullable;
    fits.then(|| (arguments, LogicalType::STRING.nullable(nullable)))
}

/// Precision of a timestamp's array: enough to read it.
fn precision(value: &Vector) -> u8 {
    match value.array.data_type() {
        arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, _) => 9,
        arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => 6,
        _ => 3,
    }
}

fn date_format(values: &[Vector], _: LogicalType, input: &Input<'_>, mask: Mask<'_>) -> Result<Vector, EvalError> {
    let [value, pattern] = values else {
        return Err(EvalError { message: "DATE_FORMAT takes two arguments".to_owned(), row: 0 });
    };
    let (count, scalar) = shape(&[value, pattern], input.rows);
    let precision = precision(value);
    let patterns = pattern.array.as_string::<i32>();
    let mut out = StringBuilder::with_capacity(count, count * 24);
    let mut buffer = String::new();
    for row in 0..count {
        if value.is_null(row) || pattern.is_null(row) {
            out.append_null();
            continue;
        }
        buffer.clear();
        let moment = text::moment(&value.array, value.at(row), precision);
        match format(&mut buffer, moment, patterns.value(pattern.at(row))) {
            Ok(()) => out.append_value(&buffer),
            Err(message) if counts(mask, row, scalar) => return Err(EvalError { message, row }),
            Err(_) => out.append_null(),
        }
    }
    Ok(Vector { array: Arc::new(out.finish()), scalar })
}

/// Java's `DateTimeFormatter`, as far as numbers go: y M d H m s S and quoted text.
fn format(out: &mut String, moment: Moment, pattern: &str) -> Result<(), String> {
    let mut letters = pattern.chars().peekable();
    let mut full = String::with_capacity(29);
    time::write_timestamp(&mut full, moment, ' ', 9);
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            quoted(out, &mut letters);
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            out.push(letter);
            continue;
        }
        let mut width = 1;
        while letters.next_if_eq(&letter).is_some() {
            width += 1;
        }
        let field = |from: usize, to: usize| full.get(from..to).unwrap_or("");
        let padded = match (letter, width) {
            ('y' | 'u', 4) => field(0, 4),
            ('y' | 'u', 2) => field(2, 4),
            ('M', 2) => field(5, 7),
            ('d', 2) => field(8, 10),
            ('H', 2) => field(11, 13),
            ('m', 2) => field(14, 16),
            ('s', 2) => field(17, 19),
            ('S', 1..=9) => field(20, 20 + width),
            ('M', 1) => field(5, 7).trim_start_matches('0'),
            ('d', 1) => field(8, 10).trim_start_matches('0'),
            _ => return Err(format!("pattern letter {letter} x{width} of DATE_FORMAT is not supported")),
        };
        out.push_str(padded);
    }
    Ok(())
}

fn quoted(out: &mut String, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if letters.next_if_eq(&'\'').is_some() {
        out.push('\'');
        return;
    }
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            out.push(letter);
        } else if letters.next_if_eq(&'\'').is_some() {
            out.push('\'');
        } else {
            return;
        }
    }
}

fn bind_to_ltz(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let fits = arguments.len() == 2 && arguments.iter().all(|argument| argument.data_type.kind.is_integer());
    let cast = |argument: Expr| argument.cast(LogicalType::BigInt);
    fits.then(|| (arguments.into_iter().map(cast).collect(), LogicalType::TimestampLtz(3).nullable(true)))
}

fn to_ltz(values: &[Vector], kind: LogicalType, input: &Input<'_>, mask: Mask<'_>) -> Result<Vector, EvalError> {
    let [value, unit] = values else {
        return Err(EvalError { message: "TO_TIMESTAMP_LTZ takes two arguments".to_owned(), row: 0 });
    };
    let (_, scalar) = shape(&[value, unit], input.rows);
    let array = crate::expr::arithmetic::binary::<Int64Type, Int64Type, TimestampMillisecondType>(
        value,
        unit,
        input.rows,
        |row, number, unit| match unit {
            3 => Ok(Some(number)),
            0 => Ok(number.checked_mul(1_000)),
            _ if counts(mask, row, scalar) => {
                let message = format!(
                    "The precision value '{unit}' for function TO_TIMESTAMP_LTZ is unsupported, the supported value is '0' for second or '3' for millisecond."
                );
                Err(EvalError { message, row })
            }
            _ => Ok(None),
        },
    )?;
    Ok(Vector { array: Arc::new(array.with_data_type(kind.to_arrow())), scalar })
}
