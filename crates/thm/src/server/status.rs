//! `GET /api/status`: everything the page and the screen of `thm dev` show, from one place.
//!
//! | part | from |
//! |---|---|
//! | `sources`, `sinks` states, counters, errors | the herder |
//! | `jobs` | the job manager |
//! | `topics` | the log; snapshot progress from our own metrics |
//! | rates, p99, lag in seconds, rows, leaderboard | [`super::watch`], at most a second old |
//! | `events` | the newest records of the jobs' output topics |

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use thm_api::{ConnectorKind, Offset, ReadLimits, TopicPartition};
use thm_connect::{ConnectorSnapshot, State as TaskState, TaskSnapshot};
use thm_sql::JobStatus;

use super::log_page::{PAGE_BYTES, each_record};
use super::watch::Facts;
use crate::engine::Engine;

/// Events shown.
const LAST_EVENTS: i64 = 12;

/// Answers `GET /api/status`.
pub async fn status(State(engine): State<Arc<Engine>>) -> Json<Value> {
    let facts = engine.watch.facts();
    let connectors = engine.herder.snapshot();
    let topics: Vec<_> = engine.log.topics().iter().map(|topic| topic_row(topic, &facts)).collect();
    let rows: Vec<_> = connectors.iter().map(|one| connector_row(&engine, one, &facts)).collect();
    let jobs: Vec<_> = engine.jobs.jobs().iter().map(|job| job_row(job, &facts)).collect();
    let server = &engine.config.server;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": engine.started.elapsed().as_secs_f64(),
        "memory_bytes": resident_bytes(),
        "connect_port": server.connect_port,
        "kafka": server.kafka.iter().map(|listener| &listener.advertise).collect::<Vec<_>>(),
        "topics": topics,
        "connectors": rows,
        "jobs": jobs,
        "events": last_events(&engine).await,
    }))
}

fn topic_row(topic: &thm_api::Topic, facts: &Facts) -> Value {
    let name = &topic.spec.name;
    let records: i64 = topic.partitions.iter().map(|one| one.high_watermark.0 - one.log_start.0).sum();
    let next: i64 = topic.partitions.iter().map(|one| one.high_watermark.0).sum();
    let gauge = |metric| facts.reading.value(metric, name);
    let snapshot = gauge("thm_source_snapshot_rows").map(|rows| {
        let expected = gauge("thm_source_snapshot_expected_rows").filter(|of| *of > 0.0);
        json!({"rows": rows, "expected": expected})
    });
    json!({
        "name": name,
        "partitions": topic.partitions.len(),
        "records": records,
        "next": next,
        "rate": facts.rates.get(&format!("topic/{name}")),
        "snapshot": snapshot,
    })
}

