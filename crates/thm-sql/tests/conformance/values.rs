//! Values as the recordings show them, and their comparison.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type};
use serde_json::{Map, Value};
use thm_sql::expr::text;
use thm_sql::planner::bounded::Answer;
use thm_sql::types::{DataType, LogicalType};

use crate::outcome::Outcome;

/// Same types and, in any order, same rows.
pub fn compare(case: &Value, found: &Answer) -> Outcome {
    let types: Vec<String> = found.schema.iter().map(|(_, data_type)| data_type.to_string()).collect();
    let wanted: Vec<&str> = case["schema"]
        .as_array()
        .map(|all| all.iter().filter_map(|pair| pair[1].as_str()).collect())
        .unwrap_or_default();
    if types != wanted && !wanted.is_empty() {
        return Outcome::Failed(format!("types {types:?}, Flink {wanted:?}"));
    }
    let mut wanted: Vec<Vec<Value>> = case["rows"]
        .as_array()
        .map(|all| all.iter().filter_map(|row| row.as_array().cloned()).collect())
        .unwrap_or_default();
    if case["rowkind"] == true {
        // What only inserts has the kind +I in front of every row.
        for row in &mut wanted {
            if row.first().and_then(Value::as_str) != Some("+I") {
                return Outcome::Failed("a changelog that we do not make".to_owned());
            }
            row.remove(0);
        }
    }
    let upper = case["sql"].as_str().unwrap_or_default().to_ascii_uppercase();
    let approximate = LAST_DIGIT.iter().any(|name| upper.contains(name));
    let mut near = false;
    for row in rows(found) {
        let same = |other: &Vec<Value>| same_row(&row, other, &found.schema);
        let close =
            |other: &Vec<Value>| approximate && row.iter().zip(other).all(|(a, b)| a == b || within_an_ulp(a, b));
        let found = wanted.iter().position(same).or_else(|| {
            near = true;
            wanted.iter().position(close)
        });
        let Some(at) = found else {
            return Outcome::Failed(format!("gives {row:?}, Flink {wanted:?}"));
        };
        wanted.remove(at);
    }
    match wanted.is_empty() {
        true if near => {
            Outcome::Deviates("the last digit is the C library's, as Java's differs from machine to machine")
        }
        true => Outcome::Passed,
        false => Outcome::Failed(format!("lacks {wanted:?}")),
    }
}

/// Functions that Java may compute by instructions of the machine, to one unit of the last place.
const LAST_DIGIT: &[&str] = &["SIN(", "COS(", "TAN(", "COT(", "LOG10(", "LOG2(", "LOG(", "LN(", "EXP(", "POWER("];

fn within_an_ulp(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return false };
    (a - b).abs() <= a.abs() * f64::EPSILON
}

/// All rows as the recordings show them.
pub fn rows(found: &Answer) -> Vec<Vec<Value>> {
    let value = |row: usize| {
        let columns = found.schema.iter().zip(&found.columns);
        columns.map(|((_, data_type), column)| shown(column, row, data_type.kind)).collect()
    };
    (0..found.rows).map(value).collect()
}

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
        LogicalType::IntervalMonth => match column.as_primitive::<Int32Type>().value(row) {
            0 => "P0D".into(),
            months => format!("P{months}M").into(),
        },
        LogicalType::IntervalSecond => duration(column.as_primitive::<Int64Type>().value(row)).into(),
        LogicalType::Array(of) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| shown(&items, item, of.kind)).collect()
        }
        LogicalType::Map(_) | LogicalType::Multiset(_) => entries(column, row, kind),
        LogicalType::Row(fields) => {
            let columns = column.as_struct().columns();
            fields.iter().zip(columns).map(|(field, column)| shown(column, row, field.data_type.kind)).collect()
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

fn entries(column: &ArrayRef, row: usize, kind: LogicalType) -> Value {
    let Some(entry) = kind.entry() else { return Value::Null };
    let items = column.as_list::<i32>().value(row);
    let items = items.as_struct();
    let mut out = Map::new();
    for item in 0..items.len() {
        let key = match shown(items.column(0), item, entry.key.kind) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        out.insert(key, shown(items.column(1), item, entry.value.kind));
    }
    Value::Object(out)
}

/// Java's `Duration.toString`.
fn duration(millis: i64) -> String {
    let seconds = millis / 1_000;
    let (hours, minutes, seconds, millis) = (seconds / 3_600, seconds / 60 % 60, seconds % 60, millis % 1_000);
    let mut out = "PT".to_owned();
    if hours != 0 {
        out.push_str(&format!("{hours}H"));
    }
    if minutes != 0 {
        out.push_str(&format!("{minutes}M"));
    }
    if millis != 0 {
        let sign = if seconds == 0 && millis < 0 { "-" } else { "" };
        let fraction = format!("{:03}", millis.abs());
        out.push_str(&format!("{sign}{seconds}.{}S", fraction.trim_end_matches('0')));
    } else if seconds != 0 || out == "PT" {
        out.push_str(&format!("{seconds}S"));
    }
    out
}

pub fn same_row(row: &[Value], other: &[Value], schema: &[(String, DataType)]) -> bool {
    row.len() == other.len()
        && row.iter().zip(other).zip(schema).all(|((a, b), (_, data_type))| same(a, b, data_type.kind))
}

fn same(a: &Value, b: &Value, kind: LogicalType) -> bool {
    match (a.as_f64(), b.as_f64(), kind) {
        (Some(a), Some(b), LogicalType::Float) => a as f32 == b as f32,
        (Some(a), Some(b), LogicalType::Double) => a == b,
        _ => a == b,
    }
}
