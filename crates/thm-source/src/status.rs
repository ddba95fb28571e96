//! What is watched beside the stream: metrics, the slot's WAL, and whether the publication still has what is captured.
//!
//! A table that leaves the publication is not told of in the stream: its changes just do not come any more. So the catalog
//! is looked at while the stream runs, and the next poll fails with what was found.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Gauge};
use thm_api::{Error, Hosts, Lsn, Result};
use tokio::task::JoinHandle;

use crate::catalog::{self, TableName};
use crate::encoder::Encoder;
use crate::options::Options;
use crate::preflight;
use crate::session::Session;
use crate::slot::{self, PublicationMark};
use crate::stream::Stream;

/// How often the slot is looked at: often enough for a lag one can watch, and nothing to the server.
const DEFAULT_WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The task's metrics.
pub struct Status {
    rows: Counter,
    rows_counted: u64,
    lag: Gauge,
    last_commit: Gauge,
    acknowledged: Arc<AtomicU64>,
    watcher: JoinHandle<()>,
    problem: Arc<Mutex<Option<Error>>>,
}

/// What must stay as it is.
#[derive(Debug)]
pub struct Watched {
    /// The captured tables.
    pub tables: Vec<TableName>,
    /// The publication at the start.
    pub publication: Option<PublicationMark>,
}

impl Drop for Status {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Status {
    /// Starts watching the slot on a session of its own.
    #[must_use]
    pub fn new(connector: &str, options: Arc<Options>, hosts: Arc<Hosts>, watched: Watched) -> Self {
        let label = connector.to_owned();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let problem = Arc::default();
        let retained = metrics::gauge!("thm_source_retained_wal_bytes", "connector" => label.clone());
        Self {
            rows: metrics::counter!("thm_source_rows_total", "connector" => label.clone()),
            rows_counted: 0,
            lag: metrics::gauge!("thm_source_lag_bytes", "connector" => label.clone()),
            last_commit: metrics::gauge!("thm_source_last_commit_seconds", "connector" => label),
            acknowledged,
            watcher: tokio::spawn(watch(options, hosts, retained, watched, Arc::clone(&problem))),
            problem,
        }
    }

    /// What was found that the stream does not tell of.
    ///
    /// # Errors
    /// A captured table left the publication, or the publication is gone.
    pub fn problem(&self) -> Result<()> {
        match self.problem.lock().ok().and_then(|mut found| found.take()) {
            Some(error) => Err(error),
            None => Ok(()),
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

async fn watch(
    options: Arc<Options>,
    hosts: Arc<Hosts>,
    retained: Gauge,
    watched: Watched,
    problem: Arc<Mutex<Option<Error>>>,
) {
    loop {
        tokio::time::sleep(DEFAULT_WATCH_INTERVAL).await;
        match look(&options, &hosts, &retained, &watched).await {
            Ok(found) => {
                if let Ok(mut problem) = problem.lock() {
                    *problem = Some(found);
                }
                return;
            }
            Err(error) => tracing::debug!(%error, "could not look at the slot"),
        }
    }
}

/// Looks at slot and publication until something is wrong with the latter (`Ok`) or the session breaks (`Err`).
async fn look(options: &Options, hosts: &Hosts, retained: &Gauge, watched: &Watched) -> Result<Error> {
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
        if let Some(found) = changed(&session, &options.publication, watched).await? {
            return Ok(found);
        }
        tokio::time::sleep(DEFAULT_WATCH_INTERVAL).await;
    }
}

/// What has become of the publication since the start, if changes may have been left out because of it.
async fn changed(session: &Session, name: &str, watched: &Watched) -> Result<Option<Error>> {
    let Some(before) = &watched.publication else { return Ok(None) };
    let Some(now) = catalog::publication_mark(session, name).await? else {
        let reason = "the publication was dropped while its changes were read: those made since are not sent";
        return Ok(Some(slot::publication_changed(name, reason)));
    };
    if now == *before {
        return Ok(None);
    }
    if let Some(reason) = before.changed(&now) {
        return Ok(Some(slot::publication_changed(name, &reason)));
    }
    // A table that was dropped left the publication, too; one that was renamed is in it under its new name.
    let there = catalog::tables(session).await?;
    let left = |table: &&TableName| before.tables.contains_key(&table.to_string()) && there.contains(table);
    let left: Vec<TableName> = watched.tables.iter().filter(left).cloned().collect();
    let Some(publication) = catalog::publication(session, name).await? else { return Ok(None) };
    let lacking = preflight::lacking(&publication, &left);
    Ok((!lacking.is_empty()).then(|| preflight::without(&publication, name, &lacking)))
}
