//! Schemas as Connect's `JsonConverter` writes them beside a payload (`schemas.enable`).
//!
//! ```text
//!   {"schema":{"type":"struct","fields":[…],"optional":false,"name":…,"version":…},"payload":…}
//! ```
//! A schema is rendered once for a table and then copied in front of each record.

use super::value::write_int;
use crate::java_json::write_string;

/// What a value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// `int32`, `string`, `bytes`, …
    Plain(&'static str),
    /// Elements of one schema.
    Array(Box<Schema>),
    /// Keys and values.
    Map(Box<Schema>, Box<Schema>),
    /// Named fields.
    Struct(Vec<(String, Schema)>),
}

/// A Connect schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What it is made of.
    pub kind: SchemaKind,
    /// NULL is a value of it.
    pub optional: bool,
    /// Semantic name.
    pub name: Option<String>,
    /// Version of the name's meaning.
    pub version: Option<u32>,
    /// A note for people.
    pub doc: Option<String>,
    /// Further facts, in order.
    pub parameters: Vec<(String, String)>,
    /// The default's JSON.
    pub default: Option<Vec<u8>>,
}

impl Schema {
    /// A plain type without a name, not optional.
    #[must_use]
    pub const fn plain(kind: &'static str) -> Self {
        Self::of(SchemaKind::Plain(kind))
    }

    /// Without a name, not optional.
    #[must_use]
    pub const fn of(kind: SchemaKind) -> Self {
        Self { kind, optional: false, name: None, version: None, doc: None, parameters: Vec::new(), default: None }
    }

    /// A struct of fields.
    #[must_use]
    pub fn fields<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::of(SchemaKind::Struct(fields.map(|(name, schema)| (name.to_owned(), schema)).into()))
    }

    /// With a semantic name of a version.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, version: u32) -> Self {
        self.name = Some(name.into());
        self.version = Some(version);
        self
    }

    /// The same where NULL is a value.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        self.optional = true;
        self
    }

    /// With one more parameter.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: impl Into<String>) -> Self {
        self.parameters.push((parameter.to_owned(), value.into()));
        self
    }

    /// Appends it as JSON; `field` is its name in a struct.
    pub fn write(&self, out: &mut Vec<u8>, field: Option<&str>) {
        out.extend_from_slice(b"{\"type\":");
        match &self.kind {
            SchemaKind::Plain(kind) => write_string(out, kind),
            SchemaKind::Array(items) => {
                out.extend_from_slice(b"\"array\",\"items\":");
                items.write(out, None);
            }
            SchemaKind::Map(keys, values) => {
                out.extend_from_slice(b"\"map\",\"keys\":");
                keys.write(out, None);
                out.extend_from_slice(b",\"values\":");
                values.write(out, None);
            }
            SchemaKind::Struct(fields) => {
                out.extend_from_slice(b"\"struct\",\"fields\":[");
                for (number, (name, schema)) in fields.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    schema.write(out, Some(name));
                }
                out.push(b']');
            }
        }
        out.extend_from_slice(if self.optional { b",\"optional\":true" } else { b",\"optional\":false" });
        self.write_facts(out);
        if let Some(field) = field {
            out.extend_from_slice(b",\"field\":");
            write_string(out, field);
        }
        out.push(b'}');
    }

    fn write_facts(&self, out: &mut Vec<u8>) {
        if let Some(name) = &self.name {
            out.extend_from_slice(b",\"name\":");
            write_string(out, name);
        }
        if let Some(version) = self.version {
            out.extend_from_slice(b",\"version\":");
            write_int(out, version);
        }
        if let Some(doc) = &self.doc {
            out.extend_from_slice(b",\"doc\":");
            write_string(out, doc);
        }
        for (number, (name, value)) in self.parameters.iter().enumerate() {
            out.extend_from_slice(if number == 0 { b",\"parameters\":{" } else { b"," });
            write_string(out, name);
            out.push(b':');
            write_string(out, value);
        }
        if !self.parameters.is_empty() {
            out.push(b'}');
        }
        if let Some(default) = &self.default {
            out.extend_from_slice(b",\"default\":");
            out.extend_from_slice(default);
        }
    }

    /// What stands before a payload of this schema; a closing brace ends it.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        let mut out = b"{\"schema\":".to_vec();
        self.write(&mut out, None);
        out.extend_from_slice(b",\"payload\":");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field order as recorded.
    #[test]
    fn facts_stand_in_connects_order() {
        let mut schema = Schema::plain("bytes").named("org.apache.kafka.connect.data.Decimal", 1).with("scale", "2");
        schema.default = Some(b"\"AJY=\"".to_vec());
        let mut out = Vec::new();
        schema.write(&mut out, Some("d"));
        let expected = concat!(
            r#"{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"#,
            r#""parameters":{"scale":"2"},"default":"AJY=","field":"d"}"#
        );
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
