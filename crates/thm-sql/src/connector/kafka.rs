//! Options of `kafka`.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlparser::tokenizer::Span;

use super::scan;
use crate::catalog::{Path, PhysicalColumn};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::{Format, ValueFormat, options as format_options};
use crate::functions::java_regex;
use crate::options::{Given, Options, Usage};

/// Where a source starts when the job has no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup {
    /// The log's start.
    Earliest,
    /// The high watermark at the first start.
    Latest,
    /// The first record at or after a time, milliseconds since 1970; the high watermark if there is none.
    Timestamp(i64),
    /// Given offsets by partition; for others what the group has committed, if there is one, else the log's start.
    Offsets(BTreeMap<u32, i64>, Option<String>),
    /// What a consumer group has committed; else the start, the end, or (`None`) an error.
    Group {
        /// The group.
        id: String,
        /// `auto.offset.reset`
        otherwise: Option<bool>,
    },
}

/// Where a source ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// Never.
    #[default]
    Unbounded,
    /// The high watermark at the first start.
    Latest,
    /// The first record at or after a time.
    Timestamp(i64),
    /// Given offsets by partition; the high watermark for others.
    Offsets(BTreeMap<u32, i64>),
    /// What a consumer group has committed.
    Group(String),
}

/// Which partition a record goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioner {
    /// By the key's hash, else the first.
    #[default]
    Default,
    /// All to one, the first.
    Fixed,
    /// One after the other.
    RoundRobin,
}

/// The key of records.
#[derive(Clone, Debug)]
pub struct KeyFormat {
    /// How it is written.
    pub format: Format,
    /// Physical columns in it, in order.
    pub fields: Vec<usize>,
    /// What their names begin with in the table alone.
    pub prefix: String,
}

/// Topics of a table, and how often a source looks for more of them.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    /// Names. A sink of several writes each row to the one that its metadata column `topic` names.
    pub names: Vec<String>,
    /// Instead of names, Java's regular expression for whole names.
    pub pattern: Option<String>,
    /// Pause between looks for topics and partitions that are new; none if there are none.
    pub discovery: Option<Duration>,
}

impl Topics {
    /// For people.
    #[must_use]
    pub fn place(&self) -> String {
        self.pattern.clone().unwrap_or_else(|| self.names.join(";"))
    }

    /// The only topic, if there is one, however often it is named.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        let first = self.names.first()?;
        self.names.iter().all(|name| name == first).then_some(first.as_str())
    }

    /// Whether a topic is one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match &self.pattern {
            // It was compiled once before.
            Some(pattern) => {
                java_regex::compiled(&whole(pattern)).is_ok_and(|pattern| pattern.is_match(name).unwrap_or(false))
            }
            None => self.names.iter().any(|known| known == name),
        }
    }
}

/// A pattern that fits whole texts only.
fn whole(pattern: &str) -> String {
    format!("^(?:{pattern})\\z")
}

/// A `kafka` table.
#[derive(Clone, Debug)]
pub struct KafkaTable {
    /// Its topics.
    pub topics: Topics,
    /// Format of values.
    pub value: Format,
    /// Format and columns of keys, if they are read or written.
    pub key: Option<KeyFormat>,
    /// Whether the key's columns are not in the value.
    pub except_key: bool,
    /// Where to start.
    pub startup: Startup,
    /// Where to end.
    pub stop: Stop,
    /// Where records go.
    pub partitioner: Partitioner,
}

/// Delivery is exactly-once into the log whatever these say.
pub(super) const DELIVERY: &[&str] = &["sink.delivery-guarantee", "sink.transactional-id-prefix"];

/// Reads `kafka` options.
pub(super) fn read(
    options: &mut Options<'_>,
    path: &Path,
    columns: &[PhysicalColumn],
    primary_key: &[usize],
    usage: Usage,
) -> SqlResult<KafkaTable> {
    let properties = properties(options)?;
    let pause = options.take("scan.topic-partition-discovery.interval");
    let topics = topics(options, pause.as_ref())?;
    let span = options.span();
    let (written, before) = match (options.take("value.format"), options.take("format")) {
        // 'format' goes before, as in Flink's, and its options have no prefix then.
        (_, Some(format)) => (format, ""),
        (Some(format), None) => (format, "value."),
        (None, None) => {
            let kind = if usage == Usage::Sink { "sink" } else { "scan" };
            return Err(SqlDiagnostic::new(span, format!("Could not find required {kind} format 'value.format'."))
                .with_hint("Add 'format' = 'json' or another format."));
        }
    };
    let value = format_options::read(options, &written, before, usage)?;
    let changes = value.kind == ValueFormat::DebeziumJson;
    if !changes && !primary_key.is_empty() {
        let message = format!(
            "The Kafka table '{path}' with '{}' format doesn't support defining PRIMARY KEY constraint on the table, because it \
             can't guarantee the semantic of primary key.",
            written.value
        );
        return Err(SqlDiagnostic::new(span, message).with_hint("Use the connector 'upsert-kafka', or remove the key."));
    }
    let key = key_format(options, columns, usage)?;
    let key_fields = key.as_ref().map_or(&[][..], |key| key.fields.as_slice());
    let (prefix, except_key) = key_columns(options, columns, key_fields)?;
    let key = key.map(|key| KeyFormat { prefix, ..key });
    let startup = scan::startup(options, &properties, &topics, usage)?;
    let stop = scan::stop(options, &properties, &topics, usage)?;
    let partitioner = partitioner(options, key.is_some(), usage)?;
    options.without_effect(&["sink.semantic"]);
    check_delivery(options, usage)?;
    Ok(KafkaTable { topics, value, key, except_key, startup, stop, partitioner })
}

