//! `csv`: one line a row, as Flink's Jackson writes and reads it.
//!
//! ```text
//!   1,"a b",1.5;2.5,,x;7        INT, STRING, ARRAY, NULL, ROW: elements and fields with `array-element-delimiter` between
//! ```
//! Which texts get quotes is Jackson's guess without much looking: those of more than 24 characters, and those with a
//! character up to the delimiter or the quote.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use base64::Engine;

use super::cells::Cell;
use super::json_read::{self, Dialect, Unreadable};
use super::json_write;
use super::{CsvOptions, Field, Place, ReadError, TimestampFormat};
use crate::catalog::PhysicalColumn;
use crate::expr::{EvalError, text};
use crate::types::{LogicalType, time};

/// Jackson's `MAX_QUOTE_CHECK`: longer texts are quoted without a look.
const LONGEST_LOOK: usize = 24;

/// Writes lines.
#[derive(Clone, Debug)]
pub struct CsvWriter {
    fields: Vec<(usize, LogicalType)>,
    options: CsvOptions,
}

impl CsvWriter {
    /// For some columns.
    #[must_use]
    pub fn new(columns: &[PhysicalColumn], fields: &[(usize, String)], options: CsvOptions) -> Self {
        let fields = fields.iter().map(|(index, _)| (*index, columns[*index].data_type.kind)).collect();
        Self { fields, options }
    }

    /// Appends the line of a row, without its end.
    pub fn write(&self, out: &mut Vec<u8>, columns: &[ArrayRef], row: usize) -> Result<(), EvalError> {
        let mut value = String::new();
        for (at, (index, kind)) in self.fields.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(self.options.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            let column = &columns[*index];
            if text::is_null(column, row, *kind) {
                out.extend_from_slice(self.null().as_bytes());
                continue;
            }
            value.clear();
            match kind {
                LogicalType::Array(of) => {
                    let items = column.as_list::<i32>().value(row);
                    self.several(&mut value, (0..items.len()).map(|item| (&items, item, of.kind)));
                }
                LogicalType::Row(fields) => {
                    let parts = column.as_struct().columns();
                    let parts = fields.iter().zip(parts).map(|(field, part)| (part, row, field.data_type.kind));
                    self.several(&mut value, parts);
                }
                _ => self.simple(&mut value, column, row, *kind),
            }
            let plain = kind.is_integer() || kind.is_approximate() || *kind == LogicalType::Boolean;
            if plain { out.extend_from_slice(value.as_bytes()) } else { self.quoted(out, &value) }
        }
        Ok(())
    }

    fn null(&self) -> &str {
        self.options.null_literal.as_deref().unwrap_or_default()
    }

