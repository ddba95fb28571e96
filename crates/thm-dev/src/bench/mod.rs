//! `thm bench`: the rows of the budget table that inserts can show, and where the time goes.
//!
//! ```text
//!  Lab: PostgreSQL · Redis · ClickHouse engine · receiver      own ports, own folder
//!    ├─ streaming   pg_recvlogical | topic | whole path, interleaved on the same WAL; CPU by process and thread; memory
//!    ├─ latency     COMMIT → HTTP, Redis, ClickHouse at 1,000 events/s
//!    ├─ snapshot    topic against COPY
//!    ├─ encode      frame → record, in this process, without services
//!    ├─ functions   every function of SQL and the look-up join, in this process, without services
//!    ├─ flink       the demo's SQL file against the real Flink, where that is installed
//!    └─ start       until the first event is delivered; size of the binary
//!  Report: one row per promise, with what must be reached
//! ```
//!
//! The engine is a child process, driven and observed from outside: REST, Kafka, the sinks and `/proc`. Ratios are taken
//! within one repetition and their median is reported; on a busy machine they and CPU times mean something, seconds
//! alone do not.

mod disk;
mod encoding;
mod evaluation;
mod fence;
mod flink;
mod kernel;
mod lab;
mod latency;
mod passes;
mod profile;
mod receiver;
mod report;
mod snapshot;
mod start;
mod stats;
mod streaming;
mod subject;
mod topic_end;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use thm_api::ExitCode;

pub use self::encoding::{EncodingCost, process_cpu_us, thread_cpu_us};
pub use self::evaluation::{EvaluationFamily, EvaluationSpeed};
pub(crate) use self::fence::RedisConnection;
pub(crate) use self::kernel::{MemoryWatch, family};
use self::lab::{Lab, Load};
use self::report::Report;
pub use self::report::ReportFormat;
pub(crate) use self::stats::percentile;
use crate::args::parse_duration;
use crate::console::Console;
use crate::supervisor::Project;

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Throughput, CPU per event, memory
    Stream,
    /// From COMMIT to the sinks
    Latency,
    /// The snapshot
    Snapshot,
    /// What encoding a row costs
    Encode,
    /// Rows per second of every function of SQL, and of the look-up join
    Functions,
    /// The enrichment against the real Flink
    Flink,
    /// Start-up
    Start,
    /// Size of the binary
    Size,
}

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Only these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Stage>,
    /// Small sizes: shows that it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Repetitions whose median is taken
    #[arg(long, value_name = "N")]
    repetitions: Option<usize>,
    /// Rows per repetition in transactions of 100
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Rows per repetition in transactions of 1
    #[arg(long, value_name = "N")]
    single_rows: Option<u64>,
    /// Rows of one huge transaction, for its memory; 0 leaves it out
    #[arg(long, value_name = "N")]
    huge_rows: Option<u64>,
    /// Rows of the snapshot
    #[arg(long, value_name = "N")]
    snapshot_rows: Option<u64>,
    /// Rows whose encoding is measured
    #[arg(long, value_name = "N")]
    encode_rows: Option<u64>,
    /// Rows of the enrichment against the real Flink
    #[arg(long, value_name = "N")]
    flink_rows: Option<u64>,
    /// How long latencies are measured
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    latency: Option<Duration>,
    /// Record one pass of each load with perf
    #[arg(long)]
    profile: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    output: ReportFormat,
    /// Measure this binary instead of the one that runs
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Keep all files under a new folder here, on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder with connectors/, flink/sql/ and db/init/
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// Sizes as they are used.
struct Sizes {
    repetitions: usize,
    rows: u64,
    single_rows: u64,
    huge_rows: u64,
    snapshot_rows: u64,
    encode_rows: u64,
    function_us: u64,
    flink_rows: u64,
    latency: Duration,
}

/// What measures parts that this crate does not know.
pub struct Probes<E> {
    /// Encodes so many rows of each table.
    pub encoding: E,
    /// Evaluates each function for so many microseconds of CPU time.
    pub evaluation: fn(u64) -> Result<Vec<EvaluationSpeed>>,
}

impl Sizes {
    fn new(args: &BenchArgs) -> Self {
        let size = |given: Option<u64>, quick: u64, full: u64| given.unwrap_or(if args.quick { quick } else { full });
        Self {
            repetitions: args.repetitions.unwrap_or(if args.quick { 1 } else { 3 }).max(1),
            rows: size(args.rows, 20_000, 300_000),
            single_rows: size(args.single_rows, 5_000, 100_000),
            huge_rows: size(args.huge_rows, 50_000, 1_000_000),
            snapshot_rows: size(args.snapshot_rows, 20_000, 1_000_000),
            encode_rows: size(args.encode_rows, 20_000, 1_000_000),
            function_us: if args.quick { 2_000 } else { 100_000 },
            flink_rows: size(args.flink_rows, 20_000, 300_000),
            latency: args.latency.unwrap_or(Duration::from_secs(if args.quick { 3 } else { 30 })),
        }
    }

