//! The connector's options as a typed value, with Debezium's names and defaults.

mod filter;
mod ssl;
mod stream;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use thm_api::{ConnectorConfig, Error, ErrorKind, Result, Secret};
use thm_codec::debezium::EnvelopeVersion;

pub use self::filter::{TableFilter, named_tables};
pub(crate) use self::filter::{expression_list, expressions};
pub use self::ssl::SslOptions;
pub(crate) use self::validate::is_unlisted;
pub use self::validate::validate;
use crate::column_rules::ColumnRules;
use crate::heartbeat::HeartbeatOptions;
pub use crate::modes::{BinaryMode, DecimalMode, HstoreMode, IntervalMode, SnapshotMode, TimeMode, TypeModes};
use crate::naming::{Adjust, Naming};
use crate::notes::MessageFilter;
use crate::notifications::Channels;
use crate::output::Output;
use crate::refused::DeadLetters;
use crate::replica_identity::Wanted;
use crate::signals::SignalOptions;
use crate::toast::ToastOptions;
use crate::types::Placeholder;

/// What to do when the publication is not there (`publication.autocreate.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autocreate {
    /// `FOR ALL TABLES`
    AllTables,
    /// For the captured tables.
    Filtered,
    /// For no table: its owner adds them.
    NoTables,
    /// It must be there.
    Disabled,
}

/// The two ways out when slot and durable state do not belong together (`thm.start`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Drop the slot and take everything anew.
    Resnapshot,
    /// Go on from what the slot still has.
    FromSlot,
}

/// What becomes of a TRUNCATE of a captured table (`thm.truncate.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncateMode {
    /// Nothing but a truncate record tells of it, and not even that with `skipped.operations=t`, the default.
    Skip,
    /// The source stops before it.
    Fail,
    /// Each row that the topic has gets a delete.
    Delete,
}

/// Everything the source reads from its configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the connection is encrypted, and whom it believes.
    pub ssl: SslOptions,
    /// Host as written; the `[hosts]` table maps it.
    pub host: String,
    /// Port as written.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Database.
    pub database: String,
    /// `database.initial.statements`
    pub initial_statements: Vec<String>,
    /// `topic.prefix`, which is also `source.name`.
    pub prefix: String,
    /// `slot.name`
    pub slot: String,
    /// `slot.failover`
    pub failover: bool,
    /// `slot.drop.on.stop`
    pub drop_slot: bool,
    /// `slot.stream.params`: names and values for the output plugin.
    pub stream_params: Vec<(String, String)>,
    /// `lsn.flush.mode=manual`: somebody else tells the slot how far we are.
    pub manual_flush: bool,
    /// `publication.name`
    pub publication: String,
    /// `publication.autocreate.mode`
    pub autocreate: Autocreate,
    /// `snapshot.mode`
    pub snapshot: SnapshotMode,
    /// `snapshot.include.collection.list`: expressions over `schema.table`; none takes all captured tables.
    pub snapshot_include: Vec<Regex>,
    /// Which tables.
    pub filter: TableFilter,
    /// `tombstones.on.delete`
    pub tombstones: bool,
    /// `unavailable.value.placeholder`
    pub placeholder: Placeholder,
    /// `skipped.operations`, by letter.
    pub skipped: Vec<u8>,
    /// Handling modes.
    pub modes: TypeModes,
    /// Which columns show, how, and which make the key.
    pub columns: ColumnRules,
    /// Names of topics.
    pub naming: Naming,
    /// `schema.name.adjustment.mode`
    pub adjust_schemas: Adjust,
    /// `field.name.adjustment.mode`
    pub adjust_fields: Adjust,
    /// `include.schema.comments`
    pub comments: bool,
    /// `skip.messages.without.change`
    pub skip_unchanged: bool,
    /// How keys and values are written.
    pub output: Output,
    /// `provide.transaction.metadata`
    pub transactions: bool,
    /// `topic.transaction`
    pub transaction_topic: String,
    /// Which logical messages are captured.
    pub messages: MessageFilter,
    /// `publish.via.partition.root`
    pub partition_root: bool,
    /// `snapshot.select.statement.overrides`: queries by `schema.table`.
    pub snapshot_queries: BTreeMap<String, String>,
    /// `thm.envelope`
    pub envelope: EnvelopeVersion,
    /// `extended.headers.enabled`
    pub context_headers: bool,
    /// `thm.start` with the exact text given, which is remembered once it was obeyed.
    pub start: Option<(StartMode, String)>,
    /// `thm.snapshot.order`: tables to take first, as `schema.table`.
    pub snapshot_order: Vec<String>,
    /// `thm.truncate.mode`
    pub truncate: TruncateMode,
    /// `thm.toast.*`
    pub toast: ToastOptions,
    /// `thm.spool.dir`: where a transaction beyond the memory's share waits for its end.
    pub spool: PathBuf,
    /// `thm.snapshot.filter`: a snapshot takes what the publication has of a table, and not all of it.
    pub snapshot_published: bool,
    /// `replica.identity.autoset.values`
    pub identities: Wanted,
    /// `notification.*`
    pub notifications: Channels,
    /// `signal.*`
    pub signals: SignalOptions,
    /// `heartbeat.*`; `None` for none.
    pub heartbeat: Option<HeartbeatOptions>,
    /// `errors.tolerance=all`: where rows go that cannot be decoded; none: they stop the task.
    pub dead_letters: Option<DeadLetters>,
    /// How often at most the server hears how far we are.
    pub status_interval: Duration,
}

