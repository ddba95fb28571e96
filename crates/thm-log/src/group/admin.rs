//! What admin tools ask of groups: list, describe, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use thm_api::TopicPartition;

use super::GroupCoordinator;
use super::live::LiveGroup;
use super::messages::GroupState;
use super::offsets::client_error;
use super::state::{Change, StoredGroup};

/// Protocol type and strategy that a connector's group shows: Kafka Connect's sinks are consumers too.
const LEASE_PROTOCOL: (&str, &str) = ("consumer", "range");

/// A line of a list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Group name.
    pub group: Arc<str>,
    /// `consumer`, or empty where nobody has joined.
    pub protocol_type: String,
    /// State.
    pub state: GroupState,
}

/// One member, as tools show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// Id the coordinator gave it.
    pub member_id: String,
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its metadata in the group's strategy.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// A group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// State; `Dead` for a group that does not exist.
    pub state: GroupState,
    /// `consumer`, or empty.
    pub protocol_type: String,
    /// Assignment strategy.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

impl GroupCoordinator {
    /// All groups that have members or offsets, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<GroupListing> {
        let mut found: BTreeMap<Arc<str>, GroupListing> = BTreeMap::new();
        for (name, stored) in self.published.read().iter().filter(|(_, stored)| stored.exists) {
            found.insert(Arc::clone(name), listing(name, &describe(None, Some(stored))));
        }
        for (name, live) in self.live.lock().iter().filter(|(_, live)| !live.is_empty()) {
            found.insert(Arc::clone(name), listing(name, &describe(Some(live), None)));
        }
        found.into_values().collect()
    }

    /// One group; an unknown one is `Dead`.
    #[must_use]
    pub fn describe(&self, group: &str) -> GroupDescription {
        let stored = self.stored(group);
        describe(self.live.lock().get(group), stored.as_deref())
    }

    /// Deletes an empty group. `Ok` means durable; a connector's group starts a new life.
    pub async fn delete(&self, group: &str) -> Result<(), ResponseError> {
        let exclusive = self.live.exclude(group).ok_or(ResponseError::NonEmptyGroup)?;
        if self.stored(group).is_none() {
            return Err(ResponseError::GroupIdNotFound);
        }
        let change = Change::Delete { group: Arc::from(group) };
        self.writer.change(change, Some(exclusive)).await.map(|_| ()).map_err(|error| client_error(&error))
    }

    /// Deletes some offsets of an empty group. `Ok` means durable.
    pub async fn delete_offsets(&self, group: &str, partitions: Vec<TopicPartition>) -> Result<(), ResponseError> {
        let exclusive = self.live.exclude(group).ok_or(ResponseError::NonEmptyGroup)?;
        if self.stored(group).is_none() {
            return Err(ResponseError::GroupIdNotFound);
        }
        let change = Change::DeleteOffsets { group: Arc::from(group), partitions };
        self.writer.change(change, Some(exclusive)).await.map(|_| ()).map_err(|error| client_error(&error))
    }

    /// Forgets the offsets that all groups have in a topic, after it was deleted.
    pub async fn forget_topic(&self, topic: &str) -> thm_api::Result<()> {
        self.writer.change(Change::ForgetTopic { topic: Arc::from(topic) }, None).await.map(|_| ())
    }
}

fn listing(name: &Arc<str>, described: &GroupDescription) -> GroupListing {
    let protocol_type = described.protocol_type.clone();
    GroupListing { group: Arc::clone(name), protocol_type, state: described.state }
}

fn describe(live: Option<&LiveGroup>, stored: Option<&StoredGroup>) -> GroupDescription {
    let leased = live.and_then(|live| live.lease.as_ref());
    if let Some(member) = leased {
        return describe_lease(member, stored);
    }
    let membership = live.map(|live| &live.membership).filter(|membership| !membership.is_empty());
    let Some(membership) = membership else {
        let state = if stored.is_some() { GroupState::Empty } else { GroupState::Dead };
        return GroupDescription { state, ..GroupDescription::default() };
    };
    let members = membership.members.iter().map(|member| MemberDescription {
        member_id: member.id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: member.metadata(&membership.protocol),
        assignment: member.assignment.clone(),
    });
    GroupDescription {
        state: membership.state,
        protocol_type: membership.protocol_type.clone(),
        protocol: membership.protocol.clone(),
        members: members.collect(),
    }
}

/// A connector as tools know consumers: one member that is assigned what it has committed.
fn describe_lease(member: &Arc<str>, stored: Option<&StoredGroup>) -> GroupDescription {
    let member = MemberDescription {
        member_id: member.to_string(),
        client_id: member.to_string(),
        client_host: "/127.0.0.1".to_owned(),
        metadata: Bytes::new(),
        assignment: stored.map(assignment_of).unwrap_or_default(),
    };
    GroupDescription {
        state: GroupState::Stable,
        protocol_type: LEASE_PROTOCOL.0.to_owned(),
        protocol: LEASE_PROTOCOL.1.to_owned(),
        members: vec![member],
    }
}

/// A `ConsumerProtocolAssignment` version 0 of all partitions that have an offset.
fn assignment_of(stored: &StoredGroup) -> Bytes {
    let mut by_topic: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for at in stored.offsets.keys() {
        by_topic.entry(&at.topic).or_default().push(at.partition);
    }
    let mut bytes = BytesMut::new();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    bytes.put_i16(0);
    bytes.put_u32(count(by_topic.len()));
    for (topic, partitions) in by_topic {
        bytes.put_u16(u16::try_from(topic.len()).unwrap_or(u16::MAX));
        bytes.put_slice(topic.as_bytes());
        bytes.put_u32(count(partitions.len()));
        partitions.into_iter().for_each(|partition| bytes.put_u32(partition));
    }
    bytes.put_i32(-1);
    bytes.freeze()
}