    fn plan(&self, is_profiled: bool) -> streaming::Plan {
        let shape = |rows: u64, rows_per_transaction: u64, must_us: f64| streaming::Shape {
            load: Load { transactions: rows.div_ceil(rows_per_transaction), rows_per_transaction },
            must_us,
        };
        streaming::Plan {
            repetitions: self.repetitions,
            shapes: vec![shape(self.rows, 100, 4.0), shape(self.single_rows, 1, 8.0)],
            huge_rows: self.huge_rows,
            is_profiled,
        }
    }
}

/// Measures, prints the result. A promise that is not kept is a result, not a failure.
///
/// # Errors
/// When a service or the engine does not start or gets stuck.
pub async fn run(args: BenchArgs, probes: Probes<impl AsyncFn(u64) -> Result<Vec<EncodingCost>>>) -> Result<ExitCode> {
    tokio::select! {
        result = measure(&args, probes) => {
            Console::default().plain(&result?.render(args.output));
            Ok(ExitCode::Ok)
        }
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::Interrupted),
    }
}

async fn measure(args: &BenchArgs, probes: Probes<impl AsyncFn(u64) -> Result<Vec<EncodingCost>>>) -> Result<Report> {
    let sizes = Sizes::new(args);
    let wanted = |stage| args.only.is_empty() || args.only.contains(&stage);
    let mut report = Report::default();
    if wanted(Stage::Encode) {
        progress("encoding, by stage");
        encoding::add_rows(&(probes.encoding)(sizes.encode_rows).await.context("measuring the encoding")?, &mut report);
    }
    if wanted(Stage::Functions) {
        progress("every function of SQL, and the look-up join");
        let speeds = tokio::task::spawn_blocking(move || (probes.evaluation)(sizes.function_us)).await?;
        evaluation::add_rows(&speeds.context("measuring SQL")?, &mut report);
    }
    if wanted(Stage::Flink) {
        progress("the real Flink, and the same on this engine");
        let program = engine(args)?;
        let folder = Project::find(args.project.as_deref(), &program)?;
        flink::run(folder.path(), &program, sizes.flink_rows, &mut report).await.context("comparing with Flink")?;
    }
    let alone = [Stage::Encode, Stage::Functions, Stage::Flink];
    if args.only.is_empty() || args.only.iter().any(|stage| !alone.contains(stage)) {
        measure_engine(args, &sizes, &mut report).await?;
    }
    Ok(report)
}

/// The binary that is measured.
fn engine(args: &BenchArgs) -> Result<PathBuf> {
    Ok(match &args.engine {
        Some(program) => std::path::absolute(program)?,
        None => std::env::current_exe()?,
    })
}

/// The stages that need services and an engine.
async fn measure_engine(args: &BenchArgs, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let program = engine(args)?;
    let wanted = |stage| args.only.is_empty() || args.only.contains(&stage);
    progress("starting PostgreSQL, Redis and the ClickHouse engine");
    let parent = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let lab = Lab::start(&program, args.project.as_deref(), &parent).await?;
    if wanted(Stage::Stream) {
        streaming::run(&lab, &sizes.plan(args.profile), report).await.context("measuring the stream")?;
    }
    if wanted(Stage::Latency) {
        latency::run(&lab, sizes.latency, report).await.context("measuring latency")?;
    }
    if wanted(Stage::Snapshot) {
        let (rows, repetitions) = (sizes.snapshot_rows, sizes.repetitions);
        snapshot::run(&lab, rows, repetitions, report).await.context("measuring the snapshot")?;
    }
    if wanted(Stage::Start) {
        start::run(&lab, sizes.repetitions, report).await.context("measuring the start")?;
    }
    if wanted(Stage::Size) {
        start::binary_size(&lab, report)?;
    }
    report.conditions = conditions(&lab, sizes).await?;
    // Services end in their own way, which blocks.
    tokio::task::spawn_blocking(move || drop(lab)).await?;
    Ok(())
}

/// Where and how it was measured.
async fn conditions(lab: &Lab, sizes: &Sizes) -> Result<Vec<String>> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let postgres: String = lab.app.query_one("SHOW server_version", &[]).await?.get(0);
    Ok(vec![
        format!("{cores} cores, load average at the end {}; other work on the machine is in the seconds, not in the CPU times", load.join(" ")),
        format!("PostgreSQL {postgres}; ClickHouse 26.7 engine, clickhouse-local mode; Redis with its append-only file; TLS off"),
        format!(
            "medians of {} repetitions; {} rows in 100-row and {} in 1-row transactions each, on prefilled WAL, no checkpoint in between",
            sizes.repetitions, sizes.rows, sizes.single_rows
        ),
        "same slot options on both sides: proto_version 1, binary, messages; `pg_recvlogical --fsync-interval=0` to /dev/null".to_owned(),
        "both sides from the order to start: connecting and the slot's start are in their times".to_owned(),
    ])
}

/// Says on standard error what goes on, beside the result.
fn progress(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "bench: {text}");
}
