//! The options of one table, taken one by one so that what is left over can be refused by name; and Flink's durations,
//! which options, hints and settings are written in.

use std::time::Duration;

use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{CreateTable, Spanned};

/// What a table is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be read from start to end.
    Source,
    /// To be written.
    Sink,
    /// To be asked for rows by key.
    Lookup,
}

/// Options of a WITH clause.
pub struct Options<'a> {
    table: &'a str,
    span: Span,
    left: Vec<(Spanned<String>, Spanned<String>)>,
    without_effect: Vec<String>,
}

impl<'a> Options<'a> {
    /// Of a table.
    #[must_use]
    pub fn new(table: &'a CreateTable) -> Self {
        Self {
            table: table.name.last(),
            span: table.name.span,
            left: table.options.clone(),
            without_effect: Vec::new(),
        }
    }

    /// Where the table's name stands.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Takes an option.
    pub fn take(&mut self, key: &str) -> Option<Spanned<String>> {
        let at = self.left.iter().position(|(known, _)| known.value == key)?;
        Some(self.left.remove(at).1)
    }

    /// An option that stays to be taken.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<Spanned<String>> {
        self.left.iter().find(|(known, _)| known.value == key).map(|(_, value)| value.clone())
    }

    /// Takes all options that start so, without the prefix.
    pub fn take_prefix(&mut self, prefix: &str) -> std::collections::BTreeMap<String, Spanned<String>> {
        let mut out = std::collections::BTreeMap::new();
        self.left.retain(|(key, value)| match key.value.strip_prefix(prefix) {
            Some(rest) => {
                out.insert(rest.to_owned(), value.clone());
                false
            }
            None => true,
        });
        out
    }

    /// Takes the first of several spellings.
    pub fn take_any(&mut self, keys: &[String]) -> Option<Spanned<String>> {
        keys.iter().find_map(|key| self.take(key))
    }

    /// Takes an option that must be there.
    pub fn required(&mut self, key: &str) -> SqlResult<Spanned<String>> {
        self.take(key).ok_or_else(|| {
            let message =
                format!("One or more required options are missing.\n\nMissing required options are:\n\n{key}");
            SqlDiagnostic::new(self.span, message)
                .with_hint(format!("Add '{key}' to the WITH clause of {}.", self.table))
        })
    }

    /// Takes options that cannot change the result here, and says so once.
    pub fn without_effect(&mut self, keys: &[&str]) {
        for key in keys {
            if self.take(key).is_some() {
                self.without_effect.push((*key).to_owned());
            }
        }
    }

    /// Says once that an option, which has been taken, cannot change the result here.
    pub fn note(&mut self, key: String) {
        self.without_effect.push(key);
    }

    /// A number that fits.
    pub fn number<T: std::str::FromStr>(value: Option<&Spanned<String>>) -> SqlResult<Option<T>> {
        value.map_or(Ok(None), |text| {
            text.value.trim().parse().map(Some).map_err(|_| {
                SqlDiagnostic::new(text.span, format!("For input string: \"{}\"", text.value))
                    .with_hint("Write a whole number.")
            })
        })
    }

    /// A duration, as Flink writes them.
    pub fn duration(value: Option<&Spanned<String>>) -> SqlResult<Option<Duration>> {
        value.map_or(Ok(None), |text| {
            let parsed = parse_duration(&text.value);
            parsed.map(Some).ok_or_else(|| {
                let message = format!("Could not parse value '{}' as a duration", text.value);
                SqlDiagnostic::new(text.span, message).with_hint("Write a number and a unit: '10s', '5 min'.")
            })
        })
    }

    /// One of several words.
    pub fn choice<T: Copy>(value: Option<&Spanned<String>>, known: &[(&str, T)]) -> SqlResult<Option<T>> {
        value.map_or(Ok(None), |text| {
            let found = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text.value));
            found.map(|(_, value)| Some(*value)).ok_or_else(|| {
                let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                let message =
                    format!("Could not parse value '{}'. Expected one of: [[{}]]", text.value, words.join(", "));
                SqlDiagnostic::new(text.span, message).with_hint(format!("Write one of {}.", words.join(", ")))
            })
        })
    }

    /// true or false.
    pub fn boolean(value: Option<Spanned<String>>) -> SqlResult<bool> {
        match value {
            None => Ok(false),
            Some(text) => match text.value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(SqlDiagnostic::new(text.span, format!("'{}' is not a boolean", text.value))
                    .with_hint("Write 'true' or 'false'.")),
            },
        }
    }

    /// Refuses what nobody took of the options that begin so: before something is said to be missing that was only
    /// written wrongly.
    pub fn refuse(&self, connector: &str, prefix: &str) -> SqlResult<()> {
        let Some((key, _)) = self.left.iter().find(|(key, _)| key.value.starts_with(prefix)) else { return Ok(()) };
        let message = format!("Unsupported options found for '{connector}'.\n\nUnsupported options:\n\n{}", key.value);
        Err(SqlDiagnostic::new(key.span, message).with_hint(
            "Remove the option; it is not supported, and would change what the job does if it were ignored.",
        ))
    }

    /// Refuses what nobody took.
    pub fn finish(self, connector: &str) -> SqlResult<Vec<String>> {
        self.refuse(connector, "")?;
        let table = self.table;
        let notice = |key: &String| format!("option '{key}' of table {table} has no effect here");
        Ok(self.without_effect.iter().map(notice).collect())
    }
}

/// Flink's durations: `10s`, `10 s`, `1 min`, `500ms`, a bare number of milliseconds.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "min" | "m" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}
