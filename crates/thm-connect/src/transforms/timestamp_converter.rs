//! `TimestampConverter`: moments as text, Unix numbers, or Connect's dates, times and timestamps.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::java_date::DateFormat;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, put, require_map, require_struct, with_defaults};
use super::settings::Settings;

const PURPOSE: &str = "converting timestamp formats";
const DAY_MS: i64 = 86_400_000;

/// A form of moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

const FORMS: [(&str, Form); 5] = [
    ("string", Form::Text),
    ("unix", Form::Unix),
    ("Date", Form::Date),
    ("Time", Form::Time),
    ("Timestamp", Form::Timestamp),
];

struct TimestampConverter {
    side: Side,
    field: Option<String>,
    target: Form,
    format: Option<DateFormat>,
    /// Unix units in a second.
    per_second: i64,
    defaults: bool,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let field = settings.given("field");
    let target = settings.one_of("target.type", &FORMS.map(|(name, _)| name), None);
    let target = FORMS.iter().find(|(name, _)| *name == target).map_or(Form::Unix, |(_, form)| *form);
    let format = settings.given("format");
    let units = ["nanoseconds", "microseconds", "milliseconds", "seconds"];
    let per_second = match settings.one_of("unix.precision", &units, Some("milliseconds")).as_str() {
        "nanoseconds" => 1_000_000_000,
        "microseconds" => 1_000_000,
        "seconds" => 1,
        _ => 1_000,
    };
    let defaults = settings.flag("replace.null.with.default", true);
    if target == Form::Text && format.is_none() {
        return Err("TimestampConverter requires format option to be specified when using string timestamps".to_owned());
    }
    let format = format.map(|pattern| {
        DateFormat::new(&pattern).map_err(|_| {
            format!(
                "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: {pattern}"
            )
        })
    });
    let format = format.transpose()?;
    let schemas = Made::default();
    Ok(Box::new(TimestampConverter { side, field, target, format, per_second, defaults, schemas }))
}

impl Form {
    /// What a schema says of its values.
    fn of(schema: &Schema) -> Result<Self, DataError> {
        let name = schema.name.as_deref().unwrap_or_default();
        Ok(match (name.strip_prefix("org.apache.kafka.connect.data."), schema.type_name()) {
            (Some("Timestamp"), _) => Self::Timestamp,
            (Some("Date"), _) => Self::Date,
            (Some("Time"), _) => Self::Time,
            (_, "string") => Self::Text,
            (_, "int64") => Self::Unix,
            (_, kind) => {
                let kind = kind.to_uppercase();
                return Err(DataError(format!(
                    "Schema Schema{{{kind}}} does not correspond to a known timestamp type format"
                )));
            }
        })
    }

    fn schema(self, optional: bool) -> Schema {
        let logical = |kind, name: &str| Schema::plain(kind).named(format!("org.apache.kafka.connect.data.{name}"), 1);
        let schema = match self {
            Self::Text => Schema::plain("string"),
            Self::Unix => Schema::plain("int64"),
            Self::Date => logical("int32", "Date"),
            Self::Time => logical("int32", "Time"),
            Self::Timestamp => logical("int64", "Timestamp"),
        };
        Schema { optional, ..schema }
    }
}

impl TimestampConverter {
    fn convert(&self, value: &Value, form: Option<Form>) -> Result<Value, DataError> {
        let form = match (form, value) {
            (_, Value::Null) => return Ok(Value::Null),
            (Some(form), _) => form,
            (None, Value::String(_)) => Form::Text,
            (None, Value::Int(_)) => Form::Unix,
            (None, other) => {
                let class = other.java_class();
                return Err(DataError(format!(
                    "TimestampConverter does not support class {class} objects as timestamps"
                )));
            }
        };
        let millis = match (form, value) {
            (Form::Text, Value::String(text)) => {
                let format = self.format.as_ref();
                let format = format.ok_or_else(|| DataError::new("no format to parse a timestamp's text with"))?;
                format.parse(text).ok_or_else(|| {
                    DataError(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern ({})",
                        format.pattern()
                    ))
                })?
            }
            (Form::Unix, Value::Int(number)) => match self.per_second {
                units @ 1..1_000 => number.saturating_mul(1_000 / units),
                // Java's TimeUnit cuts towards zero.
                units => number / (units / 1_000),
            },
            (Form::Date, Value::Int(days)) => days.saturating_mul(DAY_MS),
            (Form::Time | Form::Timestamp, Value::Int(millis)) => *millis,
            (_, other) => {
                let class = other.java_class();
                return Err(DataError(format!("Expected timestamp of another class, but found class {class}")));
            }
        };
        Ok(match self.target {
            Form::Text => Value::String(self.format.as_ref().map(|format| format.format(millis)).unwrap_or_default()),
            Form::Unix => Value::Int(match self.per_second {
                units @ 1..1_000 => millis / (1_000 / units),
                units => millis.saturating_mul(units / 1_000),
            }),
            Form::Date => Value::Int(millis.div_euclid(DAY_MS)),
            Form::Time => Value::Int(millis.rem_euclid(DAY_MS)),
            Form::Timestamp => Value::Int(millis),
        })
    }

    fn field_with_schema(&mut self, part: &Part, known: &Arc<Schema>, field: &str) -> Result<Part, DataError> {
        let target = self.target;
        let made = self.schemas.of(known, |schema| {
            let change = |(name, of): &(String, Schema)| {
                let of = if name == field { target.schema(of.optional) } else { of.clone() };
                (name.clone(), of)
            };
            let fields = schema.struct_fields().iter().map(change).collect();
            Ok(Arc::new(Schema { optional: schema.optional, ..schema.basics(SchemaKind::Struct(fields)) }))
        })?;
        if part.value.is_null() {
            return Ok(Part::new(made, Value::Null));
        }
        let (schema, values) = require_struct(part, PURPOSE)?;
        let mut values = with_defaults(schema, values, self.defaults);
        if let Some((place, of)) = schema.field(field) {
            values[place] = self.convert(&values[place], Some(Form::of(of)?))?;
        }
        Ok(Part::new(made, Value::Struct(values)))
    }
}

impl Transform for TimestampConverter {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        let changed = match (part.schema.clone(), self.field.clone()) {
            (Some(known), Some(field)) => self.field_with_schema(part, &known, &field)?,
            (Some(known), None) => {
                let value = self.convert(&part.value, Some(Form::of(&known)?))?;
                Part::new(Arc::new(self.target.schema(known.optional)), value)
            }
            (None, Some(field)) if !part.value.is_null() => {
                let mut value = part.value.clone();
                let entries = require_map(&mut value, PURPOSE)?;
                let old = entries.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone());
                let new = self.convert(&old.unwrap_or_default(), None)?;
                put(entries, &field, new);
                Part { schema: None, value }
            }
            (None, _) => Part { schema: None, value: self.convert(&part.value, None)? },
        };
        *record.part_mut(self.side) = changed;
        Ok(Some(record))
    }
}
