//! Bytes of records ⇄ columns.
//!
//! ```text
//!  log batch ─┬─ decoded columns still in the tail cache ──▶ decoded.rs  ─┐
//!             └─ bytes ──▶ debezium_json.rs / json_read.rs ────────────────────┴─▶ Rows
//!  columns ──▶ json_write.rs ──▶ key and value bytes
//! ```
//! Both ways of reading give the same rows; `decoded` says no where it cannot prove that.

pub mod cells;
pub mod charset;
pub mod check;
pub mod csv;
pub mod debezium_json;
pub mod decoded;
mod envelope;
#[cfg(test)]
mod fuzz_tests;
pub(crate) mod java_text;
pub mod json_read;
pub mod json_write;
pub mod nested;
pub mod options;
pub mod raw;
pub mod write;

use std::collections::HashSet;
use std::sync::LazyLock;

use parking_lot::Mutex;
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

/// What records hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueFormat {
    /// One JSON object a row.
    #[default]
    Json,
    /// Debezium's envelope, one change a record.
    DebeziumJson,
    /// One line of separated values a row.
    Csv,
    /// The one column's bytes as they are.
    Raw,
}

impl ValueFormat {
    /// As WITH options name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::DebeziumJson => "debezium-json",
            Self::Csv => "csv",
            Self::Raw => "raw",
        }
    }
}

/// A format with its options; those of other formats have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Which.
    pub kind: ValueFormat,
    /// Of `json` and `debezium-json`.
    pub json: JsonOptions,
    /// Of `csv`.
    pub csv: CsvOptions,
    /// Of `raw`.
    pub raw: RawOptions,
}

impl Format {
    /// Whether a record that cannot be read is skipped.
    #[must_use]
    pub const fn ignores_errors(&self) -> bool {
        match self.kind {
            ValueFormat::Json | ValueFormat::DebeziumJson => self.json.ignore_parse_errors,
            ValueFormat::Csv => self.csv.ignore_parse_errors,
            ValueFormat::Raw => false,
        }
    }
}

/// What becomes of a NULL key of a MAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapNullKey {
    /// The record cannot be written.
    #[default]
    Fail,
    /// The entry is left out.
    Drop,
    /// `map_null_literal` stands for it.
    Literal,
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
    /// The envelope stands in `payload`, beside its schema.
    pub schema_include: bool,
    /// NULL keys of a MAP.
    pub map_null_key: MapNullKey,
    /// What stands for them.
    pub map_null_literal: &'static str,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            ignore_parse_errors: false,
            fail_on_missing_field: false,
            plain_decimals: false,
            ignore_null_fields: false,
            timestamps: TimestampFormat::Sql,
            schema_include: false,
            map_null_key: MapNullKey::Fail,
            map_null_literal: "null",
        }
    }
}

/// Options of `csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between fields.
    pub delimiter: char,
    /// Around texts; `None` if there is none.
    pub quote: Option<char>,
    /// Before a character that is meant as it is.
    pub escape: Option<char>,
    /// Whether lines that begin with `#` are comments.
    pub comments: bool,
    /// A field that cannot be read is NULL.
    pub ignore_parse_errors: bool,
    /// Between elements of an ARRAY.
    pub array_delimiter: String,
    /// What stands for NULL.
    pub null_literal: Option<String>,
    /// Whether DECIMALs are written with exponent.
    pub scientific: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: Some('"'),
            escape: None,
            comments: false,
            ignore_parse_errors: false,
            array_delimiter: ";".to_owned(),
            null_literal: None,
            scientific: false,
        }
    }
}

/// Options of `raw`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawOptions {
    /// Numbers begin with their least byte.
    pub little_endian: bool,
    /// How texts are bytes.
    pub charset: charset::Charset,
}

/// A text that is kept for the life of the process, once: options stay small values that are copied.
#[must_use]
pub fn interned(text: &str) -> &'static str {
    static KNOWN: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock();
    if let Some(found) = known.get(text) {
        return found;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    known.insert(kept);
    kept
}

/// Where a column's value is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the record's value.
    #[default]
    Value,
    /// In the record's key.
    Key,
    /// Beside them, under the connector's key.
    Metadata(String),
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
    /// Where it is.
    pub place: Place,
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
    /// Whether the old row is known: a deleted row is whole, an update follows its own -U.
    pub whole: bool,
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
