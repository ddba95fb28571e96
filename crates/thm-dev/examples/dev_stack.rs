//! The local stack without the product: what `thm` has as subcommands of this crate, for the tests of this workspace.
//!
//! `cargo run -p thm-dev --example dev_stack -- clickhouse-engine --data /tmp/ch --port 8123`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole stack
    Dev(thm_dev::DevArgs),
    /// Insert random events
    Generate(thm_dev::GenerateArgs),
    /// Serve the API that the HTTP sink posts to
    MockApi(thm_dev::MockApiArgs),
    /// Serve ClickHouse until standard input closes
    ClickhouseEngine(thm_dev::ClickHouseEngineArgs),
    /// Stand in for the engine: answer on its two REST ports and do nothing
    Run(StandInArgs),
    /// Stand in for the verification: pass if the engine's stand-in answers
    Verify(StandInArgs),
}

#[derive(Args)]
struct StandInArgs {
    #[arg(long)]
    config: PathBuf,
    /// Check the files and exit; these stand-ins have none.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        // Before any thread is started: the engine takes the whole process.
        Command::ClickhouseEngine(args) => thm_dev::run_clickhouse_engine(args),
        command => run(command),
    };
    let error = match result {
        Ok(code) => return ExitCode::from(code as u8),
        Err(error) => error,
    };
    let known = error.downcast_ref::<thm_api::Error>();
    let hint = known.map(thm_api::Error::hint).unwrap_or_default();
    thm_dev::console::Console::default().plain(&format!("error: {error}\n  help: {hint}"));
    ExitCode::from(known.map_or(1, |known| known.kind().exit_code() as u8))
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<thm_api::ExitCode> {
    match command {
        Command::Dev(args) => thm_dev::run_dev(args).await,
        Command::Generate(args) => thm_dev::run_generate(args).await,
        Command::MockApi(args) => thm_dev::run_mock_api(args).await,
        Command::ClickhouseEngine(args) => thm_dev::run_clickhouse_engine(args),
        Command::Run(args) => serve(&args).await,
        Command::Verify(args) => verify(&args).await,
    }
}

/// A port that the supervisor wrote into `thm.toml`.
fn port(args: &StandInArgs, key: &str) -> anyhow::Result<u16> {
    let config: toml::Table = toml::from_str(&std::fs::read_to_string(&args.config)?)?;
    let port = config.get("server").and_then(|server| server.get(key)?.as_integer()).context("no such port")?;
    Ok(u16::try_from(port)?)
}

async fn serve(args: &StandInArgs) -> anyhow::Result<thm_api::ExitCode> {
    if args.check {
        return Ok(thm_api::ExitCode::Ok);
    }
    let router = axum::Router::new()
        .route("/connectors", axum::routing::get(async || "[]"))
        .route("/overview", axum::routing::get(async || "{}"))
        .route("/api/status", axum::routing::get(async || r#"{"jobs":[{"state":"RUNNING","records_out":4000}]}"#));
    let listen = async |key| anyhow::Ok(tokio::net::TcpListener::bind(("127.0.0.1", port(args, key)?)).await?);
    let (connect, flink) = (listen("connect_port").await?, listen("flink_port").await?);
    tokio::try_join!(axum::serve(connect, router.clone()), axum::serve(flink, router))?;
    Ok(thm_api::ExitCode::Ok)
}

async fn verify(args: &StandInArgs) -> anyhow::Result<thm_api::ExitCode> {
    let answer = reqwest::get(format!("http://127.0.0.1:{}/overview", port(args, "flink_port")?)).await?;
    let passes = answer.status().is_success();
    Ok(if passes { thm_api::ExitCode::Ok } else { thm_api::ExitCode::VerificationFailed })
}
