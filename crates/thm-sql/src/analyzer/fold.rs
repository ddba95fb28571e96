//! Constants that Flink computes when planning, and casts that its planner leaves out: both change results.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type};
use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{ArithmeticOp, CompareOp, Expr, ExprKind, Input};
use crate::types::LogicalType;

/// A whole expression of constant numbers, computed. What fails stays: its row may never be wanted.
pub(super) fn folded(expr: Expr, span: Span) -> SqlResult<Expr> {
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
    let text = expr.evaluate(&Input::new(&[], 1)).ok().filter(|array| array.is_valid(0)).map(|array| {
        let mut out = String::new();
        crate::expr::text::write(&mut out, &array, 0, expr.data_type.kind);
        out
    });
    text.and_then(|text| text.parse::<f64>().ok()) == Some(0.0)
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
    if literal && through.is_approximate() && to.is_numeric() && !to.is_integer() {
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
