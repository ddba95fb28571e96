//! Checks of a sink task.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{Generation, Offset, Result, SinkBatch, SinkChunk, SinkPartition, SinkRecord, SinkTask, TopicPartition};
use uuid::Uuid;

/// How long a task may take until `flush` names what was written.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);
/// Records in each range of the checks.
const RANGE: i64 = 3;

/// A sink under check. The target is empty at the beginning.
#[async_trait]
pub trait SinkSubject: Send + Sync {
    /// A new task on the same target.
    fn task(&self) -> Box<dyn SinkTask>;

    /// A record that the target accepts; different offsets are different rows.
    fn record(&self, offset: Offset) -> SinkRecord;

    /// What a user sees in the target, in a form that is the same for the same content.
    async fn shown(&self) -> String;

    /// Whether a range that comes again shows no difference. False for a target that is told each event at least
    /// once.
    fn is_idempotent(&self) -> bool {
        true
    }
}

/// One walk through a sink's life on a partition of its own.
struct Walk<'a> {
    subject: &'a dyn SinkSubject,
    partition: SinkPartition,
}

impl Walk<'_> {
    /// A range with all its records.
    fn range(&self, first: i64) -> SinkBatch {
        let records = (first..first + RANGE).map(|offset| self.subject.record(Offset(offset))).collect();
        let chunk = SinkChunk { base_offset: Offset(first), records, columns: None };
        self.batch(first, vec![chunk])
    }

    fn batch(&self, first: i64, chunks: Vec<SinkChunk>) -> SinkBatch {
        let last = Offset(first + RANGE - 1);
        SinkBatch { partition: self.partition.clone(), first: Offset(first), last, chunks }
    }

    async fn open(&self, generation: u64) -> (Box<dyn SinkTask>, Option<Offset>) {
        let mut task = self.subject.task();
        let held = self.reopen(&mut *task, generation).await;
        (task, held)
    }

    async fn reopen(&self, task: &mut dyn SinkTask, generation: u64) -> Option<Offset> {
        let opened = task.open(std::slice::from_ref(&self.partition), Generation(generation)).await;
        let held = expect("open", opened);
        held.into_iter().find(|(partition, _)| *partition == self.partition.partition).map(|(_, next)| next)
    }

    /// Waits until `flush` names everything before `next`, and never more.
    async fn flushed(&self, task: &mut dyn SinkTask, next: i64) {
        let patience = tokio::time::timeout(FLUSH_PATIENCE, async {
            loop {
                let named = expect("flush", task.flush().await);
                let mine = named.iter().filter(|(partition, _)| *partition == self.partition.partition);
                let named = mine.map(|(_, next)| next.0).max().unwrap_or(0);
                assert!(named <= next, "flush names {named}, but only offsets before {next} were written");
                if named == next {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(patience.await.is_ok(), "flush never named {next}");
    }

    async fn repeated(&self, task: &mut dyn SinkTask, first: i64, when: &str) {
        let before = self.subject.shown().await;
        expect(when, task.write(self.range(first)).await);
        self.flushed(task, first + RANGE).await;
        if self.subject.is_idempotent() {
            assert_eq!(before, self.subject.shown().await, "a range that came again {when} shows a difference");
        }
    }
}

fn expect<T>(what: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

/// Runs all checks of a sink task.
///
/// # Panics
/// On the first promise that is broken.
pub async fn sink_task(subject: &dyn SinkSubject) {
    let name: Arc<str> = format!("conformance-{}", Uuid::new_v4().simple()).into();
    let partition = SinkPartition { partition: TopicPartition::new(name, 0), topic_uuid: Uuid::new_v4() };
    let walk = Walk { subject, partition };
    let (mut task, held) = walk.open(0).await;
    let policy = task.batch_policy();
    assert!(policy.max_records > 0 && policy.max_bytes > 0, "a batch must have room for a record: {policy:?}");
    assert!(held.is_none_or(|next| next == Offset(0)), "a new partition cannot be held up to {held:?}");
    let empty = subject.shown().await;

    expect("the first write", task.write(walk.range(0)).await);
    walk.flushed(&mut *task, RANGE).await;
    assert_ne!(empty, subject.shown().await, "a durable range does not show");
    walk.repeated(&mut *task, 0, "at once").await;

    let held = walk.reopen(&mut *task, 0).await;
    assert!(held.is_none_or(|next| next == Offset(RANGE)), "opened again, the target holds {held:?}");
    walk.repeated(&mut *task, 0, "after opening again").await;
    task.close().await;

    let (mut task, held) = walk.open(0).await;
    assert!(held.is_none_or(|next| next == Offset(RANGE)), "after a restart the target holds {held:?}");
    walk.repeated(&mut *task, 0, "after a restart").await;

    // Everything of the range went to the dead letter queue: it counts all the same.
    expect("a write without records", task.write(walk.batch(RANGE, Vec::new())).await);
    walk.flushed(&mut *task, 2 * RANGE).await;
    if task.tick_interval().is_some() {
        expect("tick", task.tick().await);
    }
    let before = subject.shown().await;
    expect("the next write", task.write(walk.range(2 * RANGE)).await);
    walk.flushed(&mut *task, 3 * RANGE).await;
    assert_ne!(before, subject.shown().await, "the range after an empty one does not show");
    task.close().await;

    let (mut task, held) = walk.open(1).await;
    assert!(held.is_none_or(|next| next == Offset(0)), "offsets of an older generation won: {held:?}");
    task.close().await;
}
