//! What the topics tell: versions of content rows, and the place of each event's last change.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use serde_json::Value;
use thm_api::Position;

use super::engine::Engine;
use super::expected::Content;

/// Topic of the look-up table.
const CONTENT_TOPIC: &str = "pg.public.content";
/// Topic of the enriched events.
pub const ENRICHED_TOPIC: &str = "thm.enriched.events";

/// Versions and places, by position.
#[derive(Default)]
pub struct History {
    /// Content id → versions in commit order; `None` is a deleted row.
    content: HashMap<String, BTreeMap<Position, Option<Content>>>,
    /// Event id → position of its last change.
    events: HashMap<i64, Position>,
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

    fn take_content(&mut self, record: &super::engine::LogRecord) {
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

    fn take_event(&mut self, record: &super::engine::LogRecord) {
        let key: Option<Value> = record.key.as_deref().and_then(|key| serde_json::from_str(key).ok());
        let value = || record.value.as_deref().and_then(|value| serde_json::from_str::<Value>(value).ok());
        let id = key.as_ref().and_then(|key| key["id"].as_i64()).or_else(|| value()?["id"].as_i64());
        match (id, record.position) {
            (Some(id), Some(position)) => {
                self.events.insert(id, position);
            }
            (Some(id), None) => {
                self.foreign.insert(id);
            }
            (None, _) => {}
        }
    }

    /// The content as of an event's last change; as of now for an event whose record is gone.
    pub fn content_for(&self, event: i64, content: &str) -> Option<&Content> {
        let at = self.events.get(&event).copied().unwrap_or(Position::end_of(thm_api::Lsn(u64::MAX)));
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
}
