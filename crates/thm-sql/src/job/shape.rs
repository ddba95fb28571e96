//! What has been seen of the columns of the captured tables behind a topic: a column that was there and is there no more
//! was dropped or renamed; one whose type is another, or that could be read and cannot be read any more, was retyped. One
//! that was never there is NULL. Types are those of the columns that the source makes beside its records, as long as these
//! are in memory; a record itself tells a number from a text.
//!
//! ```text
//!   record of table t ──▶ shape of t ──┬─ has all that was there, readable ─▶ grows
//!                                      └─ else ─▶ the job fails, with the column
//! ```
//! Invariant: a record is held against records of its own table alone, for a topic may carry several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::Field;
use crate::format::json_read::{self, Marks};

/// `schema` and `table` of a record's `source`, as its JSON has them.
pub(super) type Table<'a> = (&'a str, &'a str);

/// What has been seen of the columns of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    present: u64,
    readable: u64,
    /// Columns seen as JSON texts, and those seen as numbers or booleans.
    texts: u64,
    bare: u64,
}

/// What is said of a column of another type.
pub(super) const RETYPED: &str = "has another type in the captured table";

impl Shape {
    /// The field that is not as it was.
    fn wrong(&self, marks: Marks) -> Option<(usize, &'static str)> {
        let gone = self.present & !marks.present;
        if gone != 0 {
            return Some((gone.trailing_zeros() as usize, "is no longer in the captured table"));
        }
        let retyped = self.readable & marks.unreadable | self.texts & marks.bare | self.bare & marks.texts;
        (retyped != 0).then(|| (retyped.trailing_zeros() as usize, RETYPED))
    }

    fn follow(&mut self, marks: Marks) -> Result<(), (usize, &'static str)> {
        if let Some(wrong) = self.wrong(marks) {
            return Err(wrong);
        }
        self.present |= marks.present;
        self.readable |= marks.readable;
        self.texts |= marks.texts;
        self.bare |= marks.bare;
        Ok(())
    }
}

/// What is known of a table.
#[derive(Debug, Default)]
struct Known {
    schema: String,
    table: String,
    shape: Shape,
    /// Types of the source's columns, by name.
    types: BTreeMap<String, String>,
}

/// Shapes by table: as a rule of one.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Known>);

/// The shape of a table in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableShape {
    /// `schema` of the records' `source`.
    pub schema: String,
    /// `table` of it.
    pub table: String,
    /// Columns that have been seen.
    pub seen: Vec<String>,
    /// Those that could be read.
    pub readable: Vec<String>,
    /// Those that were texts in JSON.
    #[serde(default)]
    pub texts: Vec<String>,
    /// Those that were numbers or booleans in JSON.
    #[serde(default)]
    pub bare: Vec<String>,
    /// Types of the source's columns, by name.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
}

impl Shapes {
    /// Holds a record against those of its table; the field that is not as it was.
    pub fn follow(&mut self, table: Table<'_>, marks: Marks) -> Result<(), (usize, &'static str)> {
        if let Some(known) = self.of(table) {
            return known.shape.follow(marks);
        }
        let mut known = Known { schema: table.0.to_owned(), table: table.1.to_owned(), ..Known::default() };
        known.shape.follow(marks)?;
        self.0.push(known);
        Ok(())
    }

    /// Holds the types of a table's columns against what they were; the column that has another one.
    pub fn follow_types(&mut self, table: Table<'_>, types: Vec<(String, String)>) -> Result<(), String> {
        let Some(known) = self.of(table) else { return Ok(()) };
        for (column, now) in types {
            if *known.types.entry(column.clone()).or_insert_with(|| now.clone()) != now {
                return Err(column);
            }
        }
        Ok(())
    }

    fn of(&mut self, (schema, table): Table<'_>) -> Option<&mut Known> {
        self.0.iter_mut().find(|known| known.schema == schema && known.table == table)
    }

    /// Whether records with these columns tell nothing new, whatever table they are of: there is one, with these columns.
    pub fn knows(&self, present: u64) -> bool {
        matches!(self.0.as_slice(), [known] if known.shape.present == present)
    }