fn connector_row(engine: &Engine, one: &ConnectorSnapshot, facts: &Facts) -> Value {
    let sum = |of: fn(&TaskSnapshot) -> u64| one.tasks.iter().map(of).sum::<u64>();
    let state = one.tasks.first().map_or(one.state, |task| task.state);
    let retrying = one.tasks.iter().any(|task| task.retrying);
    let trace = one.tasks.iter().find_map(|task| task.trace.clone().or_else(|| task.last_error.clone()));
    let trace = trace.filter(|_| state == TaskState::Failed || retrying);
    let mut row = json!({
        "name": one.name,
        "kind": one.kind.as_str(),
        "class": one.class,
        "state": state.as_str(),
        "retrying": retrying,
        "records": sum(|task| task.records),
        "rate": facts.rates.get(&format!("connector/{}", one.name)),
        "retries": sum(|task| task.retries),
        "dead_letters": sum(|task| task.dead_letters),
        "error": trace.map(|trace| problem(&trace)),
    });
    let more = match one.kind {
        ConnectorKind::Source => json!({
            "position": engine.source_position(one).map(|position| position.to_string()),
            "postgres": postgres(engine, one, facts),
        }),
        ConnectorKind::Sink => json!({
            "lag": sum(TaskSnapshot::lag),
            "lag_seconds": facts.lag_seconds.get(&one.name),
            "p99_seconds": facts.reading.p99_seconds("thm_connect_latency_seconds", &one.name),
            "rows": facts.rows.get(&one.name),
            "leaderboard": facts.boards.get(&one.name),
        }),
    };
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

/// Where a source reads, and what the server keeps for it.
fn postgres(engine: &Engine, one: &ConnectorSnapshot, facts: &Facts) -> Option<Value> {
    let config = engine.herder.info(&one.name).ok()?.config;
    let option = |name: &str| config.get(name).and_then(Option::as_deref);
    let port = option("database.port").and_then(|port| port.parse().ok()).unwrap_or(5432);
    let (host, port) = engine.hosts.resolve(option("database.hostname")?, port);
    let gauge = |metric| facts.reading.value(metric, &one.name);
    Some(json!({
        "host": host,
        "port": port,
        "slot": option("slot.name").unwrap_or("debezium"),
        "lag_bytes": gauge("thm_source_lag_bytes"),
        "retained_wal_bytes": gauge("thm_source_retained_wal_bytes"),
    }))
}

fn job_row(job: &JobStatus, facts: &Facts) -> Value {
    let error = job.exception.as_ref().map(|text| problem(&format!("{text}\n{}", job.hint.as_deref().unwrap_or(""))));
    json!({
        "id": job.id,
        "name": job.name,
        "short_name": job.name.rsplit('.').next().unwrap_or(&job.name),
        "state": job.state.as_str(),
        "version": job.plan_hash,
        "output_topic": job.output_topic,
        "records_in": job.records_in,
        "records_out": job.records_out,
        "rate": facts.rates.get(&format!("job/{}", job.id)),
        "lag": job.lag,
        "p99_seconds": facts.reading.p99_seconds("thm_sql_latency_seconds", &job.name),
        "checkpoints": job.checkpoints.completed,
        "error": error,
    })
}

/// An error's text taken apart: `THM-SNK-001 doing: object: cause`, then lines of advice.
fn problem(text: &str) -> Value {
    let (message, hint) = text.split_once('\n').unwrap_or((text, ""));
    let code = message.split(' ').next().filter(|word| word.starts_with("THM-"));
    let message = code.and_then(|code| message.strip_prefix(code)).unwrap_or(message).trim();
    json!({"code": code, "message": message, "hint": hint.trim()})
}

/// Resident memory of this process, from the kernel.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// The newest records of the jobs' output topics, newest first.
async fn last_events(engine: &Engine) -> Vec<Value> {
    let mut events = Vec::new();
    for topic in engine.jobs.jobs().into_iter().flat_map(|job| job.output_topics) {
        let Some(found) = engine.log.topic(&topic) else { continue };
        for (partition, info) in found.partitions.iter().enumerate() {
            let from = (info.high_watermark.0 - LAST_EVENTS).max(info.log_start.0);
            let at = TopicPartition::new(topic.as_str(), partition as u32);
            let limits = ReadLimits { max_bytes: PAGE_BYTES, max_wait: Duration::ZERO };
            let Ok(read) = engine.log.read(&at, Offset(from), limits).await else { continue };
            for batch in &read.batches {
                // A batch that cannot be read is the sinks' to tell of.
                let _ = each_record(batch, from, |_, _, record| {
                    let value = record.value.as_deref().and_then(|text| serde_json::from_slice::<Value>(text).ok());
                    events.extend(value);
                    ControlFlow::<()>::Continue(())
                });
            }
        }
    }
    events.reverse();
    events.truncate(LAST_EVENTS as usize);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_text_is_taken_apart() {
        let found =
            problem("THM-SNK-001 connecting to Redis: 127.0.0.1:1/0: refused\nCheck that it runs.\nIt goes on.");
        assert_eq!(found["code"], "THM-SNK-001");
        assert_eq!(found["message"], "connecting to Redis: 127.0.0.1:1/0: refused");
        assert_eq!(found["hint"], "Check that it runs.\nIt goes on.");
        assert_eq!(problem("no code here")["code"], Value::Null);
    }
}
