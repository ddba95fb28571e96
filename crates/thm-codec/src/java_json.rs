//! JSON text as Java's writers (Jackson) print it: string escapes and shortest-form floating point.

use std::io::Write;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` quoted, as Jackson writes it into UTF-8 bytes: `\"`, `\\`, `\b \t \n \f \r`, other control
/// characters as `\u00XX` and characters beyond the basic plane as a pair `\uD83D\uDE00`, upper case.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let plain = (0x20..0xF0).contains(&byte) && byte != b'"' && byte != b'\\';
        if plain || at < copied {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + write_escape(out, text, at);
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Escapes the character at byte `at`; returns how many bytes of the text it takes.
fn write_escape(out: &mut Vec<u8>, text: &str, at: usize) -> usize {
    let Some(character) = text[at..].chars().next() else { return 1 };
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        other => {
            let mut units = [0_u16; 2];
            for unit in other.encode_utf16(&mut units) {
                let nibble = |shift: u32| HEX[usize::from((*unit >> shift) & 0xF)];
                out.extend_from_slice(&[b'\\', b'u', nibble(12), nibble(8), nibble(4), nibble(0)]);
            }
        }
    }
    character.len_utf8()
}

/// Appends a double as `Double.toString` prints it (shortest digits that read back): `1.0`, `1.0E10`,
/// `4.9E-324`; not-a-number and infinities quoted: `"NaN"`, `"Infinity"`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_subnormal() {
        write_finite(out, &two_digits(ryu::Buffer::new().format_finite(value), format!("{value:.1e}")), false);
    } else if value.is_finite() {
        write_finite(out, ryu::Buffer::new().format_finite(value), value == 0.0);
    } else {
        write_non_finite(out, value.is_nan(), value < 0.0);
    }
}

/// The same for a float, as `Float.toString`.
pub fn write_f32(out: &mut Vec<u8>, value: f32) {
    if value.is_subnormal() {
        write_finite(out, &two_digits(ryu::Buffer::new().format_finite(value), format!("{value:.1e}")), false);
    } else if value.is_finite() {
        write_finite(out, ryu::Buffer::new().format_finite(value), value == 0.0);
    } else {
        write_non_finite(out, value.is_nan(), value < 0.0);
    }
}

/// Where one digit would do, Java takes the nearest of two digits (`4.9E-324`). It shows in subnormals alone.
fn two_digits(shortest: &str, rounded: String) -> String {
    let significant = shortest.bytes().take_while(|byte| *byte != b'e').filter(|byte| matches!(byte, b'1'..=b'9'));
    if significant.count() == 1 { rounded } else { shortest.to_owned() }
}

fn write_non_finite(out: &mut Vec<u8>, nan: bool, negative: bool) {
    out.extend_from_slice(match (nan, negative) {
        (true, _) => b"\"NaN\"",
        (false, false) => b"\"Infinity\"",
        (false, true) => b"\"-Infinity\"",
    });
}

/// Lays out shortest digits by Java's rule: plain from 10^-3 up to 10^7, else one digit before the point and `E`.
fn write_finite(out: &mut Vec<u8>, shortest: &str, zero: bool) {
    let unsigned = shortest.strip_prefix('-').unwrap_or(shortest);
    if unsigned.len() != shortest.len() {
        out.push(b'-');
    }
    if zero {
        out.extend_from_slice(b"0.0");
        return;
    }
    let (digits, scale) = digits_and_scale(unsigned);
    let exponent = digits.len() as i32 - 1 - scale;
    if (-3..7).contains(&exponent) {
        write_plain(out, &digits, exponent);
    } else {
        out.push(digits[0]);
        out.push(b'.');
        out.extend_from_slice(if digits.len() > 1 { &digits[1..] } else { b"0" });
        let _ = write!(out, "E{exponent}");
    }
}

/// Significant digits without zeros at either end, and how many of them stand behind the decimal point.
fn digits_and_scale(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let mut scale = fraction.len() as i32 - exponent;
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
        scale -= 1;
    }
    let leading = digits.iter().take_while(|digit| **digit == b'0').count().min(digits.len() - 1);
    digits.drain(..leading);
    (digits, scale)
}

fn write_plain(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(digits);
        return;
    }
    let whole = exponent as usize + 1;
    for place in 0..whole {
        out.push(digits.get(place).copied().unwrap_or(b'0'));
    }
    out.push(b'.');
    out.extend_from_slice(if digits.len() > whole { &digits[whole..] } else { b"0" });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn double(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_as_jackson_writes_them() {
        assert_eq!(string("a\"b\\c/d"), r#""a\"b\\c/d""#);
        assert_eq!(string("\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}"), "\"\\b\\t\\n\\f\\r\\u0001\\u001F\u{7f}\"");
        assert_eq!(string("żółw 😀!"), "\"żółw \\uD83D\\uDE00!\"");
    }

    #[test]
    fn doubles_as_java_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e10, "1.0E10"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (123.456, "123.456"),
            (-1.5e300, "-1.5E300"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::from_bits(4), "2.0E-323"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ];
        for (value, text) in cases {
            assert_eq!(double(value), text);
        }
    }

    proptest! {
        #[test]
        fn every_string_reads_back(text in any::<String>()) {
            let read: String = serde_json::from_str(&string(&text)).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn every_double_reads_back(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(double(value).parse::<f64>().unwrap(), value);
        }
    }
}
