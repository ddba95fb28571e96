//! What members ask and are told; the state machine in `membership.rs` turns one into the other.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupState {
    /// No members.
    #[default]
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    /// As Kafka's tools print it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// What a member says when it joins.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Empty at first.
    pub member_id: String,
    /// Whether an empty member id is answered with one to come back with (version 4 and later).
    pub require_known_member: bool,
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Silence after which it is taken for dead.
    pub session_timeout: Duration,
    /// How long it may take to rejoin.
    pub rebalance_timeout: Duration,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// Assignment strategies it knows, best first, each with its metadata.
    pub protocols: Vec<(String, Bytes)>,
}

/// A finished join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Rebalance generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: String,
    /// The strategy all members know.
    pub protocol: String,
    /// Member that makes the assignment.
    pub leader: String,
    /// The member that asked.
    pub member_id: String,
    /// For the leader: all members with their metadata.
    pub members: Vec<(String, Bytes)>,
}

/// A refused join; the member id is the one to come back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: ResponseError,
    /// Its id.
    pub member_id: String,
}

/// Answer to a join.
pub type JoinAnswer = Result<Joined, JoinRefused>;

/// What a member says when it asks for its assignment.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// Who asks.
    pub member_id: String,
    /// Rebalance generation it joined.
    pub generation: i32,
    /// Protocol type, from version 5 on.
    pub protocol_type: Option<String>,
    /// Strategy, from version 5 on.
    pub protocol: Option<String>,
    /// From the leader: assignment of each member.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member's assignment with what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: String,
    /// The strategy.
    pub protocol: String,
    /// What the leader assigned.
    pub assignment: Bytes,
}

/// Answer to a sync.
pub type SyncAnswer = Result<Synced, ResponseError>;

/// An answer now, or when others have done their part.
#[derive(Debug)]
pub enum Step<T> {
    /// Now.
    Done(T),
    /// Later.
    Wait(oneshot::Receiver<T>),
}
