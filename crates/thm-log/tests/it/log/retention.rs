//! Retention: what goes, what stays, and what a cursor holds back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::tempdir;
use thm_api::{Cleanup, ErrorKind, Log, Offset, ReadLimits, TopicPartition, TopicSpec};
use thm_log::conformance::batch;
use thm_log::storage::FaultStorage;
use thm_log::{EmbeddedLog, LogConfig};

use super::support::*;

/// Rolls at every few records and looks at retention all the time. Limits are off.
fn eager(dir: &Path) -> LogConfig {
    LogConfig {
        segment_bytes: 500,
        retention_ms: 0,
        retention_bytes: 0,
        max_bytes: 0,
        retention_interval: Duration::ZERO,
        ..config(dir)
    }
}

async fn fill(log: &EmbeddedLog, spec: TopicSpec) -> TopicPartition {
    let partition = TopicPartition::new(spec.name.as_str(), 0);
    log.create_topic(&spec).await.unwrap();
    for first in 0..20 {
        log.append(&partition, sourced(first, 1)).await.unwrap().durable.await.unwrap();
    }
    partition
}

/// Long enough for the log thread's chores.
async fn settle(log: &EmbeddedLog, partition: &TopicPartition, wanted: impl Fn(i64) -> bool) -> i64 {
    for _ in 0..60 {
        let start = log.topic(&partition.topic).unwrap().partitions[0].log_start.0;
        if wanted(start) {
            return start;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    log.topic(&partition.topic).unwrap().partitions[0].log_start.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_cuts_and_progress_stays() {
    let dir = tempdir().unwrap();
    let storage = FaultStorage::new();
    let config = LogConfig { retention_ms: 1, storage: Some(Arc::new(storage.clone())), ..eager(dir.path()) };
    let log = EmbeddedLog::open(config).unwrap();
    let orders = fill(&log, TopicSpec::new("orders")).await;
    assert_eq!(settle(&log, &orders, |start| start == 20).await, 20, "the active segment too is closed when old");
    let limits = ReadLimits { max_bytes: 1, max_wait: Duration::ZERO };
    let gone = log.read(&orders, Offset(3), limits).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::OffsetOutOfRange);
    assert!(gone.to_string().contains("offsets 3 to 19"), "{gone}");
    // They go out of sight first, then from the disk.
    for _ in 0..100 {
        if segments(dir.path(), "orders").len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(segments(dir.path(), "orders").len(), 1);
    let reached = log.progress(&orders, "source:a").unwrap();
    assert!(reached.is_some());
    // No clean stop: what keeps the progress of frames that are gone is the file written at the roll.
    storage.crash();
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!(log.progress(&orders, "source:a").unwrap(), reached);
    append(&log, &orders, batch(20, 1)).await;
    assert_eq!(all_keys(&log, &orders).await, [20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn size_of_the_log_cuts_oldest_first_and_never_compacted_topics() {
    let dir = tempdir().unwrap();
    let log = EmbeddedLog::open(LogConfig { retention_bytes: 4000, ..eager(dir.path()) }).unwrap();
    let look_up = fill(&log, TopicSpec { cleanup: Cleanup::Compact, ..TopicSpec::new("look-up") }).await;
    let orders = fill(&log, TopicSpec::new("orders")).await;
    assert!(settle(&log, &orders, |start| start > 0).await > 0);
    assert_eq!(settle(&log, &look_up, |start| start > 0).await, 0, "a compacted topic was cut");
    assert_eq!(all_keys(&log, &look_up).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topics_own_limits_win() {
    let dir = tempdir().unwrap();
    let log = EmbeddedLog::open(eager(dir.path())).unwrap();
    let small = fill(&log, TopicSpec { retention_bytes: 1000, ..TopicSpec::new("small") }).await;
    let large = fill(&log, TopicSpec::new("large")).await;
    let start = settle(&log, &small, |start| start > 12).await;
    assert!((13..20).contains(&start), "{start}");
    assert_eq!(settle(&log, &large, |start| start > 0).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_holds_segments_until_the_hard_limit() {
    let dir = tempdir().unwrap();
    let log = EmbeddedLog::open(LogConfig { retention_ms: 1, ..eager(dir.path()) }).unwrap();
    log.hold("connect-a", &TopicPartition::new("orders", 0), Offset(5));
    log.hold("connect-b", &TopicPartition::new("orders", 0), Offset(9));
    let orders = fill(&log, TopicSpec::new("orders")).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let start = settle(&log, &orders, |start| start > 0).await;
    assert!((1..=5).contains(&start), "retention passed the cursor: {start}");
    log.release("connect-a");
    assert!((6..=9).contains(&settle(&log, &orders, |start| start > 5).await));
    drop(log);

    let config = LogConfig { retention_ms: 1, max_bytes: 1000, ..eager(dir.path()) };
    let log = EmbeddedLog::open(config).unwrap();
    log.hold("connect-b", &orders, Offset(9));
    for first in 20..40 {
        append(&log, &orders, batch(first, 1)).await;
    }
    assert!(settle(&log, &orders, |start| start > 9).await > 9, "beyond max_bytes cursors do not count");
}
