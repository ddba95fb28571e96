//! The source's task: start, snapshot, stream, acknowledge, stop.
//!
//! ```text
//!   start ─▶ preflight ─▶ slot::decide ─┬─ Fresh ──▶ slot + snapshot ──▶ poll: Snapshot ──last batch──▶ poll: Stream
//!                                       └─ Resume, Adopt ────────────────────────────────────────────▶ poll: Stream
//!   acknowledge(position) ─▶ the slot's commit end; the end of the snapshot makes its state Finished
//! ```
//!
//! Invariants (the promises of `DESIGN.md`): the slot hears an LSN only after `acknowledge` said it is durable; a
//! snapshot is `Started` durably before its first row and `Finished` after its last row is durable; nothing is skipped
//! when slot and state do not match.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::OptionFuture;
use thm_api::{
    Error, ErrorKind, Hosts, Lsn, PartitionProgress, Position, Result, SourceAppend, SourceBatch, SourceTask,
    StateStore, TaskContext, TopicSpec,
};
use thm_codec::debezium::ContextHeaders;
use tokio::time::Instant;
use uuid::Uuid;

use crate::catalog;
use crate::encoder::{Encoder, Rules};
use crate::heartbeat::Heartbeat;
use crate::notifications::{Event, Notifier};
use crate::options::{Options, SnapshotMode, named_tables};
use crate::preflight;
use crate::replica_identity;
use crate::session::Session;
use crate::signals::channels::Channels;
use crate::slot::{self, Facts, Phase, Plan, PublicationMark, SlotState};
use crate::snapshot::{Sessions, Snapshot, no_records};
use crate::status::{Status, Watched};
use crate::stream::{Stream, now};
use crate::timeline;
use crate::toast::{Hydrator, Store};
use crate::transport::{ReplicationClient, ReplicationTransport};

/// What the trait says: a poll waits at most about this long.
const DEFAULT_POLL_WAIT: Duration = Duration::from_secs(1);
/// How often an idle slot hears of progress at most: each time it is stored first.
const DEFAULT_IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the server may take to end our session before its slot is dropped.
const DEFAULT_DROP_TIMEOUT: Duration = Duration::from_secs(2);
/// A transaction held in memory takes at most this; larger ones go to the spool folder.
const DEFAULT_TRANSACTION_BYTES: usize = 8 << 20;

/// One connector's task.
pub struct PostgresTask {
    context: TaskContext,
    options: Arc<Options>,
    running: Option<Running>,
}

/// Everything between start and stop.
struct Running {
    encoder: Encoder,
    /// Present until its last batch was given.
    snapshot: Option<Snapshot>,
    stream: Stream,
    streaming: bool,
    /// `lsn.flush.mode=manual`: the slot hears nothing from us.
    manual_flush: bool,
    /// `snapshot.mode=initial_only`: there is nothing after the snapshot.
    only_snapshot: bool,
    /// Topics that a start without a snapshot makes.
    announced: Vec<SourceAppend>,
    state: SlotState,
    /// Durable in the log.
    durable: Position,
    /// Durable in the log and in the TOAST store: what the slot was told.
    acknowledged: Lsn,
    /// Of each complete position given: the transactions that were given whole up to it.
    given: VecDeque<(Position, Whole)>,
    /// Those that are durable.
    whole: Whole,
    /// When the slot was last told of a place beyond the rows.
    told_at: Instant,
    status: Status,
    heartbeat: Option<Heartbeat>,
    /// Ways by which signals come, beside the stream.
    channels: Option<Channels>,
    /// The last complete position given.
    complete: Option<Position>,
}

/// Transactions given whole: all up to `end`, the last one with a row ending at `row`.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    end: Lsn,
    row: Lsn,
}

impl PostgresTask {
    /// Reads the options; touches nothing outside.
    pub fn new(context: TaskContext) -> Result<Self> {
        let options = Arc::new(Options::parse(&context.config)?);
        Ok(Self { context, options, running: None })
    }

