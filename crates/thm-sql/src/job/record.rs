//! Parts of a record → cells: its key, its value, and what the log knows beside them.

use std::borrow::Cow;

use thm_api::TopicPartition;
use thm_codec::record_batch::Headers;

use crate::format::cells::Cell;
use crate::format::json_read::{self, Dialect};
use crate::format::{Field, Format, Place, ReadError, ValueFormat, csv, raw};
use crate::types::time::Moment;

/// Where a record stands.
pub(super) struct RecordPlace<'a> {
    pub partition: &'a TopicPartition,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub headers: &'a Headers,
}

/// Of a Debezium envelope: `source`, and `ts_ms`.
pub(super) type Envelope<'a> = Option<(Option<&'a str>, Option<i64>)>;

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
    // Of no bytes Flink's formats make no row.
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    match format.kind {
        ValueFormat::Csv => csv::read(bytes, fields, &place, &format.csv),
        _ => {
            let found = json_read::object_in(bytes, fields, place)?;
            json_read::row(&found, fields, &format.json, Dialect::Json).map(Some)
        }
    }
}

/// A metadata column's value.
pub(super) fn metadata<'a>(name: &str, at: &RecordPlace<'_>, envelope: Envelope<'a>) -> Option<Cell<'a>> {
    let moment = |millis: i64| Cell::Moment(Moment::of(millis, arrow::datatypes::TimeUnit::Millisecond));
    let text = |text: String| Cell::Text(Cow::Owned(text));
    let source = || -> Option<serde_json::Value> { serde_json::from_str(envelope?.0?).ok() };
    let member = |name: &str| source()?.get(name)?.as_str().map(str::to_owned).map(text);
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
        "value.ingestion-timestamp" => envelope?.1.map(moment),
        "value.source.timestamp" => source()?.get("ts_ms")?.as_i64().map(moment),
        "value.source.database" => member("db"),
        "value.source.schema" => member("schema"),
        "value.source.table" => member("table"),
        "value.source.properties" => {
            let source = source()?;
            let shown = |value: &serde_json::Value| match value {
                serde_json::Value::Null => None,
                serde_json::Value::String(value) => Some(text(value.clone())),
                other => Some(text(other.to_string())),
            };
            let entries = source.as_object()?.iter().map(|(name, value)| (Some(text(name.clone())), shown(value)));
            Some(Cell::Entries(entries.collect()))
        }
        _ => None,
    }
}
