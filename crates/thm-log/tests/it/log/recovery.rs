//! What an open makes of torn tails, damage, lost indexes and lost progress files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::tempdir;
use thm_api::{Append, ErrorKind, Log, Lsn, Position, Progress};
use thm_log::conformance::batch;
use thm_log::storage::FaultStorage;
use thm_log::{EmbeddedLog, LogConfig};

use super::support::*;

/// A log of `batches` one-record batches whose process died: no clean stop.
async fn crashed(dir: &Path, segment_bytes: u64, batches: u32) {
    let storage = FaultStorage::new();
    let config = LogConfig { segment_bytes, storage: Some(Arc::new(storage.clone())), ..config(dir) };
    let log = EmbeddedLog::open(config).unwrap();
    let orders = topic(&log, "orders").await;
    for first in 0..batches {
        log.append(&orders, sourced(first, 1)).await.unwrap().durable.await.unwrap();
    }
    storage.crash();
}

async fn keys_after_open(dir: &Path) -> Vec<u32> {
    let log = open(dir).unwrap();
    all_keys(&log, &thm_api::TopicPartition::new("orders", 0)).await
}

/// Wherever the last frame is cut, it goes whole and the others stay.
#[tokio::test]
async fn a_torn_tail_is_cut_whole() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 1 << 20, 3).await;
    let file = segments(dir.path(), "orders").pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let frame = whole.len() / 3;
    for cut in 1..frame {
        fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(keys_after_open(dir.path()).await, [0, 1], "cut by {cut} bytes");
        // The clean stop of that open has said how much is durable: undo it.
        fs::remove_file(file.with_file_name("progress.json")).unwrap();
    }
    let mut garbage = whole.clone();
    garbage.extend_from_slice(&[0x54, 0x48, 0x46, 0x31, 9, 9, 9, 9, 9, 9]);
    fs::write(&file, garbage).unwrap();
    assert_eq!(keys_after_open(dir.path()).await, [0, 1, 2]);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len(), "the tail is cut on the disk too");
}

/// A damaged frame with whole ones after it is refused, naming file and byte; nothing is cut.
#[tokio::test]
async fn damage_in_the_middle_is_refused() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 1 << 20, 5).await;
    let file = segments(dir.path(), "orders").pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let frame = whole.len() / 5;
    for byte in [0, 5, frame + 9, frame + 50, 2 * frame - 1, 3 * frame + 20] {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogCorrupt);
        let place = format!("{} at byte {}", file.display(), byte / frame * frame);
        assert!(error.to_string().contains(&place), "{error} does not name {place}");
        assert_eq!(fs::read(&file).unwrap(), damaged, "a refused file is left as it is");
    }
}

/// Damage in a closed segment is refused too, though nothing valid follows in that file.
#[tokio::test]
async fn damage_at_the_end_of_a_closed_segment_is_refused() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 500, 10).await;
    let closed = segments(dir.path(), "orders")[0].clone();
    let mut bytes = fs::read(&closed).unwrap();
    let short = bytes[..bytes.len() - 3].to_vec();
    fs::write(&closed, short).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt, "a closed segment became shorter");
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&closed, &bytes).unwrap();
    fs::remove_file(closed.with_extension("index")).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt, "found by the scan without an index");
}

/// With its index in place a closed segment is not scanned at open; a read of the damaged frame finds it.
#[tokio::test]
async fn a_read_of_damaged_bytes_is_refused() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 500, 10).await;
    let closed = segments(dir.path(), "orders")[0].clone();
    let mut bytes = fs::read(&closed).unwrap();
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    fs::write(&closed, bytes).unwrap();
    let log = open(dir.path()).unwrap();
    let orders = thm_api::TopicPartition::new("orders", 0);
    let limits = thm_api::ReadLimits { max_bytes: usize::MAX, max_wait: std::time::Duration::ZERO };
    let error = log.read(&orders, thm_api::Offset(0), limits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogCorrupt);
    assert!(error.to_string().contains(&closed.display().to_string()), "{error}");
}

/// Bytes that a clean stop called durable are not a torn tail when they are gone or damaged.
#[tokio::test]
async fn what_was_durable_at_a_clean_stop_is_never_cut() {
    let dir = tempdir().unwrap();
    {
        let log = open(dir.path()).unwrap();
        let orders = topic(&log, "orders").await;
        append(&log, &orders, batch(0, 1)).await;
        append(&log, &orders, batch(1, 1)).await;
    }
    let file = segments(dir.path(), "orders").pop().unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&file, damaged).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt);
    fs::write(&file, whole).unwrap();
    assert_eq!(keys_after_open(dir.path()).await, [0, 1]);
}

