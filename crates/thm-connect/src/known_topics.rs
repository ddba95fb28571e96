//! Which topics a connector was told of, and which creation of them.
//!
//! A source that finds one gone stops by its name: its slot has been acknowledged past what the topic held. A sink
//! that finds one recreated starts it anew: its committed offset belongs to the old one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{ConnectorKind, Error, ErrorKind, Result, StateStore, Topic};
use uuid::Uuid;

use crate::names::topics_key;
use crate::ranges::put;

/// What is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    topics: BTreeMap<String, Uuid>,
    /// The last order to start over that let missing topics go; it is obeyed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    obeyed: Option<String>,
}

/// Topic names with the uuid they had, stored durably.
pub(crate) struct KnownTopics {
    key: String,
    stored: Stored,
}

impl KnownTopics {
    /// What an earlier life left.
    pub(crate) fn load(state: &dyn StateStore, connector: &str, kind: ConnectorKind) -> Result<Self> {
        let key = topics_key(connector, kind);
        let stored = match state.get(&key)? {
            None => Stored::default(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(ErrorKind::LogCorrupt, "reading the topics of a connector", key.as_str()).with_source(error)
            })?,
        };
        Ok(Self { key, stored })
    }

    /// The uuid the topic had.
    pub(crate) fn get(&self, topic: &str) -> Option<Uuid> {
        self.stored.topics.get(topic).copied()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Uuid)> {
        self.stored.topics.iter().map(|(name, uuid)| (name.as_str(), *uuid))
    }

    /// Notes topics, durably if anything changed.
    pub(crate) async fn note(&mut self, state: &Arc<dyn StateStore>, topics: &[(String, Uuid)]) -> Result<()> {
        let mut changed = false;
        for (topic, uuid) in topics {
            changed |= self.stored.topics.insert(topic.clone(), *uuid) != Some(*uuid);
        }
        if changed { self.save(state).await } else { Ok(()) }
    }

    /// Obeys an order to start over, unless it was obeyed before: topics that are gone are forgotten.
    pub(crate) async fn obey(&mut self, state: &Arc<dyn StateStore>, order: &str, there: &[Topic]) -> Result<()> {
        if self.stored.obeyed.as_deref() == Some(order) {
            return Ok(());
        }
        self.stored
            .topics
            .retain(|name, uuid| there.iter().any(|topic| topic.spec.name == *name && topic.uuid == *uuid));
        self.stored.obeyed = Some(order.to_owned());
        self.save(state).await
    }

    async fn save(&self, state: &Arc<dyn StateStore>) -> Result<()> {
        let bytes = serde_json::to_vec(&self.stored).map_err(|error| {
            Error::new(ErrorKind::Internal, "writing the topics of a connector", self.key.as_str()).with_source(error)
        })?;
        put(state, self.key.clone(), bytes).await
    }
}
