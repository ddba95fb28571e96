//! Promise 1 at the level of the log: what was not fsynced was never seen, what was seen is never lost.

use std::time::Duration;

use tempfile::tempdir;
use thm_api::{Append, ErrorKind, Log, Offset, ReadLimits};
use thm_log::conformance::batch;
use thm_log::storage::{Fault, FaultStorage};
use tokio::time::timeout;

use super::support::*;

const GRACE: Duration = Duration::from_millis(100);

/// Two partitions in one round; the machine dies when one of them is fsynced and the other is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_two_fsyncs_loses_nothing_that_was_seen() {
    let dir = tempdir().unwrap();
    let storage = FaultStorage::new();
    let log = open_on(dir.path(), storage.clone());
    let _end = CrashAtEnd(storage.clone());
    let (kept, lost) = (topic(&log, "kept").await, topic(&log, "lost").await);
    append(&log, &kept, batch(0, 2)).await;
    append(&log, &lost, batch(0, 2)).await;

    storage.inject(Fault::DropUnsynced("lost-0".to_owned()));
    storage.inject(Fault::HoldSync("lost-0".to_owned()));
    let mut of_lost = log.append(&lost, sourced(2, 3)).await.unwrap();
    let mut of_kept = log.append(&kept, sourced(2, 3)).await.unwrap();
    // Nobody is told, and nobody sees: neither of the lost ones, nor those of the round that is not over.
    assert!(timeout(GRACE, &mut of_lost.durable).await.is_err(), "told durable before its fsync");
    let limits = ReadLimits { max_bytes: usize::MAX, max_wait: GRACE };
    let seen = log.read(&lost, Offset(2), limits).await.unwrap();
    assert!(seen.batches.is_empty() && seen.high_watermark == Offset(2), "a reader saw unsynced records");
    assert_eq!(high_watermark(&log, &lost), Offset(2));
    assert_eq!(log.progress(&lost, "source:a").unwrap(), None);
    let kept_was_durable = timeout(Duration::ZERO, &mut of_kept.durable).await.is_ok();

    storage.crash();
    assert_eq!(of_lost.durable.await.unwrap_err().kind(), ErrorKind::LogIo);
    drop(log);

    let log = open(dir.path()).unwrap();
    assert_eq!(all_keys(&log, &lost).await, [0, 1], "what was not fsynced is gone, what was is not");
    assert_eq!(log.progress(&lost, "source:a").unwrap(), None);
    let after = all_keys(&log, &kept).await;
    assert!(after == [0, 1] || after == [0, 1, 2, 3, 4], "all of a batch or nothing: {after:?}");
    assert!(!kept_was_durable || after.len() == 5, "told durable, and lost");
    append(&log, &lost, batch(9, 1)).await;
    assert_eq!(all_keys(&log, &lost).await, [0, 1, 9]);
}

/// Everything whose handle resolved is there after the machine lost all that was not fsynced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_durable_survives_the_loss_of_unsynced_bytes() {
    let dir = tempdir().unwrap();
    let storage = FaultStorage::new();
    storage.inject(Fault::DropUnsynced("*".to_owned()));
    let log = open_on(dir.path(), storage.clone());
    let orders = topic(&log, "orders").await;
    let mut queued = Vec::new();
    for first in 0..200 {
        queued.push(log.append(&orders, sourced(first, 1)).await.unwrap());
    }
    for appended in queued.drain(..).take(150) {
        appended.durable.await.unwrap();
    }
    storage.crash();
    drop(log);
    let log = open(dir.path()).unwrap();
    let found = all_keys(&log, &orders).await;
    assert!(found.len() >= 150, "only {} records are left", found.len());
    assert_eq!(found, (0..found.len() as u32).collect::<Vec<_>>());
    let reached = log.progress(&orders, "source:a").unwrap().unwrap();
    assert_eq!(reached.position.ordinal, found.len() as u64, "progress and records are of one moment");
}

/// A new segment's name is as durable as the records in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_a_roll_keeps_the_new_segment() {
    let dir = tempdir().unwrap();
    let storage = FaultStorage::new();
    let config = thm_log::LogConfig {
        segment_bytes: 500,
        storage: Some(std::sync::Arc::new(storage.clone())),
        ..config(dir.path())
    };
    let log = thm_log::EmbeddedLog::open(config).unwrap();
    let orders = topic(&log, "orders").await;
    for first in 0..20 {
        append(&log, &orders, batch(first, 1)).await;
    }
    storage.crash();
    drop(log);
    assert!(segments(dir.path(), "orders").len() > 3);
    let log = open(dir.path()).unwrap();
    assert_eq!(all_keys(&log, &orders).await, (0..20).collect::<Vec<_>>());
}

