//! The mock API as a service: a child process under `thm dev`, inside the process in tests.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use thm_api::Result;

use super::{Service, probe_http};
use crate::process::{Launch, local};

pub use crate::mock_api::MockApi;

/// The mock API as a child process, `PROGRAM mock-api`.
#[derive(Debug)]
pub struct ExternalApi {
    program: PathBuf,
    ledger: PathBuf,
    port: u16,
}

impl ExternalApi {
    /// With its append-only file at `ledger`.
    #[must_use]
    pub fn new(program: &Path, ledger: &Path, port: u16) -> Self {
        Self { program: program.to_owned(), ledger: ledger.to_owned(), port }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[async_trait]
impl Service for ExternalApi {
    fn name(&self) -> &'static str {
        "external-api"
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    async fn prepare(&self) -> Result<()> {
        let folder = self.ledger.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| local("creating a folder", folder.display(), error))
    }

    fn launch(&self) -> Launch {
        let mut launch = Launch::new(&self.program, ["mock-api", "--port", &self.port.to_string(), "--file"]);
        launch.args.push(self.ledger.clone().into());
        launch
    }

    async fn probe(&self) -> Result<()> {
        probe_http(&format!("{}/health", self.url())).await
    }
}
