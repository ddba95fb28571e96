//! `SET` and `RESET`: the options that mean something here, those that would change data, and those without effect.

use std::collections::BTreeMap;
use std::time::Duration;

use super::graph::ErrorPolicy;
use super::restart::{self, Restart};

use crate::connector::kafka;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::parse_duration;
use crate::parser::ast::Spanned;
use crate::types::zone::{NOT_A_SESSION_ZONE, Zone};

/// How much may be read again after a crash: as the issue of the pipeline sets it.
pub const DEFAULT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// Options that would change results: the one value that we give, and what to say otherwise.
const FIXED: &[(&str, &[&str], &str)] = &[
    (
        "execution.runtime-mode",
        &["streaming", "STREAMING", "batch", "BATCH", "automatic", "AUTOMATIC"],
        "Write 'streaming' or 'batch'; a job ends when all it reads has an end.",
    ),
    ("table.sql-dialect", &["default", "DEFAULT"], "Only Flink's own dialect is known."),
    (
        "table.exec.sink.not-null-enforcer",
        &["ERROR", "error", "DROP", "drop"],
        "Write 'ERROR' to fail the job on a NULL in a NOT NULL column, or 'DROP' to drop such rows.",
    ),
    (
        "table.exec.sink.type-length-enforcer",
        &["IGNORE", "ignore", "TRIM_PAD", "trim_pad"],
        "Texts are cut to the length of their column by the cast into the sink; write 'IGNORE' or 'TRIM_PAD'.",
    ),
    (
        "table.exec.sink.upsert-materialize",
        &["AUTO", "auto", "NONE", "none"],
        "Changes are followed by key in commit order, so that nothing has to be materialized; write 'AUTO' or 'NONE'.",
    ),
    (
        "sql-client.execution.result-mode",
        &["table", "TABLE", "changelog", "CHANGELOG", "tableau", "TABLEAU"],
        "Write 'table' for the rows at the end, or 'changelog' or 'tableau' for each change.",
    ),
    ("errors.tolerance", &["none", "all"], "Write 'none' to fail the job, or 'all' to go on with the next row."),
    ("table.exec.legacy-cast-behaviour", &["DISABLED", "disabled"], "CAST is that of Flink 1.15 and later."),
];

/// The session's time zone.
const ZONE: &str = "table.local-time-zone";

/// The topic that takes records which cannot be evaluated.
const DEAD_LETTERS: &str = "errors.deadletterqueue.topic.name";

/// Options of a session so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    set: BTreeMap<String, String>,
    ignored: Vec<String>,
}

impl Settings {
    /// `SET`; gives a notice the first time an option without effect is set.
    pub fn set(&mut self, key: &Spanned<String>, value: &Spanned<String>) -> SqlResult<Option<String>> {
        let name = key.value.as_str();
        if let Some((_, allowed, hint)) = FIXED.iter().find(|(known, ..)| *known == name)
            && !allowed.contains(&value.value.as_str())
        {
            let message = format!("'{name}' = '{}' is not supported", value.value);
            return Err(SqlDiagnostic::new(value.span, message).with_hint(*hint));
        }
        if name == DEAD_LETTERS {
            kafka::check_topic(&value.value, value.span)?;
        }
        if name == "execution.checkpointing.interval" {
            duration(value)?;
        }
        if restart::KEYS.contains(&name) {
            restart::check(name, value)?;
        }
        if name == ZONE && Zone::of_session(&value.value).is_none() {
            return Err(SqlDiagnostic::new(value.span, NOT_A_SESSION_ZONE)
                .with_hint("Write a name such as 'America/New_York', or an offset such as 'GMT-08:00'."));
        }
        let known =
            FIXED.iter().any(|(fixed, ..)| *fixed == name) || KNOWN.contains(&name) || restart::KEYS.contains(&name);
        self.set.insert(name.to_owned(), value.value.clone());
        if known || self.ignored.iter().any(|ignored| ignored == name) {
            return Ok(None);
        }
        self.ignored.push(name.to_owned());
        Ok(Some(format!("option '{name}' has no effect here")))
    }

    /// `RESET`.
    pub fn reset(&mut self, key: Option<&str>) {
        match key {
            None => self.set.clear(),
            Some(key) => drop(self.set.remove(key)),
        }
    }

    /// The value of an option that has been set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.set.get(key).map(String::as_str)
    }

    /// All that have been set, sorted.
    pub fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.set.iter()
    }

    /// Pause between checkpoints.
    pub fn checkpoint_interval(&self) -> Duration {
        let set = self.get("execution.checkpointing.interval").and_then(parse_duration);
        set.unwrap_or(DEFAULT_CHECKPOINT_INTERVAL)
    }

    /// What becomes of a job after a failure that may pass.
    pub fn restart(&self) -> Restart {
        restart::of(|key| self.get(key))
    }

    /// The zone in which times without one are read and shown; UTC unless it is set.
    pub fn zone(&self) -> Zone {
        self.get(ZONE).and_then(Zone::of_session).unwrap_or_default()
    }

    /// What happens to rows that cannot be evaluated.
    pub fn errors(&self) -> ErrorPolicy {
        ErrorPolicy {
            tolerate: self.get("errors.tolerance") == Some("all"),
            dead_letters: self.get(DEAD_LETTERS).map(str::to_owned),
        }
    }

    /// Whether rows with a NULL in a NOT NULL column are dropped.
    pub fn drop_nulls(&self) -> bool {
        self.get("table.exec.sink.not-null-enforcer").is_some_and(|how| how.eq_ignore_ascii_case("drop"))
    }
}

/// Options that mean something here and may have any value.
const KNOWN: &[&str] = &[
    ZONE,
    "execution.checkpointing.interval",
    "pipeline.name",
    DEAD_LETTERS,
    "sql-client.execution.max-table-result.rows",
    "table.dml-sync",
];

fn duration(value: &Spanned<String>) -> SqlResult<Duration> {
    parse_duration(&value.value).filter(|parsed| !parsed.is_zero()).ok_or_else(|| {
        SqlDiagnostic::new(value.span, format!("'{}' is not a duration", value.value))
            .with_hint("Write a number and a unit: '10s'.")
    })
}
