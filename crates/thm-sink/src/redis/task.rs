//! `LeaderboardTask`: opens at the fence, writes batches through it, slides the window every second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use metrics::{counter, gauge, histogram};
use thm_api::{
    BatchPolicy, Error, ErrorKind, Generation, Offset, Op, RejectedRecord, Result, SinkBatch, SinkPartition,
    SinkRecord, SinkTask, TaskContext, TopicPartition,
};

use super::board::{Board, Changes};
use super::columns::Columns;
use super::config::{FUTURE_SLACK_MS, LeaderboardSettings, WindowTime};
use super::event::{self, Place};
use super::fence::{Fence, Standing};
use super::rewind::Rewind;
use crate::failpoints;

/// A script of so many changes keeps Redis busy for about 2 ms.
const MAX_RECORDS: usize = 1_000;
/// Bounds what a batch of large records holds.
const MAX_BYTES: usize = 1 << 20;
/// The window's resolution is a second.
const TICK: Duration = Duration::from_secs(1);
/// How long one tick may catch up on a window that stood still; writes wait meanwhile.
const MAX_TICK: Duration = Duration::from_millis(500);
/// A batch meets another fence at most this often before the worker takes over.
const MAX_ATTEMPTS: usize = 3;

/// The sink task of one leaderboard.
pub struct LeaderboardTask {
    context: TaskContext,
    settings: Arc<LeaderboardSettings>,
    fingerprint: String,
    board: Option<Board>,
    /// The fence as last seen; none until opened and after it turned out to be another's.
    fence: Option<Fence>,
    generation: Generation,
    partitions: Vec<SinkPartition>,
    rewind: Rewind,
    /// Next offset by partition, for `flush` and for notes.
    next: BTreeMap<TopicPartition, (SinkPartition, Offset)>,
    off: SwitchedOff,
}

/// What a test switched off; nothing otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct SwitchedOff {
    fence: bool,
    take_back: bool,
    generation: bool,
}

impl SwitchedOff {
    fn read(context: &TaskContext) -> Result<Self> {
        let names = failpoints::active(&context.failpoints, "redis", &context.connector)?;
        let has = |name| names.contains(&name);
        Ok(Self {
            fence: has("redis.no-fence"),
            take_back: has("redis.no-take-back"),
            generation: has("redis.no-generation"),
        })
    }
}

impl LeaderboardTask {
    /// Parses the options; touches nothing outside.
    pub fn new(context: TaskContext) -> Result<Self> {
        let settings = Arc::new(LeaderboardSettings::parse(&context.config)?);
        let fingerprint = settings.fingerprint();
        Ok(Self {
            off: SwitchedOff::read(&context)?,
            context,
            settings,
            fingerprint,
            board: None,
            fence: None,
            generation: Generation::default(),
            partitions: Vec::new(),
            rewind: Rewind::default(),
            next: BTreeMap::new(),
        })
    }

    async fn board(&mut self) -> Result<&mut Board> {
        if self.board.is_none() {
            self.board = Some(Board::connect(Arc::clone(&self.settings), &self.context.hosts).await?);
        }
        Ok(self.board.as_mut().expect("just connected"))
    }

