//! Runs one source task: polls → appends → durable → complete → acknowledged.
//!
//! ```text
//!   start(durable progress)
//!        │        ┌─────────────────── in flight, in order, bounded in bytes ──────────────────┐
//!        ▼        ▼                                                                            │
//!      poll ─▶ append all partitions ─▶ … ─▶ front is durable ─▶ publish complete ─▶ acknowledge
//! ```
//! Invariants: a position is published and acknowledged only after **all** appends up to it, in every partition, are
//! durable; a task is never started while appends of the one before it are in flight, for their progress would be
//! missing and their rows would come twice.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use thm_api::{
    Append, Complete, ConnectorKind, Error, ErrorKind, Offset, PartitionProgress, Position, Result, SourceAppend,
    SourceBatch, SourceTask, Superseded, Supersession, TopicPartition,
};
use tokio_util::sync::CancellationToken;

use crate::context::WorkerContext;
use crate::dead_letter::Tolerance;
use crate::known_topics::KnownTopics;
use crate::names::{lineage_key, transformed_key};
use crate::retry::Retry;
use crate::supersede::Supersede;
use crate::transforms::source::SourceTransforms;

/// Runs the task until `stop`, or until it fails. After an error the caller may start another task at once.
pub(crate) async fn run(
    task: &mut dyn SourceTask,
    context: &WorkerContext,
    stop: &CancellationToken,
    retry: &mut Retry,
) -> Result<()> {
    let mut pipeline = Pipeline::new(context)?;
    let start = async {
        pipeline.obey_start_order().await?;
        task.start(pipeline.progress()?).await?;
        context.status.recovered();
        Ok(())
    };
    tokio::select! {
        started = start => started?,
        () = stop.cancelled() => return Ok(()),
    }
    // A panic must not leave appends in flight behind.
    let pumped = AssertUnwindSafe(pipeline.pump(task, stop, retry)).catch_unwind().await;
    let pumped = pumped.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal, "polling the source", format!("{} panicked", context.connector)))
    });
    let drained = pipeline.drain(task, pumped.is_ok()).await;
    pumped?;
    drained?;
    task.stop().await
}

/// One poll's appends, on their way to the disk.
struct InFlight {
    durable: BoxFuture<'static, Result<()>>,
    bytes: usize,
    records: u64,
    since: Instant,
    /// What may be told once it and everything before it is durable.
    complete: Option<Arc<Complete>>,
}

/// The way from the source to the log.
struct Pipeline<'a> {
    context: &'a WorkerContext,
    producer: Arc<str>,
    known: KnownTopics,
    /// Topics that are known to exist as the source wants them.
    created: HashMap<Arc<str>, u32>,
    /// Next offset of each partition.
    ends: BTreeMap<String, Vec<Option<Offset>>>,
    /// What that was when the task started, of topics that were there.
    starts: BTreeMap<String, Vec<Option<Offset>>>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// What becomes of records on their way; none: they go the direct way.
    transforms: Option<SourceTransforms>,
}

impl<'a> Pipeline<'a> {
    fn new(context: &'a WorkerContext) -> Result<Self> {
        let known = KnownTopics::load(&*context.state, &context.connector, ConnectorKind::Source)?;
        Ok(Self {
            context,
            producer: context.producer(),
            known,
            created: HashMap::new(),
            ends: BTreeMap::new(),
            starts: BTreeMap::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            transforms: SourceTransforms::from_config(&context.connector, &context.config, &context.log)?,
        })
    }

    /// `thm.start` tells the source to start over: topics that are gone are then no reason to stop.
    async fn obey_start_order(&mut self) -> Result<()> {
        match self.context.config.get("thm.start") {
            Some(order) => self.known.obey(&self.context.state, order, &self.context.log.topics()).await,
            None => Ok(()),
        }
    }

    /// Durable progress by partition; an error names a topic that is gone.
    fn progress(&mut self) -> Result<PartitionProgress> {
        let mut progress = PartitionProgress::new();
        let topics = self.context.log.topics();
        for (name, uuid) in self.known.iter() {
            let there = topics.iter().find(|topic| topic.spec.name == name);
            if there.is_none_or(|topic| topic.uuid != uuid) {
                return Err(Error::new(ErrorKind::TopicMissing, "starting the source", name).with_hint(format!(
                    "Its records were acknowledged to the database and are gone with the topic {name}. Start with \
                     thm.start=resnapshot to take everything anew."
                )));
            }
        }
        for topic in topics {
            let name: Arc<str> = topic.spec.name.as_str().into();
            let mine = self.known.get(&name).is_some();
            let mut ends = Vec::with_capacity(topic.partitions.len());
            for (number, info) in (0..).zip(&topic.partitions) {
                let partition = TopicPartition::new(Arc::clone(&name), number);
                let found = self.context.log.progress(&partition, &self.producer)?;
                if let Some(found) = found {
                    progress.insert(partition, found);
                }
                ends.push(Some(info.high_watermark));
            }
            if mine || progress.keys().any(|partition| partition.topic == name) {
                self.context.status.used_topic(&name);
                self.starts.insert(topic.spec.name.clone(), ends.clone());
                self.ends.insert(topic.spec.name, ends);
            }
        }
        let Some(transforms) = &mut self.transforms else { return Ok(progress) };
        let kept = self.context.state.get(&transformed_key(&self.context.connector))?;
        let kept = kept.and_then(|text| String::from_utf8(text).ok()).and_then(|text| text.parse().ok());
        if let Some(lineage) = self.context.state.get(&lineage_key(&self.context.connector))? {
            transforms.recall(&lineage);
        }
        Ok(transforms.begin(progress, kept))
    }

