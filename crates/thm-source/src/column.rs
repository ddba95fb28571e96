//! One column of a captured table: its name, type, schema, and what shows where its value is not told.

use thm_codec::debezium::{Schema, write_field_name};
use thm_codec::java_json::write_string;

use crate::column_rules::Mask;
use crate::columns::{ColumnBuilder, ColumnKind};
use crate::options::Options;
use crate::pgoutput::{Datum, RelationColumn};
use crate::types::{Cell, ColumnType, Types, ValueError};

/// What only the catalog knows of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Name.
    pub name: String,
    /// Declared NOT NULL.
    pub not_null: bool,
    /// Name of its type in the catalog; `serial` and its like where a sequence gives the values.
    pub type_name: String,
    /// Its type is a domain.
    pub is_domain: bool,
    /// Its default, if any.
    pub default: ColumnDefault,
    /// The comment on it.
    pub comment: Option<String>,
}

/// What a column's default is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ColumnDefault {
    /// None, or an expression that is no plain call.
    #[default]
    None,
    /// A constant, in binary form.
    Literal(Vec<u8>),
    /// A call: `now()`, `nextval(…)`.
    Call,
}

/// Whether NULL means NULL in a row image, or "not told".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// All columns are told.
    Whole,
    /// Only those of the replica identity are.
    KeyOnly,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Name in the database.
    pub name: String,
    /// Name in records.
    pub shown_name: String,
    /// Its type; none if records leave it out whatever is asked.
    pub kind: Option<ColumnType>,
    /// It is in the rows of records, not in the key alone.
    pub in_rows: bool,
    /// NOT NULL, in a handling mode that shows some values as NULL.
    required: bool,
    mask: Option<Mask>,
    /// `"name":`
    pub(crate) field: Vec<u8>,
    /// The same behind another field.
    pub(crate) next_field: Vec<u8>,
    schema: Option<Schema>,
    /// What of the schema only rows have: where the column comes from.
    origin: Vec<(String, String)>,
    /// JSON of NULL.
    null: Vec<u8>,
    /// JSON of an unknown value in an old row image that holds the key only.
    unknown: Vec<u8>,
    /// JSON of an unchanged TOASTed value, and its text for the Arrow column.
    unchanged: Vec<u8>,
    unchanged_text: Option<String>,
}

