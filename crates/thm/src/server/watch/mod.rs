//! What people watch: rates, latencies, and how the targets look, taken once a second while somebody asks.
//!
//! ```text
//!  GET /api/status ──▶ wanted ──▶ loop, each second ─┬─▶ counters of log, jobs, connectors ─▶ rates over 5 s
//!        ▲                                           ├─▶ our own metrics ─▶ gauges, p99 over a minute
//!        │                                           ├─▶ ClickHouse: rows      one client each, kept;
//!        └────────────── facts ◀─────────────────────┴─▶ Redis: first places   a late answer keeps the last one
//! ```
//! Invariant: a request reads what is there and waits for nobody; while nobody asks, nothing is done.

mod meters;
mod rates;
mod targets;
mod titles;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde::Serialize;
use thm_api::{ConnectorKind, Log, ReadLimits};
use thm_codec::record_batch;
use thm_connect::{ConnectorSnapshot, PartitionLag};
use tokio::sync::Notify;

use self::meters::{Meters, Reading};
use self::rates::Rates;
use self::targets::Targets;
use self::titles::Titles;
use crate::engine::Engine;

/// Between two looks: what a person sees as live.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// How long after a request it goes on: a page asks once a second, a person with curl seldom.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
/// Metrics must be emptied now and then also while nobody asks, or the recorder's queues grow.
const DEFAULT_UPKEEP: Duration = Duration::from_secs(5);
/// Bytes read to find the record that a sink delivers next.
const LAG_READ_BYTES: usize = 64 << 10;

/// Everything the loop found out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Per second, by `topic/NAME`, `job/ID` or `connector/NAME`.
    pub rates: BTreeMap<String, f64>,
    /// Our own metrics.
    pub reading: Reading,
    /// A ClickHouse connector's rows.
    pub rows: BTreeMap<String, u64>,
    /// A leaderboard connector's first places.
    pub boards: BTreeMap<String, Vec<Place>>,
    /// Age of the oldest record that a sink has not delivered, in seconds; zero if it has delivered all.
    pub lag_seconds: BTreeMap<String, f64>,
}

/// A place of a leaderboard.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Id.
    pub member: String,
    /// What people call it, if anybody knows.
    pub title: Option<String>,
    /// Points.
    pub score: f64,
}

/// The loop's other end.
pub struct Watch {
    facts: Mutex<Arc<Facts>>,
    asked: Mutex<Option<Instant>>,
    wake: Notify,
}

impl Watch {
    /// One that knows nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { facts: Mutex::default(), asked: Mutex::default(), wake: Notify::new() })
    }

    /// The newest facts; empty at the first call.
    pub fn facts(&self) -> Arc<Facts> {
        *self.asked.lock() = Some(Instant::now());
        self.wake.notify_one();
        self.facts.lock().clone()
    }

    fn is_wanted(&self) -> bool {
        self.asked.lock().is_some_and(|asked| asked.elapsed() < DEFAULT_PATIENCE)
    }

    /// Looks for as long as the engine runs.
    pub async fn run(self: Arc<Self>, engine: Arc<Engine>, metrics: PrometheusHandle) {
        let mut looker = Looker::default();
        loop {
            if self.is_wanted() {
                let facts = looker.look(&engine, &metrics).await;
                *self.facts.lock() = Arc::new(facts);
                tokio::time::sleep(DEFAULT_INTERVAL).await;
                continue;
            }
            // Rates over a gap would be no rates, and connections are not kept for nobody.
            looker = Looker::default();
            metrics.run_upkeep();
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(DEFAULT_UPKEEP) => {}
            }
        }
    }
}

/// What is kept from look to look.
#[derive(Default)]
struct Looker {
    rates: Rates,
    meters: Meters,
    targets: Targets,
    titles: Titles,
}

impl Looker {
    async fn look(&mut self, engine: &Engine, metrics: &PrometheusHandle) -> Facts {
        let connectors = engine.herder.snapshot();
        let now = Instant::now();
        let counters = counters(engine, &connectors);
        let rates = self.rates.take(now, counters);
        let reading = self.meters.take(now, &metrics.render());
        self.targets.look(engine, &connectors).await;
        self.titles.look(&*engine.log, &engine.jobs.jobs()).await;
        Facts {
            rates,
            reading,
            rows: self.targets.rows(),
            boards: self.targets.boards(&self.titles),
            lag_seconds: lag_seconds(engine, &connectors).await,
        }
    }
}

fn counters(engine: &Engine, connectors: &[ConnectorSnapshot]) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for topic in engine.log.topics() {
        let next: i64 = topic.partitions.iter().map(|one| one.high_watermark.0).sum();
        counters.insert(format!("topic/{}", topic.spec.name), u64::try_from(next).unwrap_or(0));
    }
    for job in engine.jobs.jobs() {
        counters.insert(format!("job/{}", job.id), job.records_in);
    }
    for one in connectors {
        counters.insert(format!("connector/{}", one.name), one.tasks.iter().map(|task| task.records).sum());
    }
    counters
}

async fn lag_seconds(engine: &Engine, connectors: &[ConnectorSnapshot]) -> BTreeMap<String, f64> {
    let mut ages = BTreeMap::new();
    for one in connectors.iter().filter(|one| one.kind == ConnectorKind::Sink) {
        let mut oldest: f64 = 0.0;
        for lag in one.tasks.iter().flat_map(|task| &task.lags).filter(|lag| lag.records() > 0) {
            oldest = oldest.max(age_of_next(&*engine.log, lag).await.unwrap_or(0.0));
        }
        ages.insert(one.name.clone(), oldest);
    }
    ages
}

/// Seconds since the time of the record that comes next.
async fn age_of_next(log: &dyn Log, lag: &PartitionLag) -> Option<f64> {
    let limits = ReadLimits { max_bytes: LAG_READ_BYTES, max_wait: Duration::ZERO };
    let read = log.read(&lag.partition, lag.position, limits).await.ok()?;
    let batch = read.batches.first()?;
    let next = record_batch::records(&batch.batch.bytes)
        .ok()?
        .flatten()
        .find(|record| batch.base_offset.0 + i64::from(record.offset_delta) >= lag.position.0)?;
    let age_ms = chrono::Utc::now().timestamp_millis() - next.timestamp_ms;
    Some(age_ms.max(0) as f64 / 1e3)
}
