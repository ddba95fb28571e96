//! The units of intervals on their way from and to numbers: `CAST(INTERVAL '1' DAY AS INT)` is 1, `CAST(2 AS INTERVAL HOUR)`
//! two hours. A type says only whether an interval counts months or milliseconds, so the unit is that of the text: of the
//! literal, the CAST or the difference that made the interval. A column's is not known any more.
//!
//! Odd, and Flink's: a number that is no literal counts months or milliseconds whatever the unit is; a constant interval is
//! rounded down, another one cut.

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use sqlparser::ast::{
    BinaryOperator, DataType as Written, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value,
};
use sqlparser::tokenizer::Span;

use super::literal::big_literal;
use super::{interval, words};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{ArithmeticOp, Expr, ExprKind, Input};
use crate::types::LogicalType;

/// Units and how many months or milliseconds each has, from the longest on.
const UNITS: &[(&str, i64)] =
    &[("YEAR", 12), ("MONTH", 1), ("DAY", 86_400_000), ("HOUR", 3_600_000), ("MINUTE", 60_000), ("SECOND", 1_000)];

/// From the first to the last unit, as places in [`UNITS`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Units(usize, usize);

impl Units {
    /// `DAY(3) TO SECOND`
    fn read(text: &str) -> Option<Self> {
        let place = |unit: &str| {
            let name = unit.split('(').next().unwrap_or_default().trim();
            UNITS.iter().position(|(known, _)| *known == name)
        };
        let (first, last) = text.split_once(" TO ").unwrap_or((text, text));
        Some(Self(place(first)?, place(last)?))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.max(other.1))
    }

    /// Months or milliseconds of a single unit.
    fn size(self) -> Option<i64> {
        (self.0 == self.1).then(|| UNITS.get(self.0).map(|(_, size)| *size)).flatten()
    }

    fn shown(self) -> String {
        let name = |at: usize| UNITS.get(at).map_or("", |(name, _)| name);
        if self.0 == self.1 { name(self.0).to_owned() } else { format!("{} TO {}", name(self.0), name(self.1)) }
    }
}

/// What a CAST between a number and an interval begins with: the number of units, or of months or milliseconds.
pub(super) fn counted(
    input: Expr,
    (ast, written): (&Ast, &Written),
    (to, lenient): (LogicalType, bool),
    span: Span,
) -> SqlResult<Expr> {
    let from = input.data_type.kind;
    let exact = |kind: LogicalType| kind.is_integer() || matches!(kind, LogicalType::Decimal { .. });
    if from.is_interval() && exact(to) {
        let whole = if from == LogicalType::IntervalMonth { Units(0, 1) } else { Units(2, 5) };
        let units = of(ast).unwrap_or(whole);
        let narrow = matches!(to, LogicalType::TinyInt | LogicalType::SmallInt);
        let literal = matches!(input.kind, ExprKind::Literal(_)) || is_negative_literal(ast);
        if narrow && literal {
            let message = format!("Unsupported cast from '{}' to '{}'.", input.data_type, to.nullable(false));
            return Err(SqlDiagnostic::new(span, message).with_hint("Cast it to INT first."));
        }
        let size = units
            .size()
            .ok_or_else(|| refused(&format!("INTERVAL {}", units.shown()), words::calcite_name(to).as_str(), span))?;
        return if lenient { uncounted(input, to, span) } else { Ok(in_units(input, size)) };
    }
    if exact(from) && to.is_interval() {
        let units = written_units(written);
        let size = units.and_then(Units::size).ok_or_else(|| {
            let shown = units.map_or_else(String::new, Units::shown);
            refused(words::calcite_name(from).as_str(), &format!("INTERVAL {shown}"), span)
        })?;
        return if lenient { uncounted(input, to, span) } else { Ok(of_units(input, size, to)) };
    }
    Ok(input)
}

/// TRY_CAST takes no notice of units, and knows fewer types.
fn uncounted(input: Expr, to: LogicalType, span: Span) -> SqlResult<Expr> {
    let from = input.data_type.kind;
    let decimal = |kind: LogicalType| matches!(kind, LogicalType::Decimal { .. });
    let narrow = decimal(to) || matches!(to, LogicalType::TinyInt | LogicalType::SmallInt);
    if from.is_interval() && narrow || decimal(from) && to.is_interval() {
        let message = format!("Unsupported cast from '{}' to '{to}'.", input.data_type);
        return Err(SqlDiagnostic::new(span, message).with_hint("Write CAST."));
    }
    // A month's number wraps.
    Ok(if from.is_integer() && to == LogicalType::IntervalMonth { input.cast(LogicalType::Int) } else { input })
}

