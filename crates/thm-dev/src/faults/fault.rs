//! The faults: which there are, how one is drawn, and what it does.
//!
//! ```text
//!   draw (seed) ──▶ Fault ──▶ happen: breaks, waits, mends ──▶ said what was done
//! ```
//! Faults come one after another, each mended before the next begins; a pair of kills is one fault. A fault that holds
//! requests back delivers them before it ends, so that a reset of offsets never meets a request from before it: the
//! one thing that no generation can tell from a live writer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::proxy::Weather;
use super::rest::Rest;
use super::stack::{Part, Stack};
use crate::bench::RedisConnection;
use crate::services::connect_postgres;

const CLICKHOUSE: &str = "clickhouse.enriched.sink";
const HTTP: &str = "http.enriched.sink";
const REDIS: &str = "redis.leaderboard.sink";
/// How the sink's deletes begin, in the body of a request.
const DELETE: &str = "DELETE FROM";
const BOARD: &str = "thm:top:10m";
const SOURCE: &str = "pg.engagement.source";
const CONNECTORS: [&str; 4] = [CLICKHOUSE, HTTP, REDIS, SOURCE];
/// A request that was held is dealt with this much later.
const LATE_MARGIN: Duration = Duration::from_millis(1_000);

/// How often a busy table is asked for its lock.
const LOCK_ATTEMPTS: usize = 5;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// `kill -9` of parts at once, back after a pause.
    Kill { parts: Vec<Part>, down: Duration },
    /// SIGTERM of the engine, and a new start.
    Restart,
    /// SIGSTOP, later SIGCONT.
    Freeze { part: Part, frozen: Duration },
    /// `RST` on every connection to a service.
    Reset(Part),
    /// Requests arrive, answers do not.
    LoseAnswers { part: Part, lasting: Duration },
    /// The same, and the engine is killed meanwhile.
    LoseAnswersAndKill { part: Part, lasting: Duration },
    /// Requests arrive after the engine has tried again; `only` those that say this.
    LateRequests { part: Part, only: Option<&'static str>, hold: Duration, lasting: Duration },
    /// The API misbehaves as its control says.
    Api { control: Value, lasting: Duration },
    /// Redis loses everything.
    FlushAll,
    /// Redis comes back with what it had some time ago.
    OldRedis { age: Duration },
    /// Somebody writes to the board; the remedy is a reset of the offsets.
    DamageBoard,
    /// The table is emptied and filled again from the log.
    RefillClickHouse,
    /// Deleted and registered again.
    Recreate(&'static str),
    /// Restarted over REST.
    RestartConnector(&'static str),
    /// Sent back by so many records; all the way without a number.
    Rewind { connector: &'static str, records: Option<i64> },
    /// The other replica identity from here on.
    ReplicaIdentity { full: bool },
}

/// Which faults a run is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emphasis {
    /// All of them.
    Everything,
    /// Those that show whether this part's sink does things once and in order.
    Delivery(Part),
    /// Deletes of ClickHouse that arrive after later ranges.
    LateDeletes,
    /// Nothing but crashes of the engine.
    Crashes,
    /// Damage to the leaderboard that a reset of its offsets mends.
    Board,
    /// Refusals of the API and nothing else: nothing may be repeated.
    Refusals,
}

impl Fault {
    /// The next one.
    pub(super) fn draw(random: &mut StdRng, emphasis: Emphasis, pace: f64) -> Self {
        let mut fault = match emphasis {
            Emphasis::Everything => Self::any(random),
            Emphasis::Delivery(part) => Self::of_delivery(random, part),
            Emphasis::LateDeletes => Self::LateRequests {
                part: Part::ClickHouse,
                only: Some(DELETE),
                hold: seconds(random, 1.0..3.0),
                lasting: seconds(random, 1.5..2.5),
            },
            Emphasis::Crashes => Self::Kill { parts: vec![Part::Engine], down: seconds(random, 0.0..0.3) },
            Emphasis::Board => Self::DamageBoard,
            Emphasis::Refusals => {
                let status = if random.random_bool(0.5) { 503 } else { 429 };
                let count = random.random_range(1..20);
                let control = json!({"fail": {"status": status, "count": count}});
                Self::Api { control, lasting: seconds(random, 0.5..2.0) }
            }
        };
        fault.quicken(pace);
        fault
    }

    /// Multiplies its time.
    fn quicken(&mut self, pace: f64) {
        match self {
            Self::Kill { down: time, .. }
            | Self::Freeze { frozen: time, .. }
            | Self::LoseAnswers { lasting: time, .. }
            | Self::LoseAnswersAndKill { lasting: time, .. }
            | Self::Api { lasting: time, .. }
            | Self::OldRedis { age: time } => *time = time.mul_f64(pace),
            // A late request must come after the next batch, which has its own pace.
            _ => {}
        }
    }

    fn any(random: &mut StdRng) -> Self {
        let service = *Part::SERVICES.choose(random).unwrap_or(&Part::Redis);
        let part = *Part::ALL.choose(random).unwrap_or(&Part::Engine);
        let connector = CONNECTORS.choose(random).copied().unwrap_or(REDIS);
        match random.random_range(0..100) {
            0..16 => Self::Kill { parts: vec![Part::Engine], down: seconds(random, 0.0..1.0) },
            16..32 => Self::Kill { parts: vec![service], down: seconds(random, 0.0..4.0) },
            32..38 => {
                let mut parts = vec![Part::Engine, service];
                if random.random_bool(0.3) {
                    parts.extend(Part::SERVICES.iter().filter(|other| **other != service));
                }
                Self::Kill { parts, down: seconds(random, 0.0..2.0) }
            }
            38..41 => Self::Restart,
            41..52 => Self::Freeze { part, frozen: seconds(random, 1.0..9.0) },
            52..56 => Self::Reset(service),
            56..62 => Self::LoseAnswers { part: service, lasting: seconds(random, 0.3..4.0) },
            62..67 => Self::LoseAnswersAndKill { part: service, lasting: seconds(random, 0.2..1.5) },
            67..73 => Self::late(random, service),
            73..79 => Self::misbehaving_api(random),
            79..82 => Self::FlushAll,
            82..86 => Self::OldRedis { age: seconds(random, 1.0..6.0) },
            86..88 => Self::DamageBoard,
            88..90 => Self::RefillClickHouse,
            90..93 => Self::Recreate(connector),
            93..95 => Self::RestartConnector(connector),
            95..98 => Self::rewind(random),
            _ => Self::ReplicaIdentity { full: random.random_bool(0.5) },
        }
    }

    fn of_delivery(random: &mut StdRng, part: Part) -> Self {
        match random.random_range(0..8) {
            // Answers that are lost are not for Redis alone to survive, but what it holds may be another's.
            6 if part == Part::Redis => Self::FlushAll,
            7 if part == Part::Redis => Self::OldRedis { age: seconds(random, 2.0..6.0) },
            0 | 1 => Self::late(random, part),
            2 => Self::LoseAnswers { part, lasting: seconds(random, 0.3..2.0) },
            3 => Self::LoseAnswersAndKill { part, lasting: seconds(random, 0.2..1.0) },
            4 => Self::Kill { parts: vec![Part::Engine], down: seconds(random, 0.0..0.5) },
            _ => Self::Reset(part),
        }
    }

    fn late(random: &mut StdRng, part: Part) -> Self {
        Self::LateRequests { part, only: None, hold: seconds(random, 1.5..4.0), lasting: seconds(random, 0.7..1.2) }
    }

    fn misbehaving_api(random: &mut StdRng) -> Self {
        let count = random.random_range(1..200);
        let control = match random.random_range(0..5) {
            0 => json!({"fail": {"status": 429, "count": count, "retry_after_s": 1}}),
            1 => json!({"fail": {"status": 500, "count": count}}),
            2 => json!({"fail": {"status": 503, "count": count, "received": true}}),
            3 => json!({"stall_ms": random.random_range(100..3_000)}),
            _ => json!({"rate_limit": 50}),
        };
        Self::Api { control, lasting: seconds(random, 1.0..6.0) }
    }

    /// The board can only be rebuilt from the beginning: what lies before an offset that it is sent back to would
    /// not be counted.
    fn rewind(random: &mut StdRng) -> Self {
        match random.random_range(0..5) {
            0 => Self::Rewind { connector: REDIS, records: None },
            1 => Self::Rewind { connector: CLICKHOUSE, records: None },
            2 | 3 => Self::Rewind { connector: CLICKHOUSE, records: Some(random.random_range(1..3_000)) },
            _ => Self::Rewind { connector: HTTP, records: Some(random.random_range(1..500)) },
        }
    }

    /// Whether the HTTP sink may have had to repeat a delivery because of it.
    pub(super) fn may_repeat(&self) -> bool {
        !matches!(self, Self::Api { control, .. } if control["fail"]["received"] != true && control["fail"].is_object())
    }

    /// Breaks something, waits, and mends it.
    pub(super) async fn happen(&self, stack: &Stack, rest: &Rest) -> Result<()> {
        match self {
            Self::Kill { parts, down } => {
                parts.iter().for_each(|part| stack.kill(*part));
                tokio::time::sleep(*down).await;
                bring_back(stack, parts).await
            }
            Self::Restart => {
                stack.stop(Part::Engine);
                stack.bring_back(Part::Engine).await
            }
            Self::Freeze { part, frozen } => {
                stack.freeze(*part);
                tokio::time::sleep(*frozen).await;
                stack.thaw(*part);
                Ok(())
            }
            Self::Reset(part) => {
                if let Some(proxy) = stack.proxy(*part) {
                    proxy.reset();
                }
                Ok(())
            }
            Self::LoseAnswers { part, lasting } => under(stack, *part, Weather::LoseAnswers, *lasting).await,
            Self::LoseAnswersAndKill { part, lasting } => {
                under(stack, *part, Weather::LoseAnswers, *lasting).await?;
                stack.kill(Part::Engine);
                stack.bring_back(Part::Engine).await
            }
            Self::LateRequests { part, only, hold, lasting } => {
                under(stack, *part, Weather::LateRequests { hold: *hold, only: *only }, *lasting).await?;
                tokio::time::sleep(*hold + LATE_MARGIN).await;
                Ok(())
            }
            Self::Api { control, lasting } => {
                tell_api(stack, control).await?;
                tokio::time::sleep(*lasting).await;
                tell_api(stack, &json!({})).await
            }
            Self::FlushAll => redis(stack, &["FLUSHALL"]).map(drop),
            Self::OldRedis { age } => old_redis(stack, *age).await,
            Self::DamageBoard => {
                // Members stay as many as they were: what does not add up the sink finds by itself.
                for member in redis(stack, &["ZRANGE", BOARD, "0", "2"])? {
                    redis(stack, &["ZINCRBY", BOARD, "1000", &member])?;
                }
                reset_offsets(rest, REDIS).await
            }
            Self::RefillClickHouse => {
                rest.stop(CLICKHOUSE).await?;
                rest.reset_offsets(CLICKHOUSE).await?;
                stack.clickhouse.query("TRUNCATE TABLE thm.enriched_events").await?;
                rest.resume(CLICKHOUSE).await
            }
            Self::Recreate(name) => {
                let config = stack.connectors.get(*name).context("a connector without a file")?;
                rest.recreate(name, config).await
            }
            Self::RestartConnector(name) => rest.restart(name).await,
            Self::Rewind { connector, records: None } => reset_offsets(rest, connector).await,
            Self::Rewind { connector, records: Some(records) } => {
                rest.stop(connector).await?;
                rest.move_back(connector, *records).await?;
                rest.resume(connector).await
            }
            Self::ReplicaIdentity { full } => replica_identity(stack, *full).await,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
        match self {
            Self::Kill { parts, down } => {
                let names: Vec<_> = parts.iter().map(|part| part.name()).collect();
                write!(out, "kill -9 {}, back after {}", names.join(" and "), s(down))
            }
            Self::Restart => write!(out, "engine stopped in its own way and started again"),
            Self::Freeze { part, frozen } => write!(out, "SIGSTOP {} for {}", part.name(), s(frozen)),
            Self::Reset(part) => write!(out, "connections to {} reset", part.name()),
            Self::LoseAnswers { part, lasting } => write!(out, "answers of {} lost for {}", part.name(), s(lasting)),
            Self::LoseAnswersAndKill { part, lasting } => {
                write!(out, "answers of {} lost for {}, then kill -9 engine", part.name(), s(lasting))
            }
            Self::LateRequests { part, only, hold, lasting } => {
                let what = only.unwrap_or("requests");
                write!(out, "{what} to {} within {} arrive {} late", part.name(), s(lasting), s(hold))
            }
            Self::Api { control, lasting } => write!(out, "mock api told {control} for {}", s(lasting)),
            Self::FlushAll => write!(out, "redis FLUSHALL"),
            Self::OldRedis { age } => write!(out, "redis comes back as it was {} before", s(age)),
            Self::DamageBoard => write!(out, "leaderboard changed by hand, offsets of its connector reset"),
            Self::RefillClickHouse => write!(out, "clickhouse table truncated, offsets of its connector reset"),
            Self::Recreate(name) => write!(out, "{name} deleted and registered again"),
            Self::RestartConnector(name) => write!(out, "{name} restarted over REST"),
            Self::Rewind { connector, records: None } => write!(out, "offsets of {connector} reset"),
            Self::Rewind { connector, records: Some(records) } => {
                write!(out, "offsets of {connector} moved back by {records}")
            }
            Self::ReplicaIdentity { full } => {
                write!(out, "replica identity {} from here on", if *full { "full" } else { "default" })
            }
        }
    }
}

fn seconds(random: &mut StdRng, range: std::ops::Range<f64>) -> Duration {
    Duration::from_secs_f64(random.random_range(range))
}

/// Services before the engine, which would wait for them anyway, but would fill its log with it.
async fn bring_back(stack: &Stack, parts: &[Part]) -> Result<()> {
    for part in parts.iter().filter(|part| **part != Part::Engine) {
        stack.bring_back(*part).await?;
    }
    if parts.contains(&Part::Engine) {
        stack.bring_back(Part::Engine).await?;
    }
    Ok(())
}

async fn under(stack: &Stack, part: Part, weather: Weather, lasting: Duration) -> Result<()> {
    let proxy = stack.proxy(part).context("this part has no relay")?;
    proxy.set(weather);
    tokio::time::sleep(lasting).await;
    proxy.set(Weather::Fair);
    Ok(())
}

async fn reset_offsets(rest: &Rest, connector: &str) -> Result<()> {
    rest.stop(connector).await?;
    rest.reset_offsets(connector).await?;
    rest.resume(connector).await
}

pub(super) async fn tell_api(stack: &Stack, control: &Value) -> Result<()> {
    let url = format!("{}/control", stack.api.url());
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.post(url).json(control).send().await?.error_for_status()?;
    Ok(())
}

/// One command, past the relay.
fn redis(stack: &Stack, words: &[&str]) -> Result<Vec<String>> {
    tokio::task::block_in_place(|| RedisConnection::connect(stack.redis.port())?.command(words))
}

/// Copies Redis' files, and puts the copy in their place later: a failover to a replica that was behind.
async fn old_redis(stack: &Stack, age: Duration) -> Result<()> {
    let (live, copy) = (stack.folder().join("redis/appendonlydir"), stack.folder().join("redis/older"));
    stack.freeze(Part::Redis);
    let copied = replace_folder(&live, &copy);
    stack.thaw(Part::Redis);
    copied?;
    tokio::time::sleep(age).await;
    stack.kill(Part::Redis);
    replace_folder(&copy, &live)?;
    stack.bring_back(Part::Redis).await
}

fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Waits for running transactions, which wait for each other: one that holds it up for long is given way to.
async fn replica_identity(stack: &Stack, full: bool) -> Result<()> {
    let identity = if full { "FULL" } else { "DEFAULT" };
    let change = format!("SET lock_timeout = '2s'; ALTER TABLE engagement_events REPLICA IDENTITY {identity}");
    let client = connect_postgres(&stack.postgres.url()).await?;
    for _ in 0..LOCK_ATTEMPTS {
        match client.batch_execute(&change).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!(%error, "replica identity not changed yet"),
        }
    }
    Ok(())
}
