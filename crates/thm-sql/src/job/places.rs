//! Where a topic's partition starts and ends: modes of `scan.startup` and `scan.bounded` → offsets.

use std::time::Duration;

use thm_api::{Error, ErrorKind, Log, OffsetStore, PartitionInfo, ReadLimits, Result, TopicPartition};
use thm_codec::record_batch;

use crate::connector::kafka::{Startup, Stop};

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
            Startup::Offsets(offsets) => within(offsets.get(&partition.partition).copied().unwrap_or(info.log_start.0)),
            Startup::Group { id, otherwise } => {
                match (self.committed(id, partition), otherwise) {
                    (Some(offset), _) => within(offset),
                    (None, Some(true)) => info.log_start.0,
                    (None, Some(false)) => info.high_watermark.0,
                    (None, None) => {
                        return Err(Error::new(ErrorKind::InvalidConfig, "starting from a group's offsets", format!("group {id}, {partition}"))
                        .with_source("the group has committed no offset there")
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
            Stop::Offsets(offsets) => Some(offsets.get(&partition.partition).copied().unwrap_or(info.high_watermark.0)),
            Stop::Group(id) => Some(self.committed(id, partition).unwrap_or(info.high_watermark.0)),
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
