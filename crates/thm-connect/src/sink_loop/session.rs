//! From one `open` of a sink task to the next: a fixed set of partitions, delivered until something changes.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::select_all;
use thm_api::{
    BatchPolicy, Error, ErrorKind, Generation, Offset, PartitionInfo, Policy, RejectedRecord, Result, SinkBatch,
    SinkPartition, SinkTask, TopicPartition,
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::partition::{MAX_RANGES_AHEAD, PartitionState, Start, in_range};
use crate::assignment::Wanted;
use crate::context::WorkerContext;
use crate::dead_letter::{self, DeadLetters, Tolerance};
use crate::decode::record_bytes;
use crate::known_topics::KnownTopics;
use crate::retry::Retry;
use crate::transforms::sink::SinkTransforms;

/// How often a running sink looks for new partitions and recreated topics.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Most ranges that may await their commit: they are stored again with each new one.
const MAX_UNCOMMITTED_RANGES: usize = 16 + MAX_RANGES_AHEAD;
/// Least bytes of a batch, however many partitions share the buffer.
const MIN_BATCH_BYTES: usize = 64 << 10;

/// Partitions to read, with what the log has of them.
pub(super) type Assigned = Vec<(SinkPartition, PartitionInfo)>;

/// Why a session ended well.
pub(super) enum End {
    Stopped,
    Reassign,
}

/// One session.
pub(super) struct Session<'a> {
    task: &'a mut dyn SinkTask,
    context: &'a WorkerContext,
    group: &'a str,
    wanted: &'a Wanted,
    assigned: Assigned,
    generation: Generation,
    policy: BatchPolicy,
    /// Bytes that a partition's reader may hold.
    share: usize,
    tolerance: Tolerance,
    parts: Vec<PartitionState>,
    /// What becomes of records before the task gets them.
    transforms: Option<SinkTransforms>,
    /// Which partition is asked first, so that none starves.
    turn: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        task: &'a mut dyn SinkTask,
        context: &'a WorkerContext,
        group: &'a str,
        wanted: &'a Wanted,
        assigned: Assigned,
    ) -> Result<Self> {
        let mut policy = task.batch_policy();
        let share = (context.settings.sink_buffer_bytes / assigned.len().max(1)).max(MIN_BATCH_BYTES);
        policy.max_bytes = policy.max_bytes.min(share);
        let tolerance = Tolerance::from_config(&context.connector, &context.config);
        let generation = context.offsets.committed(group).generation;
        let transforms = SinkTransforms::from_config(&context.config)?;
        let parts = Vec::new();
        let turn = 0;
        Ok(Self {
            task,
            context,
            group,
            wanted,
            assigned,
            generation,
            policy,
            share,
            tolerance,
            parts,
            transforms,
            turn,
        })
    }

    /// Opens the task and delivers until told to stop or the topics change.
    pub(super) async fn run(
        &mut self,
        known: &mut KnownTopics,
        stop: &CancellationToken,
        retry: &mut Retry,
    ) -> Result<End> {
        tokio::select! {
            opened = self.open(known) => opened?,
            () = stop.cancelled() => return Ok(End::Stopped),
        }
        let end = self.pump(stop, retry).await?;
        self.flush().await?;
        self.commit().await?;
        Ok(end)
    }

    async fn open(&mut self, known: &mut KnownTopics) -> Result<()> {
        let recreated = self.forget_recreated(known).await?;
        let partitions: Vec<SinkPartition> = self.assigned.iter().map(|(partition, _)| partition.clone()).collect();
        let limit = self.context.settings.write_timeout;
        let held = in_time(limit, "opening the sink", self.task.open(&partitions, self.generation)).await?;
        let held: HashMap<TopicPartition, Offset> = held.into_iter().collect();
        let committed = self.context.offsets.committed(self.group).offsets;
        self.parts.clear();
        for (partition, info) in self.assigned.clone() {
            let name = &partition.partition;
            let committed = committed.get(name).copied().filter(|_| !recreated.contains(&partition.topic_uuid));
            let cursor = held.get(name).copied().or(committed).unwrap_or(info.log_start);
            let (generation, frozen) = (self.generation, self.policy.frozen);
            let start = Start { cursor, committed, share: self.share };
            self.parts.push(PartitionState::new(self.context, generation, partition, info, start, frozen)?);
        }
        let parts = &self.parts;
        self.context.cursors.hold(parts.iter().map(PartitionState::place));
        self.context.status.retain_lags(|name| parts.iter().any(|part| part.reader.partition().partition == *name));
        // A target that opens may still refuse to be written to: only a delivery ends the trouble then.
        if parts.iter().all(|part| part.reader.cursor() >= part.reader.high_watermark()) {
            self.context.status.recovered();
        }
        tracing::info!(connector = %self.context.connector, partitions = self.parts.len(), "sink opened");
        Ok(())
    }

    /// Commits the start of topics that were recreated under their old name: what the group has is of the old one.
    async fn forget_recreated(&mut self, known: &mut KnownTopics) -> Result<Vec<Uuid>> {
        let is_new = |partition: &SinkPartition| {
            known.get(&partition.partition.topic).is_some_and(|uuid| uuid != partition.topic_uuid)
        };
        let recreated: Assigned = self.assigned.iter().filter(|(partition, _)| is_new(partition)).cloned().collect();
        if !recreated.is_empty() {
            let starts: Vec<_> =
                recreated.iter().map(|(partition, info)| (partition.partition.clone(), info.log_start)).collect();
            self.context.offsets.commit(self.group, self.generation, &starts).await?;
            tracing::warn!(connector = %self.context.connector, ?starts, "topic was recreated, starting it anew");
        }
        let named = |(partition, _): &(SinkPartition, PartitionInfo)| {
            (partition.partition.topic.to_string(), partition.topic_uuid)
        };
        let now: Vec<(String, Uuid)> = self.assigned.iter().map(named).collect();
        known.note(&self.context.state, &now).await?;
        Ok(recreated.into_iter().map(|(partition, _)| partition.topic_uuid).collect())
    }

    async fn pump(&mut self, stop: &CancellationToken, retry: &mut Retry) -> Result<End> {
        let mut commits = ticker(self.context.settings.commit_interval);
        let mut scans = ticker(SCAN_INTERVAL);
        let tick_every = self.task.tick_interval();
        let mut ticks = ticker(tick_every.unwrap_or(SCAN_INTERVAL));
        loop {
            let ready = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Stopped),
                _ = commits.tick() => { self.commit().await?; continue }
                _ = ticks.tick(), if tick_every.is_some() => { self.tick().await?; continue }
                _ = scans.tick() => {
                    if self.topics_changed() { return Ok(End::Reassign) }
                    continue
                }
                ready = self.next_ready() => ready,
            };
            match ready {
                Ok(index) => self.deliver(index, retry).await?,
                // Deleted under us: the next session reads what is left.
                Err(error) if error.kind() == ErrorKind::TopicMissing => return Ok(End::Reassign),
                Err(error) => return Err(self.explain(error)),
            }
        }
    }

    /// The first partition with a batch to cut. Cancel-safe.
    async fn next_ready(&mut self) -> Result<usize> {
        let (log, policy, turn) = (&*self.context.log, &self.policy, self.turn);
        let mut fills: Vec<_> = self.parts.iter_mut().enumerate().collect();
        let count = fills.len().max(1);
        fills.rotate_left(turn % count);
        let fills = fills.into_iter().map(|(index, part)| {
            let until = part.repeat_until();
            Box::pin(async move { part.reader.fill(log, policy, until).await.map(|()| index) })
        });
        let (ready, _, _) = select_all(fills).await;
        let index = ready?;
        self.turn = index + 1;
        Ok(index)
    }

    /// Cuts, freezes and writes one range of a partition.
    async fn deliver(&mut self, index: usize, retry: &mut Retry) -> Result<()> {
        if self.parts[index].ranges.len() >= MAX_UNCOMMITTED_RANGES {
            self.commit().await?;
        }
        let mut batch = self.next_range(index).await?;
        let (first, last) = (batch.first, batch.last);
        let told = Delivery::of(&batch);
        if let Some(Err(error)) = self.transforms.as_mut().map(|transforms| transforms.apply(&mut batch)) {
            return self.refused(index, (first, last), told.only, error);
        }
        let limit = self.context.settings.write_timeout;
        let started = Instant::now();
        let written = in_time(limit, "writing a batch", self.task.write(batch)).await;
        self.context.status.wrote_in(started.elapsed());
        if let Err(error) = written {
            return self.refused(index, (first, last), told.only, error);
        }
        retry.succeeded();
        self.flush().await?;
        if self.task.commit_before_next() {
            self.commit().await?;
        }
        self.context.status.delivered(told.records, told.bytes, told.latency());
        let part = &self.parts[index];
        self.context.status.set_lag(&part.reader.partition().partition, part.flushed, part.reader.high_watermark());
        Ok(())
    }

    /// The next range: one that was attempted before, or a fresh cut that is recorded first. Refused records of the
    /// last attempt are made durable in the dead letter queue and left out.
    async fn next_range(&mut self, index: usize) -> Result<SinkBatch> {
        let part = &mut self.parts[index];
        let until = part.repeat_until();
        let mut batch = part.reader.cut(&self.policy, until)?;
        let mut changed = until.is_none();
        if changed {
            part.note_ranges(&batch, &self.policy);
        }
        if !part.refused.is_empty() {
            let Tolerance::All { topic } = &self.tolerance else {
                return Err(Error::new(ErrorKind::Internal, "leaving out records", self.context.connector.to_string()));
            };
            let queue = DeadLetters {
                log: self.context.log.clone(),
                connector: self.context.connector.clone(),
                class: self.context.class.clone(),
                task: self.context.task,
            };
            let from = &batch.partition.partition;
            let found = dead_letter::find(batch.records(), &part.refused)?;
            queue.write(topic, from, &found, part.refusal_code, &self.context.status).await?;
            let refused = std::mem::take(&mut part.refused);
            if let Some(range) = part.ranges.at_mut(batch.first) {
                range.excluded.extend(refused.keys());
            }
            changed = true;
        }
        if changed {
            part.ranges.save(&self.context.state).await?;
        }
        part.leave_out_excluded(&mut batch);
        Ok(batch)
    }

    /// What to do with a failed write: go on with the refused records left out, or fail.
    fn refused(
        &mut self,
        index: usize,
        (first, last): (Offset, Offset),
        only: Option<Offset>,
        error: Error,
    ) -> Result<()> {
        if error.kind().policy() != Policy::DeadLetter || self.tolerance == Tolerance::None {
            return Err(error);
        }
        let part = &mut self.parts[index];
        let error = match only {
            // A record that comes alone needs no name.
            Some(offset) if error.rejected().is_empty() => {
                let (partition, reason) = (part.reader.partition().partition.clone(), error.to_string());
                error.with_rejected(vec![RejectedRecord { partition, offset, reason }])
            }
            _ => error,
        };
        part.refuse(first, last, error)
    }

    async fn tick(&mut self) -> Result<()> {
        let limit = self.context.settings.write_timeout;
        in_time(limit, "running the sink's timer", self.task.tick()).await
    }

    /// Asks the task what is durable in the target.
    async fn flush(&mut self) -> Result<()> {
        let limit = self.context.settings.write_timeout;
        for (partition, next) in in_time(limit, "flushing the sink", self.task.flush()).await? {
            let found = self.parts.iter_mut().find(|part| part.reader.partition().partition == partition);
            if let Some(part) = found {
                part.flushed = part.flushed.max(next.min(part.reader.cursor()));
            }
        }
        Ok(())
    }

    /// Commits what is flushed and not committed yet.
    async fn commit(&mut self) -> Result<()> {
        let news: Vec<(TopicPartition, Offset)> = self
            .parts
            .iter()
            .filter(|part| part.committed != Some(part.flushed))
            .map(|part| (part.reader.partition().partition.clone(), part.flushed))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        self.context.offsets.commit(self.group, self.generation, &news).await?;
        self.context.cursors.hold(news.iter().map(|(partition, offset)| (partition, *offset)));
        for part in &mut self.parts {
            part.committed = Some(part.flushed);
            part.ranges.committed(part.flushed);
        }
        Ok(())
    }

    /// Commits after a failure: the failure is what will be told.
    pub(super) async fn commit_quietly(&mut self) {
        if let Err(error) = self.commit().await {
            tracing::warn!(connector = %self.context.connector, %error, "offsets not committed");
        }
    }

    fn topics_changed(&self) -> bool {
        let now = self.wanted.assigned(&*self.context.log);
        for (partition, info) in &now {
            if let Some(part) = self.parts.iter().find(|part| part.reader.partition() == partition) {
                self.context.status.set_lag(&partition.partition, part.flushed, info.high_watermark);
            }
        }
        let key = |(partition, _): &(SinkPartition, PartitionInfo)| partition.clone();
        now.len() != self.assigned.len() || now.iter().map(key).ne(self.assigned.iter().map(key))
    }

    /// Names the lost range of an offset that is out of range.
    fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::OffsetOutOfRange {
            return error;
        }
        let now = self.wanted.assigned(&*self.context.log);
        let lost = now.iter().find_map(|(partition, info)| {
            let part = self.parts.iter().find(|part| part.reader.partition() == partition)?;
            in_range(&partition.partition, part.reader.cursor(), *info).err()
        });
        lost.unwrap_or(error)
    }
}

