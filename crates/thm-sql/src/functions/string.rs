//! Texts as a whole: case, blanks, padding, joining, cutting. Positions count characters from 1.

use arrow::datatypes::Int32Type;

use super::bind::{Bound, length, maybe, strict, take, varying};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::{LogicalType, MAX_LENGTH};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("UPPER", "Write UPPER(text).", same, |call| {
        call.texts(|row, out| {
            out.extend(call.text(0, row).chars().flat_map(char::to_uppercase));
            keep_length(call, out);
            Ok(Some(()))
        })
    }),
    Function::new("LOWER", "Write LOWER(text).", same, |call| {
        call.texts(|row, out| {
            out.push_str(&call.text(0, row).to_lowercase());
            keep_length(call, out);
            Ok(Some(()))
        })
    }),
    Function::new("INITCAP", "Write INITCAP(text).", same, initcap),
    Function::new("TRIM", "Write TRIM([BOTH | LEADING | TRAILING] ['characters'] FROM text).", trimmed, |call| {
        call.slices(|row| Some(call.text(0, row).trim_matches(any_of(call, row))))
    }),
    Function::new("LTRIM", "Write LTRIM(text) or LTRIM(text, 'characters').", trimmed, |call| {
        call.slices(|row| Some(call.text(0, row).trim_start_matches(any_of(call, row))))
    }),
    Function::new("RTRIM", "Write RTRIM(text) or RTRIM(text, 'characters').", trimmed, |call| {
        call.slices(|row| Some(call.text(0, row).trim_end_matches(any_of(call, row))))
    }),
    Function::new("CONCAT", "Write CONCAT(text, text, …).", |a| strict(take(a, &["t*"])?, LogicalType::STRING), concat),
    Function::new("||", "Write text || text.", bind_joined, joined),
    Function::new(
        "CONCAT_WS",
        "Write CONCAT_WS(separator, text, …).",
        |a| strict(take(a, &["tt*"])?, LogicalType::STRING),
        concat_ws,
    ),
    Function::new(
        "SUBSTRING",
        "Write SUBSTRING(text, start) or SUBSTRING(text, start, length).",
        bind_substring,
        |call| {
            let all = i32::MAX;
            call.slices(|row| {
                let length = if call.len() == 3 { call.int(2, row) } else { all };
                substring(call.text(0, row), call.int(1, row), length)
            })
        },
    ),
    Function::new("LEFT", "Write LEFT(text, length).", cut, |call| {
        call.slices(|row| {
            let text = call.text(0, row);
            let length = usize::try_from(call.int(1, row)).unwrap_or(0);
            Some(&text[..text.char_indices().nth(length).map_or(text.len(), |(at, _)| at)])
        })
    }),
    Function::new("RIGHT", "Write RIGHT(text, length).", cut, |call| {
        call.slices(|row| {
            let text = call.text(0, row);
            let skipped = text.chars().count().saturating_sub(usize::try_from(call.int(1, row)).unwrap_or(0));
            Some(&text[text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at)..])
        })
    }),
    Function::new(
        "REVERSE",
        "Write REVERSE(text).",
        |a| maybe(take(a, &["t"])?, LogicalType::STRING),
        |call| {
            call.texts(|row, out| {
                out.extend(call.text(0, row).chars().rev());
                Ok(Some(()))
            })
        },
    ),
    Function::new("REPEAT", "Write REPEAT(text, times).", |a| strict(take(a, &["ti"])?, LogicalType::STRING), repeat),
    Function::new(
        "LPAD",
        "Write LPAD(text, length, padding).",
        |a| strict(take(a, &["tit"])?, LogicalType::STRING),
        |call| pad(call, true),
    ),
    Function::new(
        "RPAD",
        "Write RPAD(text, length, padding).",
        |a| strict(take(a, &["tit"])?, LogicalType::STRING),
        |call| pad(call, false),
    ),
    Function::new(
        "REPLACE",
        "Write REPLACE(text, what, by).",
        |a| strict(take(a, &["ttt"])?, LogicalType::STRING),
        |call| {
            call.texts(|row, out| {
                out.push_str(&call.text(0, row).replace(call.text(1, row), call.text(2, row)));
                Ok(Some(()))
            })
        },
    ),
    Function::new("OVERLAY", "Write OVERLAY(text PLACING text FROM start FOR length).", bind_overlay, overlay),
    Function::new(
        "CHAR_LENGTH",
        "Write CHAR_LENGTH(text).",
        |a| strict(take(a, &["t"])?, LogicalType::Int),
        |call| call.numbers::<Int32Type>(|row| Ok(i32::try_from(call.text(0, row).chars().count()).ok())),
    ),
];

/// Longest text that one call makes: more would not fit memory's budget.
const DEFAULT_MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

fn same(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["t"])?;
    let kind = arguments[0].data_type.kind;
    strict(arguments, kind)
}

fn trimmed(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["t", "tt"])?;
    let kind = varying(&arguments);
    strict(arguments, kind)
}

fn cut(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["ti"])?;
    let kind = varying(&arguments);
    maybe(arguments, kind)
}

fn bind_substring(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["ti", "tii"])?;
    let kind = varying(&arguments);
    maybe(arguments, kind)
}

/// A constant is as long as its type says, also where `ß` has become two letters.
fn keep_length(call: &Call<'_>, out: &mut String) {
    if let (true, Ok(most)) = (call.scalar, usize::try_from(length(call.to)))
        && let Some((end, _)) = out.char_indices().nth(most)
    {
        out.truncate(end);
    }
}