    fn running(&mut self) -> Result<&mut Running> {
        let name = &*self.context.connector;
        self.running.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "using a task before its start", name))
    }
}

/// `slot.drop.on.stop`: once our own session has ended. What the next start makes of it, its `snapshot.mode` says.
async fn drop_slot(options: &Options, hosts: &Hosts) {
    let (slot, deadline) = (&options.slot, Instant::now() + DEFAULT_DROP_TIMEOUT);
    let dropped = async {
        let session = Session::connect(options, hosts).await?;
        loop {
            match catalog::drop_slot(&session, slot).await {
                Err(error) if error.kind() == ErrorKind::SlotInUse && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                dropped => return dropped,
            }
        }
    };
    match dropped.await {
        Ok(()) => tracing::warn!(slot, "dropped the slot, as slot.drop.on.stop says: changes from now on are not kept"),
        Err(error) => tracing::warn!(slot, %error, "could not drop the slot, though slot.drop.on.stop says so"),
    }
}

impl Running {
    async fn open(context: &TaskContext, options: &Arc<Options>, progress: PartitionProgress) -> Result<Self> {
        let (hosts, store) = (&context.hosts, &*context.state);
        let session = Session::connect(options, hosts).await?;
        let server = preflight::check_server(&session, options).await?;
        let tables = preflight::captured_tables(&session, options, &named_tables(&context.config)).await?;

        replica_identity::settle(&session, &options.identities, &tables).await?;

        let state = SlotState::load(store)?;
        let existing = catalog::slot(&session, &options.slot).await?;
        let obeyed = state.as_ref().and_then(|state| state.obeyed.clone());
        let start = options.start.as_ref().filter(|(_, text)| obeyed.as_ref() != Some(text));
        let durable: HashMap<String, Position> =
            progress.iter().map(|(partition, progress)| (partition.topic.to_string(), progress.position)).collect();
        let fork = match state.as_ref().filter(|state| state.is_of_other_timeline(server.timeline)) {
            Some(state) => timeline::left_at(options, hosts, state.timeline, server.timeline).await?,
            None => None,
        };
        let decided = slot::decide(&Facts {
            state: state.as_ref(),
            slot: existing.as_ref(),
            name: &options.slot,
            database: &options.database,
            system_id: server.system_id,
            timeline: server.timeline,
            fork,
            wal_end: server.wal_end,
            durable: durable.values().map(|position| position.commit_end).max().unwrap_or_default(),
            start: start.map(|(mode, _)| *mode),
        });
        let plan = match (options.snapshot, decided) {
            (SnapshotMode::Always, Ok(_)) => Plan::Fresh { drop_first: existing.is_some() },
            (SnapshotMode::WhenNeeded, Err(error)) if error.kind() == ErrorKind::SlotUnsafe => {
                tracing::warn!(connector = %context.connector, %error, "a new snapshot is needed");
                Plan::Fresh { drop_first: existing.is_some() }
            }
            (_, decided) => decided?,
        };
        tracing::info!(connector = %context.connector, slot = options.slot, ?plan, tables = tables.len(), "source starts");

        let publication = publication(&session, options, &tables, plan, state.as_ref()).await?;
        let mut transport = ReplicationClient::connect(options, hosts).await?;
        let resumes = matches!(plan, Plan::Resume | Plan::Adopt);
        if options.failover && resumes && existing.as_ref().is_some_and(|slot| !slot.failover) {
            transport.keep_for_failover().await?;
        }
        let fresh = SlotState {
            slot: options.slot.clone(),
            system_id: server.system_id,
            database: options.database.clone(),
            phase: Phase::Creating,
            consistent_point: Lsn(0),
            acknowledged_below: Lsn(0),
            timeline: server.timeline,
            publication: Some(publication.clone()),
            toast_epoch: None,
            obeyed: options.start.as_ref().map(|(_, text)| text.clone()).or(obeyed),
        };
        let captured = tables.clone();
        let opening = Opening { context, options, session, transport, tables, captured, durable };
        match (plan, state, existing) {
            (Plan::Resume, Some(state), Some(existing)) => {
                let state = SlotState { timeline: server.timeline, publication: Some(publication), ..state };
                state.store(store)?;
                opening.resume(state, existing.confirmed_flush).await
            }
            (Plan::Adopt, _, Some(existing)) => {
                let at = existing.confirmed_flush;
                let state = SlotState { phase: Phase::Finished, consistent_point: at, acknowledged_below: at, ..fresh };
                state.store(store)?;
                opening.resume(state, at).await
            }
            (_, _, existing) => opening.fresh(fresh, existing.is_some()).await,
        }
    }
}

