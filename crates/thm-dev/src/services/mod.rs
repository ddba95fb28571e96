//! The services of the local stack, each startable by itself, for `thm dev` and for tests.
//!
//! A [`Service`] is a description (where its data lies, which port); [`Running::start`] brings it up and hands
//! back a guard that stops it when dropped.
//!
//! ```text
//!   prepare ──▶ launch ──▶ probe … probe ──▶ initialise ──▶ ready
//!   (files)     (child)    (until it serves)  (schema)
//! ```
//!
//! In a test: `let postgres = Postgres::temporary().await?;` and then `postgres.url()`.

mod clickhouse;
mod external_api;
mod postgres;
mod postgres_schema;
mod redis;
mod run_as;
mod thm;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use thm_api::{Error, ErrorKind, Result};

pub use self::clickhouse::ClickHouse;
pub use self::external_api::{ExternalApi, MockApi};
pub use self::postgres::Postgres;
pub(crate) use self::postgres_schema::{connect as connect_postgres, describe as describe_postgres_error};
pub use self::redis::Redis;
pub use self::thm::{Engine, Generator};
use crate::process::{Folders, Launch, Process};

/// Between two looks at a service that is starting: short beside the fastest start (Redis, 20 ms).
const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// One look may take this long before it counts as failed.
pub(crate) const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// A service that does not serve after this long has failed; a cold disk loads the ClickHouse library in 10 s.
const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of a service's log shown when it does not start.
const DEFAULT_SHOWN_LOG_LINES: usize = 25;

/// A service that runs as one child process.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Its name: of its log, its pid file, and on the command line.
    fn name(&self) -> &'static str;

    /// The ports it listens on, all on 127.0.0.1.
    fn ports(&self) -> Vec<u16>;

    /// Makes its files ready. Comes before every start; `Ok` promises that `launch` can run.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// What to run.
    fn launch(&self) -> Launch;

    /// Looks once; `Ok` promises that it serves.
    async fn probe(&self) -> Result<()>;

    /// Brings its content to what the pipeline needs. Comes after every start; changes nothing the second time.
    async fn initialise(&self) -> Result<()> {
        Ok(())
    }
}

/// A started service; stopped when dropped.
pub struct Running<S: Service + ?Sized> {
    process: Process,
    service: Arc<S>,
    /// Removed after the process has ended: fields drop in order.
    _folder: Option<tempfile::TempDir>,
}

impl<S: Service + ?Sized> Running<S> {
    /// Starts `service` and waits until it serves.
    ///
    /// # Errors
    /// `LocalService` when it ends at once or does not serve in time, with the end of its log. An engine that ended
    /// by its own exit code keeps the code in [`Running::start`]'s error text; see [`StartFailure`].
    pub async fn start(service: Arc<S>, folders: &Folders) -> Result<Self, StartFailure> {
        service.prepare().await?;
        let process = Process::spawn(service.name(), service.launch(), folders).await?;
        await_ready(&*service, &process).await?;
        service.initialise().await?;
        Ok(Self { process, service, _folder: None })
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it as a crash would. Blocks until it is gone.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Stops it in its own way. Blocks until it is gone.
    pub fn stop(&self) {
        self.process.stop();
    }
}

impl<S: Service> Running<S> {
    /// Starts what `describe` makes of a fresh folder, which goes when the service is dropped.
    async fn temporary(describe: impl FnOnce(&Path) -> Result<S>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("thm-")
            .tempdir()
            .map_err(|error| crate::process::local("creating a folder", "for a temporary service", error))?;
        let service = Arc::new(describe(folder.path())?);
        let mut running = Self::start(service, &Folders::create(folder.path())?).await?;
        running._folder = Some(folder);
        Ok(running)
    }
}

impl<S: Service> Deref for Running<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.service
    }
}

/// Why a service did not start.
#[derive(Debug)]
pub struct StartFailure {
    /// The error, with what to do.
    pub error: Error,
    /// The code with which the child ended by itself, if it did.
    pub exit_code: Option<i32>,
    /// The end of its log.
    pub log: String,
}

impl From<Error> for StartFailure {
    fn from(error: Error) -> Self {
        Self { error, exit_code: None, log: String::new() }
    }
}

impl From<StartFailure> for Error {
    fn from(failure: StartFailure) -> Self {
        if failure.log.is_empty() {
            return failure.error;
        }
        let hint = format!("{} The end of its log:\n{}", failure.error.hint(), failure.log);
        failure.error.with_hint(hint)
    }
}

/// Probes until the service serves, its process has ended, or the time is over.
async fn await_ready<S: Service + ?Sized>(service: &S, process: &Process) -> Result<(), StartFailure> {
    let deadline = Instant::now() + DEFAULT_START_TIMEOUT;
    loop {
        let probe = match tokio::time::timeout(DEFAULT_PROBE_TIMEOUT, service.probe()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::LocalService, "waiting for an answer of", service.name()),
        };
        let ended = process.status();
        if ended.is_none() && Instant::now() < deadline {
            tokio::time::sleep(DEFAULT_PROBE_INTERVAL).await;
            continue;
        }
        let why = match ended {
            Some(status) => format!("{} {}", service.name(), crate::process::describe_exit(status)),
            None => format!("{} did not serve within {} s", service.name(), DEFAULT_START_TIMEOUT.as_secs()),
        };
        return Err(StartFailure {
            error: Error::new(ErrorKind::LocalService, "starting", why).with_source(probe),
            exit_code: ended.and_then(|status| status.code()),
            log: process.log_tail(DEFAULT_SHOWN_LOG_LINES),
        });
    }
}

/// Fails unless `url` answers 2xx.
pub(crate) async fn probe_http(url: &str) -> Result<()> {
    let failed = |error: reqwest::Error| crate::process::local("asking", url, error);
    reqwest::get(url).await.map_err(failed)?.error_for_status().map_err(failed)?;
    Ok(())
}
