//! The connector's options as a typed struct, each checked by its name.

use std::collections::BTreeMap;
use std::time::Duration;

use thm_api::{BatchPolicy, ConfigIssue, ConnectorConfig, Error, ErrorKind, Result, Secret};

/// Rows in one insert: ClickHouse makes one part of each, and a hundred thousand rows make a part worth having.
pub const DEFAULT_FLUSH_RECORDS: usize = 100_000;
/// Bytes in one insert: a sink's share of the memory budget.
pub const DEFAULT_FLUSH_BYTES: usize = 8 << 20;
/// How long rows wait: the promise is "queryable within the flush interval and 100 ms", with at most two parts a second.
pub const DEFAULT_FLUSH_MS: u64 = 500;
/// How long a request may take: the original's driver time-out.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
/// The original's port, of its TLS listener.
const DEFAULT_PORT: u16 = 8443;

/// Settings that carry the exactly-once protocol; a user's value would break it.
const RESERVED_SETTINGS: &[&str] = &[
    "async_insert",
    "database",
    "deduplicate_insert",
    "insert_deduplicate",
    "insert_deduplication_token",
    "lightweight_deletes_sync",
    "mutations_sync",
    "query",
    "query_id",
    "session_check",
    "session_id",
    "session_timeout",
    "wait_end_of_query",
];

/// What the connector needs to know.
#[derive(Clone, Debug)]
pub struct ClickHouseConfig {
    /// `hostname`, before `[hosts]` is applied.
    pub hostname: String,
    /// `port`
    pub port: u16,
    /// `ssl`
    pub ssl: bool,
    /// `ssl.ca.location`: PEM file of authorities; none: the system's.
    pub ca: Option<String>,
    /// `ssl_socket_sni`: the server's name in its certificate; blank: `hostname`.
    pub sni: String,
    /// `database`
    pub database: String,
    /// `username`; blank is the server's `default`.
    pub username: String,
    /// `password`
    pub password: Secret,
    /// `topic2TableMap`: topics that do not go to a table of their own name.
    pub tables: BTreeMap<String, String>,
    /// `clickhouseSettings`: sent with every request.
    pub settings: Vec<(String, String)>,
    /// `timeoutSeconds`: every request but inserts.
    pub timeout: Duration,
    /// `clickhouseClientInsertTimeoutMs` if given, else `timeoutSeconds`.
    pub insert_timeout: Duration,
    /// `auto.create`
    pub auto_create: bool,
    /// `auto.evolve`
    pub auto_evolve: bool,
    /// `value.converter.schemas.enable`: values are `{"schema":…,"payload":…}`.
    pub schemas_enabled: bool,
    /// How the worker cuts batches.
    pub batch: BatchPolicy,
}

impl ClickHouseConfig {
    /// Reads all options; the first wrong one is named.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let timeout = Duration::from_secs(config.parse("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS)?);
        let insert_timeout = match config.get("clickhouseClientInsertTimeoutMs") {
            None => timeout,
            Some(_) => Duration::from_millis(config.parse("clickhouseClientInsertTimeoutMs", 0)?),
        };
        Ok(Self {
            hostname: config.require("hostname")?.to_owned(),
            port: config.parse("port", DEFAULT_PORT)?,
            ssl: flag(config, "ssl", true)?,
            ca: config.get("ssl.ca.location").map(str::to_owned),
            sni: config.text("ssl_socket_sni", "").to_owned(),
            database: config.text("database", "default").to_owned(),
            username: config.text("username", "default").to_owned(),
            password: Secret::new(config.get("password").unwrap_or_default()),
            tables: pairs(config, "topic2TableMap")?.into_iter().collect(),
            settings: settings(config)?,
            timeout,
            insert_timeout,
            auto_create: flag(config, "auto.create", false)?,
            auto_evolve: flag(config, "auto.evolve", false)?,
            schemas_enabled: flag(config, "value.converter.schemas.enable", false)?,
            batch: batch_policy(config)?,
        })
    }

    /// What is wrong with the options beyond their types. No network.
    #[must_use]
    pub fn issues(config: &ConnectorConfig) -> Vec<ConfigIssue> {
        let mut issues = Vec::new();
        if let Err(error) = Self::parse(config) {
            issues.push(ConfigIssue::error(error.object(), error.hint()));
        }
        if config.get("exactlyOnce") == Some("true") {
            issues.push(ConfigIssue::warning(
                "exactlyOnce",
                "Inserts are always deduplicated by a token of their own; no state table is used.",
            ));
        }
        let converter = config.get("value.converter").unwrap_or_default();
        if !converter.is_empty() && !converter.ends_with("JsonConverter") {
            issues.push(ConfigIssue::error(
                "value.converter",
                "Values must be JSON objects: set org.apache.kafka.connect.json.JsonConverter.",
            ));
        }
        issues
    }

    /// The table that a topic goes to.
    #[must_use]
    pub fn table_of<'a>(&'a self, topic: &'a str) -> &'a str {
        self.tables.get(topic).map_or(topic, String::as_str)
    }
}

