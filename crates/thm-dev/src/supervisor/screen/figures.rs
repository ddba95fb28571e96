//! The engine's `/api/status`, as far as it is shown. What is missing is not shown; what is new is not known.

use std::time::Duration;

use serde::Deserialize;

/// The engine may take this long to answer; busy is no reason to say nothing for minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Figures {
    pub(crate) connectors: Vec<Connector>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) memory_bytes: Option<u64>,
}

/// A source or sink.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Connector {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) class: String,
    pub(crate) state: String,
    pub(crate) retrying: bool,
    pub(crate) records: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) retries: u64,
    pub(crate) dead_letters: u64,
    pub(crate) lag: u64,
    pub(crate) lag_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
    pub(crate) rows: Option<u64>,
    pub(crate) leaderboard: Option<Vec<Place>>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) error: Option<Problem>,
}

/// A place of a leaderboard.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Place {
    pub(crate) member: String,
    pub(crate) title: Option<String>,
    pub(crate) score: f64,
}

/// Where a source reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Postgres {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) slot: String,
    pub(crate) lag_bytes: Option<f64>,
    pub(crate) retained_wal_bytes: Option<f64>,
}

/// A SQL job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Job {
    pub(crate) short_name: String,
    pub(crate) state: String,
    pub(crate) output_topic: String,
    pub(crate) records_out: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) lag: u64,
    pub(crate) p99_seconds: Option<f64>,
    pub(crate) error: Option<Problem>,
}

/// A topic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) records: u64,
    pub(crate) snapshot: Option<Snapshot>,
}

/// How far a snapshot is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Snapshot {
    pub(crate) rows: f64,
    pub(crate) expected: Option<f64>,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Asks for them again and again.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    client: reqwest::Client,
    url: String,
}

impl Source {
    /// Of the engine whose Flink REST listens on this port.
    pub(crate) fn new(port: u16) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(DEFAULT_TIMEOUT).build().unwrap_or_default();
        Self { client, url: format!("http://127.0.0.1:{port}/api/status") }
    }

    /// None if the engine does not answer, or not with what it should.
    pub(crate) async fn fetch(&self) -> Option<Figures> {
        self.client.get(&self.url).send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }
}
