//! Parts of a record → cells: its key, its value, and what the log knows beside them.

use std::borrow::Cow;

use thm_api::TopicPartition;
use thm_codec::record_batch::Headers;

use crate::format::cells::Cell;
use crate::format::debezium_json::corrupt;
use crate::format::json_read::{self, Dialect, How};
use crate::format::{Field, Format, JsonOptions, Place, ReadError, TimestampFormat, ValueFormat, csv, raw};
use crate::types::LogicalType;
use crate::types::time::Moment;

/// Where a record stands.
pub(super) struct RecordPlace<'a> {
    pub partition: &'a TopicPartition,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub headers: &'a Headers,
}

/// What a Debezium envelope says beside the row.
#[derive(Clone, Copy)]
pub(super) struct Envelope<'a> {
    /// `source`, as JSON.
    pub source: Option<&'a str>,
    /// `ts_ms`, as JSON.
    pub ingestion_ms: Option<&'a str>,
    /// The schema beside the envelope, as JSON.
    pub schema: Option<&'a str>,
}

/// One cell per field; only those of `place` are filled. None where there is no row.
pub(super) fn cells<'a>(
    format: &Format,
    bytes: Option<&'a [u8]>,
    fields: &[Field],
    place: Place,
) -> Result<Option<Vec<Option<Cell<'a>>>>, ReadError> {
    if format.kind == ValueFormat::Raw {
        let of = |field: &Field| match field.place == place {
            true => raw::read(bytes, field.kind, format.raw),
            false => Ok(None),
        };
        return fields.iter().map(of).collect::<Result<_, _>>().map(Some);
    }
    // Of no bytes Flink's JSON makes no row.
    let empty = format.kind != ValueFormat::Csv;
    let Some(bytes) = bytes.filter(|bytes| !empty || !bytes.is_empty()) else { return Ok(None) };
    match format.kind {
        ValueFormat::Csv => csv::read(bytes, fields, &place, &format.csv),
        _ => {
            let found = json_read::object_in(bytes, fields, place)?;
            json_read::row(&found, fields, &format.json, Dialect::Json).map(Some)
        }
    }
}

/// A metadata column's value. Of what an envelope says, `ts_ms` may be no number: then the record is in error, as in Flink.
pub(super) fn metadata<'a>(
    name: &str,
    at: &RecordPlace<'_>,
    envelope: Option<Envelope<'a>>,
    lenient: bool,
) -> Result<Option<Cell<'a>>, ReadError> {
    let Some(envelope) = envelope.filter(|_| name.starts_with("value.")) else { return Ok(of_record(name, at)) };
    match name {
        "value.ingestion-timestamp" => ingestion(envelope.ingestion_ms, lenient),
        "value.source.timestamp" => match source_member(envelope, "ts_ms") {
            Some(Cell::Text(millis)) => match millis.parse() {
                Ok(millis) => Ok(Some(moment(millis))),
                Err(_) => Err(corrupt(format!("For input string: \"{millis}\" (\"ts_ms\" of \"source\")"))),
            },
            _ => Ok(None),
        },
        _ => Ok(of_envelope(name, envelope)),
    }
}

fn moment<'a>(millis: i64) -> Cell<'a> {
    Cell::Moment(Moment::of(millis, arrow::datatypes::TimeUnit::Millisecond))
}

/// The envelope's `ts_ms`, read as a BIGINT.
fn ingestion<'a>(millis: Option<&str>, lenient: bool) -> Result<Option<Cell<'a>>, ReadError> {
    let Some(raw) = millis else { return Ok(None) };
    match json_read::cell(raw, LogicalType::BigInt, TimestampFormat::Sql, Dialect::Debezium) {
        Ok(Some(Cell::Integer(millis))) => Ok(Some(moment(millis))),
        Err(_) if !lenient => Err(corrupt(format!("\"ts_ms\" is no number: {raw}"))),
        _ => Ok(None),
    }
}

/// The envelope's `source` as Flink reads it: as a map of texts.
fn source(envelope: Envelope<'_>) -> Option<Vec<(Option<Cell<'_>>, Option<Cell<'_>>)>> {
    let optional = LogicalType::STRING.nullable(true);
    let how = How::of(&JsonOptions::default(), Dialect::Debezium);
    match json_read::cell_in(envelope.source?, LogicalType::map(optional, optional), how) {
        Ok(Some(Cell::Entries(entries))) => Some(entries),
        _ => None,
    }
}

fn source_member<'a>(envelope: Envelope<'a>, name: &str) -> Option<Cell<'a>> {
    let named = |(known, _): &(Option<Cell<'_>>, _)| matches!(known, Some(Cell::Text(known)) if known == name);
    source(envelope)?.into_iter().find(named)?.1
}

fn of_envelope<'a>(name: &str, envelope: Envelope<'a>) -> Option<Cell<'a>> {
    match name {
        "value.schema" => {
            json_read::cell(envelope.schema?, LogicalType::STRING, TimestampFormat::Sql, Dialect::Debezium).ok()?
        }
        "value.source.database" => source_member(envelope, "db"),
        "value.source.schema" => source_member(envelope, "schema"),
        "value.source.table" => source_member(envelope, "table"),
        "value.source.properties" => source(envelope).map(Cell::Entries),
        _ => None,
    }
}

/// What the log knows of a record beside its key and value.
fn of_record<'a>(name: &str, at: &RecordPlace<'_>) -> Option<Cell<'a>> {
    let text = |text: String| Cell::Text(Cow::Owned(text));
    match name {
        "topic" => Some(text(at.partition.topic.to_string())),
        "partition" => Some(Cell::Integer(i64::from(at.partition.partition))),
        "offset" => Some(Cell::Integer(at.offset)),
        "leader-epoch" => Some(Cell::Integer(0)),
        "timestamp" => Some(moment(at.timestamp_ms)),
        "headers" => {
            let mut entries: Vec<(Option<Cell<'a>>, Option<Cell<'a>>)> = Vec::new();
            for (name, value) in at.headers.iter() {
                let name = text(String::from_utf8_lossy(&name).into_owned());
                // As in a map: the last of a name wins.
                entries.retain(|(known, _)| known.as_ref() != Some(&name));
                entries.push((Some(name), value.map(|value| Cell::Bytes(value.to_vec()))));
            }
            Some(Cell::Entries(entries))
        }
        "timestamp-type" => Some(Cell::Text(Cow::Borrowed("CreateTime"))),
        _ => None,
    }
}
