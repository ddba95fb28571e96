//! `MemoryLog`: a log without files, for tests of other crates.
//!
//! It keeps the promises of [`Log`] except survival. By default an append is durable at once;
//! [`MemoryLog::hold_durability`] holds appends back until it is let go, so that a test sees what its subject does
//! with records that are queued and not durable. Nothing is ever evicted, so `decoded` always comes back as given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use thm_api::{
    Append, Appended, Complete, Completeness, Error, ErrorKind, FetchedBatch, Log, Offset, PartitionInfo, Progress,
    ReadLimits, ReadResult, Result, Topic, TopicPartition, TopicSpec,
};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::{CompletenessBoard, batch, names};

/// As the embedded log's default.
const MAX_BATCH_BYTES: usize = 128 << 20;

/// Topics in memory.
#[derive(Debug, Default)]
pub struct MemoryLog {
    state: Mutex<State>,
    changes: watch::Sender<()>,
    board: CompletenessBoard,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, MemoryTopic>,
    held: bool,
}

#[derive(Debug)]
struct MemoryTopic {
    spec: TopicSpec,
    uuid: Uuid,
    partitions: Vec<MemoryPartition>,
}

#[derive(Debug, Default)]
struct MemoryPartition {
    durable: Vec<FetchedBatch>,
    log_start: i64,
    high_watermark: i64,
    next_offset: i64,
    progress: HashMap<Arc<str>, Progress>,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    batch: Option<FetchedBatch>,
    progress: Option<(Arc<str>, Progress)>,
    done: oneshot::Sender<()>,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// While held, appends are queued and nothing becomes durable; letting go makes all of it durable.
    pub fn hold_durability(&self, held: bool) {
        let mut state = self.state.lock();
        state.held = held;
        if !held {
            for partition in state.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
                partition.settle();
            }
            drop(state);
            self.changes.send_replace(());
        }
    }

    /// Forgets batches that end at or before `offset`, as retention would.
    pub fn cut(&self, partition: &TopicPartition, offset: Offset) -> Result<()> {
        let mut state = self.state.lock();
        let partition = state.partition(partition)?;
        partition.durable.retain(|batch| batch.next_offset() > offset);
        partition.log_start = partition.durable.first().map_or(partition.high_watermark, |batch| batch.base_offset.0);
        Ok(())
    }
}

impl State {
    fn partition(&mut self, partition: &TopicPartition) -> Result<&mut MemoryPartition> {
        let topic = self.topics.get_mut(&*partition.topic);
        topic
            .and_then(|topic| topic.partitions.get_mut(partition.partition as usize))
            .ok_or_else(|| names::missing(partition))
    }
}

impl MemoryPartition {
    fn settle(&mut self) {
        for pending in self.pending.drain(..) {
            if let Some(batch) = pending.batch {
                self.high_watermark = batch.next_offset().0;
                self.durable.push(batch);
            }
            if let Some((producer, progress)) = pending.progress {
                self.progress.insert(producer, progress);
            }
            // Nobody waits for it: fine.
            let _ = pending.done.send(());
        }
    }

    fn info(&self) -> PartitionInfo {
        PartitionInfo { log_start: Offset(self.log_start), high_watermark: Offset(self.high_watermark) }
    }

    fn batches(&self, from: i64, max_bytes: usize) -> Vec<FetchedBatch> {
        let first = self.durable.partition_point(|batch| batch.next_offset().0 <= from);
        let mut bytes = 0;
        let fits = |batch: &&FetchedBatch| {
            bytes += batch.batch.bytes.len();
            bytes <= max_bytes || bytes == batch.batch.bytes.len()
        };
        self.durable[first..].iter().take_while(fits).cloned().collect()
    }
}

impl MemoryTopic {
    fn describe(&self) -> Topic {
        let partitions = self.partitions.iter().map(MemoryPartition::info).collect();
        Topic { spec: self.spec.clone(), uuid: self.uuid, partitions }
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<Topic> {
        names::check_spec(spec)?;
        let mut state = self.state.lock();
        let topic = state.topics.entry(spec.name.clone()).or_insert_with(|| MemoryTopic {
            spec: spec.clone(),
            uuid: Uuid::new_v4(),
            partitions: (0..spec.partitions).map(|_| MemoryPartition::default()).collect(),
        });
        if topic.spec.partitions != spec.partitions {
            return Err(names::mismatch(spec, topic.spec.partitions));
        }
        Ok(topic.describe())
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        let removed = self.state.lock().topics.remove(name);
        self.changes.send_replace(());
        removed.map(drop).ok_or_else(|| Error::new(ErrorKind::TopicMissing, "deleting topic", name))
    }

    fn topics(&self) -> Vec<Topic> {
        self.state.lock().topics.values().map(MemoryTopic::describe).collect()
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        self.state.lock().topics.get(name).map(MemoryTopic::describe)
    }

    async fn append(&self, partition: &TopicPartition, append: Append) -> Result<Appended> {
        if let Some(batch) = &append.batch {
            batch::check(partition, batch, MAX_BATCH_BYTES)?;
        }
        let (done, settled) = oneshot::channel();
        let base_offset = {
            let mut state = self.state.lock();
            let held = state.held;
            let target = state.partition(partition)?;
            let base_offset = target.next_offset;
            let producer = append.progress.as_ref().map(|(producer, _)| Arc::clone(producer));
            let batch = append.batch.map(|mut batch| {
                batch.bytes = batch::with_base_offset(batch.bytes, base_offset);
                FetchedBatch { base_offset: Offset(base_offset), batch, producer }
            });
            target.next_offset += batch.as_ref().map_or(0, |batch| i64::from(batch.batch.records));
            target.pending.push(Pending { batch, progress: append.progress, done });
            if !held {
                target.settle();
            }
            base_offset
        };
        self.changes.send_replace(());
        let object = partition.to_string();
        let lost = move |_| Error::new(ErrorKind::TopicMissing, "appending to", object);
        Ok(Appended { base_offset: Offset(base_offset), durable: Box::pin(async move { settled.await.map_err(lost) }) })
    }

    async fn read(&self, partition: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<ReadResult> {
        let mut changes = self.changes.subscribe();
        let deadline = tokio::time::Instant::now() + limits.max_wait;
        loop {
            let result = {
                let mut state = self.state.lock();
                let target = state.partition(partition)?;
                let PartitionInfo { log_start, high_watermark } = target.info();
                if from < log_start || from > high_watermark {
                    return Err(names::out_of_range(partition, from.0, log_start.0, high_watermark.0));
                }
                ReadResult { batches: target.batches(from.0, limits.max_bytes), high_watermark, log_start }
            };
            if !result.batches.is_empty() || limits.max_wait.is_zero() {
                return Ok(result);
            }
            // The sender lives in self, so an error here can only be the deadline.
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return Ok(result);
            }
        }
    }

    fn progress(&self, partition: &TopicPartition, producer: &str) -> Result<Option<Progress>> {
        Ok(self.state.lock().partition(partition)?.progress.get(producer).copied())
    }
}

impl Completeness for MemoryLog {
    fn publish(&self, producer: &str, complete: Arc<Complete>) {
        self.board.publish(producer, complete);
    }

    fn watch(&self, topic: &str) -> watch::Receiver<Option<Arc<Complete>>> {
        self.board.watch(topic)
    }
}
