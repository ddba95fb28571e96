//! The worker and its REST API on the log's memory double, with tasks whose faults are queued by the test.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod conforming;
mod fake_sink;
mod fake_source;
mod golden;
mod golden_stand_ins;
mod on_disk;
mod persistence;
mod rest;
mod sinks;
mod sources;
mod stage;
mod transforms;
