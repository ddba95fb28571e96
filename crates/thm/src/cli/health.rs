//! `thm health`: whether a service of ours serves, for health checks of containers and for scripts.
//!
//! The engine is healthy when all of its listeners answer and no connector or job has FAILED; one that tries again is
//! healthy, for restarting it would change nothing. Any other service is healthy when it answers with a success.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use thm_api::{Error, ErrorKind, ExitCode};
use tokio::net::TcpStream;

use super::output;
use crate::config::Config;
use crate::engine_client::EngineClient;

/// A health check is asked every few seconds and must not pile up.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Exit with 0 if the engine, or another service, serves.
#[derive(Args)]
pub struct HealthArgs {
    /// The engine's configuration: where it listens.
    #[arg(long, short, default_value = ".thm/thm.toml", env = "THM_CONFIG")]
    config: PathBuf,
    /// Ask this address instead.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Asks once.
pub async fn run(args: HealthArgs) -> Result<ExitCode> {
    let asked = async {
        match args.url {
            Some(url) => other(&url).await,
            None => engine(Config::load(&args.config)?).await,
        }
    };
    let late = |_| {
        let seconds = DEFAULT_TIMEOUT.as_secs();
        Error::new(ErrorKind::LocalService, "asking for health", format!("no answer within {seconds} s"))
    };
    tokio::time::timeout(DEFAULT_TIMEOUT, asked).await.map_err(late)?
}

async fn other(url: &str) -> Result<ExitCode> {
    let unwell = |why: String| Error::new(ErrorKind::LocalService, "asking for health", format!("{url}: {why}"));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(url).send().await.map_err(|error| unwell(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(unwell(answer.status().to_string()).into());
    }
    output::line("ok");
    Ok(ExitCode::Ok)
}

async fn engine(config: Config) -> Result<ExitCode> {
    let engine = EngineClient::new(config)?;
    let server = &engine.config().server;
    for port in server.kafka.iter().map(|listener| listener.port).chain([server.connect_port]) {
        let address = engine.address(port);
        let refused = |error| Error::new(ErrorKind::LocalService, "asking for health", &address).with_source(error);
        TcpStream::connect(&address).await.map_err(refused)?;
    }
    let (_, status) = engine.ask(Method::GET, "/api/status", None).await?;
    let mut count = 0;
    for part in ["connectors", "jobs"].iter().flat_map(|part| status[*part].as_array().into_iter().flatten()) {
        count += 1;
        if part["state"] == "FAILED" {
            let (name, error) = (part["name"].as_str().unwrap_or_default(), &part["error"]["message"]);
            let what = format!("{name} has failed: {}", error.as_str().unwrap_or_default());
            let hint = part["error"]["hint"].as_str().unwrap_or_default();
            return Err(Error::new(ErrorKind::LocalService, "asking for health", what).with_hint(hint).into());
        }
    }
    output::line(&format!("ok, {count} connectors and jobs"));
    Ok(ExitCode::Ok)
}
