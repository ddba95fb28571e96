//! `ExtractNewRecordState`: the row in place of its envelope.
//!
//! ```text
//!   {"before":…,"after":{"id":1},"source":{…},"op":"u",…} ──▶ {"id":1} or {"id":1,"__deleted":"false","__op":"u",…}
//!   a delete, its tombstone                               ──▶ by delete.tombstone.handling.mode
//! ```

use std::sync::Arc;

use thm_codec::connect::{Part, Value};
use thm_codec::debezium::{EnvelopeVersion, Schema, SchemaKind};

use super::insert_field::InsertField;
use super::record::{Applied, ConnectRecord, DataError, Made, get_string, no_struct, require_struct};
use super::settings::Settings;
use super::{Transform, replace_field};

const PURPOSE: &str = "source field insertion";

/// What becomes of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletes {
    Drop,
    /// The row after it, which is NULL with a schema.
    Null,
    /// Nothing at all, as a tombstone is.
    Tombstone,
    /// The row before it, marked.
    Rewrite,
}

/// What becomes of deletes and of tombstones.
#[derive(Clone, Copy, Debug)]
struct Handling {
    deletes: Deletes,
    keeps_tombstones: bool,
}

/// `add.fields`, `add.headers`: a field of the envelope or of a struct in it.
#[derive(Clone, Debug)]
struct Reference {
    of: Option<String>,
    field: String,
    shown: String,
}

struct ExtractNewRecordState {
    handling: Handling,
    deleted: InsertField,
    kept: InsertField,
    fields: Vec<Reference>,
    headers: Vec<Reference>,
    route_by: Option<String>,
    drop: Option<DropFields>,
    /// Rows' schemas in envelopes, by envelope: before, after.
    rows: Made<(Arc<Schema>, Arc<Schema>)>,
    /// Rows' schemas with what `add.fields` adds, by row.
    added: Made<Arc<Schema>>,
}

/// `drop.fields.*`
struct DropFields {
    header: String,
    from_key: bool,
    only_optional: bool,
}

pub(super) fn build(settings: &mut Settings<'_>) -> Result<Box<dyn Transform>, String> {
    let handling = handling(settings)?;
    let (fields, headers) = (references(settings, "add.fields")?, references(settings, "add.headers")?);
    let route_by = settings.given("route.by.field");
    let header = settings.given("drop.fields.header.name");
    let from_key = settings.flag("drop.fields.from.key", false);
    let only_optional = settings.flag("drop.fields.keep.schema.compatible", true);
    let defaults = settings.flag("replace.null.with.default", true);
    Ok(Box::new(ExtractNewRecordState {
        handling,
        deleted: InsertField::constant("__deleted", "true", defaults),
        kept: InsertField::constant("__deleted", "false", defaults),
        fields,
        headers,
        route_by,
        drop: header.map(|header| DropFields { header, from_key, only_optional }),
        rows: Made::default(),
        added: Made::default(),
    }))
}

const MODES: [&str; 5] = ["drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"];

fn handling(settings: &mut Settings<'_>) -> Result<Handling, String> {
    let older = settings.envelope() == EnvelopeVersion::V2_7;
    let mode = settings.given("delete.tombstone.handling.mode");
    if older && mode.is_none() {
        let deletes = match settings.word("delete.handling.mode", &["drop", "none", "rewrite"], "drop")?.as_str() {
            "none" => Deletes::Null,
            "rewrite" => Deletes::Rewrite,
            _ => Deletes::Drop,
        };
        return Ok(Handling { deletes, keeps_tombstones: !settings.flag("drop.tombstones", true) });
    }
    for option in ["drop.tombstones", "delete.handling.mode"] {
        settings.without_effect(option, "delete.tombstone.handling.mode stands for it");
    }
    let mode = mode.unwrap_or_else(|| "tombstone".to_owned()).to_ascii_lowercase();
    let deletes = match mode.as_str() {
        "drop" => Deletes::Drop,
        "tombstone" => Deletes::Null,
        "delete-to-tombstone" => Deletes::Tombstone,
        "rewrite" | "rewrite-with-tombstone" => Deletes::Rewrite,
        _ => {
            let problem = format!("Value must be one of {}", MODES.join(", "));
            settings.issue("delete.tombstone.handling.mode", &mode, &problem);
            Deletes::Drop
        }
    };
    Ok(Handling { deletes, keeps_tombstones: mode == "rewrite-with-tombstone" })
}

