//! Flink's REST API for the jobs that run here: same paths, shapes and codes as Flink 1.20.
//!
//! Shapes were recorded from a real Flink. Java's stack traces are not imitated: an error is its first line.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use thm_sql::{JobManager, JobState, JobStatus, VertexStatus};

/// The version whose API this is.
const FLINK_VERSION: &str = "1.20.3";
/// What stands where Flink has its commit: us.
const REVISION: &str = concat!("thm-", env!("CARGO_PKG_VERSION"));
/// States in the order in which Flink lists task counts.
const TASK_STATES: [&str; 10] = [
    "SCHEDULED",
    "INITIALIZING",
    "CANCELING",
    "FINISHED",
    "CANCELED",
    "CREATED",
    "FAILED",
    "RUNNING",
    "DEPLOYING",
    "RECONCILING",
];

type Jobs = Arc<JobManager>;

/// Routes under `/`.
pub fn router(jobs: Jobs) -> Router {
    Router::new()
        .route("/overview", get(overview))
        .route("/config", get(config))
        .route("/jobs", get(list))
        .route("/jobs/overview", get(jobs_overview))
        .route("/jobs/{id}", get(job).patch(cancel))
        .route("/jobs/{id}/status", get(status))
        .route("/jobs/{id}/plan", get(plan))
        .route("/jobs/{id}/config", get(job_config))
        .route("/jobs/{id}/checkpoints", get(checkpoints))
        .route("/jobs/{id}/checkpoints/config", get(checkpoints_config))
        .route("/jobs/{id}/exceptions", get(exceptions))
        .with_state(jobs)
}

/// What Flink answers to what it cannot do: `{"errors":[…]}`.
struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    const fn new(status: StatusCode, message: String) -> Self {
        Self { status, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errors": [self.message] }))).into_response()
    }
}

/// What an unknown path or method gets.
pub async fn not_found(method: Method, uri: axum::http::Uri) -> impl IntoResponse {
    let message = if method == Method::GET {
        format!("Unable to load requested file {}.", uri.path())
    } else {
        format!("Not found: {}", uri.path())
    };
    Refusal::new(StatusCode::NOT_FOUND, message)
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn find(jobs: &JobManager, id: &str) -> Result<JobStatus, Refusal> {
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!(
            "Bad request, could not parse parameters: Cannot resolve path parameter (jobid) from value \"{id}\"."
        );
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("org.apache.flink.runtime.rest.handler.RestHandlerException: {message}"),
        ));
    }
    let found = jobs.jobs().into_iter().find(|job| job.id.eq_ignore_ascii_case(id));
    found.ok_or_else(|| {
        let message = format!("org.apache.flink.runtime.rest.NotFoundException: Job {id} not found");
        Refusal::new(StatusCode::NOT_FOUND, message)
    })
}

async fn overview(State(jobs): State<Jobs>) -> Json<Value> {
    let all = jobs.jobs();
    let count = |state: JobState| all.iter().filter(|job| job.state == state).count();
    let running = count(JobState::Running) + count(JobState::Restarting);
    Json(json!({
        "taskmanagers": 1,
        "slots-total": all.len().max(1),
        "slots-available": all.len().max(1) - running,
        "jobs-running": running,
        "jobs-finished": count(JobState::Finished) + count(JobState::Suspended),
        "jobs-cancelled": count(JobState::Canceled),
        "jobs-failed": count(JobState::Failed),
        "flink-version": FLINK_VERSION,
        "flink-commit": REVISION,
    }))
}

async fn config() -> Json<Value> {
    Json(json!({
        "refresh-interval": 3000,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": FLINK_VERSION,
        "flink-revision": REVISION,
        "features": {"web-submit": false, "web-cancel": true, "web-rescale": false, "web-history": false},
    }))
}

async fn list(State(jobs): State<Jobs>) -> Json<Value> {
    let jobs: Vec<_> = jobs.jobs().iter().map(|job| json!({"id": job.id, "status": job.state.as_str()})).collect();
    Json(json!({ "jobs": jobs }))
}

/// When the job's state last changed.
fn modified_ms(job: &JobStatus) -> i64 {
    job.end_ms.unwrap_or(job.start_ms)
}

fn duration(job: &JobStatus) -> i64 {
    job.end_ms.unwrap_or_else(now_ms) - job.start_ms
}

async fn jobs_overview(State(jobs): State<Jobs>) -> Json<Value> {
    let rows = jobs.jobs().iter().map(overview_row).collect::<Vec<_>>();
    Json(json!({ "jobs": rows }))
}

