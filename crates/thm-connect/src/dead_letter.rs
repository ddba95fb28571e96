//! The dead letter queue: records that a target refused for themselves, with the reason in their headers.
//!
//! Refused records go in; once they are durable in the topic they may be left out of their batch. The headers are
//! Kafka Connect's (`__connect.errors.*`), after the record's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use thm_api::{
    Append, ConnectorConfig, Error, ErrorKind, Log, LogBatch, Position, Progress, RejectedRecord, Result, SinkRecord,
    TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use crate::decode::push_all_headers;
use crate::status::TaskStatus;

/// What a connector does with refused records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// `errors.tolerance=none`: the task fails.
    None,
    /// `errors.tolerance=all`: they go to this topic.
    All {
        /// `errors.deadletterqueue.topic.name`, else `dlq.<connector>`.
        topic: String,
    },
}

impl Tolerance {
    /// From the connector's options.
    pub(crate) fn from_config(connector: &str, config: &ConnectorConfig) -> Self {
        match config.text("errors.tolerance", "none") {
            "all" => {
                let named = config.get("errors.deadletterqueue.topic.name").map(str::to_owned);
                Self::All { topic: named.unwrap_or_else(|| format!("dlq.{}", topic_part(connector))) }
            }
            _ => Self::None,
        }
    }
}

/// The connector's name in the letters that a topic may have.
fn topic_part(connector: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    connector.chars().map(allowed).take(200).collect()
}

/// Writes to a connector's dead letter queue.
pub(crate) struct DeadLetters {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) connector: Arc<str>,
    pub(crate) class: Arc<str>,
    pub(crate) task: u32,
}

impl DeadLetters {
    /// Appends the records to `topic` and waits until they are durable. A crash before the caller notes that may
    /// bring them twice.
    pub(crate) async fn write(
        &self,
        topic: &str,
        from: &TopicPartition,
        refused: &[(&SinkRecord, &RejectedRecord)],
        error_code: &str,
        status: &TaskStatus,
    ) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        if !self.log.topics().iter().any(|known| known.spec.name == topic) {
            self.log.create_topic(&TopicSpec::new(topic)).await?;
        }
        let partition = TopicPartition::new(topic, 0);
        let producer: Arc<str> = format!("dlq:{}", self.connector).into();
        let written = self.log.progress(&partition, &producer)?.map_or(0, |progress| progress.offset);
        let count = i64::try_from(refused.len()).unwrap_or(i64::MAX);
        let progress = Progress { position: Position::default(), input: 0, offset: written + count };
        let append =
            Append { batch: Some(self.encode(from, refused, error_code)), progress: Some((producer, progress)) };
        self.log.append(&partition, append).await?.durable.await?;
        for (_, rejected) in refused {
            tracing::warn!(connector = %self.connector, partition = %rejected.partition, offset = %rejected.offset,
                queue = topic, "record refused, written to the dead letter queue");
        }
        status.dead_lettered(refused.len() as u64);
        Ok(())
    }

    fn encode(&self, from: &TopicPartition, refused: &[(&SinkRecord, &RejectedRecord)], error_code: &str) -> LogBatch {
        let mut writer = BatchWriter::new();
        let mut headers = HeaderBlock::default();
        for (record, rejected) in refused {
            headers.clear();
            push_all_headers(record, &mut headers);
            let context = [
                ("topic", from.topic.to_string()),
                ("partition", from.partition.to_string()),
                ("offset", record.offset.to_string()),
                ("connector.name", self.connector.to_string()),
                ("task.id", self.task.to_string()),
                ("stage", "TASK_PUT".to_owned()),
                ("class.name", self.class.to_string()),
                ("exception.class.name", error_code.to_owned()),
                ("exception.message", rejected.reason.clone()),
            ];
            for (name, value) in context {
                headers.push(&format!("__connect.errors.{name}"), Some(value.as_bytes()));
            }
            writer.push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        let records = writer.len();
        LogBatch { bytes: writer.finish(), records, positions: Arc::from([]), decoded: None }
    }
}

/// Pairs refused offsets with their records; an error if one is not among them.
pub(crate) fn find<'a>(
    records: impl Iterator<Item = &'a SinkRecord>,
    refused: &'a BTreeMap<i64, RejectedRecord>,
) -> Result<Vec<(&'a SinkRecord, &'a RejectedRecord)>> {
    let found: Vec<_> = records.filter_map(|record| Some((record, refused.get(&record.offset.0)?))).collect();
    if found.len() == refused.len() {
        return Ok(found);
    }
    let missing = refused.values().find(|rejected| !found.iter().any(|(record, _)| record.offset == rejected.offset));
    let object = missing.map_or_else(String::new, |rejected| format!("{} {}", rejected.partition, rejected.offset));
    Err(Error::new(ErrorKind::Internal, "finding a refused record in its batch", object))
}
