//! `thm`: PostgreSQL's changes, enriched with Flink SQL, in ClickHouse, Redis and any HTTP API.

mod captures;
mod cli;
mod config;
mod connect_client;
mod encoding_cost;
mod engine;
mod engine_client;
mod evaluation_cost;
mod kafka_client;
mod server;
mod telemetry;
mod verify;

use std::process;

use clap::{Parser, Subcommand};
use thm_api::ExitCode;

/// Gives memory back soon, whichever thread frees it: full speed stays below 150 MB.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// PostgreSQL → Debezium topics → Flink SQL → ClickHouse, Redis, HTTP, in one process.
#[derive(Parser)]
#[command(name = "thm", version, about, long_about = None, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  thm dev                           start everything locally, with sample data
  thm dev --duration 60s            the same for a minute, then verify and stop
  thm run --config thm.toml         the engine alone, against existing services
  thm verify                        prove that every sink equals the source
  thm topic consume thm.enriched.events --follow
  thm job submit flink/sql/01_enrich.sql   an edited job goes on where the old one was

Exit codes: 0 ok, 1 verification failed, 2 usage, config or SQL, 3 service unreachable, 4 data-safety stop, 130 Ctrl-C.";

#[derive(Subcommand)]
enum Command {
    /// Start the local stack: PostgreSQL, Redis, ClickHouse, mock API, generator and the engine.
    Dev(thm_dev::DevArgs),
    /// Run the engine against existing services.
    Run(cli::run::RunArgs),
    /// Compare every sink with the source.
    Verify(verify::VerifyArgs),
    /// The user's smoke test: two samples through Kafka into ClickHouse and Redis.
    Smoke(cli::smoke::SmokeArgs),
    /// Look into topics over the Kafka protocol.
    Topic(cli::topic::TopicArgs),
    /// Look after connectors: states, restarts, offsets.
    Connector(cli::connector::ConnectorArgs),
    /// Dead letters: records that sinks refused, why, and sending them again.
    Dlq(cli::dlq::DlqArgs),
    /// List, submit and cancel SQL jobs of a running engine.
    Job(cli::job::JobArgs),
    /// Try Flink SQL: check or explain a file, see its first rows, or ask queries in a shell.
    Sql(cli::sql::SqlArgs),
    /// Exit with 0 if the engine, or another service, serves.
    Health(cli::health::HealthArgs),
    /// Insert random events into PostgreSQL.
    Generate(thm_dev::GenerateArgs),
    /// The external HTTP API of the demo.
    MockApi(thm_dev::MockApiArgs),
    /// Measure the budget's rows (used by `make bench`).
    #[command(hide = true)]
    Bench(thm_dev::BenchArgs),
    /// Random changes and random faults on a stack of its own, then verify (used by `make faults`).
    #[command(hide = true)]
    Faults(thm_dev::FaultsArgs),
    /// Long outages of one part at a steady rate, and what the others notice (used by `make outages`).
    #[command(hide = true)]
    Outages(thm_dev::OutagesArgs),
    /// Serve the ClickHouse engine (used by `thm dev`).
    #[command(hide = true)]
    ClickhouseEngine(thm_dev::ClickHouseEngineArgs),
}

fn main() {
    let cli = Cli::parse();
    let code = match cli.command {
        // The engine is a C library that wants the process for itself: no runtime around it.
        Command::ClickhouseEngine(args) => finish(thm_dev::run_clickhouse_engine(args)),
        command => {
            // A shell answers with the error itself.
            telemetry::start_logging(if matches!(command, Command::Sql(_)) { "off" } else { "info" });
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            match runtime {
                Ok(runtime) => finish(runtime.block_on(run(command))),
                Err(error) => finish(Err(error.into())),
            }
        }
    };
    process::exit(code as i32);
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(args) => thm_dev::run_dev(args).await,
        Command::Run(args) => cli::run::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Smoke(args) => cli::smoke::run(args).await,
        Command::Topic(args) => cli::topic::run(args).await.map(|()| ExitCode::Ok),
        Command::Connector(args) => cli::connector::run(args).await.map(|()| ExitCode::Ok),
        Command::Dlq(args) => cli::dlq::run(args).await.map(|()| ExitCode::Ok),
        Command::Job(args) => cli::job::run(args).await,
        Command::Sql(args) => cli::sql::run(args).await,
        Command::Health(args) => cli::health::run(args).await,
        Command::Generate(args) => thm_dev::run_generate(args).await,
        Command::MockApi(args) => thm_dev::run_mock_api(args).await,
        Command::Bench(args) => {
            let probes =
                thm_dev::BenchProbes { encoding: encoding_cost::measure, evaluation: evaluation_cost::measure };
            thm_dev::run_bench(args, probes).await
        }
        Command::Faults(args) => thm_dev::run_faults(args).await,
        Command::Outages(args) => thm_dev::run_outages(args).await,
        Command::ClickhouseEngine(_) => Ok(ExitCode::Usage),
    }
}

/// Prints what went wrong, and goes on.
pub(crate) fn show_error(error: anyhow::Error) -> ExitCode {
    finish(Err(error))
}

/// Prints what went wrong, with the next step, and picks the exit code.
fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(diagnostic) = error.downcast_ref::<cli::run::SqlFailure>() {
        cli::output::note(&format!("{:?}", miette::Report::new(diagnostic.0.clone())));
        return ExitCode::Usage;
    }
    // An error of our own prints what lies below itself.
    if let Some(known) = error.chain().find_map(|cause| cause.downcast_ref::<thm_api::Error>()) {
        cli::output::note(&format!("error: {known}\n  help: {}", known.hint()));
        return known.kind().exit_code();
    }
    cli::output::note(&format!("error: {error:#}"));
    let unreachable = error.chain().any(|cause| cause.is::<std::io::Error>() || cause.is::<reqwest::Error>());
    if unreachable { ExitCode::Unreachable } else { ExitCode::Usage }
}
