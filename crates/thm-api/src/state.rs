//! `StateStore`: small durable facts beside the log: checkpoints, snapshot markers, frozen batch ranges.

use crate::Result;

/// A durable map for a few small values per task. Not for anything per event.
///
/// Keys are paths of `[A-Za-z0-9._-]` parts with `/` between (`source/pg.engagement.source/snapshot`).
///
/// `Ok` of a change promises: after any crash a reader sees this value or a later one, whole. Calls block for
/// the time of an fsync; asynchronous code calls them rarely.
pub trait StateStore: Send + Sync + 'static {
    /// The value, if one was ever put.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// Replaces the value, atomically and durably.
    fn put(&self, key: &str, value: &[u8]) -> Result<()>;
    /// Removes the value, durably; absent is fine.
    fn delete(&self, key: &str) -> Result<()>;
    /// All keys that start with `prefix`, sorted.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;
}
