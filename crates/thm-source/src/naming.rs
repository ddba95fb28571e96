//! Names of topics, schemas and fields.
//!
//! ```text
//!   prefix, schema, table ──Strategy──▶ topic ──Route──▶ topic ──Adjust──▶ schema name `<topic>.Value`
//!                                         └────Route──▶ a field of the key that tells tables of one topic apart
//!   column ──Adjust──▶ field
//! ```

use regex::Regex;
use thm_api::{ConnectorConfig, Error, ErrorKind, Result};
pub use thm_codec::debezium::Adjust;
use thm_codec::debezium::escape_unit;
use thm_codec::java_regex::{self, Piece};

/// How topics are named (`topic.naming.strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// `prefix.table` and not `prefix.schema.table`: tables of one name meet in one topic.
    pub without_schema: bool,
    /// Characters that a topic's name cannot have show as `_uXXXX`, not as an underscore.
    pub unicode: bool,
}

/// What the regular expressions of a strategy make of a topic's name.
#[derive(Clone, Debug)]
pub struct Route {
    topic: Replace,
    /// Name of the key's field, and what makes its value of the topic's first name.
    key: Option<(String, Option<Replace>)>,
}

/// A name that matches as a whole has its first match replaced.
#[derive(Clone, Debug)]
struct Replace {
    whole: Regex,
    part: Regex,
    by: Vec<Piece>,
}

impl Replace {
    fn parse(config: &ConnectorConfig, regex: &str, replacement: &str) -> Result<Self> {
        let text = |option: &str| {
            let text = config.get(option).map(str::trim).filter(|text| !text.is_empty());
            text.ok_or_else(|| invalid(option, "It is needed by this topic.naming.strategy.".to_owned()))
        };
        let (pattern, by) = (text(regex)?, text(replacement)?);
        let bad = |error: regex::Error| invalid(regex, error.to_string());
        let part = Regex::new(pattern).map_err(bad)?;
        let is_named = |name: &str| part.capture_names().flatten().any(|known| known == name);
        let by = java_regex::replacement(by, part.captures_len(), is_named)
            .map_err(|problem| invalid(replacement, format!("`{by}` does not fit \"{regex}\": {problem}.")))?;
        Ok(Self { whole: Regex::new(&format!("^(?:{pattern})$")).map_err(bad)?, part, by })
    }

    fn apply(&self, name: &str) -> Option<String> {
        let found = self.part.captures(name).filter(|_| self.whole.is_match(name))?;
        let place = found.get(0)?.range();
        let mut out = name[..place.start].to_owned();
        for piece in &self.by {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
                Piece::Named(group) => found.name(group).map_or("", |group| group.as_str()),
            });
        }
        out.push_str(&name[place.end..]);
        Some(out)
    }
}

