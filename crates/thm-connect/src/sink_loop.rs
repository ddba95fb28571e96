//! Runs one sink task: log → batches → target → committed offsets.
//!
//! ```text
//!            ┌────────────── topics changed ───────────────┐
//!            ▼                                             │
//!   wait for topics ──▶ open ──▶ fill ─▶ cut ─▶ freeze ─▶ write ─▶ flush ──▶ commit (each second, and at stop)
//!            ▲            ▲                       ▲        │
//!            │            └──── pause ◀── Retry ──┼────────┤
//!            │                                    └─ rejected ─▶ dead letter queue, then the same range again
//!            └ RUNNING without partitions                  └─ anything else: the task fails
//! ```
//! Invariants: ranges of a partition are written in order, one at a time; a range that was attempted comes again with
//! the same records until it is committed; an offset is committed only after `flush` named it; nothing is skipped
//! unless it is durable in the dead letter queue.

mod partition;
mod session;

use std::time::Duration;

use thm_api::{ConnectorKind, Policy, Result, SinkTask};
use tokio_util::sync::CancellationToken;

use crate::assignment::Wanted;
use crate::context::WorkerContext;
use crate::known_topics::KnownTopics;
use crate::retry::Retry;
use session::{End, Session};

/// How often a sink without topics looks for them: part of the time to the first event.
const UNASSIGNED_SCAN: Duration = Duration::from_millis(100);

/// Runs the task until `stop`, or until it fails for good.
pub(crate) async fn run(
    task: &mut dyn SinkTask,
    context: &WorkerContext,
    stop: &CancellationToken,
    retry: &mut Retry,
) -> Result<()> {
    let wanted = Wanted::from_config(&context.config)?;
    let group = context.group();
    let _lease = context.offsets.lease(&group, &format!("{}-{}", context.connector, context.task))?;
    let mut known = KnownTopics::load(&*context.state, &context.connector, ConnectorKind::Sink)?;
    while let Some(assigned) = wait_for_topics(&wanted, context, stop).await {
        let mut session = Session::new(task, context, &group, &wanted, assigned)?;
        let ended = session.run(&mut known, stop, retry).await;
        match ended {
            Ok(End::Stopped) => break,
            Ok(End::Reassign) => {}
            Err(error) => {
                // What the target holds for certain is committed even when the rest failed.
                session.commit_quietly().await;
                let pause = retry.pause(error_noted(context, error), None)?;
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    Ok(())
}

fn error_noted(context: &WorkerContext, error: thm_api::Error) -> thm_api::Error {
    if error.kind().policy() == Policy::Retry {
        tracing::warn!(connector = %context.connector, %error, "delivery failed, trying again");
        context.status.retry(&error);
    }
    error
}

/// The partitions to read, once there is one; `None` when asked to stop.
async fn wait_for_topics(
    wanted: &Wanted,
    context: &WorkerContext,
    stop: &CancellationToken,
) -> Option<session::Assigned> {
    let mut told = false;
    loop {
        if stop.is_cancelled() {
            return None;
        }
        let assigned = wanted.assigned(&*context.log);
        if !assigned.is_empty() {
            return Some(assigned);
        }
        if !told {
            tracing::info!(connector = %context.connector, "no topic to read yet, waiting");
            told = true;
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(UNASSIGNED_SCAN) => {}
        }
    }
}
