//! `thm outages`: long outages of one part at a steady rate, and what the others notice of them.
//!
//! ```text
//!   steady ──────▶ down ───────────────────▶ back ──▶ caught up ──▶ quiet ──▶ verify
//!   (baseline)     (others: as before?)      (how fast?)
//! ```
//! Reported and judged: that nothing is lost or wrong, how late the other targets are during the outage as a multiple of
//! before it, how fast the late one catches up as a multiple of the input that goes on meanwhile, and the engine's memory.

mod curve;
mod report;
mod scenario;
mod targets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use thm_api::ExitCode;

use self::report::{CaughtUp, Found, Goals};
use self::scenario::{Scenario, SmallDisk};
use self::targets::Targets;
use super::judge;
use super::rest::Rest;
use super::stack::{Part, Setup, Stack};
use crate::args::{parse_duration, parse_rate};
use crate::bench::{MemoryWatch, percentile};
use crate::console::Console;
use crate::supervisor::Project;

/// A target has caught up when it is this far behind, as it may be at any time.
const DEFAULT_CAUGHT_UP: Duration = Duration::from_millis(1_500);
/// How long it may take to, beyond the outage's own length.
const DEFAULT_CATCH_UP_TIMEOUT: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// The first seconds fill caches and connections and are left out.
const WARM_UP: Duration = Duration::from_secs(5);

/// Options of `outages`.
#[derive(Args, Clone, Debug)]
pub struct OutagesArgs {
    /// Only these, separated by commas: redis-dead, clickhouse+http-frozen, postgres-restart, disk-full, …
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Scenario>,
    /// How long a part is away
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5m")]
    down: Duration,
    /// How long all is well before
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    baseline: Duration,
    /// Rows per second, in transactions of 10
    #[arg(long, value_name = "N", default_value_t = 2000.0, value_parser = parse_rate)]
    rate: f64,
    #[command(flatten)]
    goals: Goals,
    /// Test this binary instead of the one that runs
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Folder with connectors/, flink/sql/ and db/init/
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// Runs the outages one after another; the last line says how many passed.
///
/// # Errors
/// When a service cannot be started at all.
pub async fn run(args: OutagesArgs) -> Result<ExitCode> {
    tokio::select! {
        code = run_all(&args) => code,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::Interrupted),
    }
}

async fn run_all(args: &OutagesArgs) -> Result<ExitCode> {
    let console = Console::default();
    let scenarios = if args.only.is_empty() { Scenario::all() } else { args.only.clone() };
    let (mut passed, mut failed, mut lines) = (0, 0, Vec::new());
    for scenario in &scenarios {
        console.plain(&format!("{scenario}"));
        match one(args, scenario, &console).await {
            Ok(found) => {
                let problems = found.problems(&args.goals);
                if problems.is_empty() {
                    passed += 1;
                } else {
                    failed += 1;
                }
                lines.extend(found.lines(scenario, &problems));
            }
            Err(error) => {
                failed += 1;
                lines.push(format!("{scenario}: broke off: {error:#}"));
            }
        }
    }
    lines.iter().for_each(|line| console.plain(line));
    console.plain(&format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 { ExitCode::Ok } else { ExitCode::VerificationFailed })
}

async fn one(args: &OutagesArgs, scenario: &Scenario, console: &Console) -> Result<Found> {
    let program = match &args.engine {
        Some(program) => std::path::absolute(program)?,
        None => std::env::current_exe()?,
    };
    let project = Project::find(args.project.as_deref(), &program)?;
    let folder = tempfile::Builder::new().prefix("thm-outage-").tempdir()?;
    let disk = if *scenario == Scenario::DiskFull {
        SmallDisk::mount(&folder.path().join("engine"), args.rate, args.baseline + 2 * args.down)?
    } else {
        None
    };
    if *scenario == Scenario::DiskFull && disk.is_none() {
        bail!("a disk that can be filled needs root");
    }
    let found = exercise(args, scenario, (&program, &project, folder.path()), console).await;
    let is_good = found.as_ref().is_ok_and(|found| found.difference.is_none());
    if !is_good && disk.is_none() {
        console.fact("kept", &folder.keep().display().to_string());
    }
    found
}

