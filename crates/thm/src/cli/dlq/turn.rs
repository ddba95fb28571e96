//! `Turn`: one at a time, by a consumer group that has but one working member.
//!
//! ```text
//!   first  ── JoinGroup ─▶ leader ── SyncGroup ─▶ works, heartbeats ─▶ LeaveGroup
//!   second ── JoinGroup ─▶ waits, because the first does not join again ──┴──▶ leader: its turn
//! ```
//! Whoever dies is taken out when its session ends; whoever hangs for longer than [`LONGEST_TURN`] loses its turn, and
//! finds out before it produces anything more.

use std::time::Duration;

use anyhow::{Result, bail};
use kafka_protocol::error::ResponseError;

use crate::kafka_client::{GroupMember, KafkaClient};

/// A member without a sign of life is dead after this: reading a long topic gives none.
const SESSION: Duration = Duration::from_secs(60);
/// How long the next one waits at most before it takes the turn.
const LONGEST_TURN: Duration = Duration::from_secs(300);

/// Membership of the group, alone.
pub(super) struct Turn(GroupMember);

impl Turn {
    /// Joins the group and waits until nobody else works there.
    pub(super) async fn wait(kafka: &mut KafkaClient, group: &str) -> Result<Self> {
        loop {
            let member = kafka.join_group(group, SESSION, LONGEST_TURN).await?;
            match kafka.sync_group(&member).await? {
                None if member.is_leader => return Ok(Self(member)),
                // Two joined at the same moment and the other leads, or somebody joined meanwhile: once more.
                None | Some(ResponseError::RebalanceInProgress) => kafka.leave_group(&member).await?,
                Some(error) => bail!("waiting for the turn of {group}: {error}"),
            }
        }
    }

    /// Says that we are alive; an error if the turn was lost.
    pub(super) async fn hold(&self, kafka: &mut KafkaClient) -> Result<()> {
        match kafka.heartbeat(&self.0).await? {
            // Another one waits.
            None | Some(ResponseError::RebalanceInProgress) => Ok(()),
            Some(error) => bail!("another replay has taken over after a long pause ({error}); nothing more is sent"),
        }
    }

    /// Lets the next one in; if it cannot be said, the session's end says it.
    pub(super) async fn end(self, kafka: &mut KafkaClient) {
        if let Err(error) = kafka.leave_group(&self.0).await {
            tracing::debug!(%error, "the group was not left");
        }
    }
}
