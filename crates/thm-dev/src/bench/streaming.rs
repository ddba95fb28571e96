//! Rows 1, 2, 3 and 5 of the budget: the stream of changes at full speed, interleaved with `pg_recvlogical`.
//!
//! ```text
//!   fill WAL once ──┬─▶ slot of pg_recvlogical ──▶ /dev/null
//!                   ├─▶ slot of engine A (source alone) ──▶ topic            the order rotates
//!                   └─▶ slot of engine B (whole path)   ──▶ three sinks      with each repetition
//! ```
//!
//! All three read the same WAL, one at a time; the sources of the engines are paused in between. A ratio is taken per
//! repetition, and their median is the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::kernel::{self, MemoryWatch};
use super::lab::{Lab, Load};
use super::passes::{self, FIRST_ROW, Pass};
use super::profile::Profile;
use super::progress;
use super::report::{Report, Verdict};
use super::stats::median;
use super::subject::{Setup, Subject};

const PEER_SLOT: &str = "bench_peer";
/// How long an engine has nothing to do before its idle memory is read.
const DEFAULT_IDLE: Duration = Duration::from_secs(3);
const MUST_STREAM: f64 = 0.95;
const MUST_WHOLE_PATH: f64 = 0.6;
const MUST_IDLE_BYTES: u64 = 48_000_000;
const MUST_PEAK_BYTES: u64 = 150_000_000;

/// A shape of transactions, and the CPU that an event may cost there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) load: Load,
    pub(super) must_us: f64,
}

/// Sizes of this stage.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) repetitions: usize,
    pub(super) shapes: Vec<Shape>,
    /// Rows of one huge transaction at the end; 0 for none.
    pub(super) huge_rows: u64,
    pub(super) is_profiled: bool,
}

/// The passes of one shape.
#[derive(Default)]
struct Passes {
    peer: Vec<Pass>,
    /// Seconds of a `pg_recvlogical` that has nothing to read.
    peer_starts: Vec<f64>,
    topic: Vec<Pass>,
    whole: Vec<Pass>,
}

/// Measures and adds its rows.
pub(super) async fn run(lab: &Lab, plan: &Plan, report: &mut Report) -> Result<()> {
    lab.reset().await?;
    let setup = |name, whole_path| Setup { name, whole_path, http_arrays: true, with_connectors: true };
    let topic = Subject::start(lab, setup("bench_topic", false)).await?;
    let whole = Subject::start(lab, setup("bench_path", true)).await?;
    for engine in [&topic, &whole] {
        engine.await_source("RUNNING").await?;
    }
    tokio::time::sleep(DEFAULT_IDLE).await;
    let idle = kernel::anonymous_bytes(whole.pid());
    topic.pause_source().await?;
    whole.pause_source().await?;

    let watch = MemoryWatch::start(whole.pid());
    let mut profile = Profile::new(plan.is_profiled, lab.path());
    for shape in &plan.shapes {
        let mut passes = Passes::default();
        for repetition in 0..plan.repetitions {
            progress(&format!("stream, {}, repetition {}", name(shape.load), repetition + 1));
            repeat(lab, shape.load, repetition, [&topic, &whole], &mut profile, &mut passes).await?;
        }
        add_rows(report, *shape, &passes);
    }
    let peak = watch.peak_bytes();
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    report.row("anonymous memory, idle", "≤ 48 MB", megabytes(idle), Verdict::of(idle <= MUST_IDLE_BYTES));
    report.row("anonymous memory, full speed", "≤ 150 MB", megabytes(peak), Verdict::of(peak <= MUST_PEAK_BYTES));
    if plan.huge_rows > 0 {
        progress(&format!("stream, one transaction of {} rows", plan.huge_rows));
        let watch = MemoryWatch::start(whole.pid());
        lab.fill(Load { transactions: 1, rows_per_transaction: plan.huge_rows }).await?;
        let pass = passes::engine(lab, &whole, plan.huge_rows, true).await?;
        let peak = watch.peak_bytes();
        report.row(
            format!("anonymous memory, one transaction of {} rows", plan.huge_rows),
            "≤ 150 MB",
            format!("{}, {:.0}k rows/s", megabytes(peak), pass.rate(plan.huge_rows) / 1e3),
            Verdict::of(peak <= MUST_PEAK_BYTES),
        );
    }
    profile.add_notes(report);
    topic.stop().await?;
    whole.stop().await
}

/// Fills once and lets the three read, beginning with another one each time.
async fn repeat(
    lab: &Lab,
    load: Load,
    repetition: usize,
    [topic, whole]: [&Subject; 2],
    profile: &mut Profile,
    passes: &mut Passes,
) -> Result<()> {
    lab.create_slot(PEER_SLOT).await?;
    passes.peer_starts.push(lab.receive(PEER_SLOT, &lab.flushed().await?).await?.as_secs_f64());
    let end = lab.fill(load).await?;
    for turn in 0..3 {
        match (repetition + turn) % 3 {
            0 => passes.peer.push(passes::peer(lab, PEER_SLOT, &end, load.rows()).await?),
            1 => passes.topic.push(passes::engine(lab, topic, load.rows(), false).await?),
            _ => {
                profile.begin(whole.pid(), &name(load))?;
                passes.whole.push(passes::engine(lab, whole, load.rows(), true).await?);
                profile.end().await?;
            }
        }
    }
    lab.drop_slot(PEER_SLOT).await
}

