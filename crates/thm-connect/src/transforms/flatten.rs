//! `Flatten`: fields of structs in structs, side by side under joined names.

use std::sync::Arc;

use thm_codec::connect::{JsonForm, Part, Value, write_value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, no_struct, require_map};
use super::settings::Settings;

const PURPOSE: &str = "flattening";

struct Flatten {
    side: Side,
    delimiter: String,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let delimiter = settings.text("delimiter", ".");
    Ok(Box::new(Flatten { side, delimiter, schemas: Made::default() }))
}

fn joined(prefix: &str, delimiter: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

/// Appends the fields of a struct; `above` is what holds for all of them: optional, and a default.
fn flat_fields(
    schema: &Schema,
    prefix: &str,
    delimiter: &str,
    above: (bool, Option<&Value>),
    out: &mut Vec<(String, Schema)>,
) -> Result<(), DataError> {
    for (place, (name, field)) in schema.struct_fields().iter().enumerate() {
        let name = joined(prefix, delimiter, name);
        let optional = above.0 || field.optional;
        let default = match (field.default_value(), above.1) {
            (None, Some(Value::Struct(values))) => values.get(place).cloned().filter(|value| !value.is_null()),
            (own, _) => own,
        };
        match &field.kind {
            SchemaKind::Struct(_) => flat_fields(field, &name, delimiter, (optional, default.as_ref()), out)?,
            SchemaKind::Map(..) => {
                return Err(DataError(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                )));
            }
            kind => {
                let mut flat = field.basics(kind.clone());
                flat.optional = optional;
                flat.default = default.map(|value| {
                    let mut json = Vec::new();
                    write_value(&mut json, Some(field), &value, JsonForm::default());
                    json
                });
                out.push((name, flat));
            }
        }
    }
    Ok(())
}

/// Appends the values of a struct in the same order; those of a struct that is NULL are NULL.
fn flat_values(schema: &Schema, values: Option<&[Value]>, out: &mut Vec<Value>) {
    for (place, (_, field)) in schema.struct_fields().iter().enumerate() {
        let value = values.and_then(|values| values.get(place));
        match (&field.kind, value) {
            (SchemaKind::Struct(_), Some(Value::Struct(inner))) => flat_values(field, Some(inner), out),
            (SchemaKind::Struct(_), _) => flat_values(field, None, out),
            (_, value) => out.push(value.map_or(Value::Null, |value| field.or_default(value))),
        }
    }
}

fn flat_entries(entries: Vec<(String, Value)>, prefix: &str, delimiter: &str, out: &mut Vec<(String, Value)>) {
    for (name, value) in entries {
        let name = joined(prefix, delimiter, &name);
        match value {
            Value::Map(inner) => flat_entries(inner, &name, delimiter, out),
            value => out.push((name, value)),
        }
    }
}

impl Transform for Flatten {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let delimiter = &self.delimiter;
        let part = record.part_mut(self.side);
        if part.value.is_null() {
            return Ok(Some(record));
        }
        let Some(known) = part.schema.clone() else {
            let mut flat = Vec::new();
            flat_entries(std::mem::take(require_map(&mut part.value, PURPOSE)?), "", delimiter, &mut flat);
            part.value = Value::Map(flat);
            return Ok(Some(record));
        };
        let Value::Struct(values) = &part.value else { return Err(no_struct(&part.value, PURPOSE)) };
        let made = self.schemas.of(&known, |schema| {
            let mut fields = Vec::new();
            flat_fields(schema, "", delimiter, (schema.optional, schema.default_value().as_ref()), &mut fields)?;
            Ok(Arc::new(schema.basics(SchemaKind::Struct(fields))))
        })?;
        let mut flat = Vec::with_capacity(made.struct_fields().len());
        flat_values(&known, Some(values), &mut flat);
        *part = Part::new(made, Value::Struct(flat));
        Ok(Some(record))
    }
}