/// A stop waits for the last status, so it must come soon; the server's own time-out is a minute.
pub const DEFAULT_STATUS_INTERVAL: Duration = Duration::from_millis(500);
/// Debezium's; with its delay the minute after which a server by default gives up on a reader that died with its machine.
const DEFAULT_SLOT_RETRIES: u32 = 6;
/// Debezium's.
const DEFAULT_SLOT_RETRY_DELAY_MS: u64 = 10_000;
/// PostgreSQL's port.
pub const DEFAULT_PORT: u16 = 5432;

impl Options {
    /// Reads and checks the options. No network.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let status_ms: u64 = config.parse("status.update.interval.ms", 500)?;
        let envelope = choose(config, "thm.envelope", "3.7", EnvelopeVersion::parse)?;
        Ok(Self {
            ssl: SslOptions::parse(config)?,
            initial_statements: statements(config.text("database.initial.statements", "")),
            host: config.require("database.hostname")?.to_owned(),
            port: config.parse("database.port", DEFAULT_PORT)?,
            user: config.require("database.user")?.to_owned(),
            password: Secret::new(config.text("database.password", "")),
            database: config.require("database.dbname")?.to_owned(),
            prefix: config.require("topic.prefix")?.to_owned(),
            slot: config.text("slot.name", "debezium").to_owned(),
            failover: config.parse("slot.failover", false)?,
            drop_slot: config.parse("slot.drop.on.stop", false)?,
            stream_params: stream::params(config)?,
            manual_flush: stream::is_flushed_by_hand(config)?,
            publication: config.text("publication.name", "dbz_publication").to_owned(),
            autocreate: choose(config, "publication.autocreate.mode", "all_tables", |text| match text {
                "all_tables" => Some(Autocreate::AllTables),
                "filtered" => Some(Autocreate::Filtered),
                "no_tables" => Some(Autocreate::NoTables),
                "disabled" => Some(Autocreate::Disabled),
                _ => None,
            })?,
            snapshot: SnapshotMode::of(config)
                .ok_or_else(|| invalid("snapshot.mode", config.text("snapshot.mode", "")))?,
            snapshot_include: expression_list(config, "snapshot.include.collection.list")?,
            filter: TableFilter::parse(config)?,
            tombstones: config.parse("tombstones.on.delete", true)?,
            placeholder: placeholder(config)?,
            skipped: skipped_operations(config)?,
            modes: TypeModes { older: envelope == EnvelopeVersion::V2_7, ..type_modes(config)? },
            columns: ColumnRules::parse(config)?,
            naming: Naming::parse(config)?,
            adjust_schemas: choose(config, "schema.name.adjustment.mode", "none", Adjust::parse)?,
            adjust_fields: choose(config, "field.name.adjustment.mode", "none", Adjust::parse)?,
            comments: config.parse("include.schema.comments", false)?,
            skip_unchanged: config.parse("skip.messages.without.change", false)?,
            output: Output::parse(config)?,
            transactions: config.parse("provide.transaction.metadata", false)?,
            transaction_topic: config.text("topic.transaction", "transaction").to_owned(),
            messages: MessageFilter::parse(config)?,
            partition_root: config.parse("publish.via.partition.root", false)? && envelope == EnvelopeVersion::V3_7,
            snapshot_queries: snapshot_queries(config)?,
            envelope,
            context_headers: config.parse("extended.headers.enabled", true)?,
            start: start_mode(config)?,
            snapshot_order: config.list("thm.snapshot.order"),
            truncate: choose(config, "thm.truncate.mode", "skip", |text| match text {
                "skip" => Some(TruncateMode::Skip),
                "fail" => Some(TruncateMode::Fail),
                "delete" => Some(TruncateMode::Delete),
                _ => None,
            })?,
            toast: ToastOptions::parse(config)?,
            spool: config.get("thm.spool.dir").map_or_else(std::env::temp_dir, PathBuf::from),
            snapshot_published: choose(config, "thm.snapshot.filter", "none", |text| match text {
                "none" => Some(false),
                "publication" => Some(true),
                _ => None,
            })?,
            identities: Wanted::parse(config)?,
            notifications: Channels::parse(config)?,
            signals: SignalOptions::parse(config)?,
            heartbeat: heartbeat(config)?,
            dead_letters: dead_letters(config),
            status_interval: Duration::from_millis(status_ms).clamp(Duration::from_millis(50), DEFAULT_STATUS_INTERVAL),
        })
    }

    /// Whether a message of the stream is of an operation that is left out, before its table is looked at. Debezium 3.7
    /// leaves such operations out of the publication that it makes; older ones look at the operation last.
    #[must_use]
    pub fn skips(&self, message: &[u8]) -> bool {
        let letter = match message.first() {
            Some(b'I') => b'c',
            Some(b'U') => b'u',
            Some(b'D') => b'd',
            Some(b'T') => b't',
            _ => return false,
        };
        self.envelope == EnvelopeVersion::V3_7
            && self.autocreate != Autocreate::Disabled
            && self.skipped.contains(&letter)
    }

    /// Whether a snapshot takes the rows of a captured table.
    #[must_use]
    pub fn snapshot_takes(&self, table: &crate::catalog::TableName) -> bool {
        let name = table.to_string();
        self.snapshot_include.is_empty() || self.snapshot_include.iter().any(|expression| expression.is_match(&name))
    }

    /// Name of a table's topic.
    #[must_use]
    pub fn topic(&self, schema: &str, table: &str) -> String {
        self.naming.table(schema, table)
    }
}

