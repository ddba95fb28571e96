//! A JSON text as a struct of its own schema, as Debezium makes one of a payload.
//!
//! ```text
//!   {"id":42,"items":[1,2],"none":null} ──▶ struct { id: int32, items: array of int32 }, all optional
//! ```
//! An array's elements must be of one type; the fields of structs in an array are joined.

use std::sync::Arc;

use serde_json::Value as Json;
use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Adjust, Schema, SchemaKind};

/// How a document becomes a struct.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JsonDocument {
    /// A null keeps its field, as optional bytes; else the field is left out.
    pub(super) keep_nulls: bool,
    /// An empty array keeps its field, as an array of optional texts; else the field is left out.
    pub(super) keep_empty_arrays: bool,
    /// `field.name.adjustment.mode`
    pub(super) names: Adjust,
}

impl JsonDocument {
    /// Reads an object or array; `name` names its schema. The error is one line.
    pub(super) fn read(&self, text: &str, name: Option<&str>) -> Result<Part, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let schema = self.schema(name, &json)?.ok_or("the document has no schema")?;
        let value = self.value(&schema, &json)?;
        Ok(Part::new(Arc::new(schema), value))
    }

    /// The schema of a node; none where its field is left out.
    fn schema(&self, name: Option<&str>, node: &Json) -> Result<Option<Schema>, String> {
        let plain = |kind| Schema::plain(kind).or_null();
        Ok(Some(match node {
            Json::Null if self.keep_nulls => plain("bytes"),
            Json::Null => return Ok(None),
            Json::Bool(_) => plain("boolean"),
            Json::Number(number) => plain(number_kind(number)),
            Json::String(_) => plain("string"),
            Json::Array(items) if items.is_empty() => {
                if !self.keep_empty_arrays {
                    return Ok(None);
                }
                Schema::of(SchemaKind::Array(Box::new(plain("string")))).or_null()
            }
            Json::Array(items) => Schema::of(SchemaKind::Array(Box::new(self.element(name, items)?))).or_null(),
            Json::Object(entries) => {
                let mut fields: Vec<(String, Schema)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let field = self.names.field(key);
                    let full = name.filter(|name| !name.trim().is_empty()).map(|name| format!("{name}.{field}"));
                    let schema = self.schema(Some(full.as_deref().unwrap_or(&field)), value)?;
                    if let Some(schema) = schema
                        && !fields.iter().any(|(known, _)| *known == field)
                    {
                        fields.push((field, schema));
                    }
                }
                Schema { name: name.map(str::to_owned), ..Schema::of(SchemaKind::Struct(fields)) }.or_null()
            }
        }))
    }

    /// The one schema of an array's elements.
    fn element(&self, name: Option<&str>, items: &[Json]) -> Result<Schema, String> {
        let mut known = items.iter().filter(|item| !item.is_null());
        let sample = known.next().unwrap_or(&Json::Null);
        for item in known {
            let same = match (sample, item) {
                (Json::Number(a), Json::Number(b)) => number_kind(a) == number_kind(b),
                (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
            };
            if !same {
                return Err("Field is not a homogenous array".to_owned());
            }
        }
        if !sample.is_object() {
            let schema = self.schema(None, sample)?;
            return schema.ok_or_else(|| "Array has unrecognized member schema.".to_owned());
        }
        let mut joined: Option<Schema> = None;
        for item in items.iter().filter(|item| item.is_object()) {
            let Some(schema) = self.schema(name, item)? else { continue };
            match &mut joined {
                None => joined = Some(schema),
                Some(joined) => join(joined, schema),
            }
        }
        joined.ok_or_else(|| "Array has unrecognized member schema.".to_owned())
    }

    fn value(&self, schema: &Schema, node: &Json) -> Result<Value, String> {
        let wrong = || format!("a value is not of type {}", schema.type_name());
        Ok(match (node, &schema.kind) {
            (Json::Null, _) => Value::Null,
            (Json::Bool(value), SchemaKind::Plain("boolean")) => Value::Boolean(*value),
            (Json::String(text), SchemaKind::Plain("string")) => Value::String(text.clone()),
            (Json::Number(number), SchemaKind::Plain(kind)) if number_kind(number) == *kind => match *kind {
                // A whole number beyond 64 bits fits no type of Connect's.
                "double" if is_whole(number) => return Err(wrong()),
                "double" => Value::Float(number.as_f64().ok_or_else(wrong)?),
                _ => Value::Int(number.as_i64().ok_or_else(wrong)?),
            },
            (Json::Array(items), SchemaKind::Array(element)) => {
                Value::Array(items.iter().map(|item| self.value(element, item)).collect::<Result<_, _>>()?)
            }
            (Json::Object(entries), SchemaKind::Struct(fields)) => {
                let value = |(name, field): &(String, Schema)| {
                    let found = entries.iter().find(|(key, _)| self.names.field(key) == *name);
                    found.map_or(Ok(Value::Null), |(_, node)| self.value(field, node))
                };
                Value::Struct(fields.iter().map(value).collect::<Result<_, _>>()?)
            }
            _ => return Err(wrong()),
        })
    }
}

/// Adds the fields of another struct; one that was only ever null takes the other's type.
fn join(into: &mut Schema, from: Schema) {
    let (SchemaKind::Struct(fields), SchemaKind::Struct(more)) = (&mut into.kind, from.kind) else { return };
    for (name, schema) in more {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            None => fields.push((name, schema)),
            Some((_, known)) if known.type_name() == "bytes" && schema.type_name() != "bytes" => *known = schema,
            Some(_) => {}
        }
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    !number.to_string().contains(['.', 'e', 'E'])
}

fn number_kind(number: &serde_json::Number) -> &'static str {
    match number.as_i64().filter(|_| is_whole(number)) {
        Some(number) if i32::try_from(number).is_ok() => "int32",
        Some(_) => "int64",
        None => "double",
    }
}
