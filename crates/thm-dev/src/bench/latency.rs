//! Row 4 of the budget: from the return of COMMIT to each sink, at 1,000 events a second, one event per transaction.
//!
//! | target | seen by | late by at most |
//! |---|---|---|
//! | HTTP | the receiver, in this process, when the request's body is whole | – |
//! | Redis | the offset in the board's fence, asked every 0.5 ms | 0.5 ms and a round trip |
//! | ClickHouse | `count()`, asked every 50 ms; rows appear in the order of the topic | 50 ms and a query |
//!
//! An event may arrive before the client has its answer to COMMIT; that counts as 0.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::disk;
use super::fence::FenceWatch;
use super::lab::Lab;
use super::progress;
use super::report::{Report, Verdict};
use super::stats::percentile;
use super::subject::{ENRICHED_TOPIC, Setup, Subject};
use crate::services::connect_postgres;

/// Events per second, as the budget says.
const RATE: u32 = 1000;
/// Connections that share the rate: one alone cannot commit so often on a disk that syncs in milliseconds.
const WRITERS: u32 = 8;
/// The first seconds fill caches and connections and are left out.
const WARM_UP: Duration = Duration::from_secs(3);
/// Between two looks at ClickHouse: each costs it a query.
const QUERY_INTERVAL: Duration = Duration::from_millis(50);
/// After the last event, how long the slowest sink may take.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
const MUST_P50_MS: f64 = 5.0;
const MUST_P99_MS: f64 = 20.0;
/// The ClickHouse sink's flush interval and 100 ms.
const MUST_CLICKHOUSE_MS: f64 = 600.0;

const INSERT: &str = "INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload)
    SELECT id, gen_random_uuid(), 'play', 90000, 'ios', '{\"app\": \"4.2\"}' FROM content
    OFFSET floor(random() * 20) LIMIT 1 RETURNING id";

/// When the answer to an event's COMMIT was there, and how long it had taken.
struct Committed {
    id: i64,
    at: Instant,
    took: Duration,
}

/// Measures and adds its rows.
pub(super) async fn run(lab: &Lab, duration: Duration, report: &mut Report) -> Result<()> {
    progress("latency: fsync of the disk");
    let mut fsync_ms = disk::fsync_ms(lab.path())?;
    lab.reset().await?;
    let setup = Setup { name: "bench_latency", whole_path: true, http_arrays: false, with_connectors: true };
    let subject = Subject::start(lab, setup).await?;
    subject.await_source("RUNNING").await?;
    // One event ahead of the others makes the topics and opens the connections.
    let ahead = lab.receiver.events() + 1;
    lab.app.query_one(INSERT, &[]).await?;
    await_http(lab, &subject, ahead).await?;

    progress(&format!("latency: {RATE} events/s for {} s", duration.as_secs()));
    let first = subject.topic_ends().await?.end(ENRICHED_TOPIC).await?;
    let before = lab.receiver.events();
    let fence = FenceWatch::start(lab.redis.port())?;
    let queries = QueryWatch::start(lab.clickhouse.url());
    lab.receiver.note_arrivals();
    let began = Instant::now();
    let committed = write(&lab.postgres.url(), duration).await?;
    await_http(lab, &subject, before + committed.len() as u64).await?;
    // ClickHouse is the last: its flush interval, a look, and room.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (fence, queries) = (fence.finish()?, queries.finish().await?);
    let arrivals: HashMap<i64, Instant> = lab.receiver.take_arrivals().into_iter().rev().collect();
    let keys = subject.enriched_keys(first).await?;
    let engine_fsync = engine_fsync(&subject).await?;
    subject.stop().await?;
    fsync_ms.extend(disk::fsync_ms(lab.path())?);

    let events: Vec<&Committed> = committed.iter().filter(|event| event.at >= began + WARM_UP).collect();
    let offsets: HashMap<i64, i64> = keys.into_iter().map(|(offset, id)| (id, offset)).collect();
    let reached = |steps: &[(i64, Instant)], id: i64| {
        let offset = offsets.get(&id)?;
        let step = steps.partition_point(|(next, _)| next <= offset);
        steps.get(step).map(|(_, at)| *at)
    };
    let http = latencies_ms(&events, |id| arrivals.get(&id).copied())?;
    let redis = latencies_ms(&events, |id| reached(&fence, id))?;
    let clickhouse = latencies_ms(&events, |id| reached(&queries, id))?;
    let commits: Vec<f64> = events.iter().map(|event| event.took.as_secs_f64() * 1e3).collect();
    add_rows(report, &Found { http, redis, clickhouse, commits, fsync_ms, engine_fsync });
    Ok(())
}

/// All in milliseconds.
struct Found {
    http: Vec<f64>,
    redis: Vec<f64>,
    clickhouse: Vec<f64>,
    commits: Vec<f64>,
    fsync_ms: Vec<f64>,
    engine_fsync: String,
}

