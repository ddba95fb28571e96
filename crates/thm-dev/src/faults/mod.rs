//! `thm faults`: a random workload on the real stack while parts of it fail, and the proof that nothing is wrong after.
//!
//! ```text
//!   seed ──┬─▶ workload  ── transactions ──▶ PostgreSQL ─▶ engine ─▶ ClickHouse, Redis, mock API
//!          └─▶ faults    ── kill · freeze · reset · lost and late requests · offsets moved ──▲
//!                     then quiet: everything is brought back, the writers stop
//!                     `thm verify` ──▶ zero differences, or the folder is kept
//! ```
//! `--without MECHANISM` switches one mechanism of the sinks off and turns the verdict round: the differences must be
//! found, or the workload does not test what it claims to.
//!
//! The same seed gives the same transactions per writer and the same faults; their moments are the machine's.

mod fault;
mod judge;
pub mod outages;
mod proxy;
mod rest;
mod stack;
mod transactions;
mod without;
mod workload;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thm_api::ExitCode;

use self::fault::{Emphasis, Fault};
use self::judge::Verdict;
use self::rest::Rest;
use self::stack::{Part, Setup, Stack};
use self::transactions::Repertoire;
use self::without::Mechanism;
use self::workload::Workload;
use crate::args::parse_duration;
use crate::console::{Console, grouped};
use crate::supervisor::Project;

/// How long faults happen in a full run.
const FULL: Duration = Duration::from_secs(180);
/// The same in a short one.
const SHORT: Duration = Duration::from_secs(12);
/// The same of a run without a mechanism: what it is for shows within seconds, but not always within twelve.
const WITHOUT: Duration = Duration::from_secs(30);
/// Between two faults, on average.
const FULL_INTERVAL: Duration = Duration::from_secs(10);
/// The same in a short run.
const SHORT_INTERVAL: Duration = Duration::from_secs(2);
/// Time in which all is well between two faults, at least.
const LEAST_PAUSE: Duration = Duration::from_millis(400);
/// Faults of a short run last this part of those of a full one.
const SHORT_PACE: f64 = 0.3;
/// Windows of the leaderboard, one of which a seed draws: the contract's, and one that slides within a run.
const WINDOWS_MS: [u64; 2] = [600_000, 45_000];

/// Options of `faults`.
#[derive(Args, Clone, Debug)]
pub struct FaultsArgs {
    /// How many seeds to run, from --seed on
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// The first seed; random if not given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Some seconds with many faults instead of three minutes
    #[arg(long)]
    short: bool,
    /// How long faults happen
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Time between faults, on average
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    interval: Option<Duration>,
    /// Transactions per second, of about three rows each
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = crate::args::parse_rate)]
    rate: f64,
    /// Switch these mechanisms off, one run each, and expect differences
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MECHANISMS")]
    without: Vec<Mechanism>,
    /// Only what shows whether things are done once and in order at this service
    #[arg(long, value_enum, value_name = "SERVICE")]
    aim: Option<Part>,
    /// Let changes and faults begin before the snapshot is over
    #[arg(long)]
    early: bool,
    /// Leave out payloads that PostgreSQL stores apart
    #[arg(long)]
    no_large_values: bool,
    /// Test this binary instead of the one that runs
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Keep all files under a new folder here
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep the folder also of a run that passed
    #[arg(long)]
    keep: bool,
    /// Folder with connectors/, flink/sql/ and db/init/
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// One run, as its seed and the options make it.
struct Plan {
    seed: u64,
    duration: Duration,
    interval: Duration,
    /// By what the durations of faults are multiplied.
    pace: f64,
    rate: f64,
    repertoire: Repertoire,
    /// Whether changes and faults begin before the snapshot is over.
    early: bool,
    emphasis: Emphasis,
    without: Option<Mechanism>,
}

/// Runs the seeds one after another; the last line says how many passed.
///
/// # Errors
/// When a service cannot be started at all.
pub async fn run(args: FaultsArgs) -> Result<ExitCode> {
    tokio::select! {
        code = run_all(&args) => code,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::Interrupted),
    }
}

async fn run_all(args: &FaultsArgs) -> Result<ExitCode> {
    let console = Console::default();
    let first = args.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
    let mut lines = Vec::new();
    let (mut good, mut bad) = (0, 0);
    for plan in plans(args, first) {
        let name = plan.without.map_or_else(String::new, |mechanism| format!(" without {}", mechanism.name()));
        console.plain(&format!("seed {}{name}", plan.seed));
        let is_good = one(args, &plan, &mut lines).await?;
        if is_good { good += 1 } else { bad += 1 }
    }
    lines.iter().for_each(|line| console.plain(line));
    let words = if args.without.is_empty() { ["passed", "failed"] } else { ["found", "missed"] };
    let [good_word, bad_word] = words;
    console.plain(&format!("{good} {good_word}, {bad} {bad_word}"));
    Ok(if bad == 0 { ExitCode::Ok } else { ExitCode::VerificationFailed })
}

