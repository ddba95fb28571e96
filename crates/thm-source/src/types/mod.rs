//! The types of captured columns: how a value's binary form becomes Debezium's JSON, a Connect schema and an Arrow column.
//!
//! ```text
//!   oid, modifier ──resolve──▶ ColumnType ──write──▶ JSON text, appended to the record
//!   (catalog's Types)              │        └──────▶ Arrow builder of the column (not for `before`)
//!                                  └──schema, fallback, placeholder (shape)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`rules`] | the one table of types |
//! | [`basic`], [`decimal`], [`temporal`], [`structured`], [`network`], [`geometry`] | single values |
//! | [`container`] | arrays, composites, ranges, hstore |
//! | [`search`], [`print`] | PostgreSQL's own text of a value |
//! | [`shape`] | schema, fallback and placeholder |
//! | [`header`] | keys in headers |
//!
//! Invariants: one pass gives JSON and column, without an allocation per value; snapshot and stream share it, for both
//! give the binary form; bytes that are not of the type are an error, never a NULL. A new type is one row in [`rules`].

mod basic;
mod container;
mod decimal;
mod geometry;
mod header;
mod network;
mod print;
mod resolve;
mod rules;
mod search;
mod shape;
mod structured;
mod temporal;

#[cfg(test)]
mod tests;

pub use basic::write_bytes;
pub use resolve::{Kind, PgType, Types};
pub use rules::RULES;
pub use shape::Placeholder;

use std::collections::HashMap;
use std::sync::Arc;

use thm_codec::debezium::write_int;
use thm_codec::java_json::write_string;

use crate::columns::{ColumnBuilder, ColumnKind};
use crate::options::TypeModes;

/// The value is not of its type's binary form, or has no form in this handling mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a binary {0}")]
pub struct ValueError(pub &'static str);

/// Result of reading one value.
pub type Done = Result<(), ValueError>;
/// Value to JSON and column.
type Write = fn(&[u8], &ColumnType, &mut Cell<'_>) -> Done;
/// Value to PostgreSQL's own text.
type Print = fn(&[u8], &ColumnType, &mut Vec<u8>) -> Done;

/// What we know of one type.
#[derive(Debug)]
pub struct TypeRule {
    /// Its oid; 0 for those that have none of their own.
    pub oid: u32,
    /// Its name in the catalog.
    pub name: &'static str,
    /// Its Arrow column.
    pub column: ColumnKind,
    write: Write,
    print: Print,
    shape: shape::Shape,
    toast: shape::Toast,
}

/// The type of one column, resolved.
#[derive(Clone, Debug)]
pub struct ColumnType {
    /// What we know of it.
    pub rule: &'static TypeRule,
    /// The type's modifier; -1 for none.
    pub modifier: i32,
    /// The connector's handling modes.
    pub modes: TypeModes,
    /// The array's element, the range's bound, the fields of a composite.
    pub parts: Vec<(String, ColumnType)>,
    /// Labels of an enum.
    pub labels: Vec<String>,
    /// Names of what a `regclass` and its like refer to.
    pub objects: Arc<HashMap<u32, String>>,
}

impl ColumnType {
    /// Reads a value: JSON and column.
    ///
    /// # Errors
    /// The bytes are not of this type, or have no form in this handling mode.
    #[inline]
    pub fn write(&self, bytes: &[u8], cell: &mut Cell<'_>) -> Done {
        (self.rule.write)(bytes, self, cell)
    }

    /// Appends PostgreSQL's own text of a value.
    ///
    /// # Errors
    /// The bytes are not of this type.
    pub fn print(&self, bytes: &[u8], out: &mut Vec<u8>) -> Done {
        (self.rule.print)(bytes, self, out)
    }

    /// Arrow's type of the column.
    #[must_use]
    pub fn column(&self) -> ColumnKind {
        self.rule.column
    }

    /// The first part: an array's element, a range's bound.
    fn part(&self) -> Result<&Self, ValueError> {
        self.parts.first().map(|(_, part)| part).ok_or(ValueError("value of a resolved type"))
    }

    /// Digits of a fraction of a second.
    fn fraction_digits(&self) -> usize {
        // An interval's modifier also tells its fields, in the upper half.
        let digits =
            if self.modifier >= 0 && self.rule.name == "interval" { self.modifier & 0xFFFF } else { self.modifier };
        usize::try_from(digits).map_or(6, |digits| digits.min(6))
    }

    /// Declared precision and scale of a numeric; the scale may be negative.
    fn precision_and_scale(&self) -> Option<(u32, i32)> {
        // PostgreSQL packs precision and an 11-bit signed scale, shifted by the header's 4 bytes.
        let packed = self.modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
        Some(((packed >> 16) as u32, ((packed & 0x7FF) ^ 1024) - 1024))
    }
}

/// Where a value goes.
pub struct Cell<'a> {
    /// The record's JSON.
    pub json: &'a mut Vec<u8>,
    /// The column, unless only JSON is wanted.
    pub column: Option<&'a mut ColumnBuilder>,
}

impl Cell<'_> {
    fn int(&mut self, value: i64) {
        self.ints(value, value);
    }

    /// An integer in JSON, another in the column.
    fn ints(&mut self, json: i64, column_value: i64) {
        write_int(self.json, json);
        if let Some(column) = &mut self.column {
            column.push_int(column_value);
        }
    }

    fn text(&mut self, text: &str) {
        write_string(self.json, text);
        if let Some(column) = &mut self.column {
            column.push_str(text);
        }
    }

    /// Quoted text that needs no escapes; the column takes it as written.
    fn plain_text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.json.push(b'"');
        let start = self.json.len();
        write(self.json);
        if let Some(column) = &mut self.column {
            column.push_str(std::str::from_utf8(&self.json[start..]).unwrap_or_default());
        }
        self.json.push(b'"');
    }

    /// JSON of a shape of its own; the column takes it as it is.
    fn json(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Done) -> Done {
        let start = self.json.len();
        write(self.json)?;
        if let Some(column) = &mut self.column {
            column.push_str(std::str::from_utf8(&self.json[start..]).unwrap_or_default());
        }
        Ok(())
    }

    fn null(&mut self) {
        self.json.extend_from_slice(b"null");
        if let Some(column) = &mut self.column {
            column.push_null();
        }
    }
}

/// The bytes as an array of the wanted length.
fn fixed<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], ValueError> {
    bytes.try_into().map_err(|_| ValueError(name))
}

/// Reads big-endian fields one after the other.
struct Fields<'a> {
    rest: &'a [u8],
    name: &'static str,
}

impl<'a> Fields<'a> {
    const fn new(rest: &'a [u8], name: &'static str) -> Self {
        Self { rest, name }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ValueError> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(ValueError(self.name))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        fixed(self.take(N)?, self.name)
    }

    fn u8(&mut self) -> Result<u8, ValueError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, ValueError> {
        self.array().map(u16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, ValueError> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, ValueError> {
        self.array().map(i64::from_be_bytes)
    }

    fn f64(&mut self) -> Result<f64, ValueError> {
        self.array().map(f64::from_be_bytes)
    }

    /// A value behind its length; `None` for NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, ValueError> {
        match usize::try_from(self.i32()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Result<&'a [u8], ValueError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(ValueError(self.name))?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    fn end(&self) -> Done {
        if self.rest.is_empty() { Ok(()) } else { Err(ValueError(self.name)) }
    }
}
