//! A dead letter: a record as it was refused, and what its headers tell of the refusal.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::DateTime;
use clap::Args;
use serde_json::{Value, json};
use thm_codec::record_batch::Record;

use super::queue_named;
use crate::kafka_client::{ConsumedRecord, KafkaClient, records_from};

/// Headers of Kafka Connect's dead letters begin so.
pub const CONTEXT: &str = "__connect.errors.";
/// Most bytes of keys and values that a command holds.
const MAX_HELD_BYTES: usize = 256 << 20;

/// Which records of a queue.
#[derive(Args)]
pub struct Selection {
    /// Topic of the queue, or the connector's name.
    pub queue: String,
    /// Exactly this offset; may be given several times.
    #[arg(long)]
    pub offset: Vec<i64>,
    /// From this offset on.
    #[arg(long)]
    pub from: Option<i64>,
    /// Up to this offset, inclusive.
    #[arg(long)]
    pub to: Option<i64>,
    /// At most so many, the last ones.
    #[arg(long, short)]
    pub number: Option<usize>,
    /// Partition of the queue; all by default.
    #[arg(long, short)]
    pub partition: Option<i32>,
}

impl Selection {
    /// The records that are meant, in the queue's order; an offset that is not there is an error.
    pub async fn letters(&self, kafka: &mut KafkaClient) -> Result<Vec<Letter>> {
        let (queue, partitions) = queue_named(kafka, &self.queue).await?;
        let mut letters = Vec::new();
        for partition in (0..partitions).filter(|partition| self.partition.is_none_or(|only| only == *partition)) {
            let (first, end) = kafka.range(&queue, partition).await?;
            let chosen = self.offset.iter().min().zip(self.offset.iter().max());
            let from = chosen.map(|(min, _)| *min).max(self.from).unwrap_or(first).max(first);
            let to = chosen.map_or(end, |(_, max)| max + 1).min(self.to.map_or(end, |to| to + 1)).min(end);
            let found = read(kafka, &queue, partition, from, to).await?;
            letters.extend(
                found.into_iter().filter(|letter| self.offset.is_empty() || self.offset.contains(&letter.offset)),
            );
        }
        if let Some(missing) = self.offset.iter().find(|offset| letters.iter().all(|letter| letter.offset != **offset))
        {
            bail!("{queue} has no record at offset {missing}");
        }
        if let Some(number) = self.number {
            letters.drain(..letters.len().saturating_sub(number));
        }
        Ok(letters)
    }
}

/// Records of a queue's partition in `from..to`.
pub async fn read(kafka: &mut KafkaClient, queue: &str, partition: i32, from: i64, to: i64) -> Result<Vec<Letter>> {
    let (mut letters, mut bytes, mut at) = (Vec::new(), 0, from);
    while at < to {
        let found = records_from(kafka.fetch(queue, partition, at, Duration::from_millis(500)).await?, at)?;
        let Some(last) = found.last() else { break };
        at = last.offset + 1;
        for record in found.into_iter().take_while(|record| record.offset < to) {
            let letter = Letter::of(queue, partition, record);
            bytes += letter.record.value.as_ref().map_or(0, bytes::Bytes::len);
            letters.push(letter);
        }
        if bytes > MAX_HELD_BYTES {
            bail!("these records are more than {MAX_HELD_BYTES} bytes; take fewer with --from and --to");
        }
    }
    Ok(letters)
}

/// One dead letter.
pub struct Letter {
    queue: String,
    partition: i32,
    /// Its offset in the queue.
    pub offset: i64,
    /// The record, with all headers.
    pub record: Record,
    /// Topic, partition and offset of the refused record; none of what a source refused, which stood in no topic.
    pub source: Option<(String, i32, i64)>,
    /// Where the refused record was to go, or came from.
    topic: Option<String>,
    /// Who refused it.
    pub connector: String,
    /// Error code, or a Java class of a real Connect's.
    pub code: String,
    /// Why.
    pub cause: String,
}

impl Letter {
    fn of(queue: &str, partition: i32, consumed: ConsumedRecord) -> Self {
        let ConsumedRecord { offset, record } = consumed;
        let header = |name: &str| {
            let value = record.headers.get(&format!("{CONTEXT}{name}"))?;
            Some(String::from_utf8_lossy(&value).into_owned())
        };
        let number = |name: &str| header(name)?.parse::<i64>().ok();
        let place = || Some((header("topic")?, i32::try_from(number("partition")?).ok()?, number("offset")?));
        Self {
            queue: queue.to_owned(),
            partition,
            offset,
            source: place(),
            topic: header("topic"),
            connector: header("connector.name").unwrap_or_default(),
            code: header("exception.class.name").unwrap_or_default(),
            cause: header("exception.message").unwrap_or_default(),
            record,
        }
    }

    /// `queue/partition/offset`, as the header of a replay names it.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.queue, self.partition, self.offset)
    }

    /// Where the refused record stands, or the topic that a source's record would have gone to.
    pub fn origin(&self) -> String {
        match (&self.source, &self.topic) {
            (Some((topic, partition, offset)), _) => format!("{topic}-{partition}@{offset}"),
            (None, Some(topic)) => topic.clone(),
            (None, None) => "-".to_owned(),
        }
    }

    /// Whether a source refused it: its record never got into a topic.
    pub const fn is_of_source(&self) -> bool {
        self.source.is_none() && self.topic.is_some()
    }

    /// The record's own time, milliseconds since 1970.
    pub const fn timestamp_ms(&self) -> i64 {
        self.record.timestamp_ms
    }

    /// The record's own time.
    pub fn time(&self) -> String {
        let time = DateTime::from_timestamp_millis(self.record.timestamp_ms);
        time.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// The key as text.
    pub fn key(&self) -> String {
        self.record.key.as_deref().map_or_else(|| "null".to_owned(), |key| String::from_utf8_lossy(key).into_owned())
    }

    /// The value as text; none for a tombstone.
    pub fn value(&self) -> Option<String> {
        self.record.value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Everything, for programs.
    pub fn json(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = self.record.headers.iter();
        let headers: Vec<_> = headers.map(|(name, value)| json!([text(&name), value.as_deref().map(text)])).collect();
        let source = self.source.as_ref();
        json!({
            "queue": self.queue, "partition": self.partition, "offset": self.offset, "time": self.time(),
            "from": source.map(|(topic, partition, offset)| {
                json!({"topic": topic, "partition": partition, "offset": offset})
            }),
            "connector": self.connector, "code": self.code, "cause": self.cause,
            "key": self.record.key.as_deref().map(text), "value": self.value(), "headers": headers,
        })
    }
}
