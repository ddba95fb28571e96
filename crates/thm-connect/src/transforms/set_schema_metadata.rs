//! `SetSchemaMetadata`: another name or version of a schema.

use std::sync::Arc;

use thm_codec::connect::Value;
use thm_codec::debezium::Schema;

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, with_defaults};
use super::settings::Settings;

struct SetSchemaMetadata {
    side: Side,
    name: Option<String>,
    version: Option<u32>,
    defaults: bool,
    schemas: Made<Arc<Schema>>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let name = settings.given("schema.name");
    let version = settings.int("schema.version");
    let defaults = settings.flag("replace.null.with.default", true);
    if name.is_none() && version.is_none() {
        return Err("Neither schema name nor version configured".to_owned());
    }
    let version =
        version.map(u32::try_from).transpose().map_err(|_| "A schema's version cannot be negative".to_owned())?;
    Ok(Box::new(SetSchemaMetadata { side, name, version, defaults, schemas: Made::default() }))
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part_mut(self.side);
        let Some(known) = &part.schema else {
            return match part.value.is_null() {
                true => Ok(Some(record)),
                false => Err(DataError::new("Schema required for [updating schema metadata]")),
            };
        };
        if let Value::Struct(values) = &part.value {
            part.value = Value::Struct(with_defaults(known, values, self.defaults));
        }
        let (name, version) = (&self.name, self.version);
        let make = |schema: &Schema| {
            let mut made = schema.clone();
            made.name = name.clone().or(made.name);
            made.version = version.or(made.version);
            Ok(Arc::new(made))
        };
        part.schema = Some(self.schemas.of(known, make)?);
        Ok(Some(record))
    }
}
