//! The local stack without the product: what `thm` has as subcommands, for the tests of this workspace.
//!
//! `cargo run -p thm-dev --example dev_stack -- clickhouse-engine --data /tmp/ch --port 8123`

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thm_dev::{clickhouse, generator, mock_api};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Insert random events
    Generate(generator::GenerateArgs),
    /// Serve the API that the HTTP sink posts to
    MockApi(mock_api::MockApiArgs),
    /// Serve ClickHouse until standard input closes
    ClickhouseEngine(clickhouse::EngineArgs),
}

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        // Before any thread is started: the engine takes the whole process.
        Command::ClickhouseEngine(args) => clickhouse::run(&args),
        command => run(command),
    };
    match code {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            thm_dev::console::Console::default().plain(&format!("error: {error}\n{}", error.hint()));
            ExitCode::from(error.kind().exit_code() as u8)
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> thm_api::Result<thm_api::ExitCode> {
    match command {
        Command::Generate(args) => generator::run(args).await,
        Command::MockApi(args) => mock_api::run(args).await,
        Command::ClickhouseEngine(args) => clickhouse::run(&args),
    }
}
