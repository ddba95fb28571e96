//! Header values to text and back, as Connect's `SimpleHeaderConverter` has them.

use std::sync::Arc;

use thm_codec::connect::{Part, Value, parse_plain, write_big_decimal};
use thm_codec::debezium::{Schema, SchemaKind};
use thm_codec::java_json::{write_f32, write_f64};
use thm_codec::java_text::write_java_date;

/// The bytes of a header; none for NULL.
pub(super) fn write(part: &Part) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match &part.value {
        Value::Null => return None,
        value => append(&mut out, part.schema.as_deref(), value, false),
    }
    Some(out)
}

fn append(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, embedded: bool) {
    let quote = |out: &mut Vec<u8>, text: &str| {
        if embedded {
            out.push(b'"');
            out.extend_from_slice(text.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    };
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int(value) => match schema.and_then(|schema| schema.java_millis(*value)) {
            Some(millis) => write_java_date(out, millis),
            None => out.extend_from_slice(value.to_string().as_bytes()),
        },
        Value::Number(text) => out.extend_from_slice(text.as_bytes()),
        Value::Float(value) => {
            let mut text = Vec::new();
            match schema.map(Schema::type_name) {
                Some("float") => write_f32(&mut text, *value as f32),
                _ => write_f64(&mut text, *value),
            }
            out.extend(text.into_iter().filter(|byte| *byte != b'"'));
        }
        Value::String(text) => quote(out, text),
        Value::Bytes(bytes) => {
            if let Some(scale) = schema.and_then(Schema::decimal_scale) {
                return write_big_decimal(out, bytes, scale);
            }
            let mut text = Vec::new();
            thm_codec::debezium::write_base64(&mut text, bytes);
            quote(out, &String::from_utf8(text).unwrap_or_default());
        }
        Value::Array(items) => {
            let element = match schema.map(|schema| &schema.kind) {
                Some(SchemaKind::Array(element)) => Some(&**element),
                _ => None,
            };
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                append(out, element, item, true);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            append_entries(out, entries.iter().map(|(name, value)| (name.as_str(), None, value)));
        }
        Value::Struct(values) => {
            let fields = schema.map(Schema::struct_fields).unwrap_or_default().iter().zip(values);
            append_entries(out, fields.map(|((name, field), value)| (name.as_str(), Some(field), value)));
        }
    }
}

fn append_entries<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a str, Option<&'a Schema>, &'a Value)>) {
    out.push(b'{');
    for (place, (name, schema, value)) in entries.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        append(out, None, &Value::String(name.to_owned()), true);
        out.push(b':');
        let value = schema.map_or_else(|| value.clone(), |schema| schema.or_default(value));
        append(out, schema, &value, true);
    }
    out.push(b'}');
}

/// What the bytes of a header are taken for: text, unless they are none.
pub(super) fn read(bytes: Option<&[u8]>) -> Part {
    match bytes.map(std::str::from_utf8) {
        None => Part::nothing(),
        Some(Ok(text)) => Part::text(text),
        Some(Err(_)) => {
            let bytes = bytes.unwrap_or_default().to_vec();
            Part::new(Arc::new(Schema::plain("bytes")), Value::Bytes(bytes))
        }
    }
}

/// The value that a text stands for: a truth value, number, list, map or text.
pub(super) fn parse(text: &str) -> Part {
    let schema = |kind| Some(Arc::new(Schema::plain(kind)));
    match parse_plain(text.trim()) {
        Ok(Part { value: value @ (Value::Array(_) | Value::Map(_) | Value::Null), .. }) => Part { schema: None, value },
        Ok(Part { value: value @ Value::Boolean(_), .. }) => Part { schema: schema("boolean"), value },
        Ok(Part { value: value @ Value::Int(_), .. }) => Part { schema: schema("int64"), value },
        Ok(Part { value: value @ Value::Number(_), .. }) => Part { schema: schema("double"), value },
        Ok(Part { value: Value::String(text), .. }) => Part::text(text),
        _ => Part::text(text),
    }
}
