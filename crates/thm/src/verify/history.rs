//! What the topics tell: versions of content rows, and the last state of each event with all that came before it.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use serde_json::Value;
use thm_api::Position;
use thm_dev::mock_api::checksum;

use super::engine::{Engine, LogRecord};
use super::expected::{Content, EnrichedRow};

/// Topic of the look-up table.
const CONTENT_TOPIC: &str = "pg.public.content";
/// Topic of the enriched events.
pub const ENRICHED_TOPIC: &str = "thm.enriched.events";
/// The operation of a row that a snapshot read.
const SNAPSHOT: &str = "r";

/// An event's last record in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Where its change lies.
    pub position: Position,
    /// Fingerprint of its row; none of a tombstone.
    pub row: Option<u64>,
}

/// A state that the topic has of some event: what a target for single events must have received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The event.
    pub id: i64,
    /// [`checksum`] of the value's text.
    pub sum: u64,
}

/// Versions and places, by position.
#[derive(Default)]
pub struct History {
    /// Content id → versions in commit order; `None` is a deleted row.
    content: HashMap<String, BTreeMap<Position, Option<Content>>>,
    /// Event id → its last record.
    events: BTreeMap<i64, Last>,
    /// Every state of our own, and whether only snapshots read it.
    states: HashMap<State, bool>,
    /// Event id → its last state that is not a deletion.
    last_states: HashMap<i64, State>,
    /// Ids of records that somebody produced by hand.
    pub foreign: HashSet<i64>,
}

impl History {
    /// Reads both topics to their ends.
    pub async fn read(engine: &Engine) -> Result<Self> {
        let mut history = Self::default();
        engine.each_record(CONTENT_TOPIC, |record| history.take_content(record)).await?;
        engine.each_record(ENRICHED_TOPIC, |record| history.take_event(record)).await?;
        Ok(history)
    }

    fn take_content(&mut self, record: &LogRecord) {
        let (Some(position), Some(value)) = (record.position, record.value.as_deref()) else { return };
        let Ok(envelope) = serde_json::from_str::<Value>(value) else { return };
        let row = |row: &Value| {
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            let length = row["length_seconds"].as_i64().and_then(|length| i32::try_from(length).ok());
            Some((text("id")?, Content { content_type: text("content_type"), length_seconds: length }))
        };
        let (before, after) = (row(&envelope["before"]), row(&envelope["after"]));
        if let Some((id, _)) = before.filter(|(id, _)| after.as_ref().is_none_or(|(now, _)| now != id)) {
            self.content.entry(id).or_default().insert(position, None);
        }
        if let Some((id, content)) = after {
            self.content.entry(id).or_default().insert(position, Some(content));
        }
    }

    fn take_event(&mut self, record: &LogRecord) {
        let value = record.value.as_deref().and_then(|value| serde_json::from_str::<Value>(value).ok());
        let Some(id) = event_id(record, value.as_ref()) else { return };
        let Some(position) = record.position else {
            self.foreign.insert(id);
            return;
        };
        let row = value.as_ref().and_then(EnrichedRow::of_record).map(|row| row.fingerprint());
        self.events.insert(id, Last { position, row });
        if let Some(text) = &record.value {
            let state = State { id, sum: checksum(text.as_bytes()) };
            let is_snapshot = record.op.as_deref() == Some(SNAPSHOT);
            self.states.entry(state).and_modify(|only| *only &= is_snapshot).or_insert(is_snapshot);
            self.last_states.insert(id, state);
        }
    }

    /// The content as of an event's last change; as of now for an event whose record is gone.
    pub fn content_for(&self, event: i64, content: &str) -> Option<&Content> {
        let end = Position::end_of(thm_api::Lsn(u64::MAX));
        let at = self.events.get(&event).map_or(end, |last| last.position);
        self.content.get(content)?.range(..=at).next_back()?.1.as_ref()
    }

    /// The last version of a content row.
    pub fn latest_content(&self, id: &str) -> Option<&Content> {
        self.content.get(id)?.values().next_back()?.as_ref()
    }

    /// Ids of content rows that are there now.
    pub fn live_content(&self) -> impl Iterator<Item = &str> {
        let live = self.content.iter().filter(|(_, versions)| matches!(versions.values().next_back(), Some(Some(_))));
        live.map(|(id, _)| id.as_str())
    }

    /// Number of versions of all content rows.
    pub fn versions(&self) -> u64 {
        self.content.values().map(|versions| versions.len() as u64).sum()
    }

    /// Whether an event was ever in the enriched topic.
    pub fn knows(&self, event: i64) -> bool {
        self.events.contains_key(&event) || self.foreign.contains(&event)
    }

    /// An event's last record.
    pub fn last(&self, event: i64) -> Option<Last> {
        self.events.get(&event).copied()
    }

    /// Events of a range of ids, both ends included, whose last record is a row.
    pub fn live_between(&self, from: i64, to: i64) -> impl Iterator<Item = i64> {
        self.events.range(from..=to).filter(|(_, last)| last.row.is_some()).map(|(id, _)| *id)
    }

    /// The first event above an id whose last record is a row.
    pub fn next_live(&self, above: i64) -> Option<i64> {
        self.live_between(above.saturating_add(1), i64::MAX).next()
    }

    /// Lowest and highest id of such events.
    pub fn live_range(&self) -> Option<(i64, i64)> {
        let mut live = self.events.iter().filter(|(_, last)| last.row.is_some()).map(|(id, _)| *id);
        let first = live.next()?;
        Some((first, live.next_back().unwrap_or(first)))
    }

    /// Every state that the topic has of our events; with or without those that only a snapshot read.
    pub fn states(&self, snapshots: bool) -> impl Iterator<Item = &State> {
        self.states.iter().filter(move |(_, only_snapshot)| snapshots || !**only_snapshot).map(|(state, _)| state)
    }

    /// An event's last state that is not a deletion; none of a foreign one.
    pub fn last_state(&self, event: i64) -> Option<State> {
        self.last_states.get(&event).copied()
    }
}

/// The event that a record is about.
pub fn event_id(record: &LogRecord, value: Option<&Value>) -> Option<i64> {
    let key: Option<Value> = record.key.as_deref().and_then(|key| serde_json::from_str(key).ok());
    key.as_ref().and_then(|key| key["id"].as_i64()).or_else(|| value?["id"].as_i64())
}
