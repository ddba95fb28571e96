//! JSON → cells of declared types, as Flink's `json` and `debezium-json` read them.
//!
//! Better than Flink on purpose: TIMESTAMP and TIMESTAMP_LTZ take a text with zone and one without, both as UTC; DATE
//! takes Debezium's number of days; the declared precision is enforced.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thm_codec::json_cursor::{Cursor, Odd, unescape};

use super::cells::Cell;
use super::java_text;
use super::{Field, JsonOptions, Place, ReadError, TimestampFormat};
use crate::types::time;
use crate::types::{LogicalType, decimal, java_double};

/// Texts of the fields of one object, by column; a field that comes twice has its last value.
pub type Found<'a> = Vec<Option<&'a str>>;

/// The field of this name at this place; members mostly come in the order of the fields, so `next` is looked at first.
fn field_named(fields: &[Field], place: &Place, name: &str, next: usize) -> Option<usize> {
    let is = |field: &Field| field.needed && field.place == *place && field.name == name;
    if fields.get(next).is_some_and(is) { Some(next) } else { fields.iter().position(is) }
}

/// The fields that a table wants from the object that is the cursor's next value.
pub fn members<'a>(cursor: &mut Cursor<'a>, fields: &[Field], place: &Place) -> Result<Found<'a>, Odd> {
    let mut found: Found<'a> = vec![None; fields.len()];
    let mut next = 0;
    cursor.open()?;
    while let Some(name) = cursor.name()? {
        let value = cursor.value()?;
        if let Some(index) = field_named(fields, place, name, next) {
            found[index] = Some(value);
            next = index + 1;
        }
    }
    Ok(found)
}

/// Collects the fields that a table wants from an object, without looking into the others.
struct Wanted<'f>(&'f [Field], Place);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Found<'de> = vec![None; self.0.len()];
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match field_named(self.0, &self.1, &name, 0) {
                Some(index) => found[index] = Some(map.next_value::<&'de RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// As Jackson reads: a byte order mark before the value and anything behind it are not looked at.
pub fn first_value(text: &[u8]) -> serde_json::Deserializer<serde_json::de::SliceRead<'_>> {
    serde_json::Deserializer::from_slice(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text))
}

/// The wanted fields of an object that is a record's value.
pub fn object<'a>(text: &'a [u8], fields: &[Field]) -> Result<Found<'a>, ReadError> {
    object_in(text, fields, Place::Value)
}

/// The wanted fields of an object that is a record's key or value.
pub fn object_in<'a>(text: &'a [u8], fields: &[Field], place: Place) -> Result<Found<'a>, ReadError> {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(found) = members(&mut Cursor::new(text), fields, &place)
    {
        return Ok(found);
    }
    let found = Wanted(fields, place).deserialize(&mut first_value(text));
    found.map_err(|error| ReadError::Record(format!("Failed to deserialize JSON: {error}")))
}

/// Which of the two formats reads: they differ in the text of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `json`: a number in a STRING column keeps its text.
    Json,
    /// `debezium-json`: it is printed anew.
    Debezium,
}

/// What was found of the first 64 fields, by bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// There, perhaps as null.
    pub present: u64,
    /// There, and no value of the declared type.
    pub unreadable: u64,
    /// There with a value of the declared type.
    pub readable: u64,
    /// There as a JSON text that could be no number of PostgreSQL's.
    pub texts: u64,
    /// There as a JSON number or boolean.
    pub bare: u64,
}

/// How the text begins that stands for a value which PostgreSQL did not send, unless the source was told another.
const PLACEHOLDER: &str = "\"__debezium_unavailable_value";

impl Marks {
    /// Whether a value is a text or a number. Texts that stand for numbers without digits, and for what was not sent, say
    /// nothing of the column's type.
    fn note_form(&mut self, raw: &str, bit: u64) {
        match raw.as_bytes() {
            // Their first letters tell nearly all other texts from them.
            [b'"', b'N' | b'I' | b'i' | b'-' | b'_', ..]
                if is_no_number(raw.trim_matches('"')) || raw.starts_with(PLACEHOLDER) => {}
            [b'"', ..] => self.texts |= bit,
            [b'-' | b'0'..=b'9' | b't' | b'f', ..] => self.bare |= bit,
            _ => {}
        }
    }
}

fn is_no_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity" | "infinity" | "-infinity")
}

/// The bit of a field; fields behind the 64th have none.
#[must_use]
pub const fn bit(field: usize) -> u64 {
    if field < 64 { 1 << field } else { 0 }
}

