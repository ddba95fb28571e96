//! Parts of records to bytes: what Connect's converters do after the transforms.
//!
//! | converter | a struct | text | bytes |
//! |---|---|---|---|
//! | `JsonConverter` | `{"id":1}` | `"x"` | base64 in quotes |
//! | … with schemas | `{"schema":…,"payload":{"id":1}}` | … | … |
//! | `StringConverter` | `Struct{id=1}` | `x` | – |
//! | `ByteArrayConverter` | – | – | as they are |

use std::sync::Arc;

use thm_api::{ConnectorConfig, Error, ErrorKind, Result};
use thm_codec::connect::{Part, Value, write_value};
use thm_codec::debezium::Schema;
use thm_codec::java_text::write_struct;

use super::record::DataError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json { schemas: bool },
    Text,
    Bytes,
}

/// A key's or a value's converter.
#[derive(Debug)]
pub(super) struct Converter {
    form: Form,
    /// `replace.null.with.default`
    defaults: bool,
    /// Schemas as written, the last one met at the end.
    prefixes: Vec<(Arc<Schema>, Vec<u8>)>,
}

/// Most schemas kept as text.
const MAX_PREFIXES: usize = 128;

impl Converter {
    /// `side` is `key` or `value`.
    pub(super) fn from_config(config: &ConnectorConfig, side: &str) -> Result<Self> {
        let option = format!("{side}.converter");
        let class = config.get(&option);
        let schemas = config.parse(&format!("{option}.schemas.enable"), class.is_some())?;
        let form = match class.map(|class| class.rsplit('.').next().unwrap_or(class)) {
            None | Some("JsonConverter") => Form::Json { schemas },
            Some("StringConverter") => Form::Text,
            Some("ByteArrayConverter") => Form::Bytes,
            Some(other) => {
                let error = Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option);
                let hint =
                    format!("`{other}` is not supported; use JsonConverter, StringConverter or ByteArrayConverter.");
                return Err(error.with_hint(hint));
            }
        };
        let defaults = config.parse(&format!("{option}.replace.null.with.default"), false)?;
        Ok(Self { form, defaults, prefixes: Vec::new() })
    }

    /// The bytes; none for nothing.
    pub(super) fn bytes(&mut self, part: &Part) -> Result<Option<Vec<u8>>, DataError> {
        let Part { schema, value } = part;
        if value.is_null() && (schema.is_none() || !matches!(self.form, Form::Json { .. })) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(256);
        match self.form {
            Form::Json { schemas: false } => write_value(&mut out, schema.as_deref(), value, self.defaults),
            Form::Json { schemas: true } => {
                self.write_prefix(&mut out, schema.as_ref());
                write_value(&mut out, schema.as_deref(), value, self.defaults);
                out.push(b'}');
            }
            Form::Text => match value {
                Value::String(text) => out.extend_from_slice(text.as_bytes()),
                value => {
                    let mut json = Vec::new();
                    write_value(&mut json, schema.as_deref(), value, self.defaults);
                    write_struct(&json, &mut out);
                }
            },
            Form::Bytes => match value {
                Value::Bytes(bytes) => return Ok(Some(bytes.clone())),
                other => {
                    let kind = schema.as_ref().map_or(other.java_class(), |schema| schema.type_name()).to_uppercase();
                    return Err(DataError(format!("Invalid schema type for ByteArrayConverter: {kind}")));
                }
            },
        }
        Ok(Some(out))
    }

    fn write_prefix(&mut self, out: &mut Vec<u8>, schema: Option<&Arc<Schema>>) {
        let Some(schema) = schema else { return out.extend_from_slice(b"{\"schema\":null,\"payload\":") };
        if let Some((_, prefix)) = self.prefixes.iter().rev().find(|(known, _)| Arc::ptr_eq(known, schema)) {
            return out.extend_from_slice(prefix);
        }
        let prefix = schema.prefix();
        out.extend_from_slice(&prefix);
        if self.prefixes.len() >= MAX_PREFIXES {
            self.prefixes.clear();
        }
        self.prefixes.push((Arc::clone(schema), prefix));
    }
}