fn overview_row(job: &JobStatus) -> Value {
    let order = [
        "running",
        "canceling",
        "canceled",
        "total",
        "created",
        "scheduled",
        "deploying",
        "reconciling",
        "finished",
        "initializing",
        "failed",
    ];
    let total = job.vertices.len();
    let state = job.state.as_str().to_lowercase();
    let tasks: serde_json::Map<_, _> = order
        .iter()
        .map(|name| ((*name).to_owned(), json!(if *name == "total" || *name == state { total } else { 0 })))
        .collect();
    json!({
        "jid": job.id,
        "name": job.name,
        "start-time": job.start_ms,
        "end-time": job.end_ms.unwrap_or(-1),
        "duration": duration(job),
        "state": job.state.as_str(),
        "last-modification": modified_ms(job),
        "tasks": tasks,
    })
}

fn task_counts(state: &str, count: usize) -> Value {
    let counts: serde_json::Map<_, _> =
        TASK_STATES.iter().map(|name| ((*name).to_owned(), json!(if *name == state { count } else { 0 }))).collect();
    Value::Object(counts)
}

async fn job(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let job = find(&jobs, &id)?;
    let state = job.state.as_str();
    let stamp = |name: &str| {
        if name == state {
            modified_ms(&job)
        } else if matches!(name, "INITIALIZING" | "CREATED" | "RUNNING") {
            job.start_ms
        } else {
            0
        }
    };
    let names = [
        "SUSPENDED",
        "RECONCILING",
        "CANCELED",
        "CREATED",
        "FAILING",
        "RUNNING",
        "CANCELLING",
        "RESTARTING",
        "INITIALIZING",
        "FINISHED",
        "FAILED",
    ];
    let timestamps: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!(stamp(name)))).collect();
    let vertices: Vec<_> = job.vertices.iter().map(|vertex| vertex_row(&job, vertex)).collect();
    Ok(Json(json!({
        "jid": job.id,
        "name": job.name,
        "isStoppable": false,
        "state": state,
        "job-type": "STREAMING",
        "start-time": job.start_ms,
        "end-time": job.end_ms.unwrap_or(-1),
        "duration": duration(&job),
        "maxParallelism": -1,
        "now": now_ms(),
        "timestamps": timestamps,
        "vertices": vertices,
        "status-counts": task_counts(state, job.vertices.len()),
        "plan": plan_of(&job),
    })))
}

fn vertex_row(job: &JobStatus, vertex: &VertexStatus) -> Value {
    let state = job.state.as_str();
    let done = job.end_ms.is_some();
    json!({
        "id": vertex.id,
        "slotSharingGroupId": job.id,
        "name": vertex.name,
        "maxParallelism": 1,
        "parallelism": 1,
        "status": state,
        "start-time": job.start_ms,
        "end-time": job.end_ms.unwrap_or(-1),
        "duration": duration(job),
        "tasks": task_counts(state, 1),
        "metrics": {
            "read-bytes": 0, "read-bytes-complete": done,
            "write-bytes": 0, "write-bytes-complete": done,
            "read-records": vertex.records_in, "read-records-complete": done,
            "write-records": vertex.records_out, "write-records-complete": done,
            "accumulated-backpressured-time": 0, "accumulated-idle-time": 0, "accumulated-busy-time": 0.0,
        },
    })
}

/// The nodes from sink to source, as Flink lists them, each with the one before it as its input.
fn plan_of(job: &JobStatus) -> Value {
    let node = |(place, vertex): (usize, &VertexStatus)| {
        let mut node = json!({
            "id": vertex.id, "parallelism": 1, "operator": "", "operator_strategy": "",
            "description": vertex.name, "optimizer_properties": {},
        });
        if let Some(input) = place.checked_sub(1).and_then(|before| job.vertices.get(before)) {
            node["inputs"] =
                json!([{"num": 0, "id": input.id, "ship_strategy": "FORWARD", "exchange": "pipelined_bounded"}]);
        }
        node
    };
    let nodes: Vec<_> = job.vertices.iter().enumerate().rev().map(node).collect();
    json!({"jid": job.id, "name": job.name, "type": "STREAMING", "nodes": nodes})
}

async fn status(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "status": find(&jobs, &id)?.state.as_str() })))
}

async fn plan(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "plan": plan_of(&find(&jobs, &id)?) })))
}

async fn job_config(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let job = find(&jobs, &id)?;
    Ok(Json(json!({
        "jid": job.id,
        "name": job.name,
        "execution-config": {
            "execution-mode": "PIPELINED",
            "restart-strategy": "Cluster level default restart strategy",
            "job-parallelism": 1,
            "object-reuse-mode": false,
            "user-config": {},
        },
    })))
}

