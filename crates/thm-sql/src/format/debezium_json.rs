//! `debezium-json`: an envelope → what happened to which row.
//!
//! ```text
//!   op c, r → +I of `after`        op u → +U of `after`, whatever `before` says
//!   op d    → -D of the key        tombstone → nothing
//! ```
//! Better than Flink on purpose: the record's key identifies the row, so updates and deletes arrive under any replica
//! identity. A deleted row holds the key's fields, all else is NULL. There is no -U.

use serde::Deserialize;
use serde_json::value::RawValue;
use thm_api::{Op, RowKind};

use super::cells::Cell;
use super::json_read::{self, Dialect};
use super::{Field, JsonOptions, ReadError};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    op: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    source: Option<Source>,
}

#[derive(Default, Deserialize)]
struct Source {
    // Flink does not look at them: one that is no number must not cost the record.
    #[serde(default)]
    ts_us: serde_json::Value,
    #[serde(default)]
    ts_ms: serde_json::Value,
}

/// One change.
#[derive(Debug)]
pub struct Change<'a> {
    /// Cells by field.
    pub cells: Vec<Option<Cell<'a>>>,
    /// What the row means.
    pub kind: RowKind,
    /// Debezium's op.
    pub op: Op,
    /// Commit time in microseconds, if the envelope says it.
    pub commit_us: Option<i64>,
}

/// Reads a record; a tombstone is no change. An unreadable record is an error also with `ignore-parse-errors`, for the
/// caller counts what it skips.
pub fn read<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    fields: &[Field],
    options: &JsonOptions,
) -> Result<Option<Change<'a>>, ReadError> {
    let Some(value) = value else { return Ok(None) };
    let corrupt = |why: String| ReadError::Record(format!("Corrupt Debezium JSON message: {why}"));
    let mut deserializer = json_read::first_value(value);
    let envelope = Envelope::deserialize(&mut deserializer).map_err(|error| corrupt(error.to_string()))?;
    let letter = envelope.op.as_deref().unwrap_or("null");
    let op = match letter.as_bytes() {
        [letter] => Op::from_letter(*letter),
        _ => None,
    };
    let op = op.ok_or_else(|| corrupt(format!("unknown \"op\" value \"{letter}\"")))?;
    let commit_us =
        envelope.source.and_then(|source| source.ts_us.as_i64().or_else(|| source.ts_ms.as_i64()?.checked_mul(1_000)));
    let (row, kind) = match op {
        Op::Create | Op::Read => (present(envelope.after), RowKind::Insert),
        Op::Update => (present(envelope.after), RowKind::UpdateAfter),
        Op::Delete => (key_or_before(key, present(envelope.before)), RowKind::Delete),
    };
    let row = row.ok_or_else(|| corrupt(format!("op \"{letter}\" without a row")))?;
    let found = json_read::object(row, fields)?;
    let cells = json_read::row(&found, fields, options, Dialect::Debezium)?;
    Ok(Some(Change { cells, kind, op, commit_us }))
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
        let options = JsonOptions {
            ignore_parse_errors: false,
            fail_on_missing_field: false,
            plain_decimals: true,
            ignore_null_fields: false,
            timestamps: super::super::TimestampFormat::Iso,
        };
        for value in [
            r#"{"op":"c","after":{}} {"op":"x"}"#,
            r#"{"op":"c","after":{},"source":{"ts_ms":"text","ts_us":1.5}}"#,
            "\u{feff}{\"op\":\"c\",\"after\":{}}",
        ] {
            let change = read(None, Some(value.as_bytes()), &[], &options).unwrap().unwrap();
            assert_eq!((change.op, change.commit_us), (Op::Create, None), "{value}");
        }
    }
}