/// The cells of one row.
pub fn row<'a>(
    found: &Found<'a>,
    fields: &[Field],
    options: &JsonOptions,
    dialect: Dialect,
) -> Result<Vec<Option<Cell<'a>>>, ReadError> {
    row_marked(found, fields, options, dialect, &mut Marks::default())
}

/// The cells of one row, and what was found of its fields.
pub fn row_marked<'a>(
    found: &Found<'a>,
    fields: &[Field],
    options: &JsonOptions,
    dialect: Dialect,
    marks: &mut Marks,
) -> Result<Vec<Option<Cell<'a>>>, ReadError> {
    let mut cells = Vec::with_capacity(fields.len());
    for (index, (raw, field)) in found.iter().zip(fields).enumerate() {
        let cell = match raw {
            None if field.needed
                && field.place == Place::Value
                && options.fail_on_missing_field
                && dialect == Dialect::Json =>
            {
                return Err(ReadError::Record(format!("Could not find field with name '{}'.", field.name)));
            }
            None => None,
            Some(raw) => {
                marks.present |= bit(index);
                match cell_in(raw, field.kind, How::of(options, dialect)) {
                    Ok(cell) => {
                        if cell.is_some() {
                            marks.readable |= bit(index);
                            marks.note_form(raw, bit(index));
                        }
                        cell
                    }
                    Err(Unreadable) => {
                        // PostgreSQL's types hold more than Flink's: such a value does not say that the column was retyped.
                        marks.unreadable |= if is_extreme(raw, field.kind) { 0 } else { bit(index) };
                        if !options.ignore_parse_errors {
                            return Err(ReadError::Field(field.name.clone()));
                        }
                        None
                    }
                }
            }
        };
        cells.push(cell);
    }
    Ok(cells)
}

/// Whether it is a value of the column's own kind that only PostgreSQL has: an infinity, NaN, a year beyond four digits.
fn is_extreme(raw: &str, kind: LogicalType) -> bool {
    let text = raw.trim_matches('"');
    if kind.is_numeric() {
        return is_no_number(text);
    }
    if !kind.is_timestamp() && kind != LogicalType::Date {
        return false;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let year = digits.bytes().take_while(u8::is_ascii_digit).count();
    let dated = year >= 4 && digits.as_bytes().get(year) == Some(&b'-');
    matches!(text, "infinity" | "-infinity") || dated && (year > 4 || digits.len() < text.len() || text.ends_with("BC"))
}

/// How values are read.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// How timestamps look.
    pub timestamps: TimestampFormat,
    /// Which of the formats reads.
    pub dialect: Dialect,
    /// What cannot be read inside of a nested value is NULL.
    pub lenient: bool,
    /// A field that a nested value lacks makes it unreadable.
    pub complete: bool,
}

impl How {
    /// As a table's options say.
    #[must_use]
    pub const fn of(options: &JsonOptions, dialect: Dialect) -> Self {
        let complete = options.fail_on_missing_field && matches!(dialect, Dialect::Json);
        Self { timestamps: options.timestamps, dialect, lenient: options.ignore_parse_errors, complete }
    }
}

/// A value that its column's type cannot hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Reads one value; NULL is `None`. DECIMALs that do not fit are NULL, as in Flink.
pub fn cell<'a>(
    raw: &'a str,
    kind: LogicalType,
    timestamps: TimestampFormat,
    dialect: Dialect,
) -> Result<Option<Cell<'a>>, Unreadable> {
    cell_in(raw, kind, How { timestamps, dialect, lenient: false, complete: false })
}

