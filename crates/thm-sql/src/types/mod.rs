//! Flink's logical types: what a column is, how Flink prints it, and which Arrow array carries it.
//!
//! Arrow's types cannot tell CHAR(3) from STRING or say NOT NULL per expression, and Flink's answers depend on both,
//! so every expression carries a [`DataType`] and Arrow only stores the values.

pub mod coerce;
mod coerce_nested;
pub mod decimal;
pub mod java_double;
pub mod java_map;
pub mod nested;
pub mod read;
pub mod time;
pub mod zone;

use std::fmt;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};

use nested::{Entry, RowField};

/// Longest VARCHAR and VARBINARY: Flink's STRING and BYTES.
pub const MAX_LENGTH: u32 = 2_147_483_647;

/// Flink's `LogicalType`, without nullability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicalType {
    /// NULL without a type yet.
    Null,
    /// BOOLEAN
    Boolean,
    /// TINYINT
    TinyInt,
    /// SMALLINT
    SmallInt,
    /// INT
    Int,
    /// BIGINT
    BigInt,
    /// FLOAT
    Float,
    /// DOUBLE
    Double,
    /// DECIMAL(precision, scale), 1 ≤ precision ≤ 38
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// CHAR(n)
    Char(u32),
    /// VARCHAR(n); STRING is the longest
    VarChar(u32),
    /// BINARY(n)
    Binary(u32),
    /// VARBINARY(n); BYTES is the longest
    VarBinary(u32),
    /// DATE
    Date,
    /// TIME(p)
    Time(u8),
    /// TIMESTAMP(p)
    Timestamp(u8),
    /// TIMESTAMP_LTZ(p)
    TimestampLtz(u8),
    /// An interval of YEAR and MONTH: whole months
    IntervalMonth,
    /// An interval of DAY to SECOND: milliseconds
    IntervalSecond,
    /// ARRAY<element>
    Array(&'static DataType),
    /// MAP<key, value>
    Map(&'static Entry),
    /// MULTISET<element>
    Multiset(&'static DataType),
    /// ROW<…>
    Row(&'static [RowField]),
}

impl LogicalType {
    /// STRING.
    pub const STRING: Self = Self::VarChar(MAX_LENGTH);
    /// BYTES.
    pub const BYTES: Self = Self::VarBinary(MAX_LENGTH);

    /// Whether it is text.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_))
    }

    /// Whether it is bytes.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Binary(_) | Self::VarBinary(_))
    }

    /// Whether it is TINYINT to BIGINT.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }

    /// Whether it is FLOAT or DOUBLE.
    #[must_use]
    pub const fn is_approximate(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether arithmetic works on it.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        self.is_integer() || self.is_approximate() || matches!(self, Self::Decimal { .. })
    }

    /// Whether it is an INTERVAL.
    #[must_use]
    pub const fn is_interval(self) -> bool {
        matches!(self, Self::IntervalMonth | Self::IntervalSecond)
    }

    /// Whether it is a point in time with date.
    #[must_use]
    pub const fn is_timestamp(self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::TimestampLtz(_))
    }

    /// An integer as the DECIMAL that holds all its values; a DECIMAL as it is.
    #[must_use]
    pub const fn as_decimal(self) -> Option<(u8, u8)> {
        match self {
            Self::TinyInt => Some((3, 0)),
            Self::SmallInt => Some((5, 0)),
            Self::Int => Some((10, 0)),
            Self::BigInt => Some((19, 0)),
            Self::Decimal { precision, scale } => Some((precision, scale)),
            _ => None,
        }
    }

    /// The array that carries it. Fractions of seconds: milliseconds to 3 digits, microseconds to 6, else nanoseconds.
    #[must_use]
    pub fn to_arrow(self) -> ArrowType {
        match self {
            Self::Null => ArrowType::Null,
            Self::Boolean => ArrowType::Boolean,
            Self::TinyInt => ArrowType::Int8,
            Self::SmallInt => ArrowType::Int16,
            Self::Int => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Float => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Decimal { precision, scale } => ArrowType::Decimal128(precision, scale.cast_signed()),
            Self::Char(_) | Self::VarChar(_) => ArrowType::Utf8,
            Self::Binary(_) | Self::VarBinary(_) => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Time(_) => ArrowType::Time32(TimeUnit::Millisecond),
            Self::Timestamp(p) => ArrowType::Timestamp(unit_for(p), None),
            Self::TimestampLtz(p) => ArrowType::Timestamp(unit_for(p), Some("UTC".into())),
            Self::IntervalMonth => ArrowType::Int32,
            Self::IntervalSecond => ArrowType::Int64,
            Self::Array(of) => ArrowType::List(nested::item_field(of.kind)),
            Self::Map(entry) => ArrowType::List(nested::entries_field(*entry)),
            Self::Multiset(of) => {
                let entry = Entry { key: *of, value: Self::Int.nullable(false) };
                ArrowType::List(nested::entries_field(entry))
            }
            Self::Row(fields) => ArrowType::Struct(nested::row_fields(fields)),
        }
    }

    /// With nullability.
    #[must_use]
    pub const fn nullable(self, nullable: bool) -> DataType {
        DataType { kind: self, nullable }
    }
}

/// Arrow's unit for a precision.
#[must_use]
pub const fn unit_for(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::VarChar(MAX_LENGTH) => f.write_str("STRING"),
            Self::VarChar(n) => write!(f, "VARCHAR({n})"),
            Self::Binary(n) => write!(f, "BINARY({n})"),
            Self::VarBinary(MAX_LENGTH) => f.write_str("BYTES"),
            Self::VarBinary(n) => write!(f, "VARBINARY({n})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            Self::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            Self::IntervalMonth => f.write_str("INTERVAL MONTH"),
            Self::IntervalSecond => f.write_str("INTERVAL SECOND(3)"),
            Self::Array(of) => write!(f, "ARRAY<{of}>"),
            Self::Map(entry) => write!(f, "MAP<{}, {}>", entry.key, entry.value),
            Self::Multiset(of) => write!(f, "MULTISET<{of}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                for (position, field) in fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {}", field.name.replace('`', "``"), field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

/// A logical type and whether NULL may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The type.
    pub kind: LogicalType,
    /// Whether NULL may occur.
    pub nullable: bool,
}

impl DataType {
    /// The same type with other nullability.
    #[must_use]
    pub const fn with_nullable(self, nullable: bool) -> Self {
        Self { kind: self.kind, nullable }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.nullable || self.kind == LogicalType::Null { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}
