//! A captured table: its columns, its key, and a row of it as JSON and Arrow.
//!
//! ```text
//!   Relation (what the stream says)  ─┐
//!                                     ├─▶ Table ──write_row──▶ {"id":1,…}  + Arrow columns + where each value stands
//!   TableFacts (what the catalog says)┘                               └──write_key──▶ {"id":1}
//! ```
//!
//! Invariant: a `Table` never changes. A new relation message with other columns makes a new one.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use thm_api::{Error, ErrorKind, Position, Result, Superseded, Supersession, TopicSpec};
use thm_codec::debezium::{Change, Envelope, Schema, SchemaKind, envelope_schema};
use thm_codec::java_json::write_string;
use thm_codec::java_text::write_header_value;

pub use crate::column::{Column, ColumnDefault, ColumnFacts, Image};
use crate::columns::ColumnBuilder;
use crate::options::Options;
use crate::output::Frame;
use crate::pgoutput::{Datum, Relation, Tuple};
use crate::session::identifier;
use crate::types::{Cell, Types};

/// What only the catalog knows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Names of the key's columns, in the order of the index; empty for none.
    pub key: Vec<String>,
    /// By column.
    pub columns: Vec<ColumnFacts>,
    /// Types of its columns, and types in those.
    pub types: Types,
}

/// A captured table.
#[derive(Debug)]
pub struct Table {
    /// The relation message it was made from.
    pub relation: Relation,
    /// What the catalog said.
    pub facts: TableFacts,
    /// `schema.table`
    pub full_name: String,
    /// Columns in table order.
    pub columns: Vec<Column>,
    /// Indexes of the key's columns, in key order.
    pub key: Vec<usize>,
    /// A field of the key that tells the table from others of its topic, as JSON with its name.
    key_field: Option<Vec<u8>>,
    /// Its topic.
    pub topic: Arc<TopicSpec>,
    /// The constant parts of its envelopes.
    pub envelope: Envelope,
    /// What stands around its keys.
    pub key_frame: Frame,
    /// What stands around its values.
    pub value_frame: Frame,
    /// Keys in headers have their schema.
    header_schemas: bool,
    /// Its rows in Arrow.
    pub schema: SchemaRef,
}

/// Where each value of a row stands in its JSON.
pub type Spans = Vec<(usize, usize)>;

impl Table {
    /// Joins what the stream and the catalog say. A column that the catalog no longer has keeps what the stream says.
    ///
    /// # Errors
    /// `message.key.columns` names a column that is not there.
    pub fn new(relation: Relation, facts: &TableFacts, options: &Options) -> Result<Self> {
        let full_name = format!("{}.{}", relation.schema, relation.name);
        let columns: Vec<Column> = (relation.columns.iter())
            .map(|column| {
                let told = facts.columns.iter().find(|told| told.name == column.name).cloned().unwrap_or_default();
                Column::new(&full_name, column, &told, &facts.types, options)
            })
            .collect();
        for column in columns.iter().filter(|column| column.kind.is_none()) {
            tracing::warn!(table = full_name, column = column.name, "column of a type without a form is left out");
        }
        let index = |name: &String| relation.columns.iter().position(|column| column.name == *name);
        let key = match options.columns.key(&full_name) {
            Some(names) => names.iter().map(index).collect::<Option<Vec<_>>>().ok_or_else(|| {
                let object = format!("{full_name}: {}", names.join(", "));
                Error::new(ErrorKind::CaptureMismatch, "finding the columns of message.key.columns", object)
                    .with_hint("Name columns that the table has.")
            })?,
            None => facts.key.iter().map(index).collect::<Option<Vec<_>>>().unwrap_or_default(),
        };
        let key: Vec<usize> = key.into_iter().filter(|index| columns[*index].kind.is_some()).collect();
        let arrow = columns.iter().filter_map(|column| Some((&column.name, column.column_kind()?)));
        let fields: Vec<_> = arrow.map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect();
        let (schema, name) = (&relation.schema, &relation.name);
        let topic = options.topic(schema, name);
        let key_field = options.naming.key_field(schema, name);
        let (key_schema, value_schema) =
            schemas(&columns, (&key, key_field.as_ref().map(|(name, _)| *name)), &topic, options);
        let key_field = key_field.map(|(name, value)| {
            let mut json = Vec::new();
            write_string(&mut json, name);
            json.push(b':');
            write_string(&mut json, &value);
            json
        });
        Ok(Self {
            topic: Arc::new(TopicSpec::new(topic)),
            envelope: Envelope::new(options.envelope, &options.prefix, &options.database, schema, name)
                .with_null_markers(options.output.tells_nulls),
            key_frame: Frame::new(options.output.key, &key_schema),
            value_frame: Frame::new(options.output.value, &value_schema),
            header_schemas: options.output.header_schemas,
            schema: Arc::new(ArrowSchema::new(fields)),
            columns,
            key,
            key_field,
            facts: facts.clone(),
            full_name,
            relation,
        })
    }

