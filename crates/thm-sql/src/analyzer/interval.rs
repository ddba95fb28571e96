//! Intervals and units of time: literals, arithmetic of times and intervals, EXTRACT, FLOOR and CEIL to a unit.

use arrow::array::{Array, AsArray, Int32Array, Int64Array};
use sqlparser::ast::{
    BinaryOperator, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value,
};
use sqlparser::tokenizer::Span;

use super::compare::compare;
use super::expr::Typer;
use super::literal::text_literal;
use super::words::cannot_apply;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{ArithmeticOp, CompareOp, Expr, ExprKind};
use crate::functions;
use crate::types::{DataType, LogicalType, coerce};

/// Functions that are EXTRACT by another name.
pub(super) fn unit_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "YEAR" => "YEAR",
        "QUARTER" => "QUARTER",
        "MONTH" => "MONTH",
        "WEEK" => "WEEK",
        "DAYOFYEAR" => "DOY",
        "DAYOFMONTH" => "DAY",
        "DAYOFWEEK" => "DOW",
        "HOUR" => "HOUR",
        "MINUTE" => "MINUTE",
        "SECOND" => "SECOND",
        _ => return None,
    })
}

fn call(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Expr {
    let function = functions::find(name).expect("the library has it under this name");
    Expr { kind: ExprKind::Call { function, arguments }, data_type }
}

/// The value of a constant text.
fn constant_text(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Literal(array) if expr.data_type.kind.is_text() && array.is_valid(0) => {
            Some(array.as_string::<i32>().value(0).to_owned())
        }
        _ => None,
    }
}

/// `0` of an interval type.
pub(super) fn zero(kind: LogicalType) -> Expr {
    of_size(kind, 0)
}

pub(super) fn of_size(kind: LogicalType, size: i64) -> Expr {
    match kind {
        LogicalType::IntervalMonth => {
            Expr::literal(Int32Array::from(vec![i32::try_from(size).ok()]), kind.nullable(false))
        }
        _ => Expr::literal(Int64Array::from(vec![size]), LogicalType::IntervalSecond.nullable(false)),
    }
}

/// `INTERVAL 'text' UNITS`; both stand in the arguments.
pub(super) fn literal(arguments: &[Expr], span: Span) -> SqlResult<Expr> {
    let (Some(text), Some(units)) = (constant_text(&arguments[0]), constant_text(&arguments[1])) else {
        return Err(SqlDiagnostic::new(span, "an interval needs a text in single quotes"));
    };
    let (first, last) = units.split_once(" TO ").unwrap_or((&units, &units));
    let plain = |unit: &str| unit.split('(').next().unwrap_or_default().to_owned();
    let digits = leading_precision(first, span)?;
    let (first, last) = (plain(first), plain(last));
    let wrong = || {
        SqlDiagnostic::new(span, format!("Illegal interval literal format '{text}' for INTERVAL {units}")).with_hint(
            "Write INTERVAL '1' DAY, INTERVAL '1 02:03:04.5' DAY TO SECOND, or INTERVAL '1-2' YEAR TO MONTH.",
        )
    };
    const ORDER: [&str; 4] = ["DAY", "HOUR", "MINUTE", "SECOND"];
    let unsigned = text.trim();
    let (sign, body) = match unsigned.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, unsigned.strip_prefix('+').unwrap_or(unsigned)),
    };
    let number = |part: &str| -> SqlResult<i64> {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        part.parse().map_err(|_| wrong())
    };
    let within = |value: i64, unit: &str| -> SqlResult<i64> {
        if value.to_string().len() <= digits {
            return Ok(value);
        }
        let message = format!("Interval field value {value} exceeds precision of {unit}({digits}) field");
        Err(SqlDiagnostic::new(span, message)
            .with_hint(format!("Write {unit}({}) for longer values.", value.to_string().len())))
    };
    if matches!(first.as_str(), "YEAR" | "MONTH") {
        let months = match (first.as_str(), last.as_str()) {
            ("YEAR", "YEAR") => within(number(body)?, "YEAR")? * 12,
            ("MONTH", "MONTH") => within(number(body)?, "MONTH")?,
            ("YEAR", "MONTH") => {
                let (years, months) = body.split_once('-').ok_or_else(wrong)?;
                let months = number(months)?;
                if months > 11 {
                    return Err(wrong());
                }
                within(number(years)?, "YEAR")? * 12 + months
            }
            _ => return Err(wrong()),
        };
        return Ok(of_size(LogicalType::IntervalMonth, sign * months));
    }
    let (Some(from), Some(to)) =
        (ORDER.iter().position(|unit| *unit == first), ORDER.iter().position(|unit| *unit == last))
    else {
        return Err(wrong());
    };
    let (body, fraction) = if last == "SECOND" { body.split_once('.').unwrap_or((body, "")) } else { (body, "") };
    let parts: Vec<&str> = body.split([' ', ':']).collect();
    if from > to || parts.len() != to - from + 1 {
        return Err(wrong());
    }
    const MILLIS: [i64; 4] = [86_400_000, 3_600_000, 60_000, 1_000];
    const LIMITS: [i64; 4] = [i64::MAX, 24, 60, 60];
    let mut sum = 0_i64;
    for (position, part) in parts.iter().enumerate() {
        let value = number(part)?;
        if position == 0 {
            within(value, &first)?;
        } else if value >= LIMITS[from + position] {
            return Err(wrong());
        }
        sum += value * MILLIS[from + position];
    }
    if !fraction.is_empty() {
        sum += number(&format!("{fraction:0<3}")[..3])?;
    }
    Ok(of_size(LogicalType::IntervalSecond, sign * sum))
}