/// How long a slot that somebody else uses is waited for: `slot.max.retries` times `slot.retry.delay.ms`, and as often
/// again as `errors.max.retries` says; -1 there, if it is said, for ever.
pub(crate) fn slot_patience(config: &ConnectorConfig) -> Result<Option<Duration>> {
    let retries: u32 = config.parse("slot.max.retries", DEFAULT_SLOT_RETRIES)?;
    let delay_ms: u64 = config.parse("slot.retry.delay.ms", DEFAULT_SLOT_RETRY_DELAY_MS)?;
    let rounds: i64 = config.parse("errors.max.retries", 0)?;
    let rounds = u64::try_from(rounds).ok().map(|rounds| rounds.saturating_add(1));
    Ok(rounds.map(|rounds| Duration::from_millis(delay_ms.saturating_mul(retries.into()).saturating_mul(rounds))))
}

/// The worker names the topic where the connector does not.
fn dead_letters(config: &ConnectorConfig) -> Option<DeadLetters> {
    let tolerant = config.text("errors.tolerance", "none") == "all";
    let connector = config.text("name", "");
    let topic = config.get("errors.deadletterqueue.topic.name").filter(|_| tolerant);
    topic.map(|topic| DeadLetters::new(connector, topic))
}

/// The prefix's name has changed over the years; both are understood.
fn heartbeat(config: &ConnectorConfig) -> Result<Option<HeartbeatOptions>> {
    let interval_ms: u64 = config.parse("heartbeat.interval.ms", 0)?;
    let former = config.text("heartbeat.topics.prefix", "__debezium-heartbeat");
    Ok((interval_ms > 0).then(|| HeartbeatOptions {
        interval: Duration::from_millis(interval_ms),
        topic_prefix: config.text("topic.heartbeat.prefix", former).to_owned(),
        query: config.get("heartbeat.action.query").map(str::to_owned).filter(|query| !query.trim().is_empty()),
    }))
}

