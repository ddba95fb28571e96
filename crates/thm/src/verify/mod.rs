//! `thm verify`: proves that every sink equals the source, or names each difference.
//!
//! ```text
//!   barrier: pg_current_wal_lsn() ──▶ engine: source, jobs and sinks are past it
//!      │
//!      ├─ truth    events and content as PostgreSQL has them now
//!      ├─ history  content versions and each event's last change, by position, from the topics
//!      ├─ topic, last states    = truth joined with the content as of the event's last change?
//!      ├─ ClickHouse FINAL      = the same?
//!      ├─ leaderboard           = recomputed from the topic for the fence that Redis holds, past the barrier?
//!      └─ mock API's file       = each state of the topic at least once, in order per event, nothing else?
//! ```
//! Rows change while we look, so whatever differs is looked at again after a new barrier, and only what differs
//! every time is reported. Records that somebody produced by hand are counted apart and never fail it.

mod clickhouse;
mod engine;
mod expected;
mod explain;
mod history;
mod http;
mod leaderboard;
mod postgres;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use thm_api::ExitCode;

use crate::cli::output::{self, Output};
use crate::config::Config;
use engine::Engine;
use expected::Expected;
use explain::Versions;
use history::History;
use report::{Difference, Report};

/// How often differing rows are looked at: a row that changes every second is seen equal once in so many looks.
const DEFAULT_ROUNDS: usize = 6;
/// Pause between rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(500);
/// Events compared at once: bounds memory whatever the table's size.
const CHUNK_ROWS: i64 = 100_000;

/// Compare every sink with the source.
#[derive(Args)]
pub struct VerifyArgs {
    /// The engine's configuration: where it listens and what to compare with.
    #[arg(long, short, default_value = ".thm/thm.toml", env = "THM_CONFIG")]
    config: PathBuf,
    /// Longest wait until all sinks have passed the barrier, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// How many differences to print.
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// How often to look at what differs before it is reported; fewer suffice where nothing changes.
    #[arg(long, default_value_t = DEFAULT_ROUNDS)]
    rounds: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs the comparison; the exit code is 0 only if nothing differs.
pub async fn run(args: VerifyArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let config = Config::load(&args.config)?;
    let engine = Engine::new(&config, Duration::from_secs(args.timeout))?;
    let postgres = postgres::connect(&config.verify.postgres).await?;
    let mut report = Report::new(args.rounds);

    progress(args.output, "waiting until every sink is past the source's current position");
    let barrier = engine.barrier(&postgres).await?;
    report.barrier = barrier.to_string();
    progress(args.output, "reading the topics' history");
    let history = History::read(&engine).await?;
    report.foreign = history.foreign.len() as u64;
    report.content_versions = history.versions();

    progress(args.output, "comparing ClickHouse");
    check_content(&postgres, &history, &mut report).await?;
    check_clickhouse(&config, &engine, &postgres, history, &mut report).await?;
    progress(args.output, "comparing the leaderboard");
    leaderboard::check(&config, &engine, &postgres, &mut report).await?;
    if !config.verify.mock_api_file.as_os_str().is_empty() {
        progress(args.output, "comparing the API's file");
        http::check(&config, &engine, &postgres, &mut report).await?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.print(args.output, args.show)?;
    Ok(if report.is_clean() { ExitCode::Ok } else { ExitCode::VerificationFailed })
}

fn progress(output: Output, text: &str) {
    if output == Output::Text {
        output::note(&format!("verify: {text}"));
    }
}

/// The last version of each content row in the topic must be what PostgreSQL has.
async fn check_content(postgres: &tokio_postgres::Client, history: &History, report: &mut Report) -> Result<()> {
    let rows = postgres::content(postgres).await?;
    for (id, content) in &rows {
        if history.latest_content(id) != Some(content) {
            report.add(Difference::new("topic", id, "content row differs from the topic's last version"));
        }
    }
    for id in history.live_content() {
        if !rows.contains_key(id) {
            report.add(Difference::new("topic", id, "content row is in the topic but not in PostgreSQL"));
        }
    }
    Ok(())
}

/// Compares all ids in chunks, then the differing ones again and again.
async fn check_clickhouse(
    config: &Config,
    engine: &Engine,
    postgres: &tokio_postgres::Client,
    mut history: History,
    report: &mut Report,
) -> Result<()> {
    let clickhouse = clickhouse::ClickHouse::new(&config.verify.clickhouse)?;
    let (first, last) = postgres::id_range(postgres).await?;
    let (lowest, highest) = clickhouse.id_range().await?;
    let (in_topic, last_in_topic) = history.live_range().unwrap_or((first, last));
    let (first, last) = (first.min(lowest).min(in_topic), last.max(highest).max(last_in_topic));
    let mut differing: Vec<Difference> = Vec::new();
    let mut from = first;
    while from <= last {
        let to = from.saturating_add(CHUNK_ROWS - 1);
        let truth = postgres::events_between(postgres, from, to).await?;
        let found = clickhouse.rows_between(from, to).await?;
        report.events += truth.len() as u64;
        differing.extend(Expected::new(&history).compare(history.live_between(from, to), &truth, &found));
        // Foreign ids may lie far away: jump over what no side has.
        let next = [postgres::next_id(postgres, to).await?, clickhouse.next_id(to).await?, history.next_live(to)];
        let Some(next) = next.into_iter().flatten().min() else { break };
        from = next;
    }
    for _ in 1..report.rounds {
        if differing.is_empty() {
            break;
        }
        tokio::time::sleep(ROUND_PAUSE).await;
        engine.barrier(postgres).await?;
        history = History::read(engine).await?;
        let ids: BTreeSet<i64> = differing.iter().filter_map(|difference| difference.key.parse().ok()).collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let truth = postgres::events_of(postgres, &ids).await?;
        let found = clickhouse.rows_of(&ids).await?;
        let live = ids.iter().copied().filter(|id| history.last(*id).is_some_and(|last| last.row.is_some()));
        differing = Expected::new(&history).compare(live, &truth, &found);
    }
    report.clickhouse_rows = clickhouse.count().await?;
    if !differing.is_empty() {
        Versions::read(engine, &differing).await?.explain_topic(postgres, &history, &mut differing).await?;
    }
    differing.into_iter().for_each(|difference| report.add(difference));
    Ok(())
}
