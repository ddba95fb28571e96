//! Constants: which type a literal has in Flink, and its value.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::TimeUnit;
use sqlparser::ast::{DataType as Written, TypedString, Value};
use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::types::time::{self, Moment, Width};
use crate::types::{LogicalType, decimal, unit_for};

/// A literal; `negative` for one behind a minus sign, which belongs to the number.
pub fn literal(value: &Value, negative: bool, span: Span) -> SqlResult<Expr> {
    match value {
        Value::Number(text, _) => number(text, negative, span),
        Value::SingleQuotedString(text) | Value::UnicodeStringLiteral(text) => Ok(text_literal(text)),
        Value::Boolean(value) => {
            Ok(Expr::literal(BooleanArray::from(vec![*value]), LogicalType::Boolean.nullable(false)))
        }
        Value::Null => Ok(Expr::null(LogicalType::Null)),
        Value::HexStringLiteral(digits) => bytes(digits, span),
        other => Err(SqlDiagnostic::new(span, format!("literal {other} is not supported"))
            .with_hint("Write texts in single quotes, names in backticks.")),
    }
}

/// A text: CHAR of its length, in which a character beyond the basic plane counts twice.
#[must_use]
pub fn text_literal(text: &str) -> Expr {
    let length = u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX);
    Expr::literal(StringArray::from(vec![text]), LogicalType::Char(length).nullable(false))
}

/// An INT.
#[must_use]
pub fn int_literal(value: i32) -> Expr {
    Expr::literal(Int32Array::from(vec![value]), LogicalType::Int.nullable(false))
}

/// A BIGINT.
#[must_use]
pub fn big_literal(value: i64) -> Expr {
    Expr::literal(Int64Array::from(vec![value]), LogicalType::BigInt.nullable(false))
}

fn number(text: &str, negative: bool, span: Span) -> SqlResult<Expr> {
    let signed = if negative { format!("-{text}") } else { text.to_owned() };
    let out_of_range = || SqlDiagnostic::new(span, format!("Numeric literal '{}' out of range", text.to_uppercase()));
    if text.contains(['e', 'E']) {
        let value: f64 = signed.parse().map_err(|_| out_of_range())?;
        if value.is_infinite() {
            return Err(out_of_range());
        }
        // Flink's literals have no negative zero.
        let value = if value == 0.0 { 0.0 } else { value };
        return Ok(Expr::literal(Float64Array::from(vec![value]), LogicalType::Double.nullable(false)));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.is_empty() {
        let whole = signed.trim_end_matches('.');
        if let Ok(value) = whole.parse::<i32>() {
            return Ok(int_literal(value));
        }
        if let Ok(value) = whole.parse::<i64>() {
            return Ok(big_literal(value));
        }
        if !text.contains('.') {
            return Err(out_of_range().with_hint("Write it with a decimal point, or CAST a text to DECIMAL."));
        }
    }
    let precision = u8::try_from(whole.len() + fraction.len()).ok().filter(|p| (1..=38).contains(p));
    let precision = precision.ok_or_else(out_of_range)?;
    let scale = u8::try_from(fraction.len()).map_err(|_| out_of_range())?;
    let value = decimal::parse(&signed, precision, scale).ok_or_else(out_of_range)?;
    let kind = LogicalType::Decimal { precision, scale };
    let array = Decimal128Array::from(vec![value]).with_data_type(kind.to_arrow());
    Ok(Expr::literal(array, kind.nullable(false)))
}

fn bytes(digits: &str, span: Span) -> SqlResult<Expr> {
    let bytes = hex::decode(digits).map_err(|_| {
        SqlDiagnostic::new(span, format!("x'{digits}' is not a binary literal"))
            .with_hint("Write an even number of hexadecimal digits.")
    })?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Ok(Expr::literal(BinaryArray::from(vec![bytes.as_slice()]), LogicalType::Binary(length).nullable(false)))
}

/// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`.
pub fn typed(written: &TypedString, span: Span) -> SqlResult<Expr> {
    let Value::SingleQuotedString(text) = &written.value.value else {
        return Err(SqlDiagnostic::new(span, "a date or time literal needs a text in single quotes"));
    };
    let bad = |pattern: &str| {
        SqlDiagnostic::new(span, format!("Illegal {} literal '{text}': not in format '{pattern}'", written.data_type))
    };
    match &written.data_type {
        Written::Date => {
            let full = text.matches('-').count() == 2 && !text.contains([' ', 'T']);
            let days = time::parse_date(text).filter(|_| full).ok_or_else(|| bad("yyyy-MM-dd"))?;
            Ok(Expr::literal(Date32Array::from(vec![days]), LogicalType::Date.nullable(false)))
        }
        Written::Time(..) => {
            // Digits beyond nanoseconds are cut.
            let end = text.find('.').map_or(text.len(), |point| text.len().min(point + 10));
            let text = text.get(..end).unwrap_or(text);
            let millis = time::parse_time(text).filter(|_| text.matches(':').count() == 2);
            let millis = millis.ok_or_else(|| bad("HH:mm:ss"))?;
            // Flink's TIME shows no fraction, but a TIMESTAMP that is made of it does.
            Ok(Expr::literal(Time32MillisecondArray::from(vec![millis]), LogicalType::Time(0).nullable(false)))
        }
        Written::Timestamp(..) => {
            // Digits beyond nanoseconds are cut; a date alone is its midnight.
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let fraction = &fraction[..fraction.char_indices().nth(9).map_or(fraction.len(), |(at, _)| at)];
            let cut = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
            let date = || {
                time::parse_date(&cut)
                    .filter(|_| cut.len() >= 8 && !cut.contains([' ', 'T', ':']))
                    .map(Moment::midnight)
            };
            let moment = time::parse_timestamp(&cut, b" ", Width::Any).or_else(date);
            let moment = moment.ok_or_else(|| bad("yyyy-MM-dd HH:mm:ss"))?;
            let fraction = fraction.len();
            let precision = u8::try_from(fraction).unwrap_or(9).min(9);
            timestamp(moment, precision).ok_or_else(|| bad("yyyy-MM-dd HH:mm:ss"))
        }
        other => Err(SqlDiagnostic::new(span, format!("literal of type {other} is not supported"))),
    }
}

fn timestamp(moment: Moment, precision: u8) -> Option<Expr> {
    let unit = unit_for(precision);
    let value = vec![moment.to(precision, unit)?];
    let array: ArrayRef = match unit {
        TimeUnit::Microsecond => std::sync::Arc::new(TimestampMicrosecondArray::from(value)),
        TimeUnit::Nanosecond => std::sync::Arc::new(TimestampNanosecondArray::from(value)),
        _ => std::sync::Arc::new(TimestampMillisecondArray::from(value)),
    };
    Some(Expr { kind: ExprKind::Literal(array), data_type: LogicalType::Timestamp(precision).nullable(false) })
}
