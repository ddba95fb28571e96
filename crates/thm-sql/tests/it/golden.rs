//! Values as the recordings show them: what the format goldens compare.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type};
use serde_json::Value;
use thm_sql::expr::text;
use thm_sql::types::LogicalType;

/// A value as the recording shows it.
pub fn shown(column: &ArrayRef, row: usize, kind: LogicalType) -> Value {
    if text::is_null(column, row, kind) {
        return Value::Null;
    }
    let number = |value: f64| match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None => if value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
    };
    match kind {
        LogicalType::Boolean => column.as_boolean().value(row).into(),
        LogicalType::Float => number(f64::from(column.as_primitive::<Float32Type>().value(row))),
        LogicalType::Double => number(column.as_primitive::<Float64Type>().value(row)),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            format!("0x{}", hex::encode(column.as_binary::<i32>().value(row))).into()
        }
        _ if kind.is_integer() => text::integer(column, row, kind).into(),
        _ => {
            let mut out = String::new();
            text::write(&mut out, column, row, kind);
            if matches!(kind, LogicalType::TimestampLtz(_)) {
                out.push('Z');
            }
            out.into()
        }
    }
}

pub fn same_row(row: &[Value], other: &[Value], kinds: impl Iterator<Item = LogicalType>) -> bool {
    row.len() == other.len()
        && row.iter().zip(other).zip(kinds).all(|((a, b), kind)| match (a.as_f64(), b.as_f64(), kind) {
            (Some(a), Some(b), LogicalType::Float) => a as f32 == b as f32,
            (Some(a), Some(b), LogicalType::Double) => a == b,
            _ => a == b,
        })
}
