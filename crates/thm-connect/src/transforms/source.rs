//! A chain over a source's batches: records with their schemas in, records in their converters' form out.
//!
//! ```text
//!   append pg.public.a ┐            ┌ by topic and partition ┐             ┌─▶ append cdc  (a and b, in commit order)
//!   append pg.public.b ┴─▶ chain ──▶┤ sorted by position     ├─▶ convert ──┤
//!                                   └ what is there already ─┴─▶ dropped   └─▶ … no record left: progress alone
//! ```
//! Invariants: within a topic records stand in commit order, whatever tables they come from; each append's progress says
//! that everything of its batch is dealt with, so what was filtered out is not asked for again; after a restart the source
//! gives everything since the slot's place, and what a topic has already is dropped here, topic by topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use thm_api::{
    ConnectorConfig, ConnectorKind, Error, ErrorKind, Log, LogBatch, Lsn, PartitionProgress, Position, Progress,
    Result, SourceAppend, SourceBatch, Superseded, Supersession, TopicPartition, TopicSpec,
};
use thm_codec::connect::SchemaReader;
use thm_codec::murmur2;
use thm_codec::record_batch::{BatchWriter, HeaderBlock, Record, records};

use super::Chain;
use super::converter::{self, Converter, Role};
use super::header_text;
use super::record::{ConnectRecord, DataError, Header};
use crate::dead_letter::Tolerance;

/// Stands before a topic's name where the source must not take it for one of its own.
const NOT_YOURS: &str = "transformed/";

/// Whether records go from the source to the log as they are.
fn is_direct(config: &ConnectorConfig) -> bool {
    config.list("transforms").is_empty() && converter::are_the_sources_own(config)
}

/// What a source task is told of its options: it gives records, and keys in headers, with schemas and with NULL as NULL,
/// unless they go to the log as they are; and it knows the name of its dead letter queue, if it has one.
pub(crate) fn task_config(connector: &str, config: &ConnectorConfig) -> ConnectorConfig {
    let mut values = config.values().clone();
    if let Tolerance::All { topic } = Tolerance::from_config(connector, config) {
        values.insert("errors.deadletterqueue.topic.name".to_owned(), topic);
    }
    if is_direct(config) {
        return ConnectorConfig::new(values);
    }
    for side in ["key", "value", "header"] {
        values.retain(|name, _| !name.starts_with(&format!("{side}.converter")));
        values.insert(format!("{side}.converter"), "org.apache.kafka.connect.json.JsonConverter".to_owned());
        values.insert(format!("{side}.converter.schemas.enable"), "true".to_owned());
    }
    ConnectorConfig::new(values)
}

/// Topic and partition.
type Place = (String, u32);

/// A record that is ready to be written.
struct Outgoing {
    position: Position,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: HeaderBlock,
}

/// Where a record failed, by Connect's names.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
}

/// Why a record cannot be written.
struct Failure {
    stage: Stage,
    error: DataError,
}

impl Stage {
    const fn failed(self, error: DataError) -> Failure {
        Failure { stage: self, error }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
        }
    }

    const fn doing(self) -> &'static str {
        match self {
            Self::Transformation => "transforming a record",
            Self::KeyConverter => "writing a record's key with key.converter",
            Self::ValueConverter => "writing a record's value with value.converter",
            Self::HeaderConverter => "writing a record's headers with header.converter",
        }
    }
}

/// A record that fails the task, and where it stands.
struct Stopped {
    at: Position,
    error: Error,
}

/// The transforms of one run of a source.
pub(crate) struct SourceTransforms {
    connector: Arc<str>,
    log: Arc<dyn Log>,
    chain: Chain,
    /// Readers of keys and values, by the source's topics.
    readers: HashMap<String, (SchemaReader, SchemaReader)>,
    key: Converter,
    value: Converter,
    header: Converter,
    /// What becomes of a record that cannot be transformed.
    tolerance: Tolerance,
    /// What partitions had when the task started.
    had: HashMap<TopicPartition, Position>,
    /// Topics written to, as the log has them.
    specs: HashMap<String, Arc<TopicSpec>>,
    /// Which of the source's topics each topic was made from, now or in earlier runs.
    made_from: BTreeMap<String, Vec<String>>,
    /// That is more than what was kept of it.
    learned: bool,
    /// Where the last record went.
    last: Option<Place>,
    /// Snapshots of tables that are over while that of others is not.
    superseded: Vec<Superseded>,
}

/// A batch, transformed.
pub(crate) struct Transformed {
    pub(crate) batch: SourceBatch,
    /// There is no topic that could hold the progress: it must be kept elsewhere.
    pub(crate) unkept: Option<Position>,
    /// A record that fails the task: the batch is what stood before it.
    pub(crate) failed: Option<Error>,
}

