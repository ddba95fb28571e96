//! The thread of one job.
//!
//! ```text
//!            ┌────────────────────────────────────────────────────────────┐
//!            ▼                                                            │
//!   fetch drained inputs ─▶ choose by position ─▶ stream: operators ─▶ append
//!            │                     │         └──▶ look-up: change the table
//!            │                     └ none ─▶ wait for a record, a statement of completeness, a command
//!            └ every interval ─▶ output durable? ─▶ checkpoint
//! ```
//! Only reads, appends and waits are asynchronous; they run on the runtime's handle while this thread blocks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::select_all;
use metrics::Histogram;
use thm_api::{
    Completeness, Error, ErrorKind, Hosts, Log, OffsetStore, Op, Progress, ReadLimits, ReadResult, Result, StateStore,
};
use tokio::sync::watch;

use super::checkpoint::{Changed, Checkpoint, InputState, LookupState, Store};
use super::dead_letters::{self, DeadLetters};
use super::input::{Input, Role};
use super::lineage;
use super::merge;
use super::output;
use super::pipeline::{Failure, Pipeline};
use super::shared::{Command, Shared};
use super::sink::Sink;
use super::start;
use super::status::InputStatus;
use crate::format::Meta;
use crate::operator;
use crate::planner::JobPlan;

/// Most rows evaluated at once: columns of this length stay in the CPU's caches.
const DEFAULT_BATCH_ROWS: usize = 8_192;
/// Most bytes of one read of a partition.
const DEFAULT_READ_BYTES: usize = 1 << 20;
/// Longest wait for a record before the job looks after its clock.
const DEFAULT_WAIT: Duration = Duration::from_millis(200);

/// Wait for the next rows of a source that is made up at a rate.
const DEFAULT_FEED_WAIT: Duration = Duration::from_millis(20);

/// What a job runs on.
#[derive(Clone)]
pub(super) struct Environment {
    pub log: Arc<dyn Log>,
    pub completeness: Arc<dyn Completeness>,
    pub state: Arc<dyn StateStore>,
    pub budget_bytes: usize,
    /// Offsets of consumer groups, for sources that start from them.
    pub groups: Option<Arc<dyn OffsetStore>>,
    /// Where the names in URLs lead.
    pub hosts: Hosts,
}

/// How a run ended without error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Finished,
    Stopped,
    Canceled,
    /// There is more to read than it was started with: it starts again from its checkpoint.
    Grown,
}

/// A running job.
pub(super) struct Runner {
    pub(super) plan: JobPlan,
    pub(super) environment: Environment,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: watch::Receiver<Command>,
    pub(super) inputs: Vec<Input>,
    pub(super) pipeline: Pipeline,
    pub(super) output: Sink,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) store: Store,
    pub(super) last_checkpoint: Option<Checkpoint>,
    /// Counts the fresh starts by order.
    pub(super) generation: u32,
    pub(super) next_checkpoint: Instant,
    /// When to look for topics and partitions that are new.
    pub(super) next_discovery: Option<Instant>,
    /// Records in and out of this job before it started again to read more.
    pub(super) counted_before: (u64, u64),
    pub(super) records_in: u64,
    pub(super) latency: Histogram,
}

impl Runner {
    /// Runs until a command ends it.
    pub async fn run(&mut self) -> Result<Ended> {
        loop {
            let command = *self.commands.borrow_and_update();
            match command {
                Command::Run => {}
                Command::Cancel => return Ok(Ended::Canceled),
                Command::Stop => {
                    self.output.tell_progress(true).await?;
                    self.checkpoint().await?;
                    return Ok(Ended::Stopped);
                }
            }
            if Instant::now() >= self.next_checkpoint {
                self.checkpoint().await?;
            }
            if self.grows() {
                self.output.tell_progress(true).await?;
                self.checkpoint().await?;
                return Ok(Ended::Grown);
            }
            self.fetch().await?;
            let consumed = self.step().await?;
            self.output.tell_progress(false).await?;
            self.report();
            if consumed {
                continue;
            }
            if self.is_done() {
                self.output.tell_progress(true).await?;
                self.checkpoint().await?;
                return Ok(Ended::Finished);
            }
            self.wait().await?;
        }
    }

