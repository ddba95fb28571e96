//! Checks of a source task.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{PartitionProgress, Policy, Position, Progress, Result, SourceBatch, SourceTask, TopicPartition};
use thm_codec::record_batch;

/// How long a task may take to give what was changed.
const POLL_PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts at a start.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Changes of each step.
const CHANGES: usize = 10;

/// A source under check.
#[async_trait]
pub trait SourceSubject: Send + Sync {
    /// A new task on the same database.
    fn task(&self) -> Box<dyn SourceTask>;

    /// Makes `count` changes, each of which gives exactly one record.
    async fn change(&self, count: usize);
}

/// What came, in order.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Partition and position of each record, and its key.
    records: Vec<(TopicPartition, Position, Option<Vec<u8>>)>,
    progress: BTreeMap<TopicPartition, Progress>,
    complete: Option<Position>,
}

impl Seen {
    /// Takes a poll's answer in, checking its form and order.
    fn take(&mut self, batch: SourceBatch) {
        for append in batch.appends {
            let partition = TopicPartition::new(append.topic.name.as_str(), append.partition);
            let positions = &append.batch.positions;
            assert_eq!(positions.len(), append.batch.records as usize, "each record of {partition} has its position");
            let before = self.progress.insert(partition.clone(), append.progress);
            assert!(before.is_none_or(|before| before <= append.progress), "progress of {partition} went back");
            assert!(positions.iter().all(|at| *at <= append.progress.position), "progress lies behind a record");
            if append.batch.records == 0 {
                continue;
            }
            let records = record_batch::records(&append.batch.bytes);
            let records = records.unwrap_or_else(|error| panic!("a batch of {partition} is unreadable: {error}"));
            for (record, position) in records.zip(positions.iter()) {
                let record = record.unwrap_or_else(|error| panic!("a record of {partition} is unreadable: {error}"));
                let last = self.records.iter().rev().find(|(of, ..)| *of == partition);
                let in_order = last.is_none_or(|(_, last, _)| last <= position);
                assert!(in_order, "{partition} is not in commit order at {position}");
                self.records.push((partition.clone(), *position, record.key.map(|key| key.to_vec())));
            }
        }
        if let Some(complete) = batch.complete {
            assert!(self.complete.is_none_or(|before| before <= complete), "complete went back to {complete}");
            self.complete = Some(complete);
        }
    }

    /// Whether the task said that everything it gave is whole.
    fn is_complete(&self) -> bool {
        let last = self.records.iter().map(|(_, position, _)| *position).max();
        last.is_none_or(|last| self.complete.is_some_and(|complete| last <= complete))
    }
}

fn expect<T>(what: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

/// The database may still think that the dead one lives: the task says so, and is started again as the worker does it.
async fn start_after_a_crash(task: &mut dyn SourceTask, durable: PartitionProgress) {
    let started = tokio::time::timeout(POLL_PATIENCE, async {
        loop {
            match task.start(durable.clone()).await {
                Err(error) if error.kind().policy() == Policy::Retry => tokio::time::sleep(RETRY_PAUSE).await,
                result => break result,
            }
        }
    });
    expect("start after a crash", started.await.expect("a crashed session is given up in time"));
}

/// Polls until `count` records came and all of them are complete.
async fn poll_until(task: &mut dyn SourceTask, seen: &mut Seen, count: usize) {
    let polls = tokio::time::timeout(POLL_PATIENCE, async {
        while seen.records.len() < count || !seen.is_complete() {
            seen.take(expect("poll", task.poll().await));
        }
    });
    assert!(polls.await.is_ok(), "{} of {count} records came, complete up to {:?}", seen.records.len(), seen.complete);
    assert_eq!(seen.records.len(), count, "records that nobody made");
}

/// The same, dropping most polls before they are done.
async fn poll_impatiently(task: &mut dyn SourceTask, seen: &mut Seen, count: usize) {
    let mut patience = Duration::from_micros(1);
    let polls = tokio::time::timeout(POLL_PATIENCE, async {
        while seen.records.len() < count {
            match tokio::time::timeout(patience, task.poll()).await {
                Ok(polled) => seen.take(expect("poll", polled)),
                Err(_) => patience = (patience * 2).min(Duration::from_secs(2)),
            }
        }
    });
    assert!(polls.await.is_ok(), "dropped polls lost records: {} of {count} came", seen.records.len());
}

/// Runs all checks of a source task.
///
/// # Panics
/// On the first promise that is broken.
pub async fn source_task(subject: &dyn SourceSubject) {
    let mut task = subject.task();
    subject.change(CHANGES).await;
    expect("start", task.start(PartitionProgress::new()).await);
    let mut seen = Seen::default();
    poll_until(&mut *task, &mut seen, CHANGES).await;
    subject.change(CHANGES).await;
    poll_impatiently(&mut *task, &mut seen, 2 * CHANGES).await;
    poll_until(&mut *task, &mut seen, 2 * CHANGES).await;
    let acknowledged = seen.complete;
    if let Some(position) = acknowledged {
        expect("acknowledge", task.acknowledge(position).await);
    }
    let durable: PartitionProgress = seen.progress.clone().into_iter().collect();

    // These get into the log, but the process dies before the database is told.
    subject.change(CHANGES).await;
    poll_until(&mut *task, &mut seen, 3 * CHANGES).await;
    drop(task);
    let mut task = subject.task();
    start_after_a_crash(&mut *task, durable).await;
    let mut again = Seen::default();
    poll_until(&mut *task, &mut again, CHANGES).await;
    let lost: Vec<_> = seen.records.iter().skip(2 * CHANGES).collect();
    assert_eq!(again.records.iter().collect::<Vec<_>>(), lost, "what was not durable comes again as it was, in place");
    if let Some(position) = again.complete {
        expect("acknowledge", task.acknowledge(position).await);
    }
    expect("stop", task.stop().await);

    let mut task = subject.task();
    let durable: PartitionProgress = seen.progress.into_iter().collect();
    expect("start where nothing is missing", task.start(durable).await);
    subject.change(1).await;
    poll_until(&mut *task, &mut Seen::default(), 1).await;
    expect("stop", task.stop().await);
}
