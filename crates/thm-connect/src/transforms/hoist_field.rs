//! `HoistField`: wraps a key or value into a struct, or map, of one field.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, Made, Side};
use super::settings::Settings;

struct HoistField {
    side: Side,
    field: String,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let field = settings.required("field");
    Ok(Box::new(HoistField { side, field, schemas: Made::default() }))
}

impl Transform for HoistField {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let Part { schema, value } = std::mem::take(record.part_mut(self.side));
        let field = &self.field;
        *record.part_mut(self.side) = match schema {
            Some(schema) => {
                let make = |schema: &Schema| {
                    Ok(Arc::new(Schema::of(SchemaKind::Struct(vec![(field.clone(), schema.clone())]))))
                };
                Part::new(self.schemas.of(&schema, make)?, Value::Struct(vec![value]))
            }
            None => Part { schema: None, value: Value::Map(vec![(field.clone(), value)]) },
        };
        Ok(Some(record))
    }
}
