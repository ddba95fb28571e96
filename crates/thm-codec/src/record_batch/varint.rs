//! Zig-zag varints, as in records.

use super::CodecError;

/// Appends a signed 32-bit number.
pub fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_unsigned(out, u64::from(zigzag(value)));
}

/// Small numbers of both signs as small ones without.
pub(super) const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Appends a signed 64-bit number.
pub fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`write_varint`] takes.
pub(super) const fn varint_len(value: i32) -> usize {
    let bits = 32 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads a signed 32-bit number at `*at` and moves on.
#[inline]
pub fn read_varint(bytes: &[u8], at: &mut usize) -> Result<i32, CodecError> {
    let raw = read_unsigned(bytes, at)?;
    let raw = u32::try_from(raw).map_err(|_| CodecError::Malformed("varint beyond 32 bits"))?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a signed 64-bit number at `*at` and moves on.
#[inline]
pub fn read_varlong(bytes: &[u8], at: &mut usize) -> Result<i64, CodecError> {
    let raw = read_unsigned(bytes, at)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Most numbers of a record are lengths and distances of one byte.
#[inline]
fn read_unsigned(bytes: &[u8], at: &mut usize) -> Result<u64, CodecError> {
    match bytes.get(*at) {
        Some(byte) if *byte < 0x80 => {
            *at += 1;
            Ok(u64::from(*byte))
        }
        _ => read_long(bytes, at),
    }
}

fn read_long(bytes: &[u8], at: &mut usize) -> Result<u64, CodecError> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at).ok_or(CodecError::Truncated { have: bytes.len(), need: *at + 1 })?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CodecError::Malformed("varint beyond 64 bits"))
}
