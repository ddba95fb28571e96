//! Fetch: records of several partitions, and the long poll.
//!
//! ```text
//!   read every partition without waiting ──▶ enough bytes, one full, an error, out of time? ──yes──▶ answer
//!        ▲                                       │ no
//!        └── the first partition that gets more ─┘ (all are watched; an append wakes the request)
//! ```
//!
//! There are no fetch sessions: session id 0 tells the client to name its partitions every time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use thm_api::{FetchedBatch, Offset, Permit, ReadLimits, TopicPartition};
use tokio::time::Instant;

use super::super::errors;
use super::super::exchange::Peer;

/// Longest long poll, whatever the client asks for: a connection that is gone is found at the next answer.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// One partition of the request and what was found for it.
struct Wanted {
    at: TopicPartition,
    max_bytes: usize,
    /// Where to go on reading: the offset asked for, then past what was found.
    next: Offset,
    batches: Vec<FetchedBatch>,
    high_watermark: Offset,
    log_start: Offset,
    /// There is more than fits: waiting would not help.
    full: bool,
    error: Option<ResponseError>,
}

pub(super) async fn answer(peer: &Peer, request: FetchRequest) -> (FetchResponse, Option<Permit>) {
    if request.session_id != 0 {
        let code = ResponseError::FetchSessionIdNotFound.code();
        return (FetchResponse::default().with_error_code(code), None);
    }
    let limit = positive(request.max_bytes).min(peer.broker.limits.max_fetch_bytes);
    let deadline = Instant::now() + Duration::from_millis(positive(request.max_wait_ms) as u64).min(MAX_WAIT);
    let min_bytes = positive(request.min_bytes).min(limit);
    let topics: Vec<(TopicName, usize)> =
        request.topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.len())).collect();
    let mut wanted = wanted(request);
    // Reading holds room for a full answer; what is found then holds its own size until it is sent.
    let reading = peer.broker.limits.fetches.acquire(limit).await;
    read_all(peer, &mut wanted, limit).await;
    let mut reading = Some(reading);
    while !is_enough(&wanted, min_bytes) {
        reading = None;
        if !wait_for_more(peer, &wanted, deadline).await {
            break;
        }
        reading = Some(peer.broker.limits.fetches.acquire(limit).await);
        read_all(peer, &mut wanted, limit).await;
    }
    drop(reading);
    let held = peer.broker.limits.fetches.acquire(found_bytes(&wanted)).await;
    (response(topics, wanted), Some(held))
}

fn positive(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn wanted(request: FetchRequest) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for topic in request.topics {
        let name: std::sync::Arc<str> = std::sync::Arc::from(&**topic.topic);
        wanted.extend(topic.partitions.into_iter().map(|partition| Wanted {
            at: TopicPartition::new(
                std::sync::Arc::clone(&name),
                u32::try_from(partition.partition).unwrap_or(u32::MAX),
            ),
            max_bytes: positive(partition.partition_max_bytes),
            next: Offset(partition.fetch_offset),
            batches: Vec::new(),
            high_watermark: Offset(-1),
            log_start: Offset(-1),
            full: false,
            error: None,
        }));
    }
    wanted
}

fn found_bytes(wanted: &[Wanted]) -> usize {
    wanted.iter().map(Wanted::bytes).sum()
}

fn is_enough(wanted: &[Wanted], min_bytes: usize) -> bool {
    let settled = |partition: &Wanted| partition.full || partition.error.is_some();
    found_bytes(wanted) >= min_bytes || wanted.iter().any(settled)
}

impl Wanted {
    fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.batch.bytes.len()).sum()
    }
}

/// Reads on in every partition, without waiting, until `limit` bytes are there in all.
async fn read_all(peer: &Peer, wanted: &mut [Wanted], limit: usize) {
    let mut found = found_bytes(wanted);
    for partition in wanted {
        let first = found == 0;
        let room = limit.saturating_sub(found).min(partition.max_bytes.saturating_sub(partition.bytes()));
        let limits = ReadLimits { max_bytes: room, max_wait: Duration::ZERO };
        match peer.broker.log.read(&partition.at, partition.next, limits).await {
            Ok(read) => {
                partition.high_watermark = read.high_watermark;
                partition.log_start = read.log_start;
                for batch in read.batches {
                    // The log gives the first batch whole; only the first of the whole answer may pass the limit.
                    let fits = found + batch.batch.bytes.len() <= limit;
                    let own = partition.bytes() + batch.batch.bytes.len() <= partition.max_bytes;
                    if !(first && found == 0) && !(fits && (own || partition.batches.is_empty())) {
                        partition.full = true;
                        break;
                    }
                    found += batch.batch.bytes.len();
                    partition.next = batch.next_offset();
                    partition.batches.push(batch);
                }
            }
            Err(error) => fail(peer, partition, errors::of_log(&error)),
        }
    }
}

fn fail(peer: &Peer, partition: &mut Wanted, error: ResponseError) {
    if !partition.batches.is_empty() {
        // Records in hand are good; the next fetch meets the error.
        return;
    }
    partition.error = Some(error);
    let topic = peer.broker.log.topic(&partition.at.topic);
    if let Some(range) = topic.and_then(|topic| topic.partitions.get(partition.at.partition as usize).copied()) {
        partition.high_watermark = range.high_watermark;
        partition.log_start = range.log_start;
    }
}

/// Waits until some partition has more; false when the time is over.
async fn wait_for_more(peer: &Peer, wanted: &[Wanted], deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() || wanted.is_empty() {
        tokio::time::sleep_until(deadline).await;
        return false;
    }
    // The smallest read that waits: one batch at most, which the read after it finds again.
    let limits = ReadLimits { max_bytes: 1, max_wait: left };
    let mut waiting: FuturesUnordered<_> =
        wanted.iter().map(|partition| peer.broker.log.read(&partition.at, partition.next, limits)).collect();
    while let Some(read) = waiting.next().await {
        // An error counts: the next pass reports it.
        if read.map_or(true, |read| !read.batches.is_empty()) {
            return true;
        }
    }
    false
}

fn response(topics: Vec<(TopicName, usize)>, wanted: Vec<Wanted>) -> FetchResponse {
    let mut wanted = wanted.into_iter();
    let responses = topics.into_iter().map(|(name, count)| {
        let partitions = wanted.by_ref().take(count).map(partition_data).collect();
        FetchableTopicResponse::default().with_topic(name).with_partitions(partitions)
    });
    FetchResponse::default().with_responses(responses.collect())
}

fn partition_data(partition: Wanted) -> PartitionData {
    PartitionData::default()
        .with_partition_index(i32::try_from(partition.at.partition).unwrap_or(-1))
        .with_error_code(partition.error.as_ref().map_or(errors::NONE, ResponseError::code))
        .with_high_watermark(partition.high_watermark.0)
        .with_last_stable_offset(partition.high_watermark.0)
        .with_log_start_offset(partition.log_start.0)
        .with_aborted_transactions(None)
        .with_records(Some(concatenate(partition.batches)))
}

fn concatenate(mut batches: Vec<FetchedBatch>) -> Bytes {
    if batches.len() == 1 {
        return batches.remove(0).batch.bytes;
    }
    let mut records = BytesMut::with_capacity(batches.iter().map(|batch| batch.batch.bytes.len()).sum());
    batches.iter().for_each(|batch| records.extend_from_slice(&batch.batch.bytes));
    records.freeze()
}
