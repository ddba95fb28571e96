//! FindCoordinator and DescribeCluster: everything is here.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::exchange::Peer;
use super::BROKER_ID;

/// What tools show as the cluster's id.
pub(super) const CLUSTER_ID: &str = "thamanya";

/// `key_type` of a consumer group; the other is a transaction, which we lack.
const GROUP_KEY: i8 = 0;

const NO_TRANSACTIONS: &str = "transactions are not supported";

/// Host and port of this listener, as clients are told.
pub(super) fn address(peer: &Peer) -> (StrBytes, i32) {
    (StrBytes::from_string(peer.advertised.0.clone()), i32::from(peer.advertised.1))
}

pub(super) fn find_coordinator(peer: &Peer, version: i16, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = address(peer);
    let group = request.key_type == GROUP_KEY;
    // Of all codes, this one makes producers of every client stop at once instead of asking for ever.
    let code = if group { 0 } else { ResponseError::TransactionalIdAuthorizationFailed.code() };
    let message = (!group).then(|| StrBytes::from_static_str(NO_TRANSACTIONS));
    let node = BrokerId(if group { BROKER_ID } else { -1 });
    if version < 4 {
        let response =
            FindCoordinatorResponse::default().with_error_code(code).with_node_id(node).with_host(host).with_port(port);
        return if version >= 1 { response.with_error_message(message) } else { response };
    }
    let coordinator = |key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(node)
            .with_host(host.clone())
            .with_port(port)
            .with_error_code(code)
            .with_error_message(message.clone())
    };
    FindCoordinatorResponse::default()
        .with_coordinators(request.coordinator_keys.into_iter().map(coordinator).collect())
}

pub(super) fn describe(peer: &Peer) -> DescribeClusterResponse {
    let (host, port) = address(peer);
    let broker = DescribeClusterBroker::default().with_broker_id(BrokerId(BROKER_ID)).with_host(host).with_port(port);
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_static_str(CLUSTER_ID))
        .with_controller_id(BrokerId(BROKER_ID))
        .with_brokers(vec![broker])
}
