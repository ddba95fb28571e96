//! CreateTopics and DeleteTopics.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use thm_api::{Cleanup, TopicSpec};

use super::super::errors;
use super::super::exchange::Peer;

/// First version that tells partitions and replicas back.
const DETAILS_SINCE: i16 = 5;

/// Most partitions a client may ask for in one topic: each costs open files.
const MAX_PARTITIONS: i32 = 256;

/// Settings of Kafka's topics that have no meaning here and change no data: accepted, and said in the log.
const WITHOUT_EFFECT: &[&str] = &[
    "compression.type",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];

/// "No limit", which Kafka's settings write as -1; the log's 0 would be its default.
pub(super) const NO_LIMIT: u64 = i64::MAX as u64;

type Refused = (ResponseError, String);

pub(super) async fn create(peer: &Peer, version: i16, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let created = create_one(peer, &topic, request.validate_only).await;
        let partitions = created.as_ref().ok().copied();
        let (code, message) = match created {
            Ok(_) => (errors::NONE, None),
            Err((error, message)) => (error.code(), Some(StrBytes::from_string(message))),
        };
        let result =
            CreatableTopicResult::default().with_name(topic.name).with_error_code(code).with_error_message(message);
        results.push(match partitions {
            Some(partitions) if version >= DETAILS_SINCE => {
                result.with_num_partitions(partitions).with_replication_factor(1)
            }
            _ => result,
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// The number of partitions of the new topic.
async fn create_one(peer: &Peer, asked: &CreatableTopic, validate_only: bool) -> Result<i32, Refused> {
    let refuse = |error, message: &str| Err((error, message.to_owned()));
    if peer.broker.log.topic(&asked.name).is_some() {
        return refuse(ResponseError::TopicAlreadyExists, "a topic of that name exists");
    }
    if asked.replication_factor > 1 {
        return refuse(ResponseError::InvalidReplicationFactor, "there is one broker");
    }
    let assigned = i32::try_from(asked.assignments.len()).unwrap_or(i32::MAX);
    let partitions = match asked.num_partitions {
        -1 => assigned.max(1),
        number => number,
    };
    if !(1..=MAX_PARTITIONS).contains(&partitions) {
        return Err((ResponseError::InvalidPartitions, format!("a topic has 1 to {MAX_PARTITIONS} partitions")));
    }
    let mut spec = TopicSpec { partitions: partitions.unsigned_abs(), ..TopicSpec::new(asked.name.to_string()) };
    asked.configs.iter().try_for_each(|config| set(&mut spec, config))?;
    if !validate_only {
        let created = peer.broker.log.create_topic(&spec).await;
        created.map_err(|error| (errors::of_log(&error), error.to_string()))?;
        tracing::info!(topic = %spec.name, client = %peer.address, "a kafka client created a topic");
    }
    Ok(partitions)
}

fn set(spec: &mut TopicSpec, config: &CreatableTopicConfig) -> Result<(), Refused> {
    let value = config.value.as_deref().unwrap_or_default();
    let invalid = || (ResponseError::InvalidConfig, format!("`{value}` is no valid value for {}", &*config.name));
    let limit = || match value.trim().parse::<i64>() {
        Ok(-1) => Ok(NO_LIMIT),
        Ok(number) => u64::try_from(number).map_err(|_| invalid()),
        Err(_) => Err(invalid()),
    };
    match &*config.name {
        "cleanup.policy" => spec.cleanup = cleanup(value).ok_or_else(invalid)?,
        "retention.ms" => spec.retention_ms = limit()?,
        "retention.bytes" => spec.retention_bytes = limit()?,
        name if WITHOUT_EFFECT.contains(&name) => {
            tracing::warn!(topic = %spec.name, setting = name, "a topic setting has no effect here");
        }
        name => return Err((ResponseError::InvalidConfig, format!("unknown topic setting {name}"))),
    }
    Ok(())
}

fn cleanup(value: &str) -> Option<Cleanup> {
    let mut parts: Vec<_> = value.split(',').map(str::trim).collect();
    parts.sort_unstable();
    match *parts {
        ["delete"] => Some(Cleanup::Delete),
        ["compact"] => Some(Cleanup::Compact),
        ["compact", "delete"] => Some(Cleanup::CompactDelete),
        _ => None,
    }
}

pub(super) async fn delete(peer: &Peer, version: i16, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut results = Vec::with_capacity(request.topic_names.len());
    for name in request.topic_names {
        let deleted = delete_one(peer, &name).await;
        let (code, message) = match deleted {
            Ok(()) => (errors::NONE, None),
            Err((error, message)) => (error.code(), Some(StrBytes::from_string(message))),
        };
        let result = DeletableTopicResult::default().with_name(Some(name)).with_error_code(code);
        results.push(if version >= DETAILS_SINCE { result.with_error_message(message) } else { result });
    }
    DeleteTopicsResponse::default().with_responses(results)
}

async fn delete_one(peer: &Peer, name: &str) -> Result<(), Refused> {
    let refused = |error: thm_api::Error| (errors::of_log(&error), error.to_string());
    peer.broker.log.delete_topic(name).await.map_err(refused)?;
    tracing::info!(topic = name, client = %peer.address, "a kafka client deleted a topic");
    peer.broker.groups.forget_topic(name).await.map_err(refused)
}
