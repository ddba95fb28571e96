//! A small client of a running engine's own API, for the tools: where it listens stands in its configuration.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::config::Config;

/// Longest wait for one answer: a job that is replaced ends with a checkpoint first.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// One engine.
pub struct EngineClient {
    http: reqwest::Client,
    host: String,
    config: Config,
}

impl EngineClient {
    /// For the engine of that configuration; opens nothing.
    pub fn new(config: Config) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build()?;
        // An address that means "all" is no address to go to.
        let bind = config.server.bind.parse().unwrap_or(std::net::IpAddr::from([127, 0, 0, 1]));
        let host = if bind.is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            std::net::SocketAddr::new(bind, 0).ip().to_string()
        };
        Ok(Self { http, host, config })
    }

    /// Its host and a port of it.
    pub fn address(&self, port: u16) -> String {
        let host = &self.host;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// What it was started with.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// One request to the port of page and Flink REST: status and body, whatever they are.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let url = format!("http://{}{path}", self.address(self.config.server.flink_port));
        let mut request = self.http.request(method, &url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = request.send().await;
        let answer =
            sent.with_context(|| format!("the engine does not answer at {url}; is `thm dev` or `thm run` up?"))?;
        let status = answer.status();
        let text = answer.text().await.context("reading the engine's answer")?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}
