//! WITH options → what stands behind a table. Every option is read by name; one that nobody reads is refused.

pub mod datagen;
pub mod filesystem;
pub mod jdbc;
pub mod kafka;
mod scan;
pub mod upsert_kafka;

use crate::catalog::{Path, PhysicalColumn};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::{Format, ValueFormat, check};
use crate::options::{Kind, Options, Usage};
use crate::parser::ast::CreateTable;
use crate::types::{DataType, LogicalType};

/// What stands behind a table.
#[derive(Clone, Debug)]
pub enum Connector {
    /// A topic, one record a row or change.
    Kafka(kafka::KafkaTable),
    /// A topic that keeps the last row of each key.
    UpsertKafka(upsert_kafka::UpsertTable),
    /// A database table, for look-ups.
    Jdbc(jdbc::JdbcTable),
    /// Files.
    Filesystem(filesystem::FilesystemTable),
    /// Made-up rows.
    Datagen(datagen::DatagenTable),
    /// Rows as text on the standard output.
    Print {
        /// What stands before each row.
        identifier: String,
        /// Whether they go to the standard error instead.
        standard_error: bool,
    },
    /// Nowhere.
    Blackhole,
}

/// Names of all connectors, sorted.
const CONNECTORS: [&str; 7] = ["blackhole", "datagen", "filesystem", "jdbc", "kafka", "print", "upsert-kafka"];

/// Options of every connector but `datagen` that say when a source's watermarks come, which are not kept here.
fn watermarks(options: &mut Options<'_>, connector: &str) -> SqlResult<()> {
    let [group, drift, update] =
        ["group", "max-drift", "update-interval"].map(|what| format!("scan.watermark.alignment.{what}"));
    let given = [&group, &drift, &update].map(|key| options.peek(key));
    if let Some(first) = given.iter().flatten().next()
        && (given[0].is_none() || given[1].is_none())
    {
        let message = format!(
            "Error configuring watermark for '{connector}', '{group}' and '{drift}' must be set when configuring watermark \
             alignment"
        );
        return Err(SqlDiagnostic::new(first.span, message).with_hint("Give both, or none."));
    }
    options.choice_without_effect("scan.watermark.emit.strategy", &["on-event", "on-periodic"])?;
    options.without_effect(&[&group, "property-version"]);
    options.readable_without_effect(&[
        (&drift, Kind::Duration),
        (&update, Kind::Duration),
        ("scan.watermark.idle-timeout", Kind::Duration),
    ])
}

/// Reads a table's options for a use; gives notices of those that have no effect here.
pub fn of(
    path: &Path,
    table: &CreateTable,
    columns: &[PhysicalColumn],
    primary_key: &[usize],
    usage: Usage,
) -> SqlResult<(Connector, Vec<String>)> {
    let mut options = Options::new(table);
    let Some(name) = options.take("connector") else {
        let message =
            format!("Table options do not contain an option key 'connector' for discovering a connector of '{path}'.");
        return Err(SqlDiagnostic::new(options.span(), message).with_hint("Add 'connector' = '…' to its WITH clause."));
    };
    let only = |as_what: &str, not: &str| {
        let message =
            format!("Connector '{}' can only be used as a {as_what}. It cannot be used as a {not}.", name.value);
        SqlDiagnostic::new(options.span(), message).with_hint("Use another connector, such as 'kafka'.")
    };
    match (name.value.as_str(), usage) {
        ("print" | "blackhole", Usage::Source | Usage::Lookup) => return Err(only("sink", "source")),
        ("datagen", Usage::Sink) => return Err(only("source", "sink")),
        _ => {}
    }
    let connector = match name.value.as_str() {
        "kafka" => Connector::Kafka(kafka::read(&mut options, path, columns, primary_key, usage)?),
        "upsert-kafka" => Connector::UpsertKafka(upsert_kafka::read(&mut options, columns, primary_key, usage)?),
        "jdbc" => Connector::Jdbc(jdbc::read(&mut options, columns, usage)?),
        "filesystem" => Connector::Filesystem(filesystem::read(&mut options, columns, usage)?),
        "datagen" => Connector::Datagen(datagen::read(&mut options, columns)?),
        "print" => {
            options.parallelism("sink.parallelism", usage == Usage::Sink)?;
            Connector::Print {
                identifier: options.take("print-identifier").map_or_else(String::new, |text| text.value),
                standard_error: Options::boolean(options.take("standard-error"))?,
            }
        }
        "blackhole" => Connector::Blackhole,
        other => {
            let message = format!(
                "Could not find any factory for identifier '{other}' that implements \
                 'org.apache.flink.table.factories.DynamicTableFactory' in the classpath.\n\nAvailable factory identifiers \
                 are:\n\n{}",
                CONNECTORS.join("\n")
            );
            let hint = match crate::functions::nearest(other, CONNECTORS.into_iter()) {
                Some(near) => format!("Did you mean '{near}'?"),
                None => format!("Available connectors are {}.", CONNECTORS.join(", ")),
            };
            return Err(SqlDiagnostic::new(name.span, message).with_hint(hint));
        }
    };
    connector.check_types(columns, primary_key).map_err(|message| {
        SqlDiagnostic::new(options.span(), message)
            .with_hint("Choose the format 'json', or cast such columns to STRING.")
    })?;
    if name.value != "datagen" {
        watermarks(&mut options, &name.value)?;
    }
    let notices = options.finish(&name.value)?;
    Ok((connector, notices))
}

