//! `OffsetStore`: consumer-group offsets, for Kafka clients and connectors alike.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{Offset, Result, TopicPartition};

/// Which life of a group this is. Deleting or resetting a group starts a new one, and a target's fence or
/// offsets from an older life no longer win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// What a group has committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOffsets {
    /// The group's life.
    pub generation: Generation,
    /// Next offset to read, by partition.
    pub offsets: BTreeMap<TopicPartition, Offset>,
}

/// Held by a running connector: while it lives the group counts as non-empty, so nobody can reset it.
#[derive(Debug)]
pub struct GroupLease(
    /// Dropped with the lease; its drop ends the membership.
    pub Box<dyn LeaseGuard>,
);

/// What a lease keeps alive.
pub trait LeaseGuard: std::fmt::Debug + Send + Sync {}

/// Offsets of consumer groups.
///
/// `commit` `Ok`: durable, and seen by every Kafka client that asks. A commit under an older generation than
/// the group's is refused with `ErrorKind::StaleGeneration` and changes nothing.
#[async_trait]
pub trait OffsetStore: Send + Sync + 'static {
    /// Stores next-to-read offsets.
    async fn commit(&self, group: &str, generation: Generation, offsets: &[(TopicPartition, Offset)]) -> Result<()>;
    /// What is stored; an unknown group has generation 0 and no offsets.
    fn committed(&self, group: &str) -> GroupOffsets;
    /// Makes `member` the sole member of the group until the lease is dropped.
    fn lease(&self, group: &str, member: &str) -> Result<GroupLease>;
    /// Forgets or sets the group's offsets and raises its generation; refused while the group has members.
    async fn reset(&self, group: &str, to: &[(TopicPartition, Offset)]) -> Result<Generation>;
}
