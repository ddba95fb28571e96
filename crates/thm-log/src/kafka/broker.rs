//! `Broker`: what all listeners share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thm_api::{Log, MemoryBudget};

use super::producers::Producers;
use super::versions::OFFERED;
use crate::group::GroupCoordinator;

/// Largest request, in bytes. Clients send about 1 MiB at most unless told otherwise.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 8 << 20;

/// Largest batch of records after unpacking, in bytes. Kafka allows 1 MiB packed; ours are stored unpacked.
pub const DEFAULT_MAX_BATCH_BYTES: usize = 8 << 20;

/// Largest answer to a fetch, in bytes, whatever the client asks for (but for one batch that is larger).
pub const DEFAULT_MAX_FETCH_BYTES: usize = 2 << 20;

/// Bytes of requests that are being read or answered, all connections together. Twice the largest request, so
/// that one client that stalls in the middle of one does not hold up the others.
pub const DEFAULT_REQUEST_BUDGET_BYTES: usize = 16 << 20;

/// Bytes of records on their way to clients, all connections together.
pub const DEFAULT_FETCH_BUDGET_BYTES: usize = 8 << 20;

/// Most connections at once, all listeners together.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1000;

/// What clients may use up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`DEFAULT_MAX_REQUEST_BYTES`].
    pub max_request_bytes: usize,
    /// See [`DEFAULT_MAX_BATCH_BYTES`].
    pub max_batch_bytes: usize,
    /// See [`DEFAULT_MAX_FETCH_BYTES`].
    pub max_fetch_bytes: usize,
    /// See [`DEFAULT_MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// Memory for requests; see [`DEFAULT_REQUEST_BUDGET_BYTES`].
    pub requests: MemoryBudget,
    /// Memory for records in answers; see [`DEFAULT_FETCH_BUDGET_BYTES`].
    pub fetches: MemoryBudget,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_batch_bytes: DEFAULT_MAX_BATCH_BYTES,
            max_fetch_bytes: DEFAULT_MAX_FETCH_BYTES,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            requests: MemoryBudget::new(DEFAULT_REQUEST_BUDGET_BYTES),
            fetches: MemoryBudget::new(DEFAULT_FETCH_BUDGET_BYTES),
        }
    }
}

/// The log and the groups, as Kafka clients see them.
pub struct Broker {
    /// The topics.
    pub log: Arc<dyn Log>,
    /// The consumer groups.
    pub groups: Arc<GroupCoordinator>,
    /// Whether a topic that a client asks for, and may create, comes into being.
    pub auto_create_on_produce: bool,
    /// What clients may use up.
    pub limits: Limits,
    pub(super) producers: Producers,
    pub(super) counters: Counters,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker over a log and its groups.
    #[must_use]
    pub fn new(
        log: Arc<dyn Log>,
        groups: Arc<GroupCoordinator>,
        auto_create_on_produce: bool,
        limits: Limits,
    ) -> Arc<Self> {
        let (producers, counters) = (Producers::new(), Counters::default());
        Arc::new(Self { log, groups, auto_create_on_produce, limits, producers, counters })
    }

    /// What clients have done so far.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = OFFERED.iter().zip(&self.counters.requests).map(|(api, count)| (api.name, read(count)));
        BrokerStats {
            connections: read(&self.counters.connections),
            connections_total: read(&self.counters.connections_total),
            bytes_in: read(&self.counters.bytes_in),
            bytes_out: read(&self.counters.bytes_out),
            requests: requests.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// What clients have done since the start, for dashboards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Connections open now.
    pub connections: u64,
    /// Connections that were ever opened.
    pub connections_total: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// Requests by name, of those that came at all.
    pub requests: Vec<(&'static str, u64)>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) connections_total: AtomicU64,
    /// Connections that ended in a bug of ours.
    pub(super) panics: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    requests: [AtomicU64; OFFERED.len()],
}

impl Counters {
    /// Counts a request by its place in [`OFFERED`].
    pub(super) fn request(&self, index: usize, bytes: usize) {
        self.requests[index].fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        metrics::counter!("thm_kafka_requests_total", "api" => OFFERED[index].name).increment(1);
        metrics::counter!("thm_kafka_request_bytes_total").increment(bytes as u64);
    }

    /// Counts an answer.
    pub(super) fn answer(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        metrics::counter!("thm_kafka_response_bytes_total").increment(bytes as u64);
    }
}
