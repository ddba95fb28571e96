//! `/*+ LOOKUP('table' = 'name', …) */`: how a look-up is asked, checked as Flink checks it.

use std::time::Duration;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::parse_duration;
use crate::parser::ast::Spanned;
use crate::parser::hints::{Hint, Hints};

/// Options of the hint, as Flink lists them.
const KNOWN: [&str; 9] = [
    "table",
    "async",
    "output-mode",
    "capacity",
    "timeout",
    "retry-predicate",
    "retry-strategy",
    "fixed-delay",
    "max-attempts",
];

/// What a hint says of a look-up that asks a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupHint {
    /// A key without a row is asked for again.
    pub retry: Option<MissRetry>,
    /// Longest time for an answer, retries included.
    pub timeout: Option<Duration>,
}

/// How often, and how long after, a key without a row is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissRetry {
    /// Pause before.
    pub delay: Duration,
    /// Most times.
    pub attempts: u32,
}

/// The hint for a table under one of its names; all hints are checked.
pub(super) fn of(hints: &Hints, names: [&str; 2]) -> SqlResult<LookupHint> {
    let mut found = LookupHint::default();
    for hint in hints.all("LOOKUP") {
        let (table, read) = read(hint)?;
        if names.contains(&table.as_str()) {
            found = read;
        }
    }
    Ok(found)
}

fn read(hint: &Hint) -> SqlResult<(String, LookupHint)> {
    let wrong = |message: String| SqlDiagnostic::new(hint.span, message);
    let option = |name: &str| hint.options.iter().find(|(key, _)| key.value == name).map(|(_, value)| value);
    if let Some((key, _)) = hint.options.iter().find(|(key, _)| !KNOWN.contains(&key.value.as_str())) {
        let message = format!("Invalid LOOKUP hint: unknown option '{}'", key.value);
        return Err(wrong(message).with_hint(format!("Options are {}.", KNOWN.join(", "))));
    }
    let table = option("table").ok_or_else(|| {
        wrong("Invalid LOOKUP hint: incomplete required option(s): [Key: 'table']".to_owned())
            .with_hint("Write LOOKUP('table' = 'name', …).")
    })?;
    let word = |name: &str, known: &[&str]| match option(name) {
        Some(text) if !known.iter().any(|known| known.eq_ignore_ascii_case(&text.value)) => {
            let message =
                format!("Invalid LOOKUP hint options: Could not parse value '{}' for key '{name}'.", text.value);
            Err(wrong(message).with_hint(format!("Write {}.", known.join(" or "))))
        }
        found => Ok(found),
    };
    word("async", &["true", "false"])?;
    word("output-mode", &["ordered", "allow_unordered"])?;
    number(hint, option("capacity"), "capacity")?;
    let timeout = duration(hint, option("timeout"), "timeout")?;
    let given = ["retry-predicate", "retry-strategy", "fixed-delay", "max-attempts"].map(|name| option(name).is_some());
    if given.contains(&true) && given.contains(&false) {
        let message = "Invalid LOOKUP hint: retry options can be both null or all not null";
        return Err(wrong(message.to_owned())
            .with_hint("Give retry-predicate, retry-strategy, fixed-delay and max-attempts, or none of them."));
    }
    if let Some(text) = option("retry-predicate").filter(|text| !text.value.eq_ignore_ascii_case("lookup_miss")) {
        let message = format!(
            "Invalid LOOKUP hint option: unsupported retry-predicate value '{}', only 'lookup_miss' is supported",
            text.value
        );
        return Err(wrong(message).with_hint("Write 'lookup_miss'."));
    }
    word("retry-strategy", &["fixed_delay"])?;
    let delay = duration(hint, option("fixed-delay"), "fixed-delay")?;
    let attempts = number(hint, option("max-attempts"), "max-attempts")?;
    let retry = delay.zip(attempts).map(|(delay, attempts)| MissRetry { delay, attempts });
    Ok((table.value.clone(), LookupHint { retry, timeout }))
}

fn number(hint: &Hint, text: Option<&Spanned<String>>, name: &str) -> SqlResult<Option<u32>> {
    let Some(text) = text else { return Ok(None) };
    text.value.trim().parse().ok().filter(|number| *number > 0).map(Some).ok_or_else(|| {
        let message =
            format!("Invalid LOOKUP hint option: {name} value should be positive integer but was {}", text.value);
        SqlDiagnostic::new(hint.span, message).with_hint("Write a whole number above 0.")
    })
}

fn duration(hint: &Hint, text: Option<&Spanned<String>>, name: &str) -> SqlResult<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    parse_duration(&text.value).map(Some).ok_or_else(|| {
        let message = format!("Invalid LOOKUP hint options: Could not parse value '{}' for key '{name}'.", text.value);
        SqlDiagnostic::new(hint.span, message).with_hint("Write a number and a unit: '10s'.")
    })
}
