//! Comparisons: the type in which two values are compared, and what is made of comparisons (IN, BETWEEN, IS DISTINCT FROM).

use arrow::array::{Array, AsArray, BooleanArray};
use sqlparser::ast::{BinaryOperator, Expr as Ast};
use sqlparser::tokenizer::Span;

use super::expr::{Typer, is_null, not};
use super::logic::{Junction, joined};
use super::words::{cannot_apply, root_name};
use super::{fold, interval};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{CompareOp, Expr, ExprKind, Input};
use crate::types::{DataType, LogicalType, coerce, decimal};

/// The comparison that an operator is.
pub(super) const fn operator(op: &BinaryOperator) -> Option<CompareOp> {
    match op {
        BinaryOperator::Eq => Some(CompareOp::Equal),
        BinaryOperator::NotEq => Some(CompareOp::NotEqual),
        BinaryOperator::Lt => Some(CompareOp::Less),
        BinaryOperator::LtEq => Some(CompareOp::LessOrEqual),
        BinaryOperator::Gt => Some(CompareOp::Greater),
        BinaryOperator::GtEq => Some(CompareOp::GreaterOrEqual),
        _ => None,
    }
}

/// A comparison as it is written.
pub(super) fn of(op: CompareOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let (a, b) = match op {
        CompareOp::Equal | CompareOp::NotEqual => (a, b),
        _ => match beside_bound(op, &a, &b) {
            Some(decided) => return Ok(decided),
            None => beside_texts(a, b),
        },
    };
    compare(op, a, b, span)
}

/// A text ordered beside TRUE, than which nothing is greater, or FALSE: where that decides, nobody reads the text, unless
/// it may be NULL.
fn beside_bound(op: CompareOp, a: &Expr, b: &Expr) -> Option<Expr> {
    let bound = |side: &Expr| match &side.kind {
        ExprKind::Literal(array) if side.data_type.kind == LogicalType::Boolean && array.is_valid(0) => {
            Some(array.as_boolean().value(0))
        }
        _ => None,
    };
    let text = |side: &Expr| side.data_type.kind.is_text();
    // As if the constant stood first.
    let (first, other, op) = match (bound(a), bound(b)) {
        (Some(first), _) if text(b) => (first, b, op),
        (_, Some(first)) if text(a) => (first, a, op.turned()),
        _ => return None,
    };
    let answer = match (first, op) {
        (true, CompareOp::Less) | (false, CompareOp::Greater) => false,
        (true, CompareOp::GreaterOrEqual) | (false, CompareOp::LessOrEqual) => true,
        _ => return None,
    };
    let answer = Expr::literal(BooleanArray::from(vec![answer]), LogicalType::Boolean.nullable(false));
    (!other.data_type.nullable).then_some(answer)
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
    let nothing = types.iter().all(|item| item.kind == LogicalType::Null) && to == LogicalType::Null;
    if nothing || coerce::common_type(&types).is_none() {
        return wrong("Values in expression list must have compatible types");
    }
    let items: Vec<Expr> = items.into_iter().map(read).collect();
    types = items.iter().map(|item| item.data_type).collect();
    types.push(value.data_type);
    if coerce::common_type(&types).is_none() {
        return wrong("Values passed to IN operator must have compatible types");
    }
    let equal = items.into_iter().map(|item| compare(CompareOp::Equal, value.clone(), item, span));
    let some = joined(Junction::Or, equal.collect::<SqlResult<Vec<_>>>()?);
    some.ok_or_else(|| SqlDiagnostic::new(span, "IN needs at least one value"))
}