    /// Says that what the topic held of this table is no longer true.
    #[must_use]
    pub fn superseded(
        &self,
        options: &Options,
        position: Position,
        by: Supersession,
        change: &Change<'_>,
    ) -> Superseded {
        let mut source = Vec::new();
        self.envelope.write_source(&mut source, change);
        let source_json = source.strip_prefix(b",\"source\":".as_slice()).unwrap_or(&source).to_vec();
        let (topic, spool) = (Arc::clone(&self.topic), options.spool.clone());
        Superseded { topic, position, by, source_json, tombstones: options.tombstones, spool }
    }

    /// `schema.table`
    #[must_use]
    pub fn full_name(&self) -> String {
        self.full_name.clone()
    }

    /// SQL of each column for a snapshot's query: what records leave out is not read, and what has no binary form comes
    /// as text.
    #[must_use]
    pub fn select_list(&self) -> String {
        let expression = |column: &Column| {
            let name = identifier(&column.name);
            match &column.kind {
                None => "NULL::text".to_owned(),
                Some(kind) if kind.has_only_text() => format!("{name}::text"),
                Some(_) => name,
            }
        };
        self.columns.iter().map(expression).collect::<Vec<_>>().join(", ")
    }

    /// Empty Arrow columns of this table.
    #[must_use]
    pub fn builders(&self) -> Vec<ColumnBuilder> {
        self.columns.iter().filter_map(Column::column_kind).map(ColumnBuilder::new).collect()
    }

    /// Appends a row as a JSON object and, where wanted, to the Arrow columns; `spans` then says where each value
    /// stands in `json`. `whole_old` is the old row where all of it is known: it still has the TOASTed values that an
    /// update did not touch.
    ///
    /// # Errors
    /// A value is not of its column's type, or the row is not as wide as the table.
    pub fn write_row(
        &self,
        tuple: &Tuple<'_>,
        image: Image,
        whole_old: Option<&Tuple<'_>>,
        json: &mut Vec<u8>,
        spans: &mut Spans,
        arrow: Option<&mut [ColumnBuilder]>,
    ) -> Result<()> {
        if tuple.len() != self.columns.len() {
            let object = format!("{}: {} values for {} columns", self.full_name(), tuple.len(), self.columns.len());
            return Err(Error::new(ErrorKind::SourceDecode, "reading a row", object));
        }
        spans.clear();
        json.push(b'{');
        let mut builders = arrow.map(|columns| columns.iter_mut());
        let mut old_values = whole_old.map(Tuple::values);
        let mut first = true;
        for (mut datum, column) in tuple.values().zip(&self.columns) {
            if let Some(old) = old_values.as_mut().and_then(Iterator::next).filter(|_| datum == Datum::Unchanged) {
                datum = old;
            }
            if !column.in_rows {
                spans.push((0, 0));
                continue;
            }
            json.extend_from_slice(if std::mem::take(&mut first) { &column.field } else { &column.next_field });
            let start = json.len();
            let builder = builders.as_mut().and_then(Iterator::next);
            let cell = Cell { json, column: builder };
            column.write(datum, image, cell).map_err(|problem| self.bad_value(tuple, column, problem))?;
            spans.push((start, json.len()));
        }
        json.push(b'}');
        Ok(())
    }

    fn bad_value(&self, tuple: &Tuple<'_>, column: &Column, problem: crate::types::ValueError) -> Error {
        let object = format!("{}.{}{}", self.full_name(), column.name, self.row_name(tuple));
        Error::new(ErrorKind::SourceDecode, "reading a value", object).with_source(problem)
    }

