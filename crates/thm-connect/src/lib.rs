//! Runs connectors: sources into the log, sinks out of it, with Kafka Connect's REST API over them.
//!
//! ```text
//!   files, REST ──▶ herder ──wish──▶ worker ──┬──▶ source_loop: poll ▶ append ▶ durable ▶ acknowledge
//!                     │        (one per       └──▶ sink_loop:   read ▶ cut ▶ write ▶ flush ▶ commit
//!                     ▼         connector)                             │
//!                StateStore                                            └▶ retry, dead_letter
//! ```
//! The worker owns retry, back-off, time-outs, batching, the dead letter queue and commits; a task makes one attempt
//! and classifies its failure. Each connector runs in its own task with its own state, so one sink's failure delays
//! nothing else.

mod assignment;
pub mod conformance;
mod context;
mod dead_letter;
mod decode;
mod definition;
mod herder;
mod holds;
mod known_topics;
mod names;
mod options;
mod ranges;
mod reader;
pub mod rest;
mod retry;
mod secrets;
mod shared_decodes;
mod sink_loop;
mod source_loop;
mod status;
mod supersede;
mod transforms;
mod worker;

pub use context::DEFAULT_WRITE_TIMEOUT;
pub use definition::{RawConfig, config_problems};
pub use herder::{
    ConnectorInfo, ConnectorStatus, Herder, InitialState, InstanceStatus, OffsetChange, Refusal, Restart,
    parse_connector,
};
pub use holds::CursorHolds;
pub use options::{
    DEFAULT_COMMIT_INTERVAL, DEFAULT_COMMON_BYTES, DEFAULT_SINK_BYTES, DEFAULT_SOURCE_BYTES,
    DEFAULT_SOURCE_IN_FLIGHT_BYTES, DEFAULT_STOP_GRACE, HerderOptions, VERSION,
};
pub use retry::{DEFAULT_FIRST_PAUSE, DEFAULT_LARGEST_PAUSE, RetryPolicy};
pub use secrets::resolve as resolve_secrets;
pub use status::{ConnectorSnapshot, PartitionLag, State, TaskSnapshot};
