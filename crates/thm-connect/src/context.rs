//! What the worker hands to a task loop.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{Completeness, ConnectorConfig, Log, MemoryBudget, OffsetStore, Result, StateStore};

use crate::holds::Cursors;
use crate::retry::RetryPolicy;
use crate::shared_decodes::SharedDecodes;
use crate::status::TaskStatus;

/// Most time for one attempt of a task at anything: a target that says nothing for so long is away.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// One task's surroundings.
#[derive(Clone)]
pub(crate) struct WorkerContext {
    /// Connector name.
    pub(crate) connector: Arc<str>,
    /// Its class.
    pub(crate) class: Arc<str>,
    /// Task number.
    pub(crate) task: u32,
    /// Options, secrets resolved.
    pub(crate) config: ConnectorConfig,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) completeness: Arc<dyn Completeness>,
    pub(crate) offsets: Arc<dyn OffsetStore>,
    /// The whole store: the worker's own keys are in `names`.
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) cursors: Cursors,
    /// What this process's sinks have decoded lately.
    pub(crate) decodes: Arc<SharedDecodes>,
    /// What they have in common beside their shares of memory.
    pub(crate) common: MemoryBudget,
    pub(crate) status: Arc<TaskStatus>,
    pub(crate) settings: Settings,
}

/// Options of the worker that a connector's configuration may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) retry: RetryPolicy,
    /// `thm.write.timeout.ms`
    pub(crate) write_timeout: Duration,
    /// How often offsets are committed.
    pub(crate) commit_interval: Duration,
    /// Most bytes a sink's worker buffers.
    pub(crate) sink_buffer_bytes: usize,
    /// Most bytes of a source's appends that await durability.
    pub(crate) source_in_flight_bytes: usize,
}

impl Settings {
    /// These settings as changed by a connector's options.
    pub(crate) fn with_config(mut self, config: &ConnectorConfig) -> Result<Self> {
        self.retry = RetryPolicy::from_config(config)?;
        let default_ms = u64::try_from(self.write_timeout.as_millis()).unwrap_or(u64::MAX);
        self.write_timeout = Duration::from_millis(config.parse("thm.write.timeout.ms", default_ms)?);
        Ok(self)
    }
}

impl WorkerContext {
    /// Name of the source's producer in the log.
    pub(crate) fn producer(&self) -> Arc<str> {
        format!("source:{}", self.connector).into()
    }

    /// Name of the sink's consumer group.
    pub(crate) fn group(&self) -> String {
        group_of(&self.connector, self.config.get("consumer.override.group.id"))
    }
}

/// The consumer group of a sink: as Kafka Connect names it, unless the connector says otherwise.
pub(crate) fn group_of(connector: &str, given: Option<&str>) -> String {
    given.map_or_else(|| format!("connect-{connector}"), str::to_owned)
}
