//! UPPER, LOWER, TRIM, CONCAT, `||`, SUBSTRING, CHAR_LENGTH.

use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, StringBuilder};
use arrow::datatypes::Int32Type;

use super::{Function, any_nullable};
use crate::expr::{EvalError, Expr, Input, Mask, Vector, shape};
use crate::types::{DataType, LogicalType, MAX_LENGTH};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "UPPER", usage: "Write UPPER(text).", bind: bind_text, eval: upper },
    Function { name: "LOWER", usage: "Write LOWER(text).", bind: bind_text, eval: lower },
    Function { name: "TRIM", usage: "Write TRIM(text).", bind: bind_text, eval: trim },
    Function { name: "CONCAT", usage: "Write CONCAT(text, text, …).", bind: bind_concat, eval: concat },
    Function { name: "||", usage: "Write text || text.", bind: bind_joined, eval: concat },
    Function {
        name: "SUBSTRING",
        usage: "Write SUBSTRING(text, start) or SUBSTRING(text, start, length).",
        bind: bind_substring,
        eval: substring,
    },
    Function { name: "CHAR_LENGTH", usage: "Write CHAR_LENGTH(text).", bind: bind_length, eval: char_length },
];

fn all_text(arguments: &[Expr]) -> bool {
    !arguments.is_empty() && arguments.iter().all(|argument| argument.data_type.kind.is_text())
}

fn bind_text(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let fits = arguments.len() == 1 && all_text(&arguments);
    let nullable = any_nullable(&arguments);
    fits.then(|| (arguments, LogicalType::STRING.nullable(nullable)))
}

fn bind_concat(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let nullable = any_nullable(&arguments);
    all_text(&arguments).then(|| (arguments, LogicalType::STRING.nullable(nullable)))
}

fn bind_joined(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let nullable = any_nullable(&arguments);
    let [a, b] = arguments.as_slice() else { return None };
    let kind = match (a.data_type.kind, b.data_type.kind) {
        (LogicalType::Char(n), LogicalType::Char(m)) => LogicalType::Char(n.saturating_add(m)),
        (LogicalType::Char(n) | LogicalType::VarChar(n), LogicalType::Char(m) | LogicalType::VarChar(m)) => {
            LogicalType::VarChar(n.saturating_add(m).min(MAX_LENGTH))
        }
        _ => return None,
    };
    Some((arguments, kind.nullable(nullable)))
}

fn bind_substring(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    if !(2..=3).contains(&arguments.len()) || !arguments[0].data_type.kind.is_text() {
        return None;
    }
    if !arguments[1..].iter().all(|argument| argument.data_type.kind.is_integer()) {
        return None;
    }
    let nullable = any_nullable(&arguments);
    let cast = |(i, argument): (usize, Expr)| if i == 0 { argument } else { argument.cast(LogicalType::Int) };
    let arguments = arguments.into_iter().enumerate().map(cast).collect();
    Some((arguments, LogicalType::STRING.nullable(nullable)))
}

fn bind_length(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let (arguments, data_type) = bind_text(arguments)?;
    Some((arguments, LogicalType::Int.nullable(data_type.nullable)))
}

/// Builds a text per row from texts; NULL if one of them is.
fn texts(values: &[Vector], rows: usize, mut build: impl FnMut(&mut String, usize)) -> Result<Vector, EvalError> {
    let parts: Vec<&Vector> = values.iter().collect();
    let (count, scalar) = shape(&parts, rows);
    let mut out = StringBuilder::with_capacity(count, count * 16);
    let mut buffer = String::new();
    for row in 0..count {
        if values.iter().any(|value| value.is_null(row)) {
            out.append_null();
        } else {
            buffer.clear();
            build(&mut buffer, row);
            out.append_value(&buffer);
        }
    }
    Ok(Vector { array: Arc::new(out.finish()), scalar })
}

fn text(value: &Vector, row: usize) -> &str {
    value.array.as_string::<i32>().value(value.at(row))
}

fn upper(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    texts(values, input.rows, |out, row| out.extend(text(&values[0], row).chars().flat_map(char::to_uppercase)))
}

fn lower(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    texts(values, input.rows, |out, row| out.push_str(&text(&values[0], row).to_lowercase()))
}

fn trim(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    texts(values, input.rows, |out, row| out.push_str(text(&values[0], row).trim_matches(' ')))
}

fn concat(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    texts(values, input.rows, |out, row| values.iter().for_each(|value| out.push_str(text(value, row))))
}

fn int(value: &Vector, row: usize) -> i64 {
    i64::from(value.array.as_primitive::<Int32Type>().value(value.at(row)))
}

/// Characters from `start` (1 is the first, -1 the last, 0 as 1); nothing for a negative length.
fn substring(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    texts(values, input.rows, |out, row| {
        let whole = text(&values[0], row);
        let count = i64::try_from(whole.chars().count()).unwrap_or(i64::MAX);
        let start = match int(&values[1], row) {
            start if start > 0 => start - 1,
            0 => 0,
            start => start + count,
        };
        let length = values.get(2).map_or(i64::MAX, |length| int(length, row));
        let end = start.saturating_add(length.max(0)).min(count);
        let start = start.max(0);
        if start < end {
            let skip = usize::try_from(start).unwrap_or(usize::MAX);
            let take = usize::try_from(end - start).unwrap_or(usize::MAX);
            out.extend(whole.chars().skip(skip).take(take));
        }
    })
}

fn char_length(values: &[Vector], _: LogicalType, input: &Input<'_>, _: Mask<'_>) -> Result<Vector, EvalError> {
    let value = &values[0];
    let (count, scalar) = shape(&[value], input.rows);
    let length =
        |row: usize| (!value.is_null(row)).then(|| i32::try_from(text(value, row).chars().count()).unwrap_or(i32::MAX));
    let array: Int32Array = (0..count).map(length).collect();
    Ok(Vector { array: Arc::new(array), scalar })
}
