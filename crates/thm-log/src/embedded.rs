//! `EmbeddedLog`: the log of a running engine, from `append` to `read`.
//!
//! ```text
//!   append: check ─▶ room in the write buffer ─▶ offset and queue            (one short lock per batch)
//!   log thread: write ─▶ fsync ─▶ tail cache, high watermark, wake           (see fsync)
//!   read:   below the high watermark? tail cache ─▶ segments ─▶ wait
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use thm_api::{
    Append, Appended, Complete, Completeness, Error, ErrorKind, Log, MemoryBudget, Offset, PartitionInfo, Progress,
    ReadLimits, ReadResult, Result, Topic, TopicPartition, TopicSpec,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::chores::Housekeeper;
use crate::config::LogConfig;
use crate::fsync::{Disk, LogThread, WorkList, now_ms};
use crate::meters::DiskMeters;
use crate::partition::Partition;
use crate::poison::Poison;
use crate::retention::Holds;
use crate::segment::Want;
use crate::storage;
use crate::tail_cache::{Cached, TailCache};
use crate::topic::{TopicFolder, TopicState};
use crate::{CompletenessBoard, batch, names};

/// Longest producer name; it stands in every frame.
const MAX_PRODUCER_BYTES: usize = 1024;

/// The share of the tail cache by which a producer may be ahead of a reader that keeps up: what the reader itself
/// writes meanwhile, and the reader of that, need the rest.
const PARTS_OF_TAIL_CACHE: usize = 3;

/// Topics in segment files on this machine.
///
/// Reads that wait need a tokio runtime with time. Dropping the log is [`EmbeddedLog::close`].
#[derive(Debug)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    thread: LogThread,
    board: CompletenessBoard,
    closed: AtomicBool,
}

/// What the log thread's chores share with callers.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: LogConfig,
    pub(crate) disk: Arc<Disk>,
    pub(crate) topics: RwLock<BTreeMap<Arc<str>, Arc<TopicState>>>,
    pub(crate) folder: TopicFolder,
    pub(crate) holds: Holds,
    /// Whether the file system has less space than it should.
    pub(crate) short_of_space: AtomicBool,
    write_budget: MemoryBudget,
    /// One creation or deletion at a time.
    admin: Mutex<()>,
}

impl EmbeddedLog {
    /// Recovers every partition and starts the log thread. Blocks for the time of reading the last segments.
    pub fn open(config: LogConfig) -> Result<Self> {
        let failed = |error| {
            Error::new(ErrorKind::LogIo, "opening the log", config.dir.display().to_string()).with_source(error)
        };
        let storage = match &config.storage {
            Some(storage) => Arc::clone(storage),
            None => storage::from_environment().map_err(failed)?,
        };
        let window_bytes = config.tail_cache_bytes / PARTS_OF_TAIL_CACHE;
        let folder =
            TopicFolder { dir: config.dir.clone(), storage, segment_bytes: config.segment_bytes, window_bytes };
        let topics = folder.open_all()?.into_iter().map(|topic| (Arc::from(topic.spec.name.as_str()), Arc::new(topic)));
        let disk = Arc::new(Disk {
            work: WorkList::default(),
            poison: Poison::default(),
            cache: TailCache::new(config.tail_cache_bytes),
            meters: DiskMeters::new(),
        });
        let inner = Arc::new(Inner {
            topics: RwLock::new(topics.collect()),
            disk: Arc::clone(&disk),
            folder,
            holds: Holds::default(),
            short_of_space: AtomicBool::new(false),
            write_budget: MemoryBudget::new(config.write_buffer_bytes),
            admin: Mutex::new(()),
            config: config.clone(),
        });
        let thread = LogThread::start(disk, Housekeeper::new(Arc::clone(&inner))).map_err(failed)?;
        Ok(Self { inner, thread, board: CompletenessBoard::new(), closed: AtomicBool::new(false) })
    }

