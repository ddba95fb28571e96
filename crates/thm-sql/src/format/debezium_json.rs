//! `debezium-json`: an envelope → what happened to which row.
//!
//! ```text
//!   op c, r → +I of `after`        op u → +U of `after`, whatever `before` says
//!   op d    → -D of the key        tombstone → nothing
//!   old rows wanted: op u → -U of `before`, +U of `after`;  op d → -D of `before`
//! ```
//! Better than Flink on purpose: the record's key identifies the row, so updates and deletes arrive under any replica
//! identity wherever the key is enough. A row of which only the key is known has NULL in all else.

use thm_api::{Op, RowKind};
use thm_codec::json_cursor::{Cursor, Odd};

use super::cells::Cell;
use super::envelope::Envelope;
pub use super::envelope::{LastSource, corrupt};
use super::json_read::{self, Dialect, Marks};
use super::{Field, JsonOptions, ReadError};

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
    /// When the connector wrote it, milliseconds since 1970, as JSON.
    pub ingestion_ms: Option<&'a str>,
    /// The schema beside the envelope, as JSON.
    pub schema: Option<&'a str>,
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
/// caller counts what it skips. `last` is kept from record to record.
pub fn read<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    fields: &[Field],
    options: &JsonOptions,
    old_rows: OldRows,
    last: &mut LastSource,
) -> Result<Option<Change<'a>>, ReadError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let envelope = Envelope::read(value, fields, options.schema_include, last)?;
    let Envelope { op, before, source, commit_us, table, ingestion_ms, schema, .. } = envelope;
    let no_before = |what: &str| {
        corrupt(format!(
            "The \"before\" field of \"{what}\" message is null, if you are using Debezium Postgres Connector, please check the \
             Postgres table has been set REPLICA IDENTITY to FULL level."
        ))
    };
    let before = before.map(str::as_bytes);
    let mut old = None;
    let (found, kind) = match op {
        Op::Create | Op::Read => (envelope.after, RowKind::Insert),
        Op::Update => {
            old = match (old_rows, before) {
                (OldRows::Unread, _) | (OldRows::IfThere, None) => None,
                (OldRows::Needed, None) => return Err(no_before("UPDATE")),
                (_, Some(before)) => {
                    let found = json_read::object(before, fields)?;
                    Some(json_read::row(&found, fields, options, Dialect::Debezium)?)
                }
            };
            (envelope.after, RowKind::UpdateAfter)
        }
        Op::Delete => {
            let row = match old_rows {
                OldRows::Needed => Some(before.ok_or_else(|| no_before("DELETE"))?),
                _ => key_or_before(key, before),
            };
            (row.map(|row| json_read::object(row, fields)).transpose()?, RowKind::Delete)
        }
    };
    let found = found.ok_or_else(|| corrupt(format!("op \"{}\" without a row", op.as_str())))?;
    let mut marks = Marks::default();
    let cells = json_read::row_marked(&found, fields, options, Dialect::Debezium, &mut marks)?;
    Ok(Some(Change { cells, before: old, kind, op, commit_us, source, table, ingestion_ms, schema, marks }))
}

/// The record's key if it is an object, else the old row.
fn key_or_before<'a>(key: Option<&'a [u8]>, before: Option<&'a [u8]>) -> Option<&'a [u8]> {
    key.filter(|key| key.first() == Some(&b'{')).or(before)
}

/// Whether a record's key has all these fields; `None` if it is no object.
#[must_use]
pub fn key_has(key: &[u8], wanted: &[String]) -> Option<bool> {
    let plain = std::str::from_utf8(key).map_err(|_| Odd).and_then(|key| plain_key_has(key, wanted));
    plain.ok().or_else(|| {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(key).ok()?;
        Some(wanted.iter().all(|name| object.contains_key(name)))
    })
}

fn plain_key_has(key: &str, wanted: &[String]) -> Result<bool, Odd> {
    let mut cursor = Cursor::new(key);
    let mut names = [""; 16];
    let mut count = 0;
    cursor.open()?;
    while let Some(name) = cursor.name()? {
        cursor.value()?;
        *names.get_mut(count).ok_or(Odd)? = name;
        count += 1;
    }
    if !cursor.is_at_end() {
        return Err(Odd);
    }
    Ok(wanted.iter().all(|name| names[..count].contains(&name.as_str())))
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
            let change = read(None, Some(value.as_bytes()), &[], &options, OldRows::Unread, &mut LastSource::default());
            let change = change.unwrap().unwrap();
            assert_eq!((change.op, change.commit_us), (Op::Create, None), "{value}");
        }
    }
}