/// What a batch amounts to.
struct Delivery {
    records: u64,
    bytes: u64,
    /// When its last record was committed, microseconds since 1970.
    last_us: Option<i64>,
    /// Its record, if it has but one.
    only: Option<Offset>,
}

impl Delivery {
    fn of(batch: &SinkBatch) -> Self {
        let bytes: usize = batch.records().map(record_bytes).sum();
        let last = batch.chunks.last().and_then(|chunk| chunk.records.last());
        let time = |record: &thm_api::SinkRecord| {
            record.origin.as_ref().map_or(record.timestamp_ms.saturating_mul(1000), |origin| origin.commit_us)
        };
        let only = if batch.len() == 1 { last.map(|record| record.offset) } else { None };
        Self { records: batch.len() as u64, bytes: bytes as u64, last_us: last.map(time), only }
    }

    fn latency(&self) -> Option<Duration> {
        let then = Duration::from_micros(u64::try_from(self.last_us?).ok()?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        now.checked_sub(then)
    }
}

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period.max(Duration::from_millis(1)));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker.reset();
    ticker
}

/// One attempt of the task, within the time limit.
async fn in_time<T>(limit: Duration, doing: &'static str, attempt: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, attempt).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::SinkUnreachable, doing, format!("no answer within {} ms", limit.as_millis())))
    })
}
