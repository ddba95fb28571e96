//! ClickHouse: the engine of [`crate::clickhouse`] as a child process, with the database and table the sink writes to.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use thm_api::{Error, ErrorKind, Result};

use super::{Running, Service, probe_http};
use crate::clickhouse::{engine_program, library_path};
use crate::process::{Launch, free_ports, local};

/// What the sink writes to, as the contract has it.
const SCHEMA: [&str; 2] = ["CREATE DATABASE IF NOT EXISTS thm", include_str!("../../sql/enriched_events.sql")];

/// A ClickHouse engine on 127.0.0.1.
#[derive(Debug)]
pub struct ClickHouse {
    program: PathBuf,
    library: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl ClickHouse {
    /// With its data in `folder`, run by `program`'s subcommand `clickhouse-engine`.
    ///
    /// # Errors
    /// `LocalService` when the library is not installed.
    pub fn new(program: &Path, folder: &Path, port: u16) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|error| local("finding", folder.display(), error))?;
        Ok(Self { program: program.to_owned(), library: library_path()?, folder, port })
    }

    /// A fresh one on a free port, with the contract's table, for tests.
    ///
    /// # Errors
    /// `LocalService` when it does not start.
    pub async fn temporary() -> Result<Running<Self>> {
        let [port] = free_ports()?;
        // It may have to be built first, which must not hold up what starts beside it.
        let program = tokio::task::spawn_blocking(engine_program).await;
        let program = program.map_err(|error| local("finding", "the program that serves ClickHouse", error))??;
        Running::temporary(|folder| Self::new(&program, &folder.join("clickhouse"), port)).await
    }

    /// Its HTTP interface. User `default`, no password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its HTTP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs one statement and gives its answer as text.
    ///
    /// # Errors
    /// `LocalService` when it cannot be reached or refuses, with ClickHouse's words.
    pub async fn query(&self, statement: &str) -> Result<String> {
        query(&self.url(), statement).await
    }
}

/// Runs one statement over HTTP.
pub(crate) async fn query(url: &str, statement: &str) -> Result<String> {
    let failed = |error: reqwest::Error| local("asking ClickHouse", url, error);
    let answer = reqwest::Client::new().post(url).body(statement.to_owned()).send().await.map_err(failed)?;
    let is_ok = answer.status().is_success();
    let text = answer.text().await.map_err(failed)?;
    if is_ok { Ok(text) } else { Err(Error::new(ErrorKind::LocalService, "asking ClickHouse", text.trim())) }
}

#[async_trait]
impl Service for ClickHouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    async fn prepare(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|error| local("creating a folder", self.folder.display(), error))
    }

    fn launch(&self) -> Launch {
        let mut launch =
            Launch::new(&self.program, ["clickhouse-engine", "--port", &self.port.to_string(), "--library"]);
        launch.args.push(self.library.clone().into());
        launch.args.extend(["--data".into(), self.folder.clone().into()]);
        launch.directory = Some(self.folder.clone());
        launch.until_input_closes = true;
        launch
    }

    async fn probe(&self) -> Result<()> {
        probe_http(&format!("{}/ping", self.url())).await
    }

    async fn initialise(&self) -> Result<()> {
        for statement in SCHEMA {
            self.query(statement).await?;
        }
        Ok(())
    }
}