/// Checks the publication, and makes it for a start that begins anew. One that was away while the slot was ours has
/// left changes out.
async fn publication(
    session: &Session,
    options: &Options,
    tables: &[catalog::TableName],
    plan: Plan,
    state: Option<&SlotState>,
) -> Result<PublicationMark> {
    let name = &options.publication;
    let resumes = plan == Plan::Resume;
    if resumes && catalog::publication_mark(session, name).await?.is_none() {
        let reason = "the publication is gone: changes made since cannot be read, and those made without it are lost";
        return Err(slot::publication_changed(name, reason));
    }
    let unknown = PublicationMark::default();
    let before = state.and_then(|state| state.publication.as_ref()).filter(|_| resumes);
    preflight::check_publication(session, options, tables, resumes.then(|| before.unwrap_or(&unknown))).await?;
    let now = catalog::publication_mark(session, name).await?.unwrap_or_default();
    match before.and_then(|before| before.changed(&now)) {
        Some(reason) => Err(slot::publication_changed(name, &reason)),
        None => Ok(now),
    }
}

/// What a start has in hand once it knows its plan.
struct Opening<'a> {
    context: &'a TaskContext,
    options: &'a Arc<Options>,
    session: Session,
    transport: ReplicationClient,
    /// Those whose topics are to be made.
    tables: Vec<catalog::TableName>,
    captured: Vec<catalog::TableName>,
    durable: HashMap<String, Position>,
}

