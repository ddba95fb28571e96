//! Notifications: how far a snapshot is, told in the log, in a topic, or both.
//!
//! ```text
//!   STARTED ─▶ DATA_COLLECTIONS_RESOLVED ─▶ each table: IN_PROGRESS ─ rows ─ TABLE_SCAN_COMPLETED ─▶ COMPLETED
//!   SKIPPED: the start goes on where the one before it was
//! ```
//! A table's scan has been completed when its last row was read. That row is given after the notification, for it is held
//! until it is known what follows.

use std::sync::Arc;

use thm_api::{ConfigIssue, ConnectorConfig, Error, ErrorKind, Result, TopicSpec};
use thm_codec::debezium::{EventTime, Schema, SchemaKind, write_int};
use thm_codec::java_json::write_string;
use uuid::Uuid;

use crate::catalog::TableName;
use crate::notes::Note;
use crate::options::Options;
use crate::output::Frame;

/// Where notifications go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// The process's log.
    pub log: bool,
    /// A topic.
    pub topic: Option<String>,
}

const OPTION: &str = "notification.enabled.channels";
const TOPIC: &str = "notification.sink.topic.name";
/// Channels of the real connector that tell nothing here.
const OTHERS: [&str; 2] = ["jmx", "http"];

impl Channels {
    /// Reads the options.
    ///
    /// # Errors
    /// Names a channel that there is not, or the topic's option where it is missing.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let invalid = |option: &str, hint: String| {
            Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
        };
        let mut channels = Self::default();
        for name in config.list(OPTION) {
            match name.as_str() {
                "log" => channels.log = true,
                "sink" => {
                    let topic = config.get(TOPIC).map(str::trim).filter(|topic| !topic.is_empty());
                    let missing =
                        || invalid(TOPIC, "Notification topic name must be provided when sink is enabled.".to_owned());
                    channels.topic = Some(topic.ok_or_else(missing)?.to_owned());
                }
                other if OTHERS.contains(&other) => {}
                other => return Err(invalid(OPTION, format!("There is no channel `{other}`: use log or sink."))),
            }
        }
        Ok(channels)
    }

    /// What a user should know of channels that do nothing.
    pub fn warn(config: &ConnectorConfig, issues: &mut Vec<ConfigIssue>) {
        for name in config.list(OPTION).into_iter().filter(|name| OTHERS.contains(&name.as_str())) {
            let message = format!("the channel {name} tells nothing here: use log or sink, or read /metrics");
            issues.push(ConfigIssue::warning(OPTION, message));
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A snapshot begins.
    Started,
    /// Its tables are known.
    Resolved,
    /// The rows of a table are about to be read.
    InProgress(&'a str),
    /// They have been.
    TableScanCompleted {
        /// The table.
        table: &'a str,
        /// How many.
        rows: u64,
    },
    /// So have those of all tables.
    Completed,
    /// None was taken.
    Skipped,
}

impl Event<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Resolved => "DATA_COLLECTIONS_RESOLVED",
            Self::InProgress(_) => "IN_PROGRESS",
            Self::TableScanCompleted { .. } => "TABLE_SCAN_COMPLETED",
            Self::Completed => "COMPLETED",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// Tells of one task's snapshot.
pub struct Notifier {
    log: bool,
    topic: Option<Arc<TopicSpec>>,
    connector: String,
    /// The captured tables, by name, with commas between.
    tables: String,
    /// Those whose rows a snapshot takes: all but that of signals.
    taken: String,
    key_frame: Frame,
    value_frame: Frame,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Notifier {
    /// Of these tables, by the options; `None` where nobody wants to know.
    #[must_use]
    pub fn new(options: &Options, tables: &[TableName]) -> Option<Self> {
        let Channels { log, topic } = options.notifications.clone();
        let names = |wanted: &dyn Fn(&TableName) -> bool| {
            let mut names: Vec<_> = tables.iter().filter(|table| wanted(table)).map(ToString::to_string).collect();
            names.sort();
            names.join(",")
        };
        let taken = names(&|table| !options.signals.is_table(&table.schema, &table.name));
        let (key_schema, value_schema) = schemas();
        (log || topic.is_some()).then(|| Self {
            log,
            topic: topic.map(|topic| Arc::new(TopicSpec::new(topic))),
            connector: options.prefix.clone(),
            tables: names(&|_| true),
            taken,
            key_frame: Frame::new(options.output.key, &key_schema),
            value_frame: Frame::new(options.output.value, &value_schema),
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// Logs it, and gives the note for the topic, if that is wanted.
    pub fn tell(&mut self, event: Event<'_>, now: EventTime) -> Option<Note<'_>> {
        let rows = if let Event::TableScanCompleted { rows, .. } = event { rows.to_string() } else { String::new() };
        let (connector, tables, taken) = (self.connector.clone(), self.tables.clone(), self.taken.clone());
        let (name, tables, taken) = (connector.as_str(), tables.as_str(), taken.as_str());
        // In the order in which the recorded ones stand, which is that of Java's hash map.
        let data = match event {
            Event::Started | Event::Completed | Event::Skipped => vec![("connector_name", name)],
            Event::Resolved => vec![("connector_name", name), ("data_collections", tables)],
            Event::InProgress(table) => {
                vec![("current_collection_in_progress", table), ("connector_name", name), ("data_collections", taken)]
            }
            Event::TableScanCompleted { table, .. } => vec![
                ("scanned_collection", table),
                ("connector_name", name),
                ("total_rows_scanned", rows.as_str()),
                ("data_collections", tables),
                ("status", "SUCCEEDED"),
            ],
        };
        let id = Uuid::new_v4().to_string();
        self.write(Told { id: &id, aggregate: INITIAL, kind: event.name(), data: &data }, now)
    }

    /// Tells that a signal about a snapshot was not obeyed.
    pub fn refuse_signal(&mut self, id: &str, kind: &str, now: EventTime) -> Option<Note<'_>> {
        let connector = self.connector.clone();
        let reason = "snapshots by signal are not available yet";
        let data = [("connector_name", connector.as_str()), ("signal_type", kind), ("reason", reason)];
        self.write(Told { id, aggregate: INCREMENTAL, kind: "ABORTED", data: &data }, now)
    }

    /// Logs it, and gives the note for the topic, if that is wanted.
    fn write(&mut self, Told { id, aggregate, kind, data }: Told<'_>, now: EventTime) -> Option<Note<'_>> {
        if self.log {
            tracing::info!(id, aggregate_type = aggregate, r#type = kind, data = ?data, "notification");
        }
        let topic = self.topic.as_ref()?;
        let (key, value) = (&mut self.key, &mut self.value);
        key.clear();
        value.clear();
        self.key_frame.open(key);
        key.extend_from_slice(b"{\"id\":");
        write_string(key, id);
        key.push(b'}');
        self.key_frame.close(key);
        self.value_frame.open(value);
        value.extend_from_slice(b"{\"id\":");
        write_string(value, id);
        value.extend_from_slice(format!(",\"type\":\"{kind}\",\"aggregate_type\":\"{aggregate}\"").as_bytes());
        value.extend_from_slice(b",\"additional_data\":{");
        for (place, (field, text)) in data.iter().enumerate() {
            if place > 0 {
                value.push(b',');
            }
            write_string(value, field);
            value.push(b':');
            write_string(value, text);
        }
        value.extend_from_slice(b"},\"timestamp\":");
        write_int(value, now.0.div_euclid(1_000_000));
        value.push(b'}');
        self.value_frame.close(value);
        Some(Note { topic, key, value })
    }
}

/// What one notification says.
struct Told<'a> {
    id: &'a str,
    aggregate: &'static str,
    kind: &'static str,
    data: &'a [(&'a str, &'a str)],
}

const INITIAL: &str = "Initial Snapshot";
const INCREMENTAL: &str = "Incremental Snapshot";

fn schemas() -> (Schema, Schema) {
    let text = || Schema::plain("string");
    let key = Schema::fields([("id", text())]).named("io.debezium.connector.common.NotificationKey", 1);
    let data = Schema::of(SchemaKind::Map(Box::new(text()), Box::new(text())));
    let fields = [
        ("id", text()),
        ("type", text()),
        ("aggregate_type", text()),
        ("additional_data", data.or_null()),
        ("timestamp", Schema::plain("int64")),
    ];
    (key, Schema::fields(fields).named("io.debezium.connector.common.Notification", 1))
}
