//! What is stored, what is refused, and what comes twice.

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest, TransactionalId};
use std::time::Duration;
use thm_api::{Cleanup, Offset, ReadLimits, TopicPartition, TopicSpec};
use thm_codec::record_batch::{BatchWriter, Compression, HeaderBlock, compress, records};

use super::{Client, Server, batch, text, topic_name};
use crate::kafka::Limits;

fn request(topic: &str, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
}

async fn produce(client: &mut Client, topic: &str, records: Bytes) -> PartitionProduceResponse {
    client.call(9, &request(topic, records)).await.responses.remove(0).partition_responses.remove(0)
}

async fn values(server: &Server, topic: &str) -> Vec<String> {
    let limits = ReadLimits { max_bytes: usize::MAX, max_wait: Duration::ZERO };
    let read = server.broker.log.read(&TopicPartition::new(topic, 0), Offset(0), limits).await.unwrap();
    let mut values = Vec::new();
    for batch in read.batches {
        for record in records(&batch.batch.bytes).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

/// Sets fields of a batch's header and makes its checksum right again.
fn edit(batch: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

fn numbered(batch: &Bytes, producer: i64, epoch: i16, sequence: i32) -> Bytes {
    edit(batch, |bytes| {
        bytes[43..51].copy_from_slice(&producer.to_be_bytes());
        bytes[51..53].copy_from_slice(&epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
    })
}

#[tokio::test]
async fn every_compression_is_stored_unpacked() {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    let mut client = server.client().await;
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let value = format!("{compression:?}");
        let packed = compress(&batch(0, &[&value]), compression).unwrap();
        assert_eq!(produce(&mut client, "t", packed).await.error_code, 0, "{value}");
    }
    assert_eq!(values(&server, "t").await, ["None", "Gzip", "Snappy", "Lz4", "Zstd"]);
}

#[tokio::test]
async fn bad_batches_are_refused_and_nothing_of_them_is_stored() {
    let limits = Limits { max_batch_bytes: 2000, ..Limits::default() };
    let server = Server::with(limits, false).await;
    server.topic(TopicSpec::new("t")).await;
    server.topic(TopicSpec { cleanup: Cleanup::Compact, ..TopicSpec::new("compacted") }).await;
    let good = batch(0, &["a", "b"]);
    let mut flipped = BytesMut::from(&good[..]);
    flipped[70] ^= 1;
    let mut keyless = BatchWriter::new();
    keyless.push(0, Some(b"k"), Some(b"v"), &HeaderBlock::default());
    keyless.push(0, None, Some(b"v"), &HeaderBlock::default());
    let large = batch(0, &[&"x".repeat(10_000)]);
    let invalid = ResponseError::InvalidRecord;
    let cases = [
        ("t", flipped.freeze(), ResponseError::CorruptMessage),
        ("t", good.slice(..good.len() - 1), ResponseError::CorruptMessage),
        ("t", Bytes::new(), ResponseError::CorruptMessage),
        ("t", [&good[..], &good[..]].concat().into(), invalid),
        ("t", edit(&good, |bytes| bytes[16] = 1), invalid),
        ("t", edit(&good, |bytes| bytes[22] = 0x20), invalid),
        ("t", edit(&good, |bytes| bytes[22] = 0x10), ResponseError::TransactionalIdAuthorizationFailed),
        ("t", edit(&good, |bytes| bytes[60] = 1), invalid),
        ("t", edit(&good, |bytes| bytes[26] = 5), invalid),
        ("t", large.clone(), ResponseError::MessageTooLarge),
        ("t", compress(&large, Compression::Zstd).unwrap(), ResponseError::MessageTooLarge),
        ("compacted", keyless.finish(), invalid),
        ("none", good.clone(), ResponseError::UnknownTopicOrPartition),
    ];
    let mut client = server.client().await;
    for (index, (topic, records, error)) in cases.into_iter().enumerate() {
        let answer = produce(&mut client, topic, records).await;
        assert_eq!((answer.error_code, answer.base_offset), (error.code(), -1), "case {index}");
        assert!(answer.error_message.is_some());
    }
    assert!(values(&server, "t").await.is_empty());
    let mut keyless = BatchWriter::new();
    keyless.push(0, None, Some(b"v"), &HeaderBlock::default());
    let answer = produce(&mut client, "compacted", keyless.finish()).await;
    assert_eq!(answer.record_errors[0].batch_index, 0);
}

#[tokio::test]
async fn transactions_and_unknown_acks_are_refused() {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    let mut client = server.client().await;
    let good = batch(0, &["a"]);
    let transactional = request("t", good.clone()).with_transactional_id(Some(TransactionalId(text("x"))));
    let answer = client.call(9, &transactional).await;
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ResponseError::TransactionalIdAuthorizationFailed.code());
    let answer = client.call(9, &request("t", good).with_acks(2)).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ResponseError::InvalidRequiredAcks.code());
}

#[tokio::test]
async fn acks_0_is_stored_and_not_answered() {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    let mut client = server.client().await;
    client.send(9, &request("t", batch(0, &["silent"])).with_acks(0)).await;
    let next = client.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(next.error_code, 0, "the next answer is the next request's");
    assert_eq!(values(&server, "t").await, ["silent"]);
}

/// Seen to fail with the look at `recent` left out of `Sequence::check`.
#[tokio::test]
async fn a_batch_that_comes_again_is_answered_and_not_stored_again() {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    let mut client = server.client().await;
    let first = numbered(&batch(0, &["a", "b"]), 5, 0, 0);
    let second = numbered(&batch(0, &["c"]), 5, 0, 2);
    assert_eq!(produce(&mut client, "t", first.clone()).await.base_offset, 0);
    assert_eq!(produce(&mut client, "t", second.clone()).await.base_offset, 2);
    let mut other = server.client().await;
    for (records, offset) in [(first, 0), (second, 2)] {
        let again = produce(&mut other, "t", records).await;
        assert_eq!((again.error_code, again.base_offset), (0, offset));
    }
    let gap = produce(&mut client, "t", numbered(&batch(0, &["e"]), 5, 0, 4)).await;
    assert_eq!(gap.error_code, ResponseError::OutOfOrderSequenceNumber.code());
    let next_epoch = produce(&mut client, "t", numbered(&batch(0, &["d"]), 5, 1, 0)).await;
    assert_eq!((next_epoch.error_code, next_epoch.base_offset), (0, 3));
    let old_epoch = produce(&mut client, "t", numbered(&batch(0, &["x"]), 5, 0, 3)).await;
    assert_eq!(old_epoch.error_code, ResponseError::InvalidProducerEpoch.code());
    for sequence in 1..8 {
        let answer = produce(&mut client, "t", numbered(&batch(0, &["n"]), 5, 1, sequence)).await;
        assert_eq!(answer.error_code, 0);
    }
    let forgotten = produce(&mut client, "t", numbered(&batch(0, &["d"]), 5, 1, 0)).await;
    assert_eq!(forgotten.error_code, ResponseError::DuplicateSequenceNumber.code());
    assert_eq!(values(&server, "t").await.len(), 11);
}

#[tokio::test]
async fn requests_that_follow_each_other_are_answered_in_order() {
    let server = Server::start().await;
    server.topic(TopicSpec::new("t")).await;
    let mut client = server.client().await;
    for value in 0..100 {
        client.send(9, &request("t", batch(0, &[&value.to_string()]))).await;
    }
    let last = client.correlation_id;
    for offset in 0..100 {
        client.correlation_id = last - 99 + i32::try_from(offset).unwrap();
        let answer = client.receive::<ProduceRequest>(9).await;
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, offset);
    }
}
