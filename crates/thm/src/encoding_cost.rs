//! `thm bench`, stage encode: CPU time per row from a frame of the replication stream to its record in the log.
//!
//! ```text
//!   chunk of 1,000 rows ─▶ decode ─▶ envelope ─▶ append: seal, write, fsync
//!                          our own thread's CPU time │ the process's, for the log has a thread of its own
//! ```
//! Chunks go through all stages one after the other, so each finds the caches as the stream does.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use thm_api::{Append, ConnectorConfig, Log, SourceAppend, TopicPartition};
use thm_dev::EncodingCost;
use thm_log::{EmbeddedLog, LogConfig};
use thm_source::encoding_cost::{Sample, Stages};

/// Rows of one batch: a megabyte of the demo's events, as the stream cuts them.
const CHUNK_ROWS: usize = 1_000;
/// So many rows of a sample are made, and taken again and again: more would measure the making of memory.
const SAMPLE_ROWS: u64 = 20_000;

/// Measures the base table and a table of 50 columns.
///
/// # Errors
/// When the temporary log cannot be written.
pub async fn measure(rows: u64) -> Result<Vec<EncodingCost>> {
    let mut costs = Vec::new();
    for sample in [Sample::events(SAMPLE_ROWS), Sample::wide(SAMPLE_ROWS)] {
        // Once for the caches and the allocator.
        measure_sample(&sample, SAMPLE_ROWS).await?;
        costs.push(measure_sample(&sample, rows).await?);
    }
    Ok(costs)
}

async fn measure_sample(sample: &Sample, rows: u64) -> Result<EncodingCost> {
    let folder = std::env::temp_dir().join(format!("thm-encode-{}", uuid::Uuid::new_v4()));
    let log = EmbeddedLog::open(LogConfig::new(&folder))?;
    let costs = through(sample, rows, &log).await;
    log.close()?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    costs
}

async fn through(sample: &Sample, rows: u64, log: &EmbeddedLog) -> Result<EncodingCost> {
    let mut stages = Stages::new(sample, &config())?;
    let (mut at, mut done, mut decode_us, mut envelope_us) = (0, 0, 0, 0);
    let process_before = thm_dev::process_cpu_us();
    while done < rows {
        let start = thm_dev::thread_cpu_us();
        at = stages.decode(sample, at, CHUNK_ROWS)?;
        let decoded = stages.tuples()?;
        let tuples = thm_dev::thread_cpu_us();
        if decoded == 0 {
            at = 0;
            continue;
        }
        stages.envelope()?;
        decode_us += tuples - start;
        envelope_us += thm_dev::thread_cpu_us() - tuples;
        done += decoded;
        for append in stages.seal()? {
            store(log, append).await?;
        }
    }
    let all_us = thm_dev::process_cpu_us() - process_before;
    let per_row = |us: u64| us as f64 / done as f64;
    let append_us = all_us.saturating_sub(decode_us + envelope_us);
    let stages = [("decode", decode_us), ("envelope", envelope_us), ("append", append_us)];
    Ok(EncodingCost { table: sample.name, stages: stages.map(|(name, us)| (name, per_row(us))).to_vec() })
}

async fn store(log: &EmbeddedLog, append: SourceAppend) -> Result<()> {
    log.create_topic(&append.topic).await?;
    let partition = TopicPartition::new(append.topic.name.as_str(), append.partition);
    let progress = Some(("bench".into(), append.progress));
    log.append(&partition, Append { batch: Some(append.batch), progress }).await?.durable.await?;
    Ok(())
}

/// What the source needs to be told; nothing is connected to.
fn config() -> ConnectorConfig {
    let values = [
        ("database.hostname", "localhost"),
        ("database.user", "thm"),
        ("database.dbname", "thm"),
        ("topic.prefix", "pg"),
        ("key.converter.schemas.enable", "false"),
        ("value.converter.schemas.enable", "false"),
    ];
    let values: BTreeMap<String, String> = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    ConnectorConfig::new(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn every_stage_of_both_tables_has_a_cost() {
        let costs = measure(2_000).await.unwrap();
        assert_eq!(costs.len(), 2);
        let names: Vec<_> = costs[1].stages.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["decode", "envelope", "append"]);
        assert!(costs.iter().all(|cost| cost.total_us() > 0.0));
    }
}
