//! Parts of texts: where something stands, what stands between separators, single characters.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, ListBuilder, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Int32Type;

use super::bind::{Bound, maybe, strict, take};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;
use crate::types::nested::{entries_field, entry_fields, item_field};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("POSITION", "Write POSITION(part IN text).", bind_locate, locate),
    Function::new("LOCATE", "Write LOCATE(part, text) or LOCATE(part, text, start).", bind_locate, locate),
    Function::new("INSTR", "Write INSTR(text, part[, start[, occurrence]]).", bind_instr, instr),
    Function::new("SPLIT_INDEX", "Write SPLIT_INDEX(text, separator, index from 0).", bind_split_index, split_index),
    Function::new("SPLIT", "Write SPLIT(text, separator).", bind_split, split).takes_null(),
    Function::new("STR_TO_MAP", "Write STR_TO_MAP(text, ',', '=').", bind_str_to_map, str_to_map),
    Function::new(
        "ASCII",
        "Write ASCII(text).",
        |a| strict(take(a, &["t"])?, LogicalType::Int),
        |call| {
            // The first byte, signed, as Java has it.
            call.numbers::<Int32Type>(|row| {
                Ok(Some(call.bytes(0, row).first().map_or(0, |byte| i32::from(byte.cast_signed()))))
            })
        },
    ),
    Function::new(
        "CHR",
        "Write CHR(code).",
        |a| maybe(take(a, &["l"])?, LogicalType::STRING),
        |call| {
            call.texts(|row, out| {
                let code = call.long(0, row);
                if code >= 0 {
                    out.push(char::from(u8::try_from(code & 0xFF).unwrap_or(0)));
                }
                Ok(Some(()))
            })
        },
    ),
];

fn bind_locate(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["tt", "tti"])?, LogicalType::Int)
}

fn bind_instr(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["tt", "tti", "ttii"])?, LogicalType::Int)
}

fn bind_split_index(arguments: Vec<Expr>) -> Bound {
    maybe(take(arguments, &["tti", "tii"])?, LogicalType::STRING)
}

fn bind_split(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["tt"])?, LogicalType::array(LogicalType::STRING.nullable(true)))
}

fn bind_str_to_map(arguments: Vec<Expr>) -> Bound {
    let text = LogicalType::STRING.nullable(true);
    maybe(take(arguments, &["t", "ttt"])?, LogicalType::map(text, text))
}

/// Position of a part from a position on, in characters from 1; 0 if it is not there. Nothing stands first everywhere.
fn position(text: &str, part: &str, start: usize) -> i32 {
    if part.is_empty() {
        return 1;
    }
    let Some((from, _)) = text.char_indices().chain([(text.len(), ' ')]).nth(start.saturating_sub(1)) else { return 0 };
    match text[from..].find(part) {
        Some(at) => i32::try_from(text[..from + at].chars().count() + 1).unwrap_or(0),
        None => 0,
    }
}

fn locate(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.numbers::<Int32Type>(|row| {
        let start = if call.len() == 3 { usize::try_from(call.int(2, row)).unwrap_or(0) } else { 1 };
        Ok(Some(position(call.text(1, row), call.text(0, row), start)))
    })
}

/// The n-th occurrence, from a position on; from the end if that is negative.
fn instr(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.numbers::<Int32Type>(|row| {
        let (text, part) = (call.text(0, row), call.text(1, row));
        let start = if call.len() > 2 { call.int(2, row) } else { 1 };
        let nth = if call.len() > 3 { call.int(3, row) } else { 1 };
        if nth <= 0 {
            return call.failed(row, || "nthAppearance must be positive!".to_owned());
        }
        if call.len() == 2 {
            return Ok(Some(position(text, part, 1)));
        }
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        let skipped = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
        let mut places = text.char_indices().enumerate().filter(|(_, (at, _))| text[*at..].starts_with(part));
        let found = match start {
            0 => None,
            1.. => places.find_map(nth_of(nth, |place| place + 1 >= skipped)),
            _ => {
                let last = text.chars().count().checked_sub(skipped);
                let all: Vec<usize> = places.map(|(place, _)| place).collect();
                last.and_then(|last| all.into_iter().rev().filter(|place| *place <= last).nth(nth - 1))
            }
        };
        Ok(Some(found.map_or(0, |place| i32::try_from(place + 1).unwrap_or(0))))
    })
}