/// The latest completed checkpoint, as Flink shows it.
fn latest_checkpoint(job: &JobStatus) -> Option<Value> {
    let checkpoint = &job.checkpoints;
    let (id, trigger_ms) = checkpoint.latest_id.zip(checkpoint.trigger_ms)?;
    let vertices = job.vertices.len();
    Some(json!({
        "className": "completed",
        "id": id,
        "status": "COMPLETED",
        "is_savepoint": false,
        "savepointFormat": null,
        "trigger_timestamp": trigger_ms,
        "latest_ack_timestamp": trigger_ms + i64::try_from(checkpoint.duration_ms).unwrap_or(0),
        "checkpointed_size": checkpoint.bytes,
        "state_size": checkpoint.bytes,
        "end_to_end_duration": checkpoint.duration_ms,
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": vertices,
        "num_acknowledged_subtasks": vertices,
        "checkpoint_type": "CHECKPOINT",
        "tasks": {},
        "external_path": format!("state:job/{}/chk-{id}", job.id),
        "discarded": false,
    }))
}

/// Flink's summary of a series of numbers; ours has the latest only.
fn summary(latest: Option<u64>) -> Value {
    let Some(value) = latest else {
        return json!({"min": 0, "max": 0, "avg": 0, "p50": "NaN", "p90": "NaN", "p95": "NaN", "p99": "NaN", "p999": "NaN"});
    };
    let at = value as f64;
    json!({"min": value, "max": value, "avg": value, "p50": at, "p90": at, "p95": at, "p99": at, "p999": at})
}

async fn checkpoints(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let job = find(&jobs, &id)?;
    let latest = latest_checkpoint(&job);
    let checkpoint = &job.checkpoints;
    let known = |value: u64| summary(latest.as_ref().map(|_| value));
    let history: Vec<_> = latest.iter().collect();
    Ok(Json(json!({
        "counts": {
            "restored": 0,
            "total": checkpoint.completed + checkpoint.failed,
            "in_progress": 0,
            "completed": checkpoint.completed,
            "failed": checkpoint.failed,
        },
        "summary": {
            "checkpointed_size": known(checkpoint.bytes),
            "state_size": known(checkpoint.bytes),
            "end_to_end_duration": known(checkpoint.duration_ms),
            "alignment_buffered": known(0),
            "processed_data": known(0),
            "persisted_data": known(0),
        },
        "latest": {"completed": latest, "savepoint": null, "failed": null, "restored": null},
        "history": history,
    })))
}

async fn checkpoints_config(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let job = find(&jobs, &id)?;
    Ok(Json(json!({
        "mode": "exactly_once",
        "interval": job.checkpoint_interval_ms,
        "timeout": 600_000,
        "min_pause": 0,
        "max_concurrent": 1,
        "externalization": {"enabled": true, "delete_on_cancellation": false},
        "state_backend": "HashMapStateBackend",
        "checkpoint_storage": "FileSystemCheckpointStorage",
        "unaligned_checkpoints": false,
        "tolerable_failed_checkpoints": 0,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": true,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 600_000,
        "changelog_storage": "memory",
    })))
}

async fn exceptions(State(jobs): State<Jobs>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let job = find(&jobs, &id)?;
    let told = job.exception.as_ref().map(|text| match &job.hint {
        Some(hint) => format!("{text}\n{hint}"),
        None => text.clone(),
    });
    let entries: Vec<_> = told
        .iter()
        .map(|text| {
            // Of the whole job, so that no task is named.
            json!({"exceptionName": "thm.Error", "stacktrace": text, "timestamp": modified_ms(&job), "failureLabels": {},
                "concurrentExceptions": []})
        })
        .collect();
    Ok(Json(json!({
        "root-exception": told,
        "timestamp": told.as_ref().map(|_| modified_ms(&job)),
        "all-exceptions": [],
        "truncated": false,
        "exceptionHistory": {"entries": entries, "truncated": false},
    })))
}

async fn cancel(
    State(jobs): State<Jobs>,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Refusal> {
    const HANDLER: &str = "org.apache.flink.runtime.rest.handler.RestHandlerException";
    let mode = query.get("mode").map_or("cancel", String::as_str);
    if mode != "cancel" {
        let message = format!(
            "{HANDLER}: Bad request, could not parse parameters: Cannot resolve query parameter (mode) from value \"{mode}\"."
        );
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    let job = find(&jobs, &id).map_err(|refusal| match refusal.status {
        StatusCode::NOT_FOUND => Refusal::new(StatusCode::NOT_FOUND, format!("{HANDLER}: Job could not be found.")),
        _ => refusal,
    })?;
    if job.end_ms.is_some() && job.state != JobState::Canceled {
        let message = format!(
            "{HANDLER}: Job cancellation failed because the job has already reached another terminal state ({}).",
            job.state.as_str()
        );
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    match jobs.cancel(&job.id) {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response()),
        Err(failure) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string())),
    }
}

#[cfg(test)]
mod tests;
