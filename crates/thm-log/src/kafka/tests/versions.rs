//! Every version of every request that we offer, from bytes to bytes, with its arrays filled.

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};
use thm_api::TopicSpec;

use super::{Client, Server, batch, text, topic_name};
use crate::kafka::shape;
use crate::kafka::versions::OFFERED;

fn group() -> GroupId {
    GroupId(text("g"))
}

/// Sends a request in every offered version and lets `check` judge each answer.
async fn each<R, C>(server: &Server, make: impl Fn(i16) -> R, mut check: C)
where
    R: Request,
    C: FnMut(i16, R::Response),
{
    let mut client = server.client().await;
    let api = OFFERED.iter().find(|api| api.key as i16 == R::KEY).unwrap();
    for version in api.min..=api.max {
        let request = make(version);
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        assert!(shape::fits(api.key, version, &body), "the shape of {} version {version}", api.name);
        assert!(!shape::fits(api.key, version, &body[..body.len().saturating_sub(1)]) || body.is_empty());
        check(version, client.call(version, &request).await);
    }
}

async fn server() -> Server {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    server
}

#[tokio::test]
async fn no_offered_request_is_left_out_here() {
    let covered = 8 + 6 + 7;
    assert_eq!(OFFERED.len(), covered, "a new line in the table needs its loop here");
}

fn produce_request(_: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch(1000, &["a", "b"])));
    let topic = TopicProduceData::default().with_name(topic_name("t")).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

fn fetch_request(version: i16) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(0).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
    let request =
        FetchRequest::default().with_max_wait_ms(10).with_min_bytes(1).with_max_bytes(1 << 20).with_topics(vec![topic]);
    if version < 7 {
        return request;
    }
    let forgotten = ForgottenTopic::default().with_topic(topic_name("old")).with_partitions(vec![0, 1]);
    request.with_session_epoch(-1).with_forgotten_topics_data(vec![forgotten])
}

#[tokio::test]
async fn data() {
    let server = server().await;
    each(&server, produce_request, |version, answer| {
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, 2 * i64::from(version - 3)));
    })
    .await;
    each(&server, fetch_request, |_, answer| {
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (0, 14));
        assert!(partition.records.as_ref().unwrap().len() > 61);
    })
    .await;
    let list = |timestamp: i64| {
        move |_| {
            let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
            let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
        }
    };
    for (timestamp, offset) in [(-1, 14), (-2, 0), (2000, 1), (2001, -1), (-3, 1)] {
        each(&server, list(timestamp), |_, answer| {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!((partition.error_code, partition.offset), (0, offset), "at {timestamp}");
        })
        .await;
    }
    let init = |_| InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000);
    let mut ids = std::collections::HashSet::new();
    each(&server, init, |_, answer| assert!(answer.error_code == 0 && ids.insert(answer.producer_id.0))).await;
}

#[tokio::test]
async fn cluster() {
    let server = server().await;
    each(
        &server,
        |_| ApiVersionsRequest::default(),
        |_, answer| {
            assert_eq!((answer.error_code, answer.api_keys.len()), (0, OFFERED.len()));
        },
    )
    .await;
    let named = |_| {
        let topics =
            ["t", "new", "no/name"].map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
        MetadataRequest::default().with_topics(Some(topics.to_vec()))
    };
    each(&server, named, |_, answer| {
        assert_eq!((&*answer.brokers[0].host, answer.brokers[0].port), ("advertised.example", 19092));
        let codes: Vec<_> = answer.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 0, ResponseError::InvalidTopicException.code()]);
        assert_eq!(answer.topics[0].partitions[0].leader_id, answer.brokers[0].node_id);
    })
    .await;
    let all = |version| MetadataRequest::default().with_topics((version == 0).then(Vec::new));
    each(&server, all, |_, answer| assert_eq!(answer.topics.len(), 2)).await;
    each(&server, |_| DescribeClusterRequest::default(), |_, answer| assert_eq!(answer.brokers.len(), 1)).await;
    let find = |kind: i8| {
        move |version: i16| match version {
            0 => FindCoordinatorRequest::default().with_key(text("g")),
            1..=3 => FindCoordinatorRequest::default().with_key(text("g")).with_key_type(kind),
            _ => {
                FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text("g"), text("h")])
            }
        }
    };
    each(&server, find(0), |version, answer| {
        let code = if version < 4 { answer.error_code } else { answer.coordinators[1].error_code };
        assert_eq!(code, 0);
    })
    .await;
    each(&server, find(1), |version, answer| {
        let code = if version < 4 { answer.error_code } else { answer.coordinators[1].error_code };
        assert!(version == 0 || code == ResponseError::TransactionalIdAuthorizationFailed.code());
    })
    .await;
}

#[tokio::test]
async fn topics() {
    let server = server().await;
    let create = |version: i16| {
        let config =
            CreatableTopicConfig::default().with_name(text("cleanup.policy")).with_value(Some(text("compact")));
        let topic = CreatableTopic::default()
            .with_name(topic_name(&format!("new-{version}")))
            .with_num_partitions(3)
            .with_replication_factor(1)
            .with_configs(vec![config]);
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)
    };
    each(&server, create, |_, answer| assert_eq!(answer.topics[0].error_code, 0)).await;
    each(&server, create, |_, answer| {
        assert_eq!(answer.topics[0].error_code, ResponseError::TopicAlreadyExists.code());
    })
    .await;
    let describe = |_| {
        let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("new-2"));
        DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)])
    };
    each(&server, describe, |_, answer| {
        let policy = answer.results[0].configs.iter().find(|config| &*config.name == "cleanup.policy").unwrap();
        assert_eq!(policy.value.as_deref(), Some("compact"));
    })
    .await;
    let delete = |version| {
        let names = vec![topic_name(&format!("new-{}", version + 1)), topic_name("none")];
        DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(1000)
    };
    each(&server, delete, |_, answer| {
        let codes: Vec<_> = answer.responses.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownTopicOrPartition.code()]);
    })
    .await;
}

