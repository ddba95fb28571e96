//! The one table of types: how a value's binary form becomes Debezium's JSON and an Arrow column.
//!
//! ```text
//!   binary value ──▶ TypeRule.write ──┬──▶ JSON text, appended to the record
//!                                     └──▶ Arrow builder of the column (not for `before`)
//! ```
//!
//! Both come out of one pass, without an allocation per value. A type that is not in [`RULES`] cannot be captured: the
//! table is refused by name, never silently thinned. A new type is one row here.

use thm_codec::debezium::{
    MICROS_PER_DAY, Numeric, PG_EPOCH_DAYS, PG_EPOCH_MICROS, write_base64, write_date_time, write_int, write_uuid,
};
use thm_codec::java_json::{write_f32, write_f64, write_string};

use crate::columns::{ColumnBuilder, ColumnKind};
use crate::options::{DecimalMode, TypeModes};

/// The value is not of its type's binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a binary {0}")]
pub struct ValueError(pub &'static str);

/// What a rule may look at beside the bytes.
#[derive(Clone, Copy, Debug)]
pub struct TypeContext {
    /// The column's type modifier; -1 for none.
    pub modifier: i32,
    /// The connector's handling modes.
    pub modes: TypeModes,
}

impl TypeContext {
    /// Digits of a fraction of a second.
    fn fraction_digits(self) -> usize {
        usize::try_from(self.modifier).map_or(6, |digits| digits.min(6))
    }

    /// Declared scale of a numeric.
    fn scale(self) -> Option<u16> {
        // PostgreSQL packs precision and an 11-bit signed scale, shifted by the header's 4 bytes.
        let packed = self.modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
        let scale = ((packed & 0x7FF) ^ 1024) - 1024;
        u16::try_from(scale).ok()
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
        write_int(self.json, value);
        if let Some(column) = &mut self.column {
            column.push_int(value);
        }
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

    fn null(&mut self) {
        self.json.extend_from_slice(b"null");
        if let Some(column) = &mut self.column {
            column.push_null();
        }
    }
}

type Write = fn(&[u8], TypeContext, &mut Cell<'_>) -> Result<(), ValueError>;

/// What we know of one type.
#[derive(Debug)]
pub struct TypeRule {
    /// Its oid.
    pub oid: u32,
    /// Its name, for messages.
    pub name: &'static str,
    /// Its Arrow column.
    pub column: ColumnKind,
    /// Value to JSON and column.
    pub write: Write,
    /// What Debezium shows for an unknown value of a NOT NULL column without a literal default.
    pub zero: &'static str,
    /// Whether an unchanged TOASTed value shows as the placeholder's text; else as its base64.
    pub toast: Toast,
}

/// How an unchanged TOASTed value shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toast {
    /// The placeholder as text.
    Text,
    /// The placeholder in base64.
    Base64,
    /// The type is never TOASTed, or has no placeholder: null.
    Null,
}

const fn rule(oid: u32, name: &'static str, column: ColumnKind, write: Write, zero: &'static str) -> TypeRule {
    TypeRule { oid, name, column, write, zero, toast: Toast::Null }
}

const fn text_rule(oid: u32, name: &'static str, zero: &'static str) -> TypeRule {
    TypeRule { oid, name, column: ColumnKind::Utf8, write: text, zero, toast: Toast::Text }
}

/// Every type that can be captured, by oid.
pub static RULES: &[TypeRule] = &[
    rule(16, "boolean", ColumnKind::Boolean, boolean, "false"),
    TypeRule { toast: Toast::Base64, ..rule(17, "bytea", ColumnKind::Utf8, bytea, "\"\"") },
    text_rule(18, "\"char\"", "\"\""),
    text_rule(19, "name", "\"\""),
    rule(20, "bigint", ColumnKind::Int64, int8, "0"),
    rule(21, "smallint", ColumnKind::Int16, int2, "0"),
    rule(23, "integer", ColumnKind::Int32, int4, "0"),
    text_rule(25, "text", "\"\""),
    rule(26, "oid", ColumnKind::Utf8, oid, "0"),
    text_rule(114, "json", "\"{}\""),
    rule(700, "real", ColumnKind::Float32, float4, "0.0"),
    rule(701, "double precision", ColumnKind::Float64, float8, "0.0"),
    text_rule(1042, "character", "\"\""),
    text_rule(1043, "character varying", "\"\""),
    rule(1082, "date", ColumnKind::Date32, date, "0"),
    rule(1083, "time", ColumnKind::Utf8, time, "0"),
    rule(1114, "timestamp", ColumnKind::Timestamp, timestamp, "0"),
    rule(1184, "timestamptz", ColumnKind::TimestampUtc, timestamptz, "\"1970-01-01T00:00:00.000000Z\""),
    rule(1700, "numeric", ColumnKind::Utf8, numeric, "\"AA==\""),
    rule(2950, "uuid", ColumnKind::Utf8, uuid, "\"\""),
    TypeRule { write: jsonb, ..text_rule(3802, "jsonb", "\"{}\"") },
];

/// Labels of an enum come as text.
pub static ENUM_RULE: TypeRule = text_rule(0, "enum", "\"\"");

/// The rule of a type.
#[must_use]
pub fn rule_of(oid: u32) -> Option<&'static TypeRule> {
    RULES.binary_search_by_key(&oid, |rule| rule.oid).ok().map(|index| &RULES[index])
}

fn fixed<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], ValueError> {
    bytes.try_into().map_err(|_| ValueError(name))
}