impl Opening<'_> {
    /// Opens what completes updated rows. A store that was not fed by everything since its epoch began is not used: it
    /// begins anew, and what it lacks is looked for in the database.
    fn hydrator(&self, state: &mut SlotState) -> Result<Option<Hydrator>> {
        let (toast, connector, store) = (&self.options.toast, &self.context.connector, &*self.context.state);
        let file = toast.file(connector);
        if !toast.hydrate {
            if state.toast_epoch.take().is_some() {
                state.store(store)?;
                file.as_deref().map_or(Ok(()), Store::remove)?;
            }
            return Ok(None);
        }
        let Some(file) = file else {
            let error = Error::new(ErrorKind::InvalidConfig, "opening the TOAST store", "thm.toast.dir");
            return Err(error.with_hint("Say with thm.toast.dir where large values are kept."));
        };
        if state.toast_epoch.is_none() {
            state.toast_epoch = Some(Uuid::now_v7().to_string());
            state.store(store)?;
        }
        let epoch = state.toast_epoch.as_deref().unwrap_or_default();
        Hydrator::open(&file, epoch, connector).map(Some)
    }

    async fn resume(mut self, mut state: SlotState, at: Lsn) -> Result<Running> {
        let toast = self.hydrator(&mut state)?;
        self.tables.retain(|table| !self.durable.contains_key(&self.options.topic(&table.schema, &table.name)));
        let streaming = self.options.snapshot != SnapshotMode::InitialOnly;
        if streaming {
            self.transport.start().await?;
        }
        let last_commit = Some(at).filter(|at| *at > state.consistent_point);
        self.running(state, toast, None, last_commit, streaming)
    }

    async fn fresh(mut self, mut state: SlotState, drop_first: bool) -> Result<Running> {
        let (options, store) = (Arc::clone(self.options), &*self.context.state);
        let with_rows = options.snapshot != SnapshotMode::NoData;
        state.store(store)?;
        if drop_first {
            catalog::drop_slot(&self.session, &options.slot).await?;
        }
        let sessions = async {
            let connecting = with_rows.then(|| Sessions::connect(&options, &self.context.hosts));
            OptionFuture::from(connecting).await.transpose()
        };
        // Both take the server some time. The slot's outcome comes first: what is there of it must be noted.
        let (created, sessions) = tokio::join!(self.transport.create_slot(with_rows), sessions);
        let created = created?;
        tracing::info!(slot = options.slot, consistent_point = %created.consistent_point, "created slot");
        state.consistent_point = created.consistent_point;
        state.acknowledged_below = created.consistent_point;
        state.phase = if with_rows { Phase::Started } else { Phase::Finished };
        state.store(store)?;
        let toast = self.hydrator(&mut state)?;
        let snapshot = match created.snapshot.as_deref().zip(sessions?) {
            Some((name, sessions)) => {
                let (mut tables, point) = (std::mem::take(&mut self.tables), created.consistent_point);
                tables.retain(|table| options.snapshot_takes(table));
                Some(Snapshot::open(sessions, Arc::clone(&options), name, point, tables).await?)
            }
            None => {
                self.transport.start().await?;
                None
            }
        };
        let streaming = snapshot.is_none();
        self.running(state, toast, snapshot, None, streaming)
    }

    fn running(
        self,
        state: SlotState,
        toast: Option<Hydrator>,
        snapshot: Option<Snapshot>,
        last_commit: Option<Lsn>,
        streaming: bool,
    ) -> Result<Running> {
        let Self { context, session, transport, durable, tables, captured, .. } = self;
        let options = Arc::clone(self.options);
        let only_snapshot = options.snapshot == SnapshotMode::InitialOnly;
        let manual_flush = options.manual_flush;
        let run_id = Uuid::now_v7().to_string();
        let version = options.envelope;
        let headers = ContextHeaders::new(version, options.context_headers, &options.prefix, context.task, &run_id);
        let watched = Watched { tables: captured, publication: state.publication.clone() };
        let status = Status::new(&context.connector, Arc::clone(&options), Arc::clone(&context.hosts), watched);
        let memory_bytes = (context.budget.bytes() / 2).clamp(1 << 16, DEFAULT_TRANSACTION_BYTES);
        let rules = Rules {
            tombstones: options.tombstones,
            skipped: options.skipped.clone(),
            skip_unchanged: options.skip_unchanged,
        };
        let mut encoder = Encoder::new(headers, rules).hydrating(toast);
        if snapshot.is_none() {
            let from = (state.consistent_point, last_commit);
            notify(&options, &tables, &mut encoder, from, &durable);
        }
        let hosts = Arc::clone(&context.hosts);
        // Without a snapshot nothing else says which topics there will be.
        let announced = tables.iter().map(|table| {
            let topic = options.topic(&table.schema, &table.name);
            let there = durable.get(&topic).copied().unwrap_or_default();
            no_records(Arc::new(TopicSpec::new(topic)), there.max(Position::snapshot(state.consistent_point)))
        });
        let announced = announced.collect();
        // A start that begins anew is complete up to there: at once, or after its snapshot.
        let fresh = last_commit.is_none();
        let there = |topic: &str| durable.get(topic).copied().unwrap_or_default();
        let heartbeat = Heartbeat::new(&options, &hosts, fresh, there);
        let told_at = there(options.notifications.topic.as_deref().unwrap_or_default());
        let channels = Channels::new(context, &options, told_at)?;
        let complete = (fresh && snapshot.is_none()).then(|| Position::end_of(state.consistent_point));
        let stream = Stream::new(Box::new(transport), options, hosts, session, memory_bytes, durable, last_commit);
        let (whole, durable) = (Whole { end: Lsn(0), row: stream.last_row() }, Position::default());
        Ok(Running {
            encoder,
            snapshot,
            stream,
            streaming,
            manual_flush,
            only_snapshot,
            announced,
            durable,
            acknowledged: Lsn(0),
            state,
            given: VecDeque::new(),
            whole,
            told_at: Instant::now(),
            status,
            heartbeat,
            channels,
            complete,
        })
    }
}

