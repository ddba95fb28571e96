//! `DecodeLogicalDecodingMessageContent`: the JSON in a logical message as the row of a create event.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::json_document::JsonDocument;
use super::record::{Applied, ConnectRecord, DataError, get, no_struct, require_struct};
use super::settings::Settings;

const MESSAGE: &str = "io.debezium.connector.postgresql.MessageValue";

struct DecodeLogicalMessage(JsonDocument);

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let keep_nulls = settings.flag("fields.null.include", false);
    Ok(Box::new(DecodeLogicalMessage(JsonDocument { keep_nulls, ..JsonDocument::default() })))
}

impl DecodeLogicalMessage {
    fn content(&self, schema: &Schema, values: &[Value]) -> Result<Part, DataError> {
        let (of, message) = get(schema, values, "message")?;
        let Value::Struct(parts) = &message else {
            return Err(no_struct(&message, "Retrieve content of a logical decoding message"));
        };
        let (of, content) = get(of, parts, "content")?;
        if of.type_name() != "bytes" {
            return Err(DataError::new("The content of a logical decoding message is non-binary"));
        }
        let Value::Bytes(bytes) = content else {
            return Err(DataError::new("The content of a logical decoding message is null"));
        };
        let text = String::from_utf8_lossy(&bytes);
        let unreadable =
            |why: &str| DataError(format!("Unable to parse logical decoding message content JSON string: {why}"));
        if !text.starts_with(['{', '[']) {
            return Err(unreadable("it is neither an object nor an array"));
        }
        let part = self.0.read(&text, None).map_err(|why| unreadable(&why))?;
        match part.value {
            Value::Struct(_) => Ok(part),
            other => Err(no_struct(&other, "Retrieve content of a logical decoding message")),
        }
    }
}

impl Transform for DecodeLogicalMessage {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        if record.value.schema.as_ref().and_then(|schema| schema.name.as_deref()) != Some(MESSAGE) {
            return Ok(Some(record));
        }
        let (schema, values) = require_struct(&record.value, "Retrieve a record value")?;
        let content = self.content(schema, values)?;
        let (mut fields, mut changed) = (Vec::new(), Vec::new());
        for ((name, field), value) in schema.struct_fields().iter().zip(values) {
            match name.as_str() {
                "message" => continue,
                "op" => changed.push(Value::String("c".to_owned())),
                _ => changed.push(value.clone()),
            }
            fields.push((name.clone(), field.clone()));
        }
        let row = content.schema.as_deref().cloned().unwrap_or_else(|| Schema::plain("string"));
        fields.push(("after".to_owned(), row));
        changed.push(content.value);
        let name = Some(format!("{MESSAGE}.Envelope"));
        let schema = Schema { name, ..Schema::of(SchemaKind::Struct(fields)) };
        record.value = Part::new(Arc::new(schema), Value::Struct(changed));
        record.key = Part::nothing();
        Ok(Some(record))
    }
}
