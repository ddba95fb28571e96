//! One pass over a JSON text that shows the values of an object's members as slices of it, and copies nothing.
//!
//! ```text
//!   open ─▶ name ─┬─▶ value      the member's text, looked through once for its end
//!                 ├─▶ open       its own members are next, up to their `None`
//!                 └─▶ …          until `None`
//! ```
//! Invariant: what it shows is well-formed JSON and what `serde_json` would show. It says [`Odd`] to much that others take
//! (names with escapes, deep nesting, a byte order mark), so an `Odd` is never an error: read the text in the slow way.

/// Nested deeper than this a text is odd; `serde_json` gives up at 128.
const MAX_DEPTH: u8 = 64;

/// The text is not of the plain kind, or no JSON at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd;

/// A place in a text.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// The object has been opened, and no member of it was seen.
    first: bool,
}

impl<'a> Cursor<'a> {
    /// Before the text's first value.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, first: false }
    }

    /// Whether the next value is an object.
    #[inline]
    pub fn is_object(&mut self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Goes into the object that is the next value.
    #[inline]
    pub fn open(&mut self) -> Result<(), Odd> {
        self.take(b'{')?;
        self.first = true;
        Ok(())
    }

    /// The name of the next member, whose value must be taken next; `None` behind the last one.
    #[inline]
    pub fn name(&mut self) -> Result<Option<&'a str>, Odd> {
        let first = std::mem::take(&mut self.first);
        match self.peek().ok_or(Odd)? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !first => {
                self.at += 1;
                self.peek();
            }
            _ if first => {}
            _ => return Err(Odd),
        }
        let start = self.at;
        if self.string()? {
            return Err(Odd);
        }
        let name = &self.text[start + 1..self.at - 1];
        self.take(b':')?;
        Ok(Some(name))
    }

    /// The text of the next value.
    #[inline]
    pub fn value(&mut self) -> Result<&'a str, Odd> {
        self.peek();
        let start = self.at;
        self.skip(0)?;
        Ok(&self.text[start..self.at])
    }

    /// Goes behind the next value if it is `known`, the text of an object: nothing of it needs to be looked at again. An
    /// object ends where its brace closes, so a text that begins with another's is that object.
    pub fn take_known(&mut self, known: &str) -> bool {
        self.peek();
        let same = known.starts_with('{') && self.text.as_bytes()[self.at..].starts_with(known.as_bytes());
        self.at += if same { known.len() } else { 0 };
        same
    }

    /// Where it is, in bytes from the text's beginning.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing follows.
    pub fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The text from here to where `end`, a cursor of the same text, is.
    #[must_use]
    pub fn until(&self, end: &Self) -> &'a str {
        self.text.get(self.at..end.at).unwrap_or_default()
    }

    /// The next byte that is no blank. Records have none between their tokens.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let byte = self.text.as_bytes().get(self.at).copied();
        if byte > Some(b' ') { byte } else { self.peek_behind_blanks() }
    }

    #[cold]
    fn peek_behind_blanks(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Result<(), Odd> {
        if self.peek() != Some(wanted) {
            return Err(Odd);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn skip(&mut self, depth: u8) -> Result<(), Odd> {
        match self.peek().ok_or(Odd)? {
            b'"' => self.string().map(drop),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            open => self.nested(open, depth),
        }
    }

    fn nested(&mut self, open: u8, depth: u8) -> Result<(), Odd> {
        match open {
            b'{' | b'[' if depth == MAX_DEPTH => Err(Odd),
            b'{' => {
                self.open()?;
                while self.name()?.is_some() {
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            b'[' => self.items(depth + 1),
            _ => Err(Odd),
        }
    }

    fn items(&mut self, depth: u8) -> Result<(), Odd> {
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Odd),
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Odd> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Odd);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Odd> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = |from: usize| leading_digits(&rest[from..]);
        let mut end = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(end);
        if whole == 0 || whole > 1 && rest[end] == b'0' {
            return Err(Odd);
        }
        end += whole;
        if rest.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            end += 1 + fraction;
            if fraction == 0 {
                return Err(Odd);
            }
        }
        if let Some(b'e' | b'E') = rest.get(end) {
            end += 1 + usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end);
            end += exponent;
            if exponent == 0 {
                return Err(Odd);
            }
        }
        self.at += end;
        Ok(())
    }

    /// Goes behind the string that begins here; whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Odd> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return Err(Odd);
        }
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            at += plain_bytes(&bytes[at..]);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at += escape_length(&bytes[at + 1..])?;
                }
                _ => return Err(Odd),
            }
        }
    }
}

