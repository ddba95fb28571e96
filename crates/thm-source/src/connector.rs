//! The connector class: options, checks, and the factory of its task.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{
    ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, ErrorKind, Result, Task, TaskContext,
};

use crate::config_def::CONFIG_DEF;
use crate::options::{self, Options};
use crate::session::Session;
use crate::task::PostgresTask;

/// `io.debezium.connector.postgresql.PostgresConnector`, with Debezium's option names.
#[derive(Clone, Debug, Default)]
pub struct PostgresConnector {
    /// Options that the process sets where a connector does not: where transactions spill, how to start.
    defaults: BTreeMap<String, String>,
}

impl PostgresConnector {
    /// Transactions beyond the memory's share wait for their end in this folder (`thm.spool.dir`).
    #[must_use]
    pub fn spooling_in(mut self, folder: &Path) -> Self {
        self.defaults.insert("thm.spool.dir".to_owned(), folder.display().to_string());
        self
    }

    /// Large values that updates leave out are kept in this folder (`thm.toast.dir`).
    #[must_use]
    pub fn keeping_in(mut self, folder: &Path) -> Self {
        self.defaults.insert("thm.toast.dir".to_owned(), folder.display().to_string());
        self
    }

    /// How tasks start where slot and state do not belong together (`thm.start`); obeyed once per text.
    #[must_use]
    pub fn starting_by(mut self, start: &str) -> Self {
        self.defaults.insert("thm.start".to_owned(), start.to_owned());
        self
    }

    fn with_defaults(&self, config: &ConnectorConfig) -> ConnectorConfig {
        let mut values = self.defaults.clone();
        values.extend(config.values().clone());
        ConnectorConfig::new(values)
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    fn class(&self) -> &'static str {
        "io.debezium.connector.postgresql.PostgresConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        &CONFIG_DEF
    }

    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue> {
        options::validate(config)
    }

    /// Logs in. What else may be wrong (`wal_level`, rights, tables, publication) is for the task's start to find out, as
    /// with the real connector: those who manage connectors expect it in the task's state.
    async fn check(&self, context: &TaskContext) -> Result<()> {
        let options = Options::parse(&context.config)?;
        Session::connect(&options, &context.hosts).await.map(drop)
    }

    fn understands(&self, option: &str) -> bool {
        options::is_unlisted(option)
    }

    fn exclusive(&self, config: &ConnectorConfig) -> Vec<(String, &'static str)> {
        let Ok(options) = Options::parse(config) else { return Vec::new() };
        let slot = format!("the slot {} of {}:{}", options.slot, options.host, options.port);
        let prefix = format!("the topic.prefix {}", options.prefix);
        vec![
            (slot, "A slot has one reader: choose another slot.name, which has a slot made of its own."),
            (prefix, "Their records would mix in the same topics: choose another topic.prefix."),
        ]
    }

    fn retry_limit(&self, kind: ErrorKind, config: &ConnectorConfig) -> Option<Duration> {
        match kind {
            ErrorKind::SlotInUse => options::slot_patience(config).ok().flatten(),
            _ => None,
        }
    }

    fn task(&self, mut context: TaskContext) -> Result<Task> {
        context.config = self.with_defaults(&context.config);
        Ok(Task::Source(Box::new(PostgresTask::new(context)?)))
    }
}
