//! The class `com.clickhouse.kafka.connect.ClickHouseSinkConnector`: options in, tasks out.

use async_trait::async_trait;
use thm_api::{ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, Result, Task, TaskContext};

use super::config::ClickHouseConfig;
use super::options;
use super::task::ClickHouseTask;

/// Makes ClickHouse sink tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClickHouseConnector;

#[async_trait]
impl Connector for ClickHouseConnector {
    fn class(&self) -> &'static str {
        "com.clickhouse.kafka.connect.ClickHouseSinkConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        const DEF: ConfigDef = ConfigDef { keys: options::KEYS };
        &DEF
    }

    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue> {
        ClickHouseConfig::issues(config)
    }

    async fn check(&self, context: &TaskContext) -> Result<()> {
        ClickHouseTask::new(context)?.check(&context.config.list("topics")).await
    }

    fn task(&self, context: TaskContext) -> Result<Task> {
        Ok(Task::Sink(Box::new(ClickHouseTask::new(&context)?)))
    }
}