async fn exercise(
    args: &OutagesArgs,
    scenario: &Scenario,
    (program, project, folder): (&Path, &Project, &Path),
    console: &Console,
) -> Result<Found> {
    let setup = Setup { failpoint: None, window_ms: 600_000 };
    let stack = Stack::start(program, project, folder, &setup).await?;
    let rest = Rest::new(&stack.connect_url)?;
    // The snapshot is over when it can be verified; only then does the n-th row shown mean the n-th one committed.
    let before = judge::judge(&stack, &rest, false, console).await?;
    if !before.is_clean() {
        bail!("differences before anything happened: {before}");
    }
    let memory = MemoryWatch::start(stack.pid(Part::Engine));
    let mut targets = Targets::start(&stack, args.rate).await?;
    tokio::time::sleep(WARM_UP).await;
    let steady = Instant::now();
    tokio::time::sleep(args.baseline).await;
    let broken = Instant::now();
    let lasting = if scenario.is_lasting() { format!(" for {} s", args.down.as_secs()) } else { String::new() };
    console.fact("outage", &format!("{scenario}{lasting}"));
    scenario.happen(&stack, args.down).await?;
    if let Some(how) = stack.ended(Part::Engine) {
        console.fact("engine", &format!("{how}; started again\n{}", stack.engine_log(4)));
        stack.kill(Part::Engine);
        stack.bring_back(Part::Engine).await?;
    }
    let mended = Instant::now();
    let late: Vec<Part> =
        if scenario.stops_all() { targets.shown.keys().copied().collect() } else { scenario.down().to_vec() };
    let caught_up = catch_up(&targets, &late, mended, args, console).await?;
    targets.stop_writing().await;
    let verdict = judge::judge(&stack, &rest, true, console).await?;
    let others = targets.shown.iter().filter(|(part, _)| !late.contains(part));
    let others = others.map(|(part, shown)| {
        let late_ms = |from, to| targets.committed.lateness_ms(shown, from, to);
        let (before, during) = (late_ms(steady, broken), late_ms(broken, mended));
        let of = |values: &[f64], share| percentile(values, share);
        (*part, [of(&before, 0.5), of(&before, 0.99), of(&during, 0.5), of(&during, 0.99)])
    });
    let found = Found {
        others: others.collect(),
        caught_up,
        memory_peak_bytes: memory.peak_bytes(),
        rows: targets.committed.count(),
        difference: (!verdict.is_clean()).then(|| verdict.to_string()),
    };
    tokio::task::block_in_place(|| drop(stack));
    Ok(found)
}

/// Waits until each of the targets is no further behind than always.
async fn catch_up(
    targets: &Targets,
    late: &[Part],
    mended: Instant,
    args: &OutagesArgs,
    console: &Console,
) -> Result<Vec<CaughtUp>> {
    let usual = (args.rate * DEFAULT_CAUGHT_UP.as_secs_f64()) as u64;
    let due = targets.committed.count();
    let mut found = Vec::new();
    let mut waiting: Vec<Waiting> = late
        .iter()
        .filter_map(|part| Some(Waiting { part: *part, before: targets.shown.get(part)?.count(), began: None }))
        .collect();
    while !waiting.is_empty() {
        tokio::time::sleep(LOOK_PAUSE).await;
        if mended.elapsed() > DEFAULT_CATCH_UP_TIMEOUT + args.down {
            bail!("{} did not catch up", waiting.iter().map(|one| one.part.name()).collect::<Vec<_>>().join(", "));
        }
        let committed = targets.committed.count();
        waiting.retain_mut(|one| {
            let shown = targets.shown.get(&one.part).map_or(0, curve::Curve::count);
            let began = *one.began.get_or_insert_with(Instant::now);
            if shown == one.before {
                one.began = None;
            }
            if shown + usual < committed {
                return true;
            }
            let (delay, taken) = (began - mended, began.elapsed().max(LOOK_PAUSE));
            let input = targets.committed.rate(began, Instant::now()).max(1.0);
            let times = (shown - one.before) as f64 / taken.as_secs_f64() / input;
            console.fact("caught up", &format!("{} in {:.1} s", one.part.name(), mended.elapsed().as_secs_f64()));
            let was_behind = one.before + usual < due;
            found.push(CaughtUp { part: one.part, delay, taken, times: was_behind.then_some(times) });
            false
        });
    }
    Ok(found)
}

/// A target that has not caught up yet.
struct Waiting {
    part: Part,
    /// What it showed when it came back.
    before: u64,
    /// When it first showed more: whoever delivers may have to find out first that it is back.
    began: Option<Instant>,
}
