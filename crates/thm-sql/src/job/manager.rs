//! `JobManager`: starts jobs on threads of their own, shows them, ends them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use thm_api::{Completeness, Error, ErrorKind, Hosts, Log, MemoryBudget, OffsetStore, Policy, Result, StateStore};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::runner::{Ended, Environment};
use super::shared::{Command, Shared};
use super::start;
use super::status::{CheckpointStatus, JobState, JobStatus, VertexStatus};
use super::version::{From, check_replace};
use crate::planner::JobPlan;
use crate::stack::DEFAULT_STACK_BYTES;

/// What jobs run on.
pub struct JobManagerOptions {
    /// Topics.
    pub log: Arc<dyn Log>,
    /// How complete they are.
    pub completeness: Arc<dyn Completeness>,
    /// Where checkpoints go.
    pub state: Arc<dyn StateStore>,
    /// The runtime for reads, appends and waits.
    pub handle: Handle,
    /// Memory for what jobs hold between log and log.
    pub budget: MemoryBudget,
    /// Offsets of consumer groups, for sources that start from them.
    pub groups: Option<Arc<dyn OffsetStore>>,
    /// Where the names in URLs of look-ups lead.
    pub hosts: Hosts,
}

/// All jobs of an engine.
pub struct JobManager {
    options: JobManagerOptions,
    jobs: Mutex<BTreeMap<String, Job>>,
    /// Held while a job is taken out of service for another.
    replacing: Mutex<()>,
}

struct Job {
    shared: Arc<Shared>,
    commands: watch::Sender<Command>,
    thread: Option<JoinHandle<()>>,
    plan: JobPlan,
}

impl JobManager {
    /// Without jobs.
    #[must_use]
    pub fn new(options: JobManagerOptions) -> Self {
        Self { options, jobs: Mutex::new(BTreeMap::new()), replacing: Mutex::new(()) }
    }

    /// Starts a job and gives its id. A job of the same name that has ended is replaced and goes on from its checkpoint;
    /// one that runs is refused.
    pub fn submit(&self, plan: JobPlan) -> Result<String> {
        self.submit_from(plan, None)
    }

    /// Starts a job and says where, whatever its checkpoint has: what a changed key or look-up needs. Its records so far
    /// stay in the topic; it writes behind them, from the given place on.
    pub fn submit_from(&self, plan: JobPlan, from: Option<From>) -> Result<String> {
        let id = plan.id();
        let mut jobs = self.jobs.lock();
        if jobs.get(&id).is_some_and(|job| job.thread.as_ref().is_some_and(|thread| !thread.is_finished())) {
            return Err(Error::new(ErrorKind::InvalidConfig, "submitting a job", plan.name)
                .with_hint("A job of this name runs; cancel it first."));
        }
        let shared = Arc::new(Shared::new(created(&plan)));
        let (commands, receiver) = watch::channel(Command::Run);
        let environment = Environment {
            log: Arc::clone(&self.options.log),
            completeness: Arc::clone(&self.options.completeness),
            state: Arc::clone(&self.options.state),
            budget_bytes: self.options.budget.bytes(),
            groups: self.options.groups.clone(),
            hosts: self.options.hosts.clone(),
        };
        let handle = self.options.handle.clone();
        let thread = spawn((plan.clone(), from), environment, Arc::clone(&shared), receiver, handle)?;
        jobs.insert(id.clone(), Job { shared, commands, thread: Some(thread), plan });
        Ok(id)
    }

    /// Puts a plan in the place of the job of the same name: the old one ends with a checkpoint, the new one goes on from
    /// there. Blocks until the old one has ended, as [`JobManager::stop`] does. A plan that cannot go on from the old
    /// one's state is refused, and the old one runs on.
    pub fn replace(&self, plan: JobPlan) -> Result<String> {
        self.replace_from(plan, None)
    }

    /// As [`Self::replace`]; with a place to start from any plan may follow any other.
    pub fn replace_from(&self, plan: JobPlan, from: Option<From>) -> Result<String> {
        self.exchange(plan, from, |plan, old| if from.is_none() { check_replace(plan, old) } else { Ok(()) })
    }

    /// Puts back a plan whose successor did not start: the checkpoint is still its own, whatever the successor was.
    pub fn take_back(&self, plan: JobPlan) -> Result<String> {
        self.exchange(plan, None, |_, _| Ok(()))
    }

