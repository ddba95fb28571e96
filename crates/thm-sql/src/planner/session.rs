//! `SET` and `RESET`: the options that mean something here, those that would change data, and those without effect.

use std::time::Duration;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::Spanned;

/// How much may be read again after a crash: as the issue of the pipeline sets it.
pub const DEFAULT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// Options that would change results: the one value that we give, and what to say otherwise.
const FIXED: &[(&str, &[&str], &str)] = &[
    (
        "table.local-time-zone",
        &["UTC", "Etc/UTC", "GMT", "Z", "default"],
        "Times are in UTC; remove the option or write 'UTC'.",
    ),
    ("execution.runtime-mode", &["streaming", "STREAMING"], "Jobs run until they are canceled; write 'streaming'."),
    ("table.sql-dialect", &["default", "DEFAULT"], "Only Flink's own dialect is known."),
    ("table.exec.sink.not-null-enforcer", &["ERROR", "error"], "A NULL in a NOT NULL column fails the job."),
    (
        "table.exec.sink.type-length-enforcer",
        &["IGNORE", "ignore"],
        "Texts are written as they are; use CAST to cut them.",
    ),
    ("table.exec.legacy-cast-behaviour", &["DISABLED", "disabled"], "CAST is that of Flink 1.15 and later."),
];

/// Options of the script so far.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub checkpoint_interval: Duration,
    pub job_name: Option<String>,
    ignored: Vec<String>,
}

impl Default for Session {
    fn default() -> Self {
        Self { checkpoint_interval: DEFAULT_CHECKPOINT_INTERVAL, job_name: None, ignored: Vec::new() }
    }
}

impl Session {
    /// `SET`; gives a notice the first time an option without effect is set.
    pub fn set(&mut self, key: &Spanned<String>, value: &Spanned<String>) -> SqlResult<Option<String>> {
        let name = key.value.as_str();
        if let Some((_, allowed, hint)) = FIXED.iter().find(|(known, ..)| *known == name) {
            if allowed.contains(&value.value.as_str()) {
                return Ok(None);
            }
            let message = format!("'{name}' = '{}' is not supported", value.value);
            return Err(SqlDiagnostic::new(value.span, message).with_hint(*hint));
        }
        match name {
            "execution.checkpointing.interval" => {
                self.checkpoint_interval = duration(value)?;
                Ok(None)
            }
            "pipeline.name" => {
                self.job_name = Some(value.value.clone());
                Ok(None)
            }
            _ if self.ignored.iter().any(|known| known == name) => Ok(None),
            _ => {
                self.ignored.push(name.to_owned());
                Ok(Some(format!("option '{name}' has no effect here")))
            }
        }
    }

    /// `RESET`.
    pub fn reset(&mut self, key: Option<&str>) {
        let default = Self::default();
        match key {
            None => (self.checkpoint_interval, self.job_name) = (default.checkpoint_interval, default.job_name),
            Some("execution.checkpointing.interval") => self.checkpoint_interval = default.checkpoint_interval,
            Some("pipeline.name") => self.job_name = None,
            Some(_) => {}
        }
    }
}

/// Flink's durations: `10s`, `10 s`, `1 min`, `500ms`, a bare number of milliseconds.
fn duration(value: &Spanned<String>) -> SqlResult<Duration> {
    let text = value.value.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: Option<u64> = text[..digits].parse().ok();
    let unit_ms = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => Some(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1_000),
        "min" | "m" | "minute" | "minutes" => Some(60_000),
        "h" | "hour" | "hours" => Some(3_600_000),
        _ => None,
    };
    let millis = number.zip(unit_ms).and_then(|(number, unit)| number.checked_mul(unit)).filter(|millis| *millis > 0);
    millis.map(Duration::from_millis).ok_or_else(|| {
        SqlDiagnostic::new(value.span, format!("'{text}' is not a duration"))
            .with_hint("Write a number and a unit: '10s'.")
    })
}
