//! Connector options: their definitions as Kafka's `ConfigDef`, and the values a user gave.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Error, ErrorKind, Result};

/// Type of an option, as Kafka's `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// true or false
    Boolean,
    /// text
    String,
    /// 32-bit integer
    Int,
    /// 16-bit integer
    Short,
    /// 64-bit integer
    Long,
    /// floating point
    Double,
    /// texts separated by commas
    List,
    /// a class name
    Class,
    /// a secret
    Password,
}

impl ConfigType {
    /// As REST prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How much an option matters, as REST prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// HIGH
    High,
    /// MEDIUM
    Medium,
    /// LOW
    Low,
}

impl Importance {
    /// As REST prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// What we do with an option of a known class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Works,
    /// It has no effect here and cannot change data: accepted, warned of in validate and log.
    NoEffect,
    /// We lack it and it changes data: a value other than the default is refused with 400.
    Refused,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Name in the file.
    pub name: &'static str,
    /// Type.
    pub kind: ConfigType,
    /// Default as text; `None` with `required` false is null.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Importance.
    pub importance: Importance,
    /// One line for people.
    pub doc: &'static str,
    /// Heading it stands under.
    pub group: &'static str,
    /// Allowed values; empty for any.
    pub allowed: &'static [&'static str],
    /// Smallest and largest number.
    pub range: Option<(i64, i64)>,
    /// What we do with it.
    pub support: Support,
}

impl ConfigKey {
    /// An optional option that works; adjust with struct update syntax.
    #[must_use]
    pub const fn new(name: &'static str, kind: ConfigType, default: Option<&'static str>, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default,
            required: false,
            importance: Importance::Medium,
            doc,
            group: "Common",
            allowed: &[],
            range: None,
            support: Support::Works,
        }
    }
}

/// The options of a class, in display order.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDef {
    /// The options.
    pub keys: &'static [ConfigKey],
}

impl ConfigDef {
    /// The option of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What is wrong with one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigIssue {
    /// The option.
    pub option: String,
    /// What is wrong and what to do.
    pub message: String,
    /// A warning does not stop the connector.
    pub warning: bool,
}

impl ConfigIssue {
    /// Something that stops the connector.
    #[must_use]
    pub fn error(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self { option: option.into(), message: message.into(), warning: false }
    }

    /// Something the user should know.
    #[must_use]
    pub fn warning(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self { option: option.into(), message: message.into(), warning: true }
    }
}

/// A connector's options as given. `Debug` prints names only, for values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectorConfig {
    values: BTreeMap<String, String>,
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl ConnectorConfig {
    /// From a file or a request.
    #[must_use]
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values }
    }

    /// All options, sorted.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The text of an option, if given and not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The text of an option or a default.
    #[must_use]
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// The text of an option that must be there.
    pub fn require(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, "reading the connector's options", name)
                .with_hint(format!("Set \"{name}\"; it has no default."))
        })
    }

    /// A parsed option or a default.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                Error::new(ErrorKind::InvalidConfig, "reading the connector's options", name)
                    .with_hint(format!("`{text}` is no valid value for \"{name}\"."))
            }),
        }
    }

    /// The parts of a list option, trimmed.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).unwrap_or_default().split(',');
        parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    }
}