/// Appends what a string stands for, given with its quotes. What `serde_json` takes it takes alike, but for pairs of
/// surrogates that are none: these are odd, as is all that is no string.
pub fn unescape(out: &mut String, string: &str) -> Result<(), Odd> {
    let mut rest = string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(Odd)?;
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest.as_bytes()));
        out.push_str(plain);
        let length = match special.as_bytes() {
            [] => return Ok(()),
            [b'\\', escape @ ..] => escape_length(escape)?,
            _ => return Err(Odd),
        };
        let (escape, behind) = special.split_at(length);
        rest = behind;
        match escape.as_bytes()[1] {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let low = rest.get(..length).filter(|next| next.starts_with("\\u"));
                let (character, of_two) = by_number(escape, low)?;
                out.push(character);
                rest = if of_two { &rest[length..] } else { rest };
            }
            same => out.push(char::from(same)),
        }
    }
}

/// The character of `\uXXXX`, or of it and the one behind it: whether that belongs to it.
fn by_number(escape: &str, next: Option<&str>) -> Result<(char, bool), Odd> {
    let unit = |escape: &str| u32::from_str_radix(&escape[2..], 16).map_err(|_| Odd);
    let high = unit(escape)?;
    if let Some(character) = char::from_u32(high) {
        return Ok((character, false));
    }
    let low = unit(next.ok_or(Odd)?)?;
    if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
        return Err(Odd);
    }
    let both = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    char::from_u32(both).map(|character| (character, true)).ok_or(Odd)
}

/// Bytes of an escape with its backslash; of what follows the backslash.
fn escape_length(rest: &[u8]) -> Result<usize, Odd> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => Ok(6),
        _ => Err(Odd),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// How many bytes stand before the next quote, backslash or control character: eight at a time, for that is where the
/// time goes in a record.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const HIGHS: u64 = ONES << 7;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let special = |word: u64| {
        let below_blank = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | below_blank
    };
    // Borrows only reach bytes behind the first one found.
    before_first(bytes, special, |byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
}

/// How many digits stand before anything else: a record has many times of 13 to 19 of them.
#[inline]
fn leading_digits(bytes: &[u8]) -> usize {
    const UPPER: u64 = ONES * 0xF0;
    const DIGITS: u64 = ONES * 0x30;
    // Both a digit and the byte six above it are 0x3?; carries only reach bytes behind the first one found.
    let other = |word: u64| (word & UPPER ^ DIGITS) | (word.wrapping_add(ONES * 6) & UPPER ^ DIGITS);
    before_first(bytes, other, |byte| !byte.is_ascii_digit())
}

