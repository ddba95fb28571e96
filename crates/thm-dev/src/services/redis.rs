//! Redis: the system's `redis-server`, with what it holds kept over restarts in an append-only file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use thm_api::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Running, Service};
use crate::process::{Launch, free_ports, local};

/// A Redis on 127.0.0.1.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    port: u16,
}

impl Redis {
    /// With its data in `folder`.
    #[must_use]
    pub fn new(folder: &Path, port: u16) -> Self {
        Self { folder: folder.to_owned(), port }
    }

    /// A fresh one on a free port, for tests.
    ///
    /// # Errors
    /// `LocalService` when it does not start.
    pub async fn temporary() -> Result<Running<Self>> {
        let [port] = free_ports()?;
        Running::temporary(|folder| Ok(Self::new(&folder.join("redis"), port))).await
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[async_trait]
impl Service for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    async fn prepare(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|error| local("creating a folder", self.folder.display(), error))
    }

    fn launch(&self) -> Launch {
        let port = self.port.to_string();
        let options = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "yes"];
        let mut launch = Launch::new("redis-server", options);
        // Relative file names of Redis land in its working directory.
        launch.directory = Some(self.folder.clone());
        launch
    }

    async fn probe(&self) -> Result<()> {
        let failed = |error: std::io::Error| local("asking Redis", self.url(), error);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(failed)?;
        stream.write_all(b"PING\r\n").await.map_err(failed)?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await.map_err(failed)?;
        // While it loads its file it answers -LOADING.
        if answer.starts_with(b"+PONG") {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::LocalService, "asking Redis", "it is still loading"))
        }
    }
}
