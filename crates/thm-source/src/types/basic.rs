//! Booleans, integers, floats, texts, bytes, bits, uuids, and what is shown as the bytes of its text.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use thm_codec::debezium::{write_base64, write_int, write_uuid};
use thm_codec::java_json::{write_f32, write_f64};

use super::{Cell, ColumnType, Done, Fields, ValueError, fixed};
use crate::options::BinaryMode;

pub(super) fn boolean(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let [value] = fixed(bytes, "boolean")?;
    write_bool(cell, value != 0);
    Ok(())
}

fn write_bool(cell: &mut Cell<'_>, value: bool) {
    cell.json.extend_from_slice(if value { b"true" } else { b"false" });
    if let Some(column) = &mut cell.column {
        column.push_bool(value);
    }
}

pub(super) fn int8(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.int(i64::from_be_bytes(fixed(bytes, "bigint")?));
    Ok(())
}

pub(super) fn int4(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.int(i32::from_be_bytes(fixed(bytes, "integer")?).into());
    Ok(())
}

pub(super) fn int2(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.int(i16::from_be_bytes(fixed(bytes, "smallint")?).into());
    Ok(())
}

pub(super) fn oid(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.int(u32::from_be_bytes(fixed(bytes, "oid")?).into());
    Ok(())
}

pub(super) fn text(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.text(std::str::from_utf8(bytes).map_err(|_| ValueError("text"))?);
    Ok(())
}

/// `"char"`: one byte, none for zero; one beyond ASCII is no text by itself and shows in octal digits, as PostgreSQL prints it.
pub(super) fn one_byte(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut printed = Vec::new();
    print_one_byte(bytes, kind, &mut printed)?;
    text(&printed, kind, cell)
}

pub(super) fn print_one_byte(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    match bytes {
        [0] => {}
        [byte] if !byte.is_ascii() => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        _ => out.extend_from_slice(bytes),
    }
    Ok(())
}

/// Text behind a version byte, as jsonb, jsonpath and ltree have it.
pub(super) fn versioned(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    match bytes.split_first() {
        Some((1, rest)) => text(rest, kind, cell),
        _ => Err(ValueError("value of version 1")),
    }
}

pub(super) fn float4(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let value = f32::from_be_bytes(fixed(bytes, "real")?);
    write_f32(cell.json, value);
    if let Some(column) = &mut cell.column {
        column.push_f32(value);
    }
    Ok(())
}

pub(super) fn float8(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let value = f64::from_be_bytes(fixed(bytes, "double precision")?);
    write_f64(cell.json, value);
    if let Some(column) = &mut cell.column {
        column.push_f64(value);
    }
    Ok(())
}

pub(super) fn uuid(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let uuid = fixed(bytes, "uuid")?;
    cell.plain_text(|out| write_uuid(out, &uuid));
    Ok(())
}

/// Bytes as `binary.handling.mode` has them. JSON shows plain bytes in base64 too.
pub(super) fn bytea(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    cell.plain_text(|out| write_bytes(out, bytes, kind.modes.binary));
    Ok(())
}

/// Appends bytes as the mode has them, without quotes.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], mode: BinaryMode) {
    match mode {
        BinaryMode::Bytes | BinaryMode::Base64 => write_base64(out, bytes),
        BinaryMode::Base64UrlSafe => {
            let start = out.len();
            out.resize(start + bytes.len().div_ceil(3) * 4, 0);
            let written = URL_SAFE.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
        }
        BinaryMode::Hex => bytes.iter().for_each(|byte| {
            let _ = write!(out, "{byte:02x}");
        }),
    }
}

/// A type without a form of its own: the bytes of PostgreSQL's text.
pub(super) fn bytes_of_text(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut text = Vec::new();
    kind.print(bytes, &mut text)?;
    cell.plain_text(|out| write_bytes(out, &text, kind.modes.binary));
    Ok(())
}

/// A type whose value is PostgreSQL's text of it.
pub(super) fn printed(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut shown = Vec::new();
    kind.print(bytes, &mut shown)?;
    text(&shown, kind, cell)
}

/// One bit is a boolean; more are bytes, the last bit first, without the zero bytes at the end.
pub(super) fn bits(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let (length, bits) = bit_string(bytes)?;
    if kind.modifier == 1 {
        write_bool(cell, bits.first().is_some_and(|byte| byte >> 7 == 1));
        return Ok(());
    }
    // The bits stand left-aligned: the number they are is shifted by what the last byte does not use.
    let shift = (8 - length % 8) % 8;
    let mut value: Vec<u8> = Vec::with_capacity(bits.len());
    for (index, byte) in bits.iter().enumerate().rev() {
        let before = index.checked_sub(1).map_or(0, |at| bits[at]);
        value.push((u16::from_be_bytes([before, *byte]) >> shift) as u8);
    }
    while value.last() == Some(&0) {
        value.pop();
    }
    cell.plain_text(|out| write_base64(out, &value));
    Ok(())
}