    /// The batch as the connector's transforms leave it, and what fails behind it.
    fn transform(&mut self, batch: SourceBatch) -> Result<(SourceBatch, Option<Error>)> {
        let Some(transforms) = &mut self.transforms else { return Ok((batch, None)) };
        let mut made = transforms.apply(batch);
        if !made.batch.incomplete.is_empty() {
            // Which topics a table's rows go to is not known before they do.
            made.batch.incomplete = self.ends.keys().cloned().collect();
            made.batch.incomplete.extend(made.batch.appends.iter().map(|append| append.topic.name.clone()));
        }
        if let Some(lineage) = transforms.learned() {
            self.context.state.put(&lineage_key(&self.context.connector), &lineage)?;
        }
        if let Some(position) = made.unkept {
            let key = transformed_key(&self.context.connector);
            self.context.state.put(&key, position.to_string().as_bytes())?;
        }
        Ok((made.batch, made.failed))
    }

    async fn pump(&mut self, task: &mut dyn SourceTask, stop: &CancellationToken, retry: &mut Retry) -> Result<()> {
        let limit = self.context.settings.source_in_flight_bytes;
        loop {
            let has_front = !self.in_flight.is_empty();
            let has_room = self.in_flight_bytes < limit;
            tokio::select! {
                biased;
                durable = front_durable(&mut self.in_flight), if has_front => {
                    if let Err(error) = durable {
                        // Its future is done and must not be waited for again.
                        self.in_flight.pop_front();
                        return Err(error);
                    }
                    self.settle_front(task).await?;
                    retry.succeeded();
                }
                () = stop.cancelled() => return Ok(()),
                polled = task.poll(), if has_room => {
                    let (batch, failed) = self.transform(polled?)?;
                    if !batch.superseded.is_empty() {
                        if !self.supersede(batch, task, stop).await? {
                            return Ok(());
                        }
                    } else if !batch.is_empty() {
                        self.append(batch).await?;
                    }
                    if let Some(error) = failed {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Queues everything of one poll.
    async fn append(&mut self, batch: SourceBatch) -> Result<()> {
        let (since, mut bytes, mut records) = (Instant::now(), 0, 0);
        let mut durables = Vec::with_capacity(batch.appends.len());
        for append in batch.appends {
            let partition = TopicPartition::new(self.create_topic(&append).await?, append.partition);
            bytes += append.batch.bytes.len();
            let count = append.batch.records;
            records += u64::from(count);
            // A batch without records creates its topic and moves its progress.
            let body = (count > 0).then_some(append.batch);
            let append = Append { batch: body, progress: Some((Arc::clone(&self.producer), append.progress)) };
            let appended = self.context.log.append(&partition, append).await?;
            let end = Offset(appended.base_offset.0 + i64::from(count));
            let ends = self.ends.get_mut(&*partition.topic);
            if let Some(slot) = ends.and_then(|ends| ends.get_mut(partition.partition as usize)) {
                *slot = Some(end);
            }
            durables.push(appended.durable);
        }
        let complete = batch.complete.map(|position| self.complete(position, &batch.incomplete));
        self.in_flight_bytes += bytes;
        let durable = try_join_all(durables).map(|all| all.map(drop)).boxed();
        self.in_flight.push_back(InFlight { durable, bytes, records, since, complete });
        Ok(())
    }

    /// Appends a batch after which rows of earlier records are no longer true, and what says so. False: a stop came
    /// first, and what the batch says of completeness is left unsaid.
    async fn supersede(
        &mut self,
        mut batch: SourceBatch,
        task: &mut dyn SourceTask,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let (superseded, complete) = (std::mem::take(&mut batch.superseded), batch.complete.take());
        let incomplete = std::mem::take(&mut batch.incomplete);
        self.append(batch).await?;
        self.drain(task, true).await?;
        for order in &superseded {
            if !self.supersede_topic(order, stop).await? {
                return Ok(false);
            }
        }
        self.append(SourceBatch { complete, incomplete, ..SourceBatch::default() }).await?;
        Ok(true)
    }

    async fn supersede_topic(&mut self, order: &Superseded, stop: &CancellationToken) -> Result<bool> {
        let topic = &order.topic.name;
        let ends = match order.by {
            Supersession::Snapshot => self.starts.get(topic),
            Supersession::Truncate => self.ends.get(topic),
        };
        for (number, boundary) in (0..).zip(ends.cloned().unwrap_or_default()) {
            let Some(boundary) = boundary else { continue };
            let partition = TopicPartition::new(topic.as_str(), number);
            let (log, producer) = (&*self.context.log, &self.producer);
            let done = Supersede { log, producer, partition: &partition, order, boundary, stop }.run().await?;
            if done.deletes + done.updates > 0 {
                let (deletes, updates) = (done.deletes, done.updates);
                tracing::info!(%partition, position = %order.position, deletes, updates, "told of rows that are gone");
                self.context.status.delivered(deletes + updates, 0, None);
            }
            if !done.whole {
                return Ok(false);
            }
            // What was appended here counts for what is complete from now on.
            let high = self.context.log.topic(topic).and_then(|found| found.partitions.get(number as usize).copied());
            let ends = self.ends.get_mut(topic).and_then(|ends| ends.get_mut(number as usize));
            if let (Some(high), Some(end)) = (high, ends) {
                *end = Some(high.high_watermark);
            }
        }
        Ok(true)
    }

    /// Makes sure that the topic is there; gives its name.
    async fn create_topic(&mut self, append: &SourceAppend) -> Result<Arc<str>> {
        let spec = &append.topic;
        let (name, partitions) = match self.created.get_key_value(spec.name.as_str()) {
            Some((name, partitions)) => (Arc::clone(name), *partitions),
            None => {
                let topic = self.context.log.create_topic(spec).await?;
                // Whoever has dealt with dead letters may remove them with their topic.
                if !self.is_dead_letters(&spec.name) {
                    self.known.note(&self.context.state, &[(spec.name.clone(), topic.uuid)]).await?;
                }
                let high = topic.partitions.iter().map(|info| Some(info.high_watermark)).collect();
                self.ends.entry(spec.name.clone()).or_insert(high);
                self.context.status.used_topic(&spec.name);
                let name: Arc<str> = spec.name.as_str().into();
                let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
                self.created.insert(Arc::clone(&name), partitions);
                (name, partitions)
            }
        };
        if append.partition < partitions {
            return Ok(name);
        }
        let object = format!("{}-{}", spec.name, append.partition);
        Err(Error::new(ErrorKind::TopicMissing, "appending to a partition", object))
    }

    fn is_dead_letters(&self, topic: &str) -> bool {
        let tolerance = Tolerance::from_config(&self.context.connector, &self.context.config);
        matches!(tolerance, Tolerance::All { topic: queue } if queue == topic)
    }

    /// The statement that all partitions but those of `incomplete` topics are complete up to `position`.
    fn complete(&self, position: Position, incomplete: &[String]) -> Arc<Complete> {
        let ends = self.ends.iter().filter(|(topic, _)| !incomplete.contains(topic));
        Arc::new(Complete { position, ends: ends.map(|(topic, ends)| (topic.clone(), ends.clone())).collect() })
    }

    /// The front is durable, and with it everything up to its position: says so.
    async fn settle_front(&mut self, task: &mut dyn SourceTask) -> Result<()> {
        let Some(done) = self.in_flight.pop_front() else { return Ok(()) };
        self.in_flight_bytes -= done.bytes;
        if done.records > 0 {
            self.context.status.delivered(done.records, done.bytes as u64, Some(done.since.elapsed()));
        }
        if let Some(complete) = done.complete {
            let position = complete.position;
            self.context.completeness.publish(&self.producer, complete);
            task.acknowledge(position).await?;
        }
        Ok(())
    }

    /// Waits until nothing is in flight; acknowledges what became durable if the task still works.
    async fn drain(&mut self, task: &mut dyn SourceTask, acknowledge: bool) -> Result<()> {
        let mut failed = Ok(());
        while let Some(front) = self.in_flight.front_mut() {
            let durable = (&mut front.durable).await;
            if durable.is_ok() && acknowledge && failed.is_ok() {
                failed = self.settle_front(task).await;
            } else {
                failed = failed.and(durable);
                self.in_flight.pop_front();
            }
        }
        failed
    }
}

/// Resolves when the oldest appends are durable; never while nothing is in flight.
async fn front_durable(in_flight: &mut VecDeque<InFlight>) -> Result<()> {
    match in_flight.front_mut() {
        Some(front) => (&mut front.durable).await,
        None => std::future::pending().await,
    }
}
