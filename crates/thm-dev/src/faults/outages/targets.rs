//! Who notes: a writer that commits at a rate, and a watch on each target, asked past the relays.
//!
//! | target | asked for | late by at most |
//! |---|---|---|
//! | Redis | the offset in the board's fence | 2 ms and a round trip |
//! | HTTP | the mock API's count of events, repeats taken off | 10 ms and a request |
//! | ClickHouse | `count()` | 50 ms and a query |
//!
//! A target that is down answers nothing, and its curve stands still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::super::stack::{Part, Stack};
use super::curve::Curve;
use crate::bench::RedisConnection;
use crate::services::connect_postgres;

/// Rows of one transaction.
const TRANSACTION_ROWS: u32 = 10;
/// Connections that share the rate.
const WRITERS: u32 = 4;
/// Until PostgreSQL, or a target, is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// An answer that takes longer comes from a service that is frozen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const REDIS_INTERVAL: Duration = Duration::from_millis(2);
const API_INTERVAL: Duration = Duration::from_millis(10);
const CLICKHOUSE_INTERVAL: Duration = Duration::from_millis(50);

const INSERT: &str = "INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload)
    SELECT (SELECT id FROM content ORDER BY id OFFSET n % 20 LIMIT 1), gen_random_uuid(),
           (ARRAY['play', 'pause', 'finish', 'click'])[1 + n % 4], CASE WHEN n % 2 = 0 THEN 1000 * n END, 'ios',
           '{\"app\": \"4.2\"}' FROM generate_series(1, $1::int4) AS n";

/// A writer and watches that run until they are dropped.
pub(super) struct Targets {
    /// What was committed since the start.
    pub(super) committed: Curve,
    /// What each sink shows of it.
    pub(super) shown: BTreeMap<Part, Curve>,
    stopping: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
    watches: Vec<JoinHandle<()>>,
}

impl Targets {
    /// Starts to write `rate` rows a second, and to watch.
    pub(super) async fn start(stack: &Stack, rate: f64) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut shown = BTreeMap::new();
        let mut watches = Vec::new();
        for part in [Part::Redis, Part::Api, Part::ClickHouse] {
            let curve = Curve::default();
            let probe = Probe::new(stack, part)?;
            let before = probe.clone().look().await.with_context(|| format!("asking {}", part.name()))?;
            watches.push(tokio::spawn(watch(probe, before, curve.clone())));
            shown.insert(part, curve);
        }
        let committed = Curve::default();
        let writers = (0..WRITERS).map(|_| {
            let pause = Duration::from_secs_f64(f64::from(TRANSACTION_ROWS * WRITERS) / rate);
            tokio::spawn(write(stack.postgres.url(), pause, committed.clone(), Arc::clone(&stopping)))
        });
        let writers = writers.collect();
        Ok(Self { committed, shown, stopping, writers, watches })
    }

    /// Ends the writing; the watches go on.
    pub(super) async fn stop_writing(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            let _ = writer.await;
        }
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.writers.iter().chain(&self.watches).for_each(JoinHandle::abort);
    }
}

async fn write(url: String, pause: Duration, committed: Curve, stopping: Arc<AtomicBool>) {
    while !stopping.load(Ordering::Relaxed) {
        if let Ok(client) = connect_postgres(&url).await
            && let Ok(insert) = client.prepare(INSERT).await
        {
            let mut ticks = tokio::time::interval(pause);
            // What a restart of the database cost is not made up for: the rate is what the targets see.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let rows = i32::try_from(TRANSACTION_ROWS).unwrap_or(i32::MAX);
            while !stopping.load(Ordering::Relaxed) {
                ticks.tick().await;
                if client.execute(&insert, &[&rows]).await.is_err() {
                    break;
                }
                committed.add(u64::from(TRANSACTION_ROWS), Instant::now());
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn watch(mut probe: Probe, before: u64, curve: Curve) {
    let interval = probe.interval();
    loop {
        match probe.look().await {
            Ok(count) => curve.note(count.saturating_sub(before), Instant::now()),
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
        tokio::time::sleep(interval).await;
    }
}

/// One way of asking for a count.
#[derive(Clone)]
enum Probe {
    Redis { port: u16, connection: Arc<parking_lot::Mutex<Option<RedisConnection>>> },
    Api { url: String, client: reqwest::Client },
    ClickHouse { url: String, client: reqwest::Client },
}

impl Probe {
    fn new(stack: &Stack, part: Part) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        Ok(match part {
            Part::Redis => Self::Redis { port: stack.redis.port(), connection: Arc::default() },
            Part::Api => Self::Api { url: format!("{}/metrics", stack.api.url()), client },
            _ => Self::ClickHouse { url: stack.clickhouse.url(), client },
        })
    }

    fn interval(&self) -> Duration {
        match self {
            Self::Redis { .. } => REDIS_INTERVAL,
            Self::Api { .. } => API_INTERVAL,
            Self::ClickHouse { .. } => CLICKHOUSE_INTERVAL,
        }
    }

    async fn look(&mut self) -> Result<u64> {
        match self {
            Self::Redis { port, connection } => {
                let (port, connection) = (*port, Arc::clone(connection));
                tokio::task::spawn_blocking(move || board_offset(port, &mut connection.lock())).await?
            }
            Self::Api { url, client } => {
                let text = client.get(url.as_str()).send().await?.error_for_status()?.text().await?;
                let counter = |name: &str| {
                    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                    line.and_then(|value| value.trim().parse::<u64>().ok()).with_context(|| format!("no {name}"))
                };
                let repeats = counter("thm_mock_api_repeated_keys_total")?;
                Ok(counter("thm_mock_api_events_total")?.saturating_sub(repeats))
            }
            Self::ClickHouse { url, client } => {
                let query = client.post(url.as_str()).body("SELECT count() FROM thm.enriched_events");
                Ok(query.send().await?.error_for_status()?.text().await?.trim().parse()?)
            }
        }
    }
}

/// The board's offset over a connection that is kept while it works.
fn board_offset(port: u16, connection: &mut Option<RedisConnection>) -> Result<u64> {
    let mut live = match connection.take() {
        Some(live) => live,
        None => RedisConnection::connect(port)?,
    };
    let offset = live.board_offset()?;
    *connection = Some(live);
    Ok(u64::try_from(offset).unwrap_or(0))
}
