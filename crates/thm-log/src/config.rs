//! `LogConfig`: limits of an embedded log, each with its unit and the reason for its default.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::storage::Storage;

/// Small enough that retention is fine-grained, large enough that rolls (five fsyncs) do not count.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;
/// A long weekend of an absent operator, and then some.
pub const DEFAULT_RETENTION_MS: u64 = 7 * 24 * 3600 * 1000;
/// What a laptop can spare.
pub const DEFAULT_RETENTION_BYTES: u64 = 10 << 30;
/// Where even registered cursors no longer hold segments back: twice what retention aims at.
pub const DEFAULT_MAX_BYTES: u64 = 20 << 30;
/// The log's share of the process's memory budget of 96 MiB.
pub const DEFAULT_TAIL_CACHE_BYTES: usize = 24 << 20;
/// A disk of 900 MB/s takes this in 10 ms; more would only add latency.
pub const DEFAULT_WRITE_BUFFER_BYTES: usize = 8 << 20;
/// A batch is whole in memory some three times on its way: this bounds the worst.
pub const DEFAULT_MAX_BATCH_BYTES: usize = 128 << 20;
/// Room for the database, whose own WAL needs the disk more than we do.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 512 << 20;
/// Segments fill in minutes at best; looking more often finds nothing.
pub const DEFAULT_RETENTION_INTERVAL: Duration = Duration::from_secs(30);

/// How an embedded log is set up.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Folder of the topics. The caller holds the data folder's lock.
    pub dir: PathBuf,
    /// Size at which a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// Age since its last write at which a closed segment may go, in milliseconds; 0 keeps for ever. A topic's own
    /// value wins.
    pub retention_ms: u64,
    /// Size of the whole log above which oldest segments go, in bytes; 0 for no limit.
    pub retention_bytes: u64,
    /// Size of the whole log above which segments go although a registered cursor still needs them, in bytes; 0
    /// for no limit.
    pub max_bytes: u64,
    /// Size of the tail cache, in bytes.
    pub tail_cache_bytes: usize,
    /// Bytes that may wait for the disk; appends wait while it is full.
    pub write_buffer_bytes: usize,
    /// Largest batch, in bytes.
    pub max_batch_bytes: usize,
    /// Free space on the file system below which appends are refused, in bytes.
    pub min_free_bytes: u64,
    /// How often retention looks.
    pub retention_interval: Duration,
    /// File layer; `None` is the file system with the failpoints of `THM_FAILPOINT`.
    pub storage: Option<Arc<dyn Storage>>,
}

impl LogConfig {
    /// Defaults, in this folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            retention_ms: DEFAULT_RETENTION_MS,
            retention_bytes: DEFAULT_RETENTION_BYTES,
            max_bytes: DEFAULT_MAX_BYTES,
            tail_cache_bytes: DEFAULT_TAIL_CACHE_BYTES,
            write_buffer_bytes: DEFAULT_WRITE_BUFFER_BYTES,
            max_batch_bytes: DEFAULT_MAX_BATCH_BYTES,
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            retention_interval: DEFAULT_RETENTION_INTERVAL,
            storage: None,
        }
    }
}
