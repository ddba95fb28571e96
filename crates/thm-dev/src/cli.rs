//! The subcommands as the binary wires them up.

use anyhow::Result;
use thm_api::ExitCode;

use crate::bench::{BenchArgs, EncodingCost, Probes};
use crate::clickhouse::EngineArgs;
use crate::faults::FaultsArgs;
use crate::faults::outages::OutagesArgs;
use crate::generator::GenerateArgs;
use crate::mock_api::MockApiArgs;
use crate::supervisor::DevArgs;
use crate::{bench, clickhouse, faults, generator, mock_api, supervisor};

/// `thm dev`, with its subcommands for the second terminal.
///
/// # Errors
/// A [`thm_api::Error`]; its kind says the exit code.
pub async fn run_dev(args: DevArgs) -> Result<ExitCode> {
    Ok(supervisor::run(args).await?)
}

/// `thm generate`.
///
/// # Errors
/// A [`thm_api::Error`].
pub async fn run_generate(args: GenerateArgs) -> Result<ExitCode> {
    Ok(generator::run(args).await?)
}

/// `thm mock-api`.
///
/// # Errors
/// A [`thm_api::Error`].
pub async fn run_mock_api(args: MockApiArgs) -> Result<ExitCode> {
    Ok(mock_api::run(args).await?)
}

/// `thm bench`.
///
/// # Errors
/// When a service or the engine does not start or gets stuck.
pub async fn run_bench(
    args: BenchArgs,
    probes: Probes<impl AsyncFn(u64) -> Result<Vec<EncodingCost>>>,
) -> Result<ExitCode> {
    bench::run(args, probes).await
}

/// `thm faults`.
///
/// # Errors
/// When a service does not start.
pub async fn run_faults(args: FaultsArgs) -> Result<ExitCode> {
    faults::run(args).await
}

/// `thm outages`.
///
/// # Errors
/// When a service does not start.
pub async fn run_outages(args: OutagesArgs) -> Result<ExitCode> {
    faults::outages::run(args).await
}

/// `thm clickhouse-engine`: blocks, and ends the process itself when all went well. To be called outside of a runtime.
///
/// # Errors
/// A [`thm_api::Error`].
pub fn run_clickhouse_engine(args: EngineArgs) -> Result<ExitCode> {
    Ok(clickhouse::run(&args)?)
}
