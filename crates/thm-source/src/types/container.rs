//! Arrays, composites, ranges, hstore: values made of values.
//!
//! ```text
//!   array:      dimensions │ flags │ element oid │ (length, lower bound)* │ elements, each behind its length
//!   composite:  fields │ (oid │ value behind its length)*
//!   range:      flags │ bounds, each behind its length
//!   hstore:     pairs │ (key │ value, each behind its length)*
//! ```

use std::io::Write as _;

use thm_codec::debezium::write_int;
use thm_codec::java_json::write_string;
use thm_codec::java_text::sort_as_hash_map;

use super::{Cell, ColumnType, Done, Fields, ValueError};
use crate::options::HstoreMode;

/// PostgreSQL's own limit.
const MAX_DIMENSIONS: usize = 6;

struct ArrayHead {
    lengths: Vec<usize>,
    lower_bounds: Vec<i32>,
}

fn array_head(fields: &mut Fields<'_>) -> Result<ArrayHead, ValueError> {
    let dimensions = usize::try_from(fields.i32()?).unwrap_or(usize::MAX);
    if dimensions > MAX_DIMENSIONS {
        return Err(ValueError("array"));
    }
    fields.take(8)?;
    let mut head = ArrayHead { lengths: Vec::new(), lower_bounds: Vec::new() };
    for _ in 0..dimensions {
        head.lengths.push(usize::try_from(fields.i32()?).map_err(|_| ValueError("array"))?);
        head.lower_bounds.push(fields.i32()?);
    }
    Ok(head)
}

/// A flat list; several dimensions as lists of lists.
pub(super) fn array(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "array");
    let head = array_head(&mut fields)?;
    let element = kind.part()?;
    cell.json(|out| {
        if head.lengths.is_empty() {
            out.extend_from_slice(b"[]");
        } else {
            write_dimension(&mut fields, element, &head.lengths, out)?;
        }
        fields.end()
    })
}

fn write_dimension(fields: &mut Fields<'_>, element: &ColumnType, lengths: &[usize], out: &mut Vec<u8>) -> Done {
    let Some((length, inner)) = lengths.split_first() else { return Ok(()) };
    out.push(b'[');
    for place in 0..*length {
        if place > 0 {
            out.push(b',');
        }
        if !inner.is_empty() {
            write_dimension(fields, element, inner, out)?;
            continue;
        }
        match fields.value()? {
            Some(value) => element.write(value, &mut Cell { json: out, column: None })?,
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
    Ok(())
}

pub(super) fn print_array(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "array");
    let head = array_head(&mut fields)?;
    if head.lengths.is_empty() {
        out.extend_from_slice(b"{}");
        return Ok(());
    }
    if head.lower_bounds.iter().any(|bound| *bound != 1) {
        for (bound, length) in head.lower_bounds.iter().zip(&head.lengths) {
            let _ = write!(out, "[{bound}:{}]", i64::from(*bound) + *length as i64 - 1);
        }
        out.push(b'=');
    }
    print_dimension(&mut fields, kind.part()?, &head.lengths, out)?;
    fields.end()
}

fn print_dimension(fields: &mut Fields<'_>, element: &ColumnType, lengths: &[usize], out: &mut Vec<u8>) -> Done {
    let Some((length, inner)) = lengths.split_first() else { return Ok(()) };
    let between = if element.rule.name == "box" { b';' } else { b',' };
    out.push(b'{');
    for place in 0..*length {
        if place > 0 {
            out.push(between);
        }
        if !inner.is_empty() {
            print_dimension(fields, element, inner, out)?;
            continue;
        }
        let Some(value) = fields.value()? else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        let mut text = Vec::new();
        element.print(value, &mut text)?;
        let special = |byte: &u8| b"\"\\{}".contains(byte) || *byte == between || is_blank(*byte);
        if text.is_empty() || text.eq_ignore_ascii_case(b"NULL") || text.iter().any(special) {
            out.push(b'"');
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(&text);
        }
    }
    out.push(b'}');
    Ok(())
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0B
}

/// A JSON object of its fields.
pub(super) fn composite(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "composite");
    check_width(&mut fields, kind)?;
    cell.json(|out| {
        for (place, (name, part)) in kind.parts.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            write_string(out, name);
            out.push(b':');
            fields.take(4)?;
            match fields.value()? {
                Some(value) => part.write(value, &mut Cell { json: out, column: None })?,
                None => out.extend_from_slice(b"null"),
            }
        }
        if kind.parts.is_empty() {
            out.push(b'{');
        }
        out.push(b'}');
        fields.end()
    })
}

fn check_width(fields: &mut Fields<'_>, kind: &ColumnType) -> Done {
    match usize::try_from(fields.i32()?) {
        Ok(width) if width == kind.parts.len() => Ok(()),
        _ => Err(ValueError("composite of the type's fields")),
    }
}

pub(super) fn print_composite(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "composite");
    check_width(&mut fields, kind)?;
    out.push(b'(');
    for (place, (_, part)) in kind.parts.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        fields.take(4)?;
        if let Some(value) = fields.value()? {
            let mut text = Vec::new();
            part.print(value, &mut text)?;
            quote(out, &text, b"\"\\(),");
        }
    }
    out.push(b')');
    fields.end()
}