    fn several<'a>(&self, out: &mut String, parts: impl Iterator<Item = (&'a ArrayRef, usize, LogicalType)>) {
        for (at, (array, row, kind)) in parts.enumerate() {
            if at > 0 {
                out.push_str(&self.options.array_delimiter);
            }
            if text::is_null(array, row, kind) {
                out.push_str(self.null());
            } else {
                self.simple(out, array, row, kind);
            }
        }
    }

    fn simple(&self, out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType) {
        match kind {
            LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
                base64::engine::general_purpose::STANDARD.encode_string(array.as_binary::<i32>().value(row), out);
            }
            LogicalType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
            LogicalType::Decimal { .. } => json_write::decimal_text(out, array, row, kind, !self.options.scientific),
            LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
                json_write::time_text(out, array, row, kind, TimestampFormat::Sql);
            }
            _ => text::write(out, array, row, kind),
        }
    }

    /// A text, in quotes if Jackson takes it to need them.
    fn quoted(&self, out: &mut Vec<u8>, value: &str) {
        let CsvOptions { delimiter, quote, escape, .. } = self.options;
        let needs = |quote: char| {
            let safe = delimiter.max(quote);
            value.encode_utf16().nth(LONGEST_LOOK).is_some()
                || value.chars().any(|c| c <= safe || c == escape.unwrap_or('\\'))
        };
        let Some(quote) = quote.filter(|quote| needs(*quote)) else {
            out.extend_from_slice(value.as_bytes());
            return;
        };
        let mut buffer = [0; 4];
        out.extend_from_slice(quote.encode_utf8(&mut buffer).as_bytes());
        for c in value.chars() {
            if c == quote || Some(c) == escape {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        out.extend_from_slice(quote.encode_utf8(&mut buffer).as_bytes());
    }
}

/// What follows the lines of comments and blanks at the front.
fn without_comments(mut text: &str) -> &str {
    loop {
        let line = text.split(['\n', '\r']).next().unwrap_or_default();
        let start = line.trim_start_matches(|c| c <= ' ');
        if !start.is_empty() && !start.starts_with('#') {
            return text;
        }
        match text[line.len()..].strip_prefix(['\n', '\r']) {
            Some(rest) => text = rest,
            None => return "",
        }
    }
}

/// The values of the first line.
fn split(line: &str, options: &CsvOptions) -> Result<Vec<String>, ReadError> {
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    let ends = |c: char| c == options.delimiter || matches!(c, '\n' | '\r');
    let cut = || ReadError::Record("Unexpected end-of-input in an escaped character".to_owned());
    loop {
        let mut value = String::new();
        if options.quote.is_some() && chars.peek().copied() == options.quote {
            chars.next();
            loop {
                match chars.next() {
                    None => return Err(ReadError::Record("Missing closing quote for value".to_owned())),
                    Some(c) if Some(c) == options.escape => value.push(chars.next().ok_or_else(cut)?),
                    Some(c) if Some(c) == options.quote => {
                        if chars.peek().copied() != options.quote {
                            break;
                        }
                        chars.next();
                        value.push(c);
                    }
                    Some(c) => value.push(c),
                }
            }
            while chars.next_if(|c| *c == ' ' && !ends(*c)).is_some() {}
            if let Some(other) = chars.peek().filter(|c| !ends(**c)) {
                return Err(ReadError::Record(format!(
                    "Unexpected character ('{other}' (code {})): Expected column separator character ('{}' (code {})) or \
                     end-of-line",
                    u32::from(*other),
                    options.delimiter,
                    u32::from(options.delimiter)
                )));
            }
        } else {
            while let Some(c) = chars.next_if(|c| !ends(*c)) {
                value.push(if Some(c) == options.escape { chars.next().ok_or_else(cut)? } else { c });
            }
        }
        out.push(value);
        if chars.next().is_none_or(|c| c != options.delimiter) {
            return Ok(out);
        }
    }
}

/// Reads a line; none where it is a comment or empty.
pub fn read<'a>(
    line: &'a [u8],
    fields: &[Field],
    place: &Place,
    options: &CsvOptions,
) -> Result<Option<Vec<Option<Cell<'a>>>>, ReadError> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let line =
        std::str::from_utf8(line).map_err(|error| ReadError::Record(format!("the line is no UTF-8: {error}")))?;
    let line = if options.comments { without_comments(line) } else { line };
    if line.is_empty() {
        return if options.comments {
            Ok(None)
        } else {
            Err(ReadError::Record("No content to map due to end-of-input".to_owned()))
        };
    }
    let mut values = split(line, options)?;
    let wanted = fields.iter().filter(|field| field.place == *place).count();
    // A delimiter may stand behind the last value, too.
    if values.len() == wanted + 1 && values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    if let Some(more) = values.get(wanted) {
        return Err(ReadError::Record(format!(
            "Too many entries: expected at most {wanted} (value #{wanted} ({} chars) \"{more}\")",
            more.chars().count()
        )));
    }
    if values.len() < wanted && !options.ignore_parse_errors {
        return Err(ReadError::Record(format!(
            "Row length mismatch. {wanted} fields expected but was {}.",
            values.len()
        )));
    }
    let mut next = values.into_iter();
    let mut cells = Vec::with_capacity(fields.len());
    for field in fields {
        if field.place != *place {
            cells.push(None);
            continue;
        }
        let Some(value) = next.next().filter(|_| field.needed) else {
            cells.push(None);
            continue;
        };
        cells.push(match cell(value, field.kind, options) {
            Ok(cell) => cell,
            Err(_) if options.ignore_parse_errors => None,
            Err(_) => return Err(ReadError::Field(field.name.clone())),
        });
    }
    Ok(Some(cells))
}

