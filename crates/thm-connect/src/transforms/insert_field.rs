//! `InsertField`: fields of a record's metadata, or of a constant text.

use std::sync::Arc;

use thm_codec::connect::Value;
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, put, require_map, require_struct, with_defaults};
use super::settings::Settings;

const PURPOSE: &str = "field insertion";

/// What a field shows.
#[derive(Clone, Debug)]
enum Origin {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Text(String),
}

/// A field to insert.
#[derive(Clone, Debug)]
struct Insertion {
    name: String,
    optional: bool,
    origin: Origin,
}

impl Insertion {
    /// `name`, `name?` (optional, as without a mark) or `name!` (required).
    fn new(text: &str, origin: Origin) -> Self {
        let (name, optional) = match text.strip_suffix('!') {
            Some(name) => (name, false),
            None => (text.strip_suffix('?').unwrap_or(text), true),
        };
        Self { name: name.to_owned(), optional, origin }
    }

    fn schema(&self) -> Schema {
        let schema = match &self.origin {
            Origin::Topic | Origin::Text(_) => Schema::plain("string"),
            Origin::Partition => Schema::plain("int32"),
            Origin::Offset => Schema::plain("int64"),
            Origin::Timestamp => Schema::plain("int64").named("org.apache.kafka.connect.data.Timestamp", 1),
        };
        Schema { optional: self.optional, ..schema }
    }

    /// The value; none where the record has no such thing.
    fn value(&self, record: &ConnectRecord) -> Result<Option<Value>, DataError> {
        Ok(match &self.origin {
            Origin::Topic => Some(Value::String(record.topic.clone())),
            Origin::Partition => record.partition.map(|partition| Value::Int(partition.into())),
            Origin::Offset => {
                let offset = record.offset.ok_or_else(|| {
                    DataError(format!(
                        "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                    ))
                })?;
                Some(Value::Int(offset))
            }
            Origin::Timestamp => record.timestamp_ms.map(Value::Int),
            Origin::Text(text) => Some(Value::String(text.clone())),
        })
    }
}

/// Inserts fields into keys or values.
pub(super) struct InsertField {
    side: Side,
    insertions: Vec<Insertion>,
    defaults: bool,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let mut insertions = Vec::new();
    let origins = [
        ("topic.field", Origin::Topic),
        ("partition.field", Origin::Partition),
        ("offset.field", Origin::Offset),
        ("timestamp.field", Origin::Timestamp),
    ];
    for (option, origin) in origins {
        insertions.extend(settings.given(option).map(|text| Insertion::new(&text, origin)));
    }
    let (name, value) = (settings.given("static.field"), settings.given("static.value"));
    let defaults = settings.flag("replace.null.with.default", true);
    match (name, value) {
        (Some(name), Some(value)) => insertions.push(Insertion::new(&name, Origin::Text(value))),
        (Some(name), None) => {
            return Err(format!(
                "Invalid value null for configuration static.value: No value specified for static field: {name}"
            ));
        }
        (None, _) => {}
    }
    if insertions.is_empty() {
        return Err("No field insertion configured".to_owned());
    }
    Ok(Box::new(InsertField { side, insertions, defaults, schemas: Made::default() }))
}

impl InsertField {
    /// A constant text in values, as other transforms use it.
    pub(super) fn constant(name: &str, value: &str, defaults: bool) -> Self {
        let insertions = vec![Insertion::new(name, Origin::Text(value.to_owned()))];
        Self { side: Side::Value, insertions, defaults, schemas: Made::default() }
    }
}

impl Transform for InsertField {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        if part.value.is_null() {
            return Ok(Some(record));
        }
        let inserted = self.insertions.iter().map(|insertion| insertion.value(&record));
        let inserted = inserted.collect::<Result<Vec<_>, _>>()?;
        let Some(known) = &part.schema else {
            let entries = require_map(&mut record.part_mut(self.side).value, PURPOSE)?;
            for (insertion, value) in self.insertions.iter().zip(inserted) {
                if let Some(value) = value {
                    put(entries, &insertion.name, value);
                }
            }
            return Ok(Some(record));
        };
        let (schema, values) = require_struct(part, PURPOSE)?;
        let mut values = with_defaults(schema, values, self.defaults);
        values.extend(inserted.into_iter().map(Option::unwrap_or_default));
        let insertions = &self.insertions;
        let made = self.schemas.of(known, |schema| {
            let mut fields = schema.struct_fields().to_vec();
            for insertion in insertions {
                if fields.iter().any(|(name, _)| *name == insertion.name) {
                    return Err(DataError(format!(
                        "Cannot create field because of field name duplication {}",
                        insertion.name
                    )));
                }
                fields.push((insertion.name.clone(), insertion.schema()));
            }
            Ok(Arc::new(schema.basics(SchemaKind::Struct(fields))))
        })?;
        let part = record.part_mut(self.side);
        (part.schema, part.value) = (Some(made), Value::Struct(values));
        Ok(Some(record))
    }
}
