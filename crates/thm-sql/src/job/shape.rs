//! What has been seen of the columns of the captured tables behind a topic: a column that was there and is there no more
//! was dropped or renamed, one that could be read and cannot be read any more was retyped. One that was never there is NULL.
//!
//! ```text
//!   record of table t ──▶ shape of t ──┬─ has all that was there, readable ─▶ grows
//!                                      └─ else ─▶ the job fails, with the column
//! ```
//! Invariant: a record is held against records of its own table alone, for a topic may carry several.

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
}

impl Shape {
    /// The field that is not as it was.
    fn wrong(&self, marks: Marks) -> Option<(usize, &'static str)> {
        let gone = self.present & !marks.present;
        if gone != 0 {
            return Some((gone.trailing_zeros() as usize, "is no longer in the captured table"));
        }
        let retyped = self.readable & marks.unreadable;
        (retyped != 0).then(|| (retyped.trailing_zeros() as usize, "has another type in the captured table"))
    }

    fn follow(&mut self, marks: Marks) -> Result<(), (usize, &'static str)> {
        if let Some(wrong) = self.wrong(marks) {
            return Err(wrong);
        }
        self.present |= marks.present;
        self.readable |= marks.readable;
        Ok(())
    }
}

/// Shapes by table: as a rule of one.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<((String, String), Shape)>);

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
}

impl Shapes {
    /// Holds a record against those of its table; the field that is not as it was.
    pub fn follow(&mut self, table: Table<'_>, marks: Marks) -> Result<(), (usize, &'static str)> {
        let known = self.0.iter_mut().find(|((schema, name), _)| (schema.as_str(), name.as_str()) == table);
        match known {
            Some((_, shape)) => shape.follow(marks),
            None => {
                let mut shape = Shape::default();
                shape.follow(marks)?;
                self.0.push(((table.0.to_owned(), table.1.to_owned()), shape));
                Ok(())
            }
        }
    }

    /// Whether records with these columns tell nothing new, whatever table they are of: there is one, with these columns.
    pub fn knows(&self, present: u64) -> bool {
        matches!(self.0.as_slice(), [(_, shape)] if shape.present == present)
    }

    /// For a checkpoint.
    pub fn stored(&self, fields: &[Field]) -> Vec<TableShape> {
        let names = |mask: u64| -> Vec<String> {
            let found = fields.iter().enumerate().filter(|(index, _)| mask & json_read::bit(*index) != 0);
            found.map(|(_, field)| field.name.clone()).collect()
        };
        let of = |((schema, table), shape): &((String, String), Shape)| TableShape {
            schema: schema.clone(),
            table: table.clone(),
            seen: names(shape.present),
            readable: names(shape.readable),
        };
        self.0.iter().map(of).collect()
    }

    /// Takes back what [`Self::stored`] gave.
    pub fn restored(stored: &[TableShape], fields: &[Field]) -> Self {
        let mask = |names: &[String]| {
            let known = fields.iter().enumerate().filter(|(_, field)| names.contains(&field.name));
            known.map(|(index, _)| json_read::bit(index)).fold(0, |all, bit| all | bit)
        };
        let of = |table: &TableShape| {
            let shape = Shape { present: mask(&table.seen), readable: mask(&table.readable) };
            ((table.schema.clone(), table.table.clone()), shape)
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
        let retyped = Marks { unreadable: 0b010, readable: 0b001, present: 0b011 };
        assert_eq!(shapes.follow(a, retyped), Err((1, "has another type in the captured table")));
    }
}