    fn limits(&self, wait: Duration) -> ReadLimits {
        // Decoded rows take about as much again, and each input may have a read at hand.
        let share = self.environment.budget_bytes / (4 * self.inputs.len().max(1));
        ReadLimits { max_bytes: DEFAULT_READ_BYTES.min(share.max(64 << 10)), max_wait: wait }
    }

    /// Whether there are topics or partitions by now that it does not read yet.
    fn grows(&mut self) -> bool {
        let now = Instant::now();
        if self.next_discovery.is_none_or(|next| now < next) {
            return false;
        }
        let pauses = self.plan.graph.branches.iter().filter_map(|branch| branch.source.discovery());
        self.next_discovery = pauses.min().map(|pause| now + pause);
        let grows = start::has_more(&self.plan, &*self.environment.log, &self.inputs);
        if grows {
            tracing::info!(job = %self.plan.name, "found topics or partitions that are new, reading them too");
        }
        grows
    }

    /// Whether all streams have come to their end.
    fn is_done(&self) -> bool {
        if self.plan.graph.branches.iter().any(|branch| branch.source.is_unbounded()) {
            return false;
        }
        let mut streams = self.inputs.iter().filter(|input| matches!(input.role, Role::Stream(_)));
        streams.all(Input::is_done)
    }

    /// Reads what is there for inputs that have nothing at hand.
    async fn fetch(&mut self) -> Result<()> {
        let limits = self.limits(Duration::ZERO);
        for input in self.inputs.iter_mut().filter(|input| input.is_drained()) {
            if !input.is_topic() {
                input.feed()?;
                continue;
            }
            let found = input.read(&*self.environment.log, limits).await?;
            input.take(found)?;
        }
        Ok(())
    }

    /// Consumes one run of records; false if there is none that may be.
    async fn step(&mut self) -> Result<bool> {
        let views: Vec<_> = self.inputs.iter_mut().map(Input::view).collect();
        let Some((chosen, limit)) = merge::choose(&views) else { return Ok(false) };
        let input = &self.inputs[chosen];
        let Some((chunk, from, to)) = input.run(DEFAULT_BATCH_ROWS, |position| limit.admits(position)) else {
            return Ok(false);
        };
        match input.role {
            Role::Lookup(index) => self.pipeline.change(index, chunk, from, to)?,
            Role::Stream(branch) => {
                let last = chunk.rows.meta[from..to].last().copied();
                let rank = input.rank;
                self.records_in += (to - from) as u64;
                if let Some(last) = last {
                    let progress = Progress { position: last.position, input: rank, offset: last.offset };
                    if !self.through(chosen, branch, (from, to), progress).await? {
                        return Ok(false);
                    }
                    self.measure(last);
                }
            }
        }
        self.inputs[chosen].advance(to);
        Ok(true)
    }

    /// From a row's commit to its result's place in the output; of one row for many, and not of a snapshot's.
    fn measure(&self, last: Meta) {
        let late_us = chrono::Utc::now().timestamp_micros() - last.commit_us;
        if last.op != Op::Read && last.commit_us > 0 {
            self.latency.record(late_us.max(0) as f64 / 1e6);
        }
    }

    /// Rows of a branch through its operators into the sink. Where one cannot be evaluated they go one by one, so that it
    /// is told by its key; with `errors.tolerance` = `all` it costs nobody else anything. False if a command came first:
    /// then the rows stay where they are.
    async fn through(
        &mut self,
        input: usize,
        branch: usize,
        (from, to): (usize, usize),
        last: Progress,
    ) -> Result<bool> {
        match self.write(branch, self.inputs[input].rows(from, to), last).await {
            Err(error) if error.kind() == ErrorKind::Evaluation => {}
            done => return done,
        }
        let rows = self.inputs[input].rows(from, to);
        let mut from = 0;
        while let Some(first) = rows.meta.get(from).copied() {
            // The old and the new row of an update stay together.
            let count = rows.meta[from..].iter().take_while(|meta| meta.offset == first.offset).count();
            let here = Progress { position: first.position, input: last.input, offset: first.offset };
            match self.write(branch, rows.slice(from, count), here).await {
                Err(error) if error.kind() == ErrorKind::Evaluation => {
                    let error = self.with_key(input, first.offset, error).await;
                    if !self.plan.graph.errors.tolerate {
                        return Err(error);
                    }
                    self.dead_letter(input, first.offset, &error).await?;
                }
                Ok(true) => {}
                done => return done,
            }
            from += count;
        }
        Ok(true)
    }

