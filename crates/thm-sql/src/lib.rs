//! Flink SQL on the log.

pub mod analyzer;
pub mod catalog;
pub mod connector;
pub mod error;
pub mod expr;
pub mod format;
pub mod functions;
pub mod parser;
pub mod planner;
pub mod types;