fn bind_joined(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["tt"])?;
    let kind = match (arguments[0].data_type.kind, arguments[1].data_type.kind) {
        (LogicalType::Char(n), LogicalType::Char(m)) => LogicalType::Char(n.saturating_add(m).min(MAX_LENGTH)),
        (a, b) if a.is_text() && b.is_text() => {
            LogicalType::VarChar(length(a).saturating_add(length(b)).min(MAX_LENGTH))
        }
        _ => return None,
    };
    strict(arguments, kind)
}

fn bind_overlay(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["tti", "ttii"])?;
    let sum = length(arguments[0].data_type.kind).saturating_add(length(arguments[1].data_type.kind));
    strict(arguments, LogicalType::VarChar(sum.min(MAX_LENGTH)))
}

/// The characters to trim: blanks unless given.
fn any_of<'a>(call: &Call<'a>, row: usize) -> impl Fn(char) -> bool + Copy + 'a {
    let characters = if call.len() == 2 { call.text(1, row) } else { " " };
    move |letter| characters.contains(letter)
}

/// Flink's own SUBSTRING: 0 is 1, negative counts from the end, beyond the text is empty, a negative length NULL.
#[must_use]
pub fn substring(text: &str, start: i32, length: i32) -> Option<&str> {
    let length = usize::try_from(length).ok()?;
    let skipped = match start {
        1.. => usize::try_from(start - 1).ok()?,
        0 => 0,
        _ => match text.chars().count().checked_sub(usize::try_from(start.unsigned_abs()).ok()?) {
            Some(skipped) => skipped,
            None => return Some(""),
        },
    };
    let from = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
    let rest = &text[from..];
    Some(&rest[..rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at)])
}

/// First letters of words upper, others lower; only ASCII letters and digits make words.
fn initcap(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let mut starts = true;
        for letter in call.text(0, row).chars() {
            out.push(if starts { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
            starts = !letter.is_ascii_alphanumeric();
        }
        Ok(Some(()))
    })
}

fn concat(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        (0..call.len()).for_each(|argument| out.push_str(call.text(argument, row)));
        Ok(Some(()))
    })
}

fn joined(call: &Call<'_>) -> Result<Vector, EvalError> {
    if call.to.is_text() {
        return concat(call);
    }
    call.binaries(|row, out| {
        out.extend_from_slice(call.bytes(0, row));
        out.extend_from_slice(call.bytes(1, row));
        Ok(Some(()))
    })
}

/// NULLs are left out; only a NULL separator gives NULL.
fn concat_ws(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts_or_null(|row, out| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let given = (1..call.len()).filter(|argument| !call.is_null(*argument, row));
        for (position, argument) in given.enumerate() {
            if position > 0 {
                out.push_str(call.text(0, row));
            }
            out.push_str(call.text(argument, row));
        }
        Ok(Some(()))
    })
}

fn repeat(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let (text, times) = (call.text(0, row), usize::try_from(call.int(1, row)).unwrap_or(0));
        if text.len().saturating_mul(times) > DEFAULT_MAX_TEXT_BYTES {
            return call.failed(row, || "the result of REPEAT is larger than 16 MiB".to_owned());
        }
        // The empty text may be repeated any number of times: that takes none.
        let times = if text.is_empty() { 0 } else { times };
        (0..times).for_each(|_| out.push_str(text));
        Ok(Some(()))
    })
}

/// Cut to the length or padded to it; NULL without padding or for a negative length.
fn pad(call: &Call<'_>, left: bool) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let (text, padding) = (call.text(0, row), call.text(2, row));
        let Ok(length) = usize::try_from(call.int(1, row)) else { return Ok(None) };
        if padding.is_empty() {
            return Ok(None);
        }
        if length > DEFAULT_MAX_TEXT_BYTES {
            return call.failed(row, || "the result of LPAD or RPAD is larger than 16 MiB".to_owned());
        }
        let missing = length.saturating_sub(text.encode_utf16().count());
        let kept = text.encode_utf16().take(length);
        let filler = padding.encode_utf16().cycle().take(missing);
        if left {
            push_units(out, filler.chain(kept))
        } else {
            push_units(out, kept.chain(filler))
        }
        Ok(Some(()))
    })
}

/// Appends UTF-16 units, in which Java counts; half a character is written as it writes it.
fn push_units(out: &mut String, units: impl Iterator<Item = u16>) {
    out.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or('?')));
}

/// What lies outside of the text leaves it as it is. Positions are UTF-16 units.
fn overlay(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let (text, by) = (call.text(0, row), call.text(1, row));
        let (all, new) = (text.encode_utf16().count(), by.encode_utf16().count());
        let Some(start) = usize::try_from(call.int(2, row)).ok().filter(|start| (1..=all).contains(start)) else {
            out.push_str(text);
            return Ok(Some(()));
        };
        let replaced = if call.len() == 4 { usize::try_from(call.int(3, row)).unwrap_or(0) } else { new };
        let head = text.encode_utf16().take(start - 1).chain(by.encode_utf16());
        if replaced > 0 && start.saturating_add(replaced) <= all {
            push_units(out, head.chain(text.encode_utf16().skip(start - 1 + replaced)));
        } else {
            push_units(out, head);
        }
        Ok(Some(()))
    })
}
