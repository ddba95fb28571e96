//! `thm dev`: starts the local stack, keeps it running, and stops it without a trace.
//!
//! ```text
//!  args ──▶ project (the user's files) ──▶ plan (ports, thm.toml, units) ──▶ stack (one loop of events)
//!                                                                              ▲    │
//!           second terminal: thm dev ps|stop|start|restart ──▶ control.sock ───┘    └─▶ screen or lines, verification
//! ```
//!
//! The data folder: `thm.toml` for the engine, a folder per service, `logs/`, `run/` (pid files), `control.sock`, and
//! `dev.lock`, which one supervisor holds at a time.

mod client;
mod control;
mod names;
mod plan;
mod project;
mod screen;
mod stack;
mod status;
mod unit;
mod welcome;

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use thm_api::{Error, ErrorKind, ExitCode, Result};

use crate::args::{parse_duration, parse_rate};
use crate::console::Console;
use crate::process::{Folders, local, reclaim_orphans, require_free};

use self::plan::Plan;
pub(crate) use self::project::Project;
use self::stack::Stack;

/// Options of `thm dev`.
#[derive(Args, Clone, Debug)]
pub struct DevArgs {
    #[command(subcommand)]
    command: Option<DevCommand>,
    /// Folder for data, logs and the engine's configuration
    #[arg(long, value_name = "DIR", default_value = ".thm", global = true, env = "THM_DATA")]
    data: PathBuf,
    #[command(flatten)]
    options: DevOptions,
}

/// What a start of the stack can be told.
#[derive(Args, Clone, Debug)]
pub struct DevOptions {
    /// Folder with connectors/, flink/sql/ and db/init/; by default the working directory, or the program's clone
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Events per second that the generator inserts
    #[arg(long, value_name = "N", default_value_t = 0.2, value_parser = parse_rate)]
    rate: f64,
    /// Rows per transaction of the generator; by default 1, and more above 100 events per second
    #[arg(long, value_name = "N")]
    transaction_rows: Option<u32>,
    /// Start without the generator
    #[arg(long)]
    no_generator: bool,
    /// Start without connectors, for those who create them over REST
    #[arg(long)]
    no_connectors: bool,
    /// Stop the generator after this time, verify all sinks, and exit with 0 only if they are complete and right
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// The usual ports, or free ones
    #[arg(long, value_enum, default_value_t)]
    ports: PortChoice,
    /// Print plain lines instead of the live screen; so it does anyway where there is no terminal
    #[arg(long)]
    plain: bool,
    /// Use this PostgreSQL (user, password, host, port, database) instead of an own one
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Use this ClickHouse instead of an own one
    #[arg(long, value_name = "URL")]
    clickhouse: Option<String>,
    /// Use this Redis instead of an own one
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

/// `--ports`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PortChoice {
    /// 5432, 6379, 8081, 8083, 8088, 8123, 9092 and 19092
    #[default]
    Standard,
    /// Whatever is free
    Auto,
}

/// What can be done from a second terminal. SERVICE is a name of ours or of the original stack, such as
/// postgres, redpanda, clickhouse, redis, flink-jm, connect, external-api, generator.
#[derive(Clone, Debug, Subcommand)]
pub enum DevCommand {
    /// Show the services, their state, memory and ports
    Ps,
    /// Show a service's log
    Logs {
        /// Whose log
        service: String,
        /// Go on as it grows
        #[arg(long, short)]
        follow: bool,
        /// How many of the last lines
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
        lines: usize,
    },
    /// Stop a service
    Stop {
        /// Which
        service: String,
    },
    /// Start a stopped service
    Start {
        /// Which
        service: String,
    },
    /// Stop and start a service
    Restart {
        /// Which
        service: String,
    },
}

/// Runs the stack until Ctrl-C, a signal or the end of `--duration`; or talks to the one that runs.
///
/// # Errors
/// `LocalService` when a service does not start or a port is taken; `InvalidConfig` for wrong options or files.
pub async fn run(args: DevArgs) -> Result<ExitCode> {
    let data = std::path::absolute(&args.data).map_err(|error| local("finding", args.data.display(), error))?;
    match args.command {
        Some(command) => client::run(&data, command).await,
        None => start(&data, &args.options).await,
    }
}

async fn start(data: &Path, options: &DevOptions) -> Result<ExitCode> {
    let console = Console::default();
    let program = std::env::current_exe().map_err(|error| local("finding", "this program", error))?;
    let project = Project::find(options.project.as_deref(), &program)?;
    let folders = Folders::create(data)?;
    let _lock = lock(data)?;
    for name in reclaim_orphans(&folders.pids) {
        console.fact(&name, "stopped, left over from a start before");
    }
    let plan = Plan::make(&program, &project, data, options)?;
    for unit in &plan.units {
        for port in unit.service.ports() {
            require_free(unit.service.name(), port)?;
        }
    }
    plan.write_config()?;
    if let Some(refused) = check_files(&plan).await? {
        return Ok(refused);
    }
    Stack::new(plan, folders, console, options)?.run().await
}

/// Has the engine check its files before anything is started; gives the exit code if they are not in order. The
/// engine says itself what is wrong.
async fn check_files(plan: &Plan) -> Result<Option<ExitCode>> {
    let mut command = tokio::process::Command::new(&plan.program);
    command.args(["run", "--check", "--config"]).arg(&plan.config_file).stdout(std::process::Stdio::null());
    let ended = command.status().await.map_err(|error| local("starting", plan.program.display(), error))?;
    Ok(match ended.code() {
        Some(0) => None,
        Some(4) => Some(ExitCode::DataSafety),
        _ => Some(ExitCode::Usage),
    })
}

/// Holds the data folder for as long as the file lives.
fn lock(data: &Path) -> Result<File> {
    let path = data.join("dev.lock");
    let failed = |error: std::io::Error| local("locking", path.display(), error);
    let mut file =
        fs::OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        let mut owner = String::new();
        file.read_to_string(&mut owner).map_err(failed)?;
        let owner = format!("{}, used by pid {}", data.display(), owner.trim());
        return Err(Error::new(ErrorKind::DataFolder, "taking the data folder", owner)
            .with_hint("Stop that `thm dev`, or choose another folder with --data and free ports with --ports auto."));
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}
