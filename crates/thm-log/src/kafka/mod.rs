//! The Kafka protocol: any Kafka client lists, reads, writes and joins groups on our log.
//!
//! ```text
//!   client ──▶ listener.rs ──▶ connection.rs ──▶ api/ ──▶ Log, GroupCoordinator
//!              accepts         frames, order,     one file per family of requests
//!              (one per        byte budgets
//!              advertised      │
//!              address)        ├─ exchange.rs  request, answer, and who asks
//!                              ├─ shape.rs     is the frame what its version says? (before anything is allocated)
//!                              └─ versions.rs  the one table of what we offer
//! ```
//!
//! Listeners share one [`Broker`]; each tells clients its own advertised address. Batches are stored as the
//! producer made them, except that compressed ones are unpacked, so that every client can read every record.
//! There is one broker, id 1, without replication: leader epochs are always "unknown" (-1).

mod api;
mod broker;
mod connection;
mod errors;
mod exchange;
mod listener;
mod producers;
mod shape;
mod versions;

#[cfg(test)]
mod tests;

pub use broker::{Broker, BrokerStats, Limits};
pub use listener::{Listener, ListenerConfig};
