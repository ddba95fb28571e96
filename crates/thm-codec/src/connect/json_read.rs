//! JSON to values, as `JsonConverter` reads it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decimal::unscaled;
use super::{Part, Value};
use crate::debezium::{Schema, SchemaKind};

/// Most schemas that are kept for one topic's keys or values: each change of a table makes one.
const MAX_KNOWN: usize = 16;

/// The text is not JSON, or not of its schema.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads values that come with their schemas. The text of a schema is parsed once, as long as it stays the same.
#[derive(Debug, Default)]
pub struct SchemaReader {
    /// Everything before the payload, and the schema in it; the last one met is at the end.
    known: Vec<(Box<str>, Option<Arc<Schema>>)>,
}

#[derive(Deserialize)]
struct Framed<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl SchemaReader {
    /// Reads `{"schema":…,"payload":…}`. No bytes are nothing.
    ///
    /// # Errors
    /// The bytes are no such thing.
    pub fn read(&mut self, bytes: Option<&[u8]>) -> Result<Part, JsonError> {
        let Some(bytes) = bytes else { return Ok(Part::nothing()) };
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError(error.to_string()))?;
        if let Some((prefix, schema)) = self.known.iter().rev().find(|(prefix, _)| text.starts_with(&**prefix)) {
            let payload = text[prefix.len()..].strip_suffix('}');
            return part(schema.clone(), payload.ok_or_else(|| JsonError("no end of a framed value".to_owned()))?);
        }
        let framed: Framed<'_> = serde_json::from_str(text)?;
        let schema = match framed.schema.get() {
            "null" => None,
            json => Some(Arc::new(parse_schema(json)?)),
        };
        let payload = framed.payload.get();
        // Only what our own writer frames is known again: its payload ends one byte before the end.
        if let Some(prefix) = text.strip_suffix('}').and_then(|text| text.strip_suffix(payload)) {
            if self.known.len() >= MAX_KNOWN {
                self.known.remove(0);
            }
            self.known.push((prefix.into(), schema.clone()));
        }
        part(schema, payload)
    }
}

fn part(schema: Option<Arc<Schema>>, payload: &str) -> Result<Part, JsonError> {
    match schema {
        Some(schema) => {
            let value = parse_value(&schema, payload)?;
            Ok(Part::new(schema, value))
        }
        None => parse_plain(payload),
    }
}

/// Reads JSON that has no schema.
///
/// # Errors
/// The text is not JSON.
pub fn parse_plain(json: &str) -> Result<Part, JsonError> {
    Ok(Part { schema: None, value: plain(serde_json::from_str(json)?) })
}

fn plain(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Boolean(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Number(number.to_string().into()),
        },
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        serde_json::Value::Object(fields) => {
            Value::Map(fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
    }
}

/// A schema as it stands in JSON.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    optional: bool,
    name: Option<String>,
    version: Option<u32>,
    doc: Option<String>,
    parameters: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(borrow)]
    default: Option<&'a RawValue>,
    #[serde(default, borrow)]
    fields: Vec<Self>,
    field: Option<String>,
    #[serde(borrow)]
    items: Option<Box<Self>>,
    #[serde(borrow)]
    keys: Option<Box<Self>>,
    #[serde(borrow)]
    values: Option<Box<Self>>,
}

/// Types that hold no others.
const PLAIN: [&str; 9] = ["int8", "int16", "int32", "int64", "float", "double", "boolean", "string", "bytes"];

/// Reads a schema.
///
/// # Errors
/// The text is not one.
pub fn parse_schema(json: &str) -> Result<Schema, JsonError> {
    schema_of(serde_json::from_str(json)?)
}

fn schema_of(written: Written<'_>) -> Result<Schema, JsonError> {
    let lacks = |what: &str| JsonError(format!("a schema of type {} without {what}", written.kind));
    let part = |of: Option<Box<Written<'_>>>, what: &str| schema_of(*of.ok_or_else(|| lacks(what))?).map(Box::new);
    let kind = match written.kind.as_str() {
        "struct" => {
            let field = |mut field: Written<'_>| {
                let name = field.field.take().ok_or_else(|| JsonError("a field without a name".to_owned()))?;
                Ok((name, schema_of(field)?))
            };
            SchemaKind::Struct(written.fields.into_iter().map(field).collect::<Result<_, JsonError>>()?)
        }
        "array" => SchemaKind::Array(part(written.items, "items")?),
        "map" => SchemaKind::Map(part(written.keys, "keys")?, part(written.values, "values")?),
        other => {
            let known = PLAIN.iter().find(|known| **known == other);
            SchemaKind::Plain(known.ok_or_else(|| JsonError(format!("unknown schema type {other}")))?)
        }
    };
    let parameter = |(name, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(text) => (name, text),
        other => (name, other.to_string()),
    };
    Ok(Schema {
        kind,
        optional: written.optional,
        name: written.name,
        version: written.version,
        doc: written.doc,
        parameters: written.parameters.into_iter().flatten().map(parameter).collect(),
        default: written.default.map(|json| json.get().as_bytes().to_vec()),
    })
}

