//! REGEXP, REGEXP_REPLACE, REGEXP_EXTRACT. A pattern that is none matches nothing, as in Flink.

use super::bind::{maybe, strict, take};
use super::java_regex::Last;
use super::{Call, Function};
use crate::expr::{EvalError, Vector};
use crate::types::LogicalType;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "REGEXP",
        "Write REGEXP(text, 'pattern').",
        |a| strict(take(a, &["tt"])?, LogicalType::Boolean),
        |call| {
            let mut last = Last::default();
            call.booleans(|row| {
                let (text, pattern) = (call.text(0, row), call.text(1, row));
                // Flink says that the empty pattern matches nothing.
                let found =
                    !pattern.is_empty() && last.of(pattern).is_some_and(|regex| regex.is_match(text).unwrap_or(false));
                Ok(Some(found))
            })
        },
    ),
    Function::new(
        "REGEXP_REPLACE",
        "Write REGEXP_REPLACE(text, 'pattern', 'replacement').",
        |a| strict(take(a, &["ttt"])?, LogicalType::STRING),
        replace,
    ),
    Function::new(
        "REGEXP_EXTRACT",
        "Write REGEXP_EXTRACT(text, 'pattern', group).",
        |a| maybe(take(a, &["tt", "tti"])?, LogicalType::STRING),
        extract,
    ),
];

/// Every match; the replacement is taken as it is, `$1` included.
fn replace(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut last = Last::default();
    call.texts(|row, out| {
        let (text, by) = (call.text(0, row), call.text(2, row));
        let Some(regex) = last.of(call.text(1, row)) else { return Ok(None) };
        let mut copied = 0;
        for found in regex.find_iter(text) {
            let Ok(found) = found else { return Ok(None) };
            out.push_str(&text[copied..found.start()]);
            out.push_str(by);
            copied = found.end();
        }
        out.push_str(&text[copied..]);
        Ok(Some(()))
    })
}

fn extract(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut last = Last::default();
    call.slices(|row| {
        let group = if call.len() == 3 { usize::try_from(call.int(2, row)).ok()? } else { 0 };
        let regex = last.of(call.text(1, row))?;
        let captures = regex.captures(call.text(0, row)).ok()??;
        captures.get(group).map(|found| found.as_str())
    })
}