/// Tells of a start that copies no rows: of a snapshot without them, or of none.
fn notify(
    options: &Options,
    tables: &[catalog::TableName],
    encoder: &mut Encoder,
    (consistent_point, last_commit): (Lsn, Option<Lsn>),
    durable: &HashMap<String, Position>,
) {
    let Some(mut notifier) = Notifier::new(options, tables) else { return };
    let topic = options.notifications.topic.as_deref().unwrap_or_default();
    let there = durable.get(topic).copied().unwrap_or_default();
    let here = there.max(Position::snapshot(last_commit.unwrap_or(consistent_point)));
    let events = match last_commit {
        None if there == Position::default() => &[Event::Started, Event::Resolved, Event::Completed][..],
        _ => &[Event::Skipped],
    };
    for event in events {
        if let Some(note) = notifier.tell(*event, now()) {
            encoder.push_note(note, here, now());
        }
    }
}

impl Running {
    async fn poll(&mut self) -> Result<SourceBatch> {
        self.status.problem()?;
        let deadline = Instant::now() + DEFAULT_POLL_WAIT;
        let due = self.heartbeat.as_ref().filter(|_| self.streaming).map(Heartbeat::due);
        let deadline = due.map_or(deadline, |due| deadline.min(due));
        let due = self.channels.as_ref().filter(|_| self.streaming && self.complete.is_some()).map(Channels::due);
        let deadline = due.map_or(deadline, |due| deadline.min(due));
        let was_copying = self.snapshot.is_some();
        let mut batch = match &mut self.snapshot {
            Some(snapshot) => {
                let batch = snapshot.poll(&mut self.encoder, deadline).await?;
                if snapshot.is_done() {
                    self.snapshot = None;
                }
                batch
            }
            None if self.only_snapshot => {
                tokio::time::sleep_until(deadline).await;
                SourceBatch::default()
            }
            None => {
                if !self.streaming {
                    self.stream.transport().start().await?;
                    self.streaming = true;
                }
                self.stream.poll(&mut self.encoder, deadline).await?
            }
        };
        self.status.given(&self.encoder, &mut self.stream);
        if let Some(complete) = batch.complete {
            self.given.push_back((complete, Whole { end: self.stream.given(), row: self.stream.last_row() }));
            self.complete = Some(complete);
        }
        // There is none while tables are copied, and one at their end.
        let beats = self.snapshot.is_none() && (was_copying || !self.only_snapshot);
        let beating = self.heartbeat.as_mut().filter(|_| beats);
        if let Some((heartbeat, complete)) = beating.zip(self.complete) {
            batch.appends.extend(heartbeat.beat(complete, now()));
        }
        if !self.announced.is_empty() {
            batch.appends.splice(0..0, self.announced.drain(..));
        }
        Ok(batch)
    }

    /// Does what signals beside the stream say, if some have come. Cancel-safe.
    async fn heed(&mut self, store: &dyn StateStore) -> Result<()> {
        let (Some(channels), Some(complete)) = (&mut self.channels, self.complete.filter(|_| self.streaming)) else {
            return Ok(());
        };
        let signals = channels.read(store).await?;
        if signals.is_empty() {
            return Ok(());
        }
        let place = channels.place(complete);
        match self.stream.obey(&signals, complete, place, &mut self.encoder) {
            true => Ok(()),
            false => channels.settle(complete, store),
        }
    }

