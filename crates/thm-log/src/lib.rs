//! Topics of record batches on one machine, and everything that is kept beside them.
//!
//! ```text
//!  append ──▶ queue ──▶ log thread: write · fsync · advance ──▶ high watermark ──▶ readers
//!            (bytes)      │                                        ▲
//!                         ├──▶ segments, index, progress on disk   │ decoded tail
//!                         └──▶ tail cache ─────────────────────────┘
//! ```
//!
//! [`EmbeddedLog`] is the log of a running engine; [`MemoryLog`] is its double for tests of other crates; both
//! run [`conformance`]. [`FileStateStore`] keeps checkpoints and markers, [`DataFolder`] owns the folder all of
//! it lies in.

mod batch;
mod chores;
mod completeness;
mod config;
pub mod conformance;
mod data_folder;
mod embedded;
mod frame;
mod fsync;
pub mod group;
pub mod kafka;
mod memory;
mod meters;
mod names;
mod pace;
mod partition;
mod poison;
mod progress;
mod queue;
mod retention;
mod segment;
mod state_store;
pub mod storage;
mod tail_cache;
mod topic;

pub use completeness::CompletenessBoard;
pub use config::{
    DEFAULT_MAX_BATCH_BYTES, DEFAULT_MAX_BYTES, DEFAULT_MIN_FREE_BYTES, DEFAULT_RETENTION_BYTES,
    DEFAULT_RETENTION_INTERVAL, DEFAULT_RETENTION_MS, DEFAULT_SEGMENT_BYTES, DEFAULT_TAIL_CACHE_BYTES,
    DEFAULT_WRITE_BUFFER_BYTES, LogConfig,
};
pub use data_folder::DataFolder;
pub use embedded::EmbeddedLog;
pub use memory::MemoryLog;
pub use state_store::FileStateStore;
