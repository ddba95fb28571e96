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
mod completeness;
pub mod conformance;
mod data_folder;
pub mod group;
pub mod kafka;
mod memory;
mod names;
mod state_store;
pub mod storage;

pub use completeness::CompletenessBoard;
pub use data_folder::DataFolder;
pub use memory::MemoryLog;
pub use state_store::FileStateStore;
