//! `ExtractField`: one field in place of the whole.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::Schema;

use super::Transform;
use super::record::{Applied, ConnectRecord, DataError, Made, Side, no_struct, require_map};
use super::settings::Settings;

const PURPOSE: &str = "field extraction";

struct ExtractField {
    side: Side,
    /// As written.
    path: String,
    steps: Vec<String>,
    defaults: bool,
    /// The field's schema, and the place of each step.
    schemas: Made<(Arc<Schema>, Arc<[usize]>)>,
}

pub(super) fn build(settings: &mut Settings<'_>, side: Side) -> Result<Box<dyn Transform>, String> {
    let path = settings.required("field");
    let version = settings.one_of("field.syntax.version", &["V1", "V2"], Some("V1"));
    let defaults = settings.flag("replace.null.with.default", true);
    let steps = if version == "V2" { steps(&path)? } else { vec![path.clone()] };
    Ok(Box::new(ExtractField { side, path, steps, defaults, schemas: Made::default() }))
}

/// The steps of a path: names parted by dots, in backticks where a name has dots itself.
fn steps(path: &str) -> Result<Vec<String>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let Some(quoted) = rest.strip_prefix('`') else {
            match rest.split_once('.') {
                Some((step, tail)) => {
                    steps.push(step.to_owned());
                    rest = tail;
                    continue;
                }
                None => {
                    steps.push(rest.to_owned());
                    return Ok(steps);
                }
            }
        };
        let opened = path.len() - rest.len();
        let (step, tail) = quoted_step(quoted).ok_or_else(|| {
            format!(
                "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position \
                 {opened} to escape it"
            )
        })?;
        steps.push(step);
        match tail {
            Some(tail) => rest = tail,
            None => return Ok(steps),
        }
    }
}

/// A step up to the backtick that closes it, and what follows its dot.
fn quoted_step(text: &str) -> Option<(String, Option<&str>)> {
    let mut step = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices('`') {
        let escaped = text[..at].ends_with('\\');
        match &text[at + 1..] {
            "" if escaped => return None,
            "" => {
                step.push_str(&text[from..at]);
                return Some((step, None));
            }
            tail if tail.starts_with('.') && escaped => {
                step.push_str(&text[from..at - 1]);
                step.push('`');
                from = at + 1;
            }
            tail if tail.starts_with('.') => {
                step.push_str(&text[from..at]);
                return Some((step, Some(&tail[1..])));
            }
            _ => {}
        }
    }
    None
}

impl ExtractField {
    fn with_schema(&mut self, part: &Part, known: &Arc<Schema>) -> Result<Part, DataError> {
        let (steps, path) = (&self.steps, &self.path);
        let (schema, places) = self.schemas.of(known, |schema| {
            let mut places = Vec::with_capacity(steps.len());
            let mut at = schema;
            for step in steps {
                let (place, field) = at.field(step).ok_or_else(|| DataError(format!("Unknown field: {path}")))?;
                places.push(place);
                at = field;
            }
            Ok((Arc::new(at.clone()), places.into()))
        })?;
        let mut value = &part.value;
        for place in &*places {
            value = match value {
                Value::Struct(values) => values.get(*place).unwrap_or(&Value::Null),
                Value::Null => &Value::Null,
                other => return Err(no_struct(other, PURPOSE)),
            };
        }
        let value = if self.defaults && !part.value.is_null() { schema.or_default(value) } else { value.clone() };
        Ok(Part::new(schema, value))
    }
}

impl Transform for ExtractField {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let part = std::mem::take(record.part_mut(self.side));
        let extracted = match &part.schema {
            Some(known) => {
                let known = Arc::clone(known);
                self.with_schema(&part, &known)?
            }
            None => {
                let mut value = part.value;
                for step in &self.steps {
                    if value.is_null() {
                        break;
                    }
                    let entries = require_map(&mut value, PURPOSE)?;
                    let found = entries.iter_mut().find(|(name, _)| name == step);
                    value = found.map(|(_, value)| std::mem::take(value)).unwrap_or_default();
                }
                Part { schema: None, value }
            }
        };
        *record.part_mut(self.side) = extracted;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::steps;

    #[test]
    fn paths_in_the_second_syntax() {
        let cases = [
            ("a.b", vec!["a", "b"]),
            ("a.`b.c`.d", vec!["a", "b.c", "d"]),
            ("`a.b`", vec!["a.b"]),
            ("`a\\`.b`", vec!["a`.b"]),
            ("a`b.c", vec!["a`b", "c"]),
            ("a.", vec!["a", ""]),
        ];
        for (path, expected) in cases {
            assert_eq!(steps(path).unwrap(), expected, "{path}");
        }
        assert!(steps("`a").unwrap_err().contains("position 0"));
    }
}
