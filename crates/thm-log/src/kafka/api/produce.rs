//! Produce and InitProducerId: batches are checked, unpacked, appended, and answered when durable.
//!
//! Whatever a producer says in `acks`, "yes" means durable: there is one copy, and it must be safe. With
//! `acks=0` nothing is answered. A batch is stored whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};
use kafka_protocol::protocol::StrBytes;
use thm_api::{Append, Cleanup, LogBatch, Offset, Topic, TopicPartition};
use thm_codec::record_batch::{BatchHeader, CodecError, check_crc, decompress, records};

use super::super::errors;
use super::super::exchange::Peer;
use super::super::producers::{Check, Outcome, outcome};

/// Producer id of a batch without one.
const NO_PRODUCER_ID: i64 = -1;

/// Why a batch is not stored.
struct Refused {
    error: ResponseError,
    message: String,
    /// Index of the record at fault, if it is one.
    record: Option<u32>,
}

impl Refused {
    fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into(), record: None }
    }
}

impl From<CodecError> for Refused {
    fn from(error: CodecError) -> Self {
        Self::new(errors::of_codec(&error), error.to_string())
    }
}

impl From<ResponseError> for Refused {
    fn from(error: ResponseError) -> Self {
        Self::new(error, error.to_string())
    }
}

type Appended = Result<(Offset, Outcome), Refused>;

/// Appends what the request brings, in its order; the answer comes when that is durable.
pub(super) async fn begin(peer: &Arc<Peer>, request: ProduceRequest) -> BoxFuture<'static, ProduceResponse> {
    let refused = refuse_all(&request);
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let known = peer.broker.log.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let appended = match (refused, &known) {
                (Some((error, message)), _) => Err(Refused::new(error, message)),
                (None, None) => Err(ResponseError::UnknownTopicOrPartition.into()),
                (None, Some(topic)) => append(peer, topic, data.index, data.records).await,
            };
            partitions.push((data.index, appended));
        }
        topics.push((topic.name, known, partitions));
    }
    async move {
        let mut responses = Vec::with_capacity(topics.len());
        for (name, known, partitions) in topics {
            let mut answered = Vec::with_capacity(partitions.len());
            for (index, appended) in partitions {
                answered.push(answer(index, known.as_ref(), appended).await);
            }
            responses.push(TopicProduceResponse::default().with_name(name).with_partition_responses(answered));
        }
        ProduceResponse::default().with_responses(responses)
    }
    .boxed()
}

fn refuse_all(request: &ProduceRequest) -> Option<(ResponseError, &'static str)> {
    if request.transactional_id.is_some() {
        let error = ResponseError::TransactionalIdAuthorizationFailed;
        return Some((error, "transactions are not supported"));
    }
    let allowed = (-1..=1).contains(&request.acks);
    (!allowed).then_some((ResponseError::InvalidRequiredAcks, "acks must be -1, 0 or 1"))
}

async fn append(peer: &Peer, topic: &Topic, index: i32, records: Option<Bytes>) -> Appended {
    let partition = u32::try_from(index).ok().filter(|partition| *partition < topic.spec.partitions);
    let partition = partition.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let at = TopicPartition::new(&*topic.spec.name, partition);
    let (header, batch) = check(records.unwrap_or_default(), topic.spec.cleanup, peer.broker.limits.max_batch_bytes)?;
    if header.producer_id == NO_PRODUCER_ID {
        return store(peer, &at, batch).await;
    }
    let sequence = peer.broker.producers.sequence(header.producer_id, &at);
    let mut sequence = sequence.lock().await;
    match sequence.check(&header)? {
        Check::Repeated(base_offset, outcome) => Ok((base_offset, outcome)),
        Check::New => {
            let (base_offset, outcome) = store(peer, &at, batch).await?;
            sequence.appended(&header, base_offset, outcome.clone());
            Ok((base_offset, outcome))
        }
    }
}

async fn store(peer: &Peer, at: &TopicPartition, batch: LogBatch) -> Appended {
    let append = Append { batch: Some(batch), progress: None };
    match peer.broker.log.append(at, append).await {
        Ok(appended) => Ok((appended.base_offset, outcome(appended.durable))),
        Err(error) => Err(Refused::new(errors::of_log(&error), error.hint())),
    }
}

