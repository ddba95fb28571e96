//! What a text is made of: IS_ALPHA, IS_DIGIT, IS_DECIMAL. NULL is none of them.

use super::bind::{Bound, never, take};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("IS_ALPHA", "Write IS_ALPHA(text).", bind, |call| {
        holds(call, |text| text.chars().all(char::is_alphabetic))
    }),
    Function::new("IS_DIGIT", "Write IS_DIGIT(text).", bind, |call| {
        holds(call, |text| text.chars().all(|letter| letter.is_ascii_digit()))
    }),
    Function::new("IS_DECIMAL", "Write IS_DECIMAL(text).", bind, |call| holds(call, decimal)),
];

fn bind(arguments: Vec<Expr>) -> Bound {
    let numeric = arguments.first().is_some_and(|argument| argument.data_type.kind.is_numeric());
    let arguments = take(arguments, &["t", "n"])?;
    let cast = |argument: Expr| if numeric { argument.cast(LogicalType::STRING) } else { argument };
    never(arguments.into_iter().map(cast).collect(), LogicalType::Boolean)
}

fn holds(call: &Call<'_>, test: fn(&str) -> bool) -> Result<Vector, EvalError> {
    call.booleans_or_null(|row| {
        if call.is_null(0, row) {
            return Ok(Some(false));
        }
        let text = call.text(0, row);
        Ok(Some(!text.is_empty() && test(text)))
    })
}

/// A sign, digits, a point and digits, and an exponent.
fn decimal(text: &str) -> bool {
    let (text, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!whole.is_empty() || !fraction.is_empty()) && digits(whole) && digits(fraction)
}
