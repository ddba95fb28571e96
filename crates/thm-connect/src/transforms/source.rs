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
    ConnectorConfig, ConnectorKind, Error, ErrorKind, Log, LogBatch, PartitionProgress, Position, Progress, Result,
    SourceAppend, SourceBatch, Superseded, Supersession, TopicPartition, TopicSpec,
};
use thm_codec::connect::SchemaReader;
use thm_codec::murmur2;
use thm_codec::record_batch::{BatchWriter, HeaderBlock, Record, records};

use super::Chain;
use super::converter::{self, Converter, Role};
use super::header_text;
use super::record::{ConnectRecord, DataError, Header};

/// Stands before a topic's name where the source must not take it for one of its own.
const NOT_YOURS: &str = "transformed/";

/// Whether records go from the source to the log as they are.
fn is_direct(config: &ConnectorConfig) -> bool {
    config.list("transforms").is_empty() && converter::are_the_sources_own(config)
}

/// What a source task is told of its options: it gives records, and keys in headers, with schemas and with NULL as NULL,
/// unless they go to the log as they are.
pub(crate) fn task_config(config: &ConnectorConfig) -> ConnectorConfig {
    if is_direct(config) {
        return config.clone();
    }
    let mut values = config.values().clone();
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
    /// `errors.tolerance=all`: a record that cannot be transformed is left out.
    tolerant: bool,
    /// What partitions had when the task started.
    had: HashMap<TopicPartition, Position>,
    /// Topics written to, as the log has them.
    specs: HashMap<String, Arc<TopicSpec>>,
    /// Which of the source's topics each topic was made from.
    made_from: BTreeMap<String, Vec<String>>,
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
            tolerant: config.text("errors.tolerance", "none") == "all",
            had: HashMap::new(),
            specs: HashMap::new(),
            made_from: BTreeMap::new(),
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

    /// Transforms what one poll gave.
    pub(crate) fn apply(&mut self, batch: SourceBatch) -> Result<Transformed> {
        let SourceBatch { appends, complete, incomplete, superseded } = batch;
        let (mut out, mut end) = (BTreeMap::new(), None);
        for append in &appends {
            end = end.max(Some(append.progress.position));
            self.append(append, &mut out)?;
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
        Ok(Transformed { batch: SourceBatch { appends: made, complete, incomplete, superseded }, unkept })
    }

    fn append(&mut self, append: &SourceAppend, out: &mut BTreeMap<Place, Vec<Outgoing>>) -> Result<()> {
        if append.batch.records == 0 {
            return Ok(());
        }
        let unreadable = |error| {
            Error::new(ErrorKind::Internal, "reading a source's batch", append.topic.name.clone()).with_source(error)
        };
        let positions = append.batch.positions.iter().copied();
        for (record, position) in records(&append.batch.bytes).map_err(unreadable)?.zip(positions) {
            let record = record.map_err(unreadable)?;
            match self.record(&append.topic.name, &record, position) {
                Ok(None) => {}
                Ok(Some((place, outgoing))) => out.entry(place).or_default().push(outgoing),
                Err(error) if self.tolerant => {
                    metrics::counter!("thm_connect_transform_skipped_records", "connector" => self.connector.to_string())
                        .increment(1);
                    tracing::warn!(connector = %self.connector, topic = append.topic.name, %position, %error,
                        "record cannot be transformed and is left out");
                }
                Err(error) => {
                    let object = format!("{} at {position}", append.topic.name);
                    return Err(
                        Error::new(ErrorKind::TransformFailed, "transforming a record", object).with_source(error)
                    );
                }
            }
        }
        Ok(())
    }

    /// One record: where it goes, and what it is there. None: it was dropped, or is there already.
    fn record(
        &mut self,
        topic: &str,
        record: &Record,
        position: Position,
    ) -> Result<Option<(Place, Outgoing)>, DataError> {
        if !self.readers.contains_key(topic) {
            self.readers.insert(topic.to_owned(), Default::default());
        }
        let Some((keys, values)) = self.readers.get_mut(topic) else { return Ok(None) };
        let unreadable = |error: thm_codec::connect::JsonError| DataError(format!("unreadable record: {error}"));
        let given = ConnectRecord {
            topic: topic.to_owned(),
            partition: None,
            key: keys.read(record.key.as_deref()).map_err(unreadable)?,
            value: values.read(record.value.as_deref()).map_err(unreadable)?,
            headers: record.headers.iter().map(|it| header(keys, it)).collect(),
            timestamp_ms: None,
            offset: None,
        };
        let Some(made) = self.chain.apply(given)? else { return Ok(None) };
        let (key, value) = (self.key.bytes(&made.key)?, self.value.bytes(&made.value)?);
        let partitions = self.spec(&made.topic).partitions;
        let partition = match (made.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => murmur2::partition_for_key(key, partitions),
            (None, None) => 0,
        };
        let sources = self.made_from.entry(made.topic.clone()).or_default();
        if !sources.iter().any(|known| known == topic) {
            sources.push(topic.to_owned());
        }
        let place = TopicPartition::new(made.topic.as_str(), partition);
        if self.had.get(&place).is_some_and(|had| position <= *had) {
            return Ok(None);
        }
        let mut headers = HeaderBlock::default();
        for header in &made.headers {
            headers.push(&header.name, self.header.bytes(&header.part)?.as_deref());
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
                let sources = self.made_from.get(&topic);
                let is_from = |order: &&Superseded| sources.is_some_and(|from| from.contains(&order.topic.name));
                if let Some(order) = orders.iter().find(is_from).or(orders.first()) {
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use thm_api::Lsn;

    use super::*;

    fn append(topic: &str, ordinals: &[u64]) -> SourceAppend {
        let mut writer = BatchWriter::new();
        for ordinal in ordinals {
            let value = format!(r#"{{"schema":{{"type":"int64","optional":false}},"payload":{ordinal}}}"#);
            writer.push(1, None, Some(value.as_bytes()), &HeaderBlock::default());
        }
        let at = |ordinal: &u64| Position::new(Lsn(5), *ordinal);
        let positions: Arc<[Position]> = ordinals.iter().map(at).collect();
        let progress = Progress::at(positions.last().copied().unwrap());
        let batch = LogBatch { records: writer.len(), bytes: writer.finish(), positions, decoded: None };
        SourceAppend { topic: Arc::new(TopicSpec::new(topic)), partition: 0, batch, progress }
    }

    #[test]
    fn records_of_several_tables_stand_in_commit_order_in_one_topic() {
        let options = [
            ("transforms", "one"),
            ("transforms.one.type", "RegexRouter"),
            ("transforms.one.regex", "[ab]"),
            ("transforms.one.replacement", "ab"),
        ];
        let options: BTreeMap<_, _> = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let log: Arc<dyn Log> = Arc::new(thm_log::MemoryLog::new());
        let config = ConnectorConfig::new(options);
        let mut transforms = SourceTransforms::from_config(&"c".into(), &config, &log).unwrap().unwrap();
        let had = TopicPartition::new("ab", 0);
        transforms.begin(HashMap::from([(had, Progress::at(Position::new(Lsn(5), 1)))]), None);
        let appends = vec![append("a", &[1, 4, 5]), append("b", &[2, 3]), append("c", &[7])];
        let made = transforms.apply(SourceBatch { appends, ..SourceBatch::default() }).unwrap();
        assert_eq!(made.unkept, None);
        let shown: Vec<_> = made
            .batch
            .appends
            .iter()
            .map(|append| {
                let values = records(&append.batch.bytes).unwrap().map(|record| record.unwrap().value.unwrap());
                let values: Vec<_> = values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
                let ordinals: Vec<_> = append.batch.positions.iter().map(|position| position.ordinal).collect();
                (append.topic.name.as_str(), values.join(","), ordinals, append.progress.position.ordinal)
            })
            .collect();
        // The first was there already; both know that everything up to 7 is dealt with.
        let ab = ("ab", "2,3,4,5".to_owned(), vec![2, 3, 4, 5], 7);
        assert_eq!(shown, [ab, ("c", "7".to_owned(), vec![7], 7)]);
    }
}
