//! Signals: commands to a connector that runs, and what becomes of each.
//!
//! ```text
//!   INSERT INTO <signal.data.collection> ─▶ WAL ─▶ stream ──┐
//!   <signal.file>, a JSON object a line ────────────────────┼─▶ Signal {id, type, data} ─▶ Answer ─▶ log, metric
//!   <signal.kafka.topic>, key = topic.prefix ───────────────┘                                 └─▶ notification
//! ```
//! A row of the signal table is a row like any other besides: it goes to its topic. Its columns count by their place: id,
//! type, data. A signal that nobody can carry out is told of and never stops the task.
//!
//! Invariant: a signal is carried out at least once. A row's is not when its own record was durable at the start; those of
//! file and topic are put behind us when what they gave is durable.

pub mod channels;
mod file;
mod options;
mod topic;

use serde_json::Value;
use thm_codec::debezium::EventTime;

pub use self::options::SignalOptions;
use crate::column::Image;
use crate::notes::Note;
use crate::notifications::Notifier;
use crate::options::Options;
use crate::pgoutput::{Relation, Tuple};
use crate::table::Table;
use crate::types::Cell;

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// What its sender calls it.
    pub id: String,
    /// What is to be done; none where the row has NULL there.
    pub kind: Option<String>,
    /// JSON of the details; empty for none.
    pub data: String,
}

/// What is done about a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// Its message is logged.
    Log(String),
    /// It asks for a snapshot, or is about one.
    NoSnapshots,
    /// It is one of those that an incremental snapshot writes to itself, and none runs.
    NoWindow,
    /// It tells of a table's definition, which the stream itself tells here.
    NotNeeded,
    /// No signal has that type.
    Unknown,
    /// Its data is not a JSON object.
    Malformed,
    /// A field of its data is missing or is no text.
    Lacks(&'static str),
}

/// Signals about snapshots.
const SNAPSHOTS: [&str; 4] = ["execute-snapshot", "stop-snapshot", "pause-snapshot", "resume-snapshot"];
/// Signals that an incremental snapshot writes into the table.
const WINDOWS: [&str; 2] = ["snapshot-window-open", "snapshot-window-close"];

impl Signal {
    /// Reads a row as its records show it; `None`, told of, if it is no signal.
    pub(crate) fn of_row(table: &Table, tuple: &Tuple<'_>) -> Option<Self> {
        let mut texts = Vec::new();
        for (datum, column) in tuple.values().zip(&table.columns).filter(|(_, column)| column.in_rows) {
            let mut json = Vec::new();
            let cell = Cell { json: &mut json, column: None };
            let shown = column.write(datum, Image::Whole, cell).ok().and_then(|()| serde_json::from_slice(&json).ok());
            texts.push(match shown {
                Some(Value::String(text)) => Some(text),
                Some(Value::Null) => None,
                _ => {
                    let (table, column) = (table.full_name(), &column.name);
                    tracing::warn!(table, column, "row of the signal table is no signal: the column is not a text");
                    return None;
                }
            });
        }
        let columns = texts.len();
        let mut texts = texts.into_iter();
        if let (3, Some(id), Some(kind), Some(data)) = (columns, texts.next(), texts.next(), texts.next()) {
            return Some(Self { id: id.unwrap_or_default(), kind, data: data.unwrap_or_default() });
        }
        let table = table.full_name();
        tracing::warn!(
            table,
            columns,
            "row of the signal table is no signal: it must have three columns, id, type, data"
        );
        None
    }

    /// Reads a JSON object with `id`, `type` and `data`.
    pub(crate) fn of_json(text: &[u8]) -> Option<Self> {
        let object: Value = serde_json::from_slice(text).ok()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let data = object.get("data").filter(|data| !data.is_null());
        Some(Self { id: text("id")?, kind: Some(text("type")?), data: data.map(Value::to_string).unwrap_or_default() })
    }

