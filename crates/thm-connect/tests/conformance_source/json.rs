//! JSON that remembers its own text: numbers and strings stay as they were written, fields in their order.
//!
//! A record's exact text is compared, so a parser that changes `1.10` or `\u0041` is of no use here.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// A number, `true`, `false` or `null`, as written.
    Bare(String),
    /// A string, as written between its quotes.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// `null`
    pub fn null() -> Self {
        Self::Bare("null".to_owned())
    }

    /// A string from plain text.
    pub fn text(plain: &str) -> Self {
        let quoted = serde_json::to_string(plain).unwrap();
        Self::Text(quoted[1..quoted.len() - 1].to_owned())
    }

    /// The whole of `text`; `None` if it is no JSON.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { bytes: text.as_bytes(), at: 0, text };
        let value = parser.value(0)?;
        parser.blanks();
        (parser.at == text.len()).then_some(value)
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Bare(text) if text == "null")
    }

    /// The plain text of a string.
    pub fn plain(&self) -> Option<String> {
        match self {
            Self::Text(raw) => serde_json::from_str(&format!("\"{raw}\"")).ok(),
            _ => None,
        }
    }

    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A field of an object, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(fields) => fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// As it was written, without blanks.
    pub fn exact(&self) -> String {
        self.write(&|raw| raw.to_owned())
    }

    /// With strings escaped in one way, whatever way they were written in.
    pub fn canonical(&self) -> String {
        self.write(&|raw| {
            let plain: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned());
            let quoted = serde_json::to_string(&plain).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        })
    }

    fn write(&self, text: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::Bare(raw) => raw.clone(),
            Self::Text(raw) => format!("\"{}\"", text(raw)),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| item.write(text)).collect::<Vec<_>>().join(","))
            }
            Self::Object(fields) => {
                let field = |(name, value): &(String, Self)| format!("\"{}\":{}", text(name), value.write(text));
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.blanks();
        match self.bytes.get(self.at)? {
            _ if depth > 100 => None,
            b'"' => self.string().map(Json::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.bare(),
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"').then_some(())?;
        let start = self.at;
        while *self.bytes.get(self.at)? != b'"' {
            self.at += if self.bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.text.get(start..self.at - 1).map(str::to_owned)
    }

    fn bare(&mut self) -> Option<Json> {
        let rest = self.text.get(self.at..)?;
        let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
        let word = &rest[..end];
        let number = word.parse::<f64>().is_ok() && word.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        (number || ["true", "false", "null"].contains(&word)).then(|| {
            self.at += end;
            Json::Bare(word.to_owned())
        })
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Some(Json::List(items));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut fields = Vec::new();
        self.at += 1;
        if self.take(b'}') {
            return Some(Json::Object(fields));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.take(b':').then_some(())?;
            fields.push((name, self.value(depth + 1)?));
            if self.take(b'}') {
                return Some(Json::Object(fields));
            }
            self.take(b',').then_some(())?;
        }
    }
}