impl SourceTransforms {
    /// None: the connector has no transforms, and its source writes what the converters ask for.
    pub(crate) fn from_config(
        connector: &Arc<str>,
        config: &ConnectorConfig,
        log: &Arc<dyn Log>,
    ) -> Result<Option<Self>> {
        if is_direct(config) {
            return Ok(None);
        }
        let chain = Chain::from_config(config, ConnectorKind::Source)?.unwrap_or_default();
        Ok(Some(Self {
            connector: Arc::clone(connector),
            log: Arc::clone(log),
            chain,
            readers: HashMap::new(),
            key: Converter::from_config(config, Role::Key)?,
            value: Converter::from_config(config, Role::Value)?,
            header: Converter::from_config(config, Role::Header)?,
            tolerance: Tolerance::from_config(connector, config),
            had: HashMap::new(),
            specs: HashMap::new(),
            made_from: BTreeMap::new(),
            learned: false,
            last: None,
            superseded: Vec::new(),
        }))
    }

    /// Takes the durable progress in; gives what the source may know of it: how far it got, but not where.
    pub(crate) fn begin(&mut self, progress: PartitionProgress, kept: Option<Position>) -> PartitionProgress {
        self.had = progress.iter().map(|(partition, progress)| (partition.clone(), progress.position)).collect();
        self.last = self.had.keys().next().map(|partition| (partition.topic.to_string(), partition.partition));
        let hidden = progress.into_iter().map(|(partition, progress)| {
            let topic = format!("{NOT_YOURS}{}", partition.topic);
            (TopicPartition::new(topic, partition.partition), progress)
        });
        let kept = kept.map(|position| (TopicPartition::new(NOT_YOURS, 0), Progress::at(position)));
        hidden.chain(kept).collect()
    }

    /// Takes in what earlier runs made topics of.
    pub(crate) fn recall(&mut self, kept: &[u8]) {
        self.made_from = serde_json::from_slice(kept).unwrap_or_default();
    }