fn boolean(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let [value] = fixed(bytes, "boolean")?;
    cell.json.extend_from_slice(if value == 0 { b"false" } else { b"true" });
    if let Some(column) = &mut cell.column {
        column.push_bool(value != 0);
    }
    Ok(())
}

fn bytea(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.plain_text(|out| write_base64(out, bytes));
    Ok(())
}

fn int8(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.int(i64::from_be_bytes(fixed(bytes, "bigint")?));
    Ok(())
}

fn int4(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.int(i32::from_be_bytes(fixed(bytes, "integer")?).into());
    Ok(())
}

fn int2(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.int(i16::from_be_bytes(fixed(bytes, "smallint")?).into());
    Ok(())
}

fn oid(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.int(u32::from_be_bytes(fixed(bytes, "oid")?).into());
    Ok(())
}

fn text(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    cell.text(std::str::from_utf8(bytes).map_err(|_| ValueError("text"))?);
    Ok(())
}

/// jsonb is text behind a version byte.
fn jsonb(bytes: &[u8], context: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    match bytes.split_first() {
        Some((1, json)) => text(json, context, cell),
        _ => Err(ValueError("jsonb of version 1")),
    }
}

fn float4(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let value = f32::from_be_bytes(fixed(bytes, "real")?);
    write_f32(cell.json, value);
    if let Some(column) = &mut cell.column {
        column.push_f32(value);
    }
    Ok(())
}

fn float8(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let value = f64::from_be_bytes(fixed(bytes, "double precision")?);
    write_f64(cell.json, value);
    if let Some(column) = &mut cell.column {
        column.push_f64(value);
    }
    Ok(())
}

fn uuid(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let uuid = fixed(bytes, "uuid")?;
    cell.plain_text(|out| write_uuid(out, &uuid));
    Ok(())
}

fn date(bytes: &[u8], _: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let days = i32::from_be_bytes(fixed(bytes, "date")?);
    let since_1970 = i64::from(days) + i64::from(PG_EPOCH_DAYS);
    match days {
        // Infinities stay at the ends of the column; JSON shows what the stream of the recorded connector shows.
        i32::MAX => cell.ints(2_146_033_979, days.into()),
        i32::MIN => cell.ints(since_1970, days.into()),
        _ => cell.int(since_1970),
    }
    Ok(())
}

fn time(bytes: &[u8], context: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let micros = i64::from_be_bytes(fixed(bytes, "time")?);
    cell.int(if context.fraction_digits() <= 3 { micros / 1_000 } else { micros });
    Ok(())
}

/// Microseconds since 1970; infinities stay the ends of the range.
fn since_1970(bytes: &[u8], name: &'static str) -> Result<i64, ValueError> {
    let micros = i64::from_be_bytes(fixed(bytes, name)?);
    Ok(if matches!(micros, i64::MAX | i64::MIN) { micros } else { micros.wrapping_add(PG_EPOCH_MICROS) })
}

