//! Rows 7 and 8 of the budget: how soon the first event is delivered, and how large the binary is.

use std::io::ErrorKind;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::lab::{Lab, Load};
use super::progress;
use super::report::{Report, Verdict};
use super::stats::median;
use super::subject::{Setup, Subject};

const MUST_SECONDS: f64 = 1.0;
const MUST_BYTES: u64 = 40_000_000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const SETUP: Setup = Setup { name: "bench_start", whole_path: true, http_arrays: false, with_connectors: true };

/// Measures and adds its rows.
pub(super) async fn run(lab: &Lab, repetitions: usize, report: &mut Report) -> Result<()> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for repetition in 0..repetitions {
        progress(&format!("start: repetition {}", repetition + 1));
        lab.reset().await?;
        fresh.push(start_once(lab).await?);
        again.push(start_once(lab).await?);
        std::fs::remove_dir_all(lab.path().join(SETUP.name)).context("removing the engine's folder")?;
    }
    for (what, seconds) in [("an empty folder (snapshot first)", &fresh), ("its folder, after a graceful stop", &again)]
    {
        let seconds = median(seconds);
        report.row(
            format!("start → first event delivered, services up, from {what}"),
            "≤ 1 s",
            format!("{seconds:.2} s"),
            Verdict::of(seconds <= MUST_SECONDS),
        );
    }
    report.raw.push(("start", json!({"fresh_seconds": fresh, "again_seconds": again})));
    Ok(())
}

/// Seconds from starting the process until an event that was there before is received over HTTP.
async fn start_once(lab: &Lab) -> Result<f64> {
    lab.fill(Load { transactions: 1, rows_per_transaction: 1 }).await?;
    let wanted = lab.receiver.events() + 1;
    let began = Instant::now();
    let delivered = async {
        while lab.receiver.events() < wanted {
            if began.elapsed() > DEFAULT_TIMEOUT {
                bail!("no event came over HTTP");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(began.elapsed().as_secs_f64())
    };
    let (subject, seconds) = tokio::join!(Subject::start(lab, SETUP), delivered);
    let subject = subject?;
    let seconds = seconds.with_context(|| subject.log_tail())?;
    subject.stop().await?;
    Ok(seconds)
}

/// The binary as users get it: a build for profiling keeps its symbols, so a copy is stripped first.
pub(super) fn binary_size(lab: &Lab, report: &mut Report) -> Result<()> {
    let as_built = std::fs::metadata(&lab.program)?.len();
    let stripped = stripped_size(lab)?;
    let (bytes, note) = match stripped {
        Some(bytes) if bytes < as_built => (bytes, format!(" ({:.1} MB with symbols)", as_built as f64 / 1e6)),
        Some(bytes) => (bytes, String::new()),
        None => (as_built, " as built: no strip on this machine".to_owned()),
    };
    report.row(
        "binary, stripped",
        "≤ 40 MB",
        format!("{:.1} MB{note}", bytes as f64 / 1e6),
        Verdict::of(bytes <= MUST_BYTES),
    );
    Ok(())
}

/// Bytes of a stripped copy; nothing where there is no `strip` (binutils).
fn stripped_size(lab: &Lab) -> Result<Option<u64>> {
    let copy = lab.path().join("stripped");
    let status = match Command::new("strip").arg("-o").arg(&copy).arg(&lab.program).status() {
        Ok(status) => status,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).context("starting strip"),
    };
    if !status.success() {
        bail!("strip {}: {status}", lab.program.display());
    }
    let bytes = std::fs::metadata(&copy)?.len();
    std::fs::remove_file(&copy).context("removing the stripped copy")?;
    Ok(Some(bytes))
}
