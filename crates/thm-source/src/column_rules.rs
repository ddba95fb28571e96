//! Options that single columns out: which are left out, masked, cut, which make the key, whose origin the schema names.
//!
//! Expressions are matched against `schema.table.column`, whole and whatever the case, as the connector's other lists.

use regex::Regex;
use sha2::Digest;
use thm_api::{ConnectorConfig, Error, ErrorKind, Result};

use crate::options::expressions;

/// What happens to a column's texts on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Asterisks, so many; also for NULL.
    Stars(usize),
    /// Hexadecimal digits of a salted hash.
    Hash {
        /// Which.
        algorithm: Algorithm,
        /// Salt.
        salt: String,
        /// Of the text's own bytes (version 2), not of Java's serialized form of it (version 1).
        plain: bool,
    },
    /// So many characters of it at most, in UTF-16 units.
    Cut(usize),
}

/// Hash functions by Java's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "MD5" => Some(Self::Md5),
            "SHA" | "SHA1" | "SHA-1" => Some(Self::Sha1),
            "SHA-224" | "SHA224" => Some(Self::Sha224),
            "SHA-256" | "SHA256" => Some(Self::Sha256),
            "SHA-384" | "SHA384" => Some(Self::Sha384),
            "SHA-512" | "SHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn hash(self, parts: [&[u8]; 2]) -> String {
        fn of<D: Digest>(parts: [&[u8]; 2]) -> String {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            hex::encode(hash.finalize())
        }
        match self {
            Self::Md5 => of::<md5::Md5>(parts),
            Self::Sha1 => of::<sha1::Sha1>(parts),
            Self::Sha224 => of::<sha2::Sha224>(parts),
            Self::Sha256 => of::<sha2::Sha256>(parts),
            Self::Sha384 => of::<sha2::Sha384>(parts),
            Self::Sha512 => of::<sha2::Sha512>(parts),
        }
    }
}

impl Mask {
    /// Whether it shows for NULL too.
    #[must_use]
    pub const fn covers_null(&self) -> bool {
        matches!(self, Self::Stars(_))
    }

    /// The text as it is to show; `width` is the column's declared length.
    #[must_use]
    pub fn apply(&self, text: &str, width: Option<usize>) -> String {
        match self {
            Self::Stars(count) => "*".repeat(*count),
            Self::Cut(length) => cut(text, *length),
            Self::Hash { algorithm, salt, plain } => {
                let serialized = if *plain { text.as_bytes().to_vec() } else { java_serialized(text) };
                let hash = algorithm.hash([salt.as_bytes(), &serialized]);
                width.map_or_else(|| hash.clone(), |width| cut(&hash, width))
            }
        }
    }
}

/// The first `length` UTF-16 units.
fn cut(text: &str, length: usize) -> String {
    let units: Vec<u16> = text.encode_utf16().take(length).collect();
    String::from_utf16_lossy(&units)
}

/// What Java's `ObjectOutputStream` writes of a `String`: header, kind, length, modified UTF-8.
fn java_serialized(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 8);
    for unit in text.encode_utf16() {
        match unit {
            1..=0x7F => bytes.push(unit as u8),
            0 | 0x80..=0x7FF => bytes.extend([0xC0 | (unit >> 6) as u8, 0x80 | (unit & 0x3F) as u8]),
            _ => bytes.extend([0xE0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3F) as u8, 0x80 | (unit & 0x3F) as u8]),
        }
    }
    let mut out = vec![0xAC, 0xED, 0, 5];
    match u16::try_from(bytes.len()) {
        Ok(length) => {
            out.push(0x74);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x7C);
            out.extend((bytes.len() as u64).to_be_bytes());
        }
    }
    out.extend(bytes);
    out
}

/// All such options.
#[derive(Clone, Debug, Default)]
pub struct ColumnRules {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    masks: Vec<(Vec<Regex>, Mask)>,
    keys: Vec<(Regex, Vec<String>)>,
    origins: Vec<Regex>,
    origins_by_type: Vec<Regex>,
}

fn invalid(option: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(problem.to_owned())
}

