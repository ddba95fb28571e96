//! `ValueToKey`: a new key, made of fields of the value.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, require_map, require_struct};
use super::settings::Settings;

const PURPOSE: &str = "copying fields from value to key";

struct ValueToKey {
    fields: Vec<String>,
    defaults: bool,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let fields = settings.required_list("fields");
    let defaults = settings.flag("replace.null.with.default", true);
    Ok(Box::new(ValueToKey { fields, defaults, schemas: Made::default() }))
}

impl Transform for ValueToKey {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let Some(known) = &record.value.schema else {
            let fields = &self.fields;
            let entries = require_map(&mut record.value.value, PURPOSE)?;
            let found = |name: &String| entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let key = fields.iter().map(|name| (name.clone(), found(name).unwrap_or_default())).collect();
            record.key = Part { schema: None, value: Value::Map(key) };
            return Ok(Some(record));
        };
        let (schema, values) = require_struct(&record.value, PURPOSE)?;
        let fields = &self.fields;
        let made = self.schemas.of(known, |schema| {
            let field = |name: &String| {
                let found = schema.field(name).ok_or_else(|| DataError(format!("Field does not exist: {name}")))?;
                Ok((name.clone(), found.1.clone()))
            };
            Ok(Arc::new(Schema::of(SchemaKind::Struct(fields.iter().map(field).collect::<Result<_, _>>()?))))
        })?;
        let value = |name: &String| match schema.field(name) {
            Some((place, field)) if self.defaults => field.or_default(&values[place]),
            Some((place, _)) => values[place].clone(),
            None => Value::Null,
        };
        let key = Value::Struct(self.fields.iter().map(value).collect());
        record.key = Part::new(made, key);
        Ok(Some(record))
    }
}