#[tokio::test]
async fn group_offsets() {
    let server = server().await;
    let commit = |version: i16| {
        let partition = |index: i32| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(7)
                .with_committed_metadata(Some(text("note")))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition(0), partition(1)]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        if version <= 4 { request.with_retention_time_ms(-1) } else { request }
    };
    each(&server, commit, |_, answer| {
        let codes: Vec<_> = answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownTopicOrPartition.code()]);
    })
    .await;
    let fetch = |version: i16| {
        let topics = OffsetFetchRequestTopics::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
        let topic = OffsetFetchRequestTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
        match version {
            ..=7 => OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic])),
            _ => OffsetFetchRequest::default().with_groups(vec![
                OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topics])),
                OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None),
            ]),
        }
    };
    each(&server, fetch, |version, answer| {
        let offset = |index: usize| match version {
            ..=7 => answer.topics[0].partitions[0].committed_offset,
            _ => answer.groups[index].topics[0].partitions[0].committed_offset,
        };
        assert_eq!((offset(0), offset(1)), (7, 7));
    })
    .await;
    let delete = |_| {
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
        OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![topic])
    };
    each(&server, delete, |_, answer| assert_eq!((answer.error_code, answer.topics.len()), (0, 1))).await;
    each(&server, |_| ListGroupsRequest::default(), |_, answer| assert_eq!(answer.groups.len(), 1)).await;
    let describe = |_| DescribeGroupsRequest::default().with_groups(vec![group(), GroupId(text("none"))]);
    each(&server, describe, |_, answer| {
        let states: Vec<_> = answer.groups.iter().map(|group| group.group_state.to_string()).collect();
        assert_eq!(states, ["Empty", "Dead"]);
    })
    .await;
    let delete = |_| DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    each(&server, delete, |version, answer| {
        let not_there = ResponseError::GroupIdNotFound.code();
        assert_eq!(answer.results[0].error_code, if version == 0 { 0 } else { not_there });
    })
    .await;
}

/// A member joins in `version`, coming back with the id it is given where it must.
async fn join(client: &mut Client, version: i16) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let request = if version >= 1 { request.with_rebalance_timeout_ms(10_000) } else { request };
    let answer = client.call(version, &request).await;
    if answer.error_code != ResponseError::MemberIdRequired.code() {
        return answer;
    }
    client.call(version, &request.with_member_id(answer.member_id)).await
}

#[tokio::test]
async fn group_members() {
    let server = server().await;
    for version in 0..=7 {
        let mut client = server.client().await;
        let joined = join(&mut client, version).await;
        assert_eq!((joined.error_code, joined.members.len()), (0, 1), "join version {version}");
        let (member, generation) = (joined.member_id, joined.generation_id);
        rest_of_session(&mut client, version.min(5), &member, generation).await;
    }
}

async fn rest_of_session(client: &mut Client, version: i16, member: &StrBytes, generation: i32) {
    let assignment =
        SyncGroupRequestAssignment::default().with_member_id(member.clone()).with_assignment(Bytes::from_static(b"a"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(generation)
        .with_member_id(member.clone())
        .with_assignments(vec![assignment]);
    let synced = client.call(version, &sync).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"a"[..]), "sync version {version}");
    let beat = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(generation)
        .with_member_id(member.clone());
    assert_eq!(client.call(version.min(4), &beat).await.error_code, 0);
    let described = client.call(version, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    assert_eq!(&*described.groups[0].group_state, "Stable");
    assert_eq!(&*described.groups[0].members[0].client_id, "test");
    let leave = LeaveGroupRequest::default().with_group_id(group());
    let leave = match version {
        ..=2 => leave.with_member_id(member.clone()),
        _ => leave.with_members(vec![MemberIdentity::default().with_member_id(member.clone())]),
    };
    assert_eq!(client.call(version, &leave).await.error_code, 0, "leave version {version}");
}

#[tokio::test]
async fn every_version_of_sync_heartbeat_and_leave_is_answered() {
    let server = server().await;
    let unknown = ResponseError::UnknownMemberId.code();
    each(&server, |_| SyncGroupRequest::default(), |_, answer| assert_eq!(answer.error_code, unknown)).await;
    each(&server, |_| HeartbeatRequest::default(), |_, answer| assert_eq!(answer.error_code, unknown)).await;
    each(
        &server,
        |_| LeaveGroupRequest::default(),
        |version, answer| {
            assert_eq!(answer.error_code, if version < 3 { unknown } else { 0 });
        },
    )
    .await;
    each(
        &server,
        |_| JoinGroupRequest::default(),
        |_, answer| {
            assert_eq!(answer.error_code, ResponseError::InvalidGroupId.code());
        },
    )
    .await;
}

#[tokio::test]
async fn a_newer_client_is_told_which_versions_it_may_ask_with() {
    let server = server().await;
    let mut client = server.client().await;
    client.send_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 2]).await;
    let answer = client.receive_frame().await.unwrap();
    assert_eq!(answer[..6], [0, 0, 0, 7, 0, 35]);
    client.correlation_id = 0;
    let asked = client.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(asked.error_code, 0, "the connection goes on");
}