    /// What is to be done; `place` stands for `{}` in messages.
    fn answer(&self, place: &str) -> Answer {
        let Some(kind) = self.kind.as_deref() else { return Answer::Unknown };
        let known = kind == "log" || kind == "schema-changes" || SNAPSHOTS.contains(&kind) || WINDOWS.contains(&kind);
        if !known {
            return Answer::Unknown;
        }
        let data =
            if self.data.is_empty() { Ok(Value::Object(Default::default())) } else { serde_json::from_str(&self.data) };
        match (kind, data) {
            (_, Ok(data)) if !data.is_object() => Answer::Malformed,
            (_, Err(_)) => Answer::Malformed,
            ("log", Ok(data)) => match data.get("message").and_then(Value::as_str).filter(|text| !text.is_empty()) {
                Some(text) => Answer::Log(text.replacen("{}", place, 1)),
                None => Answer::Lacks("message"),
            },
            ("schema-changes", _) => Answer::NotNeeded,
            (kind, _) if WINDOWS.contains(&kind) => Answer::NoWindow,
            _ => Answer::NoSnapshots,
        }
    }
}

/// One task's signals.
pub struct Signals {
    connector: String,
    /// The table whose rows are signals, as `schema.table`.
    table: Option<String>,
    /// Relations that are it.
    relations: Vec<u32>,
    notifier: Option<Notifier>,
}

impl Signals {
    /// By the options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        // Inserts that are left out are not looked at.
        let reads = options.signals.source && !options.skipped.contains(&b'c');
        Self {
            connector: options.prefix.clone(),
            table: options.signals.table.clone().filter(|_| reads),
            relations: Vec::new(),
            notifier: Notifier::new(options, &[]),
        }
    }

    /// Takes note of a table.
    pub fn meet(&mut self, relation: &Relation) {
        let name = || format!("{}.{}", relation.schema, relation.name);
        self.relations.retain(|oid| *oid != relation.oid);
        if self.table.as_ref().is_some_and(|table| *table == name()) {
            self.relations.push(relation.oid);
        }
    }

    /// Whether rows of that table are signals.
    #[must_use]
    pub fn reads(&self, relation: u32) -> bool {
        self.relations.contains(&relation)
    }

    /// Does what a signal says, or tells why not; gives the notification for the topic, if there is one. `place` is where
    /// the connector stands.
    pub fn obey(&mut self, signal: &Signal, place: &str, now: EventTime) -> Option<Note<'_>> {
        let (connector, id) = (self.connector.as_str(), signal.id.as_str());
        let kind = signal.kind.as_deref().unwrap_or("null");
        let answer = signal.answer(place);
        let label = match (&answer, kind) {
            (Answer::Unknown, _) => "unknown".to_owned(),
            (_, known) => known.to_owned(),
        };
        metrics::counter!("thm_source_signals_total", "type" => label).increment(1);
        match answer {
            Answer::Log(text) => tracing::info!(connector, id, "{text}"),
            Answer::NoSnapshots => {
                tracing::warn!(
                    connector,
                    id,
                    r#type = kind,
                    "signal refused: snapshots by signal are not available yet"
                );
                return self.notifier.as_mut().and_then(|notifier| notifier.refuse_signal(id, kind, now));
            }
            Answer::NoWindow => {
                tracing::info!(connector, id, r#type = kind, "signal ignored: no incremental snapshot runs")
            }
            Answer::NotNeeded => {
                tracing::warn!(
                    connector,
                    id,
                    r#type = kind,
                    "signal ignored: the stream itself tells of changed tables"
                );
            }
            Answer::Unknown => tracing::warn!(connector, id, r#type = kind, "signal ignored: its type is not known"),
            Answer::Malformed => {
                tracing::warn!(connector, id, r#type = kind, "signal ignored: its data is not a JSON object");
            }
            Answer::Lacks(field) => {
                tracing::warn!(
                    connector,
                    id,
                    r#type = kind,
                    field,
                    "signal ignored: its data lacks a field, or it is no text"
                );
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
