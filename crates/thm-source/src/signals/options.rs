//! `signal.*`: by which ways signals may come.

use std::path::PathBuf;
use std::time::Duration;

use thm_api::{ConfigIssue, ConnectorConfig, Error, ErrorKind, Result};

const CHANNELS: &str = "signal.enabled.channels";
const TABLE: &str = "signal.data.collection";
const INTERVAL: &str = "signal.poll.interval.ms";
const RESET: &str = "signal.consumer.auto.offset.reset";
/// Debezium's: how often file and topic are looked at.
const DEFAULT_INTERVAL_MS: u64 = 5_000;
/// Debezium's, in the working folder.
const DEFAULT_FILE: &str = "file-signals.txt";

/// What the options say of signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalOptions {
    /// Inserts into the table are signals.
    pub source: bool,
    /// `signal.data.collection` as `schema.table`: captured whatever the lists say, and left out of snapshots.
    pub table: Option<String>,
    /// `signal.file`, if that channel is on.
    pub file: Option<PathBuf>,
    /// `signal.kafka.topic`, if that channel is on.
    pub topic: Option<String>,
    /// `signal.consumer.auto.offset.reset=latest`: what a topic holds at the first start is passed over.
    pub from_end: bool,
    /// `signal.poll.interval.ms`; never zero.
    pub interval: Duration,
}

impl SignalOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// Names a channel that there is not, and what is no valid value.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let tables = config.list(TABLE);
        if tables.len() > 1 {
            return Err(invalid(TABLE, "For single task connector only one signal data collection is permitted."));
        }
        let on = channels(config);
        if let Some(other) = on.iter().find(|name| !["source", "kafka", "file"].contains(&name.as_str())) {
            return Err(invalid(CHANNELS, format!("There is no channel `{other}` here: use source, kafka or file.")));
        }
        let on = |name: &str| on.iter().any(|channel| channel == name);
        let interval_ms: u64 = config.parse(INTERVAL, DEFAULT_INTERVAL_MS)?;
        if interval_ms == 0 {
            return Err(invalid(INTERVAL, "Set it to 1 or more."));
        }
        let default_topic = format!("{}-signal", config.text("topic.prefix", ""));
        Ok(Self {
            source: on("source"),
            table: tables.into_iter().next(),
            file: on("file").then(|| PathBuf::from(config.text("signal.file", DEFAULT_FILE))),
            topic: on("kafka").then(|| config.text("signal.kafka.topic", &default_topic).to_owned()),
            from_end: match config.text(RESET, "earliest") {
                "earliest" => false,
                "latest" => true,
                other => return Err(invalid(RESET, format!("`{other}` is neither earliest nor latest."))),
            },
            interval: Duration::from_millis(interval_ms),
        })
    }

    /// Whether that is the table of signals.
    #[must_use]
    pub fn is_table(&self, schema: &str, table: &str) -> bool {
        let parts = self.table.as_deref().and_then(|name| name.split_once('.'));
        parts == Some((schema, table))
    }

    /// Options of this family that the real connector does not list either.
    #[must_use]
    pub fn knows(option: &str) -> bool {
        option == "signal.file" || option.starts_with("signal.kafka.") || option.starts_with("signal.consumer.")
    }

    /// What a user should know of options that do nothing.
    pub(crate) fn warn(config: &ConnectorConfig, issues: &mut Vec<ConfigIssue>) {
        for option in config.values().keys().filter(|option| Self::knows(option)) {
            let on = |name: &str| channels(config).iter().any(|channel| channel == name);
            let message = match option.as_str() {
                "signal.file" if on("file") => continue,
                "signal.kafka.topic" | RESET if on("kafka") => continue,
                "signal.file" => "never read: signal.enabled.channels does not have file",
                "signal.kafka.topic" | RESET => "never read: signal.enabled.channels does not have kafka",
                _ => "no effect: signals are read from a topic of this log, and their place is kept with the connector",
            };
            issues.push(ConfigIssue::warning(option, message));
        }
        if let Some(table) = config.get(TABLE).filter(|table| !table.contains(',') && table.split('.').count() != 2) {
            issues.push(ConfigIssue::warning(
                TABLE,
                format!("`{table}` is no table's name as in schema.table: none is read"),
            ));
        }
        if config.get(TABLE).is_some() && !channels(config).iter().any(|name| name == "source") {
            let message = "its rows are no signals: signal.enabled.channels does not have source";
            issues.push(ConfigIssue::warning(TABLE, message));
        }
    }
}

fn channels(config: &ConnectorConfig) -> Vec<String> {
    match config.get(CHANNELS) {
        Some(_) => config.list(CHANNELS),
        None => vec!["source".to_owned()],
    }
}

fn invalid(option: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ConnectorConfig {
        let base = [("topic.prefix", "pg")];
        let all = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ConnectorConfig::new(all.collect())
    }

    #[test]
    fn channels_and_their_defaults() {
        let source = SignalOptions::parse(&config(&[(TABLE, "public.s")])).unwrap();
        assert!(source.source && source.is_table("public", "s") && !source.is_table("public", "t"));
        assert_eq!((source.file, source.topic, source.interval), (None, None, Duration::from_secs(5)));
        let others = SignalOptions::parse(&config(&[(CHANNELS, "file, kafka"), (RESET, "latest")])).unwrap();
        assert!(!others.source && others.from_end);
        assert_eq!((others.file, others.topic.as_deref()), (Some(DEFAULT_FILE.into()), Some("pg-signal")));
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (option, value, word) in [
            (CHANNELS, "source,jmx", "`jmx`"),
            (CHANNELS, "wish", "`wish`"),
            (TABLE, "public.a,public.b", "only one"),
            (INTERVAL, "0", "1 or more"),
            (RESET, "none", "neither"),
        ] {
            let error = SignalOptions::parse(&config(&[(option, value)])).unwrap_err();
            assert!(error.object() == option && error.hint().contains(word), "{error} {}", error.hint());
        }
    }

    #[test]
    fn what_has_no_effect_is_told_of() {
        let told = |pairs: &[(&str, &str)]| {
            let mut issues = Vec::new();
            SignalOptions::warn(&config(pairs), &mut issues);
            issues.into_iter().map(|issue| (issue.option, issue.warning)).collect::<Vec<_>>()
        };
        assert!(told(&[(TABLE, "public.s")]).is_empty());
        assert!(told(&[(CHANNELS, "kafka"), ("signal.kafka.topic", "t")]).is_empty());
        let kafka = [(CHANNELS, "kafka"), ("signal.kafka.bootstrap.servers", "b:9092"), ("signal.consumer.ssl.x", "y")];
        let unused = [("signal.consumer.ssl.x".to_owned(), true), ("signal.kafka.bootstrap.servers".to_owned(), true)];
        assert_eq!(told(&kafka), unused);
        assert_eq!(told(&[("signal.file", "f")]), [("signal.file".to_owned(), true)]);
        assert_eq!(told(&[(TABLE, "s")]), [(TABLE.to_owned(), true)]);
        assert_eq!(told(&[(TABLE, "public.s"), (CHANNELS, "file")]), [(TABLE.to_owned(), true)]);
    }
}
