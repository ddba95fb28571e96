//! A sink whose target is a list in memory and whose faults are queued.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use thm_api::{
    BatchPolicy, ConfigDef, ConfigIssue, ConfigKey, ConfigType, Connector, ConnectorConfig, ConnectorKind, Error,
    ErrorKind, Generation, Offset, RejectedRecord, Result, SinkBatch, SinkPartition, SinkTask, Support, Task,
    TaskContext, TopicPartition,
};
use uuid::Uuid;

/// What one attempt does.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Fails before anything is written.
    Fail(ErrorKind),
    /// Refuses the records with these values, each time they come.
    Refuse(Vec<&'static str>),
    /// Writes, and never answers.
    WriteAndHang,
    /// Panics.
    Panic,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub partition: TopicPartition,
    pub uuid: Uuid,
    pub generation: Generation,
    pub first: i64,
    pub last: i64,
    pub values: Vec<String>,
}

#[derive(Debug, Default)]
pub struct TargetState {
    pub faults: VecDeque<Fault>,
    pub refused: Vec<&'static str>,
    pub attempts: Vec<Attempt>,
    /// Values by partition and offset, written once or more.
    pub rows: BTreeMap<(TopicPartition, i64), Vec<String>>,
    pub opens: u32,
    pub closes: u32,
    /// What `open` says it holds.
    pub holds: Vec<(TopicPartition, Offset)>,
    /// How far `flush` goes at most: a target that finishes later.
    pub finished: Option<Offset>,
    /// Whether each range must be committed before the next.
    pub commit_before_next: bool,
    /// Whether `open` remembers what was written, as a target with a fence does.
    pub has_fence: bool,
}

/// The outside system.
#[derive(Debug)]
pub struct Target {
    pub state: Mutex<TargetState>,
    pub policy: BatchPolicy,
}

impl Target {
    pub fn new(max_records: usize, frozen: bool) -> Arc<Self> {
        let policy = BatchPolicy { max_records, max_bytes: 1 << 20, linger: Duration::ZERO, frozen };
        Arc::new(Self { state: Mutex::default(), policy })
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().faults.push_back(fault);
    }

    /// Every value in offset order.
    pub fn values(&self) -> Vec<String> {
        let state = self.state.lock();
        state.rows.values().filter_map(|written| written.last().cloned()).collect()
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.state.lock().attempts.clone()
    }
}

/// The class.
pub struct FakeSink(pub Arc<Target>);

const KEYS: &[ConfigKey] = &[
    ConfigKey { required: true, ..ConfigKey::new("url", ConfigType::String, None, "Where to.") },
    ConfigKey::new("password", ConfigType::Password, Some(""), "A secret."),
    ConfigKey { support: Support::Refused, ..ConfigKey::new("upside.down", ConfigType::Boolean, Some("false"), "No.") },
    ConfigKey { support: Support::NoEffect, ..ConfigKey::new("colour", ConfigType::String, Some("red"), "No.") },
];

#[async_trait]
impl Connector for FakeSink {
    fn class(&self) -> &'static str {
        "test.FakeSinkConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        &ConfigDef { keys: KEYS }
    }

    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue> {
        let bad = config.get("url").is_some_and(|url| url == "bad");
        bad.then(|| ConfigIssue::error("url", "Invalid value bad for configuration url: bad")).into_iter().collect()
    }

    async fn check(&self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn task(&self, _: TaskContext) -> Result<Task> {
        Ok(Task::Sink(Box::new(FakeTask {
            target: Arc::clone(&self.0),
            generation: Generation(0),
            next: BTreeMap::new(),
        })))
    }
}

struct FakeTask {
    target: Arc<Target>,
    generation: Generation,
    next: BTreeMap<TopicPartition, Offset>,
}

#[async_trait]
impl SinkTask for FakeTask {
    fn batch_policy(&self) -> BatchPolicy {
        self.target.policy
    }

    async fn open(&mut self, _: &[SinkPartition], generation: Generation) -> Result<Vec<(TopicPartition, Offset)>> {
        let mut state = self.target.state.lock();
        state.opens += 1;
        self.generation = generation;
        self.next.clear();
        if state.has_fence {
            let mut held = BTreeMap::new();
            for (partition, offset) in state.rows.keys() {
                held.insert(partition.clone(), Offset(offset + 1));
            }
            return Ok(held.into_iter().collect());
        }
        Ok(state.holds.clone())
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        let hang = self.attempt(&batch)?;
        if hang {
            std::future::pending::<()>().await;
        }
        self.next.insert(batch.partition.partition.clone(), Offset(batch.last.0 + 1));
        Ok(())
    }

    fn commit_before_next(&self) -> bool {
        self.target.state.lock().commit_before_next
    }

    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        let finished = self.target.state.lock().finished.unwrap_or(Offset(i64::MAX));
        Ok(self.next.iter().map(|(partition, next)| (partition.clone(), finished.min(*next))).collect())
    }

    async fn close(&mut self) {
        self.target.state.lock().closes += 1;
    }
}

impl FakeTask {
    fn attempt(&self, batch: &SinkBatch) -> Result<bool> {
        let mut state = self.target.state.lock();
        let partition = batch.partition.partition.clone();
        let value = |record: &thm_api::SinkRecord| {
            String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
        };
        state.attempts.push(Attempt {
            partition: partition.clone(),
            uuid: batch.partition.topic_uuid,
            generation: self.generation,
            first: batch.first.0,
            last: batch.last.0,
            values: batch.records().map(value).collect(),
        });
        let mut hang = false;
        match state.faults.pop_front() {
            None => {}
            Some(Fault::Fail(kind)) => return Err(Error::new(kind, "writing", "the fake target")),
            Some(Fault::Refuse(values)) => state.refused.extend(values),
            Some(Fault::WriteAndHang) => hang = true,
            Some(Fault::Panic) => panic!("queued"),
        }
        let refused: Vec<RejectedRecord> = batch
            .records()
            .filter(|record| state.refused.iter().any(|refused| *refused == value(record)))
            .map(|record| RejectedRecord {
                partition: partition.clone(),
                offset: record.offset,
                reason: format!("field v: {} is refused", value(record)),
            })
            .collect();
        if !refused.is_empty() {
            return Err(Error::new(ErrorKind::RecordRejected, "writing", "the fake target").with_rejected(refused));
        }
        for record in batch.records() {
            state.rows.entry((partition.clone(), record.offset.0)).or_default().push(value(record));
        }
        Ok(hang)
    }
}
