//! `POST /api/jobs`: a SQL text in the place of the jobs it names, while everything runs.
//!
//! ```text
//!   text ─▶ compile ─▶ each job: same version runs? ── yes ──▶ left alone
//!              │                     │ no
//!              │                     ▼
//!              │            old one ends with a checkpoint ─▶ new one goes on from it ─▶ runs? ── no ──▶ old one again
//!              └ wrong: 400 with the rendered diagnostic, nothing touched
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use thm_api::{Error, ErrorKind, Result};
use thm_sql::{From, JobManager, JobPlan, JobState};

use crate::captures;
use crate::engine::Engine;

/// A job that cannot go on fails while it restores; one that has not failed by then runs, or waits for its topics.
const DEFAULT_START_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at a job that starts.
const START_PAUSE: Duration = Duration::from_millis(20);

/// What is asked for.
#[derive(Deserialize)]
pub struct Submission {
    /// The file's name, for messages and to see whether the engine starts it by itself.
    file: String,
    /// Its text.
    sql: String,
    /// Where its jobs start: `earliest`, `latest` or a time; where the old ones were by default.
    from: Option<String>,
}

/// Answers `POST /api/jobs`.
pub async fn submit(State(engine): State<Arc<Engine>>, Json(submission): Json<Submission>) -> Response {
    let Submission { file, sql, from } = submission;
    let from = match from.map(|text| text.parse::<From>()).transpose() {
        Ok(from) => from,
        Err(error) => {
            let body = json!({"error": error.to_string(), "hint": error.hint()});
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    };
    let script = match thm_sql::compile(&file, &sql, &captures::context(&engine.herder)) {
        Ok(script) => script,
        Err(diagnostic) => {
            let rendered = format!("{:?}", miette::Report::new(diagnostic));
            return (StatusCode::BAD_REQUEST, Json(json!({"diagnostic": rendered}))).into_response();
        }
    };
    let mut jobs = Vec::new();
    for plan in script.jobs {
        match replace(&engine, plan, from).await {
            Ok(job) => jobs.push(job),
            Err(error) => {
                let body = json!({"jobs": jobs, "error": error.to_string(), "hint": error.hint()});
                return (StatusCode::CONFLICT, Json(body)).into_response();
            }
        }
    }
    let is_configured = engine.config.sql.iter().any(|known| is_same_file(known, &file));
    let body = json!({"jobs": jobs, "notices": script.notices, "configured": is_configured});
    Json(body).into_response()
}

fn is_same_file(known: &str, given: &str) -> bool {
    let whole = |path: &str| Path::new(path).canonicalize().ok();
    known == given || whole(known).is_some_and(|known| Some(known) == whole(given))
}

/// One job: started, left alone, or put in the place of the one that runs.
async fn replace(engine: &Engine, plan: JobPlan, from: Option<From>) -> Result<Value> {
    let (id, name, version) = (plan.id(), plan.name.clone(), plan.hash());
    let before = engine.jobs.job(&id);
    let told = |done: &str| json!({"id": id, "name": name, "version": version, "done": done});
    let running = before.as_ref().is_some_and(|job| job.state == JobState::Running);
    if from.is_none() && running && before.as_ref().is_some_and(|job| job.plan_hash == version) {
        return Ok(told("unchanged"));
    }
    let old = engine.jobs.plan(&id).filter(|_| running);
    change(engine, &name, move |jobs| jobs.replace_from(plan, from)).await?;
    if let Err(error) = started(engine, &id).await {
        if let Some(old) = old {
            tracing::warn!(job = name, %error, "the new version does not start: taking the old one back");
            change(engine, &name, move |jobs| jobs.take_back(old)).await?;
        }
        return Err(error);
    }
    tracing::info!(job = name, version, "submitted");
    Ok(told(if before.is_some() { "replaced" } else { "started" }))
}

/// Stopping a job waits for its thread, which must not hold up the runtime's.
async fn change(
    engine: &Engine,
    name: &str,
    change: impl FnOnce(&JobManager) -> Result<String> + Send + 'static,
) -> Result<()> {
    let jobs = Arc::clone(&engine.jobs);
    let joined = tokio::task::spawn_blocking(move || change(&jobs).map(drop)).await;
    joined.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, "replacing a job", name).with_source(error)))
}

/// Waits until a job reads, or says why it does not.
async fn started(engine: &Engine, id: &str) -> Result<()> {
    let deadline = Instant::now() + DEFAULT_START_WAIT;
    while Instant::now() < deadline {
        let Some(job) = engine.jobs.job(id) else { return Ok(()) };
        if job.state == JobState::Failed {
            let why = job.exception.unwrap_or_default();
            return Err(Error::new(ErrorKind::InvalidConfig, "starting the new version", job.name)
                .with_source(why)
                .with_hint(job.hint.unwrap_or_default()));
        }
        if !job.inputs.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Ok(())
}
