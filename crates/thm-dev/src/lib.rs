//! The local stack: what `thm dev` starts, watches and stops, and the same services for tests.
//!
//! ```text
//!  thm dev ──▶ supervisor ──┬─▶ PostgreSQL        (system package, own cluster under the data folder)
//!              one thread of │─▶ Redis             (system package)
//!              events owns   │─▶ ClickHouse engine (`clickhouse-engine`, the library behind a C call)
//!              every child   │─▶ mock API          (`mock-api`, the HTTP sink's target)
//!                            │─▶ thm run           (the product; killed and measured like in production)
//!                            └─▶ generator         (`generate`, the users)
//! ```
//!
//! Invariants: every child listens on 127.0.0.1 only; a child never outlives the supervisor (asked to stop in
//! reverse order, by the kernel when the supervisor is killed, by pid files at the next start); no other crate
//! of the workspace but `thm-api` is used, so what is tested here is the product as its users see it.
//!
//! Tests of other crates start services with [`services::Postgres::temporary`] and its like.

pub mod args;
pub mod bench;
pub mod cli;
pub mod clickhouse;
pub mod console;
pub mod faults;
pub mod generator;
pub mod mock_api;
pub mod process;
pub mod services;
pub mod supervisor;

pub use bench::{
    BenchArgs, EncodingCost, EvaluationFamily, EvaluationSpeed, Probes as BenchProbes, process_cpu_us, thread_cpu_us,
};
pub use cli::{run_bench, run_clickhouse_engine, run_dev, run_faults, run_generate, run_mock_api, run_outages};
pub use clickhouse::EngineArgs as ClickHouseEngineArgs;
pub use faults::FaultsArgs;
pub use faults::outages::OutagesArgs;
pub use generator::GenerateArgs;
pub use mock_api::MockApiArgs;
pub use supervisor::DevArgs;
