//! The options of one transform or predicate, read and checked with Kafka's messages.
//!
//! What a definition forbids (a missing or malformed value) is noted as an issue and refused over REST; what only
//! `configure` finds out, as Connect has it, fails the task.

use std::collections::BTreeSet;

use thm_api::ConnectorConfig;
use thm_codec::debezium::EnvelopeVersion;

use super::java_pattern::JavaPattern;

/// Options under one prefix.
pub(crate) struct Settings<'a> {
    config: &'a ConnectorConfig,
    /// `transforms.alias.`
    prefix: String,
    asked: BTreeSet<String>,
    /// Option and message.
    pub(crate) issues: Vec<(String, String)>,
    /// Option and message of what has no effect.
    pub(crate) warnings: Vec<(String, String)>,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(config: &'a ConnectorConfig, prefix: String) -> Self {
        Self { config, prefix, asked: BTreeSet::new(), issues: Vec::new(), warnings: Vec::new() }
    }

    fn option(&mut self, name: &str) -> String {
        let option = format!("{}{name}", self.prefix);
        self.asked.insert(option.clone());
        option
    }

    fn refuse(&mut self, option: &str, value: &str, problem: &str) {
        let message = format!("Invalid value {value} for configuration {option}: {problem}");
        self.issues.push((option.to_owned(), message));
    }

    /// Notes that an option has no effect, unless it is not there.
    pub(crate) fn without_effect(&mut self, name: &str, why: &str) {
        let option = self.option(name);
        if self.config.get(&option).is_some() {
            self.warnings.push((option.clone(), format!("{option} has no effect here: {why}")));
        }
    }

    /// The envelope that the connector writes.
    pub(crate) fn envelope(&self) -> EnvelopeVersion {
        EnvelopeVersion::parse(self.config.text("thm.envelope", "3.7")).unwrap_or_default()
    }

    /// Whether an option is given.
    pub(crate) fn has(&mut self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// A text that may be missing.
    pub(crate) fn given(&mut self, name: &str) -> Option<String> {
        let option = self.option(name);
        self.config.get(&option).map(str::to_owned)
    }

    /// A text with a default.
    pub(crate) fn text(&mut self, name: &str, default: &str) -> String {
        self.given(name).unwrap_or_else(|| default.to_owned())
    }

    /// A text with a default, which may be given as nothing.
    pub(crate) fn text_or_blank(&mut self, name: &str, default: &str) -> String {
        let option = self.option(name);
        self.config.values().get(&option).map_or_else(|| default.to_owned(), |text| text.trim().to_owned())
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, name: &str) -> String {
        let option = self.option(name);
        // A value that is there and blank is a value.
        let text = self.config.values().get(&option).map(|text| text.trim().to_owned());
        text.unwrap_or_else(|| {
            let message = format!("Missing required configuration \"{option}\" which has no default value.");
            self.issues.push((option, message));
            String::new()
        })
    }

    /// A text that must be there and not be blank.
    pub(crate) fn required_full(&mut self, name: &str) -> String {
        let before = self.issues.len();
        let text = self.required(name);
        if text.is_empty() && self.issues.len() == before {
            let option = self.option(name);
            self.refuse(&option, "", "String must be non-empty");
        }
        text
    }

    /// A list; its parts are trimmed.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let option = self.option(name);
        self.config.list(&option)
    }

    /// A list that must be there and hold something.
    pub(crate) fn required_list(&mut self, name: &str) -> Vec<String> {
        let before = self.issues.len();
        self.required(name);
        let list = self.list(name);
        if list.is_empty() && self.issues.len() == before {
            let option = self.option(name);
            self.refuse(&option, "[]", "Empty list");
        }
        list
    }

    /// A truth value.
    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.given(name).map(|text| (text.to_ascii_lowercase(), text)) {
            None => default,
            Some((lower, _)) if lower == "true" => true,
            Some((lower, _)) if lower == "false" => false,
            Some((_, text)) => {
                let option = self.option(name);
                self.refuse(&option, &text, "Expected value to be either true or false");
                default
            }
        }
    }

    /// An integer that may be missing.
    pub(crate) fn int(&mut self, name: &str) -> Option<i32> {
        let text = self.given(name)?;
        let number = text.parse().ok();
        if number.is_none() {
            let option = self.option(name);
            self.refuse(&option, &text, "Not a number of type INT");
        }
        number
    }

    /// One of some words.
    pub(crate) fn one_of(&mut self, name: &str, words: &[&str], default: Option<&str>) -> String {
        let before = self.issues.len();
        let text = match default {
            Some(default) => self.text(name, default),
            None => self.required(name),
        };
        if !words.contains(&text.as_str()) && self.issues.len() == before {
            let option = self.option(name);
            self.refuse(&option, &text, &format!("String must be one of: {}", words.join(", ")));
        }
        text
    }

    /// One of some words, in any case, as Debezium reads its enums: what is none is found by `configure`.
    pub(crate) fn word(&mut self, name: &str, words: &[&str], default: &str) -> Result<String, String> {
        let text = self.text(name, default).to_ascii_lowercase();
        match words.contains(&text.as_str()) {
            true => Ok(text),
            false => {
                let option = self.option(name);
                Err(format!("The '{option}' value is invalid: Value must be one of {}", words.join(", ")))
            }
        }
    }

    /// A regular expression that must be there.
    pub(crate) fn required_pattern(&mut self, name: &str) -> Option<JavaPattern> {
        let before = self.issues.len();
        let text = self.required(name);
        if self.issues.len() > before {
            return None;
        }
        match JavaPattern::new(&text) {
            Ok(pattern) => Some(pattern),
            Err(problem) => {
                let option = self.option(name);
                self.refuse(&option, &text, &format!("Invalid regex: {problem}"));
                None
            }
        }
    }

    /// Notes something that the definition forbids.
    pub(crate) fn issue(&mut self, name: &str, value: &str, problem: &str) {
        let option = self.option(name);
        self.refuse(&option, value, problem);
    }

    /// Warns of options under the prefix that nobody asked for.
    pub(crate) fn warn_of_unknown(&mut self, class: &str) {
        let known = &self.asked;
        let given = self.config.values().keys().filter(|option| option.starts_with(&self.prefix));
        for option in given.filter(|option| !known.contains(*option)) {
            let message = format!("{option} is no option of {class}: it has no effect");
            self.warnings.push((option.clone(), message));
        }
    }
}
