//! Charsets of the format `raw`: those that every Java knows.

use std::borrow::Cow;

/// How texts are bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// `UTF-8`
    #[default]
    Utf8,
    /// `ISO-8859-1`
    Latin1,
    /// `US-ASCII`
    Ascii,
    /// `UTF-16`: big-endian unless a mark says otherwise; written with the mark.
    Utf16,
    /// `UTF-16BE`
    Utf16Be,
    /// `UTF-16LE`
    Utf16Le,
}

/// Names in lower case, the usual one first.
const NAMES: &[(Charset, &[&str])] = &[
    (Charset::Utf8, &["utf-8", "utf8", "unicode-1-1-utf-8"]),
    (
        Charset::Latin1,
        &["iso-8859-1", "iso8859-1", "iso8859_1", "iso_8859-1", "latin1", "l1", "cp819", "ibm819", "8859_1"],
    ),
    (Charset::Ascii, &["us-ascii", "ascii", "iso646-us", "646", "cp367"]),
    (Charset::Utf16, &["utf-16", "utf16", "utf_16", "unicode", "unicodebig"]),
    (Charset::Utf16Be, &["utf-16be", "utf_16be", "x-utf-16be", "iso-10646-ucs-2", "unicodebigunmarked"]),
    (Charset::Utf16Le, &["utf-16le", "utf_16le", "x-utf-16le", "unicodelittleunmarked"]),
];

impl Charset {
    /// By one of Java's names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(charset, _)| *charset)
    }

    /// Bytes as text; what is none is the replacement character, as in Java.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        let utf_16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let mut text: String = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            if !rest.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            Cow::Owned(text)
        };
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Latin1 => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Ascii => {
                let ascii = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
                Cow::Owned(bytes.iter().map(ascii).collect())
            }
            Self::Utf16 => match bytes {
                [0xFF, 0xFE, rest @ ..] => utf_16(rest, u16::from_le_bytes),
                [0xFE, 0xFF, rest @ ..] => utf_16(rest, u16::from_be_bytes),
                _ => utf_16(bytes, u16::from_be_bytes),
            },
            Self::Utf16Be => utf_16(bytes, u16::from_be_bytes),
            Self::Utf16Le => utf_16(bytes, u16::from_le_bytes),
        }
    }

    /// Appends a text; a character that the charset lacks is a question mark.
    pub fn encode(self, out: &mut Vec<u8>, text: &str) {
        let narrow = |most: u32| {
            move |c: char| u8::try_from(u32::from(c)).ok().filter(|byte| u32::from(*byte) <= most).unwrap_or(b'?')
        };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => out.extend(text.chars().map(narrow(0xFF))),
            Self::Ascii => out.extend(text.chars().map(narrow(0x7F))),
            Self::Utf16 => {
                if !text.is_empty() {
                    out.extend_from_slice(&[0xFE, 0xFF]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for (charset, names) in NAMES {
            assert!(names.iter().all(|name| Charset::named(&name.to_uppercase()) == Some(*charset)));
            let mut bytes = Vec::new();
            charset.encode(&mut bytes, "aé€");
            let back = match charset {
                Charset::Ascii => "a??",
                Charset::Latin1 => "aé?",
                _ => "aé€",
            };
            assert_eq!(charset.decode(&bytes), back);
        }
        assert_eq!(Charset::named("nope"), None);
        assert_eq!(Charset::Utf16Be.decode(b"\0a\0"), "a\u{FFFD}");
    }
}
