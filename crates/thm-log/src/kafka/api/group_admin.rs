//! DescribeGroups, ListGroups, DeleteGroups.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::super::errors;
use super::super::exchange::Peer;
use crate::group::MemberDescription;

/// First version of ListGroups that knows states.
const STATES_SINCE: i16 = 4;

pub(super) fn describe(peer: &Peer, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|group| {
        let described = peer.broker.groups.describe(&group);
        DescribedGroup::default()
            .with_group_id(group)
            .with_group_state(StrBytes::from_static_str(described.state.as_str()))
            .with_protocol_type(StrBytes::from_string(described.protocol_type))
            .with_protocol_data(StrBytes::from_string(described.protocol))
            .with_members(described.members.into_iter().map(member).collect())
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(member.member_id))
        .with_client_id(StrBytes::from_string(member.client_id))
        .with_client_host(StrBytes::from_string(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

pub(super) fn list(peer: &Peer, version: i16, request: &ListGroupsRequest) -> ListGroupsResponse {
    let states = &request.states_filter;
    let wanted = |state: &str| states.is_empty() || states.iter().any(|name| name.eq_ignore_ascii_case(state));
    let groups = peer.broker.groups.list().into_iter().filter(|group| wanted(group.state.as_str())).map(|group| {
        let listed = ListedGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(group.group.to_string())))
            .with_protocol_type(StrBytes::from_string(group.protocol_type));
        if version < STATES_SINCE {
            return listed;
        }
        listed.with_group_state(StrBytes::from_static_str(group.state.as_str()))
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) async fn delete(peer: &Peer, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names {
        let deleted = peer.broker.groups.delete(&group).await;
        let (name, code) = (&**group, errors::code(&deleted));
        tracing::info!(group = name, client = %peer.address, code, "a kafka client deletes a group");
        results.push(DeletableGroupResult::default().with_error_code(errors::code(&deleted)).with_group_id(group));
    }
    DeleteGroupsResponse::default().with_results(results)
}
