//! The outbox `EventRouter`: rows of an outbox table as messages of their own.
//!
//! ```text
//!   {"after":{"id":…,"aggregatetype":"order","aggregateid":"42","type":…,"payload":…},"op":"c",…}
//!      └▶ topic outbox.event.order, key "42", header id, value payload (and what else is placed beside it)
//! ```
//! Deletes and tombstones are dropped: emptying the table is no message. An update is a mistake.

use std::collections::HashMap;
use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Adjust, Schema, SchemaKind};

use super::Transform;
use super::java_pattern::JavaPattern;
use super::json_document::JsonDocument;
use super::record::{Applied, ConnectRecord, DataError, get, get_int, get_string, no_struct, require_struct};
use super::settings::Settings;

/// Most schemas of values that are kept.
const MAX_SCHEMAS: usize = 1_000;

/// Where a further column goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    Header,
    Envelope,
    Partition,
}

struct Additional {
    field: String,
    placement: Placement,
    alias: String,
}

struct EventRouter {
    id: String,
    key: String,
    payload: String,
    timestamp: Option<String>,
    version: Option<String>,
    route_by: String,
    topic: JavaPattern,
    replacement: String,
    tombstones: bool,
    /// `warn`, `error` or `fatal`.
    on_update: String,
    json: Option<JsonDocument>,
    additional: Vec<Additional>,
    ignores_missing: bool,
    /// Schemas of values that hold more than the payload. The name in one is that of the topic it was first made for, as
    /// the real router has it.
    schemas: HashMap<Vec<u8>, Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let pattern = settings.text("route.topic.regex", "(?<routedByValue>.*)");
    let topic = JavaPattern::new(&pattern).map_err(|problem| {
        format!("The 'route.topic.regex' value is invalid: A regular expression is required: {problem}")
    })?;
    let expands = settings.flag("table.expand.json.payload", false);
    let nulls = settings.word("table.json.payload.null.behavior", &["ignore", "optional_bytes"], "ignore")?;
    let empty = settings.word("table.json.payload.empty.array.behavior", &["ignore", "optional_string"], "ignore")?;
    let names = settings.word("field.name.adjustment.mode", &["none", "avro", "avro_unicode"], "none")?;
    let json = JsonDocument {
        keep_nulls: nulls == "optional_bytes",
        keep_empty_arrays: empty == "optional_string",
        names: Adjust::parse(&names).unwrap_or_default(),
    };
    for tracing in ["tracing.span.context.field", "tracing.operation.name", "tracing.with.context.field.only"] {
        settings.without_effect(tracing, "there is no OpenTelemetry in the process");
    }
    settings.without_effect("table.field.event.type", "place the column with table.fields.additional.placement");
    Ok(Box::new(EventRouter {
        id: settings.text("table.field.event.id", "id"),
        key: settings.text("table.field.event.key", "aggregateid"),
        payload: settings.text("table.field.event.payload", "payload"),
        timestamp: settings.given("table.field.event.timestamp"),
        version: settings.given("table.field.event.schema.version"),
        route_by: settings.text("route.by.field", "aggregatetype"),
        topic,
        replacement: settings.text("route.topic.replacement", "outbox.event.${routedByValue}"),
        tombstones: settings.flag("route.tombstone.on.empty.payload", false),
        on_update: settings.word("table.op.invalid.behavior", &["warn", "error", "fatal"], "warn")?,
        json: expands.then_some(json),
        additional: additional(settings)?,
        ignores_missing: settings.word("table.field.additional.missing", &["error", "ignore"], "error")? == "ignore",
        schemas: HashMap::new(),
    }))
}

