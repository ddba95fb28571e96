//! Bytes of records ⇄ columns.
//!
//! ```text
//!  log batch ─┬─ decoded columns still in the tail cache ──▶ decoded.rs  ─┐
//!             └─ bytes ──▶ debezium_json.rs / json.rs ────────────────────┴─▶ Rows
//!  columns ──▶ json_write.rs ──▶ key and value bytes
//! ```
//! Both ways of reading give the same rows; `decoded` says no where it cannot prove that.

pub mod cells;
pub mod debezium_json;
pub mod decoded;
pub mod json_read;
pub mod json_write;

use thm_api::{Op, Position, RowKind};

/// How timestamps are written, as `timestamp-format.standard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// `2024-01-02 03:05:01.123`
    Sql,
    /// `2024-01-02T03:05:01.123`
    Iso,
}

impl TimestampFormat {
    /// What stands between date and time.
    #[must_use]
    pub const fn separator(self) -> char {
        match self {
            Self::Sql => ' ',
            Self::Iso => 'T',
        }
    }
}

/// Options of the JSON formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// A field that cannot be read is NULL, a record that cannot be read is skipped.
    pub ignore_parse_errors: bool,
    /// A field that is not there is an error.
    pub fail_on_missing_field: bool,
    /// DECIMALs without exponent.
    pub plain_decimals: bool,
    /// NULL fields are left out.
    pub ignore_null_fields: bool,
    /// How timestamps look.
    pub timestamps: TimestampFormat,
}

/// A column that a job reads from records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the records.
    pub name: String,
    /// Declared type.
    pub kind: crate::types::LogicalType,
    /// Whether anything uses it; the others stay NULL.
    pub needed: bool,
}

/// What goes with a row through a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What the row means.
    pub kind: RowKind,
    /// What the database did.
    pub op: Op,
    /// Place in commit order; the default for foreign records before any of our own.
    pub position: Position,
    /// Commit time, microseconds since 1970, UTC.
    pub commit_us: i64,
    /// Kafka timestamp for what follows from it, milliseconds.
    pub timestamp_ms: i64,
    /// Offset of its record.
    pub offset: i64,
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// One field; with `ignore-parse-errors` it would be NULL.
    #[error("Fail to deserialize at field: {0}.")]
    Field(String),
    /// The whole record; with `ignore-parse-errors` it would be skipped.
    #[error("{0}")]
    Record(String),
}