impl Column {
    /// Whether its values show as they are.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.mask.is_none()
    }

    /// `table` is `schema.table`.
    #[must_use]
    pub fn new(table: &str, told: &RelationColumn, facts: &ColumnFacts, types: &Types, options: &Options) -> Self {
        let name = told.name.clone();
        let kind = types.resolve(told.type_oid, told.type_modifier, options.modes);
        let shown_name = options.adjust_fields.field(&name);
        let field = write_field_name(&shown_name);
        let mut column = Self {
            next_field: [b",", field.as_slice()].concat(),
            field,
            in_rows: kind.is_some() && options.columns.shows(table, &name),
            required: facts.not_null && kind.as_ref().is_some_and(ColumnType::loses_values),
            mask: options.columns.mask(table, &name).cloned(),
            shown_name,
            schema: None,
            origin: Vec::new(),
            null: b"null".to_vec(),
            unknown: b"null".to_vec(),
            unchanged: b"null".to_vec(),
            unchanged_text: None,
            kind: None,
            name,
        };
        if let Some(kind) = &kind {
            let default = default_of(kind, facts);
            if let Some(json) = default.as_ref().filter(|_| options.output.value_defaults) {
                column.null.clone_from(json);
            }
            column.unknown = match facts.not_null {
                true => default.clone().unwrap_or_else(|| kind.fallback()),
                false => column.null.clone(),
            };
            (column.unchanged, column.unchanged_text) = kind.placeholder(&options.placeholder);
            let tells_origin = options.columns.tells_origin(table, &column.name, &facts.type_name);
            let mut schema = Schema { optional: !facts.not_null, default, ..kind.schema() };
            if let Some(comment) = facts.comment.as_ref().filter(|_| options.comments) {
                schema.doc = Some(comment.clone());
            }
            column.schema = Some(schema);
            if tells_origin {
                column.origin = origin(kind, facts, &column.name);
            }
        }
        column.kind = kind;
        column
    }

    /// The schema of its field in rows.
    #[must_use]
    pub fn schema(&self) -> Option<Schema> {
        let mut schema = self.schema.clone()?;
        schema.parameters.extend(self.origin.iter().cloned());
        Some(match &self.mask {
            None => schema,
            Some(Mask::Cut(length)) if self.width().is_none_or(|width| width > *length) => {
                schema.with("truncateLength", length.to_string())
            }
            Some(Mask::Cut(_)) => schema,
            Some(_) => schema.with("masked", "true"),
        })
    }

    /// The schema of its field in keys, which are never masked.
    #[must_use]
    pub fn key_schema(&self) -> Option<Schema> {
        self.schema.clone()
    }

    /// Whether a key must write its value anew, for rows leave it out or mask it.
    #[must_use]
    pub fn differs_in_key(&self) -> bool {
        !self.in_rows || self.mask.is_some()
    }

    /// Declared length of a text.
    fn width(&self) -> Option<usize> {
        let kind = self.kind.as_ref().filter(|kind| matches!(kind.rule.name, "varchar" | "bpchar"))?;
        usize::try_from(kind.modifier.checked_sub(4)?).ok()
    }

    /// Writes a value into a row's JSON and column.
    #[inline]
    pub(crate) fn write(&self, datum: Datum<'_>, image: Image, cell: Cell<'_>) -> Result<(), ValueError> {
        match &self.mask {
            None => self.write_plain(datum, image, cell),
            Some(mask) => self.write_masked(mask, datum, image, cell),
        }
    }

    /// The same without a mask, as keys have it.
    #[inline]
    pub(crate) fn write_plain(&self, datum: Datum<'_>, image: Image, cell: Cell<'_>) -> Result<(), ValueError> {
        let mut cell = cell;
        let Some(kind) = &self.kind else { return Ok(()) };
        match datum {
            Datum::Binary(bytes) => {
                let start = cell.json.len();
                kind.write(bytes, &mut cell)?;
                // Where the mode has no form for a value it shows NULL, which a required field cannot be.
                let lost = self.required && &cell.json[start..] == b"null";
                return if lost { Err(ValueError("value that the handling mode can show")) } else { Ok(()) };
            }
            // The server sends text where a type has no binary form.
            Datum::Text(bytes) if kind.reads_text() => return kind.write(bytes, &mut cell),
            Datum::Text(_) => return Err(ValueError("value: the server sent text")),
            Datum::Null if image == Image::KeyOnly => cell.json.extend_from_slice(&self.unknown),
            Datum::Null => cell.json.extend_from_slice(&self.null),
            Datum::Unchanged => {
                cell.json.extend_from_slice(&self.unchanged);
                if let (Some(text), Some(column)) = (&self.unchanged_text, &mut cell.column) {
                    column.push_str(text);
                    return Ok(());
                }
            }
        }
        if let Some(column) = &mut cell.column {
            column.push_null();
        }
        Ok(())
    }

    /// Writes a value of a key as a header has it.
    pub(crate) fn write_header(&self, datum: Datum<'_>, image: Image, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match (datum, &self.kind) {
            (Datum::Binary(bytes), Some(kind)) => kind.write_header(bytes, out),
            (Datum::Text(bytes), Some(kind)) if kind.reads_text() => kind.write_header(bytes, out),
            (datum, _) => self.write_plain(datum, image, Cell { json: out, column: None }),
        }
    }

    fn write_masked(&self, mask: &Mask, datum: Datum<'_>, image: Image, cell: Cell<'_>) -> Result<(), ValueError> {
        let texts = self.kind.as_ref().is_some_and(|kind| kind.is_plain_text());
        let maskable = texts || (matches!(mask, Mask::Cut(_)) && self.column_kind() == Some(ColumnKind::Utf8));
        if !maskable {
            return self.write_plain(datum, image, cell);
        }
        let Cell { json, mut column } = cell;
        if let (Mask::Cut(length), Datum::Binary(bytes), Some(kind)) = (mask, datum, &self.kind)
            && kind.rule.name == "bytea"
            && !kind.is_text_of_bytes()
        {
            return kind.write(&bytes[..bytes.len().min(*length)], &mut Cell { json, column });
        }
        let start = json.len();
        self.write_plain(datum, image, Cell { json, column: None })?;
        let text = match serde_json::from_slice::<serde_json::Value>(&json[start..]) {
            Ok(serde_json::Value::String(text)) => text,
            _ if mask.covers_null() => String::new(),
            _ => {
                if let Some(column) = &mut column {
                    push_json(column, &json[start..]);
                }
                return Ok(());
            }
        };
        json.truncate(start);
        let shown = mask.apply(&text, self.width());
        write_string(json, &shown);
        if let Some(column) = &mut column {
            column.push_str(&shown);
        }
        Ok(())
    }

    /// Arrow's type of it, if it is in rows.
    #[must_use]
    pub fn column_kind(&self) -> Option<ColumnKind> {
        self.kind.as_ref().filter(|_| self.in_rows).map(ColumnType::column)
    }
}

fn push_json(column: &mut ColumnBuilder, json: &[u8]) {
    match std::str::from_utf8(json) {
        Ok("null") | Err(_) => column.push_null(),
        Ok(json) => column.push_str(json),
    }
}

/// The default's JSON, where a schema can have it.
fn default_of(kind: &ColumnType, facts: &ColumnFacts) -> Option<Vec<u8>> {
    if facts.is_domain || !kind.takes_default() {
        return None;
    }
    match &facts.default {
        ColumnDefault::None => None,
        ColumnDefault::Call => kind.generated_default(),
        ColumnDefault::Literal(bytes) => {
            let mut json = Vec::new();
            let written = kind.write(bytes, &mut Cell { json: &mut json, column: None });
            (written.is_ok() && json != b"null").then_some(json)
        }
    }
}

/// `column.propagate.source.type`: where the column comes from.
fn origin(kind: &ColumnType, facts: &ColumnFacts, name: &str) -> Vec<(String, String)> {
    let (length, scale) = kind.declared_size();
    let mut found = vec![("type", facts.type_name.to_uppercase()), ("length", length.to_string())];
    found.extend(scale.map(|scale| ("scale", scale.to_string())));
    found.extend(facts.comment.clone().map(|comment| ("comment", comment)));
    found.push(("name", name.to_owned()));
    found.into_iter().map(|(part, value)| (format!("__debezium.source.column.{part}"), value)).collect()
}