/// `value op ANY (a, b)`, SOME or ALL: some or all of the comparisons hold.
pub(super) fn quantified(
    typer: &mut Typer<'_>,
    (value, op, list): (&Ast, CompareOp, &Ast),
    all: bool,
    span: Span,
) -> SqlResult<Expr> {
    let items = match list {
        Ast::Tuple(items) => items.as_slice(),
        Ast::Subquery(query) => {
            let value = typer.expr(value)?;
            let op = if all { op.opposite() } else { op };
            let some = typer.subqueries(list)?.some(value, op, query)?;
            return Ok(if all { not(some) } else { some });
        }
        one => std::slice::from_ref(one),
    };
    let value = typer.expr(value)?;
    let compared = items.iter().map(|item| of(op, value.clone(), typer.expr(item)?, span));
    let compared = compared.collect::<SqlResult<Vec<_>>>()?;
    let out = joined(if all { Junction::And } else { Junction::Or }, compared);
    out.ok_or_else(|| SqlDiagnostic::new(span, "ANY, SOME and ALL need at least one value"))
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

/// A text beside a time is read as one. A constant that is none is an error when planning; another value is equal to none.
fn times_beside_texts(a: Expr, b: Expr, span: Span) -> SqlResult<(Expr, Expr)> {
    let (x, y) = (a.data_type.kind, b.data_type.kind);
    let read = |text: Expr, to: LogicalType| {
        let constant = matches!(text.kind, ExprKind::Literal(_));
        let data_type = to.nullable(text.data_type.nullable);
        let read = Expr { data_type, kind: ExprKind::Cast { input: Box::new(text), lenient: !constant } };
        match constant.then(|| read.evaluate(&Input::new(&[], 1))) {
            Some(Err(error)) => Err(SqlDiagnostic::new(span, error.message)
                .with_hint("Write the text as a literal of the other side's type is written.")),
            _ => Ok(read),
        }
    };
    Ok(match () {
        () if x.is_text() && interval::is_time(y) => (read(a, y)?, b),
        () if interval::is_time(x) && y.is_text() => (a, read(b, x)?),
        () => (a, b),
    })
}

/// Whether a text beside a BOOLEAN or an interval, which nothing reads: it is equal to none.
fn apart(x: LogicalType, y: LogicalType) -> bool {
    let unread = |kind: LogicalType| kind == LogicalType::Boolean || kind.is_interval();
    x.is_text() && unread(y) || unread(x) && y.is_text()
}

/// TRUE, or NULL where the value is.
pub(super) fn not_null(value: Expr) -> Expr {
    let data_type = LogicalType::Boolean.nullable(value.data_type.nullable);
    constant_beside(true, is_null(value), data_type)
}

/// A constant answer, or NULL where something is missing.
fn constant_beside(answer: bool, missing: Expr, data_type: DataType) -> Expr {
    let answer = Expr::literal(BooleanArray::from(vec![answer]), LogicalType::Boolean.nullable(false));
    let branches = vec![(missing, Expr::null(LogicalType::Boolean))];
    Expr { kind: ExprKind::Case { branches, otherwise: Box::new(answer) }, data_type }
}

/// Whether it is a constant NULL.
fn is_missing(value: &Expr) -> bool {
    matches!(&value.kind, ExprKind::Literal(array) if array.is_null(0))
}

/// Whether one is a text and the other a number.
const fn converts(x: LogicalType, y: LogicalType) -> bool {
    x.is_text() && y.is_numeric() || x.is_numeric() && y.is_text()
}

/// The comparison of two that are never equal: NULL if one of them is, else what the operator says of two that differ.
fn never_equal(op: CompareOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let (x, y) = (a.data_type.kind, b.data_type.kind);
    if is_missing(&a) || is_missing(&b) {
        return Ok(Expr::null(LogicalType::Boolean));
    }
    if !matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
        let (text, other) = if x.is_text() { (a.data_type, y) } else { (b.data_type, x) };
        let to = other.nullable(text.nullable);
        return Err(SqlDiagnostic::new(span, format!("Unsupported cast from '{text}' to '{to}'."))
            .with_hint("Compare an interval with an interval."));
    }
    let data_type = LogicalType::Boolean.nullable(a.data_type.nullable || b.data_type.nullable);
    let missing = ExprKind::Or(Box::new(is_null(a)), Box::new(is_null(b)));
    let missing = Expr { kind: missing, data_type: LogicalType::Boolean.nullable(false) };
    Ok(constant_beside(op == CompareOp::NotEqual, missing, data_type))
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
    let equal = pairs.map(|(a, b)| compare(CompareOp::Equal, a, b, span)).collect::<SqlResult<Vec<_>>>()?;
    let out = joined(Junction::And, equal);
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
    if a.data_type.kind == LogicalType::Null && matches!(b.data_type.kind, LogicalType::Row(_)) {
        return Err(cannot_apply(op.sign(), &[&a, &b], span).with_hint("Write IS NULL behind the row."));
    }
    if apart(a.data_type.kind, b.data_type.kind) {
        return never_equal(op, a, b, span);
    }
    let common = coerce::comparison_type(a.data_type, b.data_type);
    // Between a text and a number nothing is converted, but what is NULL is found before that.
    if common.is_none() && converts(a.data_type.kind, b.data_type.kind) && (is_missing(&a) || is_missing(&b)) {
        return Ok(Expr::null(LogicalType::Boolean));
    }
    let common = common.ok_or_else(|| {
        let (x, y) = (a.data_type.kind, b.data_type.kind);
        let refusal = if converts(x, y) {
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
        CompareOp::Equal | CompareOp::NotEqual => times_beside_texts(a, b, span)?,
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
