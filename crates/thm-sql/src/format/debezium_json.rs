//! `debezium-json`: an envelope → what happened to which row.
//!
//! ```text
//!   op c, r → +I of `after`        op u → +U of `after`, whatever `before` says
//!   op d    → -D of the key        tombstone → nothing
//!   old rows wanted: op u → -U of `before`, +U of `after`;  op d → -D of `before`
//! ```
//! Better than Flink on purpose: the record's key identifies the row, so updates and deletes arrive under any replica
//! identity wherever the key is enough. A row of which only the key is known has NULL in all else.

use serde::Deserialize;
use serde_json::value::RawValue;
use thm_api::{Op, RowKind};

use super::cells::Cell;
use super::json_read::{self, Dialect, Marks};
use super::{Field, JsonOptions, ReadError};

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    op: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(default)]
    ts_ms: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Source<'a> {
    // Flink does not look at them: one that is no number must not cost the record.
    #[serde(default)]
    ts_us: serde_json::Value,
    #[serde(default)]
    ts_ms: serde_json::Value,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(borrow, default)]
    table: Option<&'a RawValue>,
}

/// One change.
#[derive(Debug)]
pub struct Change<'a> {
    /// Cells by field.
    pub cells: Vec<Option<Cell<'a>>>,
    /// Cells of the row as it was before an update, if that was wanted.
    pub before: Option<Vec<Option<Cell<'a>>>>,
    /// What the row means.
    pub kind: RowKind,
    /// Debezium's op.
    pub op: Op,
    /// Commit time in microseconds, if the envelope says it.
    pub commit_us: Option<i64>,
    /// The envelope's `source`.
    pub source: Option<&'a str>,
    /// Its `schema` and `table` as JSON; empty where it says none.
    pub table: (&'a str, &'a str),
    /// When the connector wrote it, milliseconds since 1970.
    pub ingestion_ms: Option<i64>,
    /// What was found of the row's fields.
    pub marks: Marks,
}

/// Whether the row as it was before an update or delete is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRows {
    /// The record's key says which row it is.
    Unread,
    /// The record has no key: the old row tells a changed key, if it is there.
    IfThere,
    /// A change without one is an error.
    Needed,
}

/// Reads a record; a tombstone is no change. An unreadable record is an error also with `ignore-parse-errors`, for the
/// caller counts what it skips.
pub fn read<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    fields: &[Field],
    options: &JsonOptions,
    old_rows: OldRows,
) -> Result<Option<Change<'a>>, ReadError> {
    let Some(mut value) = value else { return Ok(None) };
    let corrupt = |why: String| ReadError::Record(format!("Corrupt Debezium JSON message: {why}"));
    if options.schema_include {
        let wrapped =
            Payload::deserialize(&mut json_read::first_value(value)).map_err(|error| corrupt(error.to_string()))?;
        value = wrapped.payload.ok_or_else(|| corrupt("there is no \"payload\"".to_owned()))?.get().as_bytes();
    }
    let mut deserializer = json_read::first_value(value);
    let envelope = Envelope::deserialize(&mut deserializer).map_err(|error| corrupt(error.to_string()))?;
    let letter = envelope.op.as_deref().unwrap_or("null");
    let op = match letter.as_bytes() {
        [letter] => Op::from_letter(*letter),
        _ => None,
    };
    let op = op.ok_or_else(|| corrupt(format!("unknown \"op\" value \"{letter}\"")))?;
    let times: Source<'a> = envelope.source.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let commit_us = times.ts_us.as_i64().or_else(|| times.ts_ms.as_i64()?.checked_mul(1_000));
    let before = present(envelope.before);
    let no_before = |what: &str| {
        corrupt(format!(
            "The \"before\" field of \"{what}\" message is null, if you are using Debezium Postgres Connector, please check the \
             Postgres table has been set REPLICA IDENTITY to FULL level."
        ))
    };
    let cells_of = |row: &'a [u8]| -> Result<Vec<Option<Cell<'a>>>, ReadError> {
        let found = json_read::object(row, fields)?;
        json_read::row(&found, fields, options, Dialect::Debezium)
    };
    let mut old = None;
    let (row, kind) = match op {
        Op::Create | Op::Read => (present(envelope.after), RowKind::Insert),
        Op::Update => {
            old = match (old_rows, before) {
                (OldRows::Unread, _) | (OldRows::IfThere, None) => None,
                (OldRows::Needed, None) => return Err(no_before("UPDATE")),
                (_, Some(before)) => Some(cells_of(before)?),
            };
            (present(envelope.after), RowKind::UpdateAfter)
        }
        Op::Delete if old_rows == OldRows::Needed => {
            (Some(before.ok_or_else(|| no_before("DELETE"))?), RowKind::Delete)
        }
        Op::Delete => (key_or_before(key, before), RowKind::Delete),
    };
    let row = row.ok_or_else(|| corrupt(format!("op \"{letter}\" without a row")))?;
    let (source, ingestion_ms) = (envelope.source.map(RawValue::get), envelope.ts_ms.as_i64());
    let table = (times.schema.map_or("", RawValue::get), times.table.map_or("", RawValue::get));
    let mut marks = Marks::default();
    let found = json_read::object(row, fields)?;
    let cells = json_read::row_marked(&found, fields, options, Dialect::Debezium, &mut marks)?;
    Ok(Some(Change { cells, before: old, kind, op, commit_us, source, table, ingestion_ms, marks }))
}

fn present(raw: Option<&RawValue>) -> Option<&[u8]> {
    raw.map(|raw| raw.get().as_bytes()).filter(|raw| *raw != b"null")
}

/// The record's key if it is an object, else the old row.
fn key_or_before<'a>(key: Option<&'a [u8]>, before: Option<&'a [u8]>) -> Option<&'a [u8]> {
    key.filter(|key| key.first() == Some(&b'{')).or(before)
}

/// Names of the fields of a record's key; `None` if it is no object.
#[must_use]
pub fn key_fields(key: &[u8]) -> Option<Vec<String>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(key).ok()?;
    Some(object.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_flink_does_not_look_at_costs_no_record() {
        let options = JsonOptions { timestamps: super::super::TimestampFormat::Iso, ..JsonOptions::default() };
        for value in [
            r#"{"op":"c","after":{}} {"op":"x"}"#,
            r#"{"op":"c","after":{},"source":{"ts_ms":"text","ts_us":1.5}}"#,
            "\u{feff}{\"op\":\"c\",\"after\":{}}",
        ] {
            let change = read(None, Some(value.as_bytes()), &[], &options, OldRows::Unread).unwrap().unwrap();
            assert_eq!((change.op, change.commit_us), (Op::Create, None), "{value}");
        }
    }
}
