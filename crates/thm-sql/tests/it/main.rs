//! Integration tests of Flink SQL: goldens of the real Flink, and jobs on a log.
#![allow(clippy::unwrap_used)]

mod crash;
mod deviations;
mod fixture;
mod functions;
mod inputs;
mod jobs;
mod lookups;
mod sink_topics;
mod versions;
mod words;
