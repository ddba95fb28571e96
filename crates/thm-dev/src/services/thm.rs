//! The product and its users as services: `thm run` and `thm generate`, children of the supervisor.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use thm_api::Result;

use super::{Service, probe_http};
use crate::process::Launch;

/// From SIGTERM to SIGKILL: a graceful stop flushes three sinks and acknowledges to the slot.
const DEFAULT_ENGINE_GRACE: Duration = Duration::from_secs(30);

/// `PROGRAM run --config FILE`: the engine.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    config: PathBuf,
    connect_port: u16,
    flink_port: u16,
    kafka_ports: [u16; 2],
}

impl Engine {
    /// With its configuration at `config`, which says the same ports.
    #[must_use]
    pub fn new(program: &Path, config: &Path, connect_port: u16, flink_port: u16, kafka_ports: [u16; 2]) -> Self {
        Self { program: program.to_owned(), config: config.to_owned(), connect_port, flink_port, kafka_ports }
    }
}

#[async_trait]
impl Service for Engine {
    fn name(&self) -> &'static str {
        "run"
    }

    fn ports(&self) -> Vec<u16> {
        let [inner, outer] = self.kafka_ports;
        vec![inner, outer, self.connect_port, self.flink_port]
    }

    fn launch(&self) -> Launch {
        let mut launch = Launch::new(&self.program, ["run", "--config"]);
        launch.args.push(self.config.clone().into());
        launch.grace = DEFAULT_ENGINE_GRACE;
        launch
    }

    async fn probe(&self) -> Result<()> {
        probe_http(&format!("http://127.0.0.1:{}/connectors", self.connect_port)).await?;
        probe_http(&format!("http://127.0.0.1:{}/overview", self.flink_port)).await
    }
}

/// `PROGRAM generate`: the users of the platform.
#[derive(Debug)]
pub struct Generator {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Generator {
    /// Inserts `rate` events per second through `postgres`, with more options of `generate`.
    #[must_use]
    pub fn new(program: &Path, postgres: &str, rate: f64, more: &[String]) -> Self {
        let mut args = vec!["generate".into(), "--postgres".into(), postgres.into(), "--rate".into()];
        args.push(rate.to_string().into());
        args.extend(more.iter().map(Into::into));
        Self { program: program.to_owned(), args }
    }
}

#[async_trait]
impl Service for Generator {
    fn name(&self) -> &'static str {
        "generator"
    }

    fn ports(&self) -> Vec<u16> {
        Vec::new()
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.program, &self.args)
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }
}
