//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the wire side of [`crate::group`].

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::super::errors;
use super::super::exchange::{Peer, Request};
use crate::group::{JoinRequest, Joined, SyncRequest};

/// First version whose newcomers come back with the id they were given.
const KNOWN_MEMBERS_SINCE: i16 = 4;

/// First version that names the protocol type, and may leave the protocol out.
const PROTOCOL_TYPE_SINCE: i16 = 7;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn milliseconds(number: i32) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

pub(super) async fn join(peer: &Peer, frame: &Request, request: JoinGroupRequest) -> JoinGroupResponse {
    let session_timeout = milliseconds(request.session_timeout_ms);
    // Version 0 has no rebalance timeout: the session's stands for it.
    let rebalance_timeout =
        if frame.version == 0 { session_timeout } else { milliseconds(request.rebalance_timeout_ms) };
    let protocols = request.protocols.into_iter().map(|protocol| (protocol.name.to_string(), protocol.metadata));
    let join = JoinRequest {
        member_id: request.member_id.to_string(),
        require_known_member: frame.version >= KNOWN_MEMBERS_SINCE,
        client_id: frame.client_id.clone(),
        client_host: format!("/{}", peer.address.ip()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
    };
    match peer.broker.groups.join(&request.group_id, join).await {
        Ok(joined) => joined_response(frame.version, joined),
        Err(refused) => {
            let name = (frame.version < PROTOCOL_TYPE_SINCE).then(StrBytes::new);
            JoinGroupResponse::default()
                .with_error_code(refused.error.code())
                .with_generation_id(-1)
                .with_protocol_name(name)
                .with_member_id(text(&refused.member_id))
        }
    }
}

fn joined_response(version: i16, joined: Joined) -> JoinGroupResponse {
    let member = |(id, metadata): (String, _)| {
        JoinGroupResponseMember::default().with_member_id(StrBytes::from_string(id)).with_metadata(metadata)
    };
    let response = JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(StrBytes::from_string(joined.protocol)))
        .with_leader(StrBytes::from_string(joined.leader))
        .with_member_id(StrBytes::from_string(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect());
    if version < PROTOCOL_TYPE_SINCE {
        return response;
    }
    response.with_protocol_type(Some(StrBytes::from_string(joined.protocol_type)))
}

pub(super) async fn sync(peer: &Peer, version: i16, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let sync = SyncRequest {
        member_id: request.member_id.to_string(),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(|name| name.to_string()),
        protocol: request.protocol_name.map(|name| name.to_string()),
        assignments: assignments.map(|one| (one.member_id.to_string(), one.assignment)).collect(),
    };
    match peer.broker.groups.sync(&request.group_id, sync).await {
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
        Ok(synced) => {
            let response = SyncGroupResponse::default().with_assignment(synced.assignment);
            if version < 5 {
                return response;
            }
            response
                .with_protocol_type(Some(StrBytes::from_string(synced.protocol_type)))
                .with_protocol_name(Some(StrBytes::from_string(synced.protocol)))
        }
    }
}

pub(super) fn heartbeat(peer: &Peer, request: &HeartbeatRequest) -> HeartbeatResponse {
    let lives = peer.broker.groups.heartbeat(&request.group_id, &request.member_id, request.generation_id);
    HeartbeatResponse::default().with_error_code(errors::code(&lives))
}

pub(super) fn leave(peer: &Peer, version: i16, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let leave =
        |member_id: &str| -> Result<(), ResponseError> { peer.broker.groups.leave(&request.group_id, member_id) };
    if version < 3 {
        return LeaveGroupResponse::default().with_error_code(errors::code(&leave(&request.member_id)));
    }
    let members = request.members.into_iter().map(|member| {
        let code = errors::code(&leave(&member.member_id));
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(code)
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
