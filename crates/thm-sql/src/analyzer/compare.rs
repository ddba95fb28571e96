//! Comparisons: the type in which two values are compared, and what is made of comparisons (IN, BETWEEN, IS DISTINCT FROM).

use sqlparser::ast::Expr as Ast;
use sqlparser::tokenizer::Span;

use super::expr::{Typer, is_null, not};
use super::words::{cannot_apply, root_name};
use super::{fold, interval};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{CompareOp, Expr, ExprKind};
use crate::types::{DataType, LogicalType, coerce, decimal};

/// A comparison as it is written.
pub(super) fn of(op: CompareOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let (a, b) = match op {
        CompareOp::Equal | CompareOp::NotEqual => (a, b),
        _ => beside_texts(a, b),
    };
    compare(op, a, b, span)
}

/// IS NOT DISTINCT FROM: equal, or both NULL.
pub(super) fn same(typer: &mut Typer<'_>, a: &Ast, b: &Ast, span: Span) -> SqlResult<Expr> {
    let (a, b) = (typer.expr(a)?, typer.expr(b)?);
    let boolean = LogicalType::Boolean.nullable(false);
    let both = ExprKind::And(Box::new(is_null(a.clone())), Box::new(is_null(b.clone())));
    let equal = compare(CompareOp::Equal, a, b, span)?;
    let equal = Expr { kind: ExprKind::Is(Box::new(equal), true), data_type: boolean };
    let both = Expr { kind: both, data_type: boolean };
    Ok(Expr { kind: ExprKind::Or(Box::new(both), Box::new(equal)), data_type: boolean })
}

/// Between two bounds, both included.
pub(super) fn between(typer: &mut Typer<'_>, value: &Ast, low: &Ast, high: &Ast, span: Span) -> SqlResult<Expr> {
    let (value, low, high) = (typer.expr(value)?, typer.expr(low)?, typer.expr(high)?);
    let wrong = cannot_apply("BETWEEN ASYMMETRIC", &[&value, &low, &high], span);
    let wrong = wrong.with_hint("Cast the bounds to the type of the value.");
    let compares = |value: &Expr, bound: &Expr| {
        let (x, y) = beside_texts(value.clone(), bound.clone());
        coerce::comparison_type(x.data_type, y.data_type).is_some()
    };
    if !compares(&value, &low) || !compares(&value, &high) || !compares(&low, &high) {
        return Err(wrong);
    }
    let above = of(CompareOp::GreaterOrEqual, value.clone(), low, span)?;
    let below = of(CompareOp::LessOrEqual, value, high, span)?;
    let nullable = above.data_type.nullable || below.data_type.nullable;
    let kind = ExprKind::And(Box::new(above), Box::new(below));
    Ok(Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) })
}

/// Equal to one of several values. Beside a text, or for a text, they are read as the value's type.
pub(super) fn in_list(typer: &mut Typer<'_>, value: &Ast, list: &[Ast], span: Span) -> SqlResult<Expr> {
    let value = typer.expr(value)?;
    let items: SqlResult<Vec<Expr>> = list.iter().map(|item| typer.expr(item)).collect();
    let to = value.data_type.kind;
    let read = |item: Expr| {
        let from = item.data_type.kind;
        let other_text = matches!((to, from), (LogicalType::Char(_), LogicalType::VarChar(_)));
        let mixed = to.is_text() != from.is_text() && ![to, from].contains(&LogicalType::Null);
        if other_text || mixed && !to.is_binary() && !from.is_binary() && coerce::explicit_cast(from, to) {
            item.cast(to)
        } else {
            item
        }
    };
    let items = items?;
    let mut types: Vec<DataType> = items.iter().map(|item| item.data_type).collect();
    let wrong =
        |message: &str| Err(SqlDiagnostic::new(span, message).with_hint("Cast the values to the type of the column."));
    if coerce::common_type(&types).is_none() {
        return wrong("Values in expression list must have compatible types");
    }
    let items: Vec<Expr> = items.into_iter().map(read).collect();
    types = items.iter().map(|item| item.data_type).collect();
    types.push(value.data_type);
    if coerce::common_type(&types).is_none() {
        return wrong("Values passed to IN operator must have compatible types");
    }
    let mut out: Option<Expr> = None;
    for item in items {
        let equal = compare(CompareOp::Equal, value.clone(), item, span)?;
        out = Some(match out {
            None => equal,
            Some(before) => {
                let nullable = before.data_type.nullable || equal.data_type.nullable;
                let kind = ExprKind::Or(Box::new(before), Box::new(equal));
                Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) }
            }
        });
    }
    out.ok_or_else(|| SqlDiagnostic::new(span, "IN needs at least one value"))
}

/// A text that is ordered beside a number or BOOLEAN is read as one; `=` and `<>` have no such rule.
fn beside_texts(a: Expr, b: Expr) -> (Expr, Expr) {
    let (x, y) = (a.data_type.kind, b.data_type.kind);
    let read = |kind: LogicalType| kind.is_numeric() || kind == LogicalType::Boolean;
    match () {
        () if x.is_text() && read(y) => (a.cast(y), b),
        () if read(x) && y.is_text() => (a, b.cast(x)),
        () => (a, b),
    }
}

