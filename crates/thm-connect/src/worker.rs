//! The life of one connector's task: what it is asked to be, and what runs.
//!
//! One supervisor per connector owns its task, so nothing ever runs twice. The herder sends wishes; the supervisor
//! ends what runs, tells that it has, and begins what is wished for.
//!
//! ```text
//!              wish: Running                          error of another kind
//!   UNASSIGNED ────────────▶ RUNNING ─────────────────────────────────────▶ FAILED
//!                 ▲            │  ▲ └── error of kind Retry: pause, again     │
//!         Running │      Paused│  │Running                                    │ any wish
//!                 └─ STOPPED ◀─┴─ PAUSED                                      ▼
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thm_api::{
    Connector, ConnectorKind, Error, ErrorKind, Failpoints, Hosts, MemoryBudget, Policy, Result, Task, TaskContext,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::WorkerContext;
use crate::names::ConnectorState;
use crate::retry::Retry;
use crate::status::State;
use crate::{secrets, sink_loop, source_loop, transforms};

/// How long a task may take to disconnect.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connector is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Running,
    Paused,
    Stopped,
    /// It is no more; its supervisor ends.
    Deleted,
}

/// A wish of the herder; each has its own number.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) number: u64,
    pub(crate) target: Target,
    pub(crate) class: Class,
    /// Options as written.
    pub(crate) options: Arc<BTreeMap<String, String>>,
}

/// The class of a connector, printable.
#[derive(Clone)]
pub(crate) struct Class(pub(crate) Arc<dyn Connector>);

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.class())
    }
}

/// What stays the same over a connector's lives.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// Without the options: they come with each wish.
    pub(crate) context: WorkerContext,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) budget: MemoryBudget,
    /// How long a task may take to finish what it is doing when asked to end.
    pub(crate) grace: Duration,
}

/// Makes wishes come true until one is `Deleted`; tells the number of each in `applied` once whatever ran before it has
/// ended.
pub(crate) async fn supervise(around: Surroundings, mut wishes: watch::Receiver<Wish>, applied: watch::Sender<u64>) {
    loop {
        let wish = wishes.borrow_and_update().clone();
        let status = &around.context.status;
        match wish.target {
            Target::Deleted => {
                status.set_state(State::Stopped);
                applied.send_replace(wish.number);
                return;
            }
            Target::Stopped => status.set_state(State::Stopped),
            // A failed task stays failed through a pause, for its operator to see.
            Target::Paused if status.state() == State::Failed => {}
            Target::Paused => status.set_state(State::Paused),
            Target::Running => status.set_state(State::Running),
        }
        applied.send_replace(wish.number);
        if wish.target == Target::Running {
            run_until_wished(&around, &wish, &mut wishes).await;
        } else if wishes.changed().await.is_err() {
            return;
        }
    }
}

/// Runs the task until another wish comes; returns when nothing of it runs any more.
async fn run_until_wished(around: &Surroundings, wish: &Wish, wishes: &mut watch::Receiver<Wish>) {
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(run_task(around.clone(), wish.clone(), stop.clone()));
    let status = &around.context.status;
    let ended = tokio::select! {
        ended = &mut running => Some(ended),
        _ = wishes.changed() => None,
    };
    if let Some(ended) = ended {
        let ended = ended.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "running a task", around.context.connector.as_ref()).with_source(panic))
        });
        if let Err(error) = ended {
            tracing::error!(connector = %around.context.connector, %error, hint = error.hint(), "task failed");
            status.fail(&error);
        }
        // A closed channel means that the herder is gone.
        let _ = wishes.changed().await;
        return;
    }
    stop.cancel();
    if tokio::time::timeout(around.grace, &mut running).await.is_err() {
        tracing::warn!(connector = %around.context.connector, "task did not end in time, ending it");
        running.abort();
        let _ = running.await;
    }
}

/// One run of the task: checks, then the loop of its kind, with retries.
async fn run_task(around: Surroundings, wish: Wish, stop: CancellationToken) -> Result<()> {
    let connector = Arc::clone(&wish.class.0);
    let mut context = around.context.clone();
    context.class = connector.class().into();
    context.config = secrets::resolve(&wish.options)?;
    context.settings = context.settings.with_config(&context.config)?;
    let task_config = match connector.kind() {
        ConnectorKind::Source => transforms::source::task_config(&context.connector, &context.config),
        ConnectorKind::Sink => context.config.clone(),
    };
    let task_context = TaskContext {
        connector: Arc::clone(&context.connector),
        task: context.task,
        config: task_config,
        hosts: Arc::clone(&around.hosts),
        state: Arc::new(ConnectorState::new(Arc::clone(&context.state), &context.connector)),
        log: Some(Arc::clone(&context.log)),
        budget: around.budget.clone(),
        failpoints: Failpoints::from_environment(),
    };
    let mut retry = Retry::new(context.settings.retry);
    loop {
        let attempt = run_once(&*connector, &task_context, &context, &stop, &mut retry);
        let Err(error) = attempt.await else { return Ok(()) };
        if stop.is_cancelled() {
            tracing::warn!(connector = %context.connector, %error, "task ended with an error while stopping");
            return Ok(());
        }
        if error.kind().policy() == Policy::Retry {
            tracing::warn!(connector = %context.connector, %error, "task failed, starting it again");
            context.status.retry(&error);
        }
        let limit = connector.retry_limit(error.kind(), &context.config);
        let pause = retry.pause(error, limit)?;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn run_once(
    connector: &dyn Connector,
    task_context: &TaskContext,
    context: &WorkerContext,
    stop: &CancellationToken,
    retry: &mut Retry,
) -> Result<()> {
    tokio::select! {
        checked = connector.check(task_context) => checked?,
        () = stop.cancelled() => return Ok(()),
    }
    match connector.task(task_context.clone())? {
        Task::Source(mut task) => source_loop::run(&mut *task, context, stop, retry).await,
        Task::Sink(mut task) => {
            let ended = sink_loop::run(&mut *task, context, stop, retry).await;
            let closed = tokio::time::timeout(CLOSE_TIMEOUT, task.close()).await;
            if closed.is_err() {
                tracing::warn!(connector = %context.connector, "sink did not close in time");
            }
            ended
        }
    }
}
