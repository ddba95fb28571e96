//! Values, and a value beside its schema.

use std::sync::Arc;

use crate::debezium::{Schema, SchemaKind};

/// A value of Connect. What an integer's or a real number's width is, its schema says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// NULL.
    #[default]
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer of any width, and what is stored as one: dates, times.
    Int(i64),
    /// A real number of either width.
    Float(f64),
    /// A number without a schema that is no 64-bit integer, as it was written.
    Number(Box<str>),
    /// Text.
    String(String),
    /// Bytes, and what is stored as bytes: decimals.
    Bytes(Vec<u8>),
    /// Elements.
    Array(Vec<Self>),
    /// Entries, in the order in which they came. Without a schema this is every JSON object.
    Map(Vec<(String, Self)>),
    /// Values of the fields, in the order of the schema.
    Struct(Vec<Self>),
}

impl Value {
    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What Java calls its class, for messages.
    #[must_use]
    pub const fn java_class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::Int(_) => "java.lang.Long",
            Self::Float(_) | Self::Number(_) => "java.lang.Double",
            Self::String(_) => "java.lang.String",
            Self::Bytes(_) => "java.nio.HeapByteBuffer",
            Self::Array(_) => "java.util.ArrayList",
            Self::Map(_) => "java.util.HashMap",
            Self::Struct(_) => "org.apache.kafka.connect.data.Struct",
        }
    }

    /// The entry of that name, of a map.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// A key, value or header: what it is, and its schema where one is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its schema.
    pub schema: Option<Arc<Schema>>,
    /// Itself.
    pub value: Value,
}

impl Part {
    /// With its schema.
    #[must_use]
    pub const fn new(schema: Arc<Schema>, value: Value) -> Self {
        Self { schema: Some(schema), value }
    }

    /// Nothing at all: a tombstone's value.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { schema: None, value: Value::Null }
    }

    /// Text of an own schema.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Arc::new(Schema::plain("string")), Value::String(text.into()))
    }
}

impl Schema {
    /// The fields of a struct.
    #[must_use]
    pub fn struct_fields(&self) -> &[(String, Self)] {
        match &self.kind {
            SchemaKind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Place and schema of a struct's field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<(usize, &Self)> {
        let found = self.struct_fields().iter().enumerate().find(|(_, (field, _))| field == name);
        found.map(|(place, (_, schema))| (place, schema))
    }

    /// Connect's name of the type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match &self.kind {
            SchemaKind::Plain(kind) => kind,
            SchemaKind::Array(_) => "array",
            SchemaKind::Map(..) => "map",
            SchemaKind::Struct(_) => "struct",
        }
    }

    /// The scale, if it is Connect's decimal.
    #[must_use]
    pub fn decimal_scale(&self) -> Option<i32> {
        let decimal = self.name.as_deref() == Some("org.apache.kafka.connect.data.Decimal");
        let scale = self.parameters.iter().find(|(name, _)| name == "scale");
        decimal.then(|| scale.and_then(|(_, scale)| scale.parse().ok()).unwrap_or_default())
    }

    /// Milliseconds since 1970 of a value, if it is one of Connect's own dates and times.
    #[must_use]
    pub fn java_millis(&self, number: i64) -> Option<i64> {
        match self.name.as_deref()?.strip_prefix("org.apache.kafka.connect.data.")? {
            "Date" => number.checked_mul(86_400_000),
            "Time" | "Timestamp" => Some(number),
            _ => None,
        }
    }

    /// Name, version, note and parameters on another type; neither optional nor with a default.
    #[must_use]
    pub fn basics(&self, kind: SchemaKind) -> Self {
        Self {
            kind,
            optional: false,
            name: self.name.clone(),
            version: self.version,
            doc: self.doc.clone(),
            parameters: self.parameters.clone(),
            default: None,
        }
    }

    /// The default as a value.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        let json = std::str::from_utf8(self.default.as_ref()?).ok()?;
        super::parse_value(self, json).ok().filter(|value| !value.is_null())
    }

    /// The value, or the default where it is NULL and there is one.
    #[must_use]
    pub fn or_default(&self, value: &Value) -> Value {
        match value {
            Value::Null => self.default_value().unwrap_or_default(),
            value => value.clone(),
        }
    }
}
