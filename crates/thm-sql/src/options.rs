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

/// What the value of an option is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A duration.
    Duration,
    /// true or false.
    Boolean,
    /// A number of bytes, with a unit or without.
    Bytes,
}

/// An option as it is written.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Where the value stands.
    pub span: Span,
}

impl Given {
    /// Flink's words for a value that cannot be read, with what is wrong about it.
    #[must_use]
    pub fn unparsable(&self, cause: &str) -> SqlDiagnostic {
        let message = format!("Could not parse value '{}' for key '{}'.", self.value, self.key);
        SqlDiagnostic::new(self.span, if cause.is_empty() { message } else { format!("{message} {cause}") })
    }
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
    pub fn take(&mut self, key: &str) -> Option<Given> {
        let at = self.left.iter().position(|(known, _)| known.value == key)?;
        let Spanned { value, span } = self.left.remove(at).1;
        Some(Given { key: key.to_owned(), value, span })
    }

    /// An option that stays to be taken.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<Given> {
        let (key, Spanned { value, span }) = self.left.iter().find(|(known, _)| known.value == key)?;
        Some(Given { key: key.value.clone(), value: value.clone(), span: *span })
    }

    /// Takes all options that start so, by what comes behind the prefix.
    pub fn take_prefix(&mut self, prefix: &str) -> std::collections::BTreeMap<String, Given> {
        let mut out = std::collections::BTreeMap::new();
        self.left.retain(|(key, value)| match key.value.strip_prefix(prefix) {
            Some(rest) => {
                let Spanned { value, span } = value.clone();
                out.insert(rest.to_owned(), Given { key: key.value.clone(), value, span });
                false
            }
            None => true,
        });
        out
    }

    /// Takes an option that must be there.
    pub fn required(&mut self, key: &str) -> SqlResult<Given> {
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

    /// Takes options that cannot change the result here, if their values can be read, and says so once.
    pub fn readable_without_effect(&mut self, keys: &[(&str, Kind)]) -> SqlResult<()> {
        for (key, kind) in keys {
            let Some(given) = self.take(key) else { continue };
            match kind {
                Kind::Number => drop(Self::number::<i64>(Some(&given))?),
                Kind::Duration => drop(Self::duration(Some(&given))?),
                Kind::Boolean => drop(Self::boolean(Some(given))?),
                Kind::Bytes if is_bytes(&given.value) => {}
                Kind::Bytes => {
                    return Err(given.unparsable("").with_hint("Write a number and a unit: '128mb', '1 gb'."));
                }
            }
            self.note((*key).to_owned());
        }
        Ok(())
    }

    /// Takes an option that cannot change the result here, if its value is one of some words, and says so once.
    pub fn choice_without_effect(&mut self, key: &str, words: &[&str]) -> SqlResult<()> {
        if let Some(given) = self.take(key) {
            let known: Vec<(&str, ())> = words.iter().map(|word| (*word, ())).collect();
            Self::choice(Some(&given), &known)?;
            self.note(given.key);
        }
        Ok(())
    }

    /// Says once that an option, which has been taken, cannot change the result here.
    pub fn note(&mut self, key: String) {
        self.without_effect.push(key);
    }

    /// A number that fits.
    pub fn number<T: std::str::FromStr>(value: Option<&Given>) -> SqlResult<Option<T>> {
        value.map_or(Ok(None), |given| {
            given.value.parse().map(Some).map_err(|_| {
                given
                    .unparsable(&format!("For input string: \"{}\"", given.value))
                    .with_hint("Write a number that fits.")
            })
        })
    }

    /// A duration, as Flink writes them.
    pub fn duration(value: Option<&Given>) -> SqlResult<Option<Duration>> {
        value.map_or(Ok(None), |given| {
            let parsed = parse_duration(&given.value);
            parsed.map(Some).ok_or_else(|| given.unparsable("").with_hint("Write a number and a unit: '10s', '5 min'."))
        })
    }

    /// One of several words, in any case.
    pub fn choice<T: Copy>(value: Option<&Given>, known: &[(&str, T)]) -> SqlResult<Option<T>> {
        value.map_or(Ok(None), |given| {
            let found = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(&given.value));
            found.map(|(_, value)| Some(*value)).ok_or_else(|| {
                let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                let words = words.join(", ");
                given.unparsable(&format!("Expected one of: [[{words}]]")).with_hint(format!("Write one of {words}."))
            })
        })
    }

    /// true or false.
    pub fn boolean(value: Option<Given>) -> SqlResult<bool> {
        let Some(given) = value else { return Ok(false) };
        match given.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => {
                let cause = format!(
                    "Unrecognized option for boolean: {}. Expected either true or false(case insensitive)",
                    given.value
                );
                Err(given.unparsable(&cause).with_hint("Write 'true' or 'false'."))
            }
        }
    }

    /// Takes a number of parallel tasks, of which there is one here; a wrong one is refused where it `counts`.
    pub fn parallelism(&mut self, key: &str, counts: bool) -> SqlResult<()> {
        if let Some(given) = self.take(key) {
            let tasks: Option<i32> = Self::number(Some(&given))?;
            if counts && tasks.is_some_and(|tasks| tasks <= 0) {
                let message = format!("Invalid configured parallelism {} for table '{}'.", given.value, self.table);
                return Err(SqlDiagnostic::new(given.span, message).with_hint("Write 1 or more."));
            }
            self.note(given.key);
        }
        Ok(())
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

/// Whether a text is a number of bytes as Flink writes them: `128mb`, `1 GB`, a bare number.
fn is_bytes(text: &str) -> bool {
    const UNITS: [&str; 15] = [
        "",
        "b",
        "bytes",
        "k",
        "kb",
        "kibibytes",
        "m",
        "mb",
        "mebibytes",
        "g",
        "gb",
        "gibibytes",
        "t",
        "tb",
        "tebibytes",
    ];
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse::<i64>().is_ok() && UNITS.contains(&text[digits..].trim().to_ascii_lowercase().as_str())
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
