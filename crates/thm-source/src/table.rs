//! A captured table: its columns with their rules, its key, and a row of it as JSON and Arrow.
//!
//! ```text
//!   Relation (what the stream says)  ─┐
//!                                     ├─▶ Table ──write_row──▶ {"id":1,…}  + Arrow columns + where each value stands
//!   TableFacts (what the catalog says)┘                               └──write_key──▶ {"id":1}
//! ```
//!
//! Invariant: a `Table` never changes. A new relation message with other columns makes a new one.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use thm_api::{Error, ErrorKind, Result, TopicSpec};
use thm_codec::debezium::{Envelope, write_base64, write_field_name};
use thm_codec::java_json::write_string;

use crate::columns::ColumnBuilder;
use crate::options::Options;
use crate::pgoutput::{Datum, Relation, Tuple};
use crate::types::{Cell, ENUM_RULE, Toast, TypeContext, TypeRule, rule_of};

/// What only the catalog knows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Names of the key's columns, in the order of the index; empty for none.
    pub key: Vec<String>,
    /// By column.
    pub columns: Vec<ColumnFacts>,
}

/// What only the catalog knows of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Name.
    pub name: String,
    /// Declared NOT NULL.
    pub not_null: bool,
    /// The type under a domain with its modifier, for an ordinary type itself.
    pub base_type: u32,
    /// Modifier of the base type where the column is of a domain.
    pub base_modifier: Option<i32>,
    /// Its type is an enum.
    pub is_enum: bool,
    /// Name of its type, for messages.
    pub type_name: String,
    /// It has a default.
    pub has_default: bool,
    /// The default in binary form, where it is a literal of a NOT NULL column.
    pub literal_default: Option<Vec<u8>>,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Name.
    pub name: String,
    rule: &'static TypeRule,
    context: TypeContext,
    /// `"name":`
    field: Vec<u8>,
    /// JSON of an unknown value in an old row image that holds the key only.
    unknown: Vec<u8>,
    /// JSON of an unchanged TOASTed value, and its text for the Arrow column.
    unchanged: Vec<u8>,
    unchanged_text: Option<String>,
}

/// A captured table.
#[derive(Debug)]
pub struct Table {
    /// The relation message it was made from.
    pub relation: Relation,
    /// Columns in table order.
    pub columns: Vec<Column>,
    /// Indexes of the key's columns, in key order.
    pub key: Vec<usize>,
    /// Its topic.
    pub topic: Arc<TopicSpec>,
    /// The constant parts of its envelopes.
    pub envelope: Envelope,
    /// Its rows in Arrow.
    pub schema: SchemaRef,
}

/// Whether NULL means NULL in a row image, or "not told".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// All columns are told.
    Whole,
    /// Only those of the replica identity are.
    KeyOnly,
}

/// Where each value of a row stands in its JSON.
pub type Spans = Vec<(usize, usize)>;

impl Table {
    /// Joins what the stream and the catalog say. A column that the catalog no longer has keeps what the stream says.
    pub fn new(relation: Relation, facts: &TableFacts, options: &Options) -> Result<Self> {
        let columns = (relation.columns.iter())
            .map(|column| {
                let told = facts.columns.iter().find(|told| told.name == column.name).cloned().unwrap_or_default();
                Column::new(column.name.clone(), column.type_oid, column.type_modifier, &told, options)
                    .map_err(|error| error.0(&relation))
            })
            .collect::<Result<Vec<_>>>()?;
        let index = |name: &String| relation.columns.iter().position(|column| column.name == *name);
        let key = facts.key.iter().map(index).collect::<Option<Vec<_>>>().unwrap_or_default();
        let fields: Vec<_> =
            columns.iter().map(|column| Field::new(&column.name, column.rule.column.data_type(), true)).collect();
        let (schema, name) = (&relation.schema, &relation.name);
        Ok(Self {
            topic: Arc::new(TopicSpec::new(options.topic(schema, name))),
            envelope: Envelope::new(options.envelope, &options.prefix, &options.database, schema, name),
            schema: Arc::new(Schema::new(fields)),
            columns,
            key,
            relation,
        })
    }