/// How many bytes stand before the first one that is marked: in eight of them, by any of its bits, and one by one.
#[inline]
fn before_first(bytes: &[u8], marks: impl Fn(u64) -> u64, is_marked: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let found = marks(u64::from_le_bytes(*eight));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().position(|byte| is_marked(*byte)).unwrap_or(bytes.len() - at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Names and values in order.
    fn members(text: &str) -> Result<Vec<(&str, &str)>, Odd> {
        let mut cursor = Cursor::new(text);
        cursor.open()?;
        let mut found = Vec::new();
        while let Some(name) = cursor.name()? {
            found.push((name, cursor.value()?));
        }
        Ok(found)
    }

    #[test]
    fn members_are_slices_of_the_text() {
        let text = r#" { "a" : -1.5e+3 ,"bücher":"x\"\u00e9\\", "c":{"d":[1, {}, []]},"e":null} behind"#;
        let found = members(text).unwrap();
        let wanted = [("a", "-1.5e+3"), ("bücher", r#""x\"\u00e9\\""#), ("c", r#"{"d":[1, {}, []]}"#), ("e", "null")];
        assert_eq!(found, wanted);
        assert_eq!(members("{}").unwrap(), []);
    }

    #[test]
    fn an_object_within_can_be_gone_into() {
        let mut cursor = Cursor::new(r#"{"a":{"b":1},"c":2}"#);
        cursor.open().unwrap();
        assert_eq!(cursor.name(), Ok(Some("a")));
        assert!(cursor.is_object());
        cursor.open().unwrap();
        assert_eq!((cursor.name(), cursor.value(), cursor.name()), (Ok(Some("b")), Ok("1"), Ok(None)));
        assert_eq!((cursor.name(), cursor.value(), cursor.name()), (Ok(Some("c")), Ok("2"), Ok(None)));
    }

    #[test]
    fn a_known_object_is_taken_at_once() {
        let known = r#"{"b":"}","c":{}}"#;
        let mut cursor = Cursor::new(r#"{"a": {"b":"}","c":{}},"d":{"b":"}","c":{},"e":1}}"#);
        cursor.open().unwrap();
        assert_eq!(cursor.name(), Ok(Some("a")));
        assert!(!cursor.take_known(""));
        assert!(cursor.take_known(known));
        assert_eq!(cursor.name(), Ok(Some("d")));
        assert!(!cursor.take_known(known), "it goes on");
        assert_eq!((cursor.value(), cursor.name()), (Ok(r#"{"b":"}","c":{},"e":1}"#), Ok(None)));
        assert!(!cursor.take_known(known));
    }

    #[test]
    fn what_is_no_plain_json_is_odd() {
        for text in [
            "",
            "{",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,\"a\":1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"a\":nul}",
            "{\"a\":[1,]}",
            "{\"a\":[1 2]}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"",
            "{\"a\\n\":1}",
            "{\"a\":{\"b\":1,}}",
            "{'a':1}",
            "\u{feff}{}",
        ] {
            assert_eq!(members(text), Err(Odd), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        assert_eq!(members(&deep), Err(Odd));
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just(" -0.5E-2 ".to_owned()),
            Just("1234567890123".to_owned()),
            "[ -~é😀]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just(r#""\u00e9\ud83d\ude00\/""#.to_owned()),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(("[a-f]{1,12}", inner), 0..6).prop_map(|members| {
                    let members: Vec<String> =
                        members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    /// A text with one byte replaced, left out or doubled.
    fn damaged() -> impl Strategy<Value = String> {
        (json(), any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[]:,0-.e \x01u".to_vec()), 0..3).prop_map(
            |(text, place, byte, how)| {
                let mut bytes = format!("{{\"m\":{text}}}").into_bytes();
                let place = place.index(bytes.len());
                match how {
                    0 => bytes[place] = byte,
                    1 => drop(bytes.remove(place)),
                    _ => bytes.insert(place, byte),
                }
                String::from_utf8_lossy(&bytes).into_owned()
            },
        )
    }

    /// Numbers of many lengths, whole and damaged.
    fn number() -> impl Strategy<Value = String> {
        "-?[0-9]{0,25}(\\.[0-9]{0,12})?([eE][+-]?[0-9]{0,9})?[ -|~é]?"
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_serde(number in number()) {
            let text = format!("{{\"a\":{number},\"b\":1}}");
            let wanted = serde_json::from_str::<BTreeMap<&str, &RawValue>>(&text);
            match members(&text) {
                Ok(found) => {
                    let wanted = wanted.unwrap();
                    prop_assert_eq!(found[0].1, wanted["a"].get());
                }
                Err(Odd) => prop_assert!(wanted.is_err()),
            }
        }

        #[test]
        fn what_a_string_stands_for_is_what_serde_says(
            pieces in prop::collection::vec(
                prop_oneof![
                    "[ -~é😀\u{7f}\u{80}]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap().trim_matches('"').to_owned()),
                    prop::sample::select(vec![
                        "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u00e9", "\\uD83D\\uDE00", "\\uDBFF\\uDFFF",
                        "\\u0000", "\\ud83d", "\\ude00", "\\uD7FF", "\\uE000", "\\u12g4", "\\x", "\\u+123", "\"", "\u{1}", "\\",
                    ]).prop_map(str::to_owned),
                ],
                0..6,
            ),
        ) {
            let text = format!("\"{}\"", pieces.concat());
            let mut out = "before".to_owned();
            match (unescape(&mut out, &text), serde_json::from_str::<String>(&text)) {
                (Ok(()), wanted) => prop_assert_eq!(out.strip_prefix("before").unwrap(), wanted.unwrap()),
                (Err(Odd), wanted) => prop_assert!(wanted.is_err(), "{}", text),
            }
        }

        #[test]
        fn it_shows_what_serde_shows(text in json()) {
            let text = format!("{{\"m\":{text},\"n\":{text}}}");
            let found: BTreeMap<&str, &str> = members(&text).unwrap().into_iter().collect();
            let wanted: BTreeMap<&str, &RawValue> = serde_json::from_str(&text).unwrap();
            let wanted: BTreeMap<&str, &str> = wanted.into_iter().map(|(name, raw)| (name, raw.get())).collect();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn what_it_takes_serde_takes(text in damaged()) {
            if let Ok(found) = members(&text) {
                let mut read = serde_json::Deserializer::from_str(&text);
                let wanted: BTreeMap<String, &RawValue> = serde::Deserialize::deserialize(&mut read).unwrap();
                for (name, value) in found.iter().rev().take(1) {
                    prop_assert_eq!(wanted[*name].get(), *value);
                }
            }
        }
    }
}
