//! What a transform gets and gives: one record with the schemas of its parts.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::Schema;

/// A record cannot be transformed; the text is what Connect's own transform says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DataError(pub(crate) String);

impl DataError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What becomes of a record: another one, nothing, or a failure.
pub(crate) type Applied = Result<Option<ConnectRecord>, DataError>;

/// A header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) part: Part,
}

/// Which half of a record a transform works on: classes end in `$Key` or `$Value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Key,
    Value,
}

/// A record on its way through transforms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConnectRecord {
    pub(crate) topic: String,
    /// The partition; none where the producer chooses it.
    pub(crate) partition: Option<u32>,
    pub(crate) key: Part,
    pub(crate) value: Part,
    pub(crate) headers: Vec<Header>,
    /// Milliseconds since 1970; none where a source leaves it to the producer, as Debezium does.
    pub(crate) timestamp_ms: Option<i64>,
    /// Where it stands; none before it is in a topic.
    pub(crate) offset: Option<i64>,
}

impl ConnectRecord {
    pub(crate) const fn part(&self, side: Side) -> &Part {
        match side {
            Side::Key => &self.key,
            Side::Value => &self.value,
        }
    }

    pub(crate) const fn part_mut(&mut self, side: Side) -> &mut Part {
        match side {
            Side::Key => &mut self.key,
            Side::Value => &mut self.value,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&Header> {
        self.headers.iter().find(|header| header.name == name)
    }

    pub(crate) fn add_header(&mut self, name: &str, part: Part) {
        self.headers.push(Header { name: name.to_owned(), part });
    }
}

/// The fields of a struct with their schema.
pub(crate) fn require_struct<'a>(part: &'a Part, purpose: &str) -> Result<(&'a Schema, &'a [Value]), DataError> {
    match (&part.schema, &part.value) {
        (Some(schema), Value::Struct(values)) => Ok((schema, values)),
        (_, other) => Err(no_struct(other, purpose)),
    }
}

/// What a value that is no struct is refused with.
pub(crate) fn no_struct(value: &Value, purpose: &str) -> DataError {
    DataError(format!("Only Struct objects supported for [{purpose}], found: {}", value.java_class()))
}

/// The entries of a value without a schema.
pub(crate) fn require_map<'a>(value: &'a mut Value, purpose: &str) -> Result<&'a mut Vec<(String, Value)>, DataError> {
    match value {
        Value::Map(entries) => Ok(entries),
        other => Err(DataError(format!(
            "Only Map objects supported in absence of schema for [{purpose}], found: {}",
            other.java_class()
        ))),
    }
}

/// Puts an entry into a map, in its old place if it has one.
pub(crate) fn put(entries: &mut Vec<(String, Value)>, name: &str, value: Value) {
    match entries.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => entries.push((name.to_owned(), value)),
    }
}

/// The values of a struct, each NULL as its default where that is wanted.
pub(crate) fn with_defaults(schema: &Schema, values: &[Value], defaults: bool) -> Vec<Value> {
    let fields = schema.struct_fields().iter().zip(values);
    fields.map(|((_, field), value)| if defaults { field.or_default(value) } else { value.clone() }).collect()
}

/// A struct's field, as `Struct.get` gives it.
pub(crate) fn get<'a>(schema: &'a Schema, values: &[Value], name: &str) -> Result<(&'a Schema, Value), DataError> {
    let (place, field) = schema.field(name).ok_or_else(|| DataError(format!("{name} is not a valid field name")))?;
    Ok((field, field.or_default(values.get(place).unwrap_or(&Value::Null))))
}

/// A struct's text field, as `Struct.getString` gives it.
pub(crate) fn get_string(schema: &Schema, values: &[Value], name: &str) -> Result<Option<String>, DataError> {
    let (field, value) = get(schema, values, name)?;
    match (field.type_name(), value) {
        ("string", Value::String(text)) => Ok(Some(text)),
        ("string", _) => Ok(None),
        _ => Err(DataError(format!("Field '{name}' is not of type STRING"))),
    }
}

/// A struct's integer field of a width, as `Struct.getInt32` and `getInt64` give it.
pub(crate) fn get_int(schema: &Schema, values: &[Value], name: &str, kind: &str) -> Result<Option<i64>, DataError> {
    let (field, value) = get(schema, values, name)?;
    match (field.type_name() == kind, value) {
        (true, Value::Int(number)) => Ok(Some(number)),
        (true, _) => Ok(None),
        (false, _) => Err(DataError(format!("Field '{name}' is not of type {}", kind.to_uppercase()))),
    }
}

/// Schemas that a transform has made of others. A record's schema is the same object as long as its table stays the
/// same, so the work is done once.
#[derive(Debug)]
pub(crate) struct Made<T> {
    known: Vec<(Arc<Schema>, T)>,
}

/// Most schemas that a transform remembers: as many tables as one connector is likely to have in one batch.
const MAX_MADE: usize = 128;

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<T: Clone> Made<T> {
    /// What was made of that schema, or is now.
    pub(crate) fn of(
        &mut self,
        schema: &Arc<Schema>,
        make: impl FnOnce(&Schema) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        if let Some((_, made)) = self.known.iter().rev().find(|(known, _)| Arc::ptr_eq(known, schema)) {
            return Ok(made.clone());
        }
        let made = make(schema)?;
        if self.known.len() >= MAX_MADE {
            self.known.clear();
        }
        self.known.push((Arc::clone(schema), made.clone()));
        Ok(made)
    }
}
