//! Records that Jackson reads and a strict reader does not: other encodings, long forms of UTF-8, raw control characters,
//! half characters.

use std::borrow::Cow;

/// A JSON text in which each escaped half of a character beyond the basic plane is a question mark, as Java encodes it;
/// `None` if it has none.
#[must_use]
pub fn with_whole_characters(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut at, mut copied, mut mended) = (0, 0, false);
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        let unit = unit_at(text, escape);
        at = escape + if unit.is_some() { 6 } else { 2 };
        let half = match unit {
            Some(0xD800..0xDC00) => match unit_at(text, at) {
                Some(0xDC00..0xE000) => {
                    at += 6;
                    false
                }
                _ => true,
            },
            Some(0xDC00..0xE000) => true,
            _ => false,
        };
        if half {
            out.push_str(&text[copied..escape]);
            out.push('?');
            copied = at;
            mended = true;
        }
        if !text.is_char_boundary(at) || at > text.len() {
            return None;
        }
    }
    out.push_str(&text[copied..]);
    mended.then_some(out)
}

/// The UTF-16 unit that is escaped at a byte.
fn unit_at(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

/// A record that could not be read, as a strict reader takes it; `None` if there is nothing to mend.
#[must_use]
pub fn mended(record: &[u8]) -> Option<Vec<u8>> {
    let decoded = decoded(record).or_else(|| with_unit_escapes(record));
    let text = decoded.as_deref().unwrap_or(record);
    match with_control_escapes(text) {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => decoded,
    }
}

/// A text in UTF-16 or UTF-32 in UTF-8; Jackson knows them by the zeros among the first four bytes.
fn decoded(record: &[u8]) -> Option<Vec<u8>> {
    let units = |width: usize, big: bool| {
        let of = move |unit: &[u8]| {
            let fold = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
            if big { unit.iter().fold(0, fold) } else { unit.iter().rev().fold(0, fold) }
        };
        record.chunks_exact(width).map(of)
    };
    let utf_16 = |big: bool| {
        let units: Vec<u16> = units(2, big).filter_map(|unit| u16::try_from(unit).ok()).collect();
        String::from_utf16_lossy(&units)
    };
    let utf_32 = |big: bool| -> String {
        units(4, big).map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let text = match record {
        [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, 1..=255, ..] => utf_32(true),
        [0xFF, 0xFE, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => utf_32(false),
        [0xFE, 0xFF, ..] | [0, 1..=255, ..] => utf_16(true),
        [0xFF, 0xFE, ..] | [1..=255, 0, ..] => utf_16(false),
        _ => return None,
    };
    Some(text.trim_start_matches('\u{FEFF}').as_bytes().to_vec())
}

/// Characters in more bytes than they need, and halves of pairs in three bytes each, as Java programs write them, as
/// escapes: in strings they stand for themselves, and elsewhere they are as wrong as they were.
fn with_unit_escapes(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Err(error) = std::str::from_utf8(rest) {
        let (valid, bad) = rest.split_at(error.valid_up_to());
        let low = |byte: u8| (byte & 0xC0 == 0x80).then_some(u32::from(byte & 0x3F));
        let (unit, length) = match *bad {
            [first @ 0xC0..=0xDF, second, ..] => (u32::from(first & 0x1F) << 6 | low(second)?, 2),
            [first @ 0xE0..=0xEF, second, third, ..] => {
                (u32::from(first & 0xF) << 12 | low(second)? << 6 | low(third)?, 3)
            }
            _ => return None,
        };
        // Behind a backslash it is no escape that JSON knows.
        if valid.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            return None;
        }
        out.extend_from_slice(valid);
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        rest = &bad[length..];
    }
    out.extend_from_slice(rest);
    (rest.len() < text.len()).then_some(out)
}

/// Control characters that stand in strings as they are, as escapes.
fn with_control_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let (mut copied, mut inside, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            0..0x20 if inside => {
                out.extend_from_slice(&text[copied..at]);
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                copied = at + 1;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_of_characters_are_question_marks() {
        let mended = |text| with_whole_characters(text);
        assert_eq!(mended(r#""\ud83d""#).as_deref(), Some("\"?\""));
        assert_eq!(mended(r#""\ud83d\ud83d\ude00\ude00x""#).as_deref(), Some(r#""?\ud83d\ude00?x""#));
        assert_eq!(mended(r#""\ud83d\ude00\n\\ud83d""#), None);
    }

    #[test]
    fn what_jackson_reads_is_mended() {
        let text = "{\"a\":\"é\"}";
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(mended(&big).as_deref(), Some(text.as_bytes()));
        assert_eq!(mended(&little).as_deref(), Some(text.as_bytes()));
        assert_eq!(mended(b"{\"a\":\t\"x\ty\\\"\n\"}").unwrap(), b"{\"a\":\t\"x\\u0009y\\\"\\u000a\"}");
        assert_eq!(mended(b"{\"a\": 1\n}"), None);
        assert_eq!(
            mended(b"\"\xC0\x80\xC1\xA2\xED\xA0\xBD\xED\xB8\x80\xE0\x81\x81\xC3\xA9\"").unwrap(),
            "\"\\u0000\\u0062\\ud83d\\ude00\\u0041é\"".as_bytes()
        );
        for text in [
            b"\"\xC3\"".as_slice(),
            b"\"\xED\xA0\"",
            b"\"\x80\"",
            b"\"\\\xC0\x80\"",
            b"\"\xF5\x80\x80\x80\"",
            b"\"\xC0",
        ] {
            assert_eq!(mended(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in ".{0,30}") {
            let _ = mended(&bytes);
            let _ = with_whole_characters(&text);
            let _ = with_whole_characters(&text.replace('a', "\\ud83d").replace('e', "\\"));
        }
    }
}