/// Properties of Kafka clients that mean something here.
const PROPERTIES: [&str; 2] = ["group.id", "auto.offset.reset"];
/// Values of `auto.offset.reset`, in any case.
const RESETS: [&str; 3] = ["earliest", "latest", "none"];
/// Properties that load classes which would change records or where they go.
const CLASSES: [&str; 2] = ["partitioner.class", "interceptor.classes"];

/// `properties.*`, without the prefix. There is no client between a job and the log: what would tune or secure one has no
/// effect and is reported; what would change the records is refused.
pub(super) fn properties(options: &mut Options<'_>) -> SqlResult<BTreeMap<String, Given>> {
    options.required("properties.bootstrap.servers")?;
    let properties = options.take_prefix("properties.");
    for (key, value) in &properties {
        if CLASSES.contains(&key.as_str()) {
            return Err(SqlDiagnostic::new(value.span, format!("'properties.{key}' is not supported"))
                .with_hint("Remove it: classes of your own cannot be loaded. 'sink.partitioner' chooses partitions."));
        }
        if key == "auto.offset.reset" && !RESETS.contains(&value.value.to_ascii_lowercase().as_str()) {
            let message =
                format!("auto.offset.reset can not be set to {}. Valid values: [latest,earliest,none]", value.value);
            return Err(SqlDiagnostic::new(value.span, message).with_hint("Write 'earliest', 'latest' or 'none'."));
        }
        if !PROPERTIES.contains(&key.as_str()) {
            options.note(format!("properties.{key}"));
        }
    }
    Ok(properties)
}

/// Flink's `scan.topic-partition-discovery.interval`.
const DEFAULT_DISCOVERY: Duration = Duration::from_secs(5 * 60);

/// `topic`: one or several; or `topic-pattern`; `pause` is how often a source looks for more of them.
pub(super) fn topics(options: &mut Options<'_>, pause: Option<&Given>) -> SqlResult<Topics> {
    let pause = Options::duration(pause)?.unwrap_or(DEFAULT_DISCOVERY);
    let discovery = (!pause.is_zero()).then_some(pause);
    let (topic, pattern) = (options.take("topic"), options.take("topic-pattern"));
    let (topic, pattern) = match (topic, pattern) {
        (Some(_), Some(pattern)) => {
            return Err(SqlDiagnostic::new(
                pattern.span,
                "Option 'topic' and 'topic-pattern' shouldn't be set together.",
            )
            .with_hint("Keep one of them."));
        }
        (topic, pattern) => (topic, pattern),
    };
    if let Some(pattern) = pattern {
        java_regex::compiled(&whole(&pattern.value)).map_err(|_| {
            SqlDiagnostic::new(pattern.span, format!("'{}' is not a regular expression", pattern.value))
                .with_hint("Write a regular expression of Java's that fits the whole names of topics.")
        })?;
        return Ok(Topics { names: Vec::new(), pattern: Some(pattern.value), discovery });
    }
    let Some(topic) = topic else {
        return Err(SqlDiagnostic::new(options.span(), "Either 'topic' or 'topic-pattern' must be set.")
            .with_hint("Add 'topic' = '…' to its WITH clause."));
    };
    let names: Vec<String> = topic.value.split(';').map(|name| name.trim().to_owned()).collect();
    names.iter().try_for_each(|name| check_topic(name, topic.span))?;
    Ok(Topics { names, pattern: None, discovery })
}

/// Whether a topic can have this name.
pub(crate) fn is_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 249 && !matches!(name, "." | "..") && name.bytes().all(legal)
}

/// Refuses a name that no topic can have.
pub(crate) fn check_topic(name: &str, span: Span) -> SqlResult<()> {
    if !is_topic_name(name) {
        return Err(SqlDiagnostic::new(span, format!("'{name}' is not the name of a topic"))
            .with_hint("Names are of letters, digits, '.', '_' and '-'; several stand with ';' between them."));
    }
    Ok(())
}

