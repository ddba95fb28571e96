//! The Redis leaderboard: points of each content over a sliding window, in one sorted set, exactly once.
//!
//! In: records of a topic, one event each. Out: a ZSET of member by points, always the sum over the events of the
//! window. Invariant: everything below changes in one compare-and-set script per batch, or not at all.
//!
//! ```text
//!  thm:top:10m             ZSET  content -> points           what users read
//!  {thm:top:10m}:fence     HASH  generation, config, expired_through, newest, events, members, offset:<uuid>/<n>
//!  {thm:top:10m}:events    HASH  id -> second,units,content  to take points back
//!  {thm:top:10m}:sums      HASH  content -> units            exact sums
//!  {thm:top:10m}:s:<n>     LIST  ids of second n             what expires together
//!
//!  open ──▶ read fence ── ours ───────────────▶ go on at its offsets
//!               │                                     │
//!               └ missing, older generation,          ▼
//!                 other options or topics       write: script names the fence it knows ── same ──▶ changed, Ok
//!                        │                            │                                            ▲
//!                        ▼                            └ another ─▶ read it: past this batch ───────┘
//!                 empty board; re-read from                        else error ─▶ worker opens again
//!                 one window ago ([`rewind`])
//!  tick (1 s) ──▶ expire: the same, with `expired_through`; also without events
//! ```

mod board;
mod client;
mod columns;
pub mod config;
pub mod event;
pub mod fence;
mod json;
pub mod options;
mod rewind;
mod task;
mod values;
pub mod verify;
mod watch;

use async_trait::async_trait;
use thm_api::{
    ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, Error, ErrorKind, Result, Task, TaskContext,
};

pub use config::LeaderboardSettings;
pub use fence::Fence;
pub use task::LeaderboardTask;
pub use watch::BoardWatch;

/// Class `thamanya.connect.redis.LeaderboardSinkConnector`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaderboardConnector;

#[async_trait]
impl Connector for LeaderboardConnector {
    fn class(&self) -> &'static str {
        "thamanya.connect.redis.LeaderboardSinkConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        &options::CONFIG_DEF
    }

    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue> {
        match LeaderboardSettings::parse(config) {
            Ok(_) => Vec::new(),
            Err(error) => vec![ConfigIssue::error(error.object(), error.hint())],
        }
    }

    async fn check(&self, context: &TaskContext) -> Result<()> {
        let settings = LeaderboardSettings::parse(&context.config)?;
        let mut client = client::RedisClient::connect(&settings.target, &context.hosts).await?;
        check_type(&mut client, &settings.key).await
    }

    fn task(&self, context: TaskContext) -> Result<Task> {
        Ok(Task::Sink(Box::new(LeaderboardTask::new(context)?)))
    }
}

/// The key must be free or a sorted set: anything else is somebody's data.
async fn check_type(client: &mut client::RedisClient, key: &str) -> Result<()> {
    let kind: String = client.query("looking at the leaderboard's key", redis::cmd("TYPE").arg(key)).await?;
    if kind == "none" || kind == "zset" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::SinkMismatch, "looking at the leaderboard's key", key)
        .with_source(format!("it holds a {kind}, not a sorted set"))
        .with_hint("Choose another leaderboard.key, or delete what stands there."))
}
