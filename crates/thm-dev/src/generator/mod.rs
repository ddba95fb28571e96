//! `generate`: the users of the platform, inserting engagement events at a chosen rate.
//!
//! ```text
//!   pace (rows due by now) ──▶ rows (random, seeded) ──▶ one INSERT per transaction ──▶ PostgreSQL
//!         ▲                                                          │
//!         └────────── away: wait, reconnect, go on ◀─────────────────┘
//! ```
//!
//! A transaction is one multi-row `INSERT … SELECT FROM unnest(…)`, so 20,000 rows per second cost little. Rows that fell
//! due while PostgreSQL was away are not made up for: users do not come back in a burst.

mod insert;
mod pace;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use thm_api::{ExitCode, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{parse_duration, parse_postgres, parse_rate};
use crate::console::{Console, grouped};
use crate::process::local;

/// Between two lines that say the rate.
const DEFAULT_REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Transactions per second that one connection is given; a commit takes about 1 ms with its fsync.
const DEFAULT_TRANSACTIONS_PER_CONNECTION: f64 = 400.0;
/// More connections than this bring nothing on a machine of this kind.
const DEFAULT_MAX_CONNECTIONS: u32 = 8;

/// Options of `generate`.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// Events per second
    #[arg(long, default_value_t = 0.2, value_parser = parse_rate, value_name = "N")]
    pub rate: f64,
    /// Where to insert
    #[arg(long, env = "THM_POSTGRES_URL", default_value = "postgres://app:app@localhost:5432/thm", value_name = "URL", value_parser = parse_postgres)]
    pub postgres: String,
    /// Stop after this time, such as 60s or 5m
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Rows per transaction; by default 1, and more above 100 events per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub transaction_rows: Option<u32>,
    /// Makes the sequence of events repeatable
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Say nothing but the total
    #[arg(long)]
    pub quiet: bool,
}

/// What the connections share.
struct Shared {
    inserted: AtomicU64,
    stopping: AtomicBool,
}

/// Inserts until the time is over, or a signal comes.
///
/// # Errors
/// `LocalService` when signals cannot be watched. PostgreSQL being away is none: it is waited for.
pub async fn run(args: GenerateArgs) -> Result<ExitCode> {
    let failed = |error: std::io::Error| local("watching for signals", "generate", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let console = Console::default();
    let began = Instant::now();
    let shared = Arc::new(Shared { inserted: AtomicU64::new(0), stopping: AtomicBool::new(false) });

    let rows = args.transaction_rows.unwrap_or_else(|| default_transaction_rows(args.rate));
    let transactions_per_s = args.rate / f64::from(rows);
    let connections = connections(transactions_per_s);
    let seed = args.seed.unwrap_or_else(rand::random);
    let workers: Vec<_> = (0..connections)
        .map(|number| {
            let worker = insert::Worker {
                url: args.postgres.clone(),
                transactions_per_s: transactions_per_s / f64::from(connections),
                rows,
                seed: seed.wrapping_add(u64::from(number)),
                console,
            };
            tokio::spawn(worker.run(Arc::clone(&shared)))
        })
        .collect();

    let over = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        () = over => ExitCode::Ok,
        _ = terminate.recv() => ExitCode::Ok,
        _ = interrupt.recv() => ExitCode::Interrupted,
        () = report(console, &shared, args.quiet) => ExitCode::Ok,
    };
    shared.stopping.store(true, Ordering::Relaxed);
    for worker in workers {
        // Its transaction ends or is not begun; a panic there has been printed.
        let _ = worker.await;
    }
    let (total, seconds) = (shared.inserted.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    console.fact("generator", &format!("{} rows in {seconds:.1} s, {:.1}/s", grouped(total), total as f64 / seconds));
    Ok(code)
}

/// Says the rate every few seconds, for ever.
async fn report(console: Console, shared: &Shared, quiet: bool) {
    let mut before = 0;
    let mut interval = tokio::time::interval(DEFAULT_REPORT_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        let total = shared.inserted.load(Ordering::Relaxed);
        if !quiet && total != before {
            let rate = (total - before) as f64 / DEFAULT_REPORT_INTERVAL.as_secs_f64();
            console.fact("generator", &format!("{} rows, {rate:.1}/s", grouped(total)));
        }
        before = total;
    }
}

/// One row up to 100 events per second, then about 100 transactions per second.
fn default_transaction_rows(rate: f64) -> u32 {
    (rate / 100.0).ceil().clamp(1.0, 10_000.0) as u32
}

fn connections(transactions_per_s: f64) -> u32 {
    ((transactions_per_s / DEFAULT_TRANSACTIONS_PER_CONNECTION).ceil().max(1.0) as u32).min(DEFAULT_MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_grow_with_the_rate() {
        assert_eq!(default_transaction_rows(0.2), 1);
        assert_eq!(default_transaction_rows(100.0), 1);
        assert_eq!(default_transaction_rows(20_000.0), 200);
        assert_eq!(connections(0.2), 1);
        assert_eq!(connections(1000.0), 3);
        assert_eq!(connections(1e9), DEFAULT_MAX_CONNECTIONS);
    }
}
