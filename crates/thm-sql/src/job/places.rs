//! Where a topic's partition starts and ends: modes of `scan.startup` and `scan.bounded` → offsets.

use std::time::Duration;

use thm_api::{Error, ErrorKind, Log, OffsetStore, PartitionInfo, ReadLimits, Result, TopicPartition};
use thm_codec::record_batch;

use crate::connector::kafka::{Startup, Stop};

/// Kafka's words for places, where an offset may stand: the end of the partition.
const LATEST: i64 = -1;
/// What the consumer group has committed.
const COMMITTED: i64 = -3;

/// What offsets are taken from.
pub(super) struct Places<'a> {
    pub log: &'a dyn Log,
    pub groups: Option<&'a dyn OffsetStore>,
}

impl Places<'_> {
    /// The first offset to read.
    pub async fn start(&self, startup: &Startup, partition: &TopicPartition, info: &PartitionInfo) -> Result<i64> {
        let within = |offset: i64| offset.clamp(info.log_start.0, info.high_watermark.0);
        Ok(match startup {
            Startup::Earliest => info.log_start.0,
            Startup::Latest => info.high_watermark.0,
            Startup::Timestamp(millis) => within(self.at_time(partition, *millis, info).await?),
            Startup::Offsets(offsets, group) => {
                let committed = || self.committed(group.as_deref()?, partition);
                match offsets.get(&partition.partition) {
                    Some(&LATEST) => info.high_watermark.0,
                    Some(&COMMITTED) => {
                        within(committed().ok_or_else(|| nothing_committed(group.as_deref(), partition))?)
                    }
                    // The earliest is before all others.
                    Some(offset) => within(*offset),
                    None => within(committed().unwrap_or(info.log_start.0)),
                }
            }
            Startup::Group { id, otherwise } => {
                match (self.committed(id, partition), otherwise) {
                    (Some(offset), _) => within(offset),
                    (None, Some(true)) => info.log_start.0,
                    (None, Some(false)) => info.high_watermark.0,
                    (None, None) => {
                        let message = format!("Undefined offset with no reset policy for partitions: [{partition}]");
                        return Err(Error::new(ErrorKind::InvalidConfig, "starting from a group's offsets", format!("group {id}"))
                            .with_source(message)
                            .with_hint("Set 'properties.auto.offset.reset' = 'earliest' or 'latest', or another 'scan.startup.mode'."));
                    }
                }
            }
        })
    }

    /// The offset to stop before; none if it never stops.
    pub async fn stop(&self, stop: &Stop, partition: &TopicPartition, info: &PartitionInfo) -> Result<Option<i64>> {
        Ok(match stop {
            Stop::Unbounded => None,
            Stop::Latest => Some(info.high_watermark.0),
            Stop::Timestamp(millis) => Some(self.at_time(partition, *millis, info).await?),
            Stop::Offsets(offsets) => match offsets.get(&partition.partition).copied() {
                None | Some(LATEST) => Some(info.high_watermark.0),
                Some(offset) if offset >= 0 => Some(offset),
                Some(offset) => {
                    let message = format!(
                        "Illegal stopping offset {offset} is specified for partition {partition}. It should either be \
                         non-negative or be {LATEST} (latest)."
                    );
                    return Err(Error::new(ErrorKind::InvalidConfig, "stopping at an offset", partition.to_string())
                        .with_source(message)
                        .with_hint("Correct 'scan.bounded.specific-offsets'."));
                }
            },
            Stop::Group(id) => {
                Some(self.committed(id, partition).ok_or_else(|| nothing_committed(Some(id), partition))?)
            }
        })
    }

    fn committed(&self, group: &str, partition: &TopicPartition) -> Option<i64> {
        self.groups?.committed(group).offsets.get(partition).map(|offset| offset.0)
    }

    /// The first record at or after a time; the end if there is none.
    async fn at_time(&self, partition: &TopicPartition, millis: i64, info: &PartitionInfo) -> Result<i64> {
        let Some(batch) = self.log.batch_at_time(partition, millis).await? else { return Ok(info.high_watermark.0) };
        let limits = ReadLimits { max_bytes: 1, max_wait: Duration::ZERO };
        let found = self.log.read(partition, batch, limits).await?;
        for fetched in found.batches.iter().filter(|fetched| fetched.base_offset >= batch) {
            let bytes = crate::job::decode::unpacked(partition, fetched)?;
            let records =
                record_batch::records(&bytes).map_err(|error| crate::job::decode::broken(partition, fetched, error))?;
            let found = records.flatten().find(|record| record.timestamp_ms >= millis);
            if let Some(record) = found {
                return Ok(fetched.base_offset.0 + i64::from(record.offset_delta));
            }
        }
        Ok(batch.0)
    }
}

/// A group that has committed no offset where its word counts.
fn nothing_committed(group: Option<&str>, partition: &TopicPartition) -> Error {
    let group = group.unwrap_or("(none)");
    let message = format!(
        "Partition {partition} should start or stop at committed offset. But there is no committed offset of this partition \
         for group {group}"
    );
    Error::new(ErrorKind::InvalidConfig, "reading a group's offsets", format!("group {group}, {partition}"))
        .with_source(message)
        .with_hint("Let the group commit an offset there, or choose another mode.")
}
