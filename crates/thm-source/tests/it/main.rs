//! The source against a real PostgreSQL: each test starts its own server on a free port and ends it.

#![allow(clippy::unwrap_used, missing_docs)]

mod errors;
mod failover;
mod harness;
mod heartbeat;
mod naming;
mod notifications;
mod postgres;
mod publication;
mod refusals;
mod restart;
mod signals;
mod slot_options;
mod snapshot;
mod stream;
mod tls;
mod toast;
mod transport;
mod types;
