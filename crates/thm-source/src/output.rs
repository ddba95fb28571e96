//! How keys and values are written: what Connect's `JsonConverter` does.
//!
//! | `schemas.enable` | a struct becomes |
//! |---|---|
//! | false | `{"id":1}` |
//! | true | `{"schema":…,"payload":{"id":1}}` |
//!
//! Other converters stand behind the source, in its worker, which then asks for JSON with schemas whatever they are.

use thm_api::{ConnectorConfig, Result};
use thm_codec::debezium::Schema;

/// Form of keys or values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    #[default]
    Json,
    /// JSON with its schema in front.
    JsonWithSchema,
}

/// Form of keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Of keys.
    pub key: Form,
    /// Of values.
    pub value: Form,
    /// Whether NULL in a key shows as the column's default (`replace.null.with.default`).
    pub key_defaults: bool,
    /// The same of values.
    pub value_defaults: bool,
    /// Whether keys in headers are written as keys are: for whoever reads them and writes them in another form.
    pub header_schemas: bool,
    /// Whether values are to show NULL where even the envelope has a default: the option says false, in so many words.
    pub tells_nulls: bool,
}

impl Output {
    /// Reads the converters. A converter that is named without `schemas.enable` writes schemas, as in Connect.
    ///
    /// # Errors
    /// An option of it is no boolean.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let form = |side: &str| {
            let option = format!("{side}.converter");
            let class = config.get(&option);
            let schemas = config.parse(&format!("{option}.schemas.enable"), class.is_some())?;
            Ok(if schemas { Form::JsonWithSchema } else { Form::Json })
        };
        let defaults = |side: &str| config.parse(&format!("{side}.converter.replace.null.with.default"), false);
        Ok(Self {
            key: form("key")?,
            value: form("value")?,
            key_defaults: defaults("key")?,
            value_defaults: defaults("value")?,
            header_schemas: config.get("header.converter").is_some_and(|class| class.ends_with("JsonConverter")),
            tells_nulls: config.get("value.converter.replace.null.with.default").is_some() && !defaults("value")?,
        })
    }
}

/// What stands around the JSON of one kind of record.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    form: Form,
    prefix: Vec<u8>,
}

impl Frame {
    /// Of records of that schema.
    #[must_use]
    pub fn new(form: Form, schema: &Schema) -> Self {
        let prefix = if form == Form::JsonWithSchema { schema.prefix() } else { Vec::new() };
        Self { form, prefix }
    }

    /// The JSON in its form; `scratch` holds it where that is another.
    pub fn around<'a>(&self, json: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if self.form == Form::Json {
            return json;
        }
        scratch.clear();
        self.open(scratch);
        scratch.extend_from_slice(json);
        self.close(scratch);
        scratch
    }

    /// Before the JSON.
    pub fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
    }

    /// After it.
    pub fn close(&self, out: &mut Vec<u8>) {
        if self.form == Form::JsonWithSchema {
            out.push(b'}');
        }
    }
}