/// As composites and ranges quote: doubled quotes and backslashes, where anything is special.
fn quote(out: &mut Vec<u8>, text: &[u8], special: &[u8]) {
    if !text.is_empty() && !text.iter().any(|byte| special.contains(byte) || is_blank(*byte)) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'"');
}

const EMPTY: u8 = 1;
const LOWER_INCLUDED: u8 = 2;
const UPPER_INCLUDED: u8 = 4;
const LOWER_INFINITE: u8 = 8;
const UPPER_INFINITE: u8 = 16;

/// `[1,5)`, `empty`
pub(super) fn print_range(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "range");
    let flags = fields.u8()?;
    if flags & EMPTY != 0 {
        out.extend_from_slice(b"empty");
        return fields.end();
    }
    let mut bound = |out: &mut Vec<u8>, infinite: u8| {
        if flags & infinite == 0 {
            let mut text = Vec::new();
            kind.part()?.print(fields.value()?.ok_or(ValueError("range"))?, &mut text)?;
            quote(out, &text, b"\"\\()[],");
        }
        Ok::<(), ValueError>(())
    };
    out.push(if flags & LOWER_INCLUDED == 0 { b'(' } else { b'[' });
    bound(out, LOWER_INFINITE)?;
    out.push(b',');
    bound(out, UPPER_INFINITE)?;
    out.push(if flags & UPPER_INCLUDED == 0 { b')' } else { b']' });
    fields.end()
}

/// `{[1,5),[7,9)}`
pub(super) fn print_multirange(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "multirange");
    let count = fields.i32()?;
    out.push(b'{');
    for place in 0..count {
        if place > 0 {
            out.push(b',');
        }
        let range = fields.value()?.ok_or(ValueError("multirange"))?;
        kind.part()?.print(range, out)?;
    }
    out.push(b'}');
    fields.end()
}

/// As the type under it.
pub(super) fn print_domain(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    kind.part()?.print(bytes, out)
}

type Pairs<'a> = Vec<(&'a str, Option<&'a str>)>;

fn pairs(bytes: &[u8]) -> Result<Pairs<'_>, ValueError> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| ValueError("hstore"));
    let mut fields = Fields::new(bytes, "hstore");
    let count = fields.i32()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let key = text(fields.value()?.ok_or(ValueError("hstore"))?)?;
        pairs.push((key, fields.value()?.map(text).transpose()?));
    }
    fields.end()?;
    Ok(pairs)
}

/// A map as Debezium holds it: in the order of Java's `HashMap`, which consumers see.
pub(super) fn hstore(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut pairs = pairs(bytes)?;
    sort_as_hash_map(&mut pairs, |(key, _)| key);
    write_pairs(&pairs, kind.modes.hstore, cell);
    Ok(())
}

pub(super) fn write_pairs(pairs: &[(&str, Option<&str>)], mode: HstoreMode, cell: &mut Cell<'_>) {
    let mut map = String::from("{");
    for (place, (key, value)) in pairs.iter().enumerate() {
        if place > 0 {
            map.push(',');
        }
        write_characters(&mut map, key);
        map.push(':');
        match value {
            Some(value) => write_characters(&mut map, value),
            None => map.push_str("null"),
        }
    }
    map.push('}');
    if mode == HstoreMode::Json {
        return cell.text(&map);
    }
    let mut out = Vec::with_capacity(map.len());
    for (place, (key, value)) in pairs.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        write_string(&mut out, key);
        out.push(b':');
        match value {
            Some(value) => write_string(&mut out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(if pairs.is_empty() { b"{}" } else { b"}" });
    cell.json.extend_from_slice(&out);
    if let Some(column) = &mut cell.column {
        column.push_str(&map);
    }
}

/// A JSON string as Jackson writes it into characters: nothing beyond ASCII is escaped.
fn write_characters(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `"a"=>"1", "b"=>NULL`
pub(super) fn print_hstore(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    for (place, (key, value)) in pairs(bytes)?.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"" } else { b", " });
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(out, "\"{}\"=>", escaped(key));
        match value {
            Some(value) => {
                let _ = write!(out, "\"{}\"", escaped(value));
            }
            None => out.extend_from_slice(b"NULL"),
        }
    }
    Ok(())
}

/// `1 2 3`: int2vector and oidvector are arrays that print otherwise.
pub(super) fn print_vector(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "vector");
    let head = array_head(&mut fields)?;
    for place in 0..head.lengths.first().copied().unwrap_or(0) {
        if place > 0 {
            out.push(b' ');
        }
        let value = fields.value()?.ok_or(ValueError("vector"))?;
        match (kind.rule.name, value.len()) {
            ("int2vector", 2) => write_int(out, i16::from_be_bytes([value[0], value[1]])),
            (_, 4) => write_int(out, u32::from_be_bytes([value[0], value[1], value[2], value[3]])),
            _ => return Err(ValueError("vector")),
        }
    }
    fields.end()
}
