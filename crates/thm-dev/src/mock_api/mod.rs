//! `mock-api`: the external API that the HTTP sink posts to, and its memory of what it received.
//!
//! ```text
//!   POST /events ──▶ fault? ──yes──▶ 503, 429 with Retry-After, or silence
//!                      │no
//!                      ▼
//!                  parse (object, array, NDJSON) ──not JSON──▶ 400 {"error":…}
//!                      ▼
//!                  ledger: one line, written ──▶ 200 {"ok":true,"received":true}
//! ```
//!
//! Invariant: a 200 is sent only after the line is in the file, so what the file lacks was never acknowledged.
//! Also: `GET /` OK, `GET /health`, `GET /metrics`, and `GET`/`POST /control` for faults ([`Faults`]).

mod faults;
mod handlers;
mod ledger;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use thm_api::{Error, ErrorKind, ExitCode, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

pub use self::faults::{FailPlan, Faults};
pub use self::ledger::{Counts, LedgerEntry, checksum};

use self::handlers::Api;
use crate::process::local;

/// Options of `mock-api`.
#[derive(Args, Clone, Debug)]
pub struct MockApiArgs {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8088)]
    port: u16,
    /// Address to listen on; a container listens on all, 0.0.0.0
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Append-only file of what was received, one JSON line per request
    #[arg(long, value_name = "FILE", default_value = "events.jsonl")]
    file: PathBuf,
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// `LocalService` when the port is taken or the file cannot be written.
pub async fn run(args: MockApiArgs) -> Result<ExitCode> {
    crate::process::require_free("mock-api", args.port)?;
    let failed = |error: std::io::Error| local("watching for signals", "mock-api", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let api = MockApi::start_on((args.bind, args.port).into(), &args.file).await?;
    tracing::info!(address = %api.address, file = %args.file.display(), "mock api is ready");
    let code = tokio::select! {
        _ = interrupt.recv() => ExitCode::Interrupted,
        _ = terminate.recv() => ExitCode::Ok,
    };
    drop(api);
    Ok(code)
}

/// A mock API inside this process; ends when dropped.
pub struct MockApi {
    address: SocketAddr,
    api: Arc<Api>,
    server: JoinHandle<()>,
}

impl MockApi {
    /// Listens on 127.0.0.1, any free port for 0, and goes on with the ledger at `file`.
    ///
    /// # Errors
    /// `LocalService` when the port is taken or the file cannot be used.
    pub async fn start(port: u16, file: &Path) -> Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), file).await
    }

    /// The same on another address.
    ///
    /// # Errors
    /// As [`MockApi::start`].
    pub async fn start_on(address: SocketAddr, file: &Path) -> Result<Self> {
        let api = Arc::new(Api::new(ledger::Ledger::open(file)?));
        let listener = TcpListener::bind(address).await.map_err(|error| local("listening", address, error))?;
        let address = listener.local_addr().map_err(|error| local("listening", address, error))?;
        let router = handlers::router(Arc::clone(&api));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "mock api stopped serving");
            }
        });
        Ok(Self { address, api, server })
    }

    /// Its address, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was received so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.api.counts()
    }

    /// Makes it misbehave from now on; [`Faults::default`] makes it well again.
    pub fn set_faults(&self, faults: Faults) {
        self.api.set_faults(faults);
    }
}

impl Drop for MockApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads a ledger: what was acknowledged, in order. A last line without an end was never acknowledged and is left out.
///
/// # Errors
/// `LocalService` when the file cannot be read or holds something else.
pub fn read_ledger(file: &Path) -> Result<Vec<LedgerEntry>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(local("reading", file.display(), error)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let entries = whole.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| {
            Error::new(ErrorKind::LocalService, "reading", format!("{} line {}", file.display(), number + 1))
                .with_source(error)
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests;
