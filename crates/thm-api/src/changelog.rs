//! `ChangelogBatch`: decoded rows with what happened to each, the currency of operators and the tail cache.

use arrow::array::RecordBatch;

use crate::Position;

/// What a row means in a changelog, as Flink's `RowKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// `+I`
    Insert,
    /// `-U`: the row as it was
    UpdateBefore,
    /// `+U`: the row as it is now
    UpdateAfter,
    /// `-D`
    Delete,
}

impl RowKind {
    /// Flink's short form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

/// What the database did, as Debezium's `op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `c`
    Create,
    /// `u`
    Update,
    /// `d`
    Delete,
    /// `r`: a row of a snapshot
    Read,
}

impl Op {
    /// Debezium's letter, also the value of the header `thm.op`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Read => "r",
        }
    }

    /// From Debezium's letter.
    #[must_use]
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'c' => Some(Self::Create),
            b'u' => Some(Self::Update),
            b'd' => Some(Self::Delete),
            b'r' => Some(Self::Read),
            _ => None,
        }
    }
}

/// What goes with a row beside its columns. Never SQL columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMeta {
    /// What the row means to whoever keeps a table.
    pub kind: RowKind,
    /// What the database did.
    pub op: Op,
    /// Where the change stands in commit order.
    pub position: Position,
    /// Commit time of the change, microseconds since 1970, UTC.
    pub commit_us: i64,
    /// Which record of the `LogBatch` holds this row, from 0. A tombstone is a record without a row.
    pub record: u32,
}

/// Rows in Arrow's columns with one [`RowMeta`] each; `meta.len() == rows.num_rows()`, in record order.
///
/// For a captured table: its columns in table order, named as in the table; a deleted row holds what the
/// delete told (the key, other columns NULL). For a job's output: the sink table's columns in declared order;
/// a deleted row holds the key.
#[derive(Clone, Debug)]
pub struct ChangelogBatch {
    /// The columns.
    pub rows: RecordBatch,
    /// What happened to each row.
    pub meta: Vec<RowMeta>,
}

impl ChangelogBatch {
    /// Memory it holds, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.get_array_memory_size() + self.meta.capacity() * size_of::<RowMeta>()
    }
}
