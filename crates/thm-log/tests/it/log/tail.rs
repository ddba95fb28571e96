//! The tail cache seen from outside: decoded rows while they last, segments otherwise, and no seam between.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use tempfile::tempdir;
use thm_api::{
    Append, ChangelogBatch, FetchedBatch, Log, LogBatch, Lsn, Offset, Op, Position, ReadLimits, RowKind, RowMeta,
    TopicPartition,
};
use thm_log::conformance::{batch, keys};
use thm_log::{EmbeddedLog, LogConfig};

use super::support::*;

/// The batch's keys as a column.
fn decoded(first: u32, records: u32) -> LogBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let ids = Int64Array::from_iter_values((first..first + records).map(i64::from));
    let rows = RecordBatch::try_new(schema, vec![Arc::new(ids)]).unwrap();
    let meta = |record| {
        let position = Position::new(Lsn(5), u64::from(first + record));
        RowMeta { kind: RowKind::Insert, op: Op::Create, position, commit_us: 0, record }
    };
    let decoded = ChangelogBatch { rows, meta: (0..records).map(meta).collect() };
    LogBatch { decoded: Some(Arc::new(decoded)), ..batch(first, records) }
}

async fn read(log: &EmbeddedLog, partition: &TopicPartition, from: i64) -> Vec<FetchedBatch> {
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    log.read(partition, Offset(from), limits).await.unwrap().batches
}

fn rows(fetched: &FetchedBatch) -> Option<Vec<i64>> {
    let decoded = fetched.batch.decoded.as_ref()?;
    let ids = decoded.rows.column(0).as_any().downcast_ref::<Int64Array>()?;
    Some(ids.values().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoded_rows_come_back_until_a_restart() {
    let dir = tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let orders = topic(&log, "orders").await;
    append(&log, &orders, decoded(0, 3)).await;
    append(&log, &orders, decoded(3, 2)).await;
    let found = read(&log, &orders, 0).await;
    assert_eq!(found.iter().map(rows).collect::<Vec<_>>(), [Some(vec![0, 1, 2]), Some(vec![3, 4])]);
    drop(log);
    let log = open(dir.path()).unwrap();
    let found = read(&log, &orders, 0).await;
    assert_eq!(found.iter().map(rows).collect::<Vec<_>>(), [None, None]);
    assert_eq!(keys(&found), ["0", "1", "2", "3", "4"]);
}

/// A reader that lags comes from segments into the cache without missing or repeating a record, and gets the decoded
/// rows as soon as there are any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_seam_between_segments_and_cache() {
    let dir = tempdir().unwrap();
    let config = LogConfig { tail_cache_bytes: 6000, segment_bytes: 2000, ..config(dir.path()) };
    let log = EmbeddedLog::open(config).unwrap();
    let orders = topic(&log, "orders").await;
    for first in 0..100 {
        append(&log, &orders, decoded(first, 1)).await;
    }
    let mut next = 0;
    let mut with_rows = Vec::new();
    while next < 100 {
        for fetched in read(&log, &orders, next).await {
            assert_eq!(fetched.base_offset, Offset(next));
            assert_eq!(keys(std::slice::from_ref(&fetched)), [next.to_string()]);
            with_rows.push(rows(&fetched).is_some());
            next = fetched.next_offset().0;
        }
    }
    let first_cached = with_rows.iter().position(|cached| *cached).unwrap();
    assert!((80..100).contains(&first_cached), "{first_cached}");
    assert!(with_rows[first_cached..].iter().all(|cached| *cached), "rows in the cache were read from segments");
}

/// Bytes that the caller shares with others are copied, not changed under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_bytes_are_left_alone() {
    let dir = tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let orders = topic(&log, "orders").await;
    append(&log, &orders, batch(0, 7)).await;
    let mine = batch(7, 1);
    let before = mine.bytes.to_vec();
    append(&log, &orders, mine.clone()).await;
    assert_eq!(mine.bytes, before);
    assert_eq!(read(&log, &orders, 7).await[0].batch.bytes[..8], 7_i64.to_be_bytes());
}

/// Writers, readers that keep up, readers that lag, rolls and retention at once: every reader sees a gapless run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_a_gapless_run_whatever_happens_beside_them() {
    let dir = tempdir().unwrap();
    let config = LogConfig {
        tail_cache_bytes: 20_000,
        segment_bytes: 3000,
        retention_bytes: 100_000,
        retention_interval: Duration::ZERO,
        ..config(dir.path())
    };
    let log = Arc::new(EmbeddedLog::open(config).unwrap());
    let orders = topic(&log, "orders").await;
    const RECORDS: i64 = 3000;
    let reader = |lag: Duration| {
        let (log, orders) = (Arc::clone(&log), orders.clone());
        tokio::spawn(async move {
            let mut next = Offset(0);
            while next.0 < RECORDS {
                let limits = ReadLimits { max_bytes: 2000, max_wait: Duration::from_secs(10) };
                let found = match log.read(&orders, next, limits).await {
                    Ok(found) => found,
                    Err(error) => {
                        assert_eq!(error.kind(), thm_api::ErrorKind::OffsetOutOfRange, "{error}");
                        next = log.topic("orders").unwrap().partitions[0].log_start;
                        continue;
                    }
                };
                for fetched in found.batches {
                    assert!(fetched.base_offset <= next && next < fetched.next_offset());
                    assert!(fetched.next_offset() <= found.high_watermark);
                    next = fetched.next_offset();
                }
                tokio::time::sleep(lag).await;
            }
        })
    };
    let readers = [reader(Duration::ZERO), reader(Duration::from_millis(1)), reader(Duration::from_millis(7))];
    for first in 0..RECORDS as u32 / 3 {
        let append = Append { batch: Some(decoded(first * 3, 3)), progress: None };
        let appended = log.append(&orders, append).await.unwrap();
        if first % 10 == 0 {
            appended.durable.await.unwrap();
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
