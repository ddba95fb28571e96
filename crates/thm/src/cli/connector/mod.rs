//! `thm connector`: what runs, and pause, restart and offsets of it, over the Connect REST API.

mod offsets;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::output::{Output, Table, line, note};
use crate::connect_client::ConnectClient;

/// Longest wait until a connector is what it was asked to be.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const SETTLE_POLL: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  thm connector list
  thm connector status clickhouse.enriched.sink
  thm connector restart clickhouse.enriched.sink --only-failed
  thm connector offsets show redis.leaderboard
  thm connector offsets reset http.enriched.sink --to earliest --stop

pause keeps the tasks and their places; stop takes the tasks away, which is what a change of offsets needs.";

/// Look after connectors over the Connect REST API.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ConnectorArgs {
    #[command(subcommand)]
    command: Command,
    /// Connect REST API.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8083", env = "THM_CONNECT")]
    connect: String,
    /// Kafka address, for the ranges of topics.
    #[arg(long, short, global = true, default_value = "127.0.0.1:9092", env = "THM_BOOTSTRAP")]
    bootstrap: String,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// All connectors with their states.
    List,
    /// One connector: state, what troubles it, where it stands.
    Status {
        /// Connector name.
        name: String,
    },
    /// End its tasks for a while; `resume` goes on at the same place.
    Pause {
        /// Connector name.
        name: String,
    },
    /// Go on after `pause` or `stop`.
    Resume {
        /// Connector name.
        name: String,
    },
    /// Start its tasks again, for example after the cause of a failure is gone.
    Restart {
        /// Connector name.
        name: String,
        /// Only tasks that have failed.
        #[arg(long)]
        only_failed: bool,
    },
    /// Take its tasks away; its offsets may be changed then.
    Stop {
        /// Connector name.
        name: String,
    },
    /// Where a sink stands in its topics, and setting it elsewhere.
    Offsets(offsets::OffsetsArgs),
}

/// Runs the subcommand.
pub async fn run(args: ConnectorArgs) -> Result<()> {
    let connect = ConnectClient::new(&args.connect)?;
    match args.command {
        Command::List => list(&connect, args.output).await,
        Command::Status { name } => status(&connect, &name, args.output).await,
        Command::Pause { name } => change(&connect, &name, "pause", "PAUSED", args.output).await,
        Command::Resume { name } => change(&connect, &name, "resume", "RUNNING", args.output).await,
        Command::Stop { name } => change(&connect, &name, "stop", "STOPPED", args.output).await,
        Command::Restart { name, only_failed } => restart(&connect, &name, only_failed, args.output).await,
        Command::Offsets(offsets) => offsets::run(&connect, &args.bootstrap, offsets, args.output).await,
    }
}

async fn list(connect: &ConnectClient, output: Output) -> Result<()> {
    let all = connect.get("/connectors?expand=status&expand=info").await?;
    let mut table = Table::new(&["connector", "type", "state", "task", "class"]);
    for (name, both) in all.as_object().into_iter().flatten() {
        let (status, info) = (&both["status"], &both["info"]);
        let class = info["config"]["connector.class"].as_str().unwrap_or_default();
        let class = class.rsplit('.').next().unwrap_or_default();
        table.row([
            json!(name),
            info["type"].clone(),
            status["connector"]["state"].clone(),
            json!(task_state(status)),
            json!(class),
        ]);
    }
    table.print(output);
    Ok(())
}

/// The worst state of its tasks.
fn task_state(status: &Value) -> &str {
    let states = status["tasks"].as_array().into_iter().flatten().filter_map(|task| task["state"].as_str());
    let worst = |state: &&str| match *state {
        "FAILED" => 3,
        "RUNNING" => 1,
        _ => 2,
    };
    states.max_by_key(worst).unwrap_or("-")
}

async fn status(connect: &ConnectClient, name: &str, output: Output) -> Result<()> {
    let status = connect.get(&ConnectClient::path(name, "/status")).await?;
    let offsets = connect.get(&ConnectClient::path(name, "/offsets")).await?;
    if output == Output::Json {
        let mut whole = status;
        whole["offsets"] = offsets["offsets"].clone();
        line(&whole.to_string());
        return Ok(());
    }
    line(&format!("{name}  {}  {}", status["type"].as_str().unwrap_or_default(), state_of(&status)));
    for task in status["tasks"].as_array().into_iter().flatten() {
        line(&format!("  task {}  {}", task["id"], task["state"].as_str().unwrap_or_default()));
        for trace in task["trace"].as_str().unwrap_or_default().lines() {
            line(&format!("    {trace}"));
        }
    }
    for entry in offsets["offsets"].as_array().into_iter().flatten() {
        line(&format!("  at {} {}", entry["partition"], entry["offset"]));
    }
    Ok(())
}

fn state_of(status: &Value) -> &str {
    status["connector"]["state"].as_str().unwrap_or_default()
}

/// Asks for a change of state and waits until connector and tasks are there.
async fn change(connect: &ConnectClient, name: &str, action: &str, wanted: &str, output: Output) -> Result<()> {
    to_state(connect, name, action, wanted).await?;
    if output == Output::Json {
        line(&json!({"connector": name, "state": wanted}).to_string());
    } else {
        line(&format!("{name} is {wanted}"));
    }
    Ok(())
}

async fn to_state(connect: &ConnectClient, name: &str, action: &str, wanted: &str) -> Result<()> {
    connect.ask(Method::PUT, &ConnectClient::path(name, &format!("/{action}")), None).await?;
    settle(connect, name, wanted).await
}

async fn settle(connect: &ConnectClient, name: &str, wanted: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let status = connect.get(&ConnectClient::path(name, "/status")).await?;
        let task = task_state(&status);
        if task == "FAILED" {
            let trace = status["tasks"][0]["trace"].as_str().unwrap_or_default();
            bail!("{name} is {}, its task is FAILED:\n{trace}", state_of(&status));
        }
        if state_of(&status) == wanted && [wanted, "-"].contains(&task) && (task != "-" || wanted != "RUNNING") {
            return Ok(());
        }
        if started.elapsed() > SETTLE_TIMEOUT {
            bail!("{name} is still {} (its task {task}) after {SETTLE_TIMEOUT:?}", state_of(&status));
        }
        tokio::time::sleep(SETTLE_POLL).await;
    }
}

async fn restart(connect: &ConnectClient, name: &str, only_failed: bool, output: Output) -> Result<()> {
    let state = connect.get(&ConnectClient::path(name, "/status")).await?;
    if state_of(&state) != "RUNNING" {
        bail!("{name} is {}: use `thm connector resume {name}`", state_of(&state));
    }
    if only_failed && task_state(&state) != "FAILED" {
        note(&format!("no task of {name} has failed: nothing to restart"));
        return Ok(());
    }
    let query = format!("/restart?includeTasks=true&onlyFailed={only_failed}");
    connect.ask(Method::POST, &ConnectClient::path(name, &query), None).await?;
    settle(connect, name, "RUNNING").await?;
    if output == Output::Json {
        line(&json!({"connector": name, "state": "RUNNING"}).to_string());
    } else {
        line(&format!("{name} is RUNNING"));
    }
    Ok(())
}
