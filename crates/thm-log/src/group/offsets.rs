//! Offsets: the [`OffsetStore`] that connectors use, and commits of Kafka clients.

use std::sync::Arc;

use async_trait::async_trait;
use kafka_protocol::error::ResponseError;
use thm_api::{Error, ErrorKind, Generation, GroupLease, GroupOffsets, Offset, OffsetStore, Result, TopicPartition};
use tokio::time::Instant;

use super::GroupCoordinator;
use super::live::Lease;
use super::state::{Change, Committed, CommittedAt};

/// Rebalance generation in a commit from outside the group protocol.
const NO_GENERATION: i32 = -1;

#[async_trait]
impl OffsetStore for GroupCoordinator {
    async fn commit(&self, group: &str, generation: Generation, offsets: &[(TopicPartition, Offset)]) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let change = Change::ConnectorCommit { group: Arc::from(group), generation, offsets: noted(offsets) };
        self.writer.change(change, None).await.map(|_| ())
    }

    fn committed(&self, group: &str) -> GroupOffsets {
        // Not `stored`: a deleted group has no offsets but keeps its generation.
        self.published.read().get(group).map(|stored| stored.offsets()).unwrap_or_default()
    }

    fn lease(&self, group: &str, member: &str) -> Result<GroupLease> {
        let (group, member): (Arc<str>, Arc<str>) = (Arc::from(group), Arc::from(member));
        if !self.live.lease(&group, &member) {
            return Err(in_use("joining the connector's consumer group", &group));
        }
        let lease = Lease { live: Arc::clone(&self.live), group: Arc::clone(&group) };
        self.writer.change_later(Change::Adopt { group });
        Ok(GroupLease(Box::new(lease)))
    }

    async fn reset(&self, group: &str, to: &[(TopicPartition, Offset)]) -> Result<Generation> {
        let exclusive = self.live.exclude(group).ok_or_else(|| in_use("resetting a consumer group", group))?;
        let change = Change::Reset { group: Arc::from(group), to: noted(to) };
        self.writer.change(change, Some(exclusive)).await
    }
}

impl GroupCoordinator {
    /// A Kafka client's commit; `Ok` means durable.
    ///
    /// A commit without a member (generation -1, no id) is taken while the group is empty: from consumers that
    /// assign partitions by hand, and from admin tools. If it moves offsets of a connector's group it is a reset,
    /// and the group starts a new life.
    pub async fn commit_as_client(
        &self,
        group: &str,
        member_id: &str,
        generation: i32,
        offsets: Vec<CommittedAt>,
    ) -> Result<(), ResponseError> {
        let alone = generation == NO_GENERATION && member_id.is_empty();
        let exclusive = if alone {
            Some(self.live.exclude(group).ok_or(ResponseError::UnknownMemberId)?)
        } else {
            let check =
                |live: &mut super::live::LiveGroup| live.membership.check_commit(member_id, generation, Instant::now());
            self.live.with(group, check)?;
            None
        };
        if offsets.is_empty() {
            return Ok(());
        }
        let change = Change::ClientCommit { group: Arc::from(group), admin: alone, offsets };
        self.writer.change(change, exclusive).await.map(|_| ()).map_err(|error| client_error(&error))
    }
}

/// What a Kafka client is told of a change that failed.
pub(super) fn client_error(error: &Error) -> ResponseError {
    match error.kind() {
        ErrorKind::InvalidRecord => ResponseError::PolicyViolation,
        ErrorKind::StaleGeneration => ResponseError::IllegalGeneration,
        _ => ResponseError::KafkaStorageError,
    }
}

fn noted(offsets: &[(TopicPartition, Offset)]) -> Vec<CommittedAt> {
    offsets.iter().map(|(at, offset)| (at.clone(), Committed::from(*offset))).collect()
}

fn in_use(doing: &'static str, group: &str) -> Error {
    Error::new(ErrorKind::StaleGeneration, doing, group)
        .with_hint("The group has members. Stop the connector or the consumers that use it first.")
}
