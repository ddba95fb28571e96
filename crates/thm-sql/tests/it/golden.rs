//! What the real Flink 1.20 answered, statement by statement: same types, same values, or an error where it had one.
//!
//! A statement that asks for what we lack must be refused with a message and a hint; any other difference fails.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type};
use serde_json::Value;
use thm_sql::expr::text;
use thm_sql::planner::bounded::{Answer, BoundedError, answer};
use thm_sql::types::LogicalType;

/// What became of a statement.
enum Outcome {
    Passed,
    Refused(String),
    Failed(String),
}

/// Where the real one is wrong and ours is right on purpose: part of the statement, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("%", "the remainder of DECIMALs of different scale is computed instead of an assertion error"),
    ("MOD(", "as %"),
    ("1969-12-31 23:59:59.999", "times before 1970 with a fraction are rounded down, not up to the next day"),
    ("1234567890123456789012345678901234567.8", "38 digits fit a DECIMAL(38, 1)"),
];

#[test]
fn decimal() {
    topic("decimal", include_str!("../golden/decimal.jsonl"), 130);
}

#[test]
fn decimal_nullable() {
    topic("decimal_nullable", include_str!("../golden/decimal_nullable.jsonl"), 43);
}

#[test]
fn conditional() {
    topic("conditional", include_str!("../golden/conditional.jsonl"), 40);
}

#[test]
fn cast() {
    topic("cast", include_str!("../golden/cast.jsonl"), 480);
}

#[test]
fn integer() {
    topic("integer", include_str!("../golden/integer.jsonl"), 60);
}

#[test]
fn cast_to_string() {
    topic("cast_to_string", include_str!("../golden/cast_to_string.jsonl"), 40);
}

/// Runs a file; at least `floor` statements must pass, so that support cannot shrink unseen.
#[allow(clippy::print_stdout)]
fn topic(name: &str, cases: &str, floor: usize) {
    let (mut passed, mut refused, mut failed) = (0, Vec::new(), Vec::new());
    for line in cases.lines().filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let sql = case["sql"].as_str().unwrap();
        match run(&case, sql) {
            Outcome::Passed => passed += 1,
            Outcome::Refused(why) => refused.push(format!("{sql}\n    {why}")),
            Outcome::Failed(why) => failed.push(format!("{sql}\n    {why}")),
        }
    }
    for case in &refused {
        println!("refused {case}");
    }
    for case in &failed {
        println!("FAILED {case}");
    }
    println!("{name}: {passed} passed, {} refused, {} failed", refused.len(), failed.len());
    assert!(failed.is_empty(), "{} statements of {name} differ from Flink", failed.len());
    assert!(passed >= floor, "only {passed} statements of {name} pass");
}

fn run(case: &Value, sql: &str) -> Outcome {
    let wants_error = case.get("error").is_some();
    match answer(sql) {
        Err(BoundedError::Plan(error)) if wants_error => {
            if error.message().is_empty() {
                Outcome::Failed("empty message".to_owned())
            } else {
                Outcome::Passed
            }
        }
        Err(BoundedError::Run(_)) if wants_error => Outcome::Passed,
        Err(BoundedError::Plan(error)) => Outcome::Refused(format!("{error:?}")),
        Err(BoundedError::Run(error)) => Outcome::Failed(format!("fails with {error}")),
        Ok(_) if wants_error && deviates(sql) => Outcome::Passed,
        Ok(found) if wants_error => {
            Outcome::Failed(format!("gives {:?}, Flink fails: {}", rows(&found), case["error"]["root"]))
        }
        Ok(found) => match compare(case, &found) {
            Outcome::Failed(_) if deviates(sql) => Outcome::Passed,
            outcome => outcome,
        },
    }
}

fn deviates(sql: &str) -> bool {
    DEVIATIONS.iter().any(|(part, _)| sql.contains(part))
}

fn compare(case: &Value, found: &Answer) -> Outcome {
    let types: Vec<String> = found.schema.iter().map(|(_, data_type)| data_type.to_string()).collect();
    let wanted: Vec<&str> = case["schema"].as_array().unwrap().iter().map(|pair| pair[1].as_str().unwrap()).collect();
    if types != wanted {
        return Outcome::Failed(format!("types {types:?}, Flink {wanted:?}"));
    }
    let mut wanted: Vec<Vec<Value>> =
        case["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect();
    for row in rows(found) {
        let Some(at) = wanted
            .iter()
            .position(|other| same_row(&row, other, found.schema.iter().map(|(_, data_type)| data_type.kind)))
        else {
            return Outcome::Failed(format!("gives {row:?}, Flink {wanted:?}"));
        };
        wanted.remove(at);
    }
    if wanted.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("lacks {wanted:?}")) }
}

fn rows(found: &Answer) -> Vec<Vec<Value>> {
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
