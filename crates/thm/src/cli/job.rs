//! `thm job list|submit|cancel`: SQL jobs of a running engine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use thm_api::{Error, ErrorKind, ExitCode};
use thm_sql::CompileContext;

use super::output::{self, Output, Table};
use super::run::SqlFailure;
use crate::config::Config;
use crate::engine_client::EngineClient;

/// List, submit and cancel SQL jobs.
#[derive(Args)]
pub struct JobArgs {
    #[command(subcommand)]
    command: Command,
    /// The engine's configuration: where it listens.
    #[arg(long, short, global = true, default_value = ".thm/thm.toml", env = "THM_CONFIG")]
    config: PathBuf,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// All jobs with state, version and lag.
    List,
    /// Put a SQL file in the place of the jobs it names: each goes on where the old one was. A file with an error
    /// changes nothing.
    Submit {
        /// The SQL file.
        file: PathBuf,
        /// Start there instead: earliest, latest, or a time such as 2026-01-02T03:04:05Z. A changed key or look-up needs it.
        #[arg(long, value_name = "PLACE", value_parser = checked_place)]
        from: Option<String>,
    },
    /// End a job; its checkpoint stays, and submitting it again goes on from there.
    Cancel {
        /// Its name, the last part of its name, or its id.
        job: String,
    },
}

/// As given; wrong ones are refused before anything is asked.
fn checked_place(text: &str) -> Result<String, String> {
    let place = text.parse::<thm_sql::From>();
    place.map(|_| text.to_owned()).map_err(|error| format!("{}: {}", error.object(), error.hint()))
}

/// Runs the subcommand.
pub async fn run(args: JobArgs) -> Result<ExitCode> {
    let engine = EngineClient::new(Config::load(&args.config)?)?;
    match args.command {
        Command::List => list(&engine, args.output).await,
        Command::Submit { file, from } => submit(&engine, &file, from, args.output).await,
        Command::Cancel { job } => cancel(&engine, &job).await,
    }
}

async fn jobs(engine: &EngineClient) -> Result<Vec<Value>> {
    let (status, answer) = engine.ask(Method::GET, "/api/status", None).await?;
    match &answer["jobs"] {
        Value::Array(jobs) if status.is_success() => Ok(jobs.clone()),
        _ => bail!("/api/status answers {status}: {answer}"),
    }
}

async fn list(engine: &EngineClient, output: Output) -> Result<ExitCode> {
    let mut table = Table::new(&["name", "state", "version", "in", "out", "lag", "id"]);
    for job in jobs(engine).await? {
        let version = job["version"].as_str().map(short).unwrap_or_default();
        let [name, state, read, written, lag, id] =
            ["name", "state", "records_in", "records_out", "lag", "id"].map(|key| job[key].clone());
        table.row([name, state, version.into(), read, written, lag, id]);
    }
    table.print(output);
    Ok(ExitCode::Ok)
}

/// Enough of a hash to tell versions apart.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

async fn submit(engine: &EngineClient, file: &Path, from: Option<String>, output: Output) -> Result<ExitCode> {
    let unreadable = |error| {
        Error::new(ErrorKind::InvalidConfig, "reading a SQL file", file.display().to_string())
            .with_source(error)
            .with_hint("Name an existing UTF-8 file.")
    };
    let sql = crate::config::read_text(file).map_err(unreadable)?;
    let whole = std::path::absolute(file).map_err(unreadable)?;
    // Here first: an error is shown with its place even when no engine runs.
    let script = thm_sql::compile(&file.display().to_string(), &sql, &CompileContext::default()).map_err(SqlFailure)?;
    if script.jobs.is_empty() {
        return Err(Error::new(ErrorKind::InvalidConfig, "submitting a SQL file", file.display().to_string())
            .with_hint("It has no INSERT, so it starts no job.")
            .into());
    }
    let body = json!({"file": whole, "sql": sql, "from": from});
    let (status, answer) = engine.ask(Method::POST, "/api/jobs", Some(&body)).await?;
    if let Some(diagnostic) = answer["diagnostic"].as_str() {
        output::note(diagnostic);
        return Ok(ExitCode::Usage);
    }
    report(&answer, output)?;
    if status == StatusCode::CONFLICT {
        let (error, hint) = (&answer["error"], &answer["hint"]);
        output::note(&format!("error: {}\n  help: {}", text(error), text(hint)));
        return Ok(ExitCode::Usage);
    }
    if !status.is_success() {
        bail!("/api/jobs answers {status}: {answer}");
    }
    if answer["configured"] == false {
        let whole = whole.display();
        output::note(&format!(
            "note: {whole} is not in the `sql` list of the configuration: it does not start with the engine"
        ));
    }
    Ok(ExitCode::Ok)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn report(answer: &Value, output: Output) -> Result<()> {
    for notice in answer["notices"].as_array().into_iter().flatten() {
        output::note(&format!("note: {}", text(notice)));
    }
    let mut table = Table::new(&["job", "done", "version", "id"]);
    let jobs = answer["jobs"].as_array().filter(|jobs| !jobs.is_empty() || output == Output::Json);
    let Some(jobs) = jobs else { return Ok(()) };
    for job in jobs {
        let version = job["version"].as_str().map(short).unwrap_or_default();
        table.row([job["name"].clone(), job["done"].clone(), version.into(), job["id"].clone()]);
    }
    table.print(output);
    Ok(())
}

async fn cancel(engine: &EngineClient, wanted: &str) -> Result<ExitCode> {
    let jobs = jobs(engine).await?;
    let is_meant = |job: &&Value| ["id", "name", "short_name"].iter().any(|key| job[*key] == wanted);
    let found: Vec<&Value> = jobs.iter().filter(is_meant).collect();
    let [job] = found.as_slice() else {
        let names: Vec<String> = jobs.iter().map(|job| text(&job["name"])).collect();
        let problem = if found.is_empty() { "there is no job" } else { "there are several jobs" };
        return Err(Error::new(ErrorKind::InvalidConfig, "cancelling a job", format!("{problem} '{wanted}'"))
            .with_hint(format!("There are: {}. Give the whole name or the id.", names.join(", ")))
            .into());
    };
    let path = format!("/jobs/{}?mode=cancel", job["id"].as_str().context("a job without id")?);
    let (status, answer) = engine.ask(Method::PATCH, &path, None).await?;
    if !status.is_success() {
        bail!("{}", text(&answer["errors"][0]));
    }
    output::line(&format!("{} is being cancelled", text(&job["name"])));
    Ok(ExitCode::Ok)
}
