//! `MaskField`: hides values behind the zero of their type, or behind a replacement.

use thm_codec::connect::Value;
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Side, put, require_map, require_struct, with_defaults};
use super::settings::Settings;

const PURPOSE: &str = "mask fields";

struct MaskField {
    side: Side,
    fields: Vec<String>,
    replacement: Option<String>,
    defaults: bool,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let (fields, replacement) = (settings.required_list("fields"), settings.given("replacement"));
    let defaults = settings.flag("replace.null.with.default", true);
    Ok(Box::new(MaskField { side, fields, replacement, defaults }))
}

impl MaskField {
    fn masked(&self, schema: Option<&Schema>, value: &Value) -> Result<Value, DataError> {
        match &self.replacement {
            _ if value.is_null() => Ok(Value::Null),
            None => zero(value),
            Some(text) => replaced(schema, value, text),
        }
    }
}

fn zero(value: &Value) -> Result<Value, DataError> {
    Ok(match value {
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int(_) => Value::Int(0),
        Value::Float(_) | Value::Number(_) => Value::Float(0.0),
        Value::String(_) => Value::String(String::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        // A decimal of any scale.
        Value::Bytes(_) => Value::Bytes(vec![0]),
        other => return Err(DataError(format!("Cannot mask value of type: class {}", other.java_class()))),
    })
}

fn replaced(schema: Option<&Schema>, value: &Value, text: &str) -> Result<Value, DataError> {
    let no_number = || DataError(format!("Unable to convert {text} (class java.lang.String) to number"));
    let bits = match schema.map(|schema| &schema.kind) {
        Some(SchemaKind::Plain("int8")) => 8,
        Some(SchemaKind::Plain("int16")) => 16,
        Some(SchemaKind::Plain("int32")) => 32,
        _ => 64,
    };
    match value {
        Value::Int(_) => {
            let number: i64 = text.parse().map_err(|_| no_number())?;
            let fits = bits == 64 || (-(1_i64 << (bits - 1))..1_i64 << (bits - 1)).contains(&number);
            if fits { Ok(Value::Int(number)) } else { Err(no_number()) }
        }
        Value::Float(_) | Value::Number(_) => text.parse().map(Value::Float).map_err(|_| no_number()),
        Value::String(_) => Ok(Value::String(text.to_owned())),
        other => {
            Err(DataError(format!("Cannot mask value of type class {} with custom replacement.", other.java_class())))
        }
    }
}

/// Bytes that are no number have no zero.
fn check_bytes(schema: &Schema, value: &Value) -> Result<(), DataError> {
    let decimal = schema.name.as_deref() == Some("org.apache.kafka.connect.data.Decimal");
    match value {
        Value::Bytes(_) if !decimal => {
            Err(DataError("Cannot mask value of type: class java.nio.HeapByteBuffer".to_owned()))
        }
        _ => Ok(()),
    }
}

impl Transform for MaskField {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        if part.schema.is_some() {
            let (schema, values) = require_struct(part, PURPOSE)?;
            let mut values = with_defaults(schema, values, self.defaults);
            for (value, (name, field)) in values.iter_mut().zip(schema.struct_fields()) {
                if self.fields.contains(name) {
                    check_bytes(field, value)?;
                    *value = self.masked(Some(field), value)?;
                }
            }
            record.part_mut(self.side).value = Value::Struct(values);
            return Ok(Some(record));
        }
        let entries = require_map(&mut record.part_mut(self.side).value, PURPOSE)?;
        for name in &self.fields {
            let old = entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let masked = self.masked(None, &old.unwrap_or_default())?;
            put(entries, name, masked);
        }
        Ok(Some(record))
    }
}