fn refused(from: &str, to: &str, span: Span) -> SqlDiagnostic {
    SqlDiagnostic::new(span, format!("Cast function cannot convert value of type {from} to type {to}")).with_hint(
        "Only an interval of one unit that is written there is a number of it: CAST(INTERVAL '2' DAY AS INT).",
    )
}

/// An interval as a number of its unit.
fn in_units(input: Expr, size: i64) -> Expr {
    let months = input.data_type.kind == LogicalType::IntervalMonth;
    let base = if months { LogicalType::Int } else { LogicalType::BigInt };
    if input.is_constant()
        && let Ok(array) = input.evaluate(&Input::new(&[], 1))
        && array.is_valid(0)
    {
        let count = match months {
            true => i64::from(array.as_primitive::<Int32Type>().value(0)),
            false => array.as_primitive::<Int64Type>().value(0),
        };
        return big_literal(count.div_euclid(size));
    }
    let data_type = base.nullable(input.data_type.nullable);
    let kind = ExprKind::Cast { input: Box::new(input), lenient: false };
    let raw = Expr { kind, data_type };
    if size == 1 {
        return raw;
    }
    let (left, right) = (Box::new(raw), Box::new(big_literal(size).cast(base)));
    Expr { kind: ExprKind::Arithmetic { op: ArithmeticOp::Divide, left, right }, data_type }
}

/// A number as what an interval counts.
fn of_units(input: Expr, size: i64, to: LogicalType) -> Expr {
    let base = if to == LogicalType::IntervalMonth { LogicalType::Int } else { LogicalType::BigInt };
    let Some((precision, scale)) = input.data_type.kind.as_decimal() else { return input };
    if !matches!(input.kind, ExprKind::Literal(_)) {
        return input.cast(base);
    }
    let decimal = LogicalType::Decimal { precision, scale };
    match input.clone().cast(decimal).evaluate(&Input::new(&[], 1)) {
        Ok(array) if array.is_valid(0) => {
            let value = array.as_primitive::<Decimal128Type>().value(0);
            let count = value.wrapping_mul(i128::from(size)) / 10_i128.pow(u32::from(scale));
            // Java's conversions wrap.
            #[allow(clippy::cast_possible_truncation)]
            let count = count as i64;
            #[allow(clippy::cast_possible_truncation)]
            let count = if base == LogicalType::Int { i64::from(count as i32) } else { count };
            interval::of_size(to, count)
        }
        _ => input.cast(base),
    }
}

/// `INTERVAL -'1' DAY`, which the parser gives as a minus before a literal.
fn is_negative_literal(ast: &Ast) -> bool {
    matches!(ast, Ast::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(expr.as_ref(), Ast::Function(_)))
}

/// The units of the type that a CAST names.
fn written_units(written: &Written) -> Option<Units> {
    let Written::Custom(name, _) = written else { return None };
    Units::read(name.to_string().trim_matches('`').strip_prefix("INTERVAL ")?)
}

/// The units of an interval, as it is written.
fn of(ast: &Ast) -> Option<Units> {
    match ast {
        Ast::Nested(inner) | Ast::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => of(inner),
        Ast::Cast { data_type, .. } => written_units(data_type),
        Ast::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
            Some(of(left)?.and(of(right)?))
        }
        Ast::BinaryOp { left, op: BinaryOperator::Multiply, right } => of(left).or_else(|| of(right)),
        Ast::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            let units: Option<Vec<Units>> = results.map(of).collect();
            units?.into_iter().reduce(Units::and)
        }
        Ast::Function(function) => made(function),
        _ => None,
    }
}

/// The units of a literal or of a difference, which the parser gives as calls.
fn made(function: &Function) -> Option<Units> {
    let name = function.name.to_string();
    let FunctionArguments::List(list) = &function.args else { return None };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Value(units)))] = list.args.as_slice() else { return None };
    match &units.value {
        Value::SingleQuotedString(text) if matches!(name.as_str(), "$INTERVAL" | "$DIFFERENCE") => Units::read(text),
        _ => None,
    }
}