fn name(load: Load) -> String {
    format!("{}-row transactions", load.rows_per_transaction)
}

fn add_rows(report: &mut Report, shape: Shape, passes: &Passes) {
    let (rows, name) = (shape.load.rows(), name(shape.load));
    for (what, must, ours) in [
        ("Postgres → topic", MUST_STREAM, &passes.topic),
        ("Postgres → topic → SQL → ClickHouse + Redis + HTTP (arrays of 500)", MUST_WHOLE_PATH, &passes.whole),
    ] {
        let ratios: Vec<f64> = ours.iter().zip(&passes.peer).map(|(ours, peer)| peer.seconds / ours.seconds).collect();
        let ratio = median(&ratios);
        let rate = |passes: &[Pass]| median(&passes.iter().map(|pass| pass.rate(rows) / 1e3).collect::<Vec<_>>());
        report.row(
            format!("{what}, {name}"),
            &format!("≥ {must} of pg_recvlogical"),
            format!(
                "{ratio:.2} ({:.0}k rows/s against {:.0}k; {:.2} without both starts)",
                rate(ours),
                rate(&passes.peer),
                median(&ratios_without_starts(ours, passes))
            ),
            Verdict::of(ratio >= must),
        );
    }
    let engine: Vec<f64> = passes.whole.iter().filter_map(|pass| pass.cpu_us.get("engine").copied()).collect();
    let engine = median(&engine);
    report.row(
        format!("engine CPU per event, whole path, {name}"),
        &format!("≤ {} µs", shape.must_us),
        format!("{engine:.2} µs"),
        Verdict::of(engine <= shape.must_us),
    );
    let all = [("pg_recvlogical", &passes.peer), ("topic", &passes.topic), ("whole path", &passes.whole)];
    let total = |passes: &[Pass]| format!("{:.1}", median(&passes.iter().map(Pass::total_us).collect::<Vec<_>>()));
    report.row(
        format!("CPU per row of all processes, {name}"),
        "beside it",
        format!("{} µs; pg_recvlogical alone {} µs", total(&passes.whole), total(&passes.peer)),
        Verdict::Reported,
    );
    report.note(format!("CPU per row by process, µs, {name}"), cpu_table(&all));
    report.note(format!("Engine CPU per row by thread, whole path, µs, {name}"), thread_table(&passes.whole));
    report.note(format!("Reads that the tail cache answered, whole path, percent, {name}"), cache_table(&passes.whole));
    report.note(format!("When each target was there, s after the start, {name}, {rows} rows"), milestone_table(&all));
    let raw = json!({"rows": rows, "pg_recvlogical": passes.peer, "topic": passes.topic, "whole_path": passes.whole,
        "pg_recvlogical_start_seconds": passes.peer_starts});
    report.raw.push((if shape.load.rows_per_transaction == 1 { "stream_1" } else { "stream_100" }, raw));
}

/// The same ratios once both sides stream: from our first durable row on, less what a peer needs that reads nothing.
fn ratios_without_starts(ours: &[Pass], passes: &Passes) -> Vec<f64> {
    let peers = passes.peer.iter().zip(&passes.peer_starts).map(|(pass, start)| pass.seconds - start);
    let ours = ours.iter().map(|pass| pass.seconds - pass.milestones.get(FIRST_ROW).copied().unwrap_or(0.0));
    peers.zip(ours).map(|(peer, ours)| peer / ours).collect()
}

/// Medians over the passes, by key.
fn medians<K: Ord + Clone>(maps: Vec<&BTreeMap<K, f64>>) -> Vec<(K, f64)> {
    let mut values: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for (key, &value) in maps.into_iter().flatten() {
        values.entry(key.clone()).or_default().push(value);
    }
    values.into_iter().map(|(key, values)| (key, median(&values))).collect()
}

fn cpu_table(all: &[(&str, &Vec<Pass>)]) -> String {
    let mut text = String::new();
    for (reader, passes) in all {
        let mut parts = medians(passes.iter().map(|pass| &pass.cpu_us).collect());
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts: Vec<String> = parts.iter().map(|(name, us)| format!("{name} {us:.2}")).collect();
        let _ = writeln!(text, "{reader:<14}  {}", parts.join(", "));
    }
    text
}

fn thread_table(passes: &[Pass]) -> String {
    let mut threads = medians(passes.iter().map(|pass| &pass.threads_us).collect());
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    let lines = threads.iter().filter(|(_, us)| *us > 0.0).map(|(name, us)| format!("{name:<16}  {us:.2}\n"));
    lines.collect()
}

fn cache_table(passes: &[Pass]) -> String {
    let topics = medians(passes.iter().map(|pass| &pass.cached_percent).collect());
    topics.iter().map(|(topic, percent)| format!("{topic:<28}  {percent:.0}\n")).collect()
}

fn milestone_table(all: &[(&str, &Vec<Pass>)]) -> String {
    let mut text = String::new();
    for (reader, passes) in all {
        let seconds = median(&passes.iter().map(|pass| pass.seconds).collect::<Vec<_>>());
        let mut parts = medians(passes.iter().map(|pass| &pass.milestones).collect());
        parts.sort_by(|a, b| a.1.total_cmp(&b.1));
        let parts: Vec<String> = parts.iter().map(|(name, at)| format!("{name} {at:.2}")).collect();
        let _ = writeln!(text, "{reader:<14}  all {seconds:.2}  {}", parts.join(", "));
    }
    text
}
