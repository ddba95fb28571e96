//! One connection that inserts at its pace and survives PostgreSQL's absence.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use thm_api::{Error, ErrorKind, Result};
use tokio_postgres::{Client, Statement};

use super::Shared;
use super::pace::Pace;
use super::rows::{Content, Rows};
use crate::console::Console;
use crate::services::{connect_postgres, describe_postgres_error};

/// First and longest pause before PostgreSQL is tried again.
const DEFAULT_RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// The contents are read again this often, so that new ones get events.
const DEFAULT_CONTENT_REFRESH: Duration = Duration::from_secs(30);
/// While waiting, how often we look whether to stop.
const DEFAULT_STOP_CHECK: Duration = Duration::from_millis(100);

const INSERT: &str = "INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload) \
    SELECT c, u, e, d, v, p::jsonb \
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int4[], $5::text[], $6::text[]) AS t (c, u, e, d, v, p)";

/// One connection's part of the work.
pub(super) struct Worker {
    pub(super) url: String,
    pub(super) transactions_per_s: f64,
    pub(super) rows: u32,
    pub(super) seed: u64,
    pub(super) console: Console,
}

/// What a connection needs to insert.
struct Session {
    client: Client,
    insert: Statement,
    contents: Vec<Content>,
    read_at: Instant,
}

impl Worker {
    /// Inserts until told to stop, reconnecting as often as it takes.
    pub(super) async fn run(self, shared: Arc<Shared>) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut pace = Pace::new(self.transactions_per_s, Instant::now());
        let (first_pause, longest_pause) = DEFAULT_RETRY_PAUSES;
        let mut pause = first_pause;
        while !shared.stopping.load(Ordering::Relaxed) {
            let before = shared.inserted.load(Ordering::Relaxed);
            let Err(error) = self.insert_until_stopped(&shared, &mut pace, &mut random).await else { return };
            if shared.inserted.load(Ordering::Relaxed) > before {
                pause = first_pause;
            }
            self.console.fact("generator", &format!("waiting {:.1} s: {error}", pause.as_secs_f64()));
            sleep_until(Instant::now() + pause, &shared).await;
            pause = (pause * 2).min(longest_pause);
        }
    }

    async fn insert_until_stopped(&self, shared: &Shared, pace: &mut Pace, random: &mut StdRng) -> Result<()> {
        let mut session = Session::open(&self.url).await?;
        let mut rows = Rows::default();
        loop {
            sleep_until(pace.next(Instant::now()), shared).await;
            if shared.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            if session.read_at.elapsed() > DEFAULT_CONTENT_REFRESH {
                session.read_contents().await?;
            }
            rows.fill(self.rows, &session.contents, random);
            let inserted = session.insert(&rows).await?;
            shared.inserted.fetch_add(inserted, Ordering::Relaxed);
        }
    }
}

impl Session {
    async fn open(url: &str) -> Result<Self> {
        let client = connect_postgres(url).await?;
        let insert = client.prepare(INSERT).await.map_err(|error| failed("preparing the insert", &error))?;
        let mut session = Self { client, insert, contents: Vec::new(), read_at: Instant::now() };
        session.read_contents().await?;
        Ok(session)
    }

    async fn read_contents(&mut self) -> Result<()> {
        let query = "SELECT id, length_seconds FROM content ORDER BY publish_ts, id LIMIT 10000";
        let rows = self.client.query(query, &[]).await.map_err(|error| failed("reading table content", &error))?;
        self.contents = rows.iter().map(|row| Content { id: row.get(0), length_seconds: row.get(1) }).collect();
        self.read_at = Instant::now();
        if self.contents.is_empty() {
            return Err(Error::new(ErrorKind::SourceUnreachable, "reading table content", "it is empty"));
        }
        Ok(())
    }

    /// One transaction.
    async fn insert(&self, rows: &Rows) -> Result<u64> {
        let Rows { content_ids, user_ids, event_types, durations_ms, devices, payloads } = rows;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [content_ids, user_ids, event_types, durations_ms, devices, payloads];
        self.client.execute(&self.insert, &parameters).await.map_err(|error| failed("inserting events", &error))
    }
}

fn failed(doing: &'static str, error: &tokio_postgres::Error) -> Error {
    Error::new(ErrorKind::SourceUnreachable, doing, format!("PostgreSQL: {}", describe_postgres_error(error)))
}

/// Sleeps, but not beyond the wish to stop.
async fn sleep_until(moment: Instant, shared: &Shared) {
    while !shared.stopping.load(Ordering::Relaxed) {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(DEFAULT_STOP_CHECK)).await;
    }
}
