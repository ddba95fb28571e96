//! JSON text as Java's writers (Jackson) print it: string escapes and shortest-form floating point.

use crate::java_float;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` quoted, as Jackson writes it into UTF-8 bytes: `\"`, `\\`, `\b \t \n \f \r`, other control
/// characters as `\u00XX` and characters beyond the basic plane as a pair `\uD83D\uDE00`, upper case.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    loop {
        let special = copied + plain_bytes(&bytes[copied..]);
        out.extend_from_slice(&bytes[copied..special]);
        if special == bytes.len() {
            break;
        }
        copied = special + write_escape(out, text, special);
    }
    out.push(b'"');
}

/// How many bytes at the front need no escape: from the space up to the last lead byte of the basic plane, but for `"` and
/// `\`. Looks at eight at a time; each test's lowest hit is right, and no other counts.
fn plain_bytes(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH * 0x80;
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & TOP;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let beyond = word & (word << 1) & (word << 2) & (word << 3) & TOP;
        let quoted = below(word ^ (EACH * 0x22), 1) | below(word ^ (EACH * 0x5C), 1);
        let special = below(word, 0x20) | quoted | beyond;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| !(0x20..0xF0).contains(byte) || matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
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
    quoted_unless(out, value.is_finite(), FloatText::of_f64(value).as_str());
}

/// The same for a float, as `Float.toString`.
pub fn write_f32(out: &mut Vec<u8>, value: f32) {
    quoted_unless(out, value.is_finite(), FloatText::of_f32(value).as_str());
}

fn quoted_unless(out: &mut Vec<u8>, finite: bool, text: &str) {
    let quote: &[u8] = if finite { b"" } else { b"\"" };
    out.extend_from_slice(quote);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(quote);
}

/// Longest text: a sign, 17 digits with a point, `E-324`; and what lies before the first digit of `0.00…`.
const FLOAT_BYTES: usize = 32;
/// A shortest form has at most 17 digits; laid out plainly they may have zeros beside them.
const DIGIT_BYTES: usize = 24;

/// A double or float as Java's `toString` prints it, without allocation: it is written per value.
pub struct FloatText {
    bytes: [u8; FLOAT_BYTES],
    len: usize,
}

/// The same for both: they differ in type, and in who knows where Java prints other digits.
macro_rules! float_text {
    ($($(#[$doc:meta])* $name:ident($float:ty) with $digits:path;)*) => {
        impl FloatText {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(value: $float) -> Self {
                if !value.is_finite() {
                    return Self::non_finite(value.is_nan(), value < 0.0);
                }
                let mut buffer = ryu::Buffer::new();
                let shortest = buffer.format_finite(value);
                match $digits(value, shortest) {
                    Some(digits) => Self::finite(&digits, false),
                    None => Self::finite(shortest, value == 0.0),
                }
            })*
        }
    };
}

float_text! {
    /// Of a double.
    of_f64(f64) with java_float::f64_digits;
    /// Of a float.
    of_f32(f32) with java_float::f32_digits;
}

impl FloatText {
    /// The text, without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("digits, signs and Java's words are ASCII")
    }

    fn non_finite(nan: bool, negative: bool) -> Self {
        let mut text = Self { bytes: [0; FLOAT_BYTES], len: 0 };
        text.push(match (nan, negative) {
            (true, _) => b"NaN",
            (false, false) => b"Infinity",
            (false, true) => b"-Infinity",
        });
        text
    }

    /// Lays out shortest digits by Java's rule: plain from 10^-3 up to 10^7, else one digit before the point and `E`.
    fn finite(shortest: &str, zero: bool) -> Self {
        let mut text = Self { bytes: [0; FLOAT_BYTES], len: 0 };
        let unsigned = shortest.strip_prefix('-').unwrap_or(shortest);
        if unsigned.len() != shortest.len() {
            text.push(b"-");
        }
        if zero {
            text.push(b"0.0");
            return text;
        }
        let mut buffer = [0; DIGIT_BYTES];
        let (digits, scale) = digits_and_scale(&mut buffer, unsigned);
        let exponent = digits.len() as i32 - 1 - scale;
        if (-3..7).contains(&exponent) {
            text.push_plain(digits, exponent);
        } else {
            text.push(&digits[..1]);
            text.push(b".");
            text.push(if digits.len() > 1 { &digits[1..] } else { b"0" });
            text.push(b"E");
            text.push(itoa::Buffer::new().format(exponent).as_bytes());
        }
        text
    }

    fn push_plain(&mut self, digits: &[u8], exponent: i32) {
        if exponent < 0 {
            self.push(b"0.");
            self.push(&b"000"[..(-exponent - 1) as usize]);
            self.push(digits);
            return;
        }
        let whole = exponent as usize + 1;
        self.push(&digits[..digits.len().min(whole)]);
        self.push(&b"0000000"[..whole.saturating_sub(digits.len())]);
        self.push(b".");
        self.push(if digits.len() > whole { &digits[whole..] } else { b"0" });
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Significant digits without zeros at either end, and how many of them stand behind the decimal point.
fn digits_and_scale<'a>(buffer: &'a mut [u8; DIGIT_BYTES], text: &str) -> (&'a [u8], i32) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut end = 0;
    for part in [whole, fraction] {
        buffer[end..end + part.len()].copy_from_slice(part.as_bytes());
        end += part.len();
    }
    let mut scale = fraction.len() as i32 - exponent;
    while end > 1 && buffer[end - 1] == b'0' {
        end -= 1;
        scale -= 1;
    }
    let leading = buffer[..end].iter().take_while(|digit| **digit == b'0').count().min(end - 1);
    (&buffer[leading..end], scale)
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
        fn escapes_are_found_wherever_they_stand(
            bytes in proptest::collection::vec(
                prop::sample::select(&b"\x00\x1f\x20\x21\x22\x23\x5b\x5c\x5d\x7e\x7f\x80\x9f\xa2\xef\xf0\xff"[..]),
                0..40,
            ),
        ) {
            let special = |byte: &u8| !(0x20..0xF0).contains(byte) || matches!(byte, b'"' | b'\\');
            prop_assert_eq!(plain_bytes(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
        }

        #[test]
        fn every_double_reads_back(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(double(value).parse::<f64>().unwrap(), value);
        }
    }
}