impl Connector {
    /// Types that a format has no form for.
    fn check_types(&self, columns: &[PhysicalColumn], primary_key: &[usize]) -> Result<(), String> {
        let check = |format: &Format, of: &mut dyn Iterator<Item = usize>| {
            let columns: Vec<_> = of.map(|at| (columns[at].name.as_str(), columns[at].data_type.kind)).collect();
            check::types(format, &columns)
        };
        let (value, key, except) = match self {
            Self::Kafka(table) => {
                let key = table.key.as_ref().map(|key| (&key.format, key.fields.as_slice()));
                (&table.value, key, table.except_key)
            }
            Self::UpsertKafka(table) => (&table.value, Some((&table.key, primary_key)), table.except_key),
            Self::Filesystem(table) => (&table.format, None, false),
            _ => return Ok(()),
        };
        let in_key = |at: &usize| except && key.is_some_and(|(_, fields)| fields.contains(at));
        check(value, &mut (0..columns.len()).filter(|at| !in_key(at)))?;
        key.map_or(Ok(()), |(format, fields)| check(format, &mut fields.iter().copied()))
    }

    /// Metadata keys for a use, in Flink's order: the format's, then the connector's.
    #[must_use]
    pub fn metadata_keys(&self, usage: Usage) -> Vec<&'static str> {
        const TOPIC: [&str; 7] =
            ["topic", "partition", "headers", "leader-epoch", "offset", "timestamp", "timestamp-type"];
        const DEBEZIUM: [&str; 7] = [
            "value.schema",
            "value.ingestion-timestamp",
            "value.source.timestamp",
            "value.source.database",
            "value.source.schema",
            "value.source.table",
            "value.source.properties",
        ];
        const FILE: [&str; 4] = ["file.path", "file.name", "file.size", "file.modification-time"];
        let (topics, debezium) = match self {
            Self::Kafka(table) => (&table.topics, table.value.kind == ValueFormat::DebeziumJson),
            Self::UpsertKafka(table) => (&table.topics, false),
            Self::Filesystem(_) if usage == Usage::Source => return FILE.to_vec(),
            _ => return Vec::new(),
        };
        match usage {
            Usage::Source if debezium => [DEBEZIUM, TOPIC].concat(),
            Usage::Source => TOPIC.to_vec(),
            // Of one topic there is nothing to choose.
            Usage::Sink if topics.names.len() == 1 => vec!["headers", "timestamp"],
            Usage::Sink => vec!["topic", "headers", "timestamp"],
            Usage::Lookup => Vec::new(),
        }
    }

    /// The class that Flink names where metadata is wrong.
    pub(crate) const fn class(&self, usage: Usage) -> Option<&'static str> {
        match (self, usage) {
            (Self::Kafka(_) | Self::UpsertKafka(_), Usage::Sink) => {
                Some("org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicSink")
            }
            (Self::Kafka(_) | Self::UpsertKafka(_), _) => {
                Some("org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicSource")
            }
            (Self::Filesystem(_), Usage::Source) => Some("org.apache.flink.connector.file.table.FileSystemTableSource"),
            _ => None,
        }
    }

    /// The type of a metadata key for a use, if there is such a key.
    #[must_use]
    pub fn metadata(&self, key: &str, usage: Usage) -> Option<DataType> {
        if !self.metadata_keys(usage).contains(&key) {
            return None;
        }
        let text = LogicalType::STRING;
        Some(match key {
            "topic" | "timestamp-type" | "file.path" | "file.name" => text.nullable(false),
            "partition" => LogicalType::Int.nullable(false),
            "leader-epoch" => LogicalType::Int.nullable(true),
            "offset" | "file.size" => LogicalType::BigInt.nullable(false),
            "timestamp" | "file.modification-time" => LogicalType::TimestampLtz(3).nullable(usage == Usage::Sink),
            "headers" => {
                let sink = usage == Usage::Sink;
                LogicalType::map(text.nullable(sink), LogicalType::BYTES.nullable(sink)).nullable(sink)
            }
            "value.ingestion-timestamp" | "value.source.timestamp" => LogicalType::TimestampLtz(3).nullable(true),
            "value.source.properties" => LogicalType::map(text.nullable(true), text.nullable(true)).nullable(true),
            _ => text.nullable(true),
        })
    }
}
