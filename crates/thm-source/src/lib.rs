//! PostgreSQL to Debezium envelopes: the source connector.
//!
//! ```text
//!   preflight ─▶ slot ─▶ snapshot ─▶ copy ───────┐
//!                  │                             ├─▶ encoder ─▶ SourceBatch ─▶ the worker
//!                  └──▶ stream ─▶ transaction ───┘      │
//!                         ▲            └─▶ pgoutput     └─▶ table ─▶ types ─▶ JSON + Arrow columns
//!                     transport
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`connector`], [`options`], `config_def` | the class and its options |
//! | [`modes`], [`naming`], [`column_rules`], [`output`] | options of values, names, columns and forms |
//! | [`task`] | start, poll, acknowledge, stop |
//! | [`session`], [`catalog`], [`preflight`], [`replica_identity`] | SQL session; what the catalog says; what must be right first |
//! | [`slot`] | whether slot and durable state belong together |
//! | [`snapshot`], [`copy`] | rows as of the slot's consistent point |
//! | [`transport`], [`stream`], [`transaction`], [`pgoutput`] | changes after it |
//! | [`types`], [`column`], [`columns`], [`table`], [`encoder`], [`notes`] | values, rows, records, and records beside the rows |
//! | [`heartbeat`], [`notifications`] | signs of life, and a statement run with them; how far a snapshot is |
//! | [`signals`] | commands to a connector that runs |
//! | [`refused`] | rows that cannot be decoded, for the dead letter queue |
//! | [`toast`] | large values that updates leave out |
//! | [`encoding_cost`] | what a row costs on its way, for `thm bench` |
//! | [`status`], [`failure`] | metrics; errors of PostgreSQL by kind |

mod config_def;

pub mod catalog;
mod catalog_session;
pub mod column;
pub mod column_rules;
pub mod columns;
pub mod connector;
pub mod copy;
pub mod encoder;
pub mod encoding_cost;
pub mod failure;
pub mod heartbeat;
pub mod modes;
pub mod naming;
pub mod notes;
pub mod notifications;
pub mod options;
pub mod output;
pub mod pgoutput;
pub mod preflight;
pub mod refused;
pub mod replica_identity;
pub mod session;
pub mod signals;
pub mod slot;
pub mod snapshot;
pub mod status;
pub mod stream;
pub mod table;
pub mod task;
mod timeline;
pub mod toast;
pub mod transaction;
pub mod transport;
pub mod types;

pub use connector::PostgresConnector;
