//! Odd records one at a time: the rows that the original sink writes, and where ours are better.
//!
//! `singles.json` holds what the original (v1.5.0) did: the record, the table's rows after it, whether the record went
//! to the dead letter queue. [`BETTER`] is every case where we do otherwise, and why.

use serde_json::Value;
use thm_api::{ErrorKind, SinkTask};

use super::engine::Database;
use crate::support::{batch, foreign};

/// What we do where the original loses or bends a value.
enum Ours {
    /// The record is refused, naming this.
    Refused(&'static str),
    /// It is written, with this in a column.
    Written(&'static str, &'static str),
    /// It is written, whatever its key is: the value has all that the table needs.
    Taken,
}

use Ours::{Refused, Taken, Written};

const BETTER: &[(&str, Ours)] = &[
    // Saturated to the year 9999.
    ("event_ts epoch ms number", Refused("event_ts DateTime64(3) does not take a timestamp out of its range")),
    ("event_ts epoch us number", Refused("event_ts DateTime64(3) does not take a timestamp out of its range")),
    // Cut.
    ("engagement more digits than scale", Refused("engagement_seconds Nullable(Decimal(10, 2)) does not take")),
    ("engagement_pct 999.999", Refused("engagement_pct Nullable(Decimal(5, 2)) does not take")),
    ("engagement 0.1+0.2", Refused("engagement_seconds Nullable(Decimal(10, 2)) does not take")),
    ("engagement_pct 0.0001 (prints as 1.0E-4)", Refused("engagement_pct Nullable(Decimal(5, 2)) does not take")),
    // An empty text became 0.
    ("engagement empty string", Refused("does not take a text that is no number")),
    // Refused though it fits.
    ("id 2^63", Written("id", "9223372036854775808")),
    ("id 2^64-1", Written("id", "18446744073709551615")),
    // Wrapped.
    ("id 2^64", Refused("id UInt64 does not take a number out of its range")),
    ("length_seconds too large", Refused("length_seconds Int32 does not take a number out of its range")),
    // The second object, or the garbage, was lost in silence.
    ("two JSON objects in one value", Refused("text after its JSON object")),
    ("JSON followed by garbage", Refused("text after its JSON object")),
    // Dead letters for the sake of a key that no table column needs.
    ("key is malformed JSON", Taken),
    ("key is a plain string, not JSON", Taken),
];

fn ours(case: &str) -> Option<&'static Ours> {
    BETTER.iter().find(|(name, _)| *name == case).map(|(_, ours)| ours)
}

/// The table's rows as the recording has them: numbers as numbers, decimals as texts.
async fn rows(database: &Database) -> Vec<Value> {
    let sql = "SELECT * REPLACE (toString(engagement_seconds) AS engagement_seconds, toString(engagement_pct) AS \
        engagement_pct) FROM {t} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0";
    database.ask(sql).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn shown(value: &Value) -> String {
    value.to_string()
}

async fn check(task: &mut Box<dyn SinkTask>, database: &Database, offset: i64, case: &Value) -> Result<(), String> {
    let name = case["case"].as_str().unwrap();
    let mut record = foreign(offset, 0, case["value"].as_str().unwrap_or_default());
    record.value = case["value"].as_str().map(|value| value.as_bytes().to_vec().into());
    record.key = case["key"].as_str().map(|key| key.as_bytes().to_vec().into());
    let written = task.write(batch(&database.partition, &[record])).await;
    let rows = rows(database).await;
    let told = |what: &str| Err(format!("{name}: {what}; wrote {written:?}, rows {rows:?}"));
    if let Err(error) = &written {
        let rejected = error.rejected();
        if error.kind() != ErrorKind::RecordRejected || rejected.len() != 1 || rejected[0].offset.0 != offset {
            return told("a refusal must name the record");
        }
        if !rows.is_empty() {
            return told("a refused record must leave no row");
        }
    }
    match (ours(name), &written) {
        (Some(Refused(reason)), Err(error)) if error.rejected()[0].reason.contains(reason) => Ok(()),
        (Some(Written(column, value)), Ok(())) if matches!(&*rows, [row] if shown(&row[*column]) == *value) => Ok(()),
        (Some(Taken), Ok(())) if rows.len() == 1 => Ok(()),
        (Some(_), _) => told("not what ours should do"),
        (None, Err(_)) if case["dead_letter"] == true => Ok(()),
        (None, Ok(())) if case["dead_letter"] == false && Value::from(rows.clone()) == case["rows"] => Ok(()),
        (None, _) => told(&format!("not what the original does: {}", case["rows"])),
    }
}

#[tokio::test]
async fn odd_records_give_the_original_s_rows_or_better() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("singles.json")).unwrap();
    let database = Database::contract().await;
    let (mut task, _) = database.opened().await;
    let mut failures = Vec::new();
    for (offset, case) in cases.iter().enumerate() {
        failures.extend(check(&mut task, &database, offset as i64, case).await.err());
        database.ask("TRUNCATE TABLE {t}").await;
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(BETTER.iter().all(|(name, _)| cases.iter().any(|case| case["case"] == *name)));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused() {
    let database = Database::contract().await;
    let (mut task, partition) = database.opened().await;
    let mut record = foreign(0, 0, "");
    record.value = Some(b"{\"id\":1,\"user_id\":\"\xff\xfe\"}".to_vec().into());
    let error = task.write(batch(&partition, &[record])).await.unwrap_err();
    assert_eq!(error.rejected()[0].reason, "the value is not UTF-8");
}
