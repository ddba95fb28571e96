//! `ByLogicalTableRouter`, by its newer name `ToLogicalTopicRouter`: several tables' records in one topic, under keys that
//! tell the tables apart.

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{Adjust, Schema, SchemaKind};

use super::Transform;
use super::java_pattern::JavaPattern;
use super::record::{Applied, ConnectRecord, DataError, Made, require_struct};
use super::settings::Settings;

struct LogicalRouter {
    topic: JavaPattern,
    replacement: String,
    /// The field added to keys, and how it is made of the topic's name.
    unique: Option<Unique>,
    names: Adjust,
    keys: Made<Arc<Schema>>,
    envelopes: Made<Arc<Schema>>,
}

struct Unique {
    field: String,
    from_topic: Option<(JavaPattern, String)>,
}

/// `key_field`: what the added field is called unless the options say otherwise.
pub(super) fn build(settings: &mut Settings<'_>, key_field: &str) -> Result<Box<dyn Transform>, String> {
    let pattern = |settings: &mut Settings<'_>, name: &str| {
        let text = settings.given(name);
        let built = text.map(|text| JavaPattern::new(&text)).transpose();
        built.map_err(|problem| format!("The '{name}' value is invalid: A regular expression is required: {problem}"))
    };
    let topic = pattern(settings, "topic.regex")?;
    let replacement = settings.given("topic.replacement");
    let enforce = settings.flag("key.enforce.uniqueness", true);
    let key_regex = pattern(settings, "key.field.regex")?;
    let key_replacement = settings.given("key.field.replacement");
    let field = settings.text("key.field.name", key_field);
    let mode = settings.word("schema.name.adjustment.mode", &["none", "avro", "avro_unicode"], "none")?;
    for size in ["logical.table.cache.size", "logical.destination.cache.size"] {
        settings.without_effect(size, "caches keep what they need");
    }
    let (Some(topic), Some(replacement)) = (topic, replacement) else {
        return Err("Unable to validate config. topic.regex and topic.replacement are required".to_owned());
    };
    let from_topic = match (key_regex, key_replacement) {
        (Some(regex), Some(replacement)) => Some((regex, replacement)),
        (Some(_), None) => {
            return Err(
                "Unable to validate config. key.field.replacement must be non-empty if key.field.regex is set."
                    .to_owned(),
            );
        }
        (None, _) => None,
    };
    Ok(Box::new(LogicalRouter {
        topic,
        replacement,
        unique: enforce.then_some(Unique { field, from_topic }),
        names: Adjust::parse(&mode).unwrap_or_default(),
        keys: Made::default(),
        envelopes: Made::default(),
    }))
}

impl LogicalRouter {
    fn key(&mut self, key: Part, old_topic: &str, topic: &str) -> Result<Part, DataError> {
        let (_, values) = require_struct(&key, "Updating schema")?;
        let mut values = values.to_vec();
        let (unique, names) = (&self.unique, self.names);
        if let Some(unique) = unique {
            let identifier = match &unique.from_topic {
                Some((regex, replacement)) => regex.route(old_topic, replacement)?,
                None => None,
            };
            values.push(Value::String(identifier.unwrap_or_else(|| old_topic.to_owned())));
        }
        let Some(known) = &key.schema else { return Ok(key) };
        let schema = self.keys.of(known, |schema| {
            let mut made = Schema { default: None, ..schema.clone() };
            made.name = Some(names.schema(&format!("{topic}.Key")));
            if let (SchemaKind::Struct(fields), Some(unique)) = (&mut made.kind, unique) {
                fields.push((unique.field.clone(), Schema::plain("string")));
            }
            Ok(Arc::new(made))
        })?;
        Ok(Part::new(schema, Value::Struct(values)))
    }

    /// The envelope's schema, and the row's in it, named after the new topic.
    fn envelope(&mut self, known: &Arc<Schema>, topic: &str) -> Result<Arc<Schema>, DataError> {
        let names = self.names;
        self.envelopes.of(known, |schema| {
            let row = schema.field("before").or_else(|| schema.field("after")).map(|(_, row)| {
                let name = Some(names.schema(&format!("{topic}.Value")));
                Schema { name, default: None, ..row.clone() }
            });
            let mut made = Schema { default: None, ..schema.clone() };
            made.name = Some(names.schema(&format!("{topic}.Envelope")));
            if let (SchemaKind::Struct(fields), Some(row)) = (&mut made.kind, row) {
                for (_, field) in fields.iter_mut().filter(|(name, _)| matches!(name.as_str(), "before" | "after")) {
                    field.clone_from(&row);
                }
            }
            Ok(Arc::new(made))
        })
    }
}

impl Transform for LogicalRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let routed = self.topic.route(&record.topic, &self.replacement)?.filter(|topic| !topic.is_empty());
        let Some(topic) = routed else { return Ok(Some(record)) };
        if !record.key.value.is_null() {
            let key = std::mem::take(&mut record.key);
            record.key = self.key(key, &record.topic, &topic)?;
        }
        if let Some(known) = super::envelope_schema(&record.value)
            && !record.value.value.is_null()
        {
            let known = Arc::clone(known);
            record.value.schema = Some(self.envelope(&known, &topic)?);
        }
        record.topic = topic;
        Ok(Some(record))
    }
}
