//! `thm run`: the engine, until it is told to stop.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use thm_api::ExitCode;

use super::output;
use crate::config::{self, Config};
use crate::engine::{self, Engine};
use crate::telemetry;

/// Run the engine against existing services.
#[derive(Args)]
#[command(after_long_help = config::KEYS)]
pub struct RunArgs {
    /// Configuration file.
    #[arg(long, short, default_value = "thm.toml", env = "THM_CONFIG")]
    config: PathBuf,
    /// Check the configuration, the SQL files and the connector files, start nothing, and exit.
    #[arg(long)]
    check: bool,
    /// Where slot and state do not belong together: take a new snapshot.
    #[arg(long, conflicts_with = "from_slot")]
    resnapshot: bool,
    /// Where slot and state do not belong together: go on from what the slot still has.
    #[arg(long)]
    from_slot: bool,
}

impl RunArgs {
    /// The option `thm.start` for this start alone: its text is obeyed once.
    fn source_start(&self) -> Option<String> {
        let word = match (self.resnapshot, self.from_slot) {
            (true, _) => "resnapshot",
            (false, true) => "from-slot",
            (false, false) => return None,
        };
        Some(format!("{word}:{}", uuid::Uuid::new_v4()))
    }
}

/// A SQL text that is wrong, to be shown with line, column and caret.
#[derive(Debug, thiserror::Error)]
#[error("the SQL file has an error")]
pub struct SqlFailure(pub thm_sql::SqlDiagnostic);

/// Starts the engine and waits for Ctrl-C or SIGTERM; then stops it gracefully.
pub async fn run(args: RunArgs) -> Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if args.check {
        output::line(&engine::check(&config)?);
        return Ok(ExitCode::Ok);
    }
    let metrics = telemetry::start_metrics()?;
    let mut signals = Signals::new()?;
    let engine = tokio::select! {
        started = Engine::start(config, metrics, args.source_start()) => started?,
        code = signals.wait() => return Ok(code),
    };
    let code = tokio::select! {
        code = signals.wait() => code,
        failure = engine.failed() => return Err(failure),
    };
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        () = engine.stop() => Ok(code),
        _ = signals.wait() => Ok(ExitCode::Interrupted),
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The exit code that goes with the signal that came.
    async fn wait(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Ok,
        }
    }
}
