//! ClickHouse: rows of a topic into a table, exactly once within the table's deduplication window.
//!
//! In: ranges of records whose values are flat JSON objects, with their decoded columns while the log's cache has
//! them. Out: one `INSERT … FORMAT ArrowStream` per range, and deletes for updated and removed rows. Read in this order:
//!
//! ```text
//!  options, config ─▶ task ─▶ table (ddl, types) ─▶ rows (arrow_cells | json_cells ─▶ cell ─▶ column)
//!                                                     └▶ fold ─▶ statement, encode ─▶ client, transport ─▶ fault, bisect
//! ```

mod arrow_cells;
mod bisect;
mod cell;
mod client;
mod column;
mod config;
mod connector;
mod ddl;
mod encode;
mod evolve;
mod fault;
mod fold;
mod instant;
mod json_cells;
mod options;
mod quote;
mod rows;
mod session;
mod statement;
mod table;
mod task;
mod transport;
mod types;
mod watch;

pub use config::ClickHouseConfig;
pub use connector::ClickHouseConnector;
pub use ddl::suggested as suggested_table;
pub use task::ClickHouseTask;
pub use watch::TableWatch;
