//! Flink SQL on the log: a script becomes jobs that read topics, look tables up as of each change's own commit, and
//! write topics, exactly once.
//!
//! ```text
//!  parser ─▶ catalog, connector ─▶ analyzer ─▶ planner ─▶ job: format ─▶ operator, expr, functions ─▶ format
//!  statements   tables, options      types      JobPlan        bytes → columns → columns → bytes
//! ```
//! [`compile`] refuses what it lacks with line, column and what to write instead; [`JobManager`] runs what it gives.

pub mod analyzer;
pub mod catalog;
pub mod connector;
pub mod error;
pub mod evaluation_cost;
pub mod expr;
pub mod format;
pub mod functions;
pub mod job;
pub mod operator;
pub mod options;
pub mod parser;
pub mod planner;
mod stack;
pub mod types;

pub use error::SqlDiagnostic;
pub use job::{CheckpointStatus, From, InputStatus, JobManager, JobManagerOptions, JobState, JobStatus, VertexStatus};
pub use planner::{Capture, CapturedTable, CompileContext, JobPlan, Script, compile};
