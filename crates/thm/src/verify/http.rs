//! The external API's own notes against the states that the events went through.
//!
//! ```text
//!   topic ── every state of every event ──▶ each was received at least once
//!   file  ── first deliveries, in order ──▶ of one key in the order of its changes; the last one is the last state
//! ```
//! A delivery that repeats an idempotency key says nothing new: the contract is at least once, and the receiver tells
//! repeats by their keys. Keys of another generation are another life, in which everything may come again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use thm_api::Position;

use super::ROUND_PAUSE;
use super::engine::Engine;
use super::explain::Versions;
use super::history::{History, State};
use super::report::{Difference, Report};
use crate::config::Config;

/// Class of the connectors whose deliveries are checked.
const CLASS: &str = "io.aiven.kafka.connect.http.HttpSinkConnector";

/// A line of the mock API's file: one delivery.
#[derive(Deserialize)]
struct Delivery {
    /// The request's idempotency key.
    key: Option<String>,
    /// Ids of the events in it.
    #[serde(default)]
    ids: Vec<Option<i64>>,
    /// Checksums of their texts; files of older versions have none.
    #[serde(default)]
    sums: Vec<u64>,
}

/// What the connector leaves out.
#[derive(Clone, Copy, Debug)]
struct Rules {
    posts_snapshot: bool,
    posts_deletes: bool,
}

impl Rules {
    async fn of(engine: &Engine) -> Result<Self> {
        let connectors = engine.connectors_of(CLASS).await?;
        let options = connectors.first().map(|(_, options)| options);
        let says = |key: &str, value: &str| options.is_some_and(|options| options.get(key) == Some(value));
        Ok(Self { posts_snapshot: !says("snapshot.mode", "skip"), posts_deletes: says("delete.mode", "post") })
    }
}

/// The last first delivery of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    State(State),
    Deletion,
}

/// What the API received.
#[derive(Default)]
pub struct Received {
    /// Every event, whichever state.
    ids: HashSet<i64>,
    states: HashSet<State>,
    newest: HashMap<i64, Newest>,
    /// Whether the file tells states apart.
    has_sums: bool,
    repeats: u64,
    /// Event → the change that came after a later one had been there.
    disordered: BTreeMap<i64, String>,
    keys: HashSet<String>,
    /// By chain, which is a key of one topic in one generation: its newest change.
    chains: HashMap<String, Position>,
}

impl Received {
    fn read(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("cannot read the mock API's file {}", path.display()))?;
        let mut received = Self::default();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // The last line may still be in the writing.
            if let Ok(delivery) = serde_json::from_str::<Delivery>(&line) {
                received.take(delivery);
            }
        }
        received.keys = HashSet::new();
        received.chains = HashMap::new();
        Ok(received)
    }

    /// Checksum of the newest state that came of an event.
    pub fn newest_sum(&self, event: i64) -> Option<u64> {
        match self.newest.get(&event)? {
            Newest::State(state) => Some(state.sum),
            Newest::Deletion => None,
        }
    }

    fn take(&mut self, delivery: Delivery) {
        let ids: Vec<i64> = delivery.ids.iter().copied().flatten().collect();
        self.ids.extend(&ids);
        self.has_sums |= !delivery.sums.is_empty();
        let states =
            delivery.ids.iter().zip(&delivery.sums).filter_map(|(id, sum)| Some(State { id: (*id)?, sum: *sum }));
        let states: Vec<State> = states.collect();
        self.states.extend(&states);
        let change = delivery.key.as_deref().and_then(change_of);
        if let Some(key) = delivery.key.clone()
            && !self.keys.insert(key)
        {
            self.repeats += 1;
            return;
        }
        let is_deletion = delivery.key.as_ref().is_some_and(|key| key.ends_with(DELETION));
        for state in states {
            let newest = if is_deletion { Newest::Deletion } else { Newest::State(state) };
            self.newest.insert(state.id, newest);
        }
        let (Some((chain, position)), Some(id)) = (change, ids.first()) else { return };
        let newest = self.chains.entry(chain).or_insert(position);
        if position < *newest {
            self.disordered.insert(*id, format!("change {position} came after {newest}"));
        }
        *newest = position.max(*newest);
    }
}

/// What the key of a deletion ends with.
const DELETION: &str = ":d";

