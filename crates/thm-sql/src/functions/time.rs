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
    let mut rest = String::with_capacity(24);
    let year = time::write_after_year(&mut rest, moment);
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
        if matches!(letter, 'y' | 'u') && matches!(width, 2 | 4) {
            write_year(out, year, letter, width);
            continue;
        }
        let field = |from: usize, to: usize| rest.get(from..to).unwrap_or("");
        let padded = match (letter, width) {
            ('M', 2) => field(0, 2),
            ('d', 2) => field(3, 5),
            ('H', 2) => field(6, 8),
            ('m', 2) => field(9, 11),
            ('s', 2) => field(12, 14),
            ('S', 1..=9) => field(15, 15 + width),
            ('M', 1) => field(0, 2).trim_start_matches('0'),
            ('d', 1) => field(3, 5).trim_start_matches('0'),
            _ => return Err(format!("pattern letter {letter} x{width} of DATE_FORMAT is not supported")),
        };
        out.push_str(padded);
    }
    Ok(())
}

/// `y` counts within its era (44 BC is 0044), `u` through both (-0043); beyond four digits both have a plus.
fn write_year(out: &mut String, year: i64, letter: char, width: usize) {
    let shown = if letter == 'y' && year <= 0 { 1 - year } else { year };
    let number = shown.unsigned_abs();
    if width == 2 {
        out.push_str(&format!("{:02}", number % 100));
        return;
    }
    match shown {
        ..0 => out.push('-'),
        10_000.. => out.push('+'),
        _ => {}
    }
    time::write_digits(out, number, 4);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn years_are_shown_as_java_shows_them() {
        let shown = |text: &str, pattern: &str| {
            let mut out = String::new();
            format(&mut out, time::parse_zoned(text, b"T").unwrap(), pattern).unwrap();
            out
        };
        assert_eq!(shown("2026-03-01T00:00:00.0079Z", "yyyy-M-d HH:mm:ss.SSS yy"), "2026-3-1 00:00:00.007 26");
        assert_eq!(shown("-0043-03-15T10:00:00Z", "yyyy uuuu-MM-dd"), "0044 -0043-03-15");
        assert_eq!(shown("+10000-01-01T00:00:00Z", "yyyy uuuu"), "+10000 +10000");
    }
}
