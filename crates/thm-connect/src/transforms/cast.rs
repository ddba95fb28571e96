//! `Cast`: fields, or a whole key or value, as another type.

use std::sync::Arc;

use thm_codec::connect::{JsonForm, Part, Value, write_big_decimal, write_decimal, write_value};
use thm_codec::debezium::{Schema, SchemaKind, write_base64};
use thm_codec::java_json::{write_f32, write_f64};

use super::Transform;
use super::java_date::logical_text;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, put, require_map, require_struct, with_defaults};
use super::settings::Settings;

const PURPOSE: &str = "cast types";

/// What can be cast to: Connect's name in options and its name in schemas.
const TARGETS: [(&str, &str); 8] = [
    ("int8", "int8"),
    ("int16", "int16"),
    ("int32", "int32"),
    ("int64", "int64"),
    ("float32", "float"),
    ("float64", "double"),
    ("boolean", "boolean"),
    ("string", "string"),
];

struct Cast {
    side: Side,
    whole: Option<&'static str>,
    fields: Vec<(String, &'static str)>,
    defaults: bool,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    settings.required("spec");
    let spec = settings.list("spec");
    let shown = format!("[{}]", spec.join(", "));
    let (mut whole, mut fields) = (None, Vec::new());
    if spec.is_empty() && settings.issues.is_empty() {
        settings.issue("spec", "[]", "Must specify at least one field to cast.");
    }
    for entry in &spec {
        let parts: Vec<_> = entry.split(':').map(str::trim).collect();
        let (field, target) = match parts[..] {
            [target] => (None, target),
            [field, target] => (Some(field), target),
            _ => {
                settings.issue("spec", &shown, &format!("Invalid rename mapping: {entry}"));
                continue;
            }
        };
        match (TARGETS.iter().find(|(name, _)| name.eq_ignore_ascii_case(target)), field) {
            (Some((_, kind)), Some(field)) => fields.push((field.to_owned(), *kind)),
            (Some((_, kind)), None) => whole = Some(*kind),
            (None, _) if ["bytes", "array", "map", "struct"].iter().any(|known| known.eq_ignore_ascii_case(target)) => {
                let known: Vec<_> = TARGETS.iter().map(|(name, _)| name.to_uppercase()).collect();
                let target = target.to_uppercase();
                let problem = format!(
                    "Cast transformation does not support casting to {target}; supported types are [{}]",
                    known.join(", ")
                );
                settings.issue("spec", &shown, &problem);
            }
            (None, _) => {
                settings.issue("spec", &shown, &format!("Invalid type found in casting spec: {target}"));
            }
        }
    }
    if whole.is_some() && spec.len() > 1 {
        let problem = "Cast transformations that specify a type to cast the entire value to may only specify a single \
                       cast in their spec";
        settings.issue("spec", &shown, problem);
    }
    let defaults = settings.flag("replace.null.with.default", true);
    Ok(Box::new(Cast { side, whole, fields, defaults, schemas: Made::default() }))
}

impl Cast {
    fn target(&self, field: &str) -> Option<&'static str> {
        self.fields.iter().rev().find(|(name, _)| name == field).map(|(_, kind)| *kind)
    }

    fn made(&self, schema: &Schema) -> Result<Arc<Schema>, DataError> {
        let mut made = match self.whole {
            Some(kind) => schema.basics(SchemaKind::Plain(kind)),
            None => {
                let field = |(name, field): &(String, Schema)| {
                    let Some(kind) = self.target(name) else { return Ok((name.clone(), field.clone())) };
                    let mut made = Schema { optional: field.optional, ..Schema::plain(kind) };
                    made.default = cast_default(field, kind)?;
                    Ok((name.clone(), made))
                };
                let fields = schema.struct_fields().iter().map(field).collect::<Result<_, DataError>>()?;
                schema.basics(SchemaKind::Struct(fields))
            }
        };
        made.optional = schema.optional;
        if let Some(kind) = self.whole {
            made.default = cast_default(schema, kind)?;
        }
        Ok(Arc::new(made))
    }
}

fn cast_default(schema: &Schema, kind: &'static str) -> Result<Option<Vec<u8>>, DataError> {
    let Some(value) = schema.default_value() else { return Ok(None) };
    let value = cast(Some(schema), &value, kind)?;
    let mut json = Vec::new();
    write_value(&mut json, Some(&Schema::plain(kind)), &value, JsonForm::default());
    Ok(Some(json))
}