/// Chain and position of an idempotency key `<topic>/<uuid>/<generation>/<record key>/<position>[:d]`; none of those
/// that name offsets.
fn change_of(key: &str) -> Option<(String, Position)> {
    let key = key.strip_suffix(DELETION).unwrap_or(key);
    let (rest, low) = key.rsplit_once('/')?;
    let (chain, high) = rest.rsplit_once('/')?;
    let position = format!("{high}/{low}").parse().ok()?;
    // Fewer parts are those of a batch, whose offsets might be read as hexadecimal digits.
    (chain.matches('/').count() >= 3).then(|| (chain.to_owned(), position))
}

/// Every state must have been received, in the order of the changes, and nothing that never was an event.
///
/// The order makes it right under load: what the topic has is read before the barrier, what the API has after it.
/// What differs all the same is looked at again.
pub async fn check(
    config: &Config,
    engine: &Engine,
    client: &tokio_postgres::Client,
    report: &mut Report,
) -> Result<()> {
    let mut lasting: Option<Vec<Difference>> = None;
    for _ in 0..report.rounds {
        let rules = Rules::of(engine).await?;
        let history = History::read(engine).await?;
        engine.barrier(client).await?;
        let received = Received::read(&config.verify.mock_api_file)?;
        report.api_events = received.ids.len() as u64;
        report.api_repeats = received.repeats;
        let mut found = compare(&received, &history, rules);
        if !found.is_empty() {
            Versions::read(engine, &found).await?.explain_received(&received, &mut found);
        }
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

fn compare(received: &Received, history: &History, rules: Rules) -> Vec<Difference> {
    let mut found = BTreeMap::new();
    for state in history.states(rules.posts_snapshot) {
        if !received.ids.contains(&state.id) {
            found.insert(state.id, "was never received".to_owned());
        } else if received.has_sums && !received.states.contains(state) {
            found.entry(state.id).or_insert_with(|| "a state that it had was never received".to_owned());
        }
    }
    for (id, newest) in &received.newest {
        let is_deleted = rules.posts_deletes && history.last(*id).is_some_and(|last| last.row.is_none());
        let should = if is_deleted { Some(Newest::Deletion) } else { history.last_state(*id).map(Newest::State) };
        if received.has_sums && should.is_some_and(|should| should != *newest) {
            found.insert(*id, NOT_LAST.to_owned());
        }
    }
    for (id, what) in &received.disordered {
        found.insert(*id, what.clone());
    }
    for id in received.ids.iter().filter(|id| !history.knows(**id)) {
        found.insert(*id, "was received, but never was an enriched event".to_owned());
    }
    found.into_iter().map(|(id, what)| Difference::new("HTTP", id, what)).collect()
}

/// The newest state that the API has is not the last one.
pub const NOT_LAST: &str = "the last state received is not its last state";

#[cfg(test)]
mod tests {
    use super::*;

    fn take(received: &mut Received, key: &str, id: i64, sum: u64) {
        received.take(Delivery { key: Some(key.to_owned()), ids: vec![Some(id)], sums: vec![sum] });
    }

    #[test]
    fn keys_tell_chain_and_position() {
        let key = "t/00000000-0000-0000-0000-000000000000/3/{\"id\":1}/16/B374D848:3";
        let (chain, position) = change_of(key).map_or_else(Default::default, |(chain, position)| (chain, position));
        assert_eq!(chain, "t/00000000-0000-0000-0000-000000000000/3/{\"id\":1}");
        assert_eq!(position, Position::new(thm_api::Lsn(0x16_B374_D848), 3));
        assert_eq!(change_of(&format!("{key}:d")).map(|(_, position)| position), Some(position));
        assert_eq!(change_of("t/00000000-0000-0000-0000-000000000000/3/0/1-5"), None);
        assert_eq!(change_of("t/00000000-0000-0000-0000-000000000000/3/0/15"), None);
    }

    #[test]
    fn repeats_are_no_news_and_disorder_is() {
        let mut received = Received::default();
        take(&mut received, "t/u/1/{\"id\":1}/0/10:1", 1, 10);
        take(&mut received, "t/u/1/{\"id\":1}/0/20:1", 1, 20);
        take(&mut received, "t/u/1/{\"id\":1}/0/10:1", 1, 10);
        assert_eq!(received.repeats, 1);
        assert_eq!(received.newest.get(&1), Some(&Newest::State(State { id: 1, sum: 20 })));
        assert!(received.disordered.is_empty());
        // Another generation is another life.
        take(&mut received, "t/u/2/{\"id\":1}/0/10:1", 1, 10);
        assert!(received.disordered.is_empty());
        take(&mut received, "t/u/1/{\"id\":1}/0/15:1", 1, 15);
        assert_eq!(received.disordered.len(), 1);
    }
}