fn type_modes(config: &ConnectorConfig) -> Result<TypeModes> {
    Ok(TypeModes {
        decimal: choose(config, "decimal.handling.mode", "precise", DecimalMode::parse)?,
        time: choose(config, "time.precision.mode", "adaptive", TimeMode::parse)?,
        binary: choose(config, "binary.handling.mode", "bytes", BinaryMode::parse)?,
        hstore: choose(config, "hstore.handling.mode", "json", HstoreMode::parse)?,
        interval: choose(config, "interval.handling.mode", "numeric", IntervalMode::parse)?,
        money_digits: config.parse("money.fraction.digits", 2)?,
        unknown: config.parse("include.unknown.datatypes", false)?,
        older: false,
    })
}

fn placeholder(config: &ConnectorConfig) -> Result<Placeholder> {
    const OPTION: &str = "unavailable.value.placeholder";
    let text = config.text(OPTION, "__debezium_unavailable_value");
    Placeholder::parse(text).ok_or_else(|| invalid(OPTION, text))
}

fn start_mode(config: &ConnectorConfig) -> Result<Option<(StartMode, String)>> {
    let Some(text) = config.get("thm.start") else { return Ok(None) };
    let mode = match text.split(':').next() {
        Some("resnapshot") => StartMode::Resnapshot,
        Some("from-slot") => StartMode::FromSlot,
        _ => return Err(invalid("thm.start", text)),
    };
    Ok(Some((mode, text.to_owned())))
}

fn skipped_operations(config: &ConnectorConfig) -> Result<Vec<u8>> {
    let mut skipped = Vec::new();
    for operation in config.text("skipped.operations", "t").split(',') {
        match operation.trim() {
            "none" => {}
            letter @ ("c" | "u" | "d" | "t") => skipped.extend_from_slice(letter.as_bytes()),
            other => return Err(invalid("skipped.operations", other)),
        }
    }
    Ok(skipped)
}

fn invalid(option: &str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option)
        .with_hint(format!("`{value}` is no valid value for \"{option}\"."))
}

fn choose<T>(config: &ConnectorConfig, option: &str, default: &str, read: fn(&str) -> Option<T>) -> Result<T> {
    let text = config.text(option, default).to_ascii_lowercase();
    read(&text).ok_or_else(|| invalid(option, &text))
}

/// The queries that replace whole tables in a snapshot.
fn snapshot_queries(config: &ConnectorConfig) -> Result<BTreeMap<String, String>> {
    const OPTION: &str = "snapshot.select.statement.overrides";
    let query = |table: String| {
        let option = format!("{OPTION}.{table}");
        let text = config.get(&option).ok_or_else(|| invalid(&option, ""))?;
        Ok((table, text.trim_end_matches(';').to_owned()))
    };
    config.list(OPTION).into_iter().map(query).collect()
}