    fn exchange(
        &self,
        plan: JobPlan,
        from: Option<From>,
        check: impl FnOnce(&JobPlan, &JobPlan) -> Result<()>,
    ) -> Result<String> {
        let _one_at_a_time = self.replacing.lock();
        let id = plan.id();
        let thread = match self.jobs.lock().get_mut(&id) {
            None => None,
            Some(job) => {
                check(&plan, &job.plan)?;
                job.commands.send_if_modified(|command| {
                    let runs = *command == Command::Run;
                    if runs {
                        *command = Command::Stop;
                    }
                    runs
                });
                job.thread.take()
            }
        };
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(job = %plan.name, "the job's thread ended by panic");
        }
        self.submit_from(plan, from)
    }

    /// All jobs, by id.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobStatus> {
        self.jobs.lock().values().map(|job| job.shared.status()).collect()
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<JobStatus> {
        self.jobs.lock().get(id).map(|job| job.shared.status())
    }

    /// What a job does.
    #[must_use]
    pub fn plan(&self, id: &str) -> Option<JobPlan> {
        self.jobs.lock().get(id).map(|job| job.plan.clone())
    }

    /// The plan of a job, for people.
    #[must_use]
    pub fn explain(&self, id: &str) -> Option<String> {
        self.jobs.lock().get(id).map(|job| job.plan.explain())
    }

    /// Ends a job at once; its last checkpoint stays. Unknown ids are refused.
    pub fn cancel(&self, id: &str) -> Result<()> {
        let jobs = self.jobs.lock();
        let job = jobs.get(id).ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, "canceling a job", id).with_hint("There is no job of this id.")
        })?;
        job.commands.send_replace(Command::Cancel);
        Ok(())
    }

    /// Ends all jobs with a checkpoint each and waits for them. Blocks: call it outside the runtime's threads, or by
    /// `spawn_blocking`.
    pub fn stop(&self) {
        let mut jobs = self.jobs.lock();
        for job in jobs.values() {
            job.commands.send_if_modified(|command| {
                let runs = *command == Command::Run;
                if runs {
                    *command = Command::Stop;
                }
                runs
            });
        }
        for job in jobs.values_mut() {
            if job.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!(job = %job.plan.name, "the job's thread ended by panic");
            }
        }
    }
}

impl Drop for JobManager {
    /// Threads end by themselves soon after.
    fn drop(&mut self) {
        for job in self.jobs.get_mut().values() {
            job.commands.send_if_modified(|command| {
                let runs = *command == Command::Run;
                if runs {
                    *command = Command::Cancel;
                }
                runs
            });
        }
    }
}

fn created(plan: &JobPlan) -> JobStatus {
    JobStatus {
        id: plan.id(),
        name: plan.name.clone(),
        state: JobState::Created,
        start_ms: chrono::Utc::now().timestamp_millis(),
        end_ms: None,
        exception: None,
        hint: None,
        plan_hash: plan.hash(),
        records_in: 0,
        records_out: 0,
        lag: 0,
        inputs: Vec::new(),
        output_topic: plan.sink_topic(),
        output_topics: plan
            .graph
            .sink
            .topics()
            .and_then(|topics| topics.single())
            .map(str::to_owned)
            .into_iter()
            .collect(),
        checkpoint_interval_ms: u64::try_from(plan.checkpoint_interval.as_millis()).unwrap_or(u64::MAX),
        vertices: vertices(plan),
        checkpoints: CheckpointStatus::default(),
    }
}

fn vertices(plan: &JobPlan) -> Vec<VertexStatus> {
    let graph = &plan.graph;
    let source =
        |branch: &crate::planner::Branch| format!("Source: {}[{}]", branch.source.table, branch.source.place());
    let mut names: Vec<String> = graph.branches.iter().map(source).collect();
    names.extend(graph.lookups.iter().map(|lookup| format!("LookupJoin[{}]", lookup.table)));
    names.push(format!("Sink: {}[{}]", graph.sink.table, graph.sink.place()));
    let vertex = |name: String| {
        let digest = Sha256::digest(format!("{}/{name}", plan.name));
        VertexStatus { id: hex::encode(&digest[..16]), name, records_in: 0, records_out: 0 }
    };
    names.into_iter().map(vertex).collect()
}

