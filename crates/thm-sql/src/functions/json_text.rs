//! JSON as Flink's functions see it: Jackson's trees, numbers as Java keeps them, objects in the order of their keys.

use std::borrow::Cow;

use thm_codec::java_json::FloatText;

/// Deepest value: it is read and written recursively.
const DEFAULT_MAX_DEPTH: usize = 500;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// A whole number that a BIGINT holds.
    Int(i64),
    /// A longer one, as it was written.
    Big(String),
    /// A number with a point or an exponent.
    Double(f64),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; a repeated key has its last value in its first place.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads the first value of a text; what follows it is not looked at, as by Jackson.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        reader.blanks();
        if reader.peek().is_none() {
            return Err("No content to map due to end-of-input".to_owned());
        }
        reader.value(0)
    }

    /// Whether it is neither array nor object.
    #[must_use]
    pub const fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// Java's `toString` of a scalar.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) | Self::Big(text) => Cow::Borrowed(text),
            other => {
                let mut out = String::new();
                other.write(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends JSON without blanks.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(itoa::Buffer::new().format(*value)),
            Self::Big(digits) => out.push_str(digits),
            Self::Double(value) => write_double(out, *value),
            Self::Text(text) => write_text(out, text),
            Self::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (position, (name, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    write_text(out, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Sets a field, in its old place if it has one.
    pub fn set(fields: &mut Vec<(String, Self)>, name: String, value: Self) {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => fields.push((name, value)),
        }
    }
}

/// Appends a DOUBLE as Java prints it; NaN and infinities are strings.
pub fn write_double(out: &mut String, value: f64) {
    write_float(out, value.is_finite(), &FloatText::of_f64(value));
}

/// The same for a FLOAT or DOUBLE that is text already.
pub fn write_float(out: &mut String, finite: bool, text: &FloatText) {
    let quote = if finite { "" } else { "\"" };
    out.push_str(quote);
    out.push_str(text.as_str());
    out.push_str(quote);
}

/// Appends a string with quotes and escapes.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(letter) => {
                format!("Unexpected character ('{letter}' (code {})): was expecting {wanted}", u32::from(letter))
            }
            None => format!("Unexpected end-of-input: was expecting {wanted}"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEFAULT_MAX_DEPTH {
            return Err(format!("the JSON is nested more than {DEFAULT_MAX_DEPTH} levels deep"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self) -> Result<Json, String> {
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len())];
        self.at += word.len();
        match word {
            "null" => Ok(Json::Null),
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err(format!(
                "Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
            )),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json, String> {
        let start = self.at;
        self.eat(b'-');
        let first = self.peek();
        let whole = self.digits();
        if whole == 0 || first == Some(b'0') && whole > 1 {
            return Err("Invalid numeric value: Leading zeroes not allowed".to_owned());
        }
        let mut exact = true;
        if self.eat(b'.') {
            exact = false;
            if self.digits() == 0 {
                return Err(self.unexpected("a digit after the decimal point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exact = false;
            self.at += 1;
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.unexpected("a digit of the exponent"));
            }
        }
        let text = &self.text[start..self.at];
        if !exact {
            return text.parse().map(Json::Double).map_err(|_| format!("'{text}' is no number"));
        }
        Ok(text.parse().map_or_else(|_| Json::Big(text.to_owned()), Json::Int))
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|letter: char| letter == '"' || letter == '\\' || u32::from(letter) < 0x20);
            let Some(plain) = plain else { return Err("Unexpected end-of-input: in a string".to_owned()) };
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err("Illegal unquoted character in a string: has to be escaped using backslash".to_owned()),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        out.push(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.unit()?;
                let pair = (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u");
                if pair {
                    self.at += 2;
                    let low = self.unit()?;
                    out.extend(
                        char::decode_utf16([high, low]).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)),
                    );
                    return Ok(());
                }
                char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err("Unrecognized character escape".to_owned()),
        });
        Ok(())
    }

    fn unit(&mut self) -> Result<u16, String> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 4;
        digits.ok_or_else(|| "expected a hex-digit for character escape sequence".to_owned())
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("comma to separate Array entries"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut fields = Vec::new();
        self.blanks();
        if self.eat(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("double-quote to start field name"));
            }
            let name = self.string()?;
            self.blanks();
            if !self.eat(b':') {
                return Err(self.unexpected("a colon to separate field name and value"));
            }
            let value = self.value(depth + 1)?;
            Json::set(&mut fields, name, value);
            self.blanks();
            if self.eat(b'}') {
                return Ok(Json::Object(fields));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("comma to separate Object entries"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn round(text: &str) -> String {
        let mut out = String::new();
        Json::parse(text).unwrap().write(&mut out);
        out
    }

    #[test]
    fn reads_what_jackson_reads() {
        assert_eq!(
            round(r#" {"a":1,"b":[true,null,"x\u00e9\ud83d\ude00"],"a":2} rest"#),
            r#"{"a":2,"b":[true,null,"xé😀"]}"#
        );
        assert_eq!(round("[1.0,100000000.0,123456789012345678901]"), "[1.0,1.0E8,123456789012345678901]");
        for wrong in ["", " ", "{a:1}", "{\"a\":1", "01", "[1,]", "abc", "'a'", "\"\n\""] {
            assert!(Json::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }
}
