//! Topics that a sink writes, and their partitions.
//!
//! ```text
//!   a row's topic ──┬─ open ─▶ its partition, by key
//!                   ├─ one of the sink's ─▶ created if need be, opened with what each partition has been told
//!                   └─ any other ─▶ an error of the row
//! ```
//! Invariant: a partition is opened before the first row of this run is weighed against it, with the progress that the
//! log has of it. So a topic that a run before wrote, and this one has not named yet, still tells what is there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use thm_api::{Error, ErrorKind, Log, Progress, Result, TopicPartition, TopicSpec};
use thm_codec::record_batch::BatchWriter;

use crate::connector::kafka::{Partitioner, Topics, is_topic_name};
use crate::planner::TopicSink;

/// A partition that is written.
pub(super) struct Partition {
    pub at: TopicPartition,
    pub writer: BatchWriter,
    /// Rows of the batch at hand that are in the writer.
    pub rows: Vec<u32>,
    /// By input, what the partition has been told: rows at or below it are in the topic already, of a run before or of
    /// this one.
    pub told: Vec<Option<Progress>>,
}

/// A topic whose partitions are open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// Where its partitions begin among all.
    first: usize,
    count: u32,
}

impl Target {
    /// The partition of a record: the same one at every run, for what is there already is told by partition.
    pub fn partition(self, partitioner: Partitioner, key: Option<&[u8]>, offset: i64) -> usize {
        let within = match partitioner {
            _ if self.count == 1 => 0,
            Partitioner::RoundRobin => usize::try_from(offset.rem_euclid(i64::from(self.count))).unwrap_or(0),
            Partitioner::Default => {
                key.map_or(0, |key| thm_codec::murmur2::partition_for_key(key, self.count) as usize)
            }
            Partitioner::Fixed => 0,
        };
        self.first + within
    }
}

/// All topics of a sink.
pub(super) struct Targets {
    log: Arc<dyn Log>,
    topics: Topics,
    /// Names of the job's inputs as producers.
    producers: Vec<Arc<str>>,
    open: HashMap<String, Target>,
    /// That of a sink with one topic, which no row has to name.
    only: Option<Target>,
    pub partitions: Vec<Partition>,
}

impl Targets {
    /// Opens the topic of a sink that has one; those of the others are opened when a row names them.
    pub async fn new(log: Arc<dyn Log>, sink: &TopicSink, producers: Vec<Arc<str>>) -> Result<Self> {
        let topics = sink.topics.clone();
        let mut out = Self { log, topics, producers, open: HashMap::new(), only: None, partitions: Vec::new() };
        if let Some(only) = sink.topics.single() {
            out.only = Some(out.add(only).await?);
        }
        Ok(out)
    }

    /// Names of the topics that are open.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.open.keys().map(String::as_str)
    }

    /// The topic of a row; `at` says for an error which row it is.
    pub async fn of_row(&mut self, column: Option<&ArrayRef>, row: usize, at: impl Fn() -> String) -> Result<Target> {
        if let Some(only) = self.only {
            return Ok(only);
        }
        let name = column.filter(|column| column.is_valid(row)).map(|column| column.as_string::<i32>().value(row));
        if let Some(target) = name.and_then(|name| self.open.get(name)) {
            return Ok(*target);
        }
        let wrong = |message: String| {
            Error::new(ErrorKind::Evaluation, "writing a row", at())
                .with_source(message)
                .with_hint("Give each row one of the sink's topics in its METADATA column 'topic'.")
        };
        let Some(name) = name else {
            let message = "The topic of the sink record is not valid. Expected a single topic but no topic is set.";
            return Err(wrong(message.to_owned()));
        };
        if !self.topics.has(name) {
            let expected = match &self.topics.pattern {
                Some(pattern) => format!("Expected topic to match: {pattern}"),
                None => format!("Expected topic to be in: [{}]", self.topics.names.join(", ")),
            };
            return Err(wrong(format!("The topic of the sink record is not valid. {expected} but was: {name}")));
        }
        if !is_topic_name(name) {
            return Err(wrong(format!("Invalid topics: [{name}]")));
        }
        self.add(name).await
    }

    async fn add(&mut self, name: &str) -> Result<Target> {
        let topic = match self.log.topic(name) {
            Some(topic) => topic,
            None => self.log.create_topic(&TopicSpec::new(name)).await?,
        };
        let count = u32::try_from(topic.partitions.len()).unwrap_or(1).max(1);
        let name: Arc<str> = name.into();
        let of = |number| {
            let at = TopicPartition::new(Arc::clone(&name), number);
            let told: Result<Vec<_>> = self.producers.iter().map(|name| self.log.progress(&at, name)).collect();
            Ok(Partition { at, told: told?, writer: BatchWriter::new(), rows: Vec::new() })
        };
        let partitions: Vec<Partition> = (0..count).map(of).collect::<Result<_>>()?;
        let target = Target { first: self.partitions.len(), count };
        self.partitions.extend(partitions);
        self.open.insert(name.to_string(), target);
        Ok(target)
    }
}
