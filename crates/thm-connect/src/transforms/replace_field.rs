//! `ReplaceField`: keeps, drops and renames fields.

use std::collections::HashMap;
use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Schema, SchemaKind};

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, require_map, require_struct};
use super::settings::Settings;

const PURPOSE: &str = "field replacement";

struct ReplaceField {
    side: Side,
    exclude: Vec<String>,
    include: Vec<String>,
    renames: HashMap<String, String>,
    defaults: bool,
    /// The new schema, and the old places of its fields.
    schemas: Made<(Arc<Schema>, Arc<[usize]>)>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let (exclude, include) = (settings.list("exclude"), settings.list("include"));
    let mut renames = HashMap::new();
    let mappings = settings.list("renames");
    for mapping in &mappings {
        match mapping.split(':').collect::<Vec<_>>()[..] {
            [from, to] if !to.is_empty() => {
                renames.insert(from.to_owned(), to.to_owned());
            }
            _ => {
                let value = format!("[{}]", mappings.join(", "));
                settings.issue("renames", &value, &format!("Invalid rename mapping: {mapping}"));
            }
        }
    }
    let defaults = settings.flag("replace.null.with.default", true);
    Ok(Box::new(ReplaceField { side, exclude, include, renames, defaults, schemas: Made::default() }))
}

impl ReplaceField {
    /// The new name of a field; none if it goes.
    fn renamed(&self, field: &str) -> Option<String> {
        let kept = !self.exclude.iter().any(|name| name == field)
            && (self.include.is_empty() || self.include.iter().any(|name| name == field));
        kept.then(|| self.renames.get(field).map_or(field, String::as_str).to_owned())
    }
}

/// A struct's schema with the fields that `named` keeps, and the old places of those.
fn kept(schema: &Schema, named: impl Fn(&str) -> Option<String>) -> (Arc<Schema>, Arc<[usize]>) {
    let fields = schema.struct_fields().iter().enumerate();
    let kept = fields.filter_map(|(place, (name, field))| Some((place, (named(name)?, field.clone()))));
    let (places, fields): (Vec<_>, Vec<_>) = kept.unzip();
    (Arc::new(schema.basics(SchemaKind::Struct(fields))), places.into())
}

/// Drops fields of a struct, as other transforms do it.
pub(super) fn exclude(part: &Part, names: &[String], defaults: bool) -> Result<Part, DataError> {
    let (schema, values) = require_struct(part, PURPOSE)?;
    let (made, places) = kept(schema, |name| (!names.iter().any(|gone| gone == name)).then(|| name.to_owned()));
    Ok(Part::new(made, Value::Struct(picked(schema, values, &places, defaults))))
}

fn picked(schema: &Schema, values: &[Value], places: &[usize], defaults: bool) -> Vec<Value> {
    let pick = |place: &usize| match schema.struct_fields().get(*place) {
        Some((_, field)) if defaults => field.or_default(&values[*place]),
        _ => values[*place].clone(),
    };
    places.iter().map(pick).collect()
}

impl Transform for ReplaceField {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        if part.value.is_null() {
            return Ok(Some(record));
        }
        let Some(known) = part.schema.clone() else {
            let entries = require_map(&mut record.part_mut(self.side).value, PURPOSE)?;
            let old = std::mem::take(entries);
            entries.extend(old.into_iter().filter_map(|(name, value)| Some((self.renamed(&name)?, value))));
            return Ok(Some(record));
        };
        let (schema, values) = require_struct(part, PURPOSE)?;
        let mut schemas = std::mem::take(&mut self.schemas);
        let made = schemas.of(&known, |schema| Ok(kept(schema, |name| self.renamed(name))));
        self.schemas = schemas;
        let (made, places) = made?;
        let values = picked(schema, values, &places, self.defaults);
        *record.part_mut(self.side) = Part::new(made, Value::Struct(values));
        Ok(Some(record))
    }
}
