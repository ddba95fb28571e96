//! Parts of records to bytes: what Connect's converters do after the transforms.
//!
//! | converter | a struct | text | bytes |
//! |---|---|---|---|
//! | `JsonConverter` | `{"id":1}` | `"x"` | base64 in quotes |
//! | … with schemas | `{"schema":…,"payload":{"id":1}}` | … | … |
//! | `StringConverter` | `Struct{id=1}` | `x` | base64 |
//! | `ByteArrayConverter` | refused | refused | as they are |
//! | `SimpleHeaderConverter`, of headers | `{"id":1}` | `x` | base64 |
//!
//! A source itself writes JSON with base64 decimals, and simple headers; for every other form its records come this way,
//! transforms or not.

mod encoding;
mod options;

use std::sync::Arc;

use thm_api::{ConnectorConfig, Error, ErrorKind, Result};
use thm_codec::connect::{JsonForm, Part, Value, numeric_defaults, write_text, write_value};
use thm_codec::debezium::Schema;

use self::encoding::Encoding;
pub(super) use self::options::check;
use super::record::DataError;
use super::{Findings, header_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json { schemas: bool, form: JsonForm },
    Text(Encoding),
    Bytes,
    Simple,
}

/// What a converter works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Value,
    Header,
}

impl Role {
    const ALL: [Self; 3] = [Self::Key, Self::Value, Self::Header];

    const fn option(self) -> &'static str {
        match self {
            Self::Key => "key.converter",
            Self::Value => "value.converter",
            Self::Header => "header.converter",
        }
    }
}

/// A key's, a value's or a header's converter.
#[derive(Debug)]
pub(super) struct Converter {
    form: Form,
    /// Schemas as written, the last one met at the end.
    prefixes: Vec<(Arc<Schema>, Vec<u8>)>,
}

/// Most schemas kept as text.
const MAX_PREFIXES: usize = 128;

/// Whether a source writes what its converters ask for without help.
pub(super) fn are_the_sources_own(config: &ConnectorConfig) -> bool {
    Role::ALL.into_iter().all(|role| match options::read(config, role, &mut Findings::default()) {
        Form::Json { form, .. } => !form.numeric && role != Role::Header,
        Form::Simple => true,
        Form::Text(_) | Form::Bytes => false,
    })
}

impl Converter {
    /// Reads a converter's options.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub(super) fn from_config(config: &ConnectorConfig, role: Role) -> Result<Self> {
        let mut findings = Findings::default();
        let form = options::read(config, role, &mut findings);
        match findings.issues.into_iter().next() {
            None => Ok(Self { form, prefixes: Vec::new() }),
            Some((option, message)) => {
                let error = Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option);
                Err(error.with_hint(message))
            }
        }
    }

    /// The bytes; none for nothing.
    pub(super) fn bytes(&mut self, part: &Part) -> Result<Option<Vec<u8>>, DataError> {
        let Part { schema, value } = part;
        if value.is_null() && (schema.is_none() || !matches!(self.form, Form::Json { .. })) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(256);
        match self.form {
            Form::Json { schemas: false, form } => write_value(&mut out, schema.as_deref(), value, form),
            Form::Json { schemas: true, form } => {
                self.write_prefix(&mut out, schema.as_ref(), form);
                write_value(&mut out, schema.as_deref(), value, form);
                out.push(b'}');
            }
            Form::Text(encoding) => {
                write_text(&mut out, schema.as_deref(), value);
                out = encoding.encode(out);
            }
            Form::Bytes => return raw(part).map(Some),
            Form::Simple => return Ok(header_text::write(part)),
        }
        Ok(Some(out))
    }

    fn write_prefix(&mut self, out: &mut Vec<u8>, schema: Option<&Arc<Schema>>, form: JsonForm) {
        let Some(schema) = schema else { return out.extend_from_slice(b"{\"schema\":null,\"payload\":") };
        if let Some((_, prefix)) = self.prefixes.iter().rev().find(|(known, _)| Arc::ptr_eq(known, schema)) {
            return out.extend_from_slice(prefix);
        }
        let prefix = if form.numeric { numeric_defaults(schema).prefix() } else { schema.prefix() };
        out.extend_from_slice(&prefix);
        if self.prefixes.len() >= MAX_PREFIXES {
            self.prefixes.clear();
        }
        self.prefixes.push((Arc::clone(schema), prefix));
    }
}

/// What `ByteArrayConverter` lets through: bytes that stand for themselves.
fn raw(Part { schema, value }: &Part) -> Result<Vec<u8>, DataError> {
    if let Some(schema) = schema.as_ref().filter(|schema| schema.type_name() != "bytes") {
        let kind = match schema.type_name() {
            "float" => "FLOAT32".to_owned(),
            "double" => "FLOAT64".to_owned(),
            other => other.to_uppercase(),
        };
        return Err(DataError(format!("Invalid schema type for ByteArrayConverter: {kind}")));
    }
    match value {
        Value::Bytes(_) if schema.as_ref().is_some_and(|schema| schema.decimal_scale().is_some()) => {
            Err(incompatible("java.math.BigDecimal"))
        }
        Value::Bytes(bytes) => Ok(bytes.clone()),
        other => Err(incompatible(other.java_class())),
    }
}

fn incompatible(class: &str) -> DataError {
    DataError(format!("ByteArrayConverter is not compatible with objects of type class {class}"))
}
