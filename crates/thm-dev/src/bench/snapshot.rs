//! Row 6 of the budget: the snapshot into a topic, against binary COPY on as many connections.
//!
//! Both are whole: the snapshot from the order to create the connector until its last row is durable in the topic (slot,
//! publication and consistent point included), COPY from connecting until the last byte.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use serde_json::json;

use super::lab::{Lab, Load};
use super::progress;
use super::report::{Report, Verdict};
use super::stats::median;
use super::subject::{EVENTS_TOPIC, Setup, Subject};
use crate::services::connect_postgres;

const MUST: f64 = 0.8;
/// Rows of one transaction while the table is filled.
const FILL_ROWS: u64 = 10_000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Measures and adds its row.
pub(super) async fn run(lab: &Lab, rows: u64, repetitions: usize, report: &mut Report) -> Result<()> {
    lab.reset().await?;
    progress(&format!("snapshot: filling {rows} rows"));
    let load = Load { transactions: rows.div_ceil(FILL_ROWS), rows_per_transaction: FILL_ROWS.min(rows) };
    lab.fill(load).await?;
    let rows = load.rows();
    // Unmeasured: whoever reads first sets the rows' hint bits.
    copy(lab, rows).await?;
    let (mut copies, mut snapshots, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 0..repetitions {
        progress(&format!("snapshot: repetition {}", repetition + 1));
        let is_copy_first = repetition % 2 == 0;
        if is_copy_first {
            copies.push(copy(lab, rows).await?);
        }
        let (first, all) = snapshot(lab, rows).await?;
        firsts.push(first);
        snapshots.push(all);
        if !is_copy_first {
            copies.push(copy(lab, rows).await?);
        }
    }
    let ratios: Vec<f64> = copies.iter().zip(&snapshots).map(|(copy, snapshot)| copy / snapshot).collect();
    let rate = |seconds: &[f64]| rows as f64 / median(seconds) / 1e3;
    report.row(
        format!("snapshot → topic, {rows} rows, one connection"),
        "≥ 0.8 of binary COPY",
        format!(
            "{:.2} ({:.0}k rows/s against {:.0}k; first row after {:.2} s)",
            median(&ratios),
            rate(&snapshots),
            rate(&copies),
            median(&firsts)
        ),
        Verdict::of(median(&ratios) >= MUST),
    );
    let raw = json!({"rows": rows, "copy_seconds": copies, "snapshot_seconds": snapshots, "first_row_seconds": firsts});
    report.raw.push(("snapshot", raw));
    Ok(())
}

/// Seconds that COPY takes on one connection, its bytes counted and dropped.
async fn copy(lab: &Lab, rows: u64) -> Result<f64> {
    let began = Instant::now();
    let client = connect_postgres(&lab.postgres.url()).await?;
    let stream = client.copy_out("COPY engagement_events TO STDOUT (FORMAT binary)").await?;
    let mut stream = pin!(stream);
    let mut bytes = 0;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len() as u64;
    }
    if bytes < rows * 8 {
        bail!("COPY gave {bytes} bytes for {rows} rows");
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds until the first and the last row is in the topic of an engine that starts from nothing.
async fn snapshot(lab: &Lab, rows: u64) -> Result<(f64, f64)> {
    let setup = Setup { name: "bench_snapshot", whole_path: false, http_arrays: false, with_connectors: false };
    let subject = Subject::start(lab, setup).await?;
    let mut ends = subject.topic_ends().await?;
    let began = Instant::now();
    subject.create_source().await?;
    let mut first = None;
    let all = loop {
        let end = ends.end(EVENTS_TOPIC).await?;
        let now = began.elapsed();
        if end > 0 {
            first.get_or_insert(now.as_secs_f64());
        }
        if end >= rows as i64 {
            break now.as_secs_f64();
        }
        if now > DEFAULT_TIMEOUT {
            bail!("the snapshot stands at {end} of {rows} rows\n{}", subject.log_tail());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    subject.stop().await?;
    lab.drop_slots().await?;
    std::fs::remove_dir_all(lab.path().join(setup.name)).context("removing the engine's folder")?;
    Ok((first.unwrap_or(all), all))
}
