//! The requests we offer, with their versions: the one table, which is also what ApiVersions answers.
//!
//! Each upper end is the last version that was seen to work with real clients; `tests/versions.rs` encodes and
//! answers every version of every line.

use kafka_protocol::messages::ApiKey;

/// One request and the versions of it that we answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    /// Which request.
    pub key: ApiKey,
    /// Its name in metrics.
    pub name: &'static str,
    /// First version.
    pub min: i16,
    /// Last version.
    pub max: i16,
}

impl Api {
    const fn new(key: ApiKey, name: &'static str, min: i16, max: i16) -> Self {
        Self { key, name, min, max }
    }

    /// Whether we answer this version.
    pub const fn offers(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// All of them, by number.
pub(super) const OFFERED: &[Api] = &[
    Api::new(ApiKey::Produce, "produce", 3, 9),
    Api::new(ApiKey::Fetch, "fetch", 4, 12),
    Api::new(ApiKey::ListOffsets, "list_offsets", 1, 7),
    Api::new(ApiKey::Metadata, "metadata", 0, 9),
    Api::new(ApiKey::OffsetCommit, "offset_commit", 2, 8),
    Api::new(ApiKey::OffsetFetch, "offset_fetch", 1, 8),
    Api::new(ApiKey::FindCoordinator, "find_coordinator", 0, 4),
    Api::new(ApiKey::JoinGroup, "join_group", 0, 7),
    Api::new(ApiKey::Heartbeat, "heartbeat", 0, 4),
    Api::new(ApiKey::LeaveGroup, "leave_group", 0, 5),
    Api::new(ApiKey::SyncGroup, "sync_group", 0, 5),
    Api::new(ApiKey::DescribeGroups, "describe_groups", 0, 5),
    Api::new(ApiKey::ListGroups, "list_groups", 0, 4),
    Api::new(ApiKey::ApiVersions, "api_versions", 0, 3),
    Api::new(ApiKey::CreateTopics, "create_topics", 2, 6),
    Api::new(ApiKey::DeleteTopics, "delete_topics", 1, 5),
    Api::new(ApiKey::InitProducerId, "init_producer_id", 0, 4),
    Api::new(ApiKey::DescribeConfigs, "describe_configs", 1, 4),
    Api::new(ApiKey::DeleteGroups, "delete_groups", 0, 2),
    Api::new(ApiKey::OffsetDelete, "offset_delete", 0, 0),
    Api::new(ApiKey::DescribeCluster, "describe_cluster", 0, 1),
];

/// Place in [`OFFERED`] of the request with this number.
pub(super) fn index_of(key: i16) -> Option<usize> {
    OFFERED.iter().position(|api| api.key as i16 == key)
}