fn invalid(option: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

fn flag(config: &ConnectorConfig, name: &str, default: bool) -> Result<bool> {
    match config.get(name) {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(invalid(name, format!("\"{name}\" is `{text}`; it must be true or false."))),
    }
}

/// `a=b, c=d`
fn pairs(config: &ConnectorConfig, name: &str) -> Result<Vec<(String, String)>> {
    let split = |part: String| {
        let pair = part.split_once('=').map(|(left, right)| (left.trim().to_owned(), right.trim().to_owned()));
        pair.filter(|(left, right)| !left.is_empty() && !right.is_empty())
            .ok_or_else(|| invalid(name, format!("\"{name}\" holds `{part}`; each part must read name=value.")))
    };
    config.list(name).into_iter().map(split).collect()
}

fn settings(config: &ConnectorConfig) -> Result<Vec<(String, String)>> {
    const NAME: &str = "clickhouseSettings";
    let settings = pairs(config, NAME)?;
    for (setting, _) in &settings {
        if !setting.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(invalid(NAME, format!("`{setting}` in \"{NAME}\" is no name of a setting.")));
        }
        if RESERVED_SETTINGS.contains(&setting.as_str()) {
            return Err(invalid(
                NAME,
                format!("Remove `{setting}` from \"{NAME}\": exactly-once inserts depend on it."),
            ));
        }
    }
    Ok(settings)
}

/// The original's `bufferCount` and `bufferFlushTime` count too, where ours are not given.
fn batch_policy(config: &ConnectorConfig) -> Result<BatchPolicy> {
    let buffered: usize = config.parse("bufferCount", 0)?;
    let buffered_ms: u64 = config.parse("bufferFlushTime", 0)?;
    let records = if buffered > 0 { buffered } else { DEFAULT_FLUSH_RECORDS };
    let linger_ms = if buffered > 0 && buffered_ms > 0 { buffered_ms } else { DEFAULT_FLUSH_MS };
    let policy = BatchPolicy {
        max_records: config.parse("thm.flush.records", records)?,
        max_bytes: config.parse("thm.flush.bytes", DEFAULT_FLUSH_BYTES)?,
        linger: Duration::from_millis(config.parse("thm.flush.ms", linger_ms)?),
        frozen: true,
    };
    if policy.max_records == 0 || policy.max_records > 1_000_000 {
        return Err(invalid("thm.flush.records", "\"thm.flush.records\" must be 1 to 1000000."));
    }
    if policy.max_bytes == 0 {
        return Err(invalid("thm.flush.bytes", "\"thm.flush.bytes\" must be at least 1."));
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(options: &[(&str, &str)]) -> ConnectorConfig {
        let given = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ConnectorConfig::new(std::iter::once(("hostname".to_owned(), "clickhouse".to_owned())).chain(given).collect())
    }

    #[test]
    fn the_published_file_reads_as_it_is() {
        let parsed = ClickHouseConfig::parse(&config(&[
            ("topics", "thm.enriched.events"),
            ("topic2TableMap", "thm.enriched.events=enriched_events"),
            ("port", "8123"),
            ("ssl", "false"),
            ("database", "thm"),
            ("username", "default"),
            ("password", ""),
            ("value.converter.schemas.enable", "false"),
            ("clickhouseSettings", "date_time_input_format=best_effort"),
        ]))
        .unwrap();
        assert_eq!(parsed.table_of("thm.enriched.events"), "enriched_events");
        assert_eq!(parsed.table_of("other"), "other");
        assert_eq!(parsed.settings, [("date_time_input_format".to_owned(), "best_effort".to_owned())]);
        assert_eq!(parsed.batch.linger, Duration::from_millis(500));
        assert_eq!(parsed.insert_timeout, Duration::from_secs(30));
        assert!(parsed.password.is_empty() && !parsed.ssl);
    }

    #[test]
    fn wrong_options_are_named() {
        for (option, value) in [
            ("port", "abc"),
            ("ssl", "yes"),
            ("topic2TableMap", "no-equals-sign"),
            ("clickhouseSettings", "async_insert=1"),
            ("clickhouseSettings", "a b=1"),
            ("thm.flush.records", "0"),
            ("auto.create", "maybe"),
        ] {
            let ssl = if option == "ssl" { value } else { "false" };
            let issues = ClickHouseConfig::issues(&config(&[("ssl", ssl), (option, value)]));
            let errors: Vec<_> = issues.iter().filter(|issue| !issue.warning).collect();
            assert_eq!(errors.len(), 1, "{option}={value}");
            assert_eq!(errors[0].option, option);
            assert!(errors[0].message.contains(option), "{}", errors[0].message);
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let parsed = ClickHouseConfig::parse(&config(&[("password", "secret")])).unwrap();
        assert!(!format!("{parsed:?}").contains("secret"));
    }
}