    /// Writes what is queued, stores progress and ends the log thread; later appends fail. Blocks. Only the first
    /// call does anything.
    pub fn close(&self) -> Result<()> {
        self.thread.stop();
        // Whoever has closed it may have taken the folder away since.
        let is_closed = self.closed.swap(true, Ordering::AcqRel);
        if is_closed || self.inner.disk.poison.is_set() {
            return Ok(());
        }
        let topics: Vec<_> = self.inner.topics.read().values().cloned().collect();
        topics.iter().flat_map(|topic| &topic.partitions).try_for_each(|partition| partition.finish())
    }

    /// Keeps retention from passing `offset` in the partition, for a cursor of that name, until the log reaches
    /// `max_bytes`. A later call moves the cursor.
    pub fn hold(&self, name: &str, partition: &TopicPartition, offset: Offset) {
        self.inner.holds.hold(name, partition, offset);
    }

    /// Forgets the cursors of that name in all partitions.
    pub fn release(&self, name: &str) {
        self.inner.holds.release(name);
    }

    /// Why appends fail, if a write or fsync has failed.
    pub fn health(&self) -> Result<()> {
        self.inner.disk.poison.check(&self.inner.config.dir.display())
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the log did not close cleanly");
        }
    }
}

impl Inner {
    fn partition(&self, id: &TopicPartition) -> Result<Arc<Partition>> {
        let topics = self.topics.read();
        let partition = topics.get(&id.topic).and_then(|topic| topic.partitions.get(id.partition as usize));
        partition.cloned().ok_or_else(|| names::missing(id))
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<Topic> {
        let _admin = self.admin.lock();
        if let Some(topic) = self.topics.read().get(spec.name.as_str()) {
            let existing = topic.spec.partitions;
            return if existing == spec.partitions {
                Ok(topic.describe())
            } else {
                Err(names::mismatch(spec, existing))
            };
        }
        self.disk.poison.check(&spec.name)?;
        let topic = Arc::new(self.folder.create(spec, now_ms())?);
        self.topics.write().insert(Arc::from(spec.name.as_str()), Arc::clone(&topic));
        tracing::info!(topic = %spec.name, partitions = spec.partitions, uuid = %topic.uuid, "created topic");
        Ok(topic.describe())
    }

    fn delete_topic(&self, name: &str) -> Result<()> {
        let _admin = self.admin.lock();
        let topic = self.topics.write().remove(name);
        let topic = topic.ok_or_else(|| Error::new(ErrorKind::TopicMissing, "deleting topic", name))?;
        for partition in &topic.partitions {
            partition.delete();
            self.disk.cache.forget(partition.key);
        }
        self.folder.delete(&topic)?;
        tracing::info!(topic = name, uuid = %topic.uuid, "deleted topic");
        Ok(())
    }

    /// What is wrong with an append before it is queued.
    fn check(&self, id: &TopicPartition, append: &Append) -> Result<()> {
        self.disk.poison.check(id)?;
        if self.short_of_space.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::LogIo, "appending to", id.to_string())
                .with_source(format!("less than {} bytes are free on the disk", self.config.min_free_bytes))
                .with_hint("Free space on the disk, or lower log.min_free_bytes or log.retention_bytes."));
        }
        if append.progress.as_ref().is_some_and(|(producer, _)| producer.len() > MAX_PRODUCER_BYTES) {
            return Err(Error::new(ErrorKind::InvalidRecord, "appending to", id.to_string())
                .with_source(format!("the producer's name is longer than {MAX_PRODUCER_BYTES} bytes")));
        }
        append.batch.as_ref().map_or(Ok(()), |batch| batch::check(id, batch, self.config.max_batch_bytes))
    }

    /// Why an append that was queued never became durable.
    fn lost(&self, partition: &Partition) -> Error {
        let id = &partition.id;
        match self.disk.poison.check(id) {
            Err(error) => error,
            Ok(()) if partition.is_deleted() => names::missing(id),
            Ok(()) => Error::new(ErrorKind::LogIo, "appending to", id.to_string()).with_source("the log is closed"),
        }
    }

    /// Batches at `from`, which lies in the readable range.
    async fn fetch(partition: Arc<Partition>, cached: Cached, want: Want) -> Result<Vec<thm_api::FetchedBatch>> {
        match cached {
            Cached::Hit(batches) => {
                partition.meters.hits.increment(1);
                Ok(batches)
            }
            Cached::Miss(resumes) => {
                partition.meters.misses.increment(1);
                // Up to where the cache goes on: from there the decoded rows are to be had.
                let until = resumes.map_or(want.until, |resumes| resumes.min(want.until));
                blocking(move || partition.read_segments(&Want { until, ..want })).await
            }
        }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<Topic> {
        names::check_spec(spec)?;
        let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
        blocking(move || inner.create_topic(&spec)).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        blocking(move || inner.delete_topic(&name)).await
    }

    fn topics(&self) -> Vec<Topic> {
        self.inner.topics.read().values().map(|topic| topic.describe()).collect()
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        self.inner.topics.read().get(name).map(|topic| topic.describe())
    }

    async fn append(&self, partition: &TopicPartition, append: Append) -> Result<Appended> {
        let inner = &self.inner;
        inner.check(partition, &append)?;
        let partition = inner.partition(partition)?;
        let memory_bytes = append.batch.as_ref().map_or(0, |batch| {
            let decoded = batch.decoded.as_ref().map_or(0, |rows| rows.bytes());
            batch.bytes.len() + size_of_val(&*batch.positions) + decoded
        });
        partition.pace.room().await;
        let permit = inner.write_budget.acquire(memory_bytes.max(1)).await;
        // Nothing is awaited from here on: the append is queued whole or not at all.
        inner.disk.poison.check(&partition.id)?;
        let (base_offset, done) = partition.enqueue(append, (memory_bytes, permit), &inner.disk.work)?;
        let inner = Arc::clone(inner);
        let durable = Box::pin(async move { done.await.map_err(|_| inner.lost(&partition)) });
        Ok(Appended { base_offset: Offset(base_offset), durable })
    }

    async fn read(&self, id: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<ReadResult> {
        let partition = self.inner.partition(id)?;
        let mut changes = partition.subscribe();
        let mut deadline = None;
        loop {
            let state = *changes.borrow_and_update();
            let PartitionInfo { log_start, high_watermark } = state.info;
            if state.deleted {
                return Err(names::missing(id));
            }
            if from < log_start || from > high_watermark {
                return Err(names::out_of_range(id, from.0, log_start.0, high_watermark.0));
            }
            if from < high_watermark {
                let want = Want { from: from.0, until: high_watermark.0, max_bytes: limits.max_bytes };
                let cached = self.inner.disk.cache.read(partition.key, want.from, want.until, want.max_bytes);
                let batches = Inner::fetch(partition, cached, want).await?;
                return Ok(ReadResult { batches, high_watermark, log_start });
            }
            let nothing = ReadResult { batches: Vec::new(), high_watermark, log_start };
            if limits.max_wait.is_zero() {
                return Ok(nothing);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limits.max_wait);
            // The sender lives as long as the partition we hold, so an error can only be the deadline.
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Ok(nothing);
            }
        }
    }

    fn keeps_up(&self, partition: &TopicPartition, next: Offset) {
        if let Ok(partition) = self.inner.partition(partition) {
            partition.reader_at(next.0);
            self.inner.disk.cache.reader_at(partition.key, next.0);
        }
    }

    async fn batch_at_time(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<Option<Offset>> {
        let partition = self.inner.partition(partition)?;
        blocking(move || partition.find_time(timestamp_ms)).await
    }

    fn progress(&self, partition: &TopicPartition, producer: &str) -> Result<Option<Progress>> {
        Ok(self.inner.partition(partition)?.progress(producer))
    }
}

impl Completeness for EmbeddedLog {
    fn publish(&self, producer: &str, complete: Arc<Complete>) {
        self.board.publish(producer, complete);
    }

    fn watch(&self, topic: &str) -> watch::Receiver<Option<Arc<Complete>>> {
        self.board.watch(topic)
    }
}

/// Runs file work off the runtime's threads; in place where there is no runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "running file work", "a blocking thread").with_source(error))
        }),
        Err(_) => work(),
    }
}
