//! Writers that change the database all the time and take every outage of it as it comes.
//!
//! PostgreSQL alone knows what was committed: an answer that was lost may be either, and nobody here keeps score.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::transactions::{Author, Repertoire};
use crate::services::connect_postgres;

/// Connections that write: more than one, so that transactions overlap and commit in another order than they began.
const WRITERS: u32 = 3;
/// Until PostgreSQL is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A statement that takes longer meets a frozen PostgreSQL; its connection is given up.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// What the writers did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Transactions that PostgreSQL took to their end, whichever that was.
    pub(super) transactions: AtomicU64,
    /// Transactions that broke a constraint, met a lock or lost their connection.
    pub(super) failed: AtomicU64,
}

/// Running writers.
pub(super) struct Workload {
    stopping: Arc<AtomicBool>,
    pub(super) counts: Arc<Counts>,
    writers: JoinSet<()>,
}

impl Workload {
    /// Starts the writers, which make `rate` transactions a second together.
    pub(super) fn start(url: &str, seed: u64, rate: f64, repertoire: Repertoire) -> Self {
        let (stopping, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let random = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(u64::from(number)));
            let writer = Writer {
                url: url.to_owned(),
                author: Author::new(random, repertoire, i64::from(number), i64::from(WRITERS)),
                pause: Duration::from_secs_f64(f64::from(WRITERS) / rate),
                stopping: Arc::clone(&stopping),
                counts: Arc::clone(&counts),
            };
            writers.spawn(writer.run());
        }
        Self { stopping, counts, writers }
    }

    /// Lets the transactions that run come to their end.
    pub(super) async fn stop(mut self) -> Arc<Counts> {
        self.stopping.store(true, Ordering::Relaxed);
        while self.writers.join_next().await.is_some() {}
        self.counts
    }
}

struct Writer {
    url: String,
    author: Author,
    pause: Duration,
    stopping: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Writer {
    async fn run(mut self) {
        while !self.stopping.load(Ordering::Relaxed) {
            if let Ok(Ok(client)) = timeout(STATEMENT_TIMEOUT, connect_postgres(&self.url)).await {
                self.write(&client).await;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Until the connection is lost or it is time to stop.
    async fn write(&mut self, client: &Client) {
        let mut pace = tokio::time::interval(self.pause);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.stopping.load(Ordering::Relaxed) {
            pace.tick().await;
            let sql = self.author.transaction();
            let outcome = timeout(STATEMENT_TIMEOUT, client.batch_execute(sql)).await;
            let count = if matches!(outcome, Ok(Ok(()))) { &self.counts.transactions } else { &self.counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            let is_alive = match outcome {
                Ok(Ok(())) => true,
                Ok(Err(_)) => matches!(timeout(STATEMENT_TIMEOUT, client.batch_execute("ROLLBACK")).await, Ok(Ok(()))),
                Err(_) => false,
            };
            if !is_alive {
                return;
            }
        }
    }
}
