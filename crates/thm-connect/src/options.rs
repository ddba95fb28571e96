//! What the binary gives the herder.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{Completeness, Hosts, Log, MemoryBudget, OffsetStore, Registry, StateStore};

use crate::context::{DEFAULT_WRITE_TIMEOUT, Settings};
use crate::holds::CursorHolds;
use crate::retry::RetryPolicy;

/// How often sinks commit: what Kafka clients see of a group is at most this old.
pub const DEFAULT_COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A sink's share of the memory budget, in bytes, for its worker's buffer and again for its task.
pub const DEFAULT_SINK_BYTES: usize = 8 << 20;
/// What all sinks have in common beside their shares, in bytes: a batch for ClickHouse at full speed, whose log batches
/// and columns are more than twice the bytes of its rows.
pub const DEFAULT_COMMON_BYTES: usize = 16 << 20;
/// Appends of a source that may await durability, in bytes: two fsyncs' worth at full speed.
pub const DEFAULT_SOURCE_IN_FLIGHT_BYTES: usize = 8 << 20;
/// A source's share of the memory budget, in bytes.
pub const DEFAULT_SOURCE_BYTES: usize = 16 << 20;
/// How long a task may finish what it is doing when asked to end.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);
/// The version of Connect whose REST API this is, and whose work.
pub const VERSION: &str = "4.2.0.thm";

/// Everything a herder needs.
#[derive(Clone)]
pub struct HerderOptions {
    /// Topics.
    pub log: Arc<dyn Log>,
    /// Where sources say how complete their topics are.
    pub completeness: Arc<dyn Completeness>,
    /// Consumer groups.
    pub offsets: Arc<dyn OffsetStore>,
    /// Small durable facts.
    pub state: Arc<dyn StateStore>,
    /// The classes there are.
    pub registry: Registry,
    /// Keeps what sinks have not delivered from retention, if the log can.
    pub holds: Option<Arc<dyn CursorHolds>>,
    /// Names to addresses.
    pub hosts: Arc<Hosts>,
    /// Memory for what all sources hold; each sink has its own share of `sink_bytes`.
    pub source_budget: MemoryBudget,
    /// A sink's share, in bytes.
    pub sink_bytes: usize,
    /// Memory that a sink takes from beyond its share, while there is some.
    pub common_budget: MemoryBudget,
    /// Most bytes of a source's appends that await durability.
    pub source_in_flight_bytes: usize,
    /// `host:port` of the REST API, the worker's name in statuses.
    pub worker_id: String,
    /// The cluster id that Kafka clients see.
    pub kafka_cluster_id: String,
    /// Build of the binary, for `/`.
    pub commit: String,
    /// How often sinks commit.
    pub commit_interval: Duration,
    /// How long a task may finish what it is doing when asked to end.
    pub stop_grace: Duration,
}

impl HerderOptions {
    /// With all defaults.
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        completeness: Arc<dyn Completeness>,
        offsets: Arc<dyn OffsetStore>,
        state: Arc<dyn StateStore>,
        registry: Registry,
    ) -> Self {
        Self {
            log,
            completeness,
            offsets,
            state,
            registry,
            holds: None,
            hosts: Arc::new(Hosts::default()),
            source_budget: MemoryBudget::new(DEFAULT_SOURCE_BYTES),
            sink_bytes: DEFAULT_SINK_BYTES,
            common_budget: MemoryBudget::new(DEFAULT_COMMON_BYTES),
            source_in_flight_bytes: DEFAULT_SOURCE_IN_FLIGHT_BYTES,
            worker_id: "127.0.0.1:8083".to_owned(),
            kafka_cluster_id: "thamanya".to_owned(),
            commit: env!("CARGO_PKG_VERSION").to_owned(),
            commit_interval: DEFAULT_COMMIT_INTERVAL,
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            retry: RetryPolicy::default(),
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            commit_interval: self.commit_interval,
            sink_buffer_bytes: self.sink_bytes,
            source_in_flight_bytes: self.source_in_flight_bytes,
        }
    }
}