/// `field:placement` and `field:placement:alias`.
fn additional(settings: &mut Settings<'_>) -> Result<Vec<Additional>, String> {
    const OPTION: &str = "table.fields.additional.placement";
    let list = settings.list(OPTION);
    let read = |text: &String| {
        let parts: Vec<_> = text.split(':').map(str::trim).collect();
        let (field, placement, alias) = match parts[..] {
            [field, placement] => (field, placement, field),
            [field, placement, alias] => (field, placement, alias),
            _ => {
                let shown = list.join(", ");
                return Err(format!(
                    "Invalid value [{shown}] for configuration {OPTION}: A comma-separated list of valid String pairs or \
                     trios is expected but got: [{shown}]"
                ));
            }
        };
        let placement = match placement.to_ascii_lowercase().as_str() {
            "header" => Placement::Header,
            "envelope" => Placement::Envelope,
            "partition" => Placement::Partition,
            other => {
                return Err(format!(
                    "Invalid value {other} for configuration {OPTION}: use header, envelope or partition"
                ));
            }
        };
        Ok(Additional { field: field.to_owned(), placement, alias: alias.to_owned() })
    };
    list.iter().map(read).collect()
}

impl EventRouter {
    fn refuse_update(&self, record: &ConnectRecord) -> Applied {
        match self.on_update.as_str() {
            "fatal" => {
                return Err(DataError(format!("Unexpected update message received in topic {}, fail.", record.topic)));
            }
            "error" => tracing::error!(topic = record.topic, "unexpected update message received and ignored"),
            _ => tracing::warn!(topic = record.topic, "unexpected update message received and ignored"),
        }
        Ok(None)
    }

    /// The payload as it goes out; JSON that is none, or fits no schema, stays text.
    fn payload(&self, schema: &Schema, value: Value, topic: &str) -> Part {
        if let (Some(json), Value::String(text)) = (&self.json, &value)
            && !text.is_empty()
        {
            let read = match text.starts_with(['{', '[']) {
                true => json.read(text, Some(&self.payload)),
                false => Err("it is neither an object nor an array".to_owned()),
            };
            match read {
                Ok(part) => return part,
                Err(why) => tracing::warn!(topic, why, "JSON expansion of a payload failed, it stays text"),
            }
        }
        Part::new(Arc::new(schema.clone()), value)
    }

    fn event_time(&self, envelope: (&Schema, &[Value]), row: (&Schema, &[Value])) -> Result<Option<i64>, DataError> {
        let processed = || get_int(envelope.0, envelope.1, "ts_ms", "int64");
        let Some(name) = &self.timestamp else { return processed() };
        let Some((_, field)) = row.0.field(name) else {
            return Err(DataError(format!("Unable to find timestamp field {name} in event")));
        };
        let Some(time) = get_int(row.0, row.1, name, "int64")? else { return processed() };
        match field.name.as_deref() {
            Some("io.debezium.time.Timestamp") => Ok(Some(time)),
            Some("io.debezium.time.MicroTimestamp") => Ok(Some(time / 1_000)),
            Some("io.debezium.time.NanoTimestamp") => Ok(Some(time / 1_000_000)),
            Some(other) => Err(DataError(format!("Unsupported field type {other} for event timestamp"))),
            None => {
                let kind = field.type_name().to_uppercase();
                Err(DataError(format!(
                    "Unsupported field type {kind} (without logical schema name) for event timestamp"
                )))
            }
        }
    }

    /// The schema of a value that holds more than the payload.
    fn value_schema(
        &mut self,
        payload: &Schema,
        row: &Schema,
        version: Option<i64>,
        route: &str,
    ) -> Result<Arc<Schema>, DataError> {
        let mut known_by = Vec::new();
        match version {
            Some(version) => known_by.extend_from_slice(&version.to_be_bytes()),
            None => payload.write(&mut known_by, None),
        }
        if let Some(known) = self.schemas.get(&known_by) {
            return Ok(Arc::clone(known));
        }
        let mut fields = vec![("payload".to_owned(), payload.clone())];
        for more in self.additional.iter().filter(|more| more.placement == Placement::Envelope) {
            match row.field(&more.field) {
                Some((_, field)) => fields.push((more.alias.clone(), field.clone())),
                None if self.ignores_missing => {}
                None => return Err(DataError(format!("Unable to find field {} in event", more.field))),
            }
        }
        let name = match row.name.as_deref().map(|name| (name, name.rfind('.'))) {
            Some((name, Some(dot))) => format!("{}{route}.{}", &name[..=dot], &name[dot + 1..]),
            Some((name, None)) => format!("{route}.{name}"),
            None => route.to_owned(),
        };
        let mut made = Schema { name: Some(name), ..Schema::of(SchemaKind::Struct(fields)) };
        made.version = version.and_then(|version| u32::try_from(version).ok());
        let made = Arc::new(made);
        if self.schemas.len() >= MAX_SCHEMAS {
            self.schemas.clear();
        }
        self.schemas.insert(known_by, Arc::clone(&made));
        Ok(made)
    }

