//! Records beside the rows: where transactions begin and end, and logical messages.
//!
//! ```text
//!   transaction ─▶ pg.transaction  BEGIN ─ rows in their own topics, each with its order ─ END with counts
//!   pg_logical_emit_message ─▶ pg.message
//! ```
//! Invariant: a note stands at its own position in its own topic, so that a restart gives none twice and leaves none out.

use std::sync::Arc;

use regex::Regex;
use thm_api::{ConnectorConfig, Lsn, Result, TopicSpec};
use thm_codec::debezium::{
    Change, Envelope, EventTime, Schema, SchemaKind, source_schema, transaction_schema, write_int, write_transaction,
};
use thm_codec::java_json::write_string;
use thm_codec::java_text::sort_as_hash_map;

use crate::options::{BinaryMode, Options, expression_list};
use crate::output::Frame;
use crate::types::write_bytes;

/// How many changes a transaction gave, in all and by table.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    total: u64,
    by_table: Vec<(String, u64)>,
}

impl Counts {
    /// Counts one more change of a table: its place in the transaction and among the table's changes.
    pub fn next(&mut self, table: &str) -> (u64, u64) {
        self.total += 1;
        let index = self.by_table.iter().position(|(name, _)| name == table).unwrap_or_else(|| {
            self.by_table.push((table.to_owned(), 0));
            self.by_table.len() - 1
        });
        self.by_table[index].1 += 1;
        (self.total, self.by_table[index].1)
    }
}

