//! A small client of the Connect REST API for the tools (`thm connector`, `thm dlq`): ours or a real Kafka Connect's.

use anyhow::{Context, Result, anyhow};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Longest wait for one answer: a stop waits for its tasks.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// One Connect worker.
pub struct ConnectClient {
    http: reqwest::Client,
    url: String,
}

impl ConnectClient {
    /// For the API at `url`; opens nothing.
    pub fn new(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build()?;
        let scheme = if url.contains("://") { "" } else { "http://" };
        Ok(Self { http, url: format!("{scheme}{}", url.trim_end_matches('/')) })
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// One request; null for an empty answer. A refusal is an error with Connect's own message.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| {
            format!(
                "cannot reach Kafka Connect's REST API at {}; is `thm dev` or `thm run` up? (--connect names another \
                 address)",
                self.url
            )
        })?;
        let status = answer.status();
        let text = answer.text().await.context("reading Connect's answer")?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let message = value["message"].as_str().map_or_else(|| text.clone(), str::to_owned);
        if status == StatusCode::NOT_FOUND {
            return Err(anyhow!("{message} (`thm connector list` shows what there is)"));
        }
        Err(anyhow!("{message} ({status})"))
    }

    /// A connector's path, its name escaped.
    pub fn path(name: &str, rest: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let name: String =
            name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        format!("/connectors/{name}{rest}")
    }
}