impl ColumnRules {
    /// Reads them.
    ///
    /// # Errors
    /// Names the option that is no list of expressions, or whose name tells no length or algorithm.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let list = |option: &str| expressions(config, option).map_err(|error| invalid(option, &error.to_string()));
        let mut masks = Vec::new();
        for option in config.values().keys() {
            if let Some(mask) = mask_of(option)? {
                masks.push((list(option)?, mask));
            }
        }
        // Where several match, Debezium takes the first: cuts, stars, hashes.
        masks.sort_by_key(|(_, mask)| match mask {
            Mask::Cut(_) => 0,
            Mask::Stars(_) => 1,
            Mask::Hash { plain, .. } => 2 + u8::from(*plain),
        });
        Ok(Self {
            include: list("column.include.list")?,
            exclude: list("column.exclude.list")?,
            masks,
            keys: keys(config)?,
            origins: list("column.propagate.source.type")?,
            origins_by_type: list("datatype.propagate.source.type")?,
        })
    }

    /// Whether the column is in the records.
    #[must_use]
    pub fn shows(&self, table: &str, column: &str) -> bool {
        let name = format!("{table}.{column}");
        let any = |list: &[Regex]| list.iter().any(|expression| expression.is_match(&name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// Whether any column is left out by them.
    #[must_use]
    pub fn filters(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// What happens to the column's texts.
    #[must_use]
    pub fn mask(&self, table: &str, column: &str) -> Option<&Mask> {
        let name = format!("{table}.{column}");
        let found = self.masks.iter().find(|(list, _)| list.iter().any(|expression| expression.is_match(&name)));
        found.map(|(_, mask)| mask)
    }

    /// Columns of the table's key, if it is not the primary key.
    #[must_use]
    pub fn key(&self, table: &str) -> Option<&[String]> {
        self.keys.iter().find(|(expression, _)| expression.is_match(table)).map(|(_, columns)| columns.as_slice())
    }

    /// Whether the column's schema names where it comes from.
    #[must_use]
    pub fn tells_origin(&self, table: &str, column: &str, type_name: &str) -> bool {
        let any = |list: &[Regex], text: String| list.iter().any(|expression| expression.is_match(&text));
        any(&self.origins, format!("{table}.{column}")) || any(&self.origins_by_type, format!("{table}.{type_name}"))
    }
}

/// What an option's name says, if it is one of the masks.
fn mask_of(option: &str) -> Result<Option<Mask>> {
    let number = |rest: &str| rest.strip_suffix(".chars").and_then(|digits| digits.parse::<usize>().ok());
    let bad = || invalid(option, &format!("\"{option}\" must name a number of characters."));
    if let Some(rest) = option.strip_prefix("column.mask.with.") {
        return number(rest).map(|count| Some(Mask::Stars(count))).ok_or_else(bad);
    }
    if let Some(rest) = option.strip_prefix("column.truncate.to.") {
        return number(rest).map(|count| Some(Mask::Cut(count))).ok_or_else(bad);
    }
    let Some(rest) = option.strip_prefix("column.mask.hash.") else { return Ok(None) };
    let (plain, rest) = rest.strip_prefix("v2.").map_or((false, rest), |rest| (true, rest));
    let parts = rest.split_once(".with.salt.").filter(|(_, salt)| !salt.is_empty());
    let (name, salt) =
        parts.ok_or_else(|| invalid(option, "Its name must be column.mask.hash.ALGORITHM.with.salt.SALT."))?;
    let algorithm =
        Algorithm::parse(name).ok_or_else(|| invalid(option, &format!("There is no hash algorithm `{name}` here.")))?;
    Ok(Some(Mask::Hash { algorithm, salt: salt.to_owned(), plain }))
}

/// `message.key.columns`: `table:column,column;table:column`.
fn keys(config: &ConnectorConfig) -> Result<Vec<(Regex, Vec<String>)>> {
    const OPTION: &str = "message.key.columns";
    let text = config.text(OPTION, "");
    let mut keys = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let bad = || invalid(OPTION, &format!("`{part}` is not of the form table:column,column."));
        let (table, columns) = part.rsplit_once(':').ok_or_else(bad)?;
        let columns: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
        if columns.iter().any(String::is_empty) {
            return Err(bad());
        }
        let expression = regex::RegexBuilder::new(&format!("^(?:{})$", table.trim())).case_insensitive(true).build();
        keys.push((expression.map_err(|error| invalid(OPTION, &error.to_string()))?, columns));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> Result<ColumnRules> {
        let values: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ColumnRules::parse(&ConnectorConfig::new(values))
    }

    #[test]
    fn keys_and_masks_are_found_by_expression() {
        let found = rules(&[
            ("message.key.columns", "public.t:grp,code;(.*).u:b"),
            ("column.mask.with.3.chars", "public.t.(a|b)"),
            ("column.truncate.to.2.chars", "public.t.c"),
        ])
        .unwrap();
        assert_eq!(found.key("public.t").unwrap(), ["grp", "code"]);
        assert_eq!(found.key("other.u").unwrap(), ["b"]);
        assert_eq!(found.mask("public.t", "b").unwrap().apply("secret", None), "***");
        assert_eq!(found.mask("public.t", "c").unwrap().apply("a😀b", None).chars().count(), 2);
        assert!(found.mask("public.t", "d").is_none());
    }

    #[test]
    fn hashes_of_both_versions() {
        let found =
            rules(&[("column.mask.hash.v2.SHA-256.with.salt.s", "t.a"), ("column.mask.hash.MD5.with.salt.s", "t.b")])
                .unwrap();
        let of = |text: &str| hex::encode(sha2::Sha256::digest(text));
        assert_eq!(found.mask("t", "a").unwrap().apply("x", None), of("sx"));
        assert_eq!(found.mask("t", "a").unwrap().apply("x", Some(5)), of("sx")[..5]);
        let serialized = b"s\xAC\xED\x00\x05t\x00\x01x";
        assert_eq!(found.mask("t", "b").unwrap().apply("x", None), hex::encode(md5::Md5::digest(serialized)));
    }

    #[test]
    fn bad_options_are_named() {
        for (option, value) in [
            ("column.mask.with.x.chars", "a"),
            ("column.mask.hash.CRC.with.salt.s", "a"),
            ("message.key.columns", "public.t"),
            ("column.exclude.list", "("),
        ] {
            assert_eq!(rules(&[(option, value)]).unwrap_err().object(), option);
        }
    }
}