    /// An error with the key of the record that it is about, if that has one.
    async fn with_key(&self, input: usize, offset: i64, error: Error) -> Error {
        let input = &self.inputs[input];
        let found = if input.is_topic() {
            dead_letters::record(&*self.environment.log, &input.partition, offset).await
        } else {
            Ok(None)
        };
        let Ok(Some((Some(key), ..))) = found else { return error };
        let key = output::shortened(String::from_utf8_lossy(&key).into_owned());
        let object = format!("{}, key {key}", error.object());
        error.with_object(object)
    }

    /// False if a command came while the rows waited for a database.
    async fn write(&mut self, branch: usize, rows: operator::Rows, last: Progress) -> Result<bool> {
        let offset = rows.meta.first().map_or(0, |meta| meta.offset);
        let graph = &self.plan.graph;
        let source = &graph.branches[branch].source;
        let failed = |failure| match failure {
            Failure::Outside(error) => error,
            Failure::Row(error, step) => {
                let step = output::shortened(graph.step(branch, step));
                let at = format!("{} {}, offset {offset}, {step}", source.table, source.place());
                Error::new(ErrorKind::Evaluation, "evaluating rows", at)
                    .with_source(error)
                    .with_hint(output::ERRORS_HINT)
            }
        };
        let mut commands = self.commands.clone();
        let asks = self.pipeline.asks(branch);
        let commanded = async move {
            if !asks || commands.wait_for(|command| *command != Command::Run).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let out = tokio::select! {
            biased;
            () = commanded => return Ok(false),
            out = self.pipeline.process(branch, rows) => out.map_err(failed)?,
        };
        self.output.write(branch, out, last).await?;
        Ok(true)
    }

    async fn dead_letter(&mut self, input: usize, offset: i64, error: &Error) -> Result<()> {
        let job = self.plan.name.clone();
        metrics::counter!("thm_sql_records_failed_total", "job" => job).increment(1);
        let input = &self.inputs[input];
        tracing::warn!(job = %self.plan.name, partition = %input.partition, offset, "a record cannot be evaluated");
        match &self.dead_letters {
            Some(queue) if input.is_topic() => queue.put(&input.partition, offset, error).await,
            _ => Ok(()),
        }
    }

    /// Waits for anything to happen: a record, a statement of completeness, a command, the next checkpoint.
    async fn wait(&mut self) -> Result<()> {
        enum Event {
            Read(usize, Result<ReadResult>),
            Other,
        }
        let feeds = self.inputs.iter().any(|input| !input.is_topic() && !input.is_done());
        let longest = if feeds { DEFAULT_FEED_WAIT } else { DEFAULT_WAIT };
        let next = self.next_discovery.map_or(self.next_checkpoint, |next| next.min(self.next_checkpoint));
        let until = next.saturating_duration_since(Instant::now()).min(longest);
        let limits = self.limits(until.max(Duration::from_millis(1)));
        let log = Arc::clone(&self.environment.log);
        let mut changes: Vec<_> = self.inputs.iter().map(|input| input.complete.clone()).collect();
        let mut commands = self.commands.clone();
        let event = {
            let mut waits: Vec<Pin<Box<dyn Future<Output = Event> + Send + '_>>> = Vec::new();
            for (index, input) in
                self.inputs.iter().enumerate().filter(|(_, input)| input.is_drained() && input.is_topic())
            {
                let log = &*log;
                waits.push(Box::pin(async move { Event::Read(index, input.read(log, limits).await) }));
            }
            for change in &mut changes {
                waits.push(Box::pin(async move {
                    if change.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    Event::Other
                }));
            }
            waits.push(Box::pin(async move {
                let _ = commands.changed().await;
                Event::Other
            }));
            waits.push(Box::pin(async move {
                tokio::time::sleep(until).await;
                Event::Other
            }));
            select_all(waits).await.0
        };
        match event {
            Event::Read(index, found) => self.inputs[index].take(found?),
            Event::Other => Ok(()),
        }
    }

    /// Saves how far the job is, once all of its output is durable.
    pub(super) async fn checkpoint(&mut self) -> Result<()> {
        self.next_checkpoint = Instant::now() + self.plan.checkpoint_interval;
        let begun = Instant::now();
        let trigger_ms = chrono::Utc::now().timestamp_millis();
        self.output.durable().await?;
        let of_input = |(index, input): (usize, &mut Input)| Some((index, input.snapshot()?));
        let changed = Changed {
            lookups: self.pipeline.snapshot()?,
            inputs: self.inputs.iter_mut().enumerate().filter_map(of_input).collect(),
        };
        let before = self.last_checkpoint.as_ref();
        let id = before.map_or(0, |before| before.id) + 1;
        let forms = self.plan.branch_hashes();
        let state_of = |index: usize| before.and_then(|before| before.lookups.get(index)?.state.clone());
        let checkpoint = Checkpoint {
            version: 0,
            id,
            plan: self.plan.hash(),
            generation: self.generation,
            key: self.plan.key_hash(),
            inputs: self.inputs.iter().map(|input| state_of_input(input, before, &forms)).collect(),
            patterns: self.plan.patterns().map(str::to_owned).collect(),
            lookups: (0..self.plan.graph.lookups.len())
                .map(|index| LookupState { hash: self.plan.lookup_hash(index), state: state_of(index) })
                .collect(),
        };
        let same = before.is_some_and(|before| {
            (&before.inputs, &before.plan, &before.lookups, before.generation)
                == (&checkpoint.inputs, &checkpoint.plan, &checkpoint.lookups, checkpoint.generation)
        });
        if same && changed.is_empty() {
            return Ok(());
        }
        let saved = self.store.save(checkpoint, &changed);
        if saved.is_err() {
            self.shared.update(|status| status.checkpoints.failed += 1);
        }
        let (checkpoint, bytes) = saved?;
        self.last_checkpoint = Some(checkpoint);
        let job = self.plan.name.clone();
        metrics::histogram!("thm_sql_checkpoint_duration_seconds", "job" => job).record(begun.elapsed().as_secs_f64());
        self.shared.update(|status| {
            let checkpoints = &mut status.checkpoints;
            checkpoints.completed += 1;
            checkpoints.latest_id = Some(id);
            checkpoints.trigger_ms = Some(trigger_ms);
            checkpoints.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            checkpoints.bytes = bytes as u64;
        });
        Ok(())
    }

    /// Tells status and metrics.
    fn report(&mut self) {
        let overflows = self.pipeline.take_overflows() + self.output.take_overflows();
        let streams = self.inputs.iter().filter(|input| matches!(input.role, Role::Stream(_)));
        let lag: i64 = streams.map(|input| (input.high_watermark - input.consumed).max(0)).sum();
        let lag = u64::try_from(lag).unwrap_or(0);
        let (inputs, output) = (&self.inputs, &self.output);
        self.shared.update(|status| {
            if status.output_topics.len() != output.topic_count() {
                status.output_topics = output.topics();
            }
            status.inputs.resize_with(inputs.len(), InputStatus::default);
            for (told, input) in status.inputs.iter_mut().zip(inputs) {
                told.take(&input.partition, input.consumed);
            }
        });
        let (before_in, before_out) = self.counted_before;
        self.shared.report(before_in + self.records_in, before_out + self.output.records(), lag, overflows);
    }
}

fn state_of_input(input: &Input, before: Option<&Checkpoint>, forms: &[String]) -> InputState {
    let same = |state: &&InputState| {
        input.producer.is_some() && lineage::name_of(state).as_deref() == input.producer.as_deref()
    };
    // Until new rows are saved, those of the last checkpoint hold.
    let before = before.filter(|_| input.remembers()).and_then(|before| before.inputs.iter().find(same));
    let form = if let Role::Stream(branch) = input.role { forms.get(branch).cloned() } else { None };
    InputState {
        role: Some(input.role),
        rank: Some(input.rank),
        form,
        producer: input.producer.as_deref().map(str::to_owned),
        rows: before.and_then(|before| before.rows.clone()),
        uuid: input.topic_uuid,
        place: input.consumed_place,
        end: input.end,
        tables: input.shapes(),
        ..InputState::of(&input.partition, input.consumed)
    }
}
