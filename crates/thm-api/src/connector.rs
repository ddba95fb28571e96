//! `Connector`: the factory behind a `connector.class`, and the registry that the binary hands to the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    ConfigDef, ConfigIssue, ConnectorConfig, ErrorKind, Failpoints, Hosts, Log, MemoryBudget, Result, SinkTask,
    SourceTask, StateStore,
};

/// Which side of the log a connector stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// Writes the log.
    Source,
    /// Reads the log.
    Sink,
}

impl ConnectorKind {
    /// As Connect's REST API says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// What a task gets when it is made.
#[derive(Clone)]
pub struct TaskContext {
    /// Connector name.
    pub connector: Arc<str>,
    /// Task number, from 0.
    pub task: u32,
    /// The connector's options, secrets resolved.
    pub config: ConnectorConfig,
    /// Names to addresses, for every connection.
    pub hosts: Arc<Hosts>,
    /// Durable facts of this connector; keys are under `connector/<name>/` already.
    pub state: Arc<dyn StateStore>,
    /// Topics, for a task that takes commands from one; what it writes goes by its worker. None where there is no log.
    pub log: Option<Arc<dyn Log>>,
    /// Memory for what the task holds between calls.
    pub budget: MemoryBudget,
    /// Mechanisms that a test switches off.
    pub failpoints: Failpoints,
}

/// A task of either kind.
pub enum Task {
    /// Gives records.
    Source(Box<dyn SourceTask>),
    /// Takes records.
    Sink(Box<dyn SinkTask>),
}

/// One `connector.class`.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// The full class name in users' files.
    fn class(&self) -> &'static str;
    /// Source or sink.
    fn kind(&self) -> ConnectorKind;
    /// Its options.
    fn config_def(&self) -> &ConfigDef;
    /// Checks beyond single options (pairs that contradict, values that need parsing). No network.
    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue>;
    /// Network pre-flight: what can only be known by asking the outside. Run before a task and by `validate`.
    async fn check(&self, context: &TaskContext) -> Result<()>;
    /// Whether an option works although `config_def` does not list it: one whose name has a parameter in it, or one that
    /// only a class named by another option has.
    fn understands(&self, _option: &str) -> bool {
        false
    }
    /// How long a failure of that kind is tried again, from its first one on, before the task fails with it; `None`: as
    /// long as the worker's own options say.
    fn retry_limit(&self, _kind: ErrorKind, _config: &ConnectorConfig) -> Option<Duration> {
        None
    }
    /// What no two connectors may both have: the thing's name (equal for equal things), and what to do about it.
    fn exclusive(&self, _config: &ConnectorConfig) -> Vec<(String, &'static str)> {
        Vec::new()
    }
    /// Makes a task; touches nothing outside.
    fn task(&self, context: TaskContext) -> Result<Task>;
}

/// Connectors by class, in the order they were added.
#[derive(Clone, Default)]
pub struct Registry {
    by_class: BTreeMap<&'static str, Arc<dyn Connector>>,
}

impl Registry {
    /// Adds a class.
    #[must_use]
    pub fn with(mut self, connector: impl Connector) -> Self {
        self.by_class.insert(connector.class(), Arc::new(connector));
        self
    }

    /// By full class name, or by its last part as Connect allows.
    #[must_use]
    pub fn get(&self, class: &str) -> Option<Arc<dyn Connector>> {
        let short = |full: &str| full.rsplit('.').next() == Some(class);
        let found = self
            .by_class
            .get(class)
            .or_else(|| self.by_class.iter().find(|(full, _)| short(full)).map(|(_, connector)| connector));
        found.cloned()
    }

    /// All of them, sorted by class.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.by_class.values()
    }
}
