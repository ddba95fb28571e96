//! The Kafka listener over the embedded log, used by clients that others wrote.
//!
//! kcat must be installed; the Python clients are installed once, in their pinned versions, below the target
//! folder. Each test has its own log, ports and topics.
#![allow(clippy::unwrap_used, missing_docs)]

mod confluent;
mod harness;
mod kafka_python;
mod kcat;
mod log;
