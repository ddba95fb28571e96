//! ListOffsets: first, last, and first at or after a time.
//!
//! Times are looked up inside batches: a client that seeks to a time must not be given records before it, nor
//! miss one after it. Batches that end before the time are passed over by their header.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use std::time::Duration;
use thm_api::{FetchedBatch, Offset, PartitionInfo, ReadLimits, TopicPartition};
use thm_codec::record_batch::{BatchHeader, records};

use super::super::errors;
use super::super::exchange::Peer;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// Bytes read at a time while looking for a time.
const SCAN_BYTES: usize = 1 << 20;

/// Offset and timestamp; both -1 for "none".
type Found = (i64, i64);

const NOTHING: Found = (-1, -1);

pub(super) async fn answer(peer: &Peer, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let found = find(peer, &topic.name, asked.partition_index, asked.timestamp).await;
            let code = errors::code(&found);
            let (offset, timestamp) = found.unwrap_or(NOTHING);
            partitions.push(
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(code)
                    .with_offset(offset)
                    .with_timestamp(timestamp),
            );
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

async fn find(peer: &Peer, topic: &str, partition: i32, timestamp: i64) -> Result<Found, ResponseError> {
    let missing = ResponseError::UnknownTopicOrPartition;
    let known = peer.broker.log.topic(topic).ok_or(missing)?;
    let index = u32::try_from(partition).map_err(|_| missing)?;
    let range = *known.partitions.get(index as usize).ok_or(missing)?;
    match timestamp {
        LATEST => Ok((range.high_watermark.0, -1)),
        EARLIEST => Ok((range.log_start.0, -1)),
        MAX_TIMESTAMP | 0.. => scan(peer, &TopicPartition::new(topic, index), range, timestamp).await,
        // What other negative numbers mean is for newer versions.
        _ => Err(ResponseError::UnsupportedForMessageFormat),
    }
}

async fn scan(peer: &Peer, at: &TopicPartition, range: PartitionInfo, time: i64) -> Result<Found, ResponseError> {
    let limits = ReadLimits { max_bytes: SCAN_BYTES, max_wait: Duration::ZERO };
    let mut next = range.log_start;
    let mut latest = NOTHING;
    while next < range.high_watermark {
        let read = peer.broker.log.read(at, next, limits).await.map_err(|error| errors::of_log(&error))?;
        let Some(last) = read.batches.last() else { break };
        next = last.next_offset();
        for batch in &read.batches {
            if time == MAX_TIMESTAMP {
                let newest = newest_in(batch, latest.1)?;
                latest = newest.unwrap_or(latest);
            } else if let Some(found) = first_in(batch, range.log_start, time)? {
                return Ok(found);
            }
        }
    }
    Ok(latest)
}

/// The first record of the batch that is not before `time`.
fn first_in(batch: &FetchedBatch, log_start: Offset, time: i64) -> Result<Option<Found>, ResponseError> {
    if max_timestamp(batch)? < time {
        return Ok(None);
    }
    first_where(batch, |offset, timestamp| offset >= log_start.0 && timestamp >= time)
}

/// The first of the newest records of the batch, if newer than `than`.
fn newest_in(batch: &FetchedBatch, than: i64) -> Result<Option<Found>, ResponseError> {
    let newest = max_timestamp(batch)?;
    if newest <= than {
        return Ok(None);
    }
    first_where(batch, |_, timestamp| timestamp == newest)
}

fn max_timestamp(batch: &FetchedBatch) -> Result<i64, ResponseError> {
    Ok(BatchHeader::parse(&batch.batch.bytes).map_err(|error| errors::of_codec(&error))?.max_timestamp)
}

fn first_where(batch: &FetchedBatch, wanted: impl Fn(i64, i64) -> bool) -> Result<Option<Found>, ResponseError> {
    for record in records(&batch.batch.bytes).map_err(|error| errors::of_codec(&error))? {
        let record = record.map_err(|error| errors::of_codec(&error))?;
        let offset = batch.base_offset.0 + i64::from(record.offset_delta);
        if wanted(offset, record.timestamp_ms) {
            return Ok(Some((offset, record.timestamp_ms)));
        }
    }
    Ok(None)
}
