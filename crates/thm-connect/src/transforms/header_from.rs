//! `HeaderFrom`: moves or copies fields into headers.

use std::sync::Arc;

use thm_codec::connect::Part;

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Side, require_map, require_struct};
use super::replace_field::exclude;
use super::settings::Settings;

struct HeaderFrom {
    side: Side,
    fields: Vec<String>,
    headers: Vec<String>,
    moves: bool,
    defaults: bool,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let (fields, headers) = (settings.required_list("fields"), settings.required_list("headers"));
    let moves = settings.one_of("operation", &["move", "copy"], None) == "move";
    let defaults = settings.flag("replace.null.with.default", true);
    if fields.len() != headers.len() {
        return Err("'fields' config must have the same number of elements as 'headers' config.".to_owned());
    }
    Ok(Box::new(HeaderFrom { side, fields, headers, moves, defaults }))
}

impl HeaderFrom {
    const fn purpose(&self) -> &'static str {
        if self.moves { "header move" } else { "header copy" }
    }
}

impl Transform for HeaderFrom {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = record.part(self.side);
        let mut found = Vec::with_capacity(self.fields.len());
        if part.schema.is_some() {
            let (schema, values) = require_struct(part, self.purpose())?;
            for name in &self.fields {
                let (place, field) =
                    schema.field(name).ok_or_else(|| DataError(format!("Field does not exist: {name}")))?;
                let value = if self.defaults { field.or_default(&values[place]) } else { values[place].clone() };
                found.push(Part::new(Arc::new(field.clone()), value));
            }
            if self.moves {
                let rest = exclude(part, &self.fields, self.defaults)?;
                *record.part_mut(self.side) = rest;
            }
        } else {
            let (fields, moves, purpose) = (&self.fields, self.moves, self.purpose());
            let entries = require_map(&mut record.part_mut(self.side).value, purpose)?;
            for name in fields {
                let value = entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                found.push(Part { schema: None, value: value.unwrap_or_default() });
            }
            if moves {
                entries.retain(|(name, _)| !fields.contains(name));
            }
        }
        for (name, part) in self.headers.iter().zip(found) {
            record.add_header(name, part);
        }
        Ok(Some(record))
    }
}
