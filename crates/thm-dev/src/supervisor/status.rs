//! What is shown while the stack runs: a line every few seconds, and the table of `thm dev ps`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::console::{Console, grouped};
use crate::process::trim_log;

use super::plan::Ports;
use super::unit::{State, Unit};

/// Between two status lines.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// The engine may take this long to answer; busy is no reason to say nothing for minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The engine's `/api/status`, as far as it is shown. What is missing is left out of the line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    connectors: Vec<Connector>,
    jobs: Vec<Job>,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Connector {
    name: String,
    kind: String,
    state: String,
    records: u64,
    retries: u64,
    dead_letters: u64,
    lag: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Job {
    state: String,
    records_out: u64,
}

/// Prints a status line every few seconds, for ever, and keeps the logs from growing without end.
pub(super) async fn report(console: Console, ports: Ports, logs: PathBuf) {
    let client = reqwest::Client::builder().no_proxy().timeout(DEFAULT_TIMEOUT).build().unwrap_or_default();
    let url = format!("http://127.0.0.1:{}/api/status", ports.flink);
    let mut interval = tokio::time::interval(DEFAULT_INTERVAL);
    interval.tick().await;
    let mut rows_before = None;
    loop {
        interval.tick().await;
        trim_logs(&logs);
        match fetch(&client, &url).await {
            Some(status) => {
                let rows = status.jobs.iter().map(|job| job.records_out).sum();
                let added = rows_before.map_or(0, |before| u64::saturating_sub(rows, before));
                console.fact("status", &line(&status, rows, added as f64 / DEFAULT_INTERVAL.as_secs_f64()));
                rows_before = Some(rows);
            }
            None => console.fact("status", "the engine does not answer"),
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Option<Status> {
    client.get(url).send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

/// `4,000 rows 200/s · clickhouse 4,000 lag 0 · …`; states other than RUNNING are named.
fn line(status: &Status, rows: u64, rate: f64) -> String {
    let mut parts = vec![format!("{} rows enriched, {rate:.1}/s", grouped(rows))];
    parts.extend(status.jobs.iter().filter(|job| job.state != "RUNNING").map(|job| format!("job {}", job.state)));
    for connector in &status.connectors {
        let short = connector.name.split('.').next().unwrap_or_default();
        let mut part = short.to_owned();
        if connector.kind == "sink" {
            part += &format!(" {} lag {}", grouped(connector.records), grouped(connector.lag));
        }
        if connector.state != "RUNNING" {
            part += &format!(" {}", connector.state);
        }
        for (count, what) in [(connector.retries, "retries"), (connector.dead_letters, "dead letters")] {
            if count > 0 {
                part += &format!(" {} {what}", grouped(count));
            }
        }
        if part != short {
            parts.push(part);
        }
    }
    parts.extend(status.memory_bytes.map(|bytes| format!("{} MB", bytes / 1_000_000)));
    parts.join(" · ")
}

fn trim_logs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            trim_log(&entry.path());
        }
    }
}

/// The table of `thm dev ps`.
pub(super) fn table(units: &[Unit]) -> String {
    let mut text =
        format!("{:<13}{:<11}{:>8}{:>9}{:>10}{:>10}  PORTS", "SERVICE", "STATE", "PID", "UP", "MEMORY", "RESTARTS");
    for unit in units {
        let (pid, up, memory) = match &unit.state {
            State::Up { running, since } => {
                let identity = running.process().identity();
                let megabytes = identity.resident_bytes() / 1_000_000;
                (identity.pid.to_string(), format!("{} s", since.elapsed().as_secs()), format!("{megabytes} MB"))
            }
            _ => Default::default(),
        };
        let ports: Vec<String> = unit.service.ports().iter().map(ToString::to_string).collect();
        let (name, state, restarts) = (unit.name(), unit.state.name(), unit.restarts);
        let ports = ports.join(" ");
        text += &format!("\n{name:<13}{state:<11}{pid:>8}{up:>9}{memory:>10}{restarts:>10}  {ports}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_line_names_lags_and_whatever_is_not_running() {
        let status: Status = serde_json::from_str(
            r#"{"version":"1","memory_bytes":45000000,"jobs":[{"state":"RUNNING","records_out":4000}],"connectors":[
            {"name":"pg.engagement.source","kind":"source","state":"RUNNING","records":4020},
            {"name":"clickhouse.enriched.sink","kind":"sink","state":"RUNNING","records":3990,"lag":10},
            {"name":"http.enriched.sink","kind":"sink","state":"FAILED","records":1,"lag":3999,"retries":12}]}"#,
        )
        .unwrap();
        assert_eq!(
            line(&status, 4000, 12.34),
            "4,000 rows enriched, 12.3/s · clickhouse 3,990 lag 10 · http 1 lag 3,999 FAILED 12 retries · 45 MB"
        );
    }

    #[test]
    fn an_empty_answer_is_no_error() {
        assert_eq!(line(&serde_json::from_str("{}").unwrap(), 0, 0.0), "0 rows enriched, 0.0/s");
    }
}
