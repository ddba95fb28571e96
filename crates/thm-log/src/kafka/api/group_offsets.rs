//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use thm_api::{Offset, TopicPartition};

use super::super::errors;
use super::super::exchange::Peer;
use crate::group::{Committed, CommittedAt, DEFAULT_MAX_METADATA_BYTES, StoredGroup};

/// First version that asks for several groups.
const MANY_GROUPS_SINCE: i16 = 8;

/// What a client is told where nothing was committed.
const NO_OFFSET: i64 = -1;

pub(super) async fn commit(peer: &Peer, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut wanted = Vec::new();
    let mut codes = Vec::new();
    for topic in &request.topics {
        for (committed, code) in commit_of(peer, topic) {
            wanted.extend(committed);
            codes.push(code);
        }
    }
    let generation = request.generation_id_or_member_epoch;
    let done = peer.broker.groups.commit_as_client(&request.group_id, &request.member_id, generation, wanted).await;
    let code = errors::code(&done);
    let mut codes = codes.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let own = codes.next().unwrap_or(errors::NONE);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(if own == errors::NONE { code } else { own })
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Per partition what to commit, or the code why not.
fn commit_of(peer: &Peer, topic: &OffsetCommitRequestTopic) -> Vec<(Option<CommittedAt>, i16)> {
    let name: Arc<str> = Arc::from(&**topic.name);
    let known = peer.broker.log.topic(&name).map_or(0, |topic| topic.spec.partitions);
    let judge = topic.partitions.iter().map(|asked| {
        let partition = u32::try_from(asked.partition_index).ok().filter(|partition| *partition < known);
        let Some(partition) = partition else {
            return (None, ResponseError::UnknownTopicOrPartition.code());
        };
        let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
        if metadata.len() > DEFAULT_MAX_METADATA_BYTES {
            return (None, ResponseError::OffsetMetadataTooLarge.code());
        }
        let committed = Committed { offset: Offset(asked.committed_offset), metadata: metadata.to_owned() };
        (Some((TopicPartition::new(Arc::clone(&name), partition), committed)), errors::NONE)
    });
    judge.collect()
}

/// Offset and note of one partition.
type Found = (i32, i64, StrBytes);

/// What a group has committed: of the partitions asked for, or of all.
fn committed(peer: &Peer, group: &str, asked: Option<Vec<(TopicName, Vec<i32>)>>) -> Vec<(TopicName, Vec<Found>)> {
    let stored = peer.broker.groups.stored(group).unwrap_or_default();
    let Some(asked) = asked else { return everything(&stored) };
    let look_up = |topic: &TopicName, index: i32| {
        let at = TopicPartition::new(&***topic, u32::try_from(index).unwrap_or(u32::MAX));
        found(index, stored.offsets.get(&at))
    };
    let topics = asked.into_iter().map(|(topic, partitions)| {
        let found = partitions.into_iter().map(|index| look_up(&topic, index)).collect();
        (topic, found)
    });
    topics.collect()
}

fn everything(stored: &StoredGroup) -> Vec<(TopicName, Vec<Found>)> {
    let mut topics: BTreeMap<&Arc<str>, Vec<Found>> = BTreeMap::new();
    for (at, committed) in &stored.offsets {
        let index = i32::try_from(at.partition).unwrap_or(i32::MAX);
        topics.entry(&at.topic).or_default().push(found(index, Some(committed)));
    }
    let name = |topic: &Arc<str>| TopicName(StrBytes::from_string(topic.to_string()));
    topics.into_iter().map(|(topic, found)| (name(topic), found)).collect()
}

fn found(index: i32, committed: Option<&Committed>) -> Found {
    committed.map_or((index, NO_OFFSET, StrBytes::new()), |committed| {
        (index, committed.offset.0, StrBytes::from_string(committed.metadata.clone()))
    })
}

pub(super) fn fetch(peer: &Peer, version: i16, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if version >= MANY_GROUPS_SINCE {
        let groups = request.groups.into_iter().map(|group| {
            let asked = group
                .topics
                .map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
            fetched_group(peer, group.group_id, asked)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked =
        request.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
    let topics = committed(peer, &request.group_id, asked).into_iter().map(|(name, found)| {
        let partitions = found.into_iter().map(|(index, offset, metadata)| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_metadata(Some(metadata))
        });
        OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn fetched_group(peer: &Peer, group: GroupId, asked: Option<Vec<(TopicName, Vec<i32>)>>) -> OffsetFetchResponseGroup {
    let topics = committed(peer, &group, asked).into_iter().map(|(name, found)| {
        let partitions = found.into_iter().map(|(index, offset, metadata)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_metadata(Some(metadata))
        });
        OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    OffsetFetchResponseGroup::default().with_group_id(group).with_topics(topics)
}

pub(super) async fn delete(peer: &Peer, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let name: Arc<str> = Arc::from(&**topic.name);
        let indexes = topic.partitions.iter().filter_map(|one| u32::try_from(one.partition_index).ok());
        partitions.extend(indexes.map(|index| TopicPartition::new(Arc::clone(&name), index)));
    }
    let deleted = peer.broker.groups.delete_offsets(&request.group_id, partitions).await;
    if let Err(error) = deleted {
        return OffsetDeleteResponse::default().with_error_code(error.code());
    }
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions
            .map(|one| OffsetDeleteResponsePartition::default().with_partition_index(one.partition_index))
            .collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