fn key_format(options: &mut Options<'_>, columns: &[PhysicalColumn], usage: Usage) -> SqlResult<Option<KeyFormat>> {
    let (format, fields) = (options.take("key.format"), options.take("key.fields"));
    let (format, fields) = match (format, fields) {
        (None, None) => return Ok(None),
        (Some(format), Some(fields)) if !fields.value.is_empty() => (format, fields),
        (Some(format), _) => {
            let message =
                "A key format 'key.format' requires the declaration of one or more of key fields using 'key.fields'.";
            return Err(SqlDiagnostic::new(format.span, message).with_hint("Add 'key.fields' = 'column'."));
        }
        (None, Some(fields)) => {
            let message = "The option 'key.fields' can only be declared if a key format is defined using 'key.format'.";
            return Err(SqlDiagnostic::new(fields.span, message).with_hint("Add 'key.format' = 'json'."));
        }
    };
    let mut indices = Vec::new();
    for name in fields.value.split(';').map(str::trim).filter(|name| !name.is_empty()) {
        let index = columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!(
                "Could not find the field '{name}' in the table schema for usage in the key format. A key field must be a regular, \
                 physical column. The following columns can be selected in the 'key.fields' option: {known:?}"
            );
            SqlDiagnostic::new(fields.span, message).with_hint("Name columns, with ';' between them.")
        })?;
        indices.push(index);
    }
    let span = format.span;
    let format = format_options::read(options, &format, "key.", usage)?;
    if format.kind == ValueFormat::DebeziumJson {
        let message = "A key format should only deal with INSERT-only records. But debezium-json has a changelog mode of [INSERT, \
                       UPDATE_BEFORE, UPDATE_AFTER, DELETE].";
        return Err(SqlDiagnostic::new(span, message).with_hint("Write 'json'."));
    }
    Ok(Some(KeyFormat { format, fields: indices, prefix: String::new() }))
}

/// `key.fields-prefix` and `value.fields-include`: what the names of key columns begin with in the table alone, and whether
/// the value leaves them out, as it must where there is a prefix.
pub(super) fn key_columns(
    options: &mut Options<'_>,
    columns: &[PhysicalColumn],
    key: &[usize],
) -> SqlResult<(String, bool)> {
    let span = options.span();
    let prefix = options.take("key.fields-prefix").map_or_else(String::new, |prefix| prefix.value);
    let written = options.take("value.fields-include");
    let except_key = Options::choice(written.as_ref(), &[("ALL", false), ("EXCEPT_KEY", true)])?.unwrap_or(false);
    if !except_key && !prefix.is_empty() {
        let message = "A key prefix is not allowed when option 'value.fields-include' is set to 'ALL'. Set it to 'EXCEPT_KEY' \
                       instead to avoid field overlaps.";
        return Err(SqlDiagnostic::new(span, message).with_hint("Add 'value.fields-include' = 'EXCEPT_KEY'."));
    }
    for name in key.iter().map(|index| columns[*index].name.as_str()) {
        match name.strip_prefix(&prefix) {
            None => {
                let message = format!(
                    "All fields in 'key.fields' must be prefixed with '{prefix}' when option 'key.fields-prefix' is set but field \
                     '{name}' is not prefixed."
                );
                return Err(SqlDiagnostic::new(span, message).with_hint("Rename the column, or remove the prefix."));
            }
            Some(rest) if rest.trim().is_empty() && !prefix.is_empty() => {
                let message = "Field names must contain at least one non-whitespace character.";
                return Err(SqlDiagnostic::new(span, message)
                    .with_hint("The prefix is the whole name of a key column; choose a shorter one."));
            }
            Some(_) => {}
        }
    }
    Ok((prefix, except_key))
}

fn partitioner(options: &mut Options<'_>, keyed: bool, usage: Usage) -> SqlResult<Partitioner> {
    let Some(written) = options.take("sink.partitioner") else { return Ok(Partitioner::Default) };
    if usage != Usage::Sink {
        // Nobody asks it, as in Flink.
        options.note(written.key);
        return Ok(Partitioner::Default);
    }
    match written.value.as_str() {
        "default" => Ok(Partitioner::Default),
        "fixed" => Ok(Partitioner::Fixed),
        "round-robin" if keyed => Err(SqlDiagnostic::new(
            written.span,
            "Currently 'round-robin' partitioner only works when option 'key.fields' is not specified.",
        )
        .with_hint("Remove 'key.fields', or write 'default'.")),
        "round-robin" => Ok(Partitioner::RoundRobin),
        other => {
            Err(SqlDiagnostic::new(written.span, format!("Could not find and instantiate partitioner class '{other}'"))
                .with_hint("Write 'default', 'fixed' or 'round-robin'; classes of your own cannot be loaded."))
        }
    }
}

/// Delivery options that are wrong in Flink are refused; the right ones have no effect.
pub(super) fn check_delivery(options: &mut Options<'_>, usage: Usage) -> SqlResult<()> {
    let (guarantee, prefix) = (options.peek("sink.delivery-guarantee"), options.peek("sink.transactional-id-prefix"));
    if let (Some(guarantee), None, Usage::Sink) = (&guarantee, prefix, usage)
        && guarantee.value == "exactly-once"
    {
        let message = "sink.transactional-id-prefix must be specified when using DeliveryGuarantee.EXACTLY_ONCE.";
        return Err(SqlDiagnostic::new(guarantee.span, message)
            .with_hint("Remove 'sink.delivery-guarantee': jobs are exactly-once into the log in any case."));
    }
    let words = [("exactly-once", ()), ("at-least-once", ()), ("none", ())];
    Options::choice(guarantee.as_ref(), &words)?;
    options.without_effect(DELIVERY);
    options.parallelism("sink.parallelism", usage == Usage::Sink)
}
