//! The fence: how far the board is, stored in Redis beside it and changed with it in one script.
//!
//! Invariant: the board holds exactly the events of the records below `offsets` whose second is after
//! `expired_through`. Whoever writes names the fence it knows; if it is another, nothing changes.

use std::collections::BTreeMap;

use thm_api::{Generation, Offset, SinkPartition};
use uuid::Uuid;

/// What stands in the hash `{key}:fence`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// Life of the consumer group it was written under.
    pub generation: Generation,
    /// Fingerprint of the options it was built under.
    pub config: String,
    /// Last second (since 1970) that is out of the window.
    pub expired_through: i64,
    /// Last second that an event counts in.
    pub newest: i64,
    /// Events of the window.
    pub events: u64,
    /// Members of the board.
    pub members: u64,
    /// Next offset by topic uuid and partition.
    pub offsets: BTreeMap<(Uuid, u32), Offset>,
}

/// What a fence means to a task that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Ours: go on where it is.
    Ours,
    /// None, or one of an older generation, other options or other topics: start an empty board.
    Foreign,
    /// Of a newer generation of our topics: we are the ones who must stop.
    Newer,
}

/// Name of a partition's field.
#[must_use]
pub fn offset_field(topic: Uuid, partition: u32) -> String {
    format!("offset:{topic}/{partition}")
}

impl Fence {
    /// From the hash's fields; `None` if it is not there or not whole.
    #[must_use]
    pub fn parse(fields: &BTreeMap<String, String>) -> Option<Self> {
        let number = |name: &str| fields.get(name)?.parse::<i64>().ok();
        let offsets = fields.iter().filter_map(|(name, value)| {
            let (topic, partition) = name.strip_prefix("offset:")?.split_once('/')?;
            Some(((topic.parse().ok()?, partition.parse().ok()?), Offset(value.parse().ok()?)))
        });
        Some(Self {
            generation: Generation(fields.get("generation")?.parse().ok()?),
            config: fields.get("config")?.clone(),
            expired_through: number("expired_through")?,
            newest: number("newest")?,
            events: fields.get("events")?.parse().ok()?,
            members: fields.get("members")?.parse().ok()?,
            offsets: offsets.collect(),
        })
    }

    /// Next offset of a partition, if this fence knows it.
    #[must_use]
    pub fn offset(&self, partition: &SinkPartition) -> Option<Offset> {
        self.offsets.get(&(partition.topic_uuid, partition.partition.partition)).copied()
    }

    /// What it means to a task of this generation, with these options and partitions.
    #[must_use]
    pub fn standing(&self, generation: Generation, config: &str, partitions: &[SinkPartition]) -> Standing {
        let same_topics =
            partitions.iter().any(|partition| self.offsets.keys().any(|(uuid, _)| *uuid == partition.topic_uuid));
        if self.generation > generation && same_topics {
            return Standing::Newer;
        }
        // A fence without offsets is a board that was started and not yet written.
        if self.generation == generation && self.config == config && (same_topics || self.offsets.is_empty()) {
            Standing::Ours
        } else {
            Standing::Foreign
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::TopicPartition;

    use super::*;

    #[test]
    fn who_may_go_on() {
        let uuid = Uuid::from_u128(7);
        let ours = [SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: uuid }];
        let other = [SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: Uuid::from_u128(8) }];
        let fields = [
            ("generation", "3".to_owned()),
            ("config", "c".to_owned()),
            ("expired_through", "10".to_owned()),
            ("newest", "12".to_owned()),
            ("events", "0".to_owned()),
            ("members", "0".to_owned()),
            (&offset_field(uuid, 0), "42".to_owned()),
        ];
        let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let fence = Fence::parse(&fields).unwrap();
        assert_eq!(fence.offset(&ours[0]), Some(Offset(42)));
        assert_eq!(fence.standing(Generation(3), "c", &ours), Standing::Ours);
        assert_eq!(fence.standing(Generation(4), "c", &ours), Standing::Foreign);
        assert_eq!(fence.standing(Generation(2), "c", &ours), Standing::Newer);
        assert_eq!(fence.standing(Generation(2), "c", &other), Standing::Foreign);
        assert_eq!(fence.standing(Generation(3), "d", &ours), Standing::Foreign);
        assert_eq!(fence.standing(Generation(3), "c", &other), Standing::Foreign);
        assert_eq!(Fence::parse(&BTreeMap::new()), None);
    }
}