/// A value as another type.
fn cast(schema: Option<&Schema>, value: &Value, kind: &str) -> Result<Value, DataError> {
    let name = schema.and_then(|schema| schema.name.as_deref()).unwrap_or_default();
    let decimal = name == "org.apache.kafka.connect.data.Decimal";
    let given = value;
    let text;
    let value = match value {
        Value::Null => return Ok(Value::Null),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            let of = schema.map_or("map", Schema::type_name).to_uppercase();
            return Err(DataError(format!(
                "Cast transformation does not support casting from {of}; supported types are [INT8, INT16, INT32, INT64, \
                 FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]"
            )));
        }
        Value::Bytes(bytes) if decimal => {
            text = Value::Number(decimal_text(schema, bytes).into());
            &text
        }
        other => other,
    };
    if kind == "string" {
        if let (Value::Bytes(bytes), Some(scale)) = (given, schema.and_then(Schema::decimal_scale)) {
            let mut text = Vec::new();
            write_big_decimal(&mut text, bytes, scale);
            return Ok(Value::String(String::from_utf8_lossy(&text).into_owned()));
        }
        return Ok(Value::String(to_text(schema, value)));
    }
    let out_of_range =
        || DataError(format!("Value ({}) was out of range for requested data type", to_text(schema, value)));
    Ok(match (kind, value) {
        (_, Value::Bytes(_)) => {
            return Err(DataError("Unexpected type in Cast transformation: class java.nio.HeapByteBuffer".to_owned()));
        }
        ("boolean", Value::Boolean(value)) => Value::Boolean(*value),
        ("boolean", Value::String(text)) => Value::Boolean(text.eq_ignore_ascii_case("true")),
        ("boolean", number) => Value::Boolean(to_long(number) != 0),
        ("float" | "double", Value::String(text)) => {
            // Java reads the words that it prints.
            Value::Float(text.trim().parse().map_err(|_| out_of_range())?)
        }
        ("float", number) => Value::Float(f64::from(to_double(number) as f32)),
        ("double", number) => Value::Float(to_double(number)),
        (kind, Value::String(text)) => {
            let number: i64 = text.parse().map_err(|_| out_of_range())?;
            if narrowed(kind, number) == number { Value::Int(number) } else { return Err(out_of_range()) }
        }
        // A real number becomes an int first, and that loses its upper bits.
        (kind @ ("int8" | "int16" | "int32"), Value::Float(number)) => {
            Value::Int(narrowed(kind, (*number as i32).into()))
        }
        (kind, number) => Value::Int(narrowed(kind, to_long(number))),
    })
}

/// As Java narrows: the lower bits stay.
const fn narrowed(kind: &str, number: i64) -> i64 {
    match kind.as_bytes() {
        b"int8" => number as i8 as i64,
        b"int16" => number as i16 as i64,
        b"int32" => number as i32 as i64,
        _ => number,
    }
}

fn to_long(value: &Value) -> i64 {
    match value {
        Value::Boolean(value) => i64::from(*value),
        Value::Int(number) => *number,
        Value::Float(number) => *number as i64,
        // What stands before the point, its lower 64 bits.
        Value::Number(text) => {
            let digits = text.trim_start_matches('-').bytes().take_while(u8::is_ascii_digit);
            let number = digits.fold(0_u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
            if text.starts_with('-') { (number as i64).wrapping_neg() } else { number as i64 }
        }
        _ => 0,
    }
}

fn to_double(value: &Value) -> f64 {
    match value {
        Value::Boolean(value) => f64::from(u8::from(*value)),
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Number(text) => text.parse().unwrap_or_default(),
        _ => 0.0,
    }
}

fn decimal_text(schema: Option<&Schema>, bytes: &[u8]) -> String {
    let scale = schema.and_then(|schema| schema.parameters.iter().find(|(name, _)| name == "scale"));
    let mut text = String::new();
    write_decimal(&mut text, bytes, scale.and_then(|(_, scale)| scale.parse().ok()).unwrap_or_default());
    text
}

fn to_text(schema: Option<&Schema>, value: &Value) -> String {
    let mut out = Vec::new();
    match value {
        Value::String(text) => return text.clone(),
        Value::Number(text) => return text.to_string(),
        Value::Boolean(value) => return value.to_string(),
        Value::Int(number) => {
            return logical_text(schema.and_then(|schema| schema.name.as_deref()), *number)
                .unwrap_or_else(|| number.to_string());
        }
        Value::Float(number) if schema.is_some_and(|schema| schema.type_name() == "float") => {
            write_f32(&mut out, *number as f32);
        }
        Value::Float(number) => write_f64(&mut out, *number),
        Value::Bytes(bytes) => write_base64(&mut out, bytes),
        _ => {}
    }
    String::from_utf8(out).unwrap_or_default().trim_matches('"').to_owned()
}

impl Transform for Cast {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        if part.value.is_null() {
            return Ok(Some(record));
        }
        let Some(known) = &part.schema else {
            let part = record.part_mut(self.side);
            if let Some(kind) = self.whole {
                part.value = cast(None, &part.value, kind)?;
                return Ok(Some(record));
            }
            let entries = require_map(&mut part.value, PURPOSE)?;
            for (name, kind) in &self.fields {
                let old = entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                let new = cast(None, &old.unwrap_or_default(), kind)?;
                put(entries, name, new);
            }
            return Ok(Some(record));
        };
        let mut schemas = std::mem::take(&mut self.schemas);
        let made = schemas.of(known, |schema| self.made(schema));
        self.schemas = schemas;
        let value = match self.whole {
            Some(kind) => cast(Some(known), &part.value, kind)?,
            None => {
                let (schema, values) = require_struct(part, PURPOSE)?;
                let mut values = with_defaults(schema, values, self.defaults);
                for (value, (name, field)) in values.iter_mut().zip(schema.struct_fields()) {
                    if let Some(kind) = self.target(name) {
                        *value = cast(Some(field), value, kind)?;
                    }
                }
                Value::Struct(values)
            }
        };
        *record.part_mut(self.side) = Part::new(made?, value);
        Ok(Some(record))
    }
}
