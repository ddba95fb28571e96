//! What an operator does to connectors over REST: delete and register again, move and reset offsets, restart.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A request that the engine does not answer well is repeated for this long: it may be starting.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// One attempt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A client of the Connect REST API.
pub(super) struct Rest {
    base: String,
    http: Client,
}

impl Rest {
    pub(super) fn new(base: &str) -> Result<Self> {
        Ok(Self { base: base.to_owned(), http: Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()? })
    }

    /// One request, repeated until it succeeds; 409 means that the herder is busy.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let deadline = Instant::now() + DEFAULT_PATIENCE;
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.base));
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            let trouble = match request.send().await {
                Ok(answer) if answer.status().is_success() => {
                    return Ok(answer.json().await.unwrap_or(Value::Null));
                }
                // Deleted already, by an attempt whose answer was lost.
                Ok(answer) if answer.status() == 404 && method == Method::DELETE => return Ok(Value::Null),
                Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                bail!("{method} {path}: {trouble}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn status(&self, name: &str) -> Result<Value> {
        self.call(Method::GET, &format!("/connectors/{name}/status"), None).await
    }

    /// Deletes a connector and registers it again.
    pub(super) async fn recreate(&self, name: &str, config: &Value) -> Result<()> {
        self.call(Method::DELETE, &format!("/connectors/{name}"), None).await?;
        self.call(Method::PUT, &format!("/connectors/{name}/config"), Some(&config["config"])).await?;
        Ok(())
    }

    /// Registers a connector once more with the options that it has.
    pub(super) async fn restart(&self, name: &str) -> Result<()> {
        let path = format!("/connectors/{name}/restart?includeTasks=true");
        self.call(Method::POST, &path, None).await.map(drop)
    }

    /// Stops a connector and waits until it is.
    pub(super) async fn stop(&self, name: &str) -> Result<()> {
        self.call(Method::PUT, &format!("/connectors/{name}/stop"), None).await?;
        let deadline = Instant::now() + DEFAULT_PATIENCE;
        loop {
            let status = self.status(name).await?;
            if status["connector"]["state"] == "STOPPED" && status["tasks"].as_array().is_none_or(Vec::is_empty) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{name} does not stop: {status}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn resume(&self, name: &str) -> Result<()> {
        self.call(Method::PUT, &format!("/connectors/{name}/resume"), None).await.map(drop)
    }

    /// Resets a stopped connector's offsets: it starts at the beginning.
    pub(super) async fn reset_offsets(&self, name: &str) -> Result<()> {
        self.call(Method::DELETE, &format!("/connectors/{name}/offsets"), None).await.map(drop)
    }

    /// Moves a stopped connector's offsets back by so many records; gives what it did.
    pub(super) async fn move_back(&self, name: &str, records: i64) -> Result<String> {
        let path = format!("/connectors/{name}/offsets");
        let mut offsets = self.call(Method::GET, &path, None).await?;
        let entries = offsets["offsets"].as_array_mut().context("no list of offsets")?;
        if entries.is_empty() {
            return Ok("it has none yet".to_owned());
        }
        let mut said = Vec::new();
        for entry in entries {
            let now = entry["offset"]["kafka_offset"].as_i64().unwrap_or(0);
            let back = (now - records).max(0);
            entry["offset"]["kafka_offset"] = json!(back);
            said.push(format!("{now} to {back}"));
        }
        self.call(Method::PATCH, &path, Some(&offsets)).await?;
        Ok(said.join(", "))
    }

    /// Connectors and tasks that have given up, with their reason.
    pub(super) async fn failed(&self) -> Result<Vec<String>> {
        let all = self.call(Method::GET, "/connectors?expand=status", None).await?;
        let mut failed = Vec::new();
        for (name, one) in all.as_object().into_iter().flatten() {
            let status = &one["status"];
            let tasks = status["tasks"].as_array().into_iter().flatten();
            for part in std::iter::once(&status["connector"]).chain(tasks) {
                if part["state"] == "FAILED" {
                    let trace = part["trace"].as_str().unwrap_or("no reason given");
                    failed.push(format!("{name} is FAILED: {trace}"));
                }
            }
        }
        Ok(failed)
    }
}
