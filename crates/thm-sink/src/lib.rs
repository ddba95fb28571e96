//! Sinks: records of the log into outside systems, one folder per system with everything about it.
//!
//! ```text
//!  log ──▶ worker (thm-connect) ──SinkBatch──▶ SinkTask::write ──▶ ClickHouse   exactly once within its dedup window
//!             ▲ retry, dead letters                             ├▶ Redis        exactly once, by a fence in the target
//!             └─────────── offsets the target holds ◀───────────┴▶ HTTP         at least once, idempotency keys
//! ```
//!
//! A task makes one attempt and classifies the failure; the worker owns retry, back-off and the dead letter queue.

pub mod clickhouse;
mod failpoints;
pub mod http;
#[cfg(test)]
mod memory_state;
pub mod redis;

pub use clickhouse::ClickHouseConnector;
pub use failpoints::FAILPOINTS;
pub use http::HttpConnector;
pub use redis::LeaderboardConnector;
