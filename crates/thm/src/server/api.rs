//! Our own JSON: `/api/barrier` and `/api/log` for `thm verify`; `/api/status` and `/api/jobs` have files of
//! their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use thm_api::{Append, ErrorKind, Log, Lsn, Offset, Position, ReadLimits, TopicPartition};

use super::log_page::{self, PAGE_BYTES};
use crate::engine::Engine;

/// How often a barrier looks again.
const BARRIER_PAUSE: Duration = Duration::from_millis(20);
/// Longest time one barrier request waits; the caller asks again.
const BARRIER_WAIT: Duration = Duration::from_secs(5);

/// Routes under `/api`.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/api/status", get(super::status::status))
        .route("/api/jobs", post(super::jobs::submit))
        .route("/api/barrier", get(barrier))
        .route("/api/log/{topic}", get(topic))
        .route("/api/log/{topic}/{partition}", get(records))
        .with_state(engine)
}

fn failed(error: &thm_api::Error) -> Response {
    let status = match error.kind() {
        ErrorKind::TopicMissing => StatusCode::NOT_FOUND,
        ErrorKind::OffsetOutOfRange => StatusCode::RANGE_NOT_SATISFIABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({"error": error.to_string(), "hint": error.hint()}))).into_response()
}

async fn topic(State(engine): State<Arc<Engine>>, Path(topic): Path<String>) -> Json<Value> {
    let found = engine.log.topic(&topic);
    let ends: Vec<_> = found.iter().flat_map(|topic| &topic.partitions).map(|one| one.high_watermark).collect();
    Json(json!({"partitions": ends.len(), "ends": ends, "uuid": found.map(|topic| topic.uuid).unwrap_or_default()}))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    from: i64,
}