/// `op`, `source.ts_ms`, `lsn:LSN`, …
fn references(settings: &mut Settings<'_>, option: &str) -> Result<Vec<Reference>, String> {
    let prefix = settings.text_or_blank(&format!("{option}.prefix"), "__");
    let reference = |text: String| {
        let (path, shown) = match text.split(':').collect::<Vec<_>>()[..] {
            [path] => (path, None),
            [path, shown] => (path, Some(shown)),
            _ => return Err(format!("Unexpected field name: {text}")),
        };
        let mut steps = path.split('.');
        let (first, second) = (steps.next().unwrap_or_default(), steps.next());
        let of = match (second, first) {
            (Some(_), of) => Some(of),
            (None, "id" | "data_collection_order" | "total_order") => Some("transaction"),
            (None, "op" | "ts_ms" | "ts_us" | "ts_ns") => None,
            (None, "updateDescription") => Some("updateDescription"),
            (None, _) => Some("source"),
        };
        let field = second.unwrap_or(first);
        let name = second.map_or_else(|| field.to_owned(), |field| format!("{first}_{field}"));
        let shown = format!("{prefix}{}", shown.unwrap_or(&name));
        Ok(Reference { of: of.map(str::to_owned), field: field.to_owned(), shown })
    };
    settings.list(option).into_iter().map(reference).collect()
}

impl Reference {
    /// Schema and value of it in an envelope; none where the envelope knows no such field.
    fn find(&self, envelope: &Schema, values: &[Value]) -> Result<Option<(Schema, Value)>, DataError> {
        let parent = match &self.of {
            None => Some((envelope, Some(values))),
            Some(of) => {
                let (place, schema) =
                    envelope.field(of).ok_or_else(|| DataError(format!("{of} is not a valid field name")))?;
                match values.get(place) {
                    Some(Value::Struct(values)) => Some((schema, Some(values.as_slice()))),
                    _ => Some((schema, None)),
                }
            }
        };
        let Some((schema, values_of)) = parent else { return Ok(None) };
        let found = match schema.field(&self.field) {
            Some((place, field)) => Some((field, values_of.and_then(|values| values.get(place)))),
            // A name that its struct lacks may be the envelope's own.
            None => envelope.field(&self.field).map(|(place, field)| (field, values_of.and(values.get(place)))),
        };
        Ok(found.map(|(field, value)| {
            let value = value.cloned().unwrap_or_default();
            // The real connector leaves this field unset in streamed rows; its default shows in envelopes alone.
            let unset =
                self.field == "snapshot" && field.default.is_some() && value == Value::String("false".to_owned());
            (field.basics(field.kind.clone()).or_null(), if unset { Value::Null } else { value })
        }))
    }
}

impl ExtractNewRecordState {
    fn add_headers(&self, record: &mut ConnectRecord) -> Result<(), DataError> {
        if self.headers.is_empty() {
            return Ok(());
        }
        if record.value.value.is_null() {
            for header in self.headers.iter().filter(|header| header.field == "op") {
                record.add_header(&header.shown, Part::text("d"));
            }
            return Ok(());
        }
        let (schema, values) = require_struct(&record.value, PURPOSE)?;
        let mut found = Vec::with_capacity(self.headers.len());
        for header in &self.headers {
            found.extend(header.find(schema, values)?.map(|found| (&header.shown, found)));
        }
        for (name, (schema, value)) in found {
            record.add_header(name, Part::new(Arc::new(schema), value));
        }
        Ok(())
    }

