//! Request bodies, and what is wrong with them in the words that Connect's JSON reader has for it.
//!
//! Only the first line of such a message is kept: what it is and where.

use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::definition::RawConfig;
use crate::herder::{InitialState, Refusal, option_text};

/// The class that Connect reads `POST /connectors` into.
const CREATE_REQUEST: &str = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";
const SOURCE: &str = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";

/// A new connector as requested.
#[derive(Debug)]
pub(super) struct CreateRequest {
    pub(super) name: String,
    pub(super) config: RawConfig,
    pub(super) state: InitialState,
}

fn unreadable(message: impl Into<String>) -> Refusal {
    Refusal::new(500, message)
}

/// The JSON of a body; an empty one is null.
pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|error| unreadable(syntax(body, &error)))
}

/// Jackson's message for a syntax error.
fn syntax(body: &[u8], error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.classify() == Category::Eof {
        let marker = if body.trim_ascii_start().first() == Some(&b'[') { "Array" } else { "Object" };
        return format!(
            "Unexpected end-of-input: expected close marker for {marker} (start marker at {SOURCE}; line: 1, column: 1])\n \
             at {SOURCE}; line: {line}, column: {}]",
            column + 1
        );
    }
    let text = String::from_utf8_lossy(body);
    let at = text.lines().nth(line.saturating_sub(1)).and_then(|text| text.chars().nth(column.saturating_sub(1)));
    let found = at.unwrap_or('\u{FFFD}');
    let wanted = if error.to_string().starts_with("key must be a string") {
        "was expecting double-quote to start field name"
    } else {
        "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
    };
    let code = u32::from(found);
    format!("Unexpected character ('{found}' (code {code})): {wanted}\n at {SOURCE}; line: {line}, column: {column}]")
}

/// Jackson's message for a value of another type.
fn mismatch(wanted: &str, value: &Value) -> Refusal {
    let (what, token) = match value {
        Value::Array(_) => ("Array value", "START_ARRAY"),
        Value::Object(_) => ("Object value", "START_OBJECT"),
        Value::String(text) => {
            return unreadable(format!(
                "Cannot construct instance of `{wanted}` (although at least one Creator exists): no String-argument \
                 constructor/factory method to deserialize from String value ('{text}')"
            ));
        }
        Value::Number(_) => ("Integer value", "VALUE_NUMBER_INT"),
        Value::Bool(_) | Value::Null => ("Boolean value", "VALUE_TRUE"),
    };
    unreadable(format!("Cannot deserialize value of type `{wanted}` from {what} (token `JsonToken.{token}`)"))
}

/// A text, from any scalar.
fn text(value: &Value) -> Result<Option<String>, Refusal> {
    option_text(value).map_err(|()| mismatch("java.lang.String", value))
}

fn options(fields: &Map<String, Value>) -> Result<RawConfig, Refusal> {
    fields.iter().map(|(option, value)| Ok((option.clone(), text(value)?))).collect()
}

/// A configuration: `{"option":"value",…}`.
pub(super) fn config(body: &[u8]) -> Result<RawConfig, Refusal> {
    match json(body)? {
        Value::Null => Err(no_config()),
        Value::Object(fields) => options(&fields),
        other => Err(mismatch("java.util.LinkedHashMap<java.lang.String,java.lang.String>", &other)),
    }
}

fn no_config() -> Refusal {
    unreadable("Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null")
}

/// The body of `POST /connectors`.
pub(super) fn create_request(body: &[u8]) -> Result<CreateRequest, Refusal> {
    let fields = match json(body)? {
        Value::Null => {
            let message = format!("Cannot invoke \"{CREATE_REQUEST}.name()\" because \"createRequest\" is null");
            return Err(unreadable(message));
        }
        Value::Object(fields) => fields,
        other => return Err(mismatch(CREATE_REQUEST, &other)),
    };
    let (mut name, mut config, mut state) = (None, None, InitialState::Running);
    for (field, value) in &fields {
        match field.as_str() {
            "name" => name = text(value)?,
            "config" => config = config_field(value)?,
            "initial_state" => state = initial_state(value)?,
            _ => {
                return Err(unreadable(format!(
                    "Unrecognized field \"{field}\" (class {CREATE_REQUEST}), not marked as ignorable (3 known \
                     properties: \"config\", \"name\", \"initial_state\"])"
                )));
            }
        }
    }
    let config = config.ok_or_else(no_config)?;
    Ok(CreateRequest { name: name.unwrap_or_default().trim().to_owned(), config, state })
}

fn config_field(value: &Value) -> Result<Option<RawConfig>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Object(fields) => options(fields).map(Some),
        other => Err(mismatch("java.util.LinkedHashMap<java.lang.String,java.lang.String>", other)),
    }
}

fn initial_state(value: &Value) -> Result<InitialState, Refusal> {
    let Some(given) = text(value)? else { return Ok(InitialState::Running) };
    InitialState::parse(&given).ok_or_else(|| {
        unreadable(format!(
            "Cannot construct instance of `{CREATE_REQUEST}$InitialState`, problem: No enum constant \
             {CREATE_REQUEST}.InitialState.{}",
            given.to_uppercase()
        ))
    })
}