fn plans(args: &FaultsArgs, first: u64) -> Vec<Plan> {
    let plan = |seed: u64, without: Option<Mechanism>| {
        let is_short = args.short || without.is_some();
        let short = if without.is_some() { WITHOUT } else { SHORT };
        let pick = |given: Option<Duration>, short, full| given.unwrap_or(if is_short { short } else { full });
        Plan {
            seed,
            duration: pick(args.duration, short, FULL),
            interval: pick(args.interval, SHORT_INTERVAL, FULL_INTERVAL),
            pace: if is_short { SHORT_PACE } else { 1.0 },
            rate: args.rate,
            repertoire: Repertoire { large_values: !args.no_large_values },
            early: args.early,
            emphasis: without.map_or(args.aim.map_or(Emphasis::Everything, Emphasis::Delivery), Mechanism::emphasis),
            without,
        }
    };
    let seeds = first..first.saturating_add(args.seeds);
    if args.without.is_empty() {
        return seeds.map(|seed| plan(seed, None)).collect();
    }
    seeds.flat_map(|seed| args.without.iter().map(move |mechanism| plan(seed, Some(*mechanism)))).collect()
}

/// One run in a folder of its own; adds its line to the summary and says whether it went as it should.
async fn one(args: &FaultsArgs, plan: &Plan, lines: &mut Vec<String>) -> Result<bool> {
    let began = Instant::now();
    let program = match &args.engine {
        Some(program) => std::path::absolute(program)?,
        None => std::env::current_exe()?,
    };
    let project = Project::find(args.project.as_deref(), &program)?;
    let parent = args.data.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::Builder::new().prefix(&format!("thm-faults-{}-", plan.seed)).tempdir_in(&parent)?;
    let outcome = exercise(plan, &program, &project, folder.path()).await;
    let seconds = began.elapsed().as_secs();
    let (is_good, told) = match (&outcome, plan.without) {
        (Ok(outcome), None) => (outcome.verdict.is_clean(), outcome.to_string()),
        (Ok(outcome), Some(_)) => (!outcome.verdict.is_clean(), outcome.to_string()),
        (Err(error), _) => (false, format!("broke off: {error:#}")),
    };
    let name = plan.without.map_or_else(|| format!("seed {}", plan.seed), |one| format!("without {}", one.name()));
    let word = match (plan.without, is_good) {
        (None, true) => "passed",
        (None, false) => "FAILED",
        (Some(_), true) => "found",
        (Some(_), false) => "MISSED",
    };
    lines.push(format!("{name}: {word}, {told} ({seconds} s)"));
    if args.keep || (!is_good && plan.without.is_none()) {
        lines.push(format!("  kept in {}", folder.keep().display()));
    }
    Ok(is_good)
}

/// What one run came to.
struct Outcome {
    transactions: u64,
    faults: u64,
    verdict: Verdict,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} transactions, {} faults, {}", grouped(self.transactions), self.faults, self.verdict)
    }
}

async fn exercise(plan: &Plan, program: &Path, project: &Project, folder: &Path) -> Result<Outcome> {
    let console = Console::default();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let window_ms = WINDOWS_MS[usize::from(random.random_bool(0.4))];
    let setup = Setup { failpoint: plan.without.map(|mechanism| mechanism.name().to_owned()), window_ms };
    console.fact("stack", &format!("starting in {}, leaderboard window {} s", folder.display(), window_ms / 1000));
    let stack = Stack::start(program, project, folder, &setup).await?;
    let rest = Rest::new(&stack.connect_url)?;
    if !plan.early {
        stack.caught_up().await?;
    }
    if random.random_bool(0.3) {
        happen(&Fault::ReplicaIdentity { full: true }, &stack, &rest, &console).await?;
    }
    let workload = Workload::start(&stack.postgres.url(), plan.seed, plan.rate, plan.repertoire);
    let (mut faults, mut may_repeat) = (0, false);
    let until = Instant::now() + plan.duration;
    let mut next = Instant::now();
    loop {
        next += plan.interval.mul_f64(random.random_range(0.6..1.4));
        // A fault that takes longer than its turn does not make the next one come at once.
        let at = next.max(Instant::now() + LEAST_PAUSE);
        tokio::time::sleep(at.min(until).saturating_duration_since(Instant::now())).await;
        if at >= until {
            break;
        }
        let fault = Fault::draw(&mut random, plan.emphasis, plan.pace);
        may_repeat |= fault.may_repeat();
        happen(&fault, &stack, &rest, &console).await?;
        faults += 1;
    }
    let counts = workload.stop().await;
    let transactions = counts.transactions.load(Ordering::Relaxed);
    let failed = counts.failed.load(Ordering::Relaxed);
    console.fact("quiet", &format!("{} transactions, and {failed} that failed", grouped(transactions)));
    let verdict = judge::judge(&stack, &rest, may_repeat, &console).await?;
    tokio::task::block_in_place(|| drop(stack));
    Ok(Outcome { transactions, faults, verdict })
}

async fn happen(fault: &Fault, stack: &Stack, rest: &Rest, console: &Console) -> Result<()> {
    console.fact("fault", &fault.to_string());
    fault.happen(stack, rest).await.with_context(|| format!("after the fault: {fault}"))?;
    if let Some(how) = stack.ended(Part::Engine) {
        // It must live through whatever happens around it; start it again to see what else there is.
        console.fact("engine", &format!("{how} by itself:\n{}", stack.engine_log(8)));
    }
    Ok(())
}
