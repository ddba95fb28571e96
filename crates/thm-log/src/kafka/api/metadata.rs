//! Metadata: topics, partitions, and where the broker is.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use thm_api::{Topic, TopicSpec};

use super::super::errors;
use super::super::exchange::Peer;
use super::cluster::{CLUSTER_ID, address};
use super::{BROKER_ID, NO_LEADER_EPOCH};

pub(super) async fn answer(peer: &Peer, version: i16, request: MetadataRequest) -> MetadataResponse {
    // Version 0 says "all" with an empty list, later ones with null.
    let named = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let topics = match named {
        None => peer.broker.log.topics().iter().map(known_topic).collect(),
        Some(topics) => {
            let create = peer.broker.auto_create_on_produce && (version < 4 || request.allow_auto_topic_creation);
            let mut described = Vec::with_capacity(topics.len());
            for name in topics.into_iter().filter_map(|topic| topic.name) {
                described.push(describe(peer, name, create).await);
            }
            described
        }
    };
    let (host, port) = address(peer);
    let broker = MetadataResponseBroker::default().with_node_id(BrokerId(BROKER_ID)).with_host(host).with_port(port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER_ID)))
        .with_controller_id(BrokerId(BROKER_ID))
        .with_topics(topics)
}

async fn describe(peer: &Peer, name: TopicName, create: bool) -> MetadataResponseTopic {
    if let Some(topic) = peer.broker.log.topic(&name) {
        return known_topic(&topic);
    }
    if !create {
        return refused(name, ResponseError::UnknownTopicOrPartition);
    }
    match peer.broker.log.create_topic(&TopicSpec::new(name.to_string())).await {
        Ok(topic) => {
            tracing::info!(topic = %topic.spec.name, client = %peer.address, "created the topic a client asked for");
            known_topic(&topic)
        }
        Err(error) => refused(name, errors::of_log(&error)),
    }
}

fn refused(name: TopicName, error: ResponseError) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(Some(name)).with_error_code(error.code())
}

fn known_topic(topic: &Topic) -> MetadataResponseTopic {
    let here = || vec![BrokerId(BROKER_ID)];
    let partition = |index: u32| {
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(BrokerId(BROKER_ID))
            .with_leader_epoch(NO_LEADER_EPOCH)
            .with_replica_nodes(here())
            .with_isr_nodes(here())
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.spec.name.clone()))))
        .with_partitions((0..topic.spec.partitions).map(partition).collect())
}
