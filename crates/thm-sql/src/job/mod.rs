//! Jobs at run time: from log to log, each input record exactly once.
//!
//! ```text
//!  topics ─▶ Input (decode) ─▶ merge by position ─▶ Pipeline ─▶ Output ─▶ topic
//!                                                     │             │
//!                                                     └─ Checkpoint ┘  only over output that is durable
//! ```
//! Restart: offsets and look-up tables from the checkpoint, records are read again, and what the output's own progress
//! says is there already is not written again. So the output of a job that was killed at any moment equals that of one
//! that was not, byte for byte.

mod ask;
mod checkpoint;
mod chunk;
mod columns;
mod dead_letters;
mod decode;
mod feed;
mod input;
mod last_values;
mod lineage;
mod manager;
mod merge;
mod output;
mod pipeline;
mod places;
mod record;
mod runner;
mod shape;
mod shared;
mod sink;
mod start;
mod status;
mod targets;
mod version;

pub use manager::{JobManager, JobManagerOptions};
pub use status::{CheckpointStatus, InputStatus, JobState, JobStatus, VertexStatus};
pub use version::From;
