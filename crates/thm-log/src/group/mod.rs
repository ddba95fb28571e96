//! Consumer groups: durable offsets for Kafka clients and connectors, and the classic group protocol.
//!
//! ```text
//!   connectors ── OffsetStore ──┐                      ┌── journal.rs  one line and one fsync per batch
//!                               ├─▶ GroupCoordinator ──┤                (writer.rs: the thread, state.rs: the rules)
//!   Kafka clients ── kafka/api ─┘                      └── live.rs      who is in a group just now
//!                                                           (membership.rs: join, sync, heartbeat, leave)
//! ```
//!
//! Invariants: what [`GroupCoordinator::stored`] shows is durable; a group's life ([`thm_api::Generation`]) only
//! rises, and only while nobody is in the group.

mod admin;
mod journal;
mod live;
mod membership;
mod messages;
mod offsets;
mod protocol;
mod state;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use thm_api::Result;

pub use admin::{GroupDescription, GroupListing, MemberDescription};
pub use journal::{FileStorage, Storage};
pub use messages::{GroupState, JoinAnswer, JoinRefused, JoinRequest, Joined, SyncAnswer, SyncRequest, Synced};
pub use state::{Committed, CommittedAt, DEFAULT_MAX_METADATA_BYTES, StoredGroup};

use journal::Journal;
use live::Live;
use state::Groups;
use writer::Writer;

/// How long an empty group waits for more members before its first assignment. Kafka waits 3 s to spare large
/// groups rebalances; ours are small and a user waits for the first record.
pub const DEFAULT_FIRST_REBALANCE_DELAY: Duration = Duration::from_millis(100);

/// Shortest session timeout a client may ask for; a shorter one would only measure the scheduler.
pub const DEFAULT_MIN_SESSION_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest session timeout a client may ask for, as Kafka's `group.max.session.timeout.ms`.
pub const DEFAULT_MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Age after which a group that no connector uses is forgotten at start, as Kafka's `offsets.retention.minutes`.
pub const DEFAULT_OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// How a coordinator behaves.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The file of stored groups.
    pub path: PathBuf,
    /// See [`DEFAULT_FIRST_REBALANCE_DELAY`].
    pub first_rebalance_delay: Duration,
    /// See [`DEFAULT_MIN_SESSION_TIMEOUT`].
    pub min_session_timeout: Duration,
    /// See [`DEFAULT_MAX_SESSION_TIMEOUT`].
    pub max_session_timeout: Duration,
    /// See [`DEFAULT_OFFSETS_RETENTION`].
    pub offsets_retention: Duration,
}

impl GroupConfig {
    /// Defaults, with groups stored in the file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            first_rebalance_delay: DEFAULT_FIRST_REBALANCE_DELAY,
            min_session_timeout: DEFAULT_MIN_SESSION_TIMEOUT,
            max_session_timeout: DEFAULT_MAX_SESSION_TIMEOUT,
            offsets_retention: DEFAULT_OFFSETS_RETENTION,
        }
    }
}

/// All consumer groups of the process.
pub struct GroupCoordinator {
    config: GroupConfig,
    live: Arc<Live>,
    /// What is durable; written by the writer's thread only.
    published: Arc<RwLock<Groups>>,
    writer: Writer,
    /// Whether the task that ends sessions and rebalances runs; the first member starts it.
    timer_started: AtomicBool,
}

impl fmt::Debug for GroupCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCoordinator").field("path", &self.config.path).finish_non_exhaustive()
    }
}

impl GroupCoordinator {
    /// Opens or creates the file of groups. Errors: `LogIo`, `LogCorrupt`.
    pub fn open(config: GroupConfig) -> Result<Self> {
        let (storage, content) = FileStorage::open(&config.path)?;
        Self::with_storage(config, Box::new(storage), &content)
    }

    /// The same on other storage, for tests that lose what was not synced.
    pub fn with_storage(config: GroupConfig, storage: Box<dyn Storage>, content: &[u8]) -> Result<Self> {
        let name = config.path.display().to_string();
        let (journal, mut groups) = Journal::open(storage, content, &name)?;
        let horizon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let horizon = horizon.saturating_sub(config.offsets_retention).as_millis();
        groups.retain(|_, stored| stored.connector || u128::from(stored.touched_ms) >= horizon);
        let published = Arc::new(RwLock::new(groups));
        let writer = Writer::start(journal, Arc::clone(&published))?;
        Ok(Self { config, live: Arc::default(), published, writer, timer_started: AtomicBool::new(false) })
    }

    /// What is durable of a group, if it has ever committed anything.
    #[must_use]
    pub fn stored(&self, group: &str) -> Option<Arc<StoredGroup>> {
        self.published.read().get(group).filter(|stored| stored.exists).cloned()
    }
}