    /// What topics are made of, if that is more than at the last call: to be kept before the records are durable.
    pub(crate) fn learned(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.learned).then(|| serde_json::to_vec(&self.made_from).unwrap_or_default())
    }

    /// Transforms what one poll gave, or what of it stands before a record that fails.
    pub(crate) fn apply(&mut self, batch: SourceBatch) -> Transformed {
        let SourceBatch { appends, complete, incomplete, superseded } = batch;
        let (mut out, mut end, mut stopped) = (BTreeMap::new(), None, None::<Stopped>);
        for append in &appends {
            end = end.max(Some(append.progress.position));
            let Err(stop) = self.append(append, &mut out) else { continue };
            if stopped.as_ref().is_none_or(|before| stop.at < before.at) {
                stopped = Some(stop);
            }
            if stopped.as_ref().is_some_and(|stop| stop.at.is_snapshot()) {
                // All rows of a snapshot stand in one place, so only their order says which come before.
                break;
            }
        }
        if let Some(Stopped { at, error }) = stopped {
            let batch = SourceBatch { appends: self.before(at, out, &appends), ..SourceBatch::default() };
            return Transformed { batch, unkept: None, failed: Some(error) };
        }
        let progress = Progress::at(end.unwrap_or_default());
        let mut made = Vec::with_capacity(out.len());
        for ((topic, partition), records) in out {
            made.push(self.write(&topic, partition, records, progress));
            self.last = Some((topic, partition));
        }
        let mut unkept = None;
        if let (true, Some(end)) = (made.is_empty(), end) {
            match self.last.clone() {
                Some((topic, partition)) => made.push(self.write(&topic, partition, Vec::new(), progress)),
                None => unkept = Some(end),
            }
        }
        let superseded = self.superseded(superseded, complete);
        let batch = SourceBatch { appends: made, complete, incomplete, superseded };
        Transformed { batch, unkept, failed: None }
    }

    /// The records that stand before a place, whatever topic they came from.
    fn before(
        &mut self,
        at: Position,
        out: BTreeMap<Place, Vec<Outgoing>>,
        appends: &[SourceAppend],
    ) -> Vec<SourceAppend> {
        let keeps = |position: &Position| *position < at || at.is_snapshot();
        let given = appends.iter().flat_map(|append| append.batch.positions.iter().copied());
        let progress = Progress::at(given.filter(keeps).max().unwrap_or_default());
        let mut made = Vec::with_capacity(out.len());
        for ((topic, partition), mut records) in out {
            records.retain(|record| keeps(&record.position));
            if !records.is_empty() {
                made.push(self.write(&topic, partition, records, progress));
            }
        }
        made
    }

    fn append(&mut self, append: &SourceAppend, out: &mut BTreeMap<Place, Vec<Outgoing>>) -> Result<(), Stopped> {
        if append.batch.records == 0 {
            return Ok(());
        }
        // Nothing that stands before it is told apart.
        let unreadable = |error| {
            let doing = "reading a source's batch";
            let error = Error::new(ErrorKind::Internal, doing, append.topic.name.clone()).with_source(error);
            Stopped { at: Position::new(Lsn(0), 1), error }
        };
        let positions = append.batch.positions.iter().copied();
        let topic = append.topic.name.as_str();
        for (record, position) in records(&append.batch.bytes).map_err(unreadable)?.zip(positions) {
            let record = record.map_err(unreadable)?;
            // What the source itself could not read stays as it is.
            let letter = matches!(&self.tolerance, Tolerance::All { topic: queue } if queue == topic);
            let made = if letter {
                Ok(self.letter(topic, &record, position, &[]))
            } else {
                self.record(topic, &record, position)
            };
            match made {
                Ok(None) => {}
                Ok(Some((place, outgoing))) => out.entry(place).or_default().push(outgoing),
                Err(failure) => {
                    let refused = self.refuse(topic, &record, position, failure);
                    if let Some((place, letter)) = refused.map_err(|error| Stopped { at: position, error })? {
                        out.entry(place).or_default().push(letter);
                    }
                }
            }
        }
        Ok(())
    }

    /// A record that cannot be transformed: it fails the task, or goes to the dead letter queue as the source gave it.
    fn refuse(
        &self,
        topic: &str,
        record: &Record,
        position: Position,
        Failure { stage, error }: Failure,
    ) -> Result<Option<(Place, Outgoing)>> {
        let Tolerance::All { topic: queue } = &self.tolerance else {
            let object = format!("{topic} at {position}");
            return Err(Error::new(ErrorKind::TransformFailed, stage.doing(), object).with_source(error));
        };
        let reason = error.to_string();
        let context = [
            ("topic", topic),
            ("connector.name", &*self.connector),
            ("task.id", "0"),
            ("stage", stage.name()),
            ("exception.class.name", ErrorKind::TransformFailed.code()),
            ("exception.message", reason.as_str()),
        ];
        let letter = self.letter(queue, record, position, &context);
        if letter.is_some() {
            metrics::counter!("thm_connect_transform_refused_records", "connector" => self.connector.to_string())
                .increment(1);
            tracing::warn!(connector = %self.connector, topic, %position, stage = stage.name(), %error, queue,
                "record refused, written to the dead letter queue");
        }
        Ok(letter)
    }

    /// A record of the dead letter queue; none if it is there already.
    fn letter(
        &self,
        queue: &str,
        record: &Record,
        position: Position,
        context: &[(&str, &str)],
    ) -> Option<(Place, Outgoing)> {
        if self.had.get(&TopicPartition::new(queue, 0)).is_some_and(|had| position <= *had) {
            return None;
        }
        let mut headers = HeaderBlock::default();
        for (name, value) in record.headers.iter() {
            headers.push(&String::from_utf8_lossy(&name), value.as_deref());
        }
        for (name, value) in context {
            headers.push(&format!("__connect.errors.{name}"), Some(value.as_bytes()));
        }
        let bytes = |part: &Option<Bytes>| part.as_ref().map(|bytes| bytes.to_vec());
        let (key, value) = (bytes(&record.key), bytes(&record.value));
        let letter = Outgoing { position, timestamp_ms: record.timestamp_ms, key, value, headers };
        Some(((queue.to_owned(), 0), letter))
    }

    /// One record: where it goes, and what it is there. None: it was dropped, or is there already.
    fn record(
        &mut self,
        topic: &str,
        record: &Record,
        position: Position,
    ) -> Result<Option<(Place, Outgoing)>, Failure> {
        if !self.readers.contains_key(topic) {
            self.readers.insert(topic.to_owned(), Default::default());
        }
        let Some((keys, values)) = self.readers.get_mut(topic) else { return Ok(None) };
        let unreadable = |error: thm_codec::connect::JsonError| {
            Stage::Transformation.failed(DataError(format!("unreadable record: {error}")))
        };
        let given = ConnectRecord {
            topic: topic.to_owned(),
            partition: None,
            key: keys.read(record.key.as_deref()).map_err(unreadable)?,
            value: values.read(record.value.as_deref()).map_err(unreadable)?,
            headers: record.headers.iter().map(|it| header(keys, it)).collect(),
            timestamp_ms: None,
            offset: None,
        };
        let made = self.chain.apply(given).map_err(|error| Stage::Transformation.failed(error))?;
        let Some(made) = made else { return Ok(None) };
        let mut headers = HeaderBlock::default();
        for header in &made.headers {
            let text = self.header.bytes(&header.part).map_err(|error| Stage::HeaderConverter.failed(error))?;
            headers.push(&header.name, text.as_deref());
        }
        let key = self.key.bytes(&made.key).map_err(|error| Stage::KeyConverter.failed(error))?;
        let value = self.value.bytes(&made.value).map_err(|error| Stage::ValueConverter.failed(error))?;
        let partitions = self.spec(&made.topic).partitions;
        let partition = match (made.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => murmur2::partition_for_key(key, partitions),
            (None, None) => 0,
        };
        let sources = self.made_from.entry(made.topic.clone()).or_default();
        if !sources.iter().any(|known| known == topic) {
            sources.push(topic.to_owned());
            self.learned = true;
        }
        let place = TopicPartition::new(made.topic.as_str(), partition);
        if self.had.get(&place).is_some_and(|had| position <= *had) {
            return Ok(None);
        }
        let timestamp_ms = made.timestamp_ms.unwrap_or(record.timestamp_ms);
        Ok(Some(((made.topic, partition), Outgoing { position, timestamp_ms, key, value, headers })))
    }

    /// The topic as the log has it, or as it will be made.
    fn spec(&mut self, topic: &str) -> Arc<TopicSpec> {
        if let Some(known) = self.specs.get(topic) {
            return Arc::clone(known);
        }
        let found = self.log.topic(topic).map(|found| found.spec);
        let spec = Arc::new(found.unwrap_or_else(|| TopicSpec::new(topic)));
        self.specs.insert(topic.to_owned(), Arc::clone(&spec));
        spec
    }

    fn write(&mut self, topic: &str, partition: u32, mut found: Vec<Outgoing>, progress: Progress) -> SourceAppend {
        // Stable: the records of one change stay in their order.
        found.sort_by_key(|record| record.position);
        let mut writer = BatchWriter::new();
        for record in &found {
            writer.push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &record.headers);
        }
        let positions = found.iter().map(|record| record.position).collect();
        let count = writer.len();
        let bytes = if count == 0 { Bytes::new() } else { writer.finish() };
        let batch = LogBatch { bytes, records: count, positions, decoded: None };
        SourceAppend { topic: self.spec(topic), partition, batch, progress }
    }

    /// What the source says of its own topics, said of those that were made from them.
    fn superseded(&mut self, orders: Vec<Superseded>, complete: Option<Position>) -> Vec<Superseded> {
        let mut now = Vec::new();
        for order in orders {
            match order.by {
                Supersession::Snapshot => self.superseded.push(order),
                // Which rows of other topics were the table's, nobody can tell.
                Supersession::Truncate if self.made_from.contains_key(&order.topic.name) => now.push(order),
                Supersession::Truncate => {
                    tracing::warn!(connector = %self.connector, topic = order.topic.name,
                        "a table was truncated: its rows stay in the topics that transforms made from it");
                }
            }
        }
        let over = |order: &Superseded| complete == Some(Position::end_of(order.position.commit_end));
        if self.superseded.first().is_some_and(over) {
            // A topic may hold rows of several tables: only when all of them were read is it known what is gone.
            let orders = std::mem::take(&mut self.superseded);
            let topics: Vec<_> = self.had.keys().map(|partition| partition.topic.to_string()).collect();
            for topic in topics {
                if matches!(&self.tolerance, Tolerance::All { topic: queue } if *queue == topic) {
                    continue;
                }
                let sources = self.made_from.get(&topic);
                let of = |order: &&Superseded| sources.is_none_or(|from| from.contains(&order.topic.name));
                // What is made of heartbeats and the like alone holds no rows.
                if let Some(order) = orders.iter().find(of) {
                    now.push(Superseded { topic: self.spec(&topic), ..order.clone() });
                }
            }
        }
        now
    }
}

/// Headers that the source names in this way hold a key, with its schema.
const KEYS: [&[u8]; 2] = [b"__debezium.newkey", b"__debezium.oldkey"];

fn header(keys: &mut SchemaReader, (name, value): (Bytes, Option<Bytes>)) -> Header {
    let key = KEYS.contains(&&*name).then(|| keys.read(value.as_deref()).ok()).flatten();
    let part = key.unwrap_or_else(|| header_text::read(value.as_deref()));
    Header { name: String::from_utf8_lossy(&name).into_owned(), part }
}

#[cfg(test)]
mod tests;