fn spawn(
    (plan, from): (JobPlan, Option<From>),
    environment: Environment,
    shared: Arc<Shared>,
    commands: watch::Receiver<Command>,
    handle: Handle,
) -> Result<JoinHandle<()>> {
    let name: String = format!("job-{}", &plan.id()[..8]);
    let object = plan.name.clone();
    let body = move || {
        let status = Arc::clone(&shared);
        let job = plan.name.clone();
        status.update(|status| status.state = JobState::Running);
        let run = AssertUnwindSafe(|| handle.block_on(lives((plan, from), environment, shared, commands)));
        let ended = std::panic::catch_unwind(run).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "running a job", job.clone()).with_source("the job panicked"))
        });
        if let Err(error) = &ended {
            tracing::error!(job, %error, hint = error.hint(), "the job failed");
        }
        status.update(|status| {
            status.end_ms = Some(chrono::Utc::now().timestamp_millis());
            match ended {
                Ok(Ended::Finished | Ended::Grown) => status.state = JobState::Finished,
                Ok(Ended::Stopped) => status.state = JobState::Suspended,
                Ok(Ended::Canceled) => status.state = JobState::Canceled,
                Err(error) => {
                    status.state = JobState::Failed;
                    status.exception = Some(error.to_string());
                    status.hint = Some(error.hint().to_owned());
                }
            }
        });
    };
    std::thread::Builder::new()
        .stack_size(DEFAULT_STACK_BYTES)
        .name(name)
        .spawn(body)
        .map_err(|error| Error::new(ErrorKind::Internal, "starting a job's thread", object).with_source(error))
}

/// Runs of a job, one after the other while failures may pass by themselves.
async fn lives(
    (plan, mut from): (JobPlan, Option<From>),
    environment: Environment,
    shared: Arc<Shared>,
    commands: watch::Receiver<Command>,
) -> Result<Ended> {
    let (mut count, mut last) = (0, None);
    loop {
        let begun = Instant::now();
        let parts = (environment.clone(), Arc::clone(&shared), commands.clone());
        let error = match life((plan.clone(), from), parts.0, parts.1, parts.2).await {
            Err(error) if error.kind().policy() == Policy::Retry => error,
            Ok(Ended::Grown) => {
                from = None;
                continue;
            }
            ended => return ended,
        };
        if plan.restart.forgets(begun.elapsed()) {
            (count, last) = (0, None);
        }
        let Some(pause) = plan.restart.pause(count, last) else { return Err(error) };
        (count, last) = (count + 1, Some(pause));
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(job = %plan.name, %error, pause_ms, "the job failed and starts again");
        metrics::counter!("thm_sql_restarts_total", "job" => plan.name.clone()).increment(1);
        shared.update(|status| {
            status.state = JobState::Restarting;
            // The next run counts from its own start.
            (status.records_in, status.records_out) = (0, 0);
            status.exception = Some(error.to_string());
            status.hint = Some(error.hint().to_owned());
        });
        let mut asked = commands.clone();
        let commanded = asked.wait_for(|command| *command != Command::Run);
        if let Ok(command) = tokio::time::timeout(pause, commanded).await {
            let canceled = command.is_ok_and(|command| *command == Command::Cancel);
            return Ok(if canceled { Ended::Canceled } else { Ended::Stopped });
        }
        // A place to start from was for the first run, if that has come as far as a checkpoint.
        from = from.filter(|_| shared.status().checkpoints.completed == 0);
        shared.update(|status| status.state = JobState::Running);
    }
}

async fn life(
    (plan, from): (JobPlan, Option<From>),
    environment: Environment,
    shared: Arc<Shared>,
    commands: watch::Receiver<Command>,
) -> Result<Ended> {
    let asked = commands.clone();
    match start::start(plan, environment, shared, commands, from).await? {
        Some(mut runner) => {
            let ended = runner.run().await;
            // A job of this name may start right after: its progress must say all that was written.
            let written = runner.output.durable().await;
            ended.and_then(|ended| written.map(|()| ended))
        }
        None if *asked.borrow() == Command::Stop => Ok(Ended::Stopped),
        None => Ok(Ended::Canceled),
    }
}
