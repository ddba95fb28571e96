//! A small Kafka client for the tools (`thm topic`, `thm smoke`): one connection, one request at a time.
//!
//! It speaks to us and to a real Kafka with one broker alike. The engine itself never uses it.

mod groups;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is believed.
const MAX_ANSWER_BYTES: usize = 128 << 20;
/// Bytes asked for by one fetch.
const FETCH_BYTES: i32 = 4 << 20;

const METADATA_VERSION: i16 = 9;
const LIST_OFFSETS_VERSION: i16 = 5;
const PRODUCE_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 11;

pub use groups::GroupMember;

/// One connection.
pub struct KafkaClient {
    stream: TcpStream,
    address: String,
    correlation: i32,
}

/// A topic as metadata tells it.
pub struct TopicMetadata {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
}

fn broker_error(code: i16, what: &str) -> Result<()> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => bail!("{what}: {error}"),
    }
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

impl KafkaClient {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| {
            format!(
                "cannot reach Kafka at {address}; is `thm dev` or `thm run` up? (--bootstrap names another address)"
            )
        })?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address: address.to_owned(), correlation: 0 })
    }

    async fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.call_within(ANSWER_TIMEOUT, version, request).await
    }

    async fn call_within<R: Request>(&mut self, limit: Duration, version: i16, request: &R) -> Result<R::Response> {
        let answer = tokio::time::timeout(limit, self.exchange(version, request)).await;
        answer.map_err(|_| anyhow!("no answer from {} within {limit:?}", self.address))?
    }

    async fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("thm")));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version))?;
        request.encode(&mut body, version)?;
        self.stream.write_u32(body.len() as u32).await?;
        self.stream.write_all(&body).await?;
        let length = self.stream.read_u32().await? as usize;
        if length > MAX_ANSWER_BYTES {
            bail!("{} answers with {length} bytes; is this a Kafka port?", self.address);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
        if header.correlation_id != self.correlation {
            bail!("{} answers another request than the one asked", self.address);
        }
        R::Response::decode(&mut answer, version)
    }

    /// All topics, or the one named; an unknown one is an error.
    pub async fn topics(&mut self, only: Option<&str>) -> Result<Vec<TopicMetadata>> {
        self.metadata(only, false).await
    }

    /// Number of partitions of a topic that is to be written; the broker may create it, if its settings say so.
    pub async fn partitions_to_write(&mut self, topic: &str) -> Result<i32> {
        let topics = self.metadata(Some(topic), true).await?;
        Ok(topics.first().map_or(1, |topic| topic.partitions).max(1))
    }

    async fn metadata(&mut self, only: Option<&str>, create: bool) -> Result<Vec<TopicMetadata>> {
        let wanted = only.map(|topic| vec![MetadataRequestTopic::default().with_name(Some(topic_name(topic)))]);
        let request = MetadataRequest::default().with_topics(wanted).with_allow_auto_topic_creation(create);
        let answer = self.call(METADATA_VERSION, &request).await?;
        let mut topics = Vec::new();
        for topic in answer.topics {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            if topic.error_code == ResponseError::UnknownTopicOrPartition.code() {
                bail!("there is no topic {name}; `thm topic list` shows the topics");
            }
            broker_error(topic.error_code, &format!("topic {name}"))?;
            topics.push(TopicMetadata { name, partitions: topic.partitions.len() as i32 });
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// First and next offset of a partition.
    pub async fn range(&mut self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        Ok((self.offset_at(topic, partition, -2).await?, self.offset_at(topic, partition, -1).await?))
    }

    /// The first offset at or after a time in ms; -1 is the end, -2 the beginning.
    pub async fn offset_at(&mut self, topic: &str, partition: i32, timestamp: i64) -> Result<i64> {
        let wanted = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        let topics = vec![ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![wanted])];
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(topics);
        let answer = self.call(LIST_OFFSETS_VERSION, &request).await?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.ok_or_else(|| anyhow!("no offset in the answer for {topic}-{partition}"))?;
        broker_error(found.error_code, &format!("offsets of {topic}-{partition}"))?;
        Ok(found.offset)
    }

    /// Produces one batch and waits until it is durable; returns its first offset.
    pub async fn produce(&mut self, topic: &str, partition: i32, batch: Bytes) -> Result<i64> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topics = vec![TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data])];
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(topics);
        let answer = self.call(PRODUCE_VERSION, &request).await?;
        let found = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let found = found.ok_or_else(|| anyhow!("no answer for {topic}-{partition}"))?;
        broker_error(found.error_code, &format!("producing to {topic}-{partition}"))?;
        Ok(found.base_offset)
    }

    /// Batches from the one that holds `offset` on, one after the other, waiting up to `wait` for some.
    pub async fn fetch(&mut self, topic: &str, partition: i32, offset: i64, wait: Duration) -> Result<Bytes> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_log_start_offset(-1)
            .with_current_leader_epoch(-1)
            .with_partition_max_bytes(FETCH_BYTES);
        let topics = vec![FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![wanted])];
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_session_epoch(-1)
            .with_topics(topics);
        let answer = self.call(FETCH_VERSION, &request).await?;
        broker_error(answer.error_code, "fetch")?;
        let found = answer.responses.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let found = found.ok_or_else(|| anyhow!("no answer for {topic}-{partition}"))?;
        broker_error(found.error_code, &format!("reading {topic}-{partition} at {offset}"))?;
        Ok(found.records.unwrap_or_default())
    }
}

/// A record with its offset.
pub struct ConsumedRecord {
    /// Its offset.
    pub offset: i64,
    /// The record.
    pub record: thm_codec::record_batch::Record,
}

/// Records of `batches` from `offset` on; compressed batches are opened.
pub fn records_from(mut batches: Bytes, offset: i64) -> Result<Vec<ConsumedRecord>> {
    use thm_codec::record_batch::{BatchHeader, decompress, records};
    let mut found = Vec::new();
    // A fetch may end in the middle of a batch.
    while let Ok(header) = BatchHeader::parse(&batches) {
        let plain = decompress(&batches, MAX_ANSWER_BYTES)?;
        for record in records(&plain)? {
            let record = record?;
            let at = header.base_offset + i64::from(record.offset_delta);
            if at >= offset && !header.is_control() {
                found.push(ConsumedRecord { offset: at, record });
            }
        }
        batches.advance(header.total_bytes());
    }
    Ok(found)
}