/// Between single semicolons; a doubled one stands for one.
fn statements(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let ends = c == ';' && rest.next_if_eq(&';').is_none();
        match found.last_mut() {
            Some(last) if !ends => last.push(c),
            _ => found.push(String::new()),
        }
    }
    found.iter().map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ConnectorConfig {
        let base = [
            ("database.hostname", "h"),
            ("database.user", "u"),
            ("database.dbname", "d"),
            ("topic.prefix", "pg"),
            ("plugin.name", "pgoutput"),
        ];
        let values: BTreeMap<_, _> =
            base.iter().chain(pairs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ConnectorConfig::new(values)
    }

    #[test]
    fn filters_are_anchored_and_ignore_case() {
        let options = Options::parse(&config(&[("table.include.list", "public.content, Public\\.e.*")]));
        let filter = options.map(|options| options.filter).unwrap_or_default();
        assert!(filter.includes("public", "content"));
        assert!(filter.includes("public", "engagement_events"));
        assert!(!filter.includes("public", "content2"));
        assert!(!filter.includes("xpublic", "content"));
    }

    #[test]
    fn channels_of_notifications() {
        let found = |pairs: &[(&str, &str)]| validate(&config(pairs));
        let (channels, topic) = ("notification.enabled.channels", "notification.sink.topic.name");
        assert!(found(&[(channels, "log,sink"), (topic, "notes")]).is_empty());
        assert_eq!(found(&[(channels, "sink")]).first().map(|issue| issue.option.as_str()), Some(topic));
        assert!(found(&[(channels, "jmx")]).first().is_some_and(|issue| issue.warning));
        assert!(found(&[(channels, "post")]).first().is_some_and(|issue| !issue.warning && issue.option == channels));
    }

    #[test]
    fn one_way_to_tell_of_a_truncate() {
        let found = |mode, skipped| validate(&config(&[("thm.truncate.mode", mode), ("skipped.operations", skipped)]));
        assert!(found("skip", "none").is_empty() && found("delete", "t").is_empty() && found("fail", "c,t").is_empty());
        for (mode, skipped) in [("delete", "none"), ("fail", "c,d")] {
            assert_eq!(found(mode, skipped).first().map(|issue| issue.option.as_str()), Some("thm.truncate.mode"));
        }
    }

    #[test]
    fn lists_that_contradict_each_other_and_bad_expressions_are_named() {
        for family in ["table", "schema", "column", "message.prefix"] {
            let (include, exclude) = (format!("{family}.include.list"), format!("{family}.exclude.list"));
            let found = validate(&config(&[(&include, "a"), (&exclude, "b")]));
            assert_eq!(found[0].option, exclude);
            assert!(found[0].message.contains(&format!("\"{include}\" is already specified")), "{}", found[0].message);
            let found = validate(&config(&[(&include, "a(")]));
            assert!(found[0].option == include && found[0].message.contains("unclosed group"), "{}", found[0].message);
        }
    }

    #[test]
    fn statements_end_at_single_semicolons() {
        assert_eq!(statements("SET ROLE app; SELECT ';;' ;"), ["SET ROLE app", "SELECT ';'"]);
        assert_eq!(statements(" ; "), Vec::<String>::new());
    }

    #[test]
    fn findings_name_the_option() {
        assert!(validate(&config(&[])).is_empty());
        let found = validate(&config(&[
            ("table.include.list", "public.(t"),
            ("snapshot.mode", "sometimes"),
            ("slot.name", "My-Slot"),
            ("database.sslpassword", "secret"),
            ("topic.prefix", ""),
        ]));
        let options: Vec<_> = found.iter().map(|issue| issue.option.as_str()).collect();
        let expected = ["topic.prefix", "table.include.list", "slot.name", "snapshot.mode", "database.sslpassword"];
        assert_eq!(options, expected);
    }
}