fn invalid(option: &str, hint: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

impl Route {
    /// Reads the options of the strategies that have regular expressions.
    fn parse(config: &ConnectorConfig) -> Result<Self> {
        let topic = Replace::parse(config, "topic.regex", "topic.replacement")?;
        let unique: bool = config.parse("topic.key.enforce.uniqueness", true)?;
        let (regex, replacement) = ("topic.key.field.regex", "topic.key.field.replacement");
        let value = match config.get(regex).filter(|text| !text.trim().is_empty()) {
            Some(_) => Some(Replace::parse(config, regex, replacement)?),
            None => None,
        };
        let name = config.text("topic.key.field.name", "__dbz__physicalTableIdentifier").to_owned();
        Ok(Self { topic, key: unique.then_some((name, value)) })
    }
}

/// Everything that names topics.
#[derive(Clone, Debug)]
pub struct Naming {
    /// `topic.prefix`
    pub prefix: String,
    /// `topic.delimiter`
    pub delimiter: String,
    /// How tables' topics are named.
    pub strategy: Strategy,
    /// What becomes of these names then.
    pub route: Option<Route>,
}

/// Kafka's longest topic name.
const MAX_TOPIC: usize = 249;

impl Naming {
    /// Reads the options.
    ///
    /// # Errors
    /// Names a strategy that there is not, or an option of it that is missing or no expression.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        const OPTION: &str = "topic.naming.strategy";
        let class = config.text(OPTION, "io.debezium.schema.SchemaTopicNamingStrategy");
        let unknown = || {
            invalid(
                OPTION,
                format!(
                    "There is no `{class}` here: use Schema…, SchemaUnicode…, SchemaRegex…, Default…, \
                DefaultUnicode… or DefaultRegexTopicNamingStrategy of io.debezium.schema."
                ),
            )
        };
        let name = class.strip_prefix("io.debezium.schema.").and_then(|name| name.strip_suffix("TopicNamingStrategy"));
        let (without_schema, kind) = match name.ok_or_else(unknown)? {
            name if name.starts_with("Schema") => (false, &name["Schema".len()..]),
            name if name.starts_with("Default") => (true, &name["Default".len()..]),
            _ => return Err(unknown()),
        };
        let (unicode, route) = match kind {
            "" => (false, None),
            "Unicode" => (true, None),
            "Regex" => (false, Some(Route::parse(config)?)),
            _ => return Err(unknown()),
        };
        Ok(Self {
            prefix: config.require("topic.prefix")?.to_owned(),
            delimiter: config.text("topic.delimiter", ".").to_owned(),
            strategy: Strategy { without_schema, unicode },
            route,
        })
    }

    /// Whether rows of several tables may meet in one topic.
    #[must_use]
    pub const fn merges(&self) -> bool {
        self.strategy.without_schema || self.route.is_some()
    }

    /// Topic of a table's rows.
    #[must_use]
    pub fn table(&self, schema: &str, table: &str) -> String {
        let own = self.legal(&self.own(schema, table));
        let routed = self.route.as_ref().and_then(|route| route.topic.apply(&own));
        routed.filter(|topic| !topic.is_empty()).unwrap_or(own)
    }

    /// The key's field that tells a table from others of its topic: name and value.
    #[must_use]
    pub fn key_field(&self, schema: &str, table: &str) -> Option<(&str, String)> {
        let (name, replace) = self.route.as_ref()?.key.as_ref()?;
        let own = self.own(schema, table);
        let value = replace.as_ref().and_then(|replace| replace.apply(&own)).unwrap_or(own);
        Some((name, value))
    }

    fn own(&self, schema: &str, table: &str) -> String {
        let delimiter = &self.delimiter;
        match self.strategy.without_schema {
            true => format!("{}{delimiter}{table}", self.prefix),
            false => format!("{}{delimiter}{schema}{delimiter}{table}", self.prefix),
        }
    }

    /// Another topic of the connector, as `prefix.transaction`.
    #[must_use]
    pub fn other(&self, name: &str) -> String {
        self.legal(&format!("{}{}{name}", self.prefix, self.delimiter))
    }

    /// The topic of heartbeats.
    #[must_use]
    pub fn heartbeat(&self, first: &str) -> String {
        self.legal(&format!("{first}{}{}", self.delimiter, self.prefix))
    }

    fn legal(&self, name: &str) -> String {
        let unicode = self.strategy.unicode;
        let mut out = String::with_capacity(name.len());
        for unit in name.encode_utf16() {
            let character = char::from_u32(unit.into()).unwrap_or('\u{FFFD}');
            let plain = character.is_ascii_alphanumeric() || ".-".contains(character);
            match (plain || (character == '_' && !unicode), unicode) {
                (true, _) => out.push(character),
                (false, true) => out.push_str(&escape_unit(unit)),
                (false, false) => out.push('_'),
            }
        }
        out.truncate(MAX_TOPIC);
        match out.as_str() {
            "." => "_".to_owned(),
            ".." => "__".to_owned(),
            _ => out,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Names of the recorded case `names-adjust-avro`.
    #[test]
    fn avro_names_as_recorded() {
        for (name, expected) in [("Id", "Id"), ("First Name", "First_Name"), ("1st", "_1st"), ("ünï", "_n_")] {
            assert_eq!(Adjust::Avro.field(name), expected);
        }
        assert_eq!(Adjust::Avro.schema("pg.public.Tab-le.Envelope"), "pg.public.Tab_le.Envelope");
        assert_eq!(Adjust::AvroUnicode.field("a b_c"), "a_u0020b_u005fc");
    }

    #[test]
    fn topics() {
        let naming = naming("Schema", &[]).unwrap();
        assert_eq!(naming.table("My Schema", "Tab le"), "pg.My_Schema.Tab_le");
        assert_eq!(naming.other("transaction"), "pg.transaction");
        let naming = super::tests::naming("SchemaUnicode", &[]).unwrap();
        assert_eq!(naming.table("public", "ä_b"), "pg.public._u00e4_u005fb");
        let naming = super::tests::naming("Default", &[]).unwrap();
        assert_eq!(naming.table("public", "t"), "pg.t");
        assert!(naming.key_field("public", "t").is_none());
    }

    fn naming(kind: &str, pairs: &[(&str, &str)]) -> Result<Naming> {
        let class = format!("io.debezium.schema.{kind}TopicNamingStrategy");
        let base = [("topic.prefix", "pg"), ("topic.naming.strategy", class.as_str())];
        let values = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Naming::parse(&ConnectorConfig::new(values.collect()))
    }

    #[test]
    fn tables_meet_in_a_topic_and_differ_in_the_key() {
        let merged = [("topic.regex", r"(.*)\.shard_(\d+)(.*)"), ("topic.replacement", "$1.all$3")];
        let naming = super::tests::naming("SchemaRegex", &merged).unwrap();
        assert_eq!(naming.table("public", "shard_12_t"), "pg.public.all_t");
        assert_eq!(naming.table("public", "other"), "pg.public.other");
        let field = ("__dbz__physicalTableIdentifier", "pg.public.shard_12_t".to_owned());
        assert_eq!(naming.key_field("public", "shard_12_t"), Some(field));
        let named = [
            ("topic.key.field.name", "shard"),
            ("topic.key.field.regex", r".*shard_(\d+).*"),
            ("topic.key.field.replacement", "n$1"),
        ];
        let naming = super::tests::naming("DefaultRegex", &[merged, [named[0], named[1]]].concat()).unwrap_err();
        assert_eq!(naming.object(), "topic.key.field.replacement");
        let naming = super::tests::naming("DefaultRegex", &[&merged[..], &named[..]].concat()).unwrap();
        assert_eq!(naming.table("a", "shard_1"), "pg.all");
        assert_eq!(naming.key_field("a", "shard_1"), Some(("shard", "n1".to_owned())));
        let plain = [&merged[..], &[("topic.key.enforce.uniqueness", "false")][..]].concat();
        assert!(super::tests::naming("SchemaRegex", &plain).unwrap().key_field("a", "b").is_none());
        for (option, pairs) in [
            ("topic.regex", &[][..]),
            ("topic.regex", &[("topic.regex", "("), ("topic.replacement", "x")][..]),
            ("topic.replacement", &[("topic.regex", "(.*)"), ("topic.replacement", "$2")][..]),
            ("topic.naming.strategy", &[("topic.naming.strategy", "com.example.Mine")][..]),
        ] {
            assert_eq!(super::tests::naming("SchemaRegex", pairs).unwrap_err().object(), option);
        }
    }
}
