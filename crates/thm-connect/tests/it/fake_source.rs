//! A source whose database is a list of rows in memory and whose faults are queued.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use thm_api::{
    ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, Error, ErrorKind, LogBatch, Lsn,
    PartitionProgress, Position, Progress, Result, SourceAppend, SourceBatch, SourceTask, Task, TaskContext,
    TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

#[derive(Clone, Copy, Debug)]
pub enum PollFault {
    Fail(ErrorKind),
    Panic,
}

#[derive(Debug, Default)]
pub struct DatabaseState {
    /// Topic and value; the row's commit is its index plus one.
    pub rows: Vec<(&'static str, String)>,
    /// What happens at a poll, before its rows are given; none for a good poll.
    pub faults: VecDeque<Option<PollFault>>,
    pub acknowledged: Vec<u64>,
    pub starts: Vec<PartitionProgress>,
    pub stops: u32,
    /// Whether each poll also names an empty topic.
    pub empty_topic: bool,
}

#[derive(Debug, Default)]
pub struct Database(pub Mutex<DatabaseState>);

impl Database {
    pub fn insert(&self, topic: &'static str, values: &[&str]) {
        self.0.lock().rows.extend(values.iter().map(|value| (topic, (*value).to_owned())));
    }

    pub fn acknowledged(&self) -> u64 {
        self.0.lock().acknowledged.last().copied().unwrap_or_default()
    }
}

pub struct FakeSource(pub Arc<Database>);

#[async_trait]
impl Connector for FakeSource {
    fn class(&self) -> &'static str {
        "test.FakeSourceConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn exclusive(&self, config: &ConnectorConfig) -> Vec<(String, &'static str)> {
        config
            .get("slot.name")
            .map(|slot| (format!("the slot {slot}"), "Choose another slot.name."))
            .into_iter()
            .collect()
    }

    fn config_def(&self) -> &ConfigDef {
        &ConfigDef { keys: &[] }
    }

    fn validate(&self, _: &ConnectorConfig) -> Vec<ConfigIssue> {
        Vec::new()
    }

    async fn check(&self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn task(&self, _: TaskContext) -> Result<Task> {
        Ok(Task::Source(Box::new(FakeTask {
            database: Arc::clone(&self.0),
            progress: PartitionProgress::new(),
            next: 0,
        })))
    }
}

struct FakeTask {
    database: Arc<Database>,
    progress: PartitionProgress,
    next: usize,
}

fn commit(index: usize) -> Position {
    Position::new(Lsn(index as u64 + 1), 1)
}

fn append(topic: &str, value: Option<&str>, position: Position) -> SourceAppend {
    let mut writer = BatchWriter::new();
    if let Some(value) = value {
        writer.push(1, Some(value.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
    }
    let records = writer.len();
    let bytes = if records > 0 { writer.finish() } else { bytes::Bytes::new() };
    let positions: Arc<[Position]> = vec![position; records as usize].into();
    SourceAppend {
        topic: Arc::new(TopicSpec::new(topic)),
        partition: 0,
        batch: LogBatch { bytes, records, positions, decoded: None },
        progress: Progress::at(position),
    }
}

#[async_trait]
impl SourceTask for FakeTask {
    async fn start(&mut self, progress: PartitionProgress) -> Result<()> {
        let mut state = self.database.0.lock();
        state.starts.push(progress.clone());
        self.next = usize::try_from(state.acknowledged.last().copied().unwrap_or_default()).unwrap();
        drop(state);
        self.progress = progress;
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        // One row a poll.
        {
            let mut state = self.database.0.lock();
            match state.faults.pop_front().flatten() {
                None => {}
                Some(PollFault::Fail(kind)) => return Err(Error::new(kind, "polling", "the fake database")),
                Some(PollFault::Panic) => panic!("queued"),
            }
            if let Some((topic, value)) = state.rows.get(self.next).cloned() {
                let position = commit(self.next);
                self.next += 1;
                let seen =
                    self.progress.get(&TopicPartition::new(topic, 0)).is_some_and(|seen| seen.position >= position);
                let mut appends = Vec::new();
                if !seen {
                    appends.push(append(topic, Some(&value), position));
                }
                if state.empty_topic {
                    appends.push(append("empty", None, position));
                }
                return Ok(SourceBatch { appends, complete: Some(position), ..SourceBatch::default() });
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(SourceBatch::default())
    }

    async fn acknowledge(&mut self, position: Position) -> Result<()> {
        self.database.0.lock().acknowledged.push(position.commit_end.0);
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        self.database.0.lock().stops += 1;
        Ok(())
    }
}
