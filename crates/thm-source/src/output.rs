//! How keys and values are written: what Connect's converters do.
//!
//! | converter | a struct becomes |
//! |---|---|
//! | `JsonConverter` | `{"id":1}`, or `{"schema":…,"payload":{"id":1}}` |
//! | `StringConverter` | `Struct{id=1}` |

use thm_api::{ConnectorConfig, Error, ErrorKind, Result};
use thm_codec::debezium::Schema;
use thm_codec::java_text::write_struct;

/// Form of keys or values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    #[default]
    Json,
    /// JSON with its schema in front.
    JsonWithSchema,
    /// Java's text of a struct.
    Text,
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
    /// Whether values are to show NULL where even the envelope has a default: the option says false, in so many words.
    pub tells_nulls: bool,
}

impl Output {
    /// Reads the converters. A converter that is named without `schemas.enable` writes schemas, as in Connect.
    ///
    /// # Errors
    /// Names a converter that is not there, or an option of it that is no boolean.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let form = |side: &str| {
            let option = format!("{side}.converter");
            let class = config.get(&option);
            let schemas = config.parse(&format!("{option}.schemas.enable"), class.is_some())?;
            match class.map(|class| class.rsplit('.').next().unwrap_or(class)) {
                None | Some("JsonConverter") if schemas => Ok(Form::JsonWithSchema),
                None | Some("JsonConverter") => Ok(Form::Json),
                Some("StringConverter") => Ok(Form::Text),
                Some(other) => Err(Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option)
                    .with_hint(format!("`{other}` is not supported here; use JsonConverter or StringConverter."))),
            }
        };
        for side in ["key", "value"] {
            refuse_other_forms(config, side)?;
        }
        let defaults = |side: &str| config.parse(&format!("{side}.converter.replace.null.with.default"), false);
        Ok(Self {
            key: form("key")?,
            value: form("value")?,
            key_defaults: defaults("key")?,
            value_defaults: defaults("value")?,
            tells_nulls: config.get("value.converter.replace.null.with.default").is_some() && !defaults("value")?,
        })
    }
}

/// Options of converters that change bytes, with the one value that is supported. The size of a cache changes none.
const OTHER_FORMS: [(&str, &str); 4] = [
    ("decimal.format", "base64"),
    ("converter.encoding", "utf-8"),
    ("converter.encoding", "utf8"),
    ("schema.content", ""),
];

fn refuse_other_forms(config: &ConnectorConfig, side: &str) -> Result<()> {
    for (name, _) in OTHER_FORMS {
        let option = format!("{side}.converter.{name}");
        let Some(value) = config.get(&option) else { continue };
        let mut supported = OTHER_FORMS.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value);
        if !supported.any(|supported| supported.eq_ignore_ascii_case(value)) {
            let hint = format!("`{value}` is not supported for \"{option}\" here; leave the option out.");
            return Err(Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint));
        }
    }
    Ok(())
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
        match self.form {
            Form::Json => {}
            Form::JsonWithSchema => out.push(b'}'),
            Form::Text => {
                let json = std::mem::take(out);
                write_struct(&json, out);
            }
        }
    }
}
