//! The demo's SQL file on our engine and on the real Flink, from the same topic bytes on the same machine, one after the other.
//!
//! `tools/reference/compare_flink.sh --rows N` starts both and measures; this reads what it says. Where the real Flink
//! is not installed the row says so, and how to get it: nothing is downloaded by a measurement.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

use super::report::{Report, Verdict};

const SCRIPT: &str = "tools/reference/compare_flink.sh";
/// How many times more rows a CPU second must give, and how many times less memory it must take.
const MUST_RATIO: f64 = 20.0;

/// What one side took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Side {
    /// User and system time of all its processes.
    cpu_ms: f64,
    /// The most that each had in memory, added up.
    peak_rss_kib: f64,
    /// Until the last row was in the topic.
    seconds: f64,
}

/// The script's last line.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Measured {
    rows: f64,
    ours: Side,
    flink: Side,
}

/// Runs it, with `program` as our engine and the script of the project's folder.
pub(super) async fn run(folder: &Path, program: &Path, rows: u64, report: &mut Report) -> Result<()> {
    let script = folder.join(SCRIPT);
    if !script.exists() {
        skipped(report, &format!("{SCRIPT} is not there: run it in a clone of the project"));
        return Ok(());
    }
    let output = Command::new(&script)
        .args(["--rows", &rows.to_string()])
        .env("THM", program)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("starting {}", script.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    if let Some(reason) = last.strip_prefix("skipped: ") {
        skipped(report, reason);
        return Ok(());
    }
    let Some(measured) = last.strip_prefix("measured ") else {
        bail!("{SCRIPT} did not measure ({}):\n{text}", output.status);
    };
    let equal = text.lines().rev().nth(1).unwrap_or_default();
    let measured = serde_json::from_str(measured).with_context(|| format!("reading {measured}"))?;
    add_rows(&measured, (equal, output.status.success()), report);
    report.raw.push(("flink", json!(measured)));
    Ok(())
}

fn skipped(report: &mut Report, reason: &str) {
    let must = format!("≥ {MUST_RATIO} times the rows, ≤ 1/{MUST_RATIO} of the memory");
    report.row("enrichment against the real Flink", &must, format!("skipped: {reason}"), Verdict::Reported);
}

fn add_rows(measured: &Measured, (equal, same): (&str, bool), report: &mut Report) {
    let Measured { rows, ours, flink } = *measured;
    let per_cpu_second = |side: Side| rows * 1e3 / side.cpu_ms.max(1.0);
    let cpu = per_cpu_second(ours) / per_cpu_second(flink);
    report.row(
        "enrichment against the real Flink, rows per CPU second",
        &format!("≥ {MUST_RATIO} times"),
        format!(
            "{cpu:.1} times ({:.0}k against {:.1}k; {:.1} s against {:.1} s)",
            per_cpu_second(ours) / 1e3,
            per_cpu_second(flink) / 1e3,
            ours.seconds,
            flink.seconds
        ),
        Verdict::of(cpu >= MUST_RATIO),
    );
    let memory = flink.peak_rss_kib / ours.peak_rss_kib.max(1.0);
    report.row(
        "enrichment against the real Flink, peak memory (RSS)",
        &format!("≤ 1/{MUST_RATIO}"),
        format!("1/{memory:.1} ({:.0} MB against {:.0} MB)", megabytes(ours), megabytes(flink)),
        Verdict::of(memory >= MUST_RATIO),
    );
    let all = if same { "all equal" } else { "not all equal" };
    report.row("enrichment against the real Flink, records", all, equal, Verdict::of(same));
}

fn megabytes(side: Side) -> f64 {
    side.peak_rss_kib * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is reported where the script prints this.
    async fn reported(script: &str) -> Result<Report> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SCRIPT);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut report = Report::default();
        run(folder.path(), Path::new("/bin/true"), 1_000, &mut report).await?;
        Ok(report)
    }

    #[tokio::test]
    async fn ratios_are_those_of_the_scripts_last_line() {
        let line = r#"{"rows": 1000, "ours": {"cpu_ms": 10, "peak_rss_kib": 1000, "seconds": 0.1}, "flink": {"cpu_ms": 300, "peak_rss_kib": 15000, "seconds": 1}}"#;
        let report = reported(&format!("echo '1000 equal, 0 different'; echo 'measured {line}'")).await.unwrap();
        let found: Vec<_> = report.rows.iter().map(|row| (row.measured.as_str(), row.verdict)).collect();
        let wanted = [
            ("30.0 times (100k against 3.3k; 0.1 s against 1.0 s)", Verdict::Reached),
            ("1/15.0 (1 MB against 15 MB)", Verdict::NotReached),
            ("1000 equal, 0 different", Verdict::Reached),
        ];
        assert_eq!(found, wanted);
    }

    #[tokio::test]
    async fn a_machine_without_flink_says_so() {
        let report = reported("echo 'skipped: Apache Flink is not here; do this'").await.unwrap();
        assert_eq!(report.rows[0].measured, "skipped: Apache Flink is not here; do this");
        assert_eq!(report.rows[0].verdict, Verdict::Reported);
        let error = reported("echo 'not compared'; exit 2").await.unwrap_err();
        assert!(error.to_string().contains("did not measure"), "{error}");
    }
}