/// Digits that the leading field may have: two unless written.
fn leading_precision(unit: &str, span: Span) -> SqlResult<usize> {
    let Some((name, rest)) = unit.split_once('(') else { return Ok(2) };
    let digits = rest.trim_end_matches(')').split(',').next().unwrap_or_default().trim();
    let digits: usize = digits.parse().map_err(|_| SqlDiagnostic::new(span, format!("'{unit}' has no precision")))?;
    let (family, most) =
        if matches!(name, "YEAR" | "MONTH") { ("YEAR_INTERVAL_TYPES", 4) } else { ("DAY_INTERVAL_TYPES", 3) };
    if digits == 0 || digits > most {
        return Err(SqlDiagnostic::new(span, format!("{family} precision is not supported: {digits}")));
    }
    Ok(digits)
}

/// Time plus or minus interval, intervals among themselves, interval times number.
pub(super) fn arithmetic(op: ArithmeticOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let (ka, kb) = (a.data_type.kind, b.data_type.kind);
    let nullable = a.data_type.nullable || b.data_type.nullable;
    let wrong = cannot_apply(op.sign(), &[&a, &b], span);
    let pair = |kind: LogicalType, a: Expr, b: Expr| {
        let kind_of = ExprKind::Arithmetic { op, left: Box::new(a), right: Box::new(b) };
        Ok(Expr { kind: kind_of, data_type: kind.nullable(nullable) })
    };
    match op {
        ArithmeticOp::Add | ArithmeticOp::Subtract if ka.is_interval() && ka == kb => pair(ka, a, b),
        ArithmeticOp::Add if ka.is_interval() && matches!(kb, LogicalType::TimestampLtz(_)) => {
            Err(SqlDiagnostic::new(span, "Unsupported temporal arithmetic.").with_hint("Write time + interval."))
        }
        ArithmeticOp::Add if ka.is_interval() && is_time(kb) => plus(b, a),
        ArithmeticOp::Add if is_time(ka) => plus(a, b),
        ArithmeticOp::Subtract if is_time(ka) => {
            let kind = ExprKind::Arithmetic { op, left: Box::new(zero(kb)), right: Box::new(b) };
            plus(a, Expr { kind, data_type: kb.nullable(nullable) })
        }
        ArithmeticOp::Multiply if [ka, kb].iter().any(|kind| kind.is_numeric() && !kind.is_integer()) => {
            let (number, to) = if ka.is_numeric() { (ka, kb) } else { (kb, ka) };
            Err(SqlDiagnostic::new(span, format!("Unsupported casting from {number} to {to}."))
                .with_hint("Multiply an interval by an integer."))
        }
        ArithmeticOp::Multiply if kb.is_numeric() => {
            let b = b.cast(if ka == LogicalType::IntervalMonth { LogicalType::Int } else { LogicalType::BigInt });
            pair(ka, a, b)
        }
        ArithmeticOp::Multiply if ka.is_numeric() => {
            let a = a.cast(if kb == LogicalType::IntervalMonth { LogicalType::Int } else { LogicalType::BigInt });
            pair(kb, a, b)
        }
        _ => Err(wrong),
    }
}

