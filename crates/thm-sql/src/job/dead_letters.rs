//! Records that cannot be evaluated → a dead letter queue, with Kafka Connect's headers.
//!
//! Invariant: each goes there once. A record's offset is the producer's progress in the queue, so that a record that is
//! read again after a crash is not written again.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{
    Append, Error, Log, LogBatch, Offset, Position, Progress, ReadLimits, Result, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{self, BatchWriter, HeaderBlock};

use super::decode;

/// The queue of a job.
pub(super) struct DeadLetters {
    log: Arc<dyn Log>,
    queue: TopicPartition,
    job: Arc<str>,
}

impl DeadLetters {
    /// Opens the queue, and creates its topic.
    pub async fn open(log: Arc<dyn Log>, topic: &str, job: Arc<str>) -> Result<Self> {
        if log.topic(topic).is_none() {
            log.create_topic(&TopicSpec::new(topic)).await?;
        }
        Ok(Self { log, queue: TopicPartition::new(topic, 0), job })
    }

    /// Writes the record at a place, durably, with why it is here.
    pub async fn put(&self, from: &TopicPartition, offset: i64, error: &Error) -> Result<()> {
        let producer: Arc<str> = format!("job:{}#dead-letters:{from}", self.job).into();
        if self.log.progress(&self.queue, &producer)?.is_some_and(|told| told.offset >= offset) {
            return Ok(());
        }
        let Some((key, value, timestamp_ms)) = record(&*self.log, from, offset).await? else { return Ok(()) };
        let (partition, at) = (from.partition.to_string(), offset.to_string());
        let headers = [
            ("__connect.errors.topic", &*from.topic),
            ("__connect.errors.partition", &partition),
            ("__connect.errors.offset", &at),
            ("__connect.errors.connector.name", &self.job),
            ("__connect.errors.task.id", "0"),
            ("__connect.errors.stage", "TRANSFORMATION"),
            ("__connect.errors.class.name", "thamanya.sql"),
            ("__connect.errors.exception.class.name", error.kind().code()),
            ("__connect.errors.exception.message", &error.to_string()),
        ];
        let mut block = HeaderBlock::default();
        headers.iter().for_each(|(name, value)| block.push(name, Some(value.as_bytes())));
        let mut writer = BatchWriter::new();
        writer.push(timestamp_ms, key.as_deref(), value.as_deref(), &block);
        let batch = LogBatch { bytes: writer.finish(), records: 1, positions: Arc::new([]), decoded: None };
        let progress = Progress { position: Position::default(), input: 0, offset };
        let append = Append { batch: Some(batch), progress: Some((producer, progress)) };
        self.log.append(&self.queue, append).await?.durable.await
    }
}

/// Key, value and timestamp of a record.
pub(super) async fn record(log: &dyn Log, from: &TopicPartition, offset: i64) -> Result<Option<Found>> {
    let limits = ReadLimits { max_bytes: 1, max_wait: Duration::ZERO };
    let read = log.read(from, Offset(offset), limits).await?;
    for fetched in &read.batches {
        let bytes = decode::unpacked(from, fetched)?;
        let records = record_batch::records(&bytes).map_err(|error| decode::broken(from, fetched, error))?;
        for record in records.flatten() {
            if fetched.base_offset.0 + i64::from(record.offset_delta) == offset {
                return Ok(Some((record.key, record.value, record.timestamp_ms)));
            }
        }
    }
    Ok(None)
}

type Found = (Option<bytes::Bytes>, Option<bytes::Bytes>, i64);
