//! `csv`: one line a row, as Flink's Jackson writes and reads it.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use base64::Engine;

use super::cells::Cell;
use super::json_read::{self, Dialect};
use super::{CsvOptions, Field, Place, ReadError, TimestampFormat};
use crate::catalog::PhysicalColumn;
use crate::expr::{EvalError, text};
use crate::types::LogicalType;

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
            if text::is_null(&columns[*index], row, *kind) {
                out.extend_from_slice(self.options.null_literal.as_deref().unwrap_or_default().as_bytes());
                continue;
            }
            value.clear();
            match kind {
                LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
                    let bytes = arrow::array::AsArray::as_binary::<i32>(&columns[*index]).value(row);
                    value.push_str(&base64::engine::general_purpose::STANDARD.encode(bytes));
                }
                LogicalType::Boolean => {
                    let yes = arrow::array::AsArray::as_boolean(&columns[*index]).value(row);
                    value.push_str(if yes { "true" } else { "false" });
                }
                _ => text::write(&mut value, &columns[*index], row, *kind),
            }
            self.quoted(out, &value, kind.is_text() || kind.is_binary() || kind.is_timestamp());
        }
        Ok(())
    }

    /// Texts with anything but plain characters are quoted, as Jackson decides it.
    fn quoted(&self, out: &mut Vec<u8>, value: &str, is_text: bool) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/' | '=');
        let special = |c: char| c == self.options.delimiter || Some(c) == self.options.quote || c < ' ' || c == '\\';
        let needs = value.chars().any(|c| special(c) || is_text && !plain(c) && c.is_ascii());
        let Some(quote) = self.options.quote.filter(|_| is_text && (needs || value.is_empty())) else {
            out.extend_from_slice(value.as_bytes());
            return;
        };
        let mut buffer = [0; 4];
        out.extend_from_slice(quote.encode_utf8(&mut buffer).as_bytes());
        for c in value.chars() {
            if c == quote {
                let before = self.options.escape.unwrap_or(quote);
                out.extend_from_slice(before.encode_utf8(&mut buffer).as_bytes());
            }
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        out.extend_from_slice(quote.encode_utf8(&mut buffer).as_bytes());
    }
}

/// The values of one line; a value keeps whether it was quoted.
fn split(line: &str, options: &CsvOptions) -> Result<Vec<(String, bool)>, ReadError> {
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        let mut value = String::new();
        let quoted = options.quote.is_some() && chars.peek().copied() == options.quote;
        if quoted {
            chars.next();
            loop {
                match chars.next() {
                    None => return Err(ReadError::Record("Missing closing quote for value".to_owned())),
                    Some(c) if Some(c) == options.escape => value.extend(chars.next()),
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
            while chars.peek().is_some_and(|c| *c != options.delimiter) {
                chars.next();
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != options.delimiter) {
                if Some(c) == options.escape { value.extend(chars.next()) } else { value.push(c) }
            }
        }
        out.push((value, quoted));
        if chars.next().is_none() {
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
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() || options.comments && line.starts_with('#') {
        return Ok(None);
    }
    let values = split(line, options)?;
    let wanted = fields.iter().filter(|field| field.place == *place).count();
    if values.len() != wanted && !options.ignore_parse_errors {
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
        let Some((value, quoted)) = next.next().filter(|_| field.needed) else {
            cells.push(None);
            continue;
        };
        let is_null = match &options.null_literal {
            Some(literal) => value == *literal,
            None => value.is_empty() && !quoted && !field.kind.is_text(),
        };
        cells.push(if is_null { None } else { cell(value, field, options)? });
    }
    Ok(Some(cells))
}

fn cell<'a>(value: String, field: &Field, options: &CsvOptions) -> Result<Option<Cell<'a>>, ReadError> {
    if field.kind.is_text() {
        return Ok(Some(Cell::Text(Cow::Owned(value))));
    }
    // A plain value is read as its JSON text would be.
    let text = serde_json::Value::from(value.trim()).to_string();
    match json_read::cell(&text, field.kind, TimestampFormat::Sql, Dialect::Json) {
        Ok(cell) => Ok(cell.map(owned)),
        Err(_) if options.ignore_parse_errors => Ok(None),
        Err(_) => Err(ReadError::Field(field.name.clone())),
    }
}

fn owned<'a>(cell: Cell<'_>) -> Cell<'a> {
    match cell {
        Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
        Cell::Boolean(value) => Cell::Boolean(value),
        Cell::Integer(value) => Cell::Integer(value),
        Cell::Double(value) => Cell::Double(value),
        Cell::Decimal(value) => Cell::Decimal(value),
        Cell::Bytes(value) => Cell::Bytes(value),
        Cell::Date(value) => Cell::Date(value),
        Cell::Time(value) => Cell::Time(value),
        Cell::Moment(value) => Cell::Moment(value),
        // A line has no nested values.
        Cell::List(_) | Cell::Entries(_) | Cell::Row(_) => Cell::Boolean(false),
    }
}