/// As [`cell`], with what a table's options say of nested values.
pub fn cell_in(raw: &str, kind: LogicalType, how: How) -> Result<Option<Cell<'_>>, Unreadable> {
    if raw == "null" {
        return Ok(None);
    }
    if let LogicalType::Char(_) | LogicalType::VarChar(_) = kind {
        return text(raw, how.dialect).map(|text| Some(Cell::Text(text)));
    }
    if kind.is_nested() {
        return super::nested::read(raw, kind, how).map(Some);
    }
    if kind == LogicalType::Boolean && raw.starts_with(['{', '[']) {
        return Ok(Some(Cell::Boolean(false)));
    }
    if matches!(kind, LogicalType::Binary(_) | LogicalType::VarBinary(_)) && raw.starts_with(['{', '[']) {
        return if how.dialect == Dialect::Debezium { Ok(None) } else { Err(Unreadable) };
    }
    let word = scalar(raw)?;
    let word = word.as_ref();
    let cell = match kind {
        LogicalType::Boolean => Cell::Boolean(word.trim().eq_ignore_ascii_case("true")),
        LogicalType::TinyInt => integer(word, (i64::from(i8::MIN), i64::from(i8::MAX)), false)?,
        LogicalType::SmallInt => integer(word, (i64::from(i16::MIN), i64::from(i16::MAX)), false)?,
        LogicalType::Int => integer(word, (i64::from(i32::MIN), i64::from(i32::MAX)), !raw.starts_with('"'))?,
        LogicalType::BigInt => integer(word, (i64::MIN, i64::MAX), !raw.starts_with('"'))?,
        LogicalType::Float | LogicalType::Double => Cell::Double(java_double::parse(word).ok_or(Unreadable)?),
        LogicalType::Decimal { precision, scale } => {
            // Only `json` takes blanks around a number.
            let number: Option<f64> = word.trim().parse().ok();
            let blank = word.trim() != word && how.dialect == Dialect::Debezium;
            if number.is_none_or(|number| number.is_nan()) || word.trim().is_empty() || blank {
                return Err(Unreadable);
            }
            return Ok(decimal::parse(word, precision, scale).map(Cell::Decimal));
        }
        LogicalType::Date => Cell::Date(date(raw, word)?),
        LogicalType::Time(_) => Cell::Time(time::parse_full_time(word).ok_or(Unreadable)?),
        LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => Cell::Moment(moment(word, how.timestamps)?),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            // Jackson's tree has NULL for the bytes of what is no text; its parser fails.
            if !raw.starts_with('"') {
                return if how.dialect == Dialect::Debezium { Ok(None) } else { Err(Unreadable) };
            }
            // Jackson passes over line breaks between groups.
            let word = word.trim_end_matches(['\r', '\n']);
            Cell::Bytes(base64::engine::general_purpose::STANDARD.decode(word).map_err(|_| Unreadable)?)
        }
        // Texts are read above; the catalog refuses columns of the others.
        LogicalType::Null | LogicalType::Char(_) | LogicalType::VarChar(_) => return Ok(None),
        LogicalType::IntervalMonth | LogicalType::IntervalSecond => return Err(Unreadable),
        LogicalType::Array(_) | LogicalType::Map(_) | LogicalType::Multiset(_) | LogicalType::Row(_) => {
            return Err(Unreadable);
        }
    };
    Ok(Some(cell))
}

/// The text of a string, number or boolean.
fn scalar(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    match raw.as_bytes().first() {
        Some(b'"') if !raw.contains('\\') => Ok(Cow::Borrowed(&raw[1..raw.len() - 1])),
        Some(b'"') => unescaped(raw),
        Some(b'{' | b'[') | None => Err(Unreadable),
        Some(_) => Ok(Cow::Borrowed(raw)),
    }
}

fn text(raw: &str, dialect: Dialect) -> Result<Cow<'_, str>, Unreadable> {
    match raw.as_bytes().first() {
        // A string without escapes is a slice of the record.
        Some(b'"') if !raw.contains('\\') => Ok(Cow::Borrowed(&raw[1..raw.len() - 1])),
        Some(b'"') => unescaped(raw),
        // Objects and arrays keep their JSON text, without blanks.
        Some(b'{' | b'[') => {
            let value: serde_json::Value = match serde_json::from_str(raw) {
                Ok(value) => value,
                Err(_) => {
                    let whole = java_text::with_whole_characters(raw).ok_or(Unreadable)?;
                    serde_json::from_str(&whole).map_err(|_| Unreadable)?
                }
            };
            let mut out = Vec::with_capacity(raw.len());
            write_json(&mut out, &value);
            String::from_utf8(out).map(Cow::Owned).map_err(|_| Unreadable)
        }
        Some(b'-' | b'0'..=b'9') if dialect == Dialect::Debezium => {
            let mut out = Vec::with_capacity(24);
            write_number(&mut out, raw);
            let text = String::from_utf8(out).map_err(|_| Unreadable)?;
            // Beyond a DOUBLE it is an infinity, which only JSON has in quotes.
            Ok(Cow::Owned(text.trim_matches('"').to_owned()))
        }
        Some(_) => Ok(Cow::Borrowed(raw)),
        None => Err(Unreadable),
    }
}

/// A string's text. Half of a character beyond the basic plane is a question mark, as Java encodes it.
fn unescaped(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    let mut text = String::with_capacity(raw.len());
    if unescape(&mut text, raw) == Ok(()) {
        return Ok(Cow::Owned(text));
    }
    let whole = java_text::with_whole_characters(raw).ok_or(Unreadable)?;
    serde_json::from_str(&whole).map(Cow::Owned).map_err(|_| Unreadable)
}