/// A record with its topic.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Where it goes.
    pub topic: &'a Arc<TopicSpec>,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Which prefixes of logical messages are captured.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl MessageFilter {
    /// Reads `message.prefix.include.list` and `message.prefix.exclude.list`.
    ///
    /// # Errors
    /// Names the option that is no list of expressions.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        Ok(Self {
            include: expression_list(config, "message.prefix.include.list")?,
            exclude: expression_list(config, "message.prefix.exclude.list")?,
        })
    }

    /// Whether messages of that prefix are captured.
    #[must_use]
    pub fn includes(&self, prefix: &str) -> bool {
        let any = |list: &[Regex]| list.iter().any(|expression| expression.is_match(prefix));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// Writes notes.
pub struct NoteWriter {
    transactions: Option<Kind>,
    messages: Kind,
    filter: MessageFilter,
    envelope: Envelope,
    binary: BinaryMode,
    older: bool,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// One kind of note.
struct Kind {
    topic: Arc<TopicSpec>,
    key_frame: Frame,
    value_frame: Frame,
}

impl NoteWriter {
    /// By the connector's options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let kind = |topic: &str, key: &Schema, value: &Schema| Kind {
            topic: Arc::new(TopicSpec::new(options.naming.other(topic))),
            key_frame: Frame::new(options.output.key, key),
            value_frame: Frame::new(options.output.value, value),
        };
        let (key, value) = transaction_schemas();
        let (message_key, message) = message_schemas(options);
        Self {
            transactions: options.transactions.then(|| kind(&options.transaction_topic, &key, &value)),
            messages: kind("message", &message_key, &message),
            filter: options.messages.clone(),
            envelope: Envelope::new(options.envelope, &options.prefix, &options.database, "", "")
                .with_null_markers(options.output.tells_nulls),
            binary: options.modes.binary,
            older: options.modes.older,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Whether transactions are told of.
    #[must_use]
    pub const fn tells_transactions(&self) -> bool {
        self.transactions.is_some()
    }

    /// The note of a transaction's begin: `lsn` is that of its first change.
    pub fn begin(&mut self, tx_id: u64, lsn: u64, commit_us: i64) -> Option<Note<'_>> {
        self.transaction("BEGIN", (tx_id, lsn), commit_us, |value| {
            value.extend_from_slice(b",\"event_count\":null,\"data_collections\":null");
        })
    }

    /// The note of its end: `lsn` is the end of its commit.
    pub fn end(&mut self, tx_id: u64, lsn: u64, commit_us: i64, mut counts: Counts) -> Option<Note<'_>> {
        sort_as_hash_map(&mut counts.by_table, |(name, _)| name);
        self.transaction("END", (tx_id, lsn), commit_us, |value| {
            value.extend_from_slice(b",\"event_count\":");
            write_int(value, counts.total);
            value.extend_from_slice(b",\"data_collections\":[");
            for (place, (name, count)) in counts.by_table.iter().enumerate() {
                value.extend_from_slice(if place == 0 { b"{" } else { b",{" });
                value.extend_from_slice(b"\"data_collection\":");
                write_string(value, name);
                value.extend_from_slice(b",\"event_count\":");
                write_int(value, *count);
                value.push(b'}');
            }
            value.push(b']');
        })
    }

    fn transaction(
        &mut self,
        status: &str,
        (tx_id, lsn): (u64, u64),
        commit_us: i64,
        counts: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Note<'_>> {
        let kind = self.transactions.as_ref()?;
        let id = format!("{tx_id}:{lsn}");
        let (key, value) = (&mut self.key, &mut self.value);
        key.clear();
        value.clear();
        kind.key_frame.open(key);
        key.extend_from_slice(format!("{{\"id\":\"{id}\"}}").as_bytes());
        kind.key_frame.close(key);
        kind.value_frame.open(value);
        value.extend_from_slice(format!("{{\"status\":\"{status}\",\"id\":\"{id}\"").as_bytes());
        counts(value);
        value.extend_from_slice(b",\"ts_ms\":");
        write_int(value, commit_us.div_euclid(1_000));
        value.push(b'}');
        kind.value_frame.close(value);
        Some(Note { topic: &kind.topic, key, value })
    }

    /// Whether a message of that prefix counts as a change of its transaction: under 2.7 none does.
    #[must_use]
    pub fn tells_message(&self, prefix: &str) -> bool {
        !self.older && self.filter.includes(prefix)
    }

    /// The note of a logical message, unless its prefix is left out.
    pub fn message(&mut self, prefix: &str, content: &[u8], change: &Change<'_>, now: EventTime) -> Option<Note<'_>> {
        if !self.filter.includes(prefix) {
            return None;
        }
        let kind = &self.messages;
        let (key, value) = (&mut self.key, &mut self.value);
        key.clear();
        value.clear();
        kind.key_frame.open(key);
        key.extend_from_slice(b"{\"prefix\":");
        write_string(key, prefix);
        key.push(b'}');
        kind.key_frame.close(key);
        kind.value_frame.open(value);
        value.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
        write_int(value, now.0.div_euclid(1_000_000));
        self.envelope.write_source(value, change);
        if !self.older {
            value.extend_from_slice(b",\"transaction\":");
            write_transaction(value, change);
        }
        value.extend_from_slice(b",\"message\":{\"prefix\":");
        write_string(value, prefix);
        value.extend_from_slice(b",\"content\":\"");
        write_bytes(value, content, self.binary);
        value.extend_from_slice(b"\"}}");
        kind.value_frame.close(value);
        Some(Note { topic: &kind.topic, key, value })
    }
}

/// What the end of a transaction calls a logical message in it. The real connector prints a Java object of each message,
/// which has an address in memory where this has the message's LSN, so that a replay gives the same.
#[must_use]
pub fn message_collection(lsn: Lsn) -> String {
    const CLASS: &str = "io.debezium.connector.postgresql.LogicalDecodingMessageMonitor$LogicalDecodingMessageId";
    format!("{CLASS}@{:x}", lsn.0)
}

fn transaction_schemas() -> (Schema, Schema) {
    let text = || Schema::plain("string");
    let number = || Schema::plain("int64");
    let key = Schema::fields([("id", text())]).named("io.debezium.connector.common.TransactionMetadataKey", 1);
    let of_table = Schema::fields([("data_collection", text()), ("event_count", number())]);
    let tables = Schema::of(SchemaKind::Array(Box::new(of_table.named("event.collection", 1).or_null())));
    let fields = [
        ("status", text()),
        ("id", text()),
        ("event_count", number().or_null()),
        ("data_collections", tables.or_null()),
        ("ts_ms", number()),
    ];
    (key, Schema::fields(fields).named("io.debezium.connector.common.TransactionMetadataValue", 1))
}

fn message_schemas(options: &Options) -> (Schema, Schema) {
    let prefix = || Schema::plain("string").or_null();
    let bytes = Schema::plain(if options.modes.binary == BinaryMode::Bytes { "bytes" } else { "string" });
    let message = Schema::fields([("prefix", prefix()), ("content", bytes.or_null())]);
    let mut fields = vec![
        ("op".to_owned(), Schema::plain("string")),
        ("ts_ms".to_owned(), Schema::plain("int64").or_null()),
        ("source".to_owned(), source_schema(options.envelope)),
        ("transaction".to_owned(), transaction_schema()),
        ("message".to_owned(), message.named("io.debezium.connector.postgresql.Message", 1)),
    ];
    fields.retain(|(name, _)| name != "transaction" || !options.modes.older);
    let key = Schema::fields([("prefix", prefix())]).named("io.debezium.connector.postgresql.MessageKey", 1);
    (key, Schema::of(SchemaKind::Struct(fields)).named("io.debezium.connector.postgresql.MessageValue", 1))
}
