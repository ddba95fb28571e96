//! Logs in temporary folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thm_api::{Append, Log, LogBatch, Lsn, Offset, Position, Progress, ReadLimits, Result, TopicPartition, TopicSpec};
use thm_log::conformance::{batch, keys};
use thm_log::storage::{FaultStorage, Storage};
use thm_log::{EmbeddedLog, LogConfig};

/// Ends held fsyncs when a test fails, or the drop of its log would wait for them. Declared after the log.
pub struct CrashAtEnd(pub FaultStorage);

impl Drop for CrashAtEnd {
    fn drop(&mut self) {
        self.0.crash();
    }
}

/// Small limits, and no demands on the machine's disk.
pub fn config(dir: &Path) -> LogConfig {
    LogConfig { min_free_bytes: 0, ..LogConfig::new(dir) }
}

/// On a file layer of the test's.
pub fn open_on(dir: &Path, storage: impl Storage) -> EmbeddedLog {
    EmbeddedLog::open(LogConfig { storage: Some(Arc::new(storage)), ..config(dir) }).unwrap()
}

/// On the file system.
pub fn open(dir: &Path) -> Result<EmbeddedLog> {
    EmbeddedLog::open(config(dir))
}

pub async fn topic(log: &EmbeddedLog, name: &str) -> TopicPartition {
    log.create_topic(&TopicSpec::new(name)).await.unwrap();
    TopicPartition::new(name, 0)
}

/// Records with the producer's progress at their last key.
pub fn sourced(first: u32, records: u32) -> Append {
    let progress = Progress::at(Position::new(Lsn(1), u64::from(first + records)));
    Append { batch: Some(batch(first, records)), progress: Some((Arc::from("source:a"), progress)) }
}

pub async fn append(log: &EmbeddedLog, partition: &TopicPartition, batch: LogBatch) {
    let append = Append { batch: Some(batch), progress: None };
    log.append(partition, append).await.unwrap().durable.await.unwrap();
}

/// The keys of all records that are there.
pub async fn all_keys(log: &EmbeddedLog, partition: &TopicPartition) -> Vec<u32> {
    let mut next = log.topic(&partition.topic).unwrap().partitions[partition.partition as usize].log_start;
    let mut found = Vec::new();
    loop {
        let limits = ReadLimits { max_bytes: 10_000, max_wait: Duration::ZERO };
        let result = log.read(partition, next, limits).await.unwrap();
        let Some(last) = result.batches.last() else { return found };
        next = last.next_offset();
        found.extend(keys(&result.batches).iter().map(|key| key.parse::<u32>().unwrap()));
    }
}

pub fn high_watermark(log: &EmbeddedLog, partition: &TopicPartition) -> Offset {
    log.topic(&partition.topic).unwrap().partitions[partition.partition as usize].high_watermark
}

/// Segment files of partition 0 of a topic, oldest first.
pub fn segments(dir: &Path, topic: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join(topic).join("0")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}