/// Appends a number as Jackson's tree has it: one with fraction or exponent is a DOUBLE.
fn write_number(out: &mut Vec<u8>, text: &str) {
    match text.parse::<f64>() {
        Ok(number) if text.contains(['.', 'e', 'E']) => thm_codec::java_json::write_f64(out, number),
        Ok(_) if text == "-0" => out.push(b'0'),
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

/// Appends JSON without blanks.
fn write_json(out: &mut Vec<u8>, value: &serde_json::Value) {
    use serde_json::Value;
    let comma = |out: &mut Vec<u8>, index: usize| out.extend_from_slice(if index == 0 { b"" } else { b"," });
    match value {
        Value::Number(number) => write_number(out, &number.to_string()),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                comma(out, index);
                write_json(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (index, (name, item)) in fields.iter().enumerate() {
                comma(out, index);
                out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                out.push(b':');
                write_json(out, item);
            }
            out.push(b'}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

/// An integer in a range; a number (not a text) with fraction or exponent is cut for INT and BIGINT.
fn integer(word: &str, (least, most): (i64, i64), cut: bool) -> Result<Cell<'static>, Unreadable> {
    let word = word.trim();
    let exact = word.parse::<i64>().ok();
    let wide = exact.or_else(|| {
        if !cut || !word.contains(['.', 'e', 'E']) {
            return None;
        }
        // As Jackson does: the limits are held against the DOUBLE, and 2^63 is BIGINT's largest value.
        let number: f64 = word.parse().ok()?;
        (number >= least as f64 && number <= most as f64).then_some(number.trunc() as i64)
    });
    wide.filter(|wide| (least..=most).contains(wide)).map(Cell::Integer).ok_or(Unreadable)
}

fn date(raw: &str, word: &str) -> Result<i32, Unreadable> {
    if !raw.starts_with('"') {
        return word.parse().map_err(|_| Unreadable);
    }
    time::parse_full_date(word).ok_or(Unreadable)
}

fn moment(word: &str, timestamps: TimestampFormat) -> Result<time::Moment, Unreadable> {
    let separator: &[u8] = match timestamps {
        TimestampFormat::Sql => b" ",
        TimestampFormat::Iso => b"T",
    };
    time::parse_zoned(word, separator).ok_or(Unreadable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(raw: &str, kind: LogicalType) -> Result<Option<Cell<'_>>, Unreadable> {
        cell(raw, kind, TimestampFormat::Iso, Dialect::Debezium)
    }

    #[test]
    fn texts_of_numbers_differ_by_format() {
        let json = cell("1.50", LogicalType::STRING, TimestampFormat::Sql, Dialect::Json).unwrap();
        assert_eq!(json, Some(Cell::Text("1.50".into())));
        assert_eq!(read("1.50", LogicalType::STRING), Ok(Some(Cell::Text("1.5".into()))));
        assert_eq!(read("{ \"b\": 1 }", LogicalType::STRING), Ok(Some(Cell::Text("{\"b\":1}".into()))));
        let nested = read("[1.10, {\"a\": 1e5}, -7, null, \"\\u00e9\"]", LogicalType::STRING);
        assert_eq!(nested, Ok(Some(Cell::Text("[1.1,{\"a\":100000.0},-7,null,\"é\"]".into()))));
        assert_eq!(read("1E400", LogicalType::STRING), Ok(Some(Cell::Text("Infinity".into()))));
    }

    #[test]
    fn both_forms_of_time_are_read_as_utc() {
        let zoned = read("\"2024-01-02T03:05:01.000000Z\"", LogicalType::Timestamp(3));
        let plain = read("\"2024-01-02T03:05:01\"", LogicalType::Timestamp(3));
        assert!(zoned.is_ok());
        assert_eq!(zoned, plain);
        assert_eq!(read("1582979696789", LogicalType::Timestamp(3)), Err(Unreadable));
    }

    #[test]
    fn numbers_are_checked_against_their_type() {
        assert_eq!(read("3000000000", LogicalType::Int), Err(Unreadable));
        assert_eq!(read("\" 5\"", LogicalType::Int), Ok(Some(Cell::Integer(5))));
        assert_eq!(read("1.0", LogicalType::BigInt), Ok(Some(Cell::Integer(1))));
        let two = LogicalType::Decimal { precision: 10, scale: 2 };
        assert_eq!(read("1.005", two), Ok(Some(Cell::Decimal(101))));
        assert_eq!(read("99999999999", two), Ok(None));
        assert_eq!(read("\"\"", two), Err(Unreadable));
    }
}
