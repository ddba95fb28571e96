//! Offsets of connectors, read and changed by REST.
//!
//! A sink's are its consumer group's. Changing them is refused unless the connector is STOPPED, and raises the
//! group's generation, so that what the target remembers of the old life no longer wins.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thm_api::{ConnectorKind, Offset, TopicPartition};

use super::{Herder, InitialState, Refusal};

/// Where a partition of a sink is to go on; none for the start of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetChange {
    /// Which partition.
    pub partition: TopicPartition,
    /// Next offset to read.
    pub offset: Option<Offset>,
}

impl Herder {
    /// The offsets as Connect lists them: `[{"partition":{…},"offset":{…}}]`.
    pub fn offsets(&self, name: &str) -> Result<Vec<Value>, Refusal> {
        let (kind, group, server) = self.entry(name, |entry| {
            let prefix = entry.config.get("topic.prefix").cloned().flatten();
            (entry.connector.kind(), entry.group(name), prefix.unwrap_or_else(|| name.to_owned()))
        })?;
        match kind {
            ConnectorKind::Sink => {
                let committed = self.options.offsets.committed(&group).offsets;
                let line = |(partition, offset): (TopicPartition, Offset)| {
                    json!({
                        "partition": {"kafka_topic": &*partition.topic, "kafka_partition": partition.partition},
                        "offset": {"kafka_offset": offset.0},
                    })
                };
                Ok(committed.into_iter().map(line).collect())
            }
            ConnectorKind::Source => Ok(self.source_offsets(name, &server)?),
        }
    }

    /// The farthest place that any partition of a source has reached durably.
    fn source_offsets(&self, name: &str, server: &str) -> Result<Vec<Value>, Refusal> {
        let producer = format!("source:{name}");
        let mut farthest = None;
        for topic in self.options.log.topics() {
            for (number, _) in (0..).zip(&topic.partitions) {
                let partition = TopicPartition::new(topic.spec.name.as_str(), number);
                farthest = farthest.max(self.options.log.progress(&partition, &producer)?);
            }
        }
        let line = |progress: thm_api::Progress| {
            let position = progress.position;
            json!({
                "partition": {"server": server},
                "offset": {"lsn": position.commit_end.0, "position": position.to_string()},
            })
        };
        Ok(farthest.into_iter().map(line).collect())
    }

    /// Moves a stopped sink's offsets.
    pub async fn alter_offsets(&self, name: &str, changes: &[OffsetChange]) -> Result<(), Refusal> {
        let _phase = self.changes.lock().await;
        let group = self.stopped_sink_group(name).await?;
        let mut offsets: BTreeMap<TopicPartition, Offset> = self.options.offsets.committed(&group).offsets;
        for OffsetChange { partition, offset } in changes {
            match offset {
                Some(offset) => drop(offsets.insert(partition.clone(), *offset)),
                None => drop(offsets.remove(partition)),
            }
        }
        let to: Vec<(TopicPartition, Offset)> = offsets.into_iter().collect();
        let generation = self.options.offsets.reset(&group, &to).await?;
        self.cursors(name).release();
        self.cursors(name).hold(to.iter().map(|(partition, offset)| (partition, *offset)));
        tracing::info!(connector = name, group, generation = generation.0, "offsets altered");
        Ok(())
    }

    /// Forgets a stopped sink's offsets: it starts again from the beginning of the log.
    pub async fn reset_offsets(&self, name: &str) -> Result<(), Refusal> {
        let _phase = self.changes.lock().await;
        let group = self.stopped_sink_group(name).await?;
        let generation = self.options.offsets.reset(&group, &[]).await?;
        self.cursors(name).release();
        tracing::info!(connector = name, group, generation = generation.0, "offsets reset");
        Ok(())
    }

    /// Refuses to change the offsets of a connector that is not stopped, or that is a source.
    pub(crate) fn check_stopped(&self, name: &str) -> Result<(), Refusal> {
        let (target, kind) = self.entry(name, |entry| (entry.target, entry.connector.kind()))?;
        if target != InitialState::Stopped {
            let message = format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for \
                 the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            );
            return Err(Refusal::new(400, message));
        }
        if kind == ConnectorKind::Source {
            let message = "The offsets of this source stand beside its records in the log and are not altered alone; \
                           take a new snapshot instead";
            return Err(Refusal::new(400, message));
        }
        Ok(())
    }

    async fn stopped_sink_group(&self, name: &str) -> Result<String, Refusal> {
        self.check_stopped(name)?;
        self.settled(name).await;
        self.entry(name, |entry| entry.group(name))
    }
}
