//! Membership of a consumer group, as far as a lock needs it.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::StrBytes;

use super::KafkaClient;

const JOIN_VERSION: i16 = 2;
const SYNC_VERSION: i16 = 1;
const HEARTBEAT_VERSION: i16 = 1;
const LEAVE_VERSION: i16 = 1;
/// Kind and name of the protocol: whoever else is in the group must have the same.
const PROTOCOL: &str = "thm-turn";

/// A member of a group, for one round of it.
pub struct GroupMember {
    group: GroupId,
    id: StrBytes,
    generation: i32,
    /// Whether the group is its own to lead.
    pub is_leader: bool,
}

impl KafkaClient {
    /// Joins, and waits until the members of the round before have joined, left, or used up `round`.
    pub async fn join_group(&mut self, group: &str, session: Duration, round: Duration) -> Result<GroupMember> {
        let text = StrBytes::from_static_str(PROTOCOL);
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let request = JoinGroupRequest::default()
            .with_group_id(group.clone())
            .with_session_timeout_ms(milliseconds(session))
            .with_rebalance_timeout_ms(milliseconds(round))
            .with_protocol_type(text.clone())
            .with_protocols(vec![JoinGroupRequestProtocol::default().with_name(text).with_metadata(Bytes::new())]);
        let answer = self.call_within(round + session, JOIN_VERSION, &request).await?;
        if let Some(error) = ResponseError::try_from_code(answer.error_code) {
            bail!("joining group {}: {error}", group.0);
        }
        let is_leader = answer.leader == answer.member_id;
        Ok(GroupMember { group, id: answer.member_id, generation: answer.generation_id, is_leader })
    }

    /// Ends the joining if it leads, or waits for the leader to; gives what stands against it.
    pub async fn sync_group(&mut self, member: &GroupMember) -> Result<Option<ResponseError>> {
        let own = SyncGroupRequestAssignment::default().with_member_id(member.id.clone()).with_assignment(Bytes::new());
        let request = SyncGroupRequest::default()
            .with_group_id(member.group.clone())
            .with_generation_id(member.generation)
            .with_member_id(member.id.clone())
            .with_assignments(vec![own]);
        let answer = self.call(SYNC_VERSION, &request).await?;
        Ok(ResponseError::try_from_code(answer.error_code))
    }

    /// A sign of life; gives what the coordinator has against it.
    pub async fn heartbeat(&mut self, member: &GroupMember) -> Result<Option<ResponseError>> {
        let request = HeartbeatRequest::default()
            .with_group_id(member.group.clone())
            .with_generation_id(member.generation)
            .with_member_id(member.id.clone());
        let answer = self.call(HEARTBEAT_VERSION, &request).await?;
        Ok(ResponseError::try_from_code(answer.error_code))
    }

    /// Leaves.
    pub async fn leave_group(&mut self, member: &GroupMember) -> Result<()> {
        let request =
            LeaveGroupRequest::default().with_group_id(member.group.clone()).with_member_id(member.id.clone());
        let answer = self.call(LEAVE_VERSION, &request).await?;
        super::broker_error(answer.error_code, "leaving a group")
    }
}
