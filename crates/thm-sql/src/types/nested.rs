//! Types made of types. They are interned, so that [`LogicalType`] stays a small value that is copied everywhere: each
//! distinct type is kept once for the life of the process, and a script holds a handful of them.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType as ArrowType, Field, Fields};
use parking_lot::Mutex;

use super::{DataType, LogicalType};

/// Key and value of a MAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The key's type.
    pub key: DataType,
    /// The value's type.
    pub value: DataType,
}

/// A field of a ROW.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

static ELEMENTS: LazyLock<Mutex<HashSet<&'static DataType>>> = LazyLock::new(Mutex::default);
static ENTRIES: LazyLock<Mutex<HashSet<&'static Entry>>> = LazyLock::new(Mutex::default);
static ROWS: LazyLock<Mutex<HashSet<&'static [RowField]>>> = LazyLock::new(Mutex::default);

fn element(data_type: DataType) -> &'static DataType {
    let mut known = ELEMENTS.lock();
    if let Some(found) = known.get(&data_type) {
        return found;
    }
    let kept: &'static DataType = Box::leak(Box::new(data_type));
    known.insert(kept);
    kept
}

impl LogicalType {
    /// `ARRAY<element>`
    #[must_use]
    pub fn array(of: DataType) -> Self {
        Self::Array(element(of))
    }

    /// `MULTISET<element>`
    #[must_use]
    pub fn multiset(of: DataType) -> Self {
        Self::Multiset(element(of))
    }

    /// `MAP<key, value>`
    #[must_use]
    pub fn map(key: DataType, value: DataType) -> Self {
        let entry = Entry { key, value };
        let mut known = ENTRIES.lock();
        if let Some(found) = known.get(&entry) {
            return Self::Map(found);
        }
        let kept: &'static Entry = Box::leak(Box::new(entry));
        known.insert(kept);
        Self::Map(kept)
    }

    /// `ROW<…>`
    #[must_use]
    pub fn row(fields: Vec<RowField>) -> Self {
        let mut known = ROWS.lock();
        if let Some(found) = known.get(fields.as_slice()) {
            return Self::Row(found);
        }
        let kept: &'static [RowField] = Box::leak(fields.into_boxed_slice());
        known.insert(kept);
        Self::Row(kept)
    }

    /// Whether it is made of other types.
    #[must_use]
    pub const fn is_nested(self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(_) | Self::Multiset(_) | Self::Row(_))
    }

    /// What an ARRAY holds.
    #[must_use]
    pub const fn element(self) -> Option<DataType> {
        match self {
            Self::Array(of) => Some(*of),
            _ => None,
        }
    }

    /// Key and value of a MAP; a MULTISET maps its elements to how often they occur.
    #[must_use]
    pub const fn entry(self) -> Option<Entry> {
        match self {
            Self::Map(entry) => Some(*entry),
            Self::Multiset(of) => Some(Entry { key: *of, value: Self::Int.nullable(false) }),
            _ => None,
        }
    }
}

impl DataType {
    /// The type of a table's column as queries see it, as in Flink's planner: of a TIME no fraction, and the fields of a ROW
    /// that may be NULL may be NULL.
    #[must_use]
    pub fn seen(self) -> Self {
        let inner = |of: Self, nullable: bool| {
            let seen = of.seen();
            seen.kind.nullable(nullable || seen.nullable)
        };
        let kind = match self.kind {
            LogicalType::Time(_) => LogicalType::Time(0),
            LogicalType::Array(of) => LogicalType::array(of.seen()),
            LogicalType::Map(entry) => LogicalType::map(entry.key.seen(), entry.value.seen()),
            LogicalType::Row(fields) => LogicalType::row(
                fields
                    .iter()
                    .map(|field| RowField {
                        name: field.name.clone(),
                        data_type: inner(field.data_type, self.nullable),
                    })
                    .collect(),
            ),
            kind => kind,
        };
        kind.nullable(self.nullable)
    }
}

/// Field of a list's elements, as every array of ours has it.
#[must_use]
pub fn item_field(kind: LogicalType) -> Arc<Field> {
    Arc::new(Field::new("item", kind.to_arrow(), true))
}

/// Fields of a map's entries. Arrow's own maps have no NULL keys; Flink's have, so a map is a list of entries.
#[must_use]
pub fn entry_fields(entry: Entry) -> Fields {
    Fields::from(vec![
        Field::new("key", entry.key.kind.to_arrow(), true),
        Field::new("value", entry.value.kind.to_arrow(), true),
    ])
}

/// Field of a map's list.
#[must_use]
pub fn entries_field(entry: Entry) -> Arc<Field> {
    Arc::new(Field::new("item", ArrowType::Struct(entry_fields(entry)), true))
}

/// Fields of a row's struct.
#[must_use]
pub fn row_fields(fields: &[RowField]) -> Fields {
    fields.iter().map(|field| Field::new(&field.name, field.data_type.kind.to_arrow(), true)).collect()
}