/// One whole batch, intact, that every client can read, and that the topic allows.
fn check(bytes: Bytes, cleanup: Cleanup, max_bytes: usize) -> Result<(BatchHeader, LogBatch), Refused> {
    let header = BatchHeader::parse(&bytes)?;
    if header.total_bytes() != bytes.len() {
        return Err(Refused::new(ResponseError::InvalidRecord, "one batch per partition is expected"));
    }
    check_crc(&bytes)?;
    if header.is_control() || header.has_log_append_time() {
        return Err(Refused::new(ResponseError::InvalidRecord, "clients may not set these batch attributes"));
    }
    if header.is_transactional() {
        let error = ResponseError::TransactionalIdAuthorizationFailed;
        return Err(Refused::new(error, "transactions are not supported"));
    }
    let bytes = decompress(&bytes, max_bytes)?;
    if bytes.len() > max_bytes {
        return Err(Refused::new(ResponseError::MessageTooLarge, format!("a batch may have {max_bytes} bytes")));
    }
    check_records(&bytes, &header, cleanup)?;
    let batch = LogBatch { bytes, records: header.records, positions: Arc::default(), decoded: None };
    Ok((header, batch))
}

fn check_records(bytes: &Bytes, header: &BatchHeader, cleanup: Cleanup) -> Result<(), Refused> {
    let mut count = 0;
    for record in records(bytes)? {
        let record = record?;
        if i64::from(record.offset_delta) != i64::from(count) {
            return Err(Refused::new(ResponseError::InvalidRecord, "records must be numbered from 0 without gaps"));
        }
        if record.key.is_none() && cleanup != Cleanup::Delete {
            let message = "a record of a compacted topic needs a key";
            return Err(Refused { record: Some(count), ..Refused::new(ResponseError::InvalidRecord, message) });
        }
        count += 1;
    }
    let last = i64::from(header.last_offset_delta);
    if count == 0 || count != header.records || last != i64::from(count) - 1 {
        return Err(Refused::new(ResponseError::InvalidRecord, "the batch does not hold the records it claims"));
    }
    Ok(())
}

async fn answer(index: i32, topic: Option<&Topic>, appended: Appended) -> PartitionProduceResponse {
    let range = topic.and_then(|topic| topic.partitions.get(usize::try_from(index).ok()?));
    let response = PartitionProduceResponse::default().with_index(index).with_log_append_time_ms(-1);
    let refused = match appended {
        Ok((base_offset, durable)) => match durable.await {
            Ok(()) => {
                let log_start = range.map_or(0, |range| range.log_start.0);
                return response.with_base_offset(base_offset.0).with_log_start_offset(log_start);
            }
            Err(error) => Refused::from(error),
        },
        Err(refused) => refused,
    };
    let record_errors = refused.record.map(|record| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(i32::try_from(record).unwrap_or(i32::MAX))
            .with_batch_index_error_message(Some(StrBytes::from_string(refused.message.clone())))
    });
    response
        .with_base_offset(-1)
        .with_log_start_offset(-1)
        .with_error_code(refused.error.code())
        .with_record_errors(record_errors.into_iter().collect())
        .with_error_message(Some(StrBytes::from_string(refused.message)))
}

/// Gives an idempotent producer its id.
pub(super) fn init_producer(peer: &Peer, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        let code = ResponseError::TransactionalIdAuthorizationFailed.code();
        return InitProducerIdResponse::default().with_error_code(code).with_producer_id(ProducerId(NO_PRODUCER_ID));
    }
    let known = request.producer_id.0 != NO_PRODUCER_ID && request.producer_epoch < i16::MAX - 1;
    let response = InitProducerIdResponse::default();
    if known && request.producer_epoch >= 0 {
        // A producer that wants to start its numbers afresh keeps its id and gets the next epoch.
        return response.with_producer_id(request.producer_id).with_producer_epoch(request.producer_epoch + 1);
    }
    response.with_producer_id(ProducerId(peer.broker.producers.new_id())).with_producer_epoch(0)
}
