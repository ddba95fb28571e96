//! A log that remembers the order of appends, in front of the real one.
//!
//! A topic's records have an order of their own, but the recordings also tell the order across topics. Ours is that of
//! the records' positions (commit order), and for equal positions that of the appends.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use thm_api::{
    Append, Appended, Log, Offset, Position, Progress, ReadLimits, ReadResult, Result, Topic, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::records;
use thm_log::EmbeddedLog;

use crate::normalise::Record;

/// Where one record went: its place in the order, partition and offset.
type Place = (Position, usize, TopicPartition, i64);

/// The log and the order of what it took.
pub struct Recorder {
    log: Arc<EmbeddedLog>,
    places: Mutex<Vec<Place>>,
}

impl Recorder {
    /// In front of `log`.
    pub fn new(log: Arc<EmbeddedLog>) -> Self {
        Self { log, places: Mutex::new(Vec::new()) }
    }

    /// How many records came so far.
    pub fn count(&self) -> usize {
        self.places.lock().unwrap().len()
    }

    /// All records as a reader of the topics gets them, in the order in which the connector sent them.
    pub async fn records(&self) -> Vec<Record> {
        let mut places = self.places.lock().unwrap().clone();
        places.sort_by_key(|(position, append, ..)| (*position, *append));
        let mut found = std::collections::HashMap::new();
        for topic in self.log.topics() {
            for partition in 0..topic.spec.partitions {
                let partition = TopicPartition::new(topic.spec.name.as_str(), partition);
                self.read(&partition, &mut found).await;
            }
        }
        places.iter().filter_map(|(_, _, partition, offset)| found.remove(&(partition.clone(), *offset))).collect()
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        found: &mut std::collections::HashMap<(TopicPartition, i64), Record>,
    ) {
        let limits = ReadLimits { max_bytes: 1 << 24, max_wait: std::time::Duration::ZERO };
        let mut from = Offset(0);
        loop {
            let read = self.log.read(partition, from, limits).await.unwrap();
            for fetched in &read.batches {
                for (number, record) in (0..).zip(records(&fetched.batch.bytes).unwrap()) {
                    let record = record.unwrap();
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let headers = record.headers.iter().map(|(name, value)| {
                        let value = value.map_or_else(crate::json::Json::null, |v| crate::json::Json::text(&text(&v)));
                        (text(&name), value)
                    });
                    let shown = Record {
                        topic: partition.topic.to_string(),
                        partition: partition.partition,
                        key: Record::of_bytes(record.key.as_deref()),
                        value: Record::of_bytes(record.value.as_deref()),
                        headers: headers.collect(),
                    };
                    found.insert((partition.clone(), fetched.base_offset.0 + number), shown);
                }
                from = fetched.next_offset();
            }
            if read.batches.is_empty() || from >= read.high_watermark {
                return;
            }
        }
    }
}

#[async_trait]
impl Log for Recorder {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<Topic> {
        self.log.create_topic(spec).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.log.delete_topic(name).await
    }

    fn topics(&self) -> Vec<Topic> {
        self.log.topics()
    }

    async fn append(&self, partition: &TopicPartition, append: Append) -> Result<Appended> {
        let batch = append.batch.clone();
        let appended = self.log.append(partition, append).await?;
        if let Some(batch) = batch {
            let mut places = self.places.lock().unwrap();
            for (number, record) in (0..batch.records).enumerate() {
                let position = batch.positions.get(number).copied().unwrap_or_default();
                let place = places.len();
                places.push((position, place, partition.clone(), appended.base_offset.0 + i64::from(record)));
            }
        }
        Ok(appended)
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<ReadResult> {
        self.log.read(partition, from, limits).await
    }

    fn progress(&self, partition: &TopicPartition, producer: &str) -> Result<Option<Progress>> {
        self.log.progress(partition, producer)
    }
}
