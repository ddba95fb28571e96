//! Bytes of records ⇄ columns.

/// How timestamps are written, as `timestamp-format.standard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// `2024-01-02 03:05:01.123`
    Sql,
    /// `2024-01-02T03:05:01.123`
    Iso,
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