pub(super) const fn is_time(kind: LogicalType) -> bool {
    kind.is_timestamp() || matches!(kind, LogicalType::Date | LogicalType::Time(_))
}

/// A DATE stays one, whatever the interval: parts of days are cut.
fn plus(time: Expr, interval: Expr) -> SqlResult<Expr> {
    let data_type = time.data_type.kind.nullable(time.data_type.nullable || interval.data_type.nullable);
    Ok(call("PLUS INTERVAL", vec![time, interval], data_type))
}

/// `TIMESTAMPADD(UNIT, count, time)`
pub(super) fn add_units(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let [unit, count, time] = <[Expr; 3]>::try_from(arguments).expect("the caller has counted three arguments");
    let unit = constant_text(&unit).unwrap_or_default();
    if !count.data_type.kind.is_integer() || !is_time(time.data_type.kind) {
        return Err(
            cannot_apply("TIMESTAMPADD", &[&count, &time], span).with_hint("Write TIMESTAMPADD(UNIT, integer, time).")
        );
    }
    let (kind, size) = match unit.as_str() {
        "YEAR" => (LogicalType::IntervalMonth, 12),
        "QUARTER" => (LogicalType::IntervalMonth, 3),
        "MONTH" => (LogicalType::IntervalMonth, 1),
        "WEEK" => (LogicalType::IntervalSecond, 7 * 86_400_000),
        "DAY" => (LogicalType::IntervalSecond, 86_400_000),
        "HOUR" => (LogicalType::IntervalSecond, 3_600_000),
        "MINUTE" => (LogicalType::IntervalSecond, 60_000),
        _ => (LogicalType::IntervalSecond, 1_000),
    };
    let nullable = count.data_type.nullable || time.data_type.nullable;
    let interval = arithmetic(ArithmeticOp::Multiply, of_size(kind, size), count, span)?;
    let result = match time.data_type.kind {
        LogicalType::Date if size % 86_400_000 != 0 && kind == LogicalType::IntervalSecond => LogicalType::Timestamp(6),
        other => other,
    };
    Ok(call("PLUS INTERVAL", vec![time, interval], result.nullable(nullable)))
}

/// `TIMESTAMPDIFF(UNIT, earlier, later)`
pub(super) fn difference(arguments: Vec<Expr>, span: Span) -> SqlResult<Expr> {
    let fits = arguments[1..].iter().all(|argument| is_time(argument.data_type.kind));
    if !fits {
        return Err(cannot_apply("TIMESTAMPDIFF", &[&arguments[1], &arguments[2]], span)
            .with_hint("Write TIMESTAMPDIFF(UNIT, earlier, later) of times."));
    }
    same_family(&arguments[1], &arguments[2], span)?;
    let nullable = arguments.iter().any(|argument| argument.data_type.nullable);
    let nanos = constant_text(&arguments[0]).is_some_and(|unit| unit == "NANOSECOND");
    let (name, kind) = match nanos {
        true => ("TIMESTAMPDIFF NANOSECOND", LogicalType::BigInt),
        false => ("TIMESTAMPDIFF", LogicalType::Int),
    };
    Ok(call(name, arguments, kind.nullable(nullable)))
}

