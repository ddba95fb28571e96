//! LIKE and SIMILAR TO.

use super::bind::{Bound, strict, take};
use super::java_regex::compiled;
use super::pattern::{Like, similar_to_regex};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("LIKE", "Write text LIKE 'pattern' [ESCAPE 'c'].", bind, like),
    Function::new("SIMILAR TO", "Write text SIMILAR TO 'pattern' [ESCAPE 'c'].", bind, similar),
];

fn bind(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["tt", "ttt"])?, LogicalType::Boolean)
}

/// The escape character, if one is given.
fn escape(call: &Call<'_>, row: usize) -> Result<Option<char>, String> {
    if call.len() < 3 {
        return Ok(None);
    }
    let given = call.text(2, row);
    let mut letters = given.chars();
    match (letters.next(), letters.next()) {
        (Some(only), None) => Ok(Some(only)),
        _ => Err(format!("Invalid escape character '{given}'")),
    }
}

fn like(call: &Call<'_>) -> Result<Vector, EvalError> {
    // A constant pattern is read once for the batch.
    let constant = call.values.get(1..).is_some_and(|values| values.iter().all(|value| value.scalar));
    let mut kept: Option<Like> = None;
    call.booleans(|row| {
        if !constant || kept.is_none() {
            match escape(call, row).and_then(|escape| Like::new(call.text(1, row), escape)) {
                Ok(read) => kept = Some(read),
                Err(message) => return call.failed(row, || message),
            }
        }
        Ok(kept.as_ref().map(|pattern| pattern.matches(call.text(0, row))))
    })
}

fn similar(call: &Call<'_>) -> Result<Vector, EvalError> {
    let constant = call.values.get(1..).is_some_and(|values| values.iter().all(|value| value.scalar));
    let mut kept = None;
    call.booleans(|row| {
        if !constant || kept.is_none() {
            let regex = escape(call, row).and_then(|escape| similar_to_regex(call.text(1, row), escape));
            match regex.and_then(|regex| compiled(&format!(r"\A(?:{regex})\z"))) {
                Ok(regex) => kept = Some(regex),
                Err(message) => return call.failed(row, || message),
            }
        }
        Ok(kept.as_ref().map(|regex| regex.is_match(call.text(0, row)).unwrap_or(false)))
    })
}
