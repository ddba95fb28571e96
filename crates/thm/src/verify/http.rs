//! The external API's own notes against the events that exist.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::engine::Engine;
use super::history::History;
use super::report::{Difference, Report};
use super::{ROUND_PAUSE, ROUNDS, postgres};
use crate::config::Config;

/// A line of the mock API's file: one delivery.
#[derive(Deserialize)]
struct Delivery {
    /// The request's idempotency key.
    key: Option<String>,
    /// Ids of the events in it.
    #[serde(default)]
    ids: Vec<Option<i64>>,
}

/// What the API received.
#[derive(Default)]
struct Received {
    ids: HashSet<i64>,
    repeats: u64,
}

fn read(config: &Config) -> Result<Received> {
    let path = &config.verify.mock_api_file;
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("cannot read the mock API's file {}", path.display()))?;
    let mut received = Received::default();
    let mut keys: HashMap<String, u64> = HashMap::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        // The last line may still be in the writing.
        let Ok(delivery) = serde_json::from_str::<Delivery>(&line) else { continue };
        received.ids.extend(delivery.ids.into_iter().flatten());
        if let Some(key) = delivery.key {
            let times = keys.entry(key).or_default();
            *times += 1;
            received.repeats += u64::from(*times > 1);
        }
    }
    Ok(received)
}

/// Every event that passes the filter must have been received, and nothing that never was an event.
///
/// The order makes it right under load: what PostgreSQL has is read before the barrier, what the API has after it,
/// and what the topic ever had after that. What differs all the same is looked at again.
pub async fn check(
    config: &Config,
    engine: &Engine,
    client: &tokio_postgres::Client,
    report: &mut Report,
) -> Result<()> {
    let mut lasting: Option<Vec<Difference>> = None;
    for _ in 0..ROUNDS {
        let truth = postgres::event_ids(client).await?;
        engine.barrier(client).await?;
        let received = read(config)?;
        let history = History::read(engine).await?;
        report.api_events = received.ids.len() as u64;
        report.api_repeats = received.repeats;
        let found = compare(&received, &history, &truth);
        let seen_before = lasting.take();
        let still = found.into_iter().filter(|one| seen_before.as_ref().is_none_or(|before| before.contains(one)));
        let still: Vec<_> = still.collect();
        if still.is_empty() {
            return Ok(());
        }
        lasting = Some(still);
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    lasting.into_iter().flatten().for_each(|difference| report.add(difference));
    Ok(())
}

fn compare(received: &Received, history: &History, truth: &[i64]) -> Vec<Difference> {
    let missing = truth.iter().filter(|id| !received.ids.contains(*id));
    let missing = missing.map(|id| Difference::new("HTTP", id, "was never received"));
    let unknown = received.ids.iter().filter(|id| !history.knows(**id));
    let unknown = unknown.map(|id| Difference::new("HTTP", id, "was received, but never was an enriched event"));
    missing.chain(unknown).collect()
}