    fn labels(&self) -> [(&'static str, String); 1] {
        [("connector", self.context.connector.to_string())]
    }

    /// The fence to go on with: the one that stands, or a new one over an empty board.
    async fn take_fence(&mut self) -> Result<Fence> {
        let (generation, fingerprint, partitions) =
            (self.generation, self.fingerprint.clone(), self.partitions.clone());
        let labels = self.labels();
        let board = self.board().await?;
        for _ in 0..MAX_ATTEMPTS {
            let (stands, whole) = board.read_fence().await?;
            match stands.as_ref().map(|fence| fence.standing(generation, &fingerprint, &partitions)) {
                Some(Standing::Ours) if whole => return Ok(stands.expect("it has a standing")),
                Some(Standing::Newer) => {
                    return Err(Error::new(ErrorKind::StaleGeneration, "opening the leaderboard", board.name())
                        .with_hint(
                            "A newer generation of this consumer group writes this leaderboard; stop one of the two.",
                        ));
                }
                Some(Standing::Ours | Standing::Foreign) | None => {}
            }
            let fence = board.empty_fence(generation, &fingerprint, now_ms());
            if board.start(&fence, stands.as_ref()).await? {
                counter!("thm_redis_rebuilds_total", &labels).increment(1);
                tracing::info!(target = board.name(), had_fence = stands.is_some(), "leaderboard starts empty");
                return Ok(fence);
            }
        }
        Err(lost_fence(board.name()))
    }

    /// Where a partition goes on: at the fence, or as far back as the window needs.
    fn place(&self, fence: &Fence, partition: &SinkPartition) -> Option<Offset> {
        let noted = || self.rewind.offset(partition, self.settings.window_ms, now_ms());
        let reproducible = self.settings.time != WindowTime::Processing;
        fence.offset(partition).or_else(|| if reproducible { noted() } else { None })
    }

    /// Reads a batch's records from `from` on.
    fn changes(&self, batch: &SinkBatch, from: Option<Offset>) -> Result<Changes> {
        let place = Place { partition: &batch.partition.partition, latest_ms: now_ms() + FUTURE_SLACK_MS };
        let mut changes = Changes::default();
        let mut rejected = Vec::new();
        for chunk in &batch.chunks {
            let columns = Columns::of(chunk, &self.settings.fields);
            let mut row_from = 0;
            let counts =
                |record: &&SinkRecord| from.is_none_or(|from| record.offset >= from) && !self.leaves_old(record);
            for record in chunk.records.iter().filter(counts) {
                let row =
                    columns.as_ref().and_then(|columns| columns.row(chunk.base_offset, record.offset, &mut row_from));
                match event::read(&self.settings, place, record, row) {
                    Ok(event) => changes.push(&event),
                    Err(reason) => {
                        rejected.push(RejectedRecord {
                            partition: place.partition.clone(),
                            offset: record.offset,
                            reason,
                        });
                    }
                }
            }
        }
        if rejected.is_empty() {
            return Ok(changes);
        }
        Err(Error::new(ErrorKind::RecordRejected, "reading events for the leaderboard", place.partition.to_string())
            .with_rejected(rejected))
    }

    /// Whether a test wants the old score of this record's event to stay.
    fn leaves_old(&self, record: &SinkRecord) -> bool {
        let changes_old = |op: Op| matches!(op, Op::Update | Op::Delete);
        self.off.take_back && record.origin.as_ref().is_some_and(|origin| changes_old(origin.op))
    }

    /// For a test without the fence: whatever stands there is gone on with, and nothing is rebuilt.
    async fn adopt_what_stands(&mut self) -> Result<()> {
        let (generation, fingerprint) = (self.generation, self.fingerprint.clone());
        let board = self.board().await?;
        let (mut stands, whole) = board.read_fence().await?;
        if !whole {
            let empty = board.empty_fence(generation, &fingerprint, now_ms());
            board.start(&empty, stands.as_ref()).await?;
            stands = Some(empty);
        }
        self.fence = stands;
        Ok(())
    }

    /// One batch through the fence; the error says that the board is not ours to go on with.
    async fn write_through(&mut self, batch: &SinkBatch) -> Result<()> {
        let after = Offset(batch.last.0 + 1);
        for _ in 0..MAX_ATTEMPTS {
            if self.off.fence {
                self.adopt_what_stands().await?;
            }
            let Some(mut fence) = self.fence.clone() else { return Err(lost_fence(&self.settings.key)) };
            let held = fence.offset(&batch.partition).filter(|_| !self.off.fence);
            if held.is_some_and(|held| held >= after) {
                // An attempt whose answer got lost.
                return Ok(());
            }
            let changes = self.changes(batch, held)?;
            let written = self.board().await?.write(&fence, &batch.partition, after, &changes).await?;
            if let Some(written) = written {
                fence.newest = written.newest;
                fence.offsets.insert((batch.partition.topic_uuid, batch.partition.partition.partition), after);
                self.fence = Some(fence);
                let labels = self.labels();
                counter!("thm_redis_records_total", &labels).increment(changes.len() as u64);
                counter!("thm_redis_late_records_total", &labels).increment(written.late);
                return Ok(());
            }
            self.fence = None;
            self.fence = Some(self.fence_that_moved(batch, held).await?);
        }
        Err(lost_fence(&self.settings.key))
    }

    /// Another fence stands there: that of our own lost attempt, or of another process of ours, is fine to go on with.
    async fn fence_that_moved(&mut self, batch: &SinkBatch, held: Option<Offset>) -> Result<Fence> {
        let stands = self.our_fence().await?;
        // At or after what we know it is the same log gone on; before it, Redis has gone back.
        if stands.offset(&batch.partition) >= held { Ok(stands) } else { Err(lost_fence(&self.settings.key)) }
    }

    /// The fence as it stands, if it is ours and whole.
    async fn our_fence(&mut self) -> Result<Fence> {
        let stands = self.board().await?.read_fence().await?;
        let ours =
            |fence: &Fence| fence.standing(self.generation, &self.fingerprint, &self.partitions) == Standing::Ours;
        match stands {
            (Some(fence), true) if ours(&fence) => Ok(fence),
            _ => Err(lost_fence(&self.settings.key)),
        }
    }

    /// Slides the window up to now, for at most `limit`.
    async fn expire(&mut self, limit: Duration) -> Result<()> {
        let began = Instant::now();
        let target = self.settings.expired_at(now_ms());
        if self.off.fence {
            self.adopt_what_stands().await?;
        }
        while began.elapsed() < limit {
            let Some(mut fence) = self.fence.clone().filter(|fence| fence.expired_through < target) else { break };
            let Some((expired_through, ids)) = self.board().await?.expire(&fence, target).await? else {
                return self.judge_moved_expiry(&fence).await;
            };
            fence.expired_through = expired_through;
            self.fence = Some(fence);
            counter!("thm_redis_expired_events_total", &self.labels()).increment(ids);
        }
        if let Some(fence) = &self.fence {
            gauge!("thm_redis_window_lag_seconds", &self.labels()).set((target - fence.expired_through).max(0) as f64);
        }
        Ok(())
    }

    /// A time-out's own late success moves `expired_through` alone; anything else is the worker's to open again.
    async fn judge_moved_expiry(&mut self, known: &Fence) -> Result<()> {
        self.fence = None;
        let stands = self.our_fence().await?;
        if stands.offsets == known.offsets && stands.expired_through > known.expired_through {
            self.fence = Some(stands);
            return Ok(());
        }
        Err(lost_fence(&self.settings.key))
    }

    /// After an error the connection's state is unknown.
    fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() != ErrorKind::RecordRejected) {
            self.board = None;
        }
        result
    }

    async fn open_at_fence(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        if self.off.fence {
            return self.adopt_what_stands().await.map(|()| Vec::new());
        }
        let fence = self.take_fence().await?;
        self.fence = Some(fence.clone());
        // The window slides on before anything is counted, as if we had never been away.
        self.expire(Duration::MAX).await?;
        let mut offsets = Vec::new();
        self.next.clear();
        for partition in &self.partitions {
            if let Some(offset) = self.place(&fence, partition) {
                offsets.push((partition.partition.clone(), offset));
                self.next.insert(partition.partition.clone(), (partition.clone(), offset));
            }
        }
        Ok(offsets)
    }
}