/// A TIMESTAMP_LTZ is not subtracted from what has no zone.
fn same_family(a: &Expr, b: &Expr, span: Span) -> SqlResult<()> {
    let zoned = |value: &Expr| matches!(value.data_type.kind, LogicalType::TimestampLtz(_));
    if zoned(a) == zoned(b) {
        return Ok(());
    }
    Err(SqlDiagnostic::new(span, "TIMESTAMP_LTZ only supports diff between the same type.")
        .with_hint("Cast one side to the type of the other."))
}

/// `EXTRACT(UNIT FROM value)`
pub(super) fn extract(unit: &str, value: Expr, span: Span) -> SqlResult<Expr> {
    let unit = unit.trim_matches(['"', '`']);
    const DATES: &[&str] = &[
        "YEAR",
        "QUARTER",
        "MONTH",
        "WEEK",
        "DAY",
        "DOY",
        "DOW",
        "ISODOW",
        "ISOYEAR",
        "DECADE",
        "CENTURY",
        "MILLENNIUM",
        "EPOCH",
    ];
    const TIMES: &[&str] = &["HOUR", "MINUTE", "SECOND", "MILLISECOND"];
    const PARTS: &[&str] = &["MICROSECOND", "NANOSECOND"];
    let kind = value.data_type.kind;
    let known = DATES.contains(&unit) || TIMES.contains(&unit) || PARTS.contains(&unit);
    let fits = match kind {
        LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => known,
        LogicalType::Date => DATES.contains(&unit) || TIMES.contains(&unit),
        LogicalType::Time(_) => TIMES.contains(&unit),
        LogicalType::IntervalMonth => {
            matches!(unit, "YEAR" | "QUARTER" | "MONTH" | "DECADE" | "CENTURY" | "MILLENNIUM")
        }
        LogicalType::IntervalSecond => unit == "DAY" || unit == "EPOCH" || TIMES.contains(&unit),
        _ => false,
    };
    if !fits {
        let message = match kind {
            LogicalType::Time(_) if DATES.contains(&unit) => format!("unit {unit} can not be applied to time variable"),
            _ if known && is_time(kind) => format!("unit {unit} can not be applied to {} variable", value.data_type),
            _ => format!("Cannot apply 'EXTRACT' to arguments of type 'EXTRACT({unit} FROM <{kind}>)'"),
        };
        return Err(SqlDiagnostic::new(span, message).with_hint("Take a unit that the value has."));
    }
    let nullable = value.data_type.nullable;
    Ok(call("EXTRACT", vec![text_literal(unit), value], LogicalType::BigInt.nullable(nullable)))
}

/// `FLOOR(time TO UNIT)` and `CEIL`.
pub(super) fn to_unit(name: &str, unit: &str, value: Expr, span: Span) -> SqlResult<Expr> {
    const UNITS: &[&str] = &[
        "MILLISECOND",
        "SECOND",
        "MINUTE",
        "HOUR",
        "DAY",
        "WEEK",
        "MONTH",
        "QUARTER",
        "YEAR",
        "DECADE",
        "CENTURY",
        "MILLENNIUM",
    ];
    let data_type = value.data_type;
    if !is_time(data_type.kind) || !UNITS.contains(&unit) {
        let shown = name.trim_end_matches(" TO");
        return Err(cannot_apply(shown, &[&value], span).with_hint(format!("Write {shown}(time TO HOUR).")));
    }
    Ok(call(name, vec![text_literal(unit), value], data_type))
}

/// `(later - earlier) UNITS`
pub(super) fn qualified(typer: &mut Typer<'_>, ast: &Function, span: Span) -> SqlResult<Expr> {
    let misplaced = || {
        SqlDiagnostic::new(span, "an interval's units must stand behind a difference of times")
            .with_hint("Write (later - earlier) DAY.")
    };
    let FunctionArguments::List(list) = &ast.args else { return Err(misplaced()) };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(difference)), FunctionArg::Unnamed(FunctionArgExpr::Expr(units))] =
        list.args.as_slice()
    else {
        return Err(misplaced());
    };
    let mut inner = difference;
    while let Ast::Nested(nested) = inner {
        inner = nested;
    }
    let Ast::BinaryOp { left, op: BinaryOperator::Minus, right } = inner else { return Err(misplaced()) };
    let Ast::Value(value) = units else { return Err(misplaced()) };
    let Value::SingleQuotedString(units) = &value.value else { return Err(misplaced()) };
    let (a, b) = (typer.value(left)?, typer.value(right)?);
    if !is_time(a.data_type.kind) || !is_time(b.data_type.kind) {
        return Err(cannot_apply("-", &[&a, &b], inner.span()));
    }
    same_family(&a, &b, inner.span())?;
    let nullable = a.data_type.nullable || b.data_type.nullable;
    let (name, kind) = if units.starts_with("YEAR") || units.starts_with("MONTH") {
        ("MINUS TIMES MONTH", LogicalType::IntervalMonth)
    } else {
        ("MINUS TIMES", LogicalType::IntervalSecond)
    };
    Ok(call(name, vec![a, b], kind.nullable(nullable)))
}