fn nth_of(nth: usize, counts: impl Fn(usize) -> bool) -> impl FnMut((usize, (usize, char))) -> Option<usize> {
    let mut seen = 0;
    move |(place, _)| {
        seen += usize::from(counts(place));
        (counts(place) && seen == nth).then_some(place)
    }
}

fn split_index(call: &Call<'_>) -> Result<Vector, EvalError> {
    let by_code = call.kind(1).is_integer();
    call.slices(|row| {
        let index = usize::try_from(call.int(2, row)).ok()?;
        let text = call.text(0, row);
        if by_code {
            let code = u8::try_from(call.int(1, row)).ok().filter(|code| *code > 0)?;
            return text.split(char::from(code)).nth(index).filter(|_| !text.is_empty());
        }
        let separator = call.text(1, row);
        if text.is_empty() {
            return None;
        }
        if separator.is_empty() { text.split(char::is_whitespace).nth(index) } else { text.split(separator).nth(index) }
    })
}

fn split(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(item_field(LogicalType::STRING));
    for row in 0..call.count {
        if call.any_null(row) {
            out.append_null();
            continue;
        }
        let (text, separator) = (call.text(0, row), call.text(1, row));
        if separator.is_empty() {
            let mut buffer = [0; 4];
            text.chars().for_each(|letter| out.values().append_value(letter.encode_utf8(&mut buffer)));
        } else if !text.is_empty() {
            text.split(separator).for_each(|part| out.values().append_value(part));
        }
        out.append(true);
    }
    Ok(call.vector(out.finish()))
}

/// Both separators are regular expressions, as in Java's `split`; a later value of a key wins.
fn str_to_map(call: &Call<'_>) -> Result<Vector, EvalError> {
    let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
    let (mut lengths, mut valid) = (Vec::with_capacity(call.count), Vec::with_capacity(call.count));
    for row in 0..call.count {
        valid.push(!call.any_null(row));
        if call.any_null(row) {
            lengths.push(0);
            continue;
        }
        let separators = if call.len() == 3 { (call.text(1, row), call.text(2, row)) } else { (",", "=") };
        let Some(entries) = entries_of(call, row, call.text(0, row), separators)? else {
            lengths.push(0);
            continue;
        };
        for (key, value) in &entries {
            keys.append_value(key);
            values.append_option(*value);
        }
        lengths.push(entries.len());
    }
    let Some(entry) = call.to.entry() else { return Err(EvalError { message: "no map".to_owned(), row: 0 }) };
    let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(values.finish())];
    let entries = StructArray::new(entry_fields(entry), columns, None);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(call.vector(ListArray::new(entries_field(entry), offsets, Arc::new(entries), Some(NullBuffer::from(valid)))))
}

type Entries<'a> = Vec<(&'a str, Option<&'a str>)>;

fn entries_of<'a>(
    call: &Call<'_>,
    row: usize,
    text: &'a str,
    (list, pair): (&str, &str),
) -> Result<Option<Entries<'a>>, EvalError> {
    let mut out: Entries<'a> = Vec::new();
    if text.is_empty() {
        return Ok(Some(out));
    }
    let (list, pair) = match (super::java_regex::compiled(list), super::java_regex::compiled(pair)) {
        (Ok(list), Ok(pair)) => (list, pair),
        (Err(error), _) | (_, Err(error)) => return call.failed(row, || error),
    };
    // Java's split leaves out empty parts at the end.
    let mut parts: Vec<&str> = list.split(text).filter_map(Result::ok).collect();
    parts.truncate(parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1));
    for part in parts {
        let mut sides = pair.splitn(part, 2).filter_map(Result::ok);
        let key = sides.next().unwrap_or(part);
        let value = sides.next();
        match out.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => out.push((key, value)),
        }
    }
    Ok(Some(out))
}
