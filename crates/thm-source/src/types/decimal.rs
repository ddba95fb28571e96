//! numeric and money, as `decimal.handling.mode` has them.

use thm_codec::debezium::{Numeric, write_int};
use thm_codec::java_json::write_f64;

use super::{Cell, ColumnType, Done, ValueError, fixed};
use crate::options::DecimalMode;

pub(super) fn numeric(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let number = Numeric::parse(bytes).map_err(|_| ValueError("numeric"))?;
    match kind.modes.decimal {
        DecimalMode::Precise => match number {
            // Debezium shows NaN as null here, and stops at an infinity.
            Numeric::NaN => {
                cell.null();
                return Ok(());
            }
            Numeric::Infinity { .. } => {
                return Err(ValueError("numeric that decimal.handling.mode=precise can show; use string"));
            }
            Numeric::Finite { .. } => write_precise(&number, kind, cell.json),
        },
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
fn write_precise(number: &Numeric<'_>, kind: &ColumnType, json: &mut Vec<u8>) {
    match kind.precision_and_scale() {
        Some((_, scale)) => {
            json.push(b'"');
            number.write_unscaled(json, u16::try_from(scale).unwrap_or(0));
            json.push(b'"');
        }
        None => {
            json.extend_from_slice(b"{\"scale\":");
            number.write_at_least_scale(json, |json, scale| {
                write_int(json, scale);
                json.extend_from_slice(b",\"value\":\"");
            });
            json.extend_from_slice(b"\"}");
        }
    }
}

pub(super) fn print_numeric(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    Numeric::parse(bytes).map_err(|_| ValueError("numeric"))?.write_plain(out);
    Ok(())
}

/// Hundredths, as all but a few of the world's currencies count; Debezium takes no others either.
pub(super) fn money(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let cents = i64::from_be_bytes(fixed(bytes, "money")?);
    match kind.modes.decimal {
        DecimalMode::Precise => {
            let unscaled = rescale(cents, kind.modes.money_digits);
            cell.json.push(b'"');
            thm_codec::debezium::write_base64(cell.json, &least_bytes(unscaled));
            cell.json.push(b'"');
        }
        DecimalMode::String => {
            cell.json.push(b'"');
            write_cents(cell.json, cents);
            cell.json.push(b'"');
        }
        // The nearest double of the decimal text, not of a division.
        DecimalMode::Double => {
            let mut text = Vec::with_capacity(24);
            write_cents(&mut text, cents);
            let text = std::str::from_utf8(&text).map_err(|_| ValueError("money"))?;
            write_f64(cell.json, text.parse().map_err(|_| ValueError("money"))?);
        }
    }
    if let Some(column) = &mut cell.column {
        column.push_with(|out| write_cents(out, cents));
    }
    Ok(())
}

/// Plain text with that many digits behind the point.
pub(super) fn money_text(bytes: &[u8], digits: u32) -> Result<String, ValueError> {
    let unscaled = rescale(i64::from_be_bytes(fixed(bytes, "money")?), digits);
    let (sign, magnitude) = (if unscaled < 0 { "-" } else { "" }, unscaled.unsigned_abs().to_string());
    let digits = digits as usize;
    let padded = format!("{magnitude:0>width$}", width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    Ok(if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// Hundredths as a count of another number of digits, half up (away from zero).
fn rescale(cents: i64, digits: u32) -> i128 {
    let cents = i128::from(cents);
    if digits >= 2 {
        return cents.saturating_mul(10_i128.saturating_pow(digits - 2));
    }
    let unit = 10_i128.pow(2 - digits);
    (cents.abs() + unit / 2) / unit * cents.signum()
}

/// A big-endian two's complement of the fewest bytes.
fn least_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let filler = |pair: &[u8]| matches!((pair[0], pair[1] >> 7), (0, 0) | (0xFF, 1));
    let skip = bytes.windows(2).take_while(|pair| filler(pair)).count();
    bytes[skip..].to_vec()
}

fn write_cents(out: &mut Vec<u8>, cents: i64) {
    if cents < 0 {
        out.push(b'-');
    }
    let magnitude = cents.unsigned_abs();
    write_int(out, magnitude / 100);
    out.push(b'.');
    out.extend_from_slice(&[b'0' + (magnitude / 10 % 10) as u8, b'0' + (magnitude % 10) as u8]);
}

/// PostgreSQL's text depends on the server's locale; this is that of `C`.
pub(super) fn print_money(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let cents = i64::from_be_bytes(fixed(bytes, "money")?);
    if cents < 0 {
        out.push(b'-');
    }
    out.push(b'$');
    let mut plain = Vec::new();
    write_int(&mut plain, cents.unsigned_abs() / 100);
    for (place, digit) in plain.iter().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            out.push(b',');
        }
        out.push(*digit);
    }
    let rest = cents.unsigned_abs() % 100;
    out.extend_from_slice(&[b'.', b'0' + (rest / 10) as u8, b'0' + (rest % 10) as u8]);
    Ok(())
}