/// After a failed write, fsync or a full disk every append fails, in every partition; reads go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_stops_the_log_for_good() {
    let faults = [
        Fault::FailWrite("orders-0".to_owned()),
        Fault::NoSpace("orders-0".to_owned()),
        Fault::FailSync("orders-0".to_owned()),
    ];
    for fault in faults {
        let dir = tempdir().unwrap();
        let storage = FaultStorage::new();
        let log = open_on(dir.path(), storage.clone());
        let (orders, other) = (topic(&log, "orders").await, topic(&log, "other").await);
        append(&log, &orders, batch(0, 2)).await;
        storage.inject(fault.clone());
        let failed = log.append(&orders, sourced(2, 1)).await.unwrap();
        assert_eq!(failed.durable.await.unwrap_err().kind(), ErrorKind::LogIo, "{fault:?}");
        storage.lift(&fault);
        for partition in [&orders, &other] {
            let append = Append { batch: Some(batch(5, 1)), progress: None };
            let refused = log.append(partition, append).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::LogIo, "retried after {fault:?}");
        }
        assert!(log.health().is_err());
        assert_eq!(all_keys(&log, &orders).await, [0, 1]);
        assert_eq!(log.progress(&orders, "source:a").unwrap(), None);
        drop(log);
        let log = open(dir.path()).unwrap();
        assert_eq!(all_keys(&log, &orders).await[..2], [0, 1]);
    }
}

/// Below the free-space limit appends are refused, and nothing is broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_free_space_refuses_appends() {
    let dir = tempdir().unwrap();
    let orders = topic(&open(dir.path()).unwrap(), "orders").await;
    let config = thm_log::LogConfig { min_free_bytes: u64::MAX, ..config(dir.path()) };
    let log = thm_log::EmbeddedLog::open(config).unwrap();
    tokio::time::sleep(GRACE).await;
    let append = Append { batch: Some(batch(5, 1)), progress: None };
    let refused = log.append(&orders, append).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LogIo);
    assert!(refused.hint().contains("min_free_bytes"), "{}", refused.hint());
    assert!(log.health().is_ok());
}

/// A closed log refuses appends instead of taking them in and forgetting them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_writes_what_is_queued_and_refuses_the_rest() {
    let dir = tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let orders = topic(&log, "orders").await;
    let queued = log.append(&orders, sourced(0, 1)).await.unwrap();
    log.close().unwrap();
    queued.durable.await.unwrap();
    assert_eq!(log.append(&orders, sourced(1, 1)).await.unwrap_err().kind(), ErrorKind::LogIo);
    assert_eq!(all_keys(&log, &orders).await, [0]);
}

/// Whoever has closed a log may remove its folder; the drop behind it does nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_log_no_longer_touches_its_folder() {
    let dir = tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    topic(&log, "orders").await;
    log.close().unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
    log.close().unwrap();
}

/// Appends wait for the disk instead of filling memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_buffer_is_bounded() {
    let dir = tempdir().unwrap();
    let storage = FaultStorage::new();
    let config = thm_log::LogConfig {
        write_buffer_bytes: 8 << 10,
        storage: Some(std::sync::Arc::new(storage.clone())),
        ..config(dir.path())
    };
    let log = thm_log::EmbeddedLog::open(config).unwrap();
    let orders = topic(&log, "orders").await;
    let hold = Fault::HoldSync("*".to_owned());
    storage.inject(hold.clone());
    // Some 3 KiB each: two or three fit.
    let mut taken = 0;
    while taken < 8
        && let Ok(appended) = timeout(GRACE, log.append(&orders, sourced(taken * 100, 100))).await
    {
        appended.unwrap();
        taken += 1;
    }
    // Before any check: a log that is held cannot be dropped.
    storage.lift(&hold);
    assert!(taken < 8, "appends do not wait");
    append(&log, &orders, batch(taken * 100, 1)).await;
    assert_eq!(all_keys(&log, &orders).await.len() as u32, taken * 100 + 1);
}