    /// The row with the fields that `add.fields` names; a row that was optional no longer is.
    fn add_fields(&mut self, row: Part, envelope: &Schema, values: &[Value]) -> Result<Part, DataError> {
        let Some(known) = row.schema.clone() else { return Err(no_struct(&row.value, PURPOSE)) };
        let Value::Struct(mut row_values) = row.value else { return Err(no_struct(&row.value, PURPOSE)) };
        let mut found = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            if let Some((schema, value)) = field.find(envelope, values)? {
                found.push((field.shown.clone(), schema));
                row_values.push(value);
            }
        }
        let schema = self.added.of(&known, |schema| {
            let fields = schema.struct_fields().iter().cloned().chain(found);
            Ok(Arc::new(schema.basics(SchemaKind::Struct(fields.collect()))))
        })?;
        Ok(Part::new(schema, Value::Struct(row_values)))
    }

    fn marked(&mut self, record: ConnectRecord, deleted: bool) -> Applied {
        if matches!(record.value.value, Value::Struct(_)) {
            let insert = if deleted { &mut self.deleted } else { &mut self.kept };
            return insert.apply(record);
        }
        Ok(Some(record))
    }

    fn route(&self, record: &mut ConnectRecord, row: &Part) -> Result<(), DataError> {
        let Some(field) = &self.route_by else { return Ok(()) };
        let (schema, values) = require_struct(row, "Read record to set topic routing")?;
        if let Some(topic) = get_string(schema, values, field)?.filter(|topic| !topic.trim().is_empty()) {
            record.topic = topic;
        }
        Ok(())
    }

    fn drop_fields(&self, record: &mut ConnectRecord) -> Result<(), DataError> {
        let Some(drop) = &self.drop else { return Ok(()) };
        let names = match record.header(&drop.header).map(|header| &header.part.value) {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(items)) => items.iter().filter_map(|item| match item {
                Value::String(name) => Some(name.clone()),
                _ => None,
            }),
            Some(other) => {
                let class = other.java_class();
                return Err(DataError(format!("header {} must hold a list of fields, found: {class}", drop.header)));
            }
        };
        let names: Vec<String> = names.collect();
        let dropped = |part: &Part| {
            let schema = part.schema.as_deref();
            let fields = schema.map(Schema::struct_fields).unwrap_or_default().iter();
            let gone = fields.filter(|(name, field)| names.contains(name) && (field.optional || !drop.only_optional));
            gone.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        if drop.from_key && !record.key.value.is_null() {
            let gone = dropped(&record.key);
            if !gone.is_empty() {
                record.key = replace_field::exclude(&record.key, &gone, true)?;
            }
        }
        let gone = dropped(&record.value);
        if !gone.is_empty() && !record.value.value.is_null() {
            record.value = replace_field::exclude(&record.value, &gone, true)?;
        }
        Ok(())
    }

    fn delete(
        &mut self,
        mut record: ConnectRecord,
        envelope: (&Arc<Schema>, &[Value]),
        before: Part,
        after: Part,
    ) -> Applied {
        let old = before.clone();
        match self.handling.deletes {
            Deletes::Drop => return Ok(None),
            Deletes::Null => record.value = after,
            Deletes::Tombstone => record.value = Part::nothing(),
            Deletes::Rewrite => {
                record.value = before;
                let Some(marked) = self.marked(record, true)? else { return Ok(None) };
                record = marked;
            }
        }
        self.route(&mut record, &old)?;
        self.drop_fields(&mut record)?;
        if !record.value.value.is_null() {
            let row = std::mem::take(&mut record.value);
            record.value = self.add_fields(row, envelope.0, envelope.1)?;
        }
        Ok(Some(record))
    }

    fn row(&mut self, mut record: ConnectRecord, envelope: (&Arc<Schema>, &[Value]), after: Part) -> Applied {
        record.value = after;
        if self.handling.deletes == Deletes::Rewrite {
            let Some(marked) = self.marked(record, false)? else { return Ok(None) };
            record = marked;
        }
        let row = std::mem::take(&mut record.value);
        self.route(&mut record, &row)?;
        record.value = self.add_fields(row, envelope.0, envelope.1)?;
        self.drop_fields(&mut record)?;
        Ok(Some(record))
    }
}

impl Transform for ExtractNewRecordState {
    fn apply(&mut self, mut record: ConnectRecord) -> Applied {
        let known = super::envelope_schema(&record.value).cloned();
        if record.value.value.is_null() {
            self.add_headers(&mut record)?;
            return Ok(Some(record).filter(|_| self.handling.keeps_tombstones));
        }
        let Some(known) = known else { return Ok(Some(record)) };
        self.add_headers(&mut record)?;
        let envelope = std::mem::take(&mut record.value);
        let (_, values) = require_struct(&envelope, PURPOSE)?;
        let field = |name: &str| known.field(name).map_or(&Value::Null, |(place, _)| &values[place]).clone();
        let (old_schema, new_schema) = self.rows.of(&known, |schema| {
            let row = |name: &str| schema.field(name).map(|(_, row)| Arc::new(row.clone()));
            let after = row("after").ok_or_else(|| DataError::new("Unknown field: after"))?;
            Ok((row("before").unwrap_or_else(|| Arc::clone(&after)), after))
        })?;
        let (before, after) = (field("before"), field("after"));
        match (before.is_null(), after.is_null()) {
            // A TRUNCATE.
            (true, true) => Ok(None),
            (false, true) => {
                let (before, after) = (Part::new(old_schema, before), Part::new(new_schema, after));
                self.delete(record, (&known, values), before, after)
            }
            (_, false) => self.row(record, (&known, values), Part::new(new_schema, after)),
        }
    }
}