async fn records(
    State(engine): State<Arc<Engine>>,
    Path((topic, partition)): Path<(String, u32)>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Response> {
    let at = TopicPartition::new(topic, partition);
    let start = engine.log.topic(&at.topic).and_then(|topic| topic.partitions.get(partition as usize).copied());
    let from = query.from.max(start.unwrap_or_default().log_start.0);
    let limits = ReadLimits { max_bytes: PAGE_BYTES, max_wait: Duration::ZERO };
    let read = engine.log.read(&at, Offset(from), limits).await.map_err(|error| failed(&error))?;
    let page = log_page::page(&at, &read, from).map_err(|error| failed(&error))?;
    Ok(([(CONTENT_TYPE, "application/json")], page).into_response())
}

#[derive(Deserialize)]
struct BarrierQuery {
    lsn: String,
}

/// Waits until source, jobs and sinks are past a position of PostgreSQL, as long as one request may take.
async fn barrier(
    State(engine): State<Arc<Engine>>,
    Query(query): Query<BarrierQuery>,
) -> Result<Json<Value>, Response> {
    let Ok(lsn) = query.lsn.parse::<Lsn>() else {
        return Err((StatusCode::BAD_REQUEST, Json(json!({"error": format!("lsn: `{}` is no LSN", query.lsn)})))
            .into_response());
    };
    let deadline = Instant::now() + BARRIER_WAIT;
    let waiting_for = pass_barrier(&engine, lsn, deadline).await;
    Ok(Json(json!({"passed": waiting_for.is_empty(), "waiting_for": waiting_for})))
}

/// Empty once everything has passed; what it waits for at the deadline.
async fn pass_barrier(engine: &Engine, lsn: Lsn, deadline: Instant) -> Vec<String> {
    let source = wait(deadline, || source_behind(engine, lsn)).await;
    if !source.is_empty() {
        return source;
    }
    let inputs = ends(engine.log.as_ref());
    let jobs = wait(deadline, || jobs_behind(engine, &inputs)).await;
    if !jobs.is_empty() {
        return jobs;
    }
    if let Err(error) = settle_outputs(engine).await {
        return vec![error.to_string()];
    }
    let outputs = ends(engine.log.as_ref());
    wait(deadline, || sinks_behind(engine, &outputs)).await
}

async fn wait(deadline: Instant, mut behind: impl FnMut() -> Vec<String>) -> Vec<String> {
    loop {
        let waiting_for = behind();
        if waiting_for.is_empty() || Instant::now() > deadline {
            return waiting_for;
        }
        tokio::time::sleep(BARRIER_PAUSE).await;
    }
}

type Ends = BTreeMap<TopicPartition, Offset>;

fn ends(log: &dyn Log) -> Ends {
    let mut ends = Ends::new();
    for topic in log.topics() {
        for (partition, info) in topic.partitions.iter().enumerate() {
            ends.insert(TopicPartition::new(topic.spec.name.as_str(), partition as u32), info.high_watermark);
        }
    }
    ends
}

fn source_behind(engine: &Engine, lsn: Lsn) -> Vec<String> {
    let sources = engine.herder.snapshot().into_iter().filter(|one| one.kind == thm_api::ConnectorKind::Source);
    let behind = sources.filter(|one| engine.source_position(one).is_none_or(|at| !is_past(at, lsn)));
    behind
        .map(|one| {
            let at = engine.source_position(&one).map_or_else(|| "not started".to_owned(), |at| at.to_string());
            format!("source {} ({at})", one.name)
        })
        .collect()
}

/// Whether a source that is complete up to `at` has given every change up to `lsn`. While it takes a snapshot, rows and
/// what tells of rows that are gone may be missing still, and inside a transaction the rest of its rows are.
fn is_past(at: Position, lsn: Lsn) -> bool {
    !at.is_snapshot() && at >= Position::end_of(lsn)
}

fn jobs_behind(engine: &Engine, ends: &Ends) -> Vec<String> {
    let mut behind = Vec::new();
    for job in engine.jobs.jobs() {
        for input in &job.inputs {
            let end = ends.get(&TopicPartition::new(input.topic.as_str(), input.partition));
            if end.is_some_and(|end| input.consumed < end.0) {
                behind
                    .push(format!("job {} at {}-{} offset {}", job.name, input.topic, input.partition, input.consumed));
            }
        }
        if job.inputs.is_empty() {
            behind.push(format!("job {} ({}) has not started to read", job.name, job.state.as_str()));
        }
    }
    behind
}

/// Waits until what the jobs have appended so far is durable: an append without content is durable after all
/// earlier ones of its partition.
async fn settle_outputs(engine: &Engine) -> thm_api::Result<()> {
    for topic in engine.jobs.jobs().into_iter().flat_map(|job| job.output_topics) {
        let partitions = engine.log.topic(&topic).map_or(0, |topic| topic.partitions.len());
        for partition in 0..partitions {
            let at = TopicPartition::new(topic.as_str(), partition as u32);
            engine.log.append(&at, Append { batch: None, progress: None }).await?.durable.await?;
        }
    }
    Ok(())
}

fn sinks_behind(engine: &Engine, ends: &Ends) -> Vec<String> {
    let mut behind = Vec::new();
    for one in engine.herder.snapshot().iter().filter(|one| one.kind == thm_api::ConnectorKind::Sink) {
        let lags = one.tasks.iter().flat_map(|task| &task.lags);
        let mut lags = lags.peekable();
        if lags.peek().is_none() {
            behind.push(format!("sink {} ({})", one.name, one.state.as_str()));
        }
        for lag in lags.filter(|lag| ends.get(&lag.partition).is_some_and(|end| lag.position < *end)) {
            behind.push(format!("sink {} at {} offset {}", one.name, lag.partition, lag.position));
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_inside_a_snapshot_or_a_transaction_has_not_passed_its_position() {
        let lsn = Lsn(100);
        assert!(!is_past(Position::snapshot(lsn), lsn));
        assert!(!is_past(Position::snapshot(Lsn(101)), lsn), "rows of the snapshot may be missing");
        assert!(!is_past(Position::new(lsn, 7), lsn), "rows of the transaction may be missing");
        assert!(is_past(Position::end_of(lsn), lsn));
        assert!(is_past(Position::new(Lsn(101), 1), lsn), "everything before this transaction was given");
    }
}
