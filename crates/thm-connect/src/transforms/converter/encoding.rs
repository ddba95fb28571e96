//! Text to bytes, as Java's `String.getBytes(charset)` gives them (`converter.encoding`).

/// A character set of Java's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    Utf8,
    Ascii,
    Latin1,
    /// Two bytes a unit, the upper one first; with a mark of that order in front, or without.
    Utf16 {
        mark: bool,
    },
    /// The lower one first.
    Utf16Little,
}

/// Names that are understood, for messages.
pub(super) const NAMES: &str = "UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE, UTF-16LE";

impl Encoding {
    /// By its name or another that Java knows it by, in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "US-ASCII" | "ASCII" | "ISO646-US" | "646" => Self::Ascii,
            "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "ISO_8859-1" | "LATIN1" | "L1" => Self::Latin1,
            "UTF-16" | "UTF_16" | "UTF16" => Self::Utf16 { mark: true },
            "UTF-16BE" | "UTF_16BE" => Self::Utf16 { mark: false },
            "UTF-16LE" | "UTF_16LE" => Self::Utf16Little,
            _ => return None,
        })
    }

    /// What a character set lacks becomes a question mark.
    pub(super) fn encode(self, text: Vec<u8>) -> Vec<u8> {
        if self == Self::Utf8 {
            return text;
        }
        let text = String::from_utf8_lossy(&text);
        let below = |limit: u32| text.chars().map(move |letter| if u32::from(letter) < limit { letter } else { '?' });
        match self {
            Self::Utf8 => text.into_owned().into_bytes(),
            Self::Ascii => below(0x80).map(|letter| letter as u8).collect(),
            Self::Latin1 => below(0x100).map(|letter| letter as u8).collect(),
            Self::Utf16 { mark } => {
                let mark = Some(0xFEFF).filter(|_| mark && !text.is_empty());
                mark.into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
            }
            Self::Utf16Little => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_java_encodes_them() {
        let encode = |name: &str| Encoding::parse(name).map(|it| it.encode("aé€😀".as_bytes().to_vec()));
        assert_eq!(encode("utf8"), Some("aé€😀".as_bytes().to_vec()));
        assert_eq!(encode("ASCII"), Some(b"a???".to_vec()));
        assert_eq!(encode("latin1"), Some(b"a\xE9??".to_vec()));
        let units = vec![0, 0x61, 0, 0xE9, 0x20, 0xAC, 0xD8, 0x3D, 0xDE, 0];
        assert_eq!(encode("UTF-16BE"), Some(units.clone()));
        assert_eq!(encode("UTF-16"), Some([vec![0xFE, 0xFF], units].concat()));
        assert_eq!(encode("UTF-16LE").map(|bytes| bytes[..2].to_vec()), Some(vec![0x61, 0]));
        assert_eq!(encode("Klingon"), None);
    }
}
