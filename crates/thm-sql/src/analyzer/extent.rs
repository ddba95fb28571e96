//! How large a typed expression may be. What a text repeats in few words can double with each of them: NULLIF in NULLIF,
//! or a column of a subquery that its user reads twice.

use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;

/// Deepest expression: it is walked recursively here and at run time.
const DEFAULT_MAX_DEPTH: usize = 400;
/// Most parts of an expression: some of them for each value of the longest list that a statement may have.
const DEFAULT_MAX_PARTS: usize = 250_000;

/// Refuses an expression that is too large to be kept and walked.
pub(super) fn check(expr: &Expr, span: impl FnOnce() -> Span) -> SqlResult<()> {
    let mut left = DEFAULT_MAX_PARTS;
    let refused = match walk(expr, DEFAULT_MAX_DEPTH, &mut left) {
        Extent::Fits => return Ok(()),
        Extent::TooDeep => "the expression is nested too deeply".to_owned(),
        Extent::TooLarge => format!(
            "the expression has more than {DEFAULT_MAX_PARTS} parts, with those of the subqueries and functions in it"
        ),
    };
    Err(SqlDiagnostic::new(span(), refused).with_hint("Split it: write a part of it to a topic, and go on from there."))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Fits,
    TooDeep,
    TooLarge,
}

fn walk(expr: &Expr, depth: usize, parts: &mut usize) -> Extent {
    match (depth.checked_sub(1), parts.checked_sub(1)) {
        (None, _) => Extent::TooDeep,
        (_, None) => Extent::TooLarge,
        (Some(depth), Some(left)) => {
            *parts = left;
            let mut found = expr.children().into_iter().map(|child| walk(child, depth, parts));
            found.find(|found| *found != Extent::Fits).unwrap_or(Extent::Fits)
        }
    }
}