/// A power cut may keep later pages of a round and lose earlier ones; they were never fsynced, so that is a tail.
#[tokio::test]
async fn a_hole_in_the_round_that_was_never_fsynced_is_a_torn_tail() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 1 << 20, 2).await;
    let file = segments(dir.path(), "orders").pop().unwrap();
    let before = fs::read(&file).unwrap();
    let storage = FaultStorage::new();
    let log = open_on(dir.path(), storage.clone());
    let orders = thm_api::TopicPartition::new("orders", 0);
    let hold = thm_log::storage::Fault::HoldSync("*".to_owned());
    // One round of several frames: they wait while the fsync of a first one is held.
    storage.inject(hold.clone());
    let first = log.append(&orders, sourced(2, 1)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let mut round = Vec::new();
    for key in [3, 1003, 2003] {
        round.push(log.append(&orders, sourced(key, 1000)).await.unwrap());
    }
    storage.lift(&hold);
    first.durable.await.unwrap();
    for appended in round {
        appended.durable.await.unwrap();
    }
    storage.crash();
    drop(log);
    let mut holed = fs::read(&file).unwrap();
    let frame_after_first = before.len() + before.len() / 2;
    let page = frame_after_first.div_ceil(4096) * 4096;
    holed[page..page + 4096].fill(0);
    fs::write(&file, &holed).unwrap();
    assert_eq!(keys_after_open(dir.path()).await, [0, 1, 2], "all of the round is cut");

    // The same hole in bytes that a later frame says were fsynced is damage.
    let log = open(dir.path()).unwrap();
    for key in [3, 1003] {
        append(&log, &orders, batch(key, 1000)).await;
    }
    drop(log);
    fs::remove_file(file.with_file_name("progress.json")).unwrap();
    let mut holed = fs::read(&file).unwrap();
    holed[page..page + 4096].fill(0);
    fs::write(&file, &holed).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt);
}

/// Indexes are a help, not a truth: without them, or with damaged ones, everything is found.
#[tokio::test]
async fn lost_indexes_are_rebuilt() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 500, 30).await;
    for file in segments(dir.path(), "orders").iter().step_by(2) {
        let index = file.with_extension("index");
        if index.exists() {
            fs::write(&index, b"garbage").unwrap();
        }
    }
    fs::remove_file(segments(dir.path(), "orders")[1].with_extension("index")).unwrap();
    assert_eq!(keys_after_open(dir.path()).await, (0..30).collect::<Vec<_>>());
    let rebuilt = segments(dir.path(), "orders")[1].with_extension("index");
    assert!(rebuilt.exists());
}

/// A segment that is missing between others is damage, not a shorter log.
#[tokio::test]
async fn a_missing_segment_is_refused() {
    let dir = tempdir().unwrap();
    crashed(dir.path(), 500, 30).await;
    let files = segments(dir.path(), "orders");
    fs::remove_file(&files[2]).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt);
}

/// Progress of a quiet producer survives rolls, crashes and clean stops, also when it alone filled segments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_survives_rolls_crashes_and_segments_full_of_progress() {
    let dir = tempdir().unwrap();
    let job: Arc<str> = Arc::from("job:b");
    let alone = |lsn: u64| {
        let progress = Progress::at(Position::end_of(Lsn(lsn)));
        Append { batch: None, progress: Some((Arc::clone(&job), progress)) }
    };
    let storage = FaultStorage::new();
    let config = LogConfig { segment_bytes: 500, storage: Some(Arc::new(storage.clone())), ..config(dir.path()) };
    let log = EmbeddedLog::open(config).unwrap();
    let orders = topic(&log, "orders").await;
    log.append(&orders, sourced(0, 1)).await.unwrap().durable.await.unwrap();
    for lsn in 0..200 {
        log.append(&orders, alone(lsn)).await.unwrap().durable.await.unwrap();
    }
    let files = segments(dir.path(), "orders");
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(files.len() <= 2 && bytes <= 1200, "{} files of {bytes} bytes hold one record", files.len());
    storage.crash();
    drop(log);
    for _ in 0..2 {
        let log = open(dir.path()).unwrap();
        let of = |producer: &str| log.progress(&orders, producer).unwrap().map(|progress| progress.position);
        assert_eq!(of("job:b"), Some(Position::end_of(Lsn(199))));
        assert_eq!(of("source:a"), Some(Position::new(Lsn(1), 1)));
        assert_eq!(all_keys(&log, &orders).await, [0]);
    }
}
