//! Constants that Flink computes when planning, and casts that its planner leaves out: both change results.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{Float32Type, Float64Type};
use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{ArithmeticOp, CompareOp, Expr, ExprKind, Input};
use crate::types::{DataType, LogicalType};

/// A whole expression of constant numbers, computed. What fails stays: its row may never be wanted.
pub(super) fn folded(expr: Expr, span: Span) -> SqlResult<Expr> {
    let expr = rounded_floats(expr);
    if matches!(expr.kind, ExprKind::Literal(_) | ExprKind::Column(_)) || !folds(&expr) {
        return Ok(expr);
    }
    if divides_by_zero(&expr) {
        return Err(SqlDiagnostic::new(span, "Division by zero").with_hint("Change the constant divisor."));
    }
    let input = Input::new(&[], 1);
    match expr.evaluate(&input) {
        Ok(array) => {
            // A DECIMAL that does not fit is counted and reported where it is computed.
            if input.overflows.get() > 0 {
                return Ok(expr);
            }
            let data_type = expr.data_type;
            Ok(Expr { kind: ExprKind::Literal(without_sign_of_zero(array, data_type.kind)), data_type })
        }
        Err(_) => Ok(expr),
    }
}

/// FLOATs that the planner computes, which it keeps with seven digits: 1 / 3 is 0.3333333. A number that is only cast to
/// one keeps all of its digits. Parts of a constant are not computed apart.
fn rounded_floats(mut expr: Expr) -> Expr {
    if matches!(expr.kind, ExprKind::Literal(_) | ExprKind::Column(_)) || is_cast_number(&expr) {
        return expr;
    }
    if expr.data_type.kind == LogicalType::Float && expr.is_constant() && expr.is_steady() {
        return computed_float(expr);
    }
    if !expr.is_constant() || expr.data_type.kind.is_nested() {
        for child in expr.children_mut() {
            let part = std::mem::replace(child, Expr::null(LogicalType::Null));
            *child = rounded_floats(part);
        }
    }
    expr
}

/// A constant FLOAT, computed.
pub(super) fn computed_float(expr: Expr) -> Expr {
    let value = match expr.evaluate(&Input::new(&[], 1)) {
        Ok(array) if array.is_valid(0) => array.as_primitive::<Float32Type>().value(0),
        _ => return expr,
    };
    if value.is_finite() { float_literal(seven_digits(value), expr.data_type) } else { expr }
}

/// `CAST(1.5 AS FLOAT)`, also plus zero or times one, which the planner leaves out.
fn is_cast_number(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Cast { input, .. } if !input.data_type.kind.is_numeric() => false,
        ExprKind::Cast { input, .. } => match &input.kind {
            ExprKind::Literal(_) => true,
            ExprKind::Cast { input, .. } => matches!(input.kind, ExprKind::Literal(_)),
            _ => false,
        },
        ExprKind::Arithmetic { op, left, right } => {
            let neutral = |side: &Expr| match op {
                ArithmeticOp::Add | ArithmeticOp::Subtract => number(side) == Some(0.0),
                ArithmeticOp::Multiply | ArithmeticOp::Divide => number(side) == Some(1.0),
                ArithmeticOp::Remainder => false,
            };
            // `0 + x`, `1 * x`.
            let turns = matches!(op, ArithmeticOp::Add | ArithmeticOp::Multiply);
            neutral(right) && is_cast_number(left) || turns && neutral(left) && is_cast_number(right)
        }
        // COALESCE of what is never NULL is its first argument.
        ExprKind::Case { branches, .. } => branches.first().is_some_and(|(condition, first)| {
            let present = matches!(&condition.kind, ExprKind::Not(inner) if matches!(inner.kind, ExprKind::IsNull(_)));
            present && !first.data_type.nullable && is_cast_number(first)
        }),
        _ => false,
    }
}

/// Rounded to seven digits, half to even, from the value's exact decimal form.
fn seven_digits(value: f32) -> f64 {
    format!("{:.6e}", f64::from(value)).parse().unwrap_or_else(|_| f64::from(value))
}

/// A DOUBLE as a FLOAT, as the planner keeps it: cast on to another number it has the DOUBLE's digits.
fn float_literal(value: f64, data_type: DataType) -> Expr {
    let value = Expr::literal(Float64Array::from(vec![value]), LogicalType::Double.nullable(false));
    Expr { kind: ExprKind::Cast { input: Box::new(value), lenient: false }, data_type }
}

/// Numbers and truth values only: times depend on the session.
fn folds(expr: &Expr) -> bool {
    let kind = expr.data_type.kind;
    let plain = kind.is_numeric() || kind == LogicalType::Boolean;
    let known = !matches!(expr.kind, ExprKind::Column(_) | ExprKind::Call { .. });
    known
        && (plain || matches!(expr.kind, ExprKind::Literal(_)) && kind.is_text())
        && expr.children().into_iter().all(folds)
}

/// Flink's planner divides in decimal, so DOUBLEs fail too; branches of a CASE may never be wanted.
fn divides_by_zero(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Case { .. } => false,
        ExprKind::Arithmetic { op: ArithmeticOp::Divide, right, .. } if is_zero(right) => true,
        _ => expr.children().into_iter().any(divides_by_zero),
    }
}

fn is_zero(expr: &Expr) -> bool {
    number(expr) == Some(0.0)
}

