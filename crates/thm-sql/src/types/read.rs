//! Types as written in DDL and CAST.

use sqlparser::ast::{BinaryLength, CharacterLength, DataType as Written, ExactNumberInfo, TimezoneInfo};
use sqlparser::tokenizer::Span;

use super::{LogicalType, MAX_LENGTH};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::data_type;

/// Flink's default precision of TIMESTAMP and TIMESTAMP_LTZ.
const DEFAULT_TIMESTAMP_PRECISION: u64 = 6;
/// Flink's default precision of DECIMAL.
const DEFAULT_DECIMAL_PRECISION: u64 = 10;

/// The type of a CAST: any, nested ones included.
pub fn any_type(written: &Written, span: Span) -> SqlResult<LogicalType> {
    match data_type::from_name(written) {
        Some(data_type) => Ok(data_type.kind),
        None => logical_type(written, span),
    }
}

/// The logical type of what was written; `span` is where.
pub fn logical_type(written: &Written, span: Span) -> SqlResult<LogicalType> {
    let kind = match written {
        Written::Boolean => LogicalType::Boolean,
        Written::TinyInt(None) => LogicalType::TinyInt,
        Written::SmallInt(None) => LogicalType::SmallInt,
        Written::Int(None) | Written::Integer(None) => LogicalType::Int,
        Written::BigInt(None) => LogicalType::BigInt,
        Written::Float(ExactNumberInfo::None) => LogicalType::Float,
        Written::Double(ExactNumberInfo::None) | Written::DoublePrecision => LogicalType::Double,
        Written::Decimal(info) | Written::Numeric(info) | Written::Dec(info) => decimal(*info, span)?,
        Written::Char(length) | Written::Character(length) => LogicalType::Char(characters(*length, span)?),
        Written::Varchar(length) | Written::CharacterVarying(length) | Written::CharVarying(length) => {
            LogicalType::VarChar(characters(*length, span)?)
        }
        Written::String(None) => LogicalType::STRING,
        Written::Bytes(None) => LogicalType::BYTES,
        Written::Binary(length) => LogicalType::Binary(length_of(length.unwrap_or(1), span)?),
        Written::Varbinary(None) => LogicalType::VarBinary(1),
        Written::Varbinary(Some(BinaryLength::IntegerLength { length })) => {
            LogicalType::VarBinary(length_of(*length, span)?)
        }
        Written::Date => LogicalType::Date,
        Written::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            LogicalType::Time(fraction(precision.unwrap_or(0)))
        }
        Written::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            let precision = precision.unwrap_or(DEFAULT_TIMESTAMP_PRECISION);
            LogicalType::Timestamp(fraction(precision))
        }
        Written::Custom(name, arguments) => custom(&name.to_string(), arguments, written, span)?,
        _ => return Err(unknown(written, span)),
    };
    Ok(kind)
}

fn unknown(written: &Written, span: Span) -> SqlDiagnostic {
    let hint = match written {
        Written::Array(_) | Written::Map(..) | Written::Struct(..) => {
            "ARRAY, MAP and ROW are not supported yet; declare the column as STRING to take its JSON text."
        }
        Written::Text | Written::Uuid | Written::JSON | Written::JSONB => "Write STRING.",
        Written::Timestamp(..) => "Write TIMESTAMP_LTZ(p) for a point in time with time zone.",
        _ => {
            "Write one of BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), CHAR(n), VARCHAR(n), STRING, \
             BYTES, DATE, TIME, TIMESTAMP(p), TIMESTAMP_LTZ(p)."
        }
    };
    SqlDiagnostic::new(span, format!("type {written} is not supported")).with_hint(hint)
}

fn custom(name: &str, arguments: &[String], written: &Written, span: Span) -> SqlResult<LogicalType> {
    match (name.to_ascii_uppercase().as_str(), arguments) {
        ("STRING", []) => Ok(LogicalType::STRING),
        ("BYTES", []) => Ok(LogicalType::BYTES),
        ("TIMESTAMP_LTZ", []) => Ok(LogicalType::TimestampLtz(6)),
        ("TIMESTAMP_LTZ", [precision]) => {
            let precision = precision.parse().map_err(|_| unknown(written, span))?;
            Ok(LogicalType::TimestampLtz(fraction(precision)))
        }
        _ => Err(unknown(written, span)),
    }
}

fn decimal(info: ExactNumberInfo, span: Span) -> SqlResult<LogicalType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (DEFAULT_DECIMAL_PRECISION, 0),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let scale = u64::try_from(scale).unwrap_or(u64::MAX);
    // A higher precision is the highest, as in Calcite.
    let precision = precision.min(38);
    if precision == 0 {
        return Err(SqlDiagnostic::new(span, "Decimal precision must be between 1 and 38 (both inclusive)."));
    }
    if scale > precision {
        let message = format!("Decimal scale must be between 0 and the precision {precision} (both inclusive).");
        return Err(SqlDiagnostic::new(span, message));
    }
    let narrow = |number: u64| u8::try_from(number).expect("checked to be at most 38");
    Ok(LogicalType::Decimal { precision: narrow(precision), scale: narrow(scale) })
}

fn characters(length: Option<CharacterLength>, span: Span) -> SqlResult<u32> {
    match length {
        None => Ok(1),
        Some(CharacterLength::IntegerLength { length, .. }) => length_of(length, span),
        Some(CharacterLength::Max) => {
            Err(SqlDiagnostic::new(span, "length MAX is not known").with_hint("Write STRING."))
        }
    }
}

fn length_of(length: u64, span: Span) -> SqlResult<u32> {
    let narrow = u32::try_from(length).ok().filter(|length| (1..=MAX_LENGTH).contains(length));
    narrow.ok_or_else(|| SqlDiagnostic::new(span, format!("the length must be between 1 and {MAX_LENGTH}")))
}

/// Digits of a second; more than nine are nine, as in Calcite.
fn fraction(precision: u64) -> u8 {
    u8::try_from(precision.min(9)).unwrap_or(9)
}
