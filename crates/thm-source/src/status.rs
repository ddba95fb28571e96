//! What operators see of the source: metrics, and a warning before the server gives up on the slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge};
use thm_api::{Hosts, Lsn, Result};
use tokio::task::JoinHandle;

use crate::catalog;
use crate::encoder::Encoder;
use crate::options::Options;
use crate::session::Session;
use crate::stream::Stream;

/// How often the slot is looked at: often enough for a lag one can watch, and nothing to the server.
const DEFAULT_WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The task's metrics.
pub struct Status {
    rows: Counter,
    rows_counted: u64,
    lag: Gauge,
    last_commit: Gauge,
    acknowledged: Arc<AtomicU64>,
    watcher: JoinHandle<()>,
}

impl Drop for Status {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Status {
    /// Starts watching the slot on a session of its own.
    #[must_use]
    pub fn new(connector: &str, options: Arc<Options>, hosts: Arc<Hosts>) -> Self {
        let label = connector.to_owned();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let retained = metrics::gauge!("thm_source_retained_wal_bytes", "connector" => label.clone());
        Self {
            rows: metrics::counter!("thm_source_rows_total", "connector" => label.clone()),
            rows_counted: 0,
            lag: metrics::gauge!("thm_source_lag_bytes", "connector" => label.clone()),
            last_commit: metrics::gauge!("thm_source_last_commit_seconds", "connector" => label),
            acknowledged,
            watcher: tokio::spawn(watch(options, hosts, retained)),
        }
    }

    /// After each poll.
    pub fn given(&mut self, encoder: &Encoder, stream: &mut Stream) {
        let rows = encoder.rows();
        self.rows.increment(rows - self.rows_counted);
        self.rows_counted = rows;
        self.last_commit.set(stream.last_commit_us() as f64 / 1e6);
        let behind = stream.transport().wal_end().0.saturating_sub(self.acknowledged.load(Ordering::Relaxed));
        self.lag.set(behind as f64);
    }

    /// After each acknowledgement.
    pub fn acknowledged(&self, lsn: Lsn) {
        self.acknowledged.store(lsn.0, Ordering::Relaxed);
    }
}

async fn watch(options: Arc<Options>, hosts: Arc<Hosts>, retained: Gauge) {
    loop {
        tokio::time::sleep(DEFAULT_WATCH_INTERVAL).await;
        if let Err(error) = look(&options, &hosts, &retained).await {
            tracing::debug!(%error, "could not look at the slot");
        }
    }
}

/// Looks at the slot until its session breaks.
async fn look(options: &Options, hosts: &Hosts, retained: &Gauge) -> Result<()> {
    let session = Session::connect(options, hosts).await?;
    let mut warned = false;
    loop {
        if let Some(slot) = catalog::retained(&session, &options.slot).await? {
            retained.set(slot.bytes as f64);
            let in_danger = matches!(slot.wal_status.as_str(), "unreserved" | "lost");
            if in_danger && !warned {
                tracing::warn!(
                    slot = options.slot,
                    wal_status = slot.wal_status,
                    "the server is about to remove WAL that the slot needs"
                );
            }
            warned = in_danger;
        }
        tokio::time::sleep(DEFAULT_WATCH_INTERVAL).await;
    }
}