    /// Whether columns of these types tell nothing new: there is one table, with these types.
    pub fn has_types(&self, types: &[(String, String)]) -> bool {
        let same = |known: &Known| types.iter().all(|(column, now)| known.types.get(column) == Some(now));
        matches!(self.0.as_slice(), [known] if same(known))
    }

    /// For a checkpoint.
    pub fn stored(&self, fields: &[Field]) -> Vec<TableShape> {
        let names = |mask: u64| -> Vec<String> {
            let found = fields.iter().enumerate().filter(|(index, _)| mask & json_read::bit(*index) != 0);
            found.map(|(_, field)| field.name.clone()).collect()
        };
        let of = |known: &Known| TableShape {
            schema: known.schema.clone(),
            table: known.table.clone(),
            seen: names(known.shape.present),
            readable: names(known.shape.readable),
            texts: names(known.shape.texts),
            bare: names(known.shape.bare),
            types: known.types.clone(),
        };
        self.0.iter().map(of).collect()
    }

    /// Takes back what [`Self::stored`] gave.
    pub fn restored(stored: &[TableShape], fields: &[Field]) -> Self {
        let mask = |names: &[String]| {
            let known = fields.iter().enumerate().filter(|(_, field)| names.contains(&field.name));
            known.map(|(index, _)| json_read::bit(index)).fold(0, |all, bit| all | bit)
        };
        let shape = |table: &TableShape| Shape {
            present: mask(&table.seen),
            readable: mask(&table.readable),
            texts: mask(&table.texts),
            bare: mask(&table.bare),
        };
        let of = |table: &TableShape| Known {
            schema: table.schema.clone(),
            table: table.table.clone(),
            shape: shape(table),
            types: table.types.clone(),
        };
        Self(stored.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::Place;
    use crate::types::LogicalType;

    fn marks(present: u64) -> Marks {
        Marks { present, readable: present, ..Marks::default() }
    }

    #[test]
    fn tables_of_one_topic_have_columns_of_their_own() {
        let mut shapes = Shapes::default();
        let (a, b) = (("\"public\"", "\"a\""), ("\"public\"", "\"b\""));
        shapes.follow(a, marks(0b011)).unwrap();
        assert!(shapes.knows(0b011) && !shapes.knows(0b001) && !shapes.knows(0b111));
        shapes.follow(b, marks(0b101)).unwrap();
        shapes.follow(a, marks(0b011)).unwrap();
        assert!(!shapes.knows(0b011), "it could be of either table");
        let field =
            |name: &str| Field { name: name.to_owned(), kind: LogicalType::Int, needed: true, place: Place::Value };
        let fields = [field("x"), field("y"), field("z")];
        let mut shapes = Shapes::restored(&shapes.stored(&fields), &fields);
        assert_eq!(shapes.follow(b, marks(0b001)), Err((2, "is no longer in the captured table")));
        let retyped = Marks { unreadable: 0b010, readable: 0b001, present: 0b011, ..Marks::default() };
        assert_eq!(shapes.follow(a, retyped), Err((1, RETYPED)));
    }

    #[test]
    fn a_type_is_held_against_that_of_its_own_table() {
        let mut shapes = Shapes::default();
        let (a, b) = (("\"public\"", "\"a\""), ("\"public\"", "\"b\""));
        let typed = |now: &str| vec![("x".to_owned(), now.to_owned())];
        shapes.follow(a, marks(0b001)).unwrap();
        assert!(!shapes.has_types(&typed("Int32")));
        shapes.follow_types(a, typed("Int32")).unwrap();
        assert!(shapes.has_types(&typed("Int32")) && !shapes.has_types(&typed("Int64")));
        shapes.follow(b, marks(0b001)).unwrap();
        shapes.follow_types(b, typed("Int64")).unwrap();
        assert_eq!(shapes.follow_types(a, typed("Int64")), Err("x".to_owned()));
        let text = Marks { texts: 0b001, ..marks(0b001) };
        shapes.follow(b, Marks { bare: 0b001, ..marks(0b001) }).unwrap();
        assert_eq!(shapes.follow(b, text), Err((0, RETYPED)));
    }
}
