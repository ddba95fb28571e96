//! Bytes and their texts: ENCODE, DECODE, BASE64, HEX, BIN, UUID.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::bind::{Bound, maybe, never, strict, take};
use super::{Call, Changes, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;

/// Java's decoder takes texts without the padding too.
const UNPADDED_OR_PADDED: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "ENCODE",
        "Write ENCODE(text, 'UTF-8').",
        |a| maybe(take(a, &["tt"])?, LogicalType::Binary(1)),
        encode,
    ),
    Function::new("DECODE", "Write DECODE(bytes, 'UTF-8').", bind_decode, decode),
    Function::new(
        "TO_BASE64",
        "Write TO_BASE64(text).",
        |a| strict(take(a, &["x"])?, LogicalType::STRING),
        |call| {
            call.texts(|row, out| {
                STANDARD.encode_string(call.bytes(0, row), out);
                Ok(Some(()))
            })
        },
    ),
    Function::new(
        "FROM_BASE64",
        "Write FROM_BASE64(text).",
        |a| strict(take(a, &["t"])?, LogicalType::STRING),
        |call| {
            // What is no base64 is NULL: the real one kills the job.
            call.texts(|row, out| {
                let text = call.text(0, row);
                // Padding may be left out, but not half of it.
                if text.ends_with('=') && !text.len().is_multiple_of(4) {
                    return Ok(None);
                }
                let Ok(bytes) = UNPADDED_OR_PADDED.decode(text) else { return Ok(None) };
                out.push_str(&String::from_utf8_lossy(&bytes));
                Ok(Some(()))
            })
        },
    ),
    Function::new("HEX", "Write HEX(number) or HEX(text).", bind_hex, hex),
    Function::new(
        "BIN",
        "Write BIN(integer).",
        |a| strict(take(a, &["l"])?, LogicalType::STRING),
        |call| {
            call.texts(|row, out| {
                out.push_str(&format!("{:b}", call.long(0, row)));
                Ok(Some(()))
            })
        },
    ),
    Function::new(
        "UUID",
        "Write UUID().",
        |a| never(take(a, &[""])?, LogicalType::Char(36)),
        |call| {
            call.texts(|_, out| {
                out.push_str(uuid::Uuid::new_v4().as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
                Ok(Some(()))
            })
        },
    )
    .changing(Changes::PerRow),
];

fn bind_decode(arguments: Vec<Expr>) -> Bound {
    let text = arguments.first().is_some_and(|bytes| bytes.data_type.kind.is_text());
    if text { None } else { maybe(take(arguments, &["xt"])?, LogicalType::STRING) }
}

fn bind_hex(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["t", "l"])?, LogicalType::STRING)
}

fn unsupported(call: &Call<'_>, row: usize, charset: &str) -> Result<Option<()>, EvalError> {
    call.failed(row, || format!("Unsupported encoding: {charset}"))
}

/// Charsets that every Java has.
fn encode(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.binaries(|row, out| {
        let (text, charset) = (call.text(0, row), call.text(1, row));
        let single =
            |limit: u32| text.chars().map(move |letter| if u32::from(letter) < limit { letter as u8 } else { b'?' });
        match charset.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => out.extend_from_slice(text.as_bytes()),
            "US-ASCII" | "ASCII" => out.extend(single(0x80)),
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => out.extend(single(0x100)),
            "UTF-16BE" => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            "UTF-16LE" => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            "UTF-16" => {
                out.extend_from_slice(&[0xFE, 0xFF]);
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            _ => return unsupported(call, row, charset),
        }
        Ok(Some(()))
    })
}

fn decode(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let (bytes, charset) = (call.bytes(0, row), call.text(1, row));
        let units = |of: fn([u8; 2]) -> u16, bytes: &[u8]| -> String {
            let units = bytes.chunks(2).map(|pair| of([pair[0], pair.get(1).copied().unwrap_or(0)]));
            char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        };
        match charset.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => out.push_str(&String::from_utf8_lossy(bytes)),
            "US-ASCII" | "ASCII" => {
                out.extend(
                    bytes
                        .iter()
                        .map(|byte| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER }),
                );
            }
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => out.extend(bytes.iter().map(|byte| char::from(*byte))),
            "UTF-16LE" => out.push_str(&units(u16::from_le_bytes, bytes)),
            "UTF-16BE" => out.push_str(&units(u16::from_be_bytes, bytes)),
            "UTF-16" if bytes.starts_with(&[0xFF, 0xFE]) => out.push_str(&units(u16::from_le_bytes, &bytes[2..])),
            "UTF-16" => {
                out.push_str(&units(u16::from_be_bytes, bytes.strip_prefix(&[0xFE, 0xFF]).unwrap_or(bytes)));
            }
            _ => return unsupported(call, row, charset),
        }
        Ok(Some(()))
    })
}

fn hex(call: &Call<'_>) -> Result<Vector, EvalError> {
    let text = call.kind(0).is_text();
    call.texts(|row, out| {
        use std::fmt::Write;
        if text {
            for byte in call.bytes(0, row) {
                let _ = write!(out, "{byte:02X}");
            }
        } else {
            let _ = write!(out, "{:X}", call.long(0, row));
        }
        Ok(Some(()))
    })
}