#[async_trait]
impl SinkTask for LeaderboardTask {
    fn batch_policy(&self) -> BatchPolicy {
        BatchPolicy { max_records: MAX_RECORDS, max_bytes: MAX_BYTES, linger: Duration::ZERO, frozen: false }
    }

    async fn open(
        &mut self,
        partitions: &[SinkPartition],
        generation: Generation,
    ) -> Result<Vec<(TopicPartition, Offset)>> {
        self.board = None;
        self.fence = None;
        self.generation = if self.off.generation { Generation::default() } else { generation };
        self.partitions = partitions.to_vec();
        self.rewind = Rewind::load(&*self.context.state, self.generation)?;
        let opened = self.open_at_fence().await;
        self.settle(opened)
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        let began = Instant::now();
        self.rewind.begin(&*self.context.state, &batch.partition, batch.first)?;
        let written = self.write_through(&batch).await;
        self.settle(written)?;
        let next = (batch.partition.clone(), Offset(batch.last.0 + 1));
        self.next.insert(batch.partition.partition.clone(), next);
        histogram!("thm_redis_write_seconds", &self.labels()).record(began.elapsed());
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        Ok(self.next.iter().map(|(partition, (_, offset))| (partition.clone(), *offset)).collect())
    }

    async fn tick(&mut self) -> Result<()> {
        let expired = self.expire(MAX_TICK).await;
        self.settle(expired)?;
        let next = self.next.values().map(|(partition, offset)| (partition, *offset));
        self.rewind.note(&*self.context.state, self.settings.window_ms, now_ms(), next)
    }

    fn tick_interval(&self) -> Option<Duration> {
        Some(TICK)
    }

    async fn close(&mut self) {
        self.board = None;
        self.fence = None;
    }
}

fn lost_fence(name: &str) -> Error {
    Error::new(ErrorKind::SinkUnreachable, "going on with the leaderboard", name)
        .with_source("its fence is gone or not the one this task left")
        .with_hint("Redis was emptied, restarted or failed over; the board is rebuilt from the log by itself.")
}

/// Wall clock, milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