/// The value of a constant number.
fn number(expr: &Expr) -> Option<f64> {
    if !expr.is_constant() {
        return None;
    }
    let array = expr.evaluate(&Input::new(&[], 1)).ok().filter(|array| array.is_valid(0))?;
    let mut out = String::new();
    crate::expr::text::write(&mut out, &array, 0, expr.data_type.kind);
    out.parse().ok()
}

/// Flink's literals have no negative zero.
fn without_sign_of_zero(array: ArrayRef, kind: LogicalType) -> ArrayRef {
    match kind {
        LogicalType::Double => {
            let plain = array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| if x == 0.0 { 0.0 } else { x });
            std::sync::Arc::new(plain)
        }
        LogicalType::Float => {
            let plain = array.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| if x == 0.0 { 0.0 } else { x });
            std::sync::Arc::new(plain)
        }
        _ => array,
    }
}

/// What is behind a cast that another cast makes needless:
///
/// * a literal's FLOAT or DOUBLE on the way to another number: `CAST(CAST(1.1 AS FLOAT) AS DOUBLE)` is 1.1;
/// * a number's text, if it is long enough to hold every such number: `CAST(CAST(300 AS STRING) AS TINYINT)` is 44.
pub(super) fn without_lossless(expr: Expr, to: LogicalType) -> Expr {
    let ExprKind::Cast { input, lenient: false } = &expr.kind else { return expr };
    let (from, through) = (input.data_type.kind, expr.data_type.kind);
    let literal = matches!(input.kind, ExprKind::Literal(_)) && from.is_numeric();
    // An integer that another one holds.
    let digits = |kind: LogicalType| kind.as_decimal().map(|(precision, _)| precision);
    let holds_all = from.is_integer() && digits(from) <= digits(to);
    if literal && through.is_approximate() && to.is_numeric() && (!to.is_integer() || holds_all) {
        return (**input).clone();
    }
    let column = !input.is_constant();
    if column && through.is_text() && width(from).is_some_and(|width| holds(through, width)) && !to.is_text() {
        return (**input).clone();
    }
    expr
}

/// Characters of the longest number of a type, sign and point included.
fn width(kind: LogicalType) -> Option<u32> {
    match kind {
        LogicalType::Float => Some(8),
        LogicalType::Double => Some(16),
        _ => kind
            .as_decimal()
            .map(|(precision, scale)| u32::from(precision) + 1 + if scale > 0 { u32::from(scale) + 1 } else { 0 }),
    }
}

const fn holds(text: LogicalType, width: u32) -> bool {
    match text {
        LogicalType::Char(length) | LogicalType::VarChar(length) => length >= width,
        _ => false,
    }
}

/// Whether a constant is the empty text. As a constant pattern of LIKE it holds for every text: Flink looks for what lies
/// between the wildcards, and there is nothing.
pub(super) fn is_empty_text(pattern: &Expr) -> bool {
    let text =
        |array: ArrayRef| array.as_string_opt::<i32>().is_some_and(|text| text.is_valid(0) && text.value(0).is_empty());
    pattern.data_type.kind.is_text() && pattern.is_constant() && pattern.evaluate(&Input::new(&[], 1)).is_ok_and(text)
}

/// The type that TYPEOF shows: of a CASE, and so of NULLIF, whose conditions the planner decides it is that of the branch.
pub(super) fn simplified_type(expr: &Expr) -> DataType {
    let ExprKind::Case { branches, otherwise } = &expr.kind else { return expr.data_type };
    let mut taken = otherwise.as_ref();
    for (condition, result) in branches.iter().rev() {
        match decided(condition) {
            Some(true) => taken = result,
            Some(false) => {}
            None => return expr.data_type,
        }
    }
    let null = matches!(&taken.kind, ExprKind::Literal(array) if array.is_null(0));
    expr.data_type.with_nullable(null || taken.data_type.nullable)
}

/// Whether a condition of literals holds, as the planner sees it.
fn decided(condition: &Expr) -> Option<bool> {
    fn plain(expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Literal(_) => true,
            ExprKind::Cast { input, .. } => plain(input),
            ExprKind::Compare { left, right, .. } => plain(left) && plain(right),
            _ => false,
        }
    }
    if !plain(condition) {
        return None;
    }
    let found = condition.evaluate(&Input::new(&[], 1)).ok()?;
    Some(found.as_boolean_opt().is_some_and(|found| found.is_valid(0) && found.value(0)))
}

/// Whether both sides of a comparison are the same FLOAT or DOUBLE, of which NaN is not equal to itself.
pub(super) fn same_twice(a: &Expr, b: &Expr) -> bool {
    let steady = |expr: &Expr| expr.is_steady();
    a.data_type.kind.is_approximate() && a.data_type == b.data_type && steady(a) && format!("{a:?}") == format!("{b:?}")
}

/// `x = x` and its like, which the planner decides by whether there is an `x`: TRUE or FALSE, or NULL.
pub(super) fn of_itself(op: CompareOp, x: Expr) -> Expr {
    let holds = matches!(op, CompareOp::Equal | CompareOp::LessOrEqual | CompareOp::GreaterOrEqual);
    let answer = Expr::literal(arrow::array::BooleanArray::from(vec![holds]), LogicalType::Boolean.nullable(false));
    if !x.data_type.nullable {
        return answer;
    }
    let boolean = LogicalType::Boolean.nullable(true);
    let missing = Expr { kind: ExprKind::IsNull(Box::new(x)), data_type: LogicalType::Boolean.nullable(false) };
    let kind =
        ExprKind::Case { branches: vec![(missing, Expr::null(LogicalType::Boolean))], otherwise: Box::new(answer) };
    Expr { kind, data_type: boolean }
}