    /// Takes note that the log has everything up to `position`, and tells the slot as far as the TOAST store has too.
    async fn acknowledge(&mut self, position: Position, store: &dyn StateStore) -> Result<()> {
        self.durable = position;
        if let Some(channels) = &mut self.channels {
            channels.settle(position, store)?;
        }
        let told = match self.encoder.toast() {
            Some(toast) => toast.durable(position).await?,
            None => position,
        };
        self.tell(told, store, false)
    }

    /// The transactions that are durable whole when everything up to `position` is.
    fn whole_durable(&mut self, position: Position) -> Whole {
        while let Some((_, given)) = self.given.pop_front_if(|(given, _)| *given <= position) {
            self.whole.end = self.whole.end.max(given.end);
            self.whole.row = self.whole.row.max(given.row);
        }
        self.whole
    }

    /// Makes the TOAST store durable as far as the log is, if that has waited long enough.
    async fn catch_up(&mut self, store: &dyn StateStore) -> Result<()> {
        let waits = self.durable.commit_end > self.acknowledged;
        let due = self.encoder.toast().map_or(self.told_at.elapsed() >= DEFAULT_IDLE_INTERVAL, |toast| toast.is_due());
        match waits && due {
            true => self.acknowledge(self.durable, store).await,
            false => Ok(()),
        }
    }

    /// Tells the slot, after our state allows it to be told.
    ///
    /// A start believes a slot that stands no further than our last word. Where a durable row stands, the log itself is
    /// our word; beyond, in idle times, it is stored first, exactly, and not too often unless it must be `now`. Of a
    /// transaction that is durable in part, the slot hears nothing: the rest of it must come again after a crash.
    fn tell(&mut self, position: Position, store: &dyn StateStore, now: bool) -> Result<()> {
        if self.state.phase == Phase::Started && position >= Position::end_of(self.state.consistent_point) {
            self.state.phase = Phase::Finished;
            self.state.store(store)?;
            tracing::info!(consistent_point = %self.state.consistent_point, "snapshot is durable");
        }
        let whole = self.whole_durable(position);
        let in_transaction = !position.is_snapshot() && position != Position::end_of(position.commit_end);
        let lsn = if in_transaction { whole.end } else { position.commit_end };
        if lsn > whole.row.max(self.state.acknowledged_below) {
            if !now && self.told_at.elapsed() < DEFAULT_IDLE_INTERVAL {
                return Ok(());
            }
            self.told_at = Instant::now();
            self.state.acknowledged_below = lsn;
            self.state.store(store)?;
        }
        self.acknowledged = self.acknowledged.max(lsn);
        if self.streaming && !self.manual_flush {
            self.stream.transport().acknowledge(self.acknowledged);
        }
        self.status.acknowledged(self.acknowledged);
        Ok(())
    }
}

#[async_trait]
impl SourceTask for PostgresTask {
    async fn start(&mut self, progress: PartitionProgress) -> Result<()> {
        let (context, options) = (self.context.clone(), Arc::clone(&self.options));
        self.running = Some(Running::open(&context, &options, progress).await?);
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        let store = Arc::clone(&self.context.state);
        let running = self.running()?;
        running.catch_up(&*store).await?;
        running.heed(&*store).await?;
        running.poll().await
    }

    async fn acknowledge(&mut self, position: Position) -> Result<()> {
        let store = Arc::clone(&self.context.state);
        self.running()?.acknowledge(position, &*store).await
    }

    async fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let durable = running.durable;
        if durable > Position::default() {
            if let Some(toast) = running.encoder.toast() {
                toast.flush(durable).await?;
            }
            running.tell(durable, &*self.context.state, true)?;
        }
        if !running.stream.transport().close().await && running.streaming {
            // What comes again after the next start is dropped there.
            tracing::warn!(slot = self.options.slot, acknowledged = %running.acknowledged, "server has not confirmed the last acknowledgement");
        }
        if self.options.drop_slot {
            drop_slot(&self.options, &self.context.hosts).await;
        }
        Ok(())
    }
}