fn timestamp(bytes: &[u8], context: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let micros = since_1970(bytes, "timestamp")?;
    let infinite = matches!(micros, i64::MAX | i64::MIN);
    let shown = if context.fraction_digits() <= 3 && !infinite { micros.div_euclid(1_000) } else { micros };
    cell.ints(shown, micros);
    Ok(())
}

fn timestamptz(bytes: &[u8], context: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let micros = since_1970(bytes, "timestamptz")?;
    cell.json.push(b'"');
    match micros {
        i64::MAX => cell.json.extend_from_slice(b"infinity"),
        i64::MIN => cell.json.extend_from_slice(b"-infinity"),
        // Past 292,278 CE PostgreSQL's count no longer fits ours.
        _ if micros < -MICROS_PER_DAY * 2_500_000 => return Err(ValueError("timestamptz within 64 bits since 1970")),
        _ => write_date_time(cell.json, micros, context.fraction_digits()),
    }
    cell.json.push(b'"');
    if let Some(column) = &mut cell.column {
        column.push_int(micros);
    }
    Ok(())
}

fn numeric(bytes: &[u8], context: TypeContext, cell: &mut Cell<'_>) -> Result<(), ValueError> {
    let number = Numeric::parse(bytes).map_err(|_| ValueError("numeric"))?;
    let finite = matches!(number, Numeric::Finite { .. });
    match context.modes.decimal {
        DecimalMode::Precise if !finite => {
            // Debezium shows NaN as null here, and stops at an infinity.
            if matches!(number, Numeric::Infinity { .. }) {
                return Err(ValueError("numeric that decimal.handling.mode=precise can show; use string"));
            }
            cell.null();
            return Ok(());
        }
        DecimalMode::Precise => write_precise(&number, context.scale(), cell.json),
        DecimalMode::String => {
            cell.json.push(b'"');
            match number {
                Numeric::NaN => cell.json.extend_from_slice(b"NAN"),
                Numeric::Infinity { negative: false } => cell.json.extend_from_slice(b"POSITIVE_INFINITY"),
                Numeric::Infinity { negative: true } => cell.json.extend_from_slice(b"NEGATIVE_INFINITY"),
                Numeric::Finite { .. } => number.write_plain(cell.json),
            }
            cell.json.push(b'"');
        }
        DecimalMode::Double => {
            let mut plain = Vec::with_capacity(40);
            number.write_plain(&mut plain);
            let text = std::str::from_utf8(&plain).map_err(|_| ValueError("numeric"))?;
            write_f64(cell.json, text.parse().map_err(|_| ValueError("numeric"))?);
        }
    }
    if let Some(column) = &mut cell.column {
        column.push_with(|out| number.write_plain(out));
    }
    Ok(())
}

/// Of a declared scale: base64 of the unscaled value; else a struct that tells the scale.
fn write_precise(number: &Numeric<'_>, scale: Option<u16>, json: &mut Vec<u8>) {
    match scale {
        Some(scale) => {
            json.push(b'"');
            number.write_unscaled(json, scale);
            json.push(b'"');
        }
        None => {
            let scale = number.least_scale();
            json.extend_from_slice(b"{\"scale\":");
            write_int(json, scale);
            json.extend_from_slice(b",\"value\":\"");
            number.write_unscaled(json, scale);
            json.extend_from_slice(b"\"}");
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_never_panics_and_never_breaks_json(
            bytes in prop::collection::vec(any::<u8>(), 0..20),
            modifier in -1_i32..100,
        ) {
            for rule in RULES {
                let mut json = Vec::new();
                let mut column = ColumnBuilder::new(rule.column);
                let context = TypeContext { modifier, modes: TypeModes::default() };
                let cell = &mut Cell { json: &mut json, column: Some(&mut column) };
                if (rule.write)(&bytes, context, cell).is_ok() {
                    let value = serde_json::from_slice::<serde_json::Value>(&json);
                    prop_assert!(value.is_ok(), "{}: {}", rule.name, String::from_utf8_lossy(&json));
                    prop_assert_eq!(column.finish().len(), 1);
                }
            }
        }
    }

    #[test]
    fn rules_are_sorted_and_unique() {
        assert!(RULES.is_sorted_by(|a, b| a.oid < b.oid));
        assert_eq!(rule_of(3802).map(|rule| rule.name), Some("jsonb"));
        assert!(rule_of(600).is_none());
    }
}
