//! Names the columns behind a difference, for the few that are shown.
//!
//! While comparing, the states of the topic are held as fingerprints; here they are read once more, for some ids.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use serde_json::Value;
use thm_dev::mock_api::checksum;

use super::engine::Engine;
use super::expected::{EnrichedRow, Expected, TOPIC_DIFFERS};
use super::history::{ENRICHED_TOPIC, History, event_id};
use super::http::Received;
use super::postgres;
use super::report::Difference;

/// Most events whose states are read again.
const MAX_EXPLAINED: usize = 1_000;

/// The states of some events, each with its checksum, oldest first.
pub struct Versions(HashMap<i64, Vec<(u64, EnrichedRow)>>);

impl Versions {
    /// Reads the states of the events that the differences name.
    pub async fn read(engine: &Engine, differences: &[Difference]) -> Result<Self> {
        let ids = differences.iter().filter_map(|one| one.key.parse().ok()).take(MAX_EXPLAINED);
        let ids: BTreeSet<i64> = ids.collect();
        let mut versions: HashMap<i64, Vec<(u64, EnrichedRow)>> = HashMap::new();
        if !ids.is_empty() {
            let take = |record: &super::engine::LogRecord| {
                let Some(text) = &record.value else { return };
                let Ok(value) = serde_json::from_str::<Value>(text) else { return };
                let id = event_id(record, Some(&value)).filter(|id| ids.contains(id) && record.position.is_some());
                let Some((id, row)) = id.zip(EnrichedRow::of_record(&value)) else { return };
                versions.entry(id).or_default().push((checksum(text.as_bytes()), row));
            };
            engine.each_record(ENRICHED_TOPIC, take).await?;
        }
        Ok(Self(versions))
    }

    /// Says in which columns the topic's last row is not what PostgreSQL asks for.
    pub async fn explain_topic(
        &self,
        client: &tokio_postgres::Client,
        history: &History,
        differences: &mut [Difference],
    ) -> Result<()> {
        for one in differences.iter_mut().filter(|one| one.sink == "topic" && one.what == TOPIC_DIFFERS) {
            let Some(id) = one.key.parse::<i64>().ok() else { continue };
            let Some((_, row)) = self.0.get(&id).and_then(|versions| versions.last()) else { continue };
            let truth = postgres::events_of(client, &[id]).await?;
            let columns = truth.first().and_then(|event| Expected::new(history).columns_off(event, row));
            if let Some(columns) = columns {
                one.what = format!("differs in {columns}");
            }
        }
        Ok(())
    }

    /// Says in which columns the newest state that the API has is not the last one.
    pub fn explain_received(&self, received: &Received, differences: &mut [Difference]) {
        for one in differences.iter_mut().filter(|one| one.what == super::http::NOT_LAST) {
            let Some(id) = one.key.parse::<i64>().ok() else { continue };
            let Some(versions) = self.0.get(&id) else { continue };
            let (Some((_, last)), Some(sum)) = (versions.last(), received.newest_sum(id)) else { continue };
            let at = versions.iter().rposition(|(of, _)| *of == sum);
            one.what = match at.and_then(|at| versions.get(at)) {
                Some((_, row)) => format!("{}: it differs in {}", one.what, row.differing_columns(last)),
                None => format!("{}: it is no state that the topic has", one.what),
            };
        }
    }
}