fn cell<'a>(value: String, kind: LogicalType, options: &CsvOptions) -> Result<Option<Cell<'a>>, Unreadable> {
    if options.null_literal.as_ref() == Some(&value) {
        return Ok(None);
    }
    let parts = || -> Vec<String> {
        if value.is_empty() || options.array_delimiter.is_empty() {
            return if value.is_empty() { Vec::new() } else { vec![value.clone()] };
        }
        value.split(options.array_delimiter.as_str()).map(str::to_owned).collect()
    };
    match kind {
        LogicalType::Char(_) | LogicalType::VarChar(_) => Ok(Some(Cell::Text(Cow::Owned(value)))),
        LogicalType::Array(of) => {
            let items = parts().into_iter().map(|part| inner(part, of.kind, options));
            items.collect::<Result<_, _>>().map(|items| Some(Cell::List(items)))
        }
        LogicalType::Row(_) if value.is_empty() => Ok(None),
        LogicalType::Row(fields) => {
            let parts = parts();
            if parts.len() < fields.len() && !options.ignore_parse_errors {
                return Err(Unreadable);
            }
            let mut parts = parts.into_iter();
            let cells = fields.iter().map(|field| match parts.next() {
                Some(part) => inner(part, field.data_type.kind, options),
                None => Ok(None),
            });
            cells.collect::<Result<_, _>>().map(|cells| Some(Cell::Row(cells)))
        }
        // As `java.sql.Date.valueOf`: months and days may have one digit, and a day must be one of its month.
        LogicalType::Date => {
            let plain = value.split('-').map(str::len).eq([4, 1, 1]) || value.len() > 8 && value.len() <= 10;
            let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            let date = time::parse_date(&value).filter(|_| plain && digits && value.matches('-').count() == 2);
            date.map(|days| Some(Cell::Date(days))).ok_or(Unreadable)
        }
        // As `LocalTime.parse`: seconds may be left out, and a day ends before 24:00.
        LogicalType::Time(_) => {
            let whole = if value.len() == 5 { format!("{value}:00") } else { value };
            let time = time::parse_full_time(&whole).filter(|_| !whole.starts_with("24"));
            time.map(|millis| Some(Cell::Time(millis))).ok_or(Unreadable)
        }
        LogicalType::Decimal { .. } if value.trim() != value => Err(Unreadable),
        _ => {
            // A plain value is read as its JSON text would be.
            let text = serde_json::Value::from(value.trim()).to_string();
            json_read::cell(&text, kind, TimestampFormat::Sql, Dialect::Json).map(|cell| cell.and_then(owned))
        }
    }
}

/// A value inside of a nested one, NULL where it cannot be read and errors are ignored.
fn inner<'a>(value: String, kind: LogicalType, options: &CsvOptions) -> Result<Option<Cell<'a>>, Unreadable> {
    match cell(value, kind, options) {
        Err(Unreadable) if options.ignore_parse_errors => Ok(None),
        read => read,
    }
}

fn owned<'a>(cell: Cell<'_>) -> Option<Cell<'a>> {
    Some(match cell {
        Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
        Cell::Boolean(value) => Cell::Boolean(value),
        Cell::Integer(value) => Cell::Integer(value),
        Cell::Double(value) => Cell::Double(value),
        Cell::Decimal(value) => Cell::Decimal(value),
        Cell::Bytes(value) => Cell::Bytes(value),
        Cell::Date(value) => Cell::Date(value),
        Cell::Time(value) => Cell::Time(value),
        Cell::Moment(value) => Cell::Moment(value),
        // What is nested has been taken apart before.
        Cell::List(_) | Cell::Entries(_) | Cell::Row(_) => return None,
    })
}

#[cfg(test)]
mod tests;