    /// `schema.table`
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.relation.schema, self.relation.name)
    }

    /// Empty Arrow columns of this table.
    #[must_use]
    pub fn builders(&self) -> Vec<ColumnBuilder> {
        self.columns.iter().map(|column| ColumnBuilder::new(column.rule.column)).collect()
    }

    /// Appends a row as a JSON object and, where wanted, to the Arrow columns; `spans` then says where each value
    /// stands in `json`. `whole_old` is the old row where all of it is known: it still has the TOASTed values that an
    /// update did not touch.
    pub fn write_row(
        &self,
        tuple: &Tuple<'_>,
        image: Image,
        whole_old: Option<&Tuple<'_>>,
        json: &mut Vec<u8>,
        spans: &mut Spans,
        mut arrow: Option<&mut [ColumnBuilder]>,
    ) -> Result<()> {
        if tuple.len() != self.columns.len() {
            let object = format!("{}: {} values for {} columns", self.full_name(), tuple.len(), self.columns.len());
            return Err(Error::new(ErrorKind::SourceDecode, "reading a row", object));
        }
        spans.clear();
        json.push(b'{');
        let mut old_values = whole_old.map(Tuple::values);
        for (index, (mut datum, column)) in tuple.values().zip(&self.columns).enumerate() {
            if let Some(old) = old_values.as_mut().and_then(Iterator::next).filter(|_| datum == Datum::Unchanged) {
                datum = old;
            }
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&column.field);
            let start = json.len();
            let builder = arrow.as_deref_mut().and_then(|columns| columns.get_mut(index));
            column.write(datum, image, Cell { json, column: builder }).map_err(|problem| {
                Error::new(ErrorKind::SourceDecode, "reading a value", format!("{}.{}", self.full_name(), column.name))
                    .with_source(problem)
            })?;
            spans.push((start, json.len()));
        }
        json.push(b'}');
        Ok(())
    }

    /// Appends the key of a row whose JSON and spans are given; false without a key.
    pub fn write_key(&self, json: &[u8], spans: &Spans, key: &mut Vec<u8>) -> bool {
        for (rank, index) in self.key.iter().enumerate() {
            key.push(if rank == 0 { b'{' } else { b',' });
            let (start, end) = spans[*index];
            key.extend_from_slice(&self.columns[*index].field);
            key.extend_from_slice(&json[start..end]);
        }
        if !self.key.is_empty() {
            key.push(b'}');
        }
        !self.key.is_empty()
    }
}

/// An error of a column, waiting for the name of its table.
struct ColumnError(Box<dyn FnOnce(&Relation) -> Error>);

impl Column {
    fn new(
        name: String,
        type_oid: u32,
        type_modifier: i32,
        facts: &ColumnFacts,
        options: &Options,
    ) -> std::result::Result<Self, ColumnError> {
        let base = if facts.base_type == 0 { type_oid } else { facts.base_type };
        let found = if facts.is_enum { Some(&ENUM_RULE) } else { rule_of(base) };
        let Some(rule) = found else {
            let type_name = if facts.type_name.is_empty() { format!("oid {base}") } else { facts.type_name.clone() };
            return Err(ColumnError(Box::new(move |relation| {
                let object = format!("{}.{}.{name} of type {type_name}", relation.schema, relation.name);
                Error::new(ErrorKind::CaptureMismatch, "reading a table's columns", object)
                    .with_hint("This type cannot be captured yet; leave the table out of table.include.list.")
            })));
        };
        let context = TypeContext { modifier: facts.base_modifier.unwrap_or(type_modifier), modes: options.modes };
        let (unchanged, unchanged_text) = placeholder(rule.toast, &options.placeholder);
        Ok(Self {
            field: write_field_name(&name),
            unknown: unknown_value(rule, context, facts),
            rule,
            context,
            unchanged,
            unchanged_text,
            name,
        })
    }

    #[inline]
    fn write(
        &self,
        datum: Datum<'_>,
        image: Image,
        cell: Cell<'_>,
    ) -> std::result::Result<(), crate::types::ValueError> {
        let mut cell = cell;
        match datum {
            Datum::Binary(bytes) => return (self.rule.write)(bytes, self.context, &mut cell),
            Datum::Text(_) => return Err(crate::types::ValueError("value: the server sent text")),
            Datum::Null if image == Image::KeyOnly => cell.json.extend_from_slice(&self.unknown),
            Datum::Null => cell.json.extend_from_slice(b"null"),
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
}

fn placeholder(toast: Toast, text: &str) -> (Vec<u8>, Option<String>) {
    let mut json = Vec::new();
    match toast {
        Toast::Text => {
            write_string(&mut json, text);
            (json, Some(text.to_owned()))
        }
        Toast::Base64 => {
            let mut base64 = Vec::new();
            write_base64(&mut base64, text.as_bytes());
            let base64 = String::from_utf8(base64).unwrap_or_default();
            write_string(&mut json, &base64);
            (json, Some(base64))
        }
        Toast::Null => (b"null".to_vec(), None),
    }
}

/// Debezium fills what a key-only image does not tell: NULL where a column may be NULL, else its literal default,
/// else the type's zero.
fn unknown_value(rule: &TypeRule, context: TypeContext, facts: &ColumnFacts) -> Vec<u8> {
    if !facts.not_null {
        return b"null".to_vec();
    }
    let mut json = Vec::new();
    if let Some(literal) = &facts.literal_default {
        let mut cell = Cell { json: &mut json, column: None };
        if (rule.write)(literal, context, &mut cell).is_ok() {
            return json;
        }
    }
    zero(rule, context, facts.has_default)
}

fn zero(rule: &TypeRule, context: TypeContext, has_default: bool) -> Vec<u8> {
    use crate::options::DecimalMode;
    let text = match (rule.oid, context.modes.decimal) {
        (2950, _) if has_default => "\"00000000-0000-0000-0000-000000000000\"",
        (1700, DecimalMode::String) => "\"0\"",
        (1700, DecimalMode::Double) => "0.0",
        (1700, DecimalMode::Precise) if context.modifier < 4 => "{\"scale\":0,\"value\":\"AA==\"}",
        _ => rule.zero,
    };
    text.as_bytes().to_vec()
}