    /// Puts further columns into headers, the envelope's struct and the partition.
    fn place(
        &self,
        record: &mut ConnectRecord,
        row: &Schema,
        values: &[Value],
        beside: &mut Vec<Value>,
    ) -> Result<(), DataError> {
        for more in &self.additional {
            if self.ignores_missing && row.field(&more.field).is_none() {
                continue;
            }
            match more.placement {
                Placement::Envelope => beside.push(get(row, values, &more.field)?.1),
                Placement::Header => {
                    let (field, value) = get(row, values, &more.field)?;
                    record.add_header(&more.alias, Part::new(Arc::new(field.clone()), value));
                }
                Placement::Partition => {
                    let partition = get_int(row, values, &more.field, "int32")?;
                    record.partition = partition.and_then(|partition| u32::try_from(partition).ok());
                }
            }
        }
        Ok(())
    }

    fn route(&mut self, record: ConnectRecord, envelope: &Schema, values: &[Value]) -> Applied {
        let mut record = record;
        let (row, row_values) = match get(envelope, values, "after")? {
            (row, Value::Struct(values)) => (row, values),
            (_, other) => return Err(no_struct(&other, "Read Outbox Event")),
        };
        let Some((place, payload_schema)) = row.field(&self.payload) else {
            return Err(DataError(format!("Unable to find payload field {} in event", self.payload)));
        };
        record.timestamp_ms = self.event_time((envelope, values), (row, &row_values))?;
        let Some((_, id_schema)) = row.field(&self.id) else {
            return Err(DataError(format!("Unable to find event-id field {} in event", self.id)));
        };
        let id = get(row, &row_values, &self.id)?.1;
        record.add_header("id", Part::new(Arc::new(id_schema.clone()), id));
        let raw = payload_schema.or_default(&row_values[place]);
        let payload = self.payload(payload_schema, raw, &record.topic);
        let route = get_string(row, &row_values, &self.route_by)?;
        let version = match &self.version {
            Some(field) => get_int(row, &row_values, field, "int32")?,
            None => None,
        };
        let is_empty = match &payload.value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        let with_envelope = self.additional.iter().any(|more| more.placement == Placement::Envelope);
        let mut beside = vec![payload.value.clone()];
        self.place(&mut record, row, &row_values, &mut beside)?;
        let (key_schema, key) = get(row, &row_values, &self.key)?;
        record.key = Part::new(Arc::new(key_schema.clone()), key);
        let route =
            route.ok_or_else(|| DataError(format!("field {} is null: the event has no topic", self.route_by)))?;
        record.value = if is_empty && self.tombstones {
            Part::nothing()
        } else if with_envelope {
            let of_payload = payload.schema.as_deref().unwrap_or(payload_schema);
            Part::new(self.value_schema(of_payload, row, version, &route)?, Value::Struct(beside))
        } else {
            payload
        };
        record.topic = self.topic.route(&route, &self.replacement)?.unwrap_or(route);
        Ok(Some(record))
    }
}

impl Transform for EventRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        if record.value.value.is_null() {
            return Ok(None);
        }
        if super::envelope_schema(&record.value).is_none() {
            return Ok(Some(record));
        }
        let value = std::mem::take(&mut record.value);
        let (schema, values) = require_struct(&value, "Detect Debezium Operation")?;
        match get_string(schema, values, "op")?.as_deref() {
            Some("d") => Ok(None),
            Some("u") => self.refuse_update(&record),
            _ => self.route(record, schema, values),
        }
    }
}