/// Number of bits and the bytes that hold them, left-aligned.
pub(super) fn bit_string(bytes: &[u8]) -> Result<(usize, &[u8]), ValueError> {
    let mut fields = Fields::new(bytes, "bit string");
    let length = usize::try_from(fields.i32()?).map_err(|_| ValueError("bit string"))?;
    let bits = fields.take(length.div_ceil(8))?;
    fields.end()?;
    Ok((length, bits))
}

pub(super) fn print_bool(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let [value] = fixed(bytes, "boolean")?;
    out.push(if value == 0 { b'f' } else { b't' });
    Ok(())
}

pub(super) fn print_int(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    match bytes.len() {
        2 => write_int(out, i16::from_be_bytes(fixed(bytes, "smallint")?)),
        4 => write_int(out, i32::from_be_bytes(fixed(bytes, "integer")?)),
        _ => write_int(out, i64::from_be_bytes(fixed(bytes, "bigint")?)),
    }
    Ok(())
}

pub(super) fn print_unsigned(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    match bytes.len() {
        4 => write_int(out, u32::from_be_bytes(fixed(bytes, "oid")?)),
        _ => write_int(out, u64::from_be_bytes(fixed(bytes, "xid8")?)),
    }
    Ok(())
}

pub(super) fn print_text(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    out.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn print_versioned(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    match bytes.split_first() {
        Some((1, rest)) => out.extend_from_slice(rest),
        _ => return Err(ValueError("value of version 1")),
    }
    Ok(())
}

pub(super) fn print_bytea(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    out.extend_from_slice(b"\\x");
    write_bytes(out, bytes, BinaryMode::Hex);
    Ok(())
}

pub(super) fn print_uuid(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    write_uuid(out, &fixed(bytes, "uuid")?);
    Ok(())
}

pub(super) fn print_bits(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let (length, bits) = bit_string(bytes)?;
    out.extend((0..length).map(|at| b'0' + (bits[at / 8] >> (7 - at % 8) & 1)));
    Ok(())
}

pub(super) fn print_float4(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let value = f32::from_be_bytes(fixed(bytes, "real")?);
    let shortest = ryu::Buffer::new().format_finite(if value.is_finite() { value } else { 0.0 }).to_owned();
    let gap = f64::from(value.abs().next_up()) - f64::from(value.abs());
    print_float(out, (f64::from(value), gap), &shortest, 6);
    Ok(())
}

pub(super) fn print_float8(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let value = f64::from_be_bytes(fixed(bytes, "double precision")?);
    let shortest = ryu::Buffer::new().format_finite(if value.is_finite() { value } else { 0.0 }).to_owned();
    print_float(out, (value, value.abs().next_up() - value.abs()), &shortest, 15);
    Ok(())
}

/// Whether digits, the first of which stands for 10^`exponent`, lie exactly between a value and its neighbour. They would
/// be read as the value, being the even one of the two, but PostgreSQL takes only digits that are nearer.
fn is_halfway(value: f64, gap: f64, digits: &str, exponent: i32) -> bool {
    // Below, half a gap is a fraction, and so much is never printed; above, no short digits hit the middle.
    if gap < 2.0 || value >= 2f64.powi(120) {
        return false;
    }
    let zeros = u32::try_from(exponent + 1 - digits.len() as i32).ok();
    let shown = || digits.parse::<u128>().ok()?.checked_mul(10u128.checked_pow(zeros?)?);
    shown().is_some_and(|shown| shown.abs_diff(value as u128) as f64 * 2.0 == gap)
}

/// PostgreSQL's layout of the shortest digits: plain from 10^-4 up to 10^`widest`, else as `1.5e+20`. `gap` is the distance
/// to the next value.
fn print_float(out: &mut Vec<u8>, (value, gap): (f64, f64), shortest: &str, widest: i32) {
    if !value.is_finite() {
        out.extend_from_slice(if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let (mantissa, exponent) =
        shortest.trim_start_matches('-').split_once('e').unwrap_or((shortest.trim_start_matches('-'), "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        out.push(b'0');
        return;
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let exponent = whole.len() as i32 - leading as i32 + exponent - 1;
    if is_halfway(value.abs(), gap, significant, exponent) {
        let longer = (significant.len()..).map(|places| format!("{:.*e}", places, value.abs()));
        // One more digit may be a zero.
        let longer = longer.take(3).find(|text| !text.split('e').next().unwrap_or_default().ends_with('0'));
        return print_float(out, (value.abs(), 0.0), &longer.unwrap_or_default(), widest);
    }
    if (-4..widest).contains(&exponent) {
        if exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
            out.extend_from_slice(significant.as_bytes());
            return;
        }
        let point = exponent as usize + 1;
        for place in 0..point.max(significant.len()) {
            if place == point {
                out.push(b'.');
            }
            out.push(significant.as_bytes().get(place).copied().unwrap_or(b'0'));
        }
    } else {
        out.extend_from_slice(&significant.as_bytes()[..1]);
        if significant.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&significant.as_bytes()[1..]);
        }
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
}