/// Reads a value of a schema.
///
/// # Errors
/// The text is not JSON of that schema.
pub fn parse_value(schema: &Schema, json: &str) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = Of(schema).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// An element of an array. One of several dimensions has the schema of one dimension, as Debezium gives it.
fn element_of(element: &Schema, json: &str) -> Result<Value, JsonError> {
    if !json.starts_with('[') {
        return parse_value(element, json);
    }
    let items: Vec<&RawValue> = serde_json::from_str(json)?;
    let items = items.into_iter().map(|item| element_of(element, item.get()));
    items.collect::<Result<_, _>>().map(Value::Array)
}

/// Reads what is of that schema.
struct Of<'a>(&'a Schema);

impl<'de> DeserializeSeed<'de> for Of<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        match &self.0.kind {
            SchemaKind::Plain("string") => {
                Ok(Option::<String>::deserialize(reader)?.map_or(Value::Null, Value::String))
            }
            SchemaKind::Plain("bytes") if self.0.decimal_scale().is_some() => {
                let text = <&RawValue>::deserialize(reader)?.get();
                decimal(self.0, text).map_err(de::Error::custom)
            }
            SchemaKind::Plain("bytes") => match Option::<Cow<'de, str>>::deserialize(reader)? {
                None => Ok(Value::Null),
                Some(text) => STANDARD.decode(&*text).map(Value::Bytes).map_err(de::Error::custom),
            },
            SchemaKind::Plain(kind) => {
                let text = <&RawValue>::deserialize(reader)?.get();
                scalar(kind, text).ok_or_else(|| de::Error::custom(format!("`{text}` is no {kind}")))
            }
            _ => reader.deserialize_option(self),
        }
    }
}

/// A decimal: base64 of its bytes, or a number (`decimal.format=NUMERIC`), whichever it is.
fn decimal(schema: &Schema, text: &str) -> Result<Value, String> {
    if text == "null" {
        return Ok(Value::Null);
    }
    if text.starts_with('"') {
        let text: Cow<'_, str> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        return STANDARD.decode(&*text).map(Value::Bytes).map_err(|error| error.to_string());
    }
    let scale = schema.decimal_scale().unwrap_or_default();
    let bytes = unscaled(text, i64::from(scale));
    bytes.map(Value::Bytes).ok_or_else(|| format!("`{text}` is no decimal of scale {scale}"))
}

fn scalar(kind: &str, text: &str) -> Option<Value> {
    Some(match (kind, text) {
        (_, "null") => Value::Null,
        ("boolean", text) => Value::Boolean(text.parse().ok()?),
        // The shortest digits of a float are not those of a double.
        ("float", text) => Value::Float(text.trim_matches('"').parse::<f32>().ok()?.into()),
        ("double", text) => Value::Float(text.trim_matches('"').parse().ok()?),
        (_, text) => Value::Int(text.parse().ok()?),
    })
}

impl<'de> Visitor<'de> for Of<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", self.0.type_name())
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        match &self.0.kind {
            SchemaKind::Array(_) => reader.deserialize_seq(self),
            _ => reader.deserialize_map(self),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let SchemaKind::Array(element) = &self.0.kind else { return Err(de::Error::custom("an array")) };
        let mut found = Vec::with_capacity(items.size_hint().unwrap_or_default());
        if matches!(element.kind, SchemaKind::Plain(_)) {
            while let Some(item) = items.next_element::<&'de RawValue>()? {
                found.push(element_of(element, item.get()).map_err(de::Error::custom)?);
            }
        } else {
            while let Some(item) = items.next_element_seed(Of(element))? {
                found.push(item);
            }
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        if let SchemaKind::Map(_, values) = &self.0.kind {
            let mut found = Vec::new();
            while let Some(name) = entries.next_key::<String>()? {
                found.push((name, entries.next_value_seed(Of(values))?));
            }
            return Ok(Value::Map(found));
        }
        let fields = self.0.struct_fields();
        let mut found = vec![Value::Null; fields.len()];
        let mut expected = 0;
        while let Some(name) = entries.next_key::<Cow<'de, str>>()? {
            // Fields come in the order of the schema, unless somebody else wrote them.
            let in_turn = fields.get(expected).is_some_and(|(field, _)| *field == *name);
            let place = if in_turn { Some(expected) } else { self.0.field(&name).map(|(place, _)| place) };
            match place {
                Some(place) => {
                    found[place] = entries.next_value_seed(Of(&fields[place].1))?;
                    expected = place + 1;
                }
                None => {
                    entries.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Struct(found))
    }
}
