//! Which topics a connector was told of, and which creation of them.
//!
//! A source that finds one gone stops by its name: its slot has been acknowledged past what the topic held. A sink
//! that finds one recreated starts it anew: its committed offset belongs to the old one.

use std::collections::BTreeMap;
use std::sync::Arc;

use thm_api::{Error, ErrorKind, Result, StateStore};
use uuid::Uuid;

use crate::names::topics_key;
use crate::ranges::put;

/// Topic names with the uuid they had, stored durably.
pub(crate) struct KnownTopics {
    key: String,
    topics: BTreeMap<String, Uuid>,
}

impl KnownTopics {
    /// What an earlier life left.
    pub(crate) fn load(state: &dyn StateStore, connector: &str) -> Result<Self> {
        let key = topics_key(connector);
        let topics = match state.get(&key)? {
            None => BTreeMap::new(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(ErrorKind::LogCorrupt, "reading the topics of a connector", key.as_str()).with_source(error)
            })?,
        };
        Ok(Self { key, topics })
    }

    /// The uuid the topic had.
    pub(crate) fn get(&self, topic: &str) -> Option<Uuid> {
        self.topics.get(topic).copied()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Uuid)> {
        self.topics.iter().map(|(name, uuid)| (name.as_str(), *uuid))
    }

    /// Notes topics, durably if anything changed.
    pub(crate) async fn note(&mut self, state: &Arc<dyn StateStore>, topics: &[(String, Uuid)]) -> Result<()> {
        let mut changed = false;
        for (topic, uuid) in topics {
            changed |= self.topics.insert(topic.clone(), *uuid) != Some(*uuid);
        }
        if !changed {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.topics).map_err(|error| {
            Error::new(ErrorKind::Internal, "writing the topics of a connector", self.key.as_str()).with_source(error)
        })?;
        put(state, self.key.clone(), bytes).await
    }
}