fn add_rows(report: &mut Report, found: &Found) {
    let pair =
        |values: &[f64]| format!("p50 {:.1} ms, p99 {:.1} ms", percentile(values, 0.5), percentile(values, 0.99));
    let sinks = [("HTTP", &found.http, "the receiver"), ("Redis", &found.redis, "± 0.5 ms")];
    for (target, values, resolution) in sinks {
        let ok = percentile(values, 0.5) <= MUST_P50_MS && percentile(values, 0.99) <= MUST_P99_MS;
        report.row(
            format!("return of COMMIT → {target}, {RATE} events/s ({resolution})"),
            "p50 ≤ 5 ms, p99 ≤ 20 ms",
            pair(values),
            Verdict::of(ok),
        );
    }
    let fsync = format!("{}; as the engine's log saw it {}", pair(&found.fsync_ms), found.engine_fsync);
    report.row("fsync of 4 KiB on this disk", "beside it", fsync, Verdict::Reported);
    report.row("COMMIT itself, as its client sees it", "beside it", pair(&found.commits), Verdict::Reported);
    report.row(
        "return of COMMIT → queryable in ClickHouse (± 50 ms)",
        "p99 ≤ 500 ms flush interval + 100 ms",
        pair(&found.clickhouse),
        Verdict::of(percentile(&found.clickhouse, 0.99) <= MUST_CLICKHOUSE_MS),
    );
    let percentiles = |values: &[f64]| json!([0.5, 0.9, 0.99, 0.999, 1.0].map(|share| percentile(values, share)));
    let raw = json!({
        "events": found.http.len(), "percentiles": [50, 90, 99, 99.9, 100],
        "http_ms": percentiles(&found.http), "redis_ms": percentiles(&found.redis),
        "clickhouse_ms": percentiles(&found.clickhouse), "commit_ms": percentiles(&found.commits),
        "fsync_ms": percentiles(&found.fsync_ms),
    });
    report.raw.push(("latency", raw));
}

fn latencies_ms(events: &[&Committed], arrival: impl Fn(i64) -> Option<Instant>) -> Result<Vec<f64>> {
    let of = |event: &&Committed| Some(arrival(event.id)?.saturating_duration_since(event.at).as_secs_f64() * 1e3);
    let found: Vec<f64> = events.iter().filter_map(of).collect();
    if found.len() < events.len() || found.is_empty() {
        bail!("of {} measured events only {} were seen", events.len(), found.len());
    }
    Ok(found)
}

async fn await_http(lab: &Lab, subject: &Subject, events: u64) -> Result<()> {
    let deadline = Instant::now() + DEFAULT_DRAIN_TIMEOUT;
    while lab.receiver.events() < events {
        if Instant::now() > deadline {
            bail!("{} of {events} events came over HTTP\n{}", lab.receiver.events(), subject.log_tail());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Inserts at the rate, shared by several connections, one event per transaction.
async fn write(url: &str, duration: Duration) -> Result<Vec<Committed>> {
    let mut writers: Vec<JoinHandle<Result<Vec<Committed>>>> = Vec::new();
    let end = Instant::now() + duration + WARM_UP;
    for number in 0..WRITERS {
        let url = url.to_owned();
        writers.push(tokio::spawn(async move {
            let client = connect_postgres(&url).await?;
            let insert = client.prepare(INSERT).await?;
            let period = Duration::from_secs(1) * WRITERS / RATE;
            let mut ticks = tokio::time::interval_at((Instant::now() + period * number / WRITERS).into(), period);
            // A commit that was late does not lower the rate.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut committed = Vec::new();
            while Instant::now() < end {
                ticks.tick().await;
                let sent = Instant::now();
                let row = client.query_one(&insert, &[]).await?;
                let at = Instant::now();
                committed.push(Committed { id: row.get(0), at, took: at - sent });
            }
            Ok(committed)
        }));
    }
    let mut committed = Vec::new();
    for writer in writers {
        committed.extend(writer.await.context("a writer panicked")??);
    }
    Ok(committed)
}

/// Notes when ClickHouse showed how many rows, counted from the beginning of the topic.
struct QueryWatch {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<(i64, Instant)>>>,
}

impl QueryWatch {
    fn start(url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let client = reqwest::Client::new();
        let task = tokio::spawn(async move {
            let mut steps: Vec<(i64, Instant)> = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let answer = client.post(&url).body("SELECT count() FROM thm.enriched_events").send().await?;
                let rows: i64 = answer.error_for_status()?.text().await?.trim().parse()?;
                if steps.last().is_none_or(|(last, _)| *last != rows) {
                    steps.push((rows, Instant::now()));
                }
                tokio::time::sleep(QUERY_INTERVAL).await;
            }
            Ok(steps)
        });
        Self { stop, task }
    }

    async fn finish(self) -> Result<Vec<(i64, Instant)>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// What the engine's own log saw, as far as its buckets tell.
async fn engine_fsync(subject: &Subject) -> Result<String> {
    let buckets = subject.histogram("thm_log_fsync_seconds").await?;
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    let bound =
        |share: f64| buckets.iter().find(|(_, count)| *count >= share * all).map_or(f64::NAN, |(bound, _)| *bound);
    Ok(format!("p50 ≤ {} ms, p99 ≤ {} ms", bound(0.5) * 1e3, bound(0.99) * 1e3))
}
