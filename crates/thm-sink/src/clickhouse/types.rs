//! ClickHouse type names, as `system.columns` prints them, to what we send for them.
//!
//! In: `LowCardinality(Nullable(String))`, `Decimal(10, 2)`, … Out: [`ColumnType`], and the Arrow type that the
//! server converts without loss. A type we cannot write gives `None`; whether that matters is the caller's call.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

/// Largest precision that fits Arrow's 128-bit decimal.
const MAX_DECIMAL_PRECISION: u8 = 38;

/// What a column holds, as far as writing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Int8` to `Int64`, `UInt8` to `UInt64`.
    Int {
        /// Width: 8, 16, 32 or 64.
        bits: u8,
        /// Whether it may be negative.
        signed: bool,
    },
    /// `Float32`
    Float32,
    /// `Float64`
    Float64,
    /// `Bool`
    Bool,
    /// `Decimal(p, s)` up to 38 digits.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `String`
    String,
    /// `FixedString(n)`: at most `n` bytes.
    FixedString(usize),
    /// `UUID`, sent as text.
    Uuid,
    /// `Date`: days 0 to 65535.
    Date,
    /// `Date32`: 1900 to 2299.
    Date32,
    /// `DateTime`: seconds of an unsigned 32-bit number.
    DateTime,
    /// `DateTime64(scale)`: ticks of 10^-scale seconds.
    DateTime64 {
        /// 0 to 9.
        scale: u8,
    },
    /// Sent as text that the server parses and checks itself: enums, addresses, integers beyond 64 bits.
    ServerParsed,
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// What it holds.
    pub kind: Kind,
    /// Whether NULL is a value of it.
    pub nullable: bool,
}

impl ColumnType {
    /// Reads a type's name; `None` for types we cannot write.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let plain = inside(name, "LowCardinality").unwrap_or(name);
        let (nullable, plain) = match inside(plain, "Nullable") {
            Some(inner) => (true, inner),
            None => (false, plain),
        };
        Some(Self { kind: parse_kind(plain)?, nullable })
    }
}

/// The text between `name(` and the closing bracket.
fn inside<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::trim)
}

fn parse_kind(name: &str) -> Option<Kind> {
    let int = |bits, signed| Some(Kind::Int { bits, signed });
    match name {
        "Int8" => int(8, true),
        "Int16" => int(16, true),
        "Int32" => int(32, true),
        "Int64" => int(64, true),
        "UInt8" => int(8, false),
        "UInt16" => int(16, false),
        "UInt32" => int(32, false),
        "UInt64" => int(64, false),
        "Float32" => Some(Kind::Float32),
        "Float64" => Some(Kind::Float64),
        "Bool" => Some(Kind::Bool),
        "String" => Some(Kind::String),
        "UUID" => Some(Kind::Uuid),
        "Date" => Some(Kind::Date),
        "Date32" => Some(Kind::Date32),
        "DateTime" => Some(Kind::DateTime),
        "IPv4" | "IPv6" | "Int128" | "Int256" | "UInt128" | "UInt256" => Some(Kind::ServerParsed),
        _ => parse_parametrized(name),
    }
}

fn parse_parametrized(name: &str) -> Option<Kind> {
    if inside(name, "Enum8").or_else(|| inside(name, "Enum16")).is_some() {
        return Some(Kind::ServerParsed);
    }
    if inside(name, "DateTime").is_some() {
        return Some(Kind::DateTime);
    }
    if let Some(length) = inside(name, "FixedString") {
        return Some(Kind::FixedString(length.parse().ok()?));
    }
    if let Some(parameters) = inside(name, "DateTime64") {
        let scale = parameters.split(',').next()?.trim().parse().ok()?;
        return (scale <= 9).then_some(Kind::DateTime64 { scale });
    }
    let (precision, scale) = inside(name, "Decimal")?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (precision <= MAX_DECIMAL_PRECISION).then_some(Kind::Decimal { precision, scale })
}

impl Kind {
    /// What the server gets in the Arrow stream; it converts it to the column's own type without loss.
    #[must_use]
    pub fn arrow_type(self) -> DataType {
        match self {
            Self::Int { bits: 8, signed: true } => DataType::Int8,
            Self::Int { bits: 16, signed: true } => DataType::Int16,
            Self::Int { bits: 32, signed: true } => DataType::Int32,
            Self::Int { signed: true, .. } => DataType::Int64,
            Self::Int { bits: 8, signed: false } => DataType::UInt8,
            Self::Int { bits: 16, signed: false } => DataType::UInt16,
            Self::Int { bits: 32, signed: false } => DataType::UInt32,
            Self::Int { signed: false, .. } => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
            Self::String | Self::FixedString(_) | Self::Uuid | Self::ServerParsed => DataType::Utf8,
            Self::Date | Self::Date32 => DataType::Date32,
            Self::DateTime => utc(TimeUnit::Second),
            Self::DateTime64 { scale } => utc(time_unit(scale)),
        }
    }
}

/// The coarsest Arrow unit that holds `scale` digits of a second.
const fn time_unit(scale: u8) -> TimeUnit {
    match scale {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// Digits of a second in the Arrow unit that carries `scale` digits.
#[must_use]
pub const fn unit_digits(scale: u8) -> u32 {
    match scale {
        0 => 0,
        1..=3 => 3,
        4..=6 => 6,
        _ => 9,
    }
}

fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(Arc::from("UTC")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<Kind> {
        ColumnType::parse(name).map(|column| column.kind)
    }

    #[test]
    fn reads_the_types_of_the_contract() {
        assert_eq!(kind("UInt64"), Some(Kind::Int { bits: 64, signed: false }));
        assert_eq!(kind("LowCardinality(String)"), Some(Kind::String));
        assert_eq!(kind("DateTime64(3)"), Some(Kind::DateTime64 { scale: 3 }));
        assert_eq!(kind("DateTime64(6, 'Asia/Riyadh')"), Some(Kind::DateTime64 { scale: 6 }));
        let decimal = ColumnType { kind: Kind::Decimal { precision: 10, scale: 2 }, nullable: true };
        assert_eq!(ColumnType::parse("Nullable(Decimal(10, 2))"), Some(decimal));
        let text = ColumnType { kind: Kind::String, nullable: true };
        assert_eq!(ColumnType::parse("LowCardinality(Nullable(String))"), Some(text));
    }

    #[test]
    fn says_none_of_what_it_cannot_write() {
        for name in
            ["Array(String)", "Map(String, String)", "Tuple(a Int8)", "JSON", "Decimal(76, 2)", "Nested(a Int8)"]
        {
            assert_eq!(ColumnType::parse(name), None, "{name}");
        }
    }
}
