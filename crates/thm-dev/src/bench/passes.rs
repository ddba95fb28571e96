//! One pass: the same prefilled WAL through one reader, with the time and the CPU it cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use super::fence::RedisConnection;
use super::kernel;
use super::lab::Lab;
use super::subject::{ENRICHED_TOPIC, EVENTS_TOPIC, Subject};

/// Between two looks at the targets; an error of at most this much on passes of a second and more.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Looks at ClickHouse cost a query each, so they are fewer.
const LOOKS_PER_QUERY: u32 = 5;
/// A pass that takes longer is stuck.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The milestone at which the first row was durable in the topic.
pub(super) const FIRST_ROW: &str = "first row in topic";

/// What a pass cost.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Pass {
    /// From the order to read until the last row was there.
    pub(super) seconds: f64,
    /// When, after the order, each target had its first or its last row.
    pub(super) milestones: BTreeMap<&'static str, f64>,
    /// CPU time per row in microseconds, by process.
    pub(super) cpu_us: BTreeMap<&'static str, f64>,
    /// Percent of the log's reads that its tail cache answered, by topic: the others had to be parsed again.
    pub(super) cached_percent: BTreeMap<String, f64>,
    /// CPU time per row in microseconds, by thread of the engine.
    pub(super) threads_us: BTreeMap<String, f64>,
}

impl Pass {
    pub(super) fn rate(&self, rows: u64) -> f64 {
        rows as f64 / self.seconds
    }

    pub(super) fn total_us(&self) -> f64 {
        self.cpu_us.values().sum()
    }
}

/// CPU times of all processes at one moment.
struct Meter {
    processes: BTreeMap<&'static str, u64>,
    threads: BTreeMap<String, u64>,
}

impl Meter {
    fn read(lab: &Lab, engine: Option<i32>) -> Self {
        let mut processes = BTreeMap::from([
            ("postgres", kernel::tree_us(lab.postgres.process().identity().pid)),
            ("redis", kernel::process_us(lab.redis.process().identity().pid)),
            ("clickhouse", kernel::process_us(lab.clickhouse.process().identity().pid)),
            ("receiver and probes", kernel::process_us(std::process::id().cast_signed())),
        ]);
        match engine {
            Some(pid) => processes.insert("engine", kernel::process_us(pid)),
            None => processes.insert("pg_recvlogical", kernel::waited_children_us()),
        };
        Self { processes, threads: engine.map(kernel::threads_us).unwrap_or_default() }
    }

    /// What was used since `self`, per row.
    fn fill(&self, now: &Self, rows: u64, pass: &mut Pass) {
        let per_row =
            |then: Option<&u64>, now: u64| now.saturating_sub(then.copied().unwrap_or(0)) as f64 / rows as f64;
        for (name, &us) in &now.processes {
            pass.cpu_us.insert(name, per_row(self.processes.get(name), us));
        }
        for (name, &us) in &now.threads {
            pass.threads_us.insert(name.clone(), per_row(self.threads.get(name), us));
        }
    }
}

/// `pg_recvlogical` over what `slot` has, up to `end`.
pub(super) async fn peer(lab: &Lab, slot: &str, end: &str, rows: u64) -> Result<Pass> {
    let before = Meter::read(lab, None);
    let seconds = lab.receive(slot, end).await?.as_secs_f64();
    let mut pass = Pass { seconds, ..Pass::default() };
    before.fill(&Meter::read(lab, None), rows, &mut pass);
    Ok(pass)
}

/// Where the targets stand.
struct Targets {
    events: i64,
    enriched: i64,
    http: u64,
    clickhouse: u64,
}

/// An engine whose source is paused, over what its slot has: to the topic alone, or through the whole path.
pub(super) async fn engine(lab: &Lab, subject: &Subject, rows: u64, whole_path: bool) -> Result<Pass> {
    let mut ends = subject.topic_ends().await?;
    let mut redis = RedisConnection::connect(lab.redis.port())?;
    let targets = Targets {
        events: ends.end(EVENTS_TOPIC).await?,
        enriched: ends.end(ENRICHED_TOPIC).await?,
        http: lab.receiver.events() + rows,
        clickhouse: lab.clickhouse_rows().await? + rows,
    };
    let reads = subject.cache_reads().await?;
    let before = Meter::read(lab, Some(subject.pid()));
    let began = Instant::now();
    subject.resume_source().await?;
    let mut pass = Pass::default();
    let mut looks = 0;
    loop {
        let mut reached = Vec::new();
        let events = ends.end(EVENTS_TOPIC).await?;
        reached.push((FIRST_ROW, events > targets.events));
        reached.push(("topic", events >= targets.events + rows as i64));
        if whole_path {
            let enriched = targets.enriched + rows as i64;
            reached.push(("enriched topic", ends.end(ENRICHED_TOPIC).await? >= enriched));
            reached.push(("Redis", redis.board_offset()? >= enriched));
            reached.push(("HTTP", lab.receiver.events() >= targets.http));
            if looks % LOOKS_PER_QUERY == 0 && pass.milestones.contains_key("enriched topic") {
                reached.push(("ClickHouse", lab.clickhouse_rows().await? >= targets.clickhouse));
            }
        }
        let now = began.elapsed().as_secs_f64();
        for (name, _) in reached.iter().filter(|(_, reached)| *reached) {
            pass.milestones.entry(name).or_insert(now);
        }
        if pass.milestones.len() == if whole_path { 6 } else { 2 } {
            pass.seconds = now;
            break;
        }
        if began.elapsed() > DEFAULT_TIMEOUT {
            bail!("after {now:.0} s only these were reached: {:?}\n{}", pass.milestones, subject.log_tail());
        }
        looks += 1;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    // Commits and the last acknowledgement belong to the pass.
    subject.pause_source().await?;
    before.fill(&Meter::read(lab, Some(subject.pid())), rows, &mut pass);
    for (topic, [hits, misses]) in subject.cache_reads().await? {
        let [old_hits, old_misses] = reads.get(&topic).copied().unwrap_or_default();
        let (hits, misses) = (hits - old_hits, misses - old_misses);
        if hits + misses > 0.0 {
            pass.cached_percent.insert(topic, 100.0 * hits / (hits + misses));
        }
    }
    Ok(pass)
}
