//! What every [`Log`] must do, as a suite that other crates can run on their own implementation.
//!
//! A case panics with what it expected; [`run`] runs them all, each on a fresh log.
//!
//! | module | promise |
//! |---|---|
//! | [`appends`] | offsets, order, durability, what is refused |
//! | [`reads`] | limits, ranges, waking, cancelled reads |
//! | [`topics`] | creation, deletion, identity |
//! | [`producers`] | progress, with and without records, beside foreign appends |

pub mod appends;
pub mod producers;
pub mod reads;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{Append, Appended, FetchedBatch, Log, LogBatch, Lsn, Offset, Position, Progress, ReadLimits, ReadResult};
use thm_api::{TopicPartition, TopicSpec};
use thm_codec::record_batch::{self, BatchWriter, HeaderBlock};

/// Longer than any wait of a case that goes right; a case that goes wrong ends after it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for something that must not happen to happen.
const GRACE: Duration = Duration::from_millis(60);

/// An implementation under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The log.
    fn log(&self) -> Arc<dyn Log>;

    /// While held, nothing that is appended becomes durable.
    fn hold_durability(&self, held: bool);

    /// Stops cleanly and opens what was stored; `false` of a log that stores nothing. Nobody holds the log.
    async fn reopen(&mut self) -> bool;
}

/// Runs every case on a fresh subject from `make`.
pub async fn run(make: impl Fn() -> Box<dyn Subject>) {
    appends::offsets_count_records_in_call_order(&*make()).await;
    appends::nothing_is_seen_before_it_is_durable(&*make()).await;
    appends::dropping_a_handle_changes_nothing(&*make()).await;
    appends::partitions_are_apart(&*make()).await;
    appends::concurrent_appends_leave_no_gap(&*make()).await;
    appends::batches_that_contradict_themselves_are_refused(&*make()).await;
    appends::records_survive_a_restart(&mut *make()).await;
    reads::limits_count_whole_batches(&*make()).await;
    reads::a_read_inside_a_batch_gives_the_whole_batch(&*make()).await;
    reads::offsets_outside_are_out_of_range(&*make()).await;
    reads::waiting_readers_are_woken(&*make()).await;
    reads::a_wait_ends_with_nothing(&*make()).await;
    reads::a_cancelled_read_loses_nothing(&*make()).await;
    reads::batches_are_found_by_time(&*make()).await;
    topics::creation_is_idempotent_and_lists(&*make()).await;
    topics::other_partition_counts_and_bad_names_are_refused(&*make()).await;
    topics::what_is_missing_is_named(&*make()).await;
    topics::a_recreated_topic_is_another(&*make()).await;
    topics::deletion_wakes_readers(&*make()).await;
    topics::identity_survives_a_restart(&mut *make()).await;
    producers::progress_moves_when_durable(&*make()).await;
    producers::progress_without_records_takes_no_offset(&*make()).await;
    producers::foreign_appends_keep_progress(&*make()).await;
    producers::producers_and_positions_come_back(&*make()).await;
    producers::progress_goes_with_the_topic(&*make()).await;
    producers::progress_survives_restarts(&mut *make()).await;
}

/// A batch of `records` records whose keys count from `first` and whose timestamps are `time_ms` on.
#[must_use]
pub fn batch_at(first: u32, records: u32, time_ms: i64) -> LogBatch {
    let mut writer = BatchWriter::new();
    for record in 0..records {
        let key = (first + record).to_string();
        let value = format!("{{\"id\":{key}}}");
        let time_ms = time_ms + i64::from(record);
        writer.push(time_ms, Some(key.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
    }
    LogBatch { bytes: writer.finish(), records, positions: Arc::default(), decoded: None }
}

/// The same at an arbitrary time.
#[must_use]
pub fn batch(first: u32, records: u32) -> LogBatch {
    batch_at(first, records, 1_700_000_000_000)
}

/// A foreign append.
#[must_use]
pub fn foreign(batch: LogBatch) -> Append {
    Append { batch: Some(batch), progress: None }
}

/// The keys in batches, as text.
#[must_use]
pub fn keys(batches: &[FetchedBatch]) -> Vec<String> {
    let mut keys = Vec::new();
    for fetched in batches {
        for record in record_batch::records(&fetched.batch.bytes).expect("a stored batch is whole") {
            let key = record.expect("a stored record is whole").key.unwrap_or_default();
            keys.push(String::from_utf8_lossy(&key).into_owned());
        }
    }
    keys
}

async fn create(log: &dyn Log, name: &str, partitions: u32) -> TopicPartition {
    let spec = TopicSpec { partitions, ..TopicSpec::new(name) };
    log.create_topic(&spec).await.expect("a topic can be created");
    TopicPartition::new(name, 0)
}

async fn append(log: &dyn Log, partition: &TopicPartition, batch: LogBatch) -> Appended {
    log.append(partition, foreign(batch)).await.expect("a good batch is accepted")
}

async fn append_durably(log: &dyn Log, partition: &TopicPartition, batch: LogBatch) -> Offset {
    let appended = append(log, partition, batch).await;
    durable(appended).await
}

async fn durable(appended: Appended) -> Offset {
    let base_offset = appended.base_offset;
    tokio::time::timeout(PATIENCE, appended.durable).await.expect("it becomes durable in time").expect("durable");
    base_offset
}

async fn read(log: &dyn Log, partition: &TopicPartition, from: i64, max_bytes: usize) -> ReadResult {
    let limits = ReadLimits { max_bytes, max_wait: Duration::ZERO };
    log.read(partition, Offset(from), limits).await.expect("the offset is readable")
}

/// Reads from `from` to the high watermark, however many reads it takes.
async fn read_all(log: &dyn Log, partition: &TopicPartition, from: i64) -> Vec<FetchedBatch> {
    let mut found = Vec::new();
    let mut next = Offset(from);
    loop {
        let result = read(log, partition, next.0, 4096).await;
        let Some(last) = result.batches.last() else { return found };
        next = last.next_offset();
        found.extend(result.batches);
    }
}

fn at(lsn: u64) -> Progress {
    Progress::at(Position::end_of(Lsn(lsn)))
}
