//! Reads: limits, ranges, waking, cancelled reads, look-up by time.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{ErrorKind, Offset, ReadLimits};
use tokio::time::{Instant, timeout};

use super::*;

/// A read stops before the batch that would pass the limit; the first comes whole, however large.
pub async fn limits_count_whole_batches(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    for first in 0..6 {
        append_durably(&*log, &topic, batch(first, 1)).await;
    }
    let size = batch(0, 1).bytes.len();
    assert_eq!(read(&*log, &topic, 0, 1).await.batches.len(), 1);
    assert_eq!(read(&*log, &topic, 0, 3 * size).await.batches.len(), 3);
    assert_eq!(read(&*log, &topic, 0, 4 * size - 1).await.batches.len(), 3);
    assert_eq!(read(&*log, &topic, 4, usize::MAX).await.batches.len(), 2);
    assert_eq!(read_all(&*log, &topic, 0).await.len(), 6);
}

/// The first batch is the one that holds the offset, also where it begins earlier.
pub async fn a_read_inside_a_batch_gives_the_whole_batch(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    append_durably(&*log, &topic, batch(0, 5)).await;
    append_durably(&*log, &topic, batch(5, 5)).await;
    for from in 0..5 {
        assert_eq!(read(&*log, &topic, from, 1).await.batches[0].base_offset, Offset(0));
        assert_eq!(read(&*log, &topic, from + 5, 1).await.batches[0].base_offset, Offset(5));
    }
}

/// Negative offsets and those above the high watermark are out of range, at once.
pub async fn offsets_outside_are_out_of_range(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    append_durably(&*log, &topic, batch(0, 2)).await;
    let limits = ReadLimits { max_bytes: 1, max_wait: PATIENCE };
    for from in [-1, 3, i64::MAX] {
        let refused = timeout(GRACE, log.read(&topic, Offset(from), limits)).await.expect("answers at once");
        assert_eq!(refused.expect_err("out of range").kind(), ErrorKind::OffsetOutOfRange);
    }
    assert!(read(&*log, &topic, 2, 1).await.batches.is_empty(), "the high watermark itself is in range");
}

/// Every reader that waits at the end sees an append, without asking again.
pub async fn waiting_readers_are_woken(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (log, topic) = (Arc::clone(&log), topic.clone());
            let limits = ReadLimits { max_bytes: usize::MAX, max_wait: PATIENCE };
            tokio::spawn(async move { log.read(&topic, Offset(0), limits).await })
        })
        .collect();
    tokio::time::sleep(GRACE).await;
    let started = Instant::now();
    append_durably(&*log, &topic, batch(0, 1)).await;
    for reader in readers {
        let found = reader.await.expect("no reader panics").expect("the offset is readable");
        assert_eq!(keys(&found.batches), ["0"]);
        assert_eq!(found.high_watermark, Offset(1));
    }
    assert!(started.elapsed() < PATIENCE / 2, "the readers were not woken, they timed out");
}

/// Without appends a read waits as long as it was told, and gives nothing.
pub async fn a_wait_ends_with_nothing(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let started = Instant::now();
    let limits = ReadLimits { max_bytes: 1, max_wait: GRACE };
    let found = log.read(&topic, Offset(0), limits).await.expect("the end is readable");
    assert!(found.batches.is_empty() && found.high_watermark == Offset(0));
    assert!(started.elapsed() >= GRACE - Duration::from_millis(5));
}

/// A read that is dropped while it waits takes nothing with it.
pub async fn a_cancelled_read_loses_nothing(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let limits = ReadLimits { max_bytes: usize::MAX, max_wait: PATIENCE };
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(5), log.read(&topic, Offset(0), limits)).await.is_err());
    }
    append_durably(&*log, &topic, batch(0, 1)).await;
    assert_eq!(keys(&read(&*log, &topic, 0, usize::MAX).await.batches), ["0"]);
}

/// The batch at a time is the first one with a timestamp not before it.
pub async fn batches_are_found_by_time(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    for (first, time_ms) in [(0, 1000), (3, 2000), (6, 1500), (9, 4000)] {
        append_durably(&*log, &topic, batch_at(first, 3, time_ms)).await;
    }
    for (time_ms, offset) in
        [(0, Some(0)), (1002, Some(0)), (1003, Some(3)), (2003, Some(9)), (4002, Some(9)), (4003, None)]
    {
        let found = log.batch_at_time(&topic, time_ms).await.expect("the log is readable");
        assert_eq!(found, offset.map(Offset), "at {time_ms}");
    }
}
