//! The HTTP sink: each record's stored bytes as a POST, at least once, in order per key, with an idempotency key.
//!
//! In: records of a topic. Out: requests to one URL. Invariant: a record is only reported as delivered after a 2xx,
//! and the next record of its key is first sent after that.
//!
//! ```text
//!  batch ─▶ [`body`] skip tombstones, snapshot rows ─▶ [`attempt`] by key to [`lanes`], or several in one body ─▶ POST
//!                                                          │               [`connection`] ▲ [`identity`] Idempotency-Key
//!            [`delivered`] what a failed attempt got through ◀─┤
//!                                                          ▼
//!                  [`answer`] 2xx | later (worker's back-off, Retry-After) | denied (stop) | refused (dead letter)
//! ```

mod answer;
mod attempt;
mod body;
pub mod config;
mod connection;
mod delivered;
mod endpoint;
mod identity;
mod lanes;
pub mod options;
mod poster;
mod response;
mod task;

use async_trait::async_trait;
use thm_api::{ConfigDef, ConfigIssue, Connector, ConnectorConfig, ConnectorKind, Result, Task, TaskContext};
use tokio::time::timeout;

use self::endpoint::Endpoint;
pub use config::HttpSettings;
pub use task::HttpTask;

/// Class `io.aiven.kafka.connect.http.HttpSinkConnector`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpConnector;

#[async_trait]
impl Connector for HttpConnector {
    fn class(&self) -> &'static str {
        "io.aiven.kafka.connect.http.HttpSinkConnector"
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        &options::CONFIG_DEF
    }

    fn validate(&self, config: &ConnectorConfig) -> Vec<ConfigIssue> {
        config::issues(config)
    }

    /// Whether anything listens: a request would be a delivery.
    async fn check(&self, context: &TaskContext) -> Result<()> {
        let settings = HttpSettings::parse(&context.config)?;
        let endpoint = Endpoint::new(&settings, &context.hosts)?;
        let connected = timeout(settings.timeout, endpoint.connect()).await.unwrap_or_else(|late| Err(late.into()));
        let failed = |error| endpoint::unreached("connecting to the HTTP target", settings.target(), error);
        connected.map(drop).map_err(failed)
    }

    fn task(&self, context: TaskContext) -> Result<Task> {
        Ok(Task::Sink(Box::new(HttpTask::new(context)?)))
    }
}
