//! What is shown while the stack runs: a line every few seconds, and the table of `thm dev ps`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::console::{Console, grouped};
use crate::process::trim_log;

use super::screen::{Figures, Source, rate};
use super::unit::{State, Unit};

/// Between two status lines.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// Prints a status line every few seconds, for ever, and keeps the logs from growing without end.
pub(super) async fn report(console: Console, source: Source, logs: PathBuf) {
    let mut interval = tokio::time::interval(DEFAULT_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        trim_logs(&logs);
        match source.fetch().await {
            Some(figures) => console.fact("status", &line(&figures)),
            None => console.fact("status", "the engine does not answer"),
        }
    }
}

/// Keeps the logs from growing without end, for ever.
pub(super) async fn trim(logs: PathBuf) {
    let mut interval = tokio::time::interval(DEFAULT_INTERVAL);
    loop {
        interval.tick().await;
        trim_logs(&logs);
    }
}

/// `4,000 rows enriched, 200/s · clickhouse 4,000 lag 0 · …`; states other than RUNNING are named.
fn line(figures: &Figures) -> String {
    let rows = figures.jobs.iter().map(|job| job.records_out).sum();
    let rates = figures.jobs.iter().filter_map(|job| job.rate).reduce(|a, b| a + b);
    let mut parts = vec![format!("{} rows enriched, {}/s", grouped(rows), rate(rates))];
    parts.extend(figures.jobs.iter().filter(|job| job.state != "RUNNING").map(|job| format!("job {}", job.state)));
    for connector in &figures.connectors {
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
        if let Some(code) = connector.error.as_ref().and_then(|problem| problem.code.as_deref()) {
            part += &format!(" {code}");
        }
        if part != short {
            parts.push(part);
        }
    }
    parts.extend(figures.memory_bytes.map(|bytes| format!("{} MB", bytes / 1_000_000)));
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
        let figures: Figures = serde_json::from_str(
            r#"{"version":"1","memory_bytes":45000000,"jobs":[{"state":"RUNNING","records_out":4000,"rate":12.34}],"connectors":[
            {"name":"pg.engagement.source","kind":"source","state":"RUNNING","records":4020},
            {"name":"clickhouse.enriched.sink","kind":"sink","state":"RUNNING","records":3990,"lag":10},
            {"name":"http.enriched.sink","kind":"sink","state":"FAILED","records":1,"lag":3999,"retries":12,"error":{"code":"THM-SNK-001"}}]}"#,
        )
        .unwrap();
        assert_eq!(
            line(&figures),
            "4,000 rows enriched, 12/s · clickhouse 3,990 lag 10 · http 1 lag 3,999 FAILED 12 retries THM-SNK-001 · 45 MB"
        );
    }

    #[test]
    fn an_empty_answer_is_no_error() {
        assert_eq!(line(&serde_json::from_str("{}").unwrap()), "0 rows enriched, –/s");
    }
}
