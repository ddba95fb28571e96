//! DescribeConfigs: the settings of topics, read-only.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use thm_api::{Cleanup, Topic};

use super::super::errors;
use super::super::exchange::Peer;
use super::topics::NO_LIMIT;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// `config_source` of a setting that the topic was created with.
const SOURCE_TOPIC: i8 = 1;
/// `config_source` of a default.
const SOURCE_DEFAULT: i8 = 5;

/// First version that tells a setting's type.
const TYPES_SINCE: i16 = 3;

/// `config_type` of texts, 64-bit numbers and lists.
const TYPE_STRING: i8 = 2;
const TYPE_LONG: i8 = 5;
const TYPE_LIST: i8 = 7;

/// Name, value, source, type.
type Setting = (&'static str, String, i8, i8);

pub(super) fn describe(peer: &Peer, version: i16, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| describe_one(peer, version, resource));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(peer: &Peer, version: i16, resource: DescribeConfigsResource) -> DescribeConfigsResult {
    let settings = settings_of(peer, &resource);
    let code = errors::code(&settings);
    let asked = |name: &str| match &resource.configuration_keys {
        None => true,
        // An empty list means all to some clients, and none makes no sense.
        Some(keys) => keys.is_empty() || keys.iter().any(|key| &**key == name),
    };
    let configs = settings.unwrap_or_default().into_iter().filter(|(name, ..)| asked(name));
    let configs = configs.map(|(name, value, source, kind)| {
        let result = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_read_only(true)
            .with_config_source(source);
        if version >= TYPES_SINCE { result.with_config_type(kind) } else { result }
    });
    let configs = configs.collect();
    DescribeConfigsResult::default()
        .with_error_code(code)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name)
        .with_configs(configs)
}

fn settings_of(peer: &Peer, resource: &DescribeConfigsResource) -> Result<Vec<Setting>, ResponseError> {
    match resource.resource_type {
        TOPIC => {
            let topic = peer.broker.log.topic(&resource.resource_name);
            Ok(of_topic(peer, &topic.ok_or(ResponseError::UnknownTopicOrPartition)?))
        }
        BROKER => {
            let create = peer.broker.auto_create_on_produce.to_string();
            Ok(vec![("auto.create.topics.enable", create, SOURCE_DEFAULT, TYPE_STRING)])
        }
        _ => Err(ResponseError::InvalidRequest),
    }
}

fn of_topic(peer: &Peer, topic: &Topic) -> Vec<Setting> {
    let policy = match topic.spec.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
        Cleanup::CompactDelete => "compact,delete",
    };
    // 0 is the log's own default, which the topic does not know.
    let limit = |name, value: u64| match value {
        0 => None,
        NO_LIMIT.. => Some((name, "-1".to_owned(), SOURCE_TOPIC, TYPE_LONG)),
        value => Some((name, value.to_string(), SOURCE_TOPIC, TYPE_LONG)),
    };
    let fixed = [
        ("cleanup.policy", policy.to_owned(), SOURCE_TOPIC, TYPE_LIST),
        ("compression.type", "uncompressed".to_owned(), SOURCE_DEFAULT, TYPE_STRING),
        ("max.message.bytes", peer.broker.limits.max_batch_bytes.to_string(), SOURCE_DEFAULT, TYPE_LONG),
        ("message.timestamp.type", "CreateTime".to_owned(), SOURCE_DEFAULT, TYPE_STRING),
    ];
    let limits = [limit("retention.ms", topic.spec.retention_ms), limit("retention.bytes", topic.spec.retention_bytes)];
    fixed.into_iter().chain(limits.into_iter().flatten()).collect()
}