/// A text that is no time is equal to none.
fn times_beside_texts(a: Expr, b: Expr) -> (Expr, Expr) {
    let (x, y) = (a.data_type.kind, b.data_type.kind);
    let read = |text: Expr, to: LogicalType| Expr {
        data_type: to.nullable(text.data_type.nullable),
        kind: ExprKind::Cast { input: Box::new(text), lenient: true },
    };
    match () {
        () if x.is_text() && interval::is_time(y) => (read(a, y), b),
        () if interval::is_time(x) && y.is_text() => (a, read(b, x)),
        () => (a, b),
    }
}

/// The values of a row that is written out: it is equal to another where each of them is, and unknown where one of
/// them is. A row that is read is a value.
fn fields(row: &Expr) -> Option<&[Expr]> {
    match &row.kind {
        ExprKind::Call { function, arguments } if function.name == "ROW" => Some(arguments),
        _ => None,
    }
}

/// Whether all pairs are equal.
pub(super) fn all_equal(pairs: impl Iterator<Item = (Expr, Expr)>, span: Span) -> SqlResult<Expr> {
    let mut out: Option<Expr> = None;
    for (a, b) in pairs {
        let equal = compare(CompareOp::Equal, a, b, span)?;
        out = Some(match out {
            None => equal,
            Some(before) => {
                let nullable = before.data_type.nullable || equal.data_type.nullable;
                let kind = ExprKind::And(Box::new(before), Box::new(equal));
                Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) }
            }
        });
    }
    out.ok_or_else(|| SqlDiagnostic::new(span, "there is nothing to compare").with_hint("Write a value on both sides."))
}

/// Whether a value or, in a row, one of its fields may be NULL.
fn holds_nulls(data_type: DataType) -> bool {
    let in_fields = match data_type.kind {
        LogicalType::Row(fields) => fields.iter().any(|field| holds_nulls(field.data_type)),
        _ => false,
    };
    data_type.nullable || in_fields
}

/// A comparison in the common type of both sides.
pub(super) fn compare(op: CompareOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let common = coerce::comparison_type(a.data_type, b.data_type).ok_or_else(|| {
        let (x, y) = (a.data_type.kind, b.data_type.kind);
        let converts = x.is_text() && y.is_numeric() || x.is_numeric() && y.is_text();
        let refusal = if converts {
            let (x, y) = (root_name(x), root_name(y));
            SqlDiagnostic::new(span, format!("implicit type conversion between {x} and {y} is not supported now"))
        } else {
            cannot_apply(op.sign(), &[&a, &b], span)
        };
        refusal.with_hint("Cast one side to the type of the other.")
    })?;
    if op == CompareOp::Equal
        && let Some((left, right)) = fields(&a).zip(fields(&b))
    {
        return all_equal(left.iter().cloned().zip(right.iter().cloned()), span);
    }
    let (a, b) = match op {
        CompareOp::Equal | CompareOp::NotEqual => times_beside_texts(a, b),
        _ => (a, b),
    };
    let nullable = holds_nulls(a.data_type) || holds_nulls(b.data_type);
    let data_type = LogicalType::Boolean.nullable(nullable);
    if common == LogicalType::Null {
        return Ok(Expr::null(LogicalType::Boolean));
    }
    if fold::same_twice(&a, &b) {
        return Ok(fold::of_itself(op, a));
    }
    // FLOAT and DOUBLE are ordered as DOUBLE, whichever comes first.
    let (x, y) = (a.data_type.kind, b.data_type.kind);
    let orders = !matches!(op, CompareOp::Equal | CompareOp::NotEqual);
    let common =
        if orders && x.is_approximate() && y.is_approximate() && x != y { LogicalType::Double } else { common };
    // Beside a DECIMAL, NaN is the greatest number.
    let exact = |kind: LogicalType| matches!(kind, LogicalType::Decimal { .. });
    let opposite = match op {
        CompareOp::Greater if exact(y) => Some(CompareOp::LessOrEqual),
        CompareOp::GreaterOrEqual if exact(y) => Some(CompareOp::Less),
        CompareOp::Less if exact(x) => Some(CompareOp::GreaterOrEqual),
        CompareOp::LessOrEqual if exact(x) => Some(CompareOp::Greater),
        _ => None,
    };
    if let Some(op) = opposite.filter(|_| common == LogicalType::Double) {
        let kind = ExprKind::Compare { op, left: Box::new(a.cast(common)), right: Box::new(b.cast(common)) };
        return Ok(not(Expr { kind, data_type }));
    }
    let (left, right) = match x.as_decimal().zip(y.as_decimal()) {
        // Cast to a type that does not hold them they would be NULL.
        Some((from, to)) if !decimal::common_type_holds(from, to) => {
            let side = |side: Expr, (precision, scale)| side.cast(LogicalType::Decimal { precision, scale });
            (side(a, from), side(b, to))
        }
        _ => (a.cast(common), b.cast(common)),
    };
    let kind = ExprKind::Compare { op, left: Box::new(left), right: Box::new(right) };
    Ok(Expr { kind, data_type })
}
