//! The connector class: options, checks, and the factory of its task.

use async_trait::async_trait;
use thm_api::{ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, Result, Task, TaskContext};

use crate::config_def::CONFIG_DEF;
use crate::options::{self, Options, named_tables};
use crate::preflight;
use crate::session::Session;
use crate::task::PostgresTask;

/// `io.debezium.connector.postgresql.PostgresConnector`, with Debezium's option names.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresConnector;

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

    /// Reaches the server and checks rights, tables and publication. Creates nothing; whether the slot is ours and free
    /// is for the task's start to find out, for a running task uses it.
    async fn check(&self, context: &TaskContext) -> Result<()> {
        let options = Options::parse(&context.config)?;
        let session = Session::connect(&options, &context.hosts).await?;
        preflight::check_server(&session, &options).await?;
        let tables = preflight::captured_tables(&session, &options, &named_tables(&context.config)).await?;
        preflight::check_publication(&session, &options, &tables, false).await
    }

    fn task(&self, context: TaskContext) -> Result<Task> {
        Ok(Task::Source(Box::new(PostgresTask::new(context)?)))
    }
}