/// `(start, end or length) OVERLAPS (start, end or length)`
pub(super) fn overlaps(typer: &mut Typer<'_>, left: &Ast, right: &Ast, span: Span) -> SqlResult<Expr> {
    let mut period = |ast: &Ast| -> SqlResult<(Expr, Expr)> {
        let Ast::Tuple(ends) = ast else {
            return Err(SqlDiagnostic::new(ast.span(), "OVERLAPS compares two periods")
                .with_hint("Write (start, end) OVERLAPS (start, end)."));
        };
        let [start, end] = ends.as_slice() else {
            return Err(SqlDiagnostic::new(ast.span(), "a period has two ends"));
        };
        let start = typer.value(start)?;
        let end = typer.value(end)?;
        let end = if end.data_type.kind.is_interval() { plus(start.clone(), end)? } else { end };
        let types = [start.data_type, end.data_type];
        let common = coerce::common_type(&types).map_or(LogicalType::Timestamp(6), |common| common.kind);
        Ok((start.cast(common), end.cast(common)))
    };
    let ((a, b), (c, d)) = (period(left)?, period(right)?);
    // Each begins before the other ends, whichever way round its ends are given.
    let least = |x: &Expr, y: &Expr| super::call::bind("LEAST", vec![x.clone(), y.clone()], span);
    let most = |x: &Expr, y: &Expr| super::call::bind("GREATEST", vec![x.clone(), y.clone()], span);
    let first = compare(CompareOp::GreaterOrEqual, most(&a, &b)?, least(&c, &d)?, span)?;
    let second = compare(CompareOp::GreaterOrEqual, most(&c, &d)?, least(&a, &b)?, span)?;
    let nullable = first.data_type.nullable || second.data_type.nullable;
    let kind = ExprKind::And(Box::new(first), Box::new(second));
    Ok(Expr { kind, data_type: LogicalType::Boolean.nullable(nullable) })
}

/// Months of a constant interval, for tests.
#[cfg(test)]
fn months(expr: &Expr) -> Option<i32> {
    match &expr.kind {
        ExprKind::Literal(array) => array.as_primitive_opt::<arrow::datatypes::Int32Type>().map(|array| array.value(0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, units: &str) -> SqlResult<Expr> {
        literal(&[text_literal(text), text_literal(units)], Span::empty())
    }

    fn millis(text: &str, units: &str) -> Option<i64> {
        match read(text, units).ok()?.kind {
            ExprKind::Literal(array) => {
                array.as_primitive_opt::<arrow::datatypes::Int64Type>().map(|array| array.value(0))
            }
            _ => None,
        }
    }

    #[test]
    fn intervals_have_sql_forms() {
        assert_eq!(months(&read("1-1", "YEAR TO MONTH").unwrap()), Some(13));
        assert_eq!(millis("3 04:05:06.7", "DAY TO SECOND"), Some(273_906_700));
        assert_eq!(millis("0.5", "SECOND"), Some(500));
        assert_eq!(millis("-1", "DAY"), Some(-86_400_000));
        let error = read("100", "DAY").unwrap_err();
        assert_eq!(error.message(), "Interval field value 100 exceeds precision of DAY(2) field");
        assert!(read("1:60", "HOUR TO MINUTE").is_err());
    }
}
