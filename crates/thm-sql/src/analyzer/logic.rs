//! Conditions joined by AND or OR: chains as people and programs write them, two sides or two thousand.

use sqlparser::ast::{BinaryOperator, Expr as Ast, Spanned};

use super::expr::{Typer, no_bare_null};
use super::words::cannot_apply;
use crate::error::SqlResult;
use crate::expr::{Expr, ExprKind};
use crate::types::LogicalType;

/// Conditions that stand in each other: a tree as deep as a list is long would take as many calls to walk. Shorter
/// chains keep the form in which they are written.
const GROUP: usize = 64;

/// What joins conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Junction {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// The conditions as one, evaluated in their order; `None` of none. Its depth is that of one condition and some
/// [`GROUP`] more for each power of it that their number reaches.
pub(super) fn joined(by: Junction, conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    let mut level: Vec<Expr> = conditions.into_iter().collect();
    while level.len() > GROUP {
        let mut left = level.into_iter();
        level = std::iter::from_fn(|| chained(by, left.by_ref().take(GROUP))).collect();
    }
    chained(by, level.into_iter())
}

fn chained(by: Junction, conditions: impl Iterator<Item = Expr>) -> Option<Expr> {
    conditions.reduce(|before, next| {
        let nullable = before.data_type.nullable || next.data_type.nullable;
        let (before, next) = (Box::new(before), Box::new(next));
        let kind = match by {
            Junction::And => ExprKind::And(before, next),
            Junction::Or => ExprKind::Or(before, next),
        };
        Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) }
    })
}

/// `a AND b AND c`, whose last operator is this: its sides are typed one after the other.
pub(super) fn chain(
    typer: &mut Typer<'_>,
    (left, op, right): (&Ast, &BinaryOperator, &Ast),
    by: Junction,
) -> SqlResult<Expr> {
    let (mut first, mut rest) = (left, vec![right]);
    while let Ast::BinaryOp { left, op: inner, right } = first
        && inner == op
    {
        rest.push(right);
        first = left;
    }
    let mut sides = vec![typer.expr(first)?];
    for side in rest.into_iter().rev() {
        let next = typer.expr(side)?;
        if let Some(before) = sides.last().filter(|before| !is_condition(before) || !is_condition(&next)) {
            let span = first.span().union(&side.span());
            return Err(cannot_apply(&op.to_string(), &[before, &next], span));
        }
        if let [only] = sides.as_slice() {
            no_bare_null(only, first.span())?;
        }
        no_bare_null(&next, side.span())?;
        sides.push(next);
    }
    Ok(joined(by, sides).expect("a chain has two sides at least"))
}

fn is_condition(side: &Expr) -> bool {
    matches!(side.data_type.kind, LogicalType::Boolean | LogicalType::Null)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::BooleanArray;

    use super::*;

    fn literal(value: bool) -> Expr {
        Expr::literal(BooleanArray::from(vec![value]), LogicalType::Boolean.nullable(false))
    }

    fn depth(expr: &Expr) -> usize {
        match &expr.kind {
            ExprKind::And(left, right) | ExprKind::Or(left, right) => 1 + depth(left).max(depth(right)),
            _ => 0,
        }
    }

    fn sides(expr: &Expr) -> usize {
        match &expr.kind {
            ExprKind::And(left, right) | ExprKind::Or(left, right) => sides(left) + sides(right),
            _ => 1,
        }
    }

    #[test]
    fn chains_lose_no_side_and_stay_flat() {
        for number in [1, 2, 63, 64, 65, 128, 4_096, 4_097, 10_000] {
            let all = joined(Junction::Or, (0..number).map(|at| literal(at == number - 1))).unwrap();
            assert_eq!(sides(&all), number);
            assert!(depth(&all) <= 3 * GROUP, "{number} sides are {} deep", depth(&all));
        }
        assert!(joined(Junction::And, []).is_none());
    }

    #[test]
    fn short_chains_keep_their_form() {
        let three = joined(Junction::And, [literal(true), literal(false), literal(true)]).unwrap();
        let ExprKind::And(left, _) = &three.kind else { panic!("{three:?}") };
        assert_eq!(sides(left), 2);
    }
}