    /// The key of a row whose values may not all be good, for a message.
    fn row_name(&self, tuple: &Tuple<'_>) -> String {
        let mut name = Vec::new();
        for (rank, index) in self.key.iter().enumerate() {
            let column = &self.columns[*index];
            name.extend_from_slice(if rank == 0 { b" of {" } else { b"," });
            name.extend_from_slice(&column.field);
            let datum = tuple.values().nth(*index).unwrap_or(Datum::Null);
            if column.write_plain(datum, Image::Whole, Cell { json: &mut name, column: None }).is_err() {
                name.push(b'?');
            }
        }
        if !name.is_empty() {
            name.push(b'}');
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    /// Appends the key of a row as plain JSON; the row's JSON and spans are given. False without a key.
    ///
    /// # Errors
    /// A value is not of its column's type.
    pub fn write_key(
        &self,
        (tuple, image): (&Tuple<'_>, Image),
        json: &[u8],
        spans: &Spans,
        key: &mut Vec<u8>,
    ) -> Result<bool> {
        if self.key.is_empty() && self.key_field.is_none() {
            return Ok(false);
        }
        for (rank, index) in self.key.iter().enumerate() {
            key.push(if rank == 0 { b'{' } else { b',' });
            let column = &self.columns[*index];
            key.extend_from_slice(&column.field);
            if column.differs_in_key() {
                let datum = tuple.values().nth(*index).unwrap_or(Datum::Null);
                let cell = Cell { json: key, column: None };
                column.write_plain(datum, image, cell).map_err(|problem| self.bad_value(tuple, column, problem))?;
            } else {
                let (start, end) = spans[*index];
                key.extend_from_slice(&json[start..end]);
            }
        }
        if let Some(field) = &self.key_field {
            key.push(if self.key.is_empty() { b'{' } else { b',' });
            key.extend_from_slice(field);
        }
        key.push(b'}');
        Ok(true)
    }

    /// Appends the key of a row as the headers have it that name another row's key.
    ///
    /// # Errors
    /// A value is not of its column's type.
    pub fn write_header_key(&self, tuple: &Tuple<'_>, image: Image, out: &mut Vec<u8>) -> Result<()> {
        if self.header_schemas {
            return self.write_framed_key(tuple, image, out);
        }
        for (rank, index) in self.key.iter().enumerate() {
            out.push(if rank == 0 { b'{' } else { b',' });
            let column = &self.columns[*index];
            write_header_value(&column.field, out);
            let datum = tuple.values().nth(*index).unwrap_or(Datum::Null);
            column.write_header(datum, image, out).map_err(|problem| self.bad_value(tuple, column, problem))?;
        }
        if let Some(field) = &self.key_field {
            out.push(if self.key.is_empty() { b'{' } else { b',' });
            write_header_value(field, out);
        }
        out.push(b'}');
        Ok(())
    }

    /// Appends the key of a row with its schema.
    fn write_framed_key(&self, tuple: &Tuple<'_>, image: Image, out: &mut Vec<u8>) -> Result<()> {
        self.key_frame.open(out);
        for (rank, index) in self.key.iter().enumerate() {
            out.push(if rank == 0 { b'{' } else { b',' });
            let column = &self.columns[*index];
            out.extend_from_slice(&column.field);
            let datum = tuple.values().nth(*index).unwrap_or(Datum::Null);
            let cell = Cell { json: out, column: None };
            column.write_plain(datum, image, cell).map_err(|problem| self.bad_value(tuple, column, problem))?;
        }
        if let Some(field) = &self.key_field {
            out.push(if self.key.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(field);
        }
        out.push(b'}');
        self.key_frame.close(out);
        Ok(())
    }
}

/// Schemas of keys and values.
fn schemas(
    columns: &[Column],
    (key, key_field): (&[usize], Option<&str>),
    topic: &str,
    options: &Options,
) -> (Schema, Schema) {
    let name = |part: &str| Some(options.adjust_schemas.schema(&format!("{topic}.{part}")));
    let rows = columns.iter().filter(|column| column.in_rows);
    let rows: Vec<_> = rows.filter_map(|column| Some((column.shown_name.clone(), column.schema()?))).collect();
    let row = Schema { name: name("Value"), optional: true, ..Schema::of(SchemaKind::Struct(rows)) };
    let keys = key.iter().map(|index| &columns[*index]);
    let keys = keys.filter_map(|column| Some((column.shown_name.clone(), column.key_schema()?)));
    let keys = keys.chain(key_field.map(|name| (name.to_owned(), Schema::plain("string")))).collect();
    let key = Schema { name: name("Key"), ..Schema::of(SchemaKind::Struct(keys)) };
    let envelope = name("Envelope").unwrap_or_default();
    (key, envelope_schema(options.envelope, row, envelope))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::ConnectorConfig;

    use super::*;
    use crate::pgoutput::RelationColumn;

    /// A value that is not of its type is told of with its table, column and row.
    #[test]
    fn a_bad_value_is_named() {
        let given =
            [("database.hostname", "h"), ("database.user", "u"), ("database.dbname", "d"), ("topic.prefix", "pg")];
        let values = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options::parse(&ConnectorConfig::new(values)).unwrap();
        let column = |name: &str, type_oid| RelationColumn {
            identity: name == "id",
            name: name.to_owned(),
            type_oid,
            type_modifier: -1,
        };
        let columns = vec![column("id", 23), column("n", 20)];
        let relation = Relation { oid: 1, schema: "public".to_owned(), name: "t".to_owned(), identity: b'd', columns };
        let facts = TableFacts { key: vec!["id".to_owned()], ..TableFacts::default() };
        let table = Table::new(relation, &facts, &options).unwrap();
        let row = [&[0, 2, b'b', 0, 0, 0, 4, 0, 0, 0, 7][..], &[b'b', 0, 0, 0, 3, 1, 2, 3]].concat();
        let tuple = Tuple::parse(&row).unwrap();
        let error = table.write_row(&tuple, Image::Whole, None, &mut Vec::new(), &mut Vec::new(), None).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::SourceDecode, "public.t.n of {\"id\":7}"));
    }
}
