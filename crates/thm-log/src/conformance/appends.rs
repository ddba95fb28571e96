//! Appends: offsets, order, durability, and what is refused.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use thm_api::{ErrorKind, LogBatch, Offset, Position, ReadLimits, TopicPartition};
use tokio::time::timeout;

use super::*;

/// Base offsets are those of the records, in the order of the calls; stored bytes differ in the base offset only.
pub async fn offsets_count_records_in_call_order(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let given = batch(0, 3);
    let first = append(&*log, &topic, given.clone()).await;
    let second = append(&*log, &topic, batch(3, 5)).await;
    let third = append(&*log, &topic, batch(8, 1)).await;
    assert_eq!((first.base_offset, second.base_offset, third.base_offset), (Offset(0), Offset(3), Offset(8)));
    durable(third).await;
    let found = read(&*log, &topic, 0, usize::MAX).await;
    assert_eq!((found.log_start, found.high_watermark), (Offset(0), Offset(9)));
    let offsets: Vec<_> = found.batches.iter().map(|batch| batch.base_offset.0).collect();
    assert_eq!(offsets, [0, 3, 8]);
    assert_eq!(found.batches[0].batch.bytes, given.bytes, "offset 0 stands in the batch already");
    for fetched in &found.batches {
        let bytes = &fetched.batch.bytes;
        assert_eq!(bytes[..8], fetched.base_offset.0.to_be_bytes(), "the base offset stands in the bytes");
        record_batch::check_crc(bytes).expect("the batch's checksum still holds");
    }
    assert_eq!(keys(&found.batches), (0..9).map(|key| key.to_string()).collect::<Vec<_>>());
}

/// While appends are not durable nobody sees them: not readers, not the high watermark, not their own handle.
pub async fn nothing_is_seen_before_it_is_durable(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    append_durably(&*log, &topic, batch(0, 2)).await;
    subject.hold_durability(true);
    let mut queued = append(&*log, &topic, batch(2, 2)).await;
    assert!(timeout(GRACE, &mut queued.durable).await.is_err(), "resolved before it was durable");
    let limits = ReadLimits { max_bytes: usize::MAX, max_wait: GRACE };
    let tail = log.read(&topic, Offset(2), limits).await.expect("the high watermark is readable");
    assert!(tail.batches.is_empty(), "a reader saw what is not durable");
    assert_eq!(tail.high_watermark, Offset(2));
    let whole = read(&*log, &topic, 0, usize::MAX).await;
    assert_eq!(whole.batches.len(), 1);
    assert_eq!(log.topic("orders").map(|topic| topic.partitions[0].high_watermark), Some(Offset(2)));
    subject.hold_durability(false);
    durable(queued).await;
    assert_eq!(read(&*log, &topic, 2, usize::MAX).await.high_watermark, Offset(4));
}

/// Neither a dropped handle nor a dropped, unfinished call harms the order.
pub async fn dropping_a_handle_changes_nothing(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    drop(append(&*log, &topic, batch(0, 2)).await);
    drop(log.append(&topic, foreign(batch(90, 1))));
    assert_eq!(append_durably(&*log, &topic, batch(2, 2)).await, Offset(2));
    assert_eq!(keys(&read_all(&*log, &topic, 0).await), ["0", "1", "2", "3"]);
}

/// Offsets and records of one partition are none of another's.
pub async fn partitions_are_apart(subject: &dyn Subject) {
    let log = subject.log();
    create(&*log, "orders", 3).await;
    let partition = |number| TopicPartition::new("orders", number);
    append_durably(&*log, &partition(2), batch(20, 4)).await;
    assert_eq!(append_durably(&*log, &partition(1), batch(10, 1)).await, Offset(0));
    assert_eq!(keys(&read_all(&*log, &partition(0), 0).await), [""; 0]);
    assert_eq!(keys(&read_all(&*log, &partition(1), 0).await), ["10"]);
    assert_eq!(keys(&read_all(&*log, &partition(2), 0).await), ["20", "21", "22", "23"]);
}

/// Appends from many tasks get offsets without gap or overlap.
pub async fn concurrent_appends_leave_no_gap(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let tasks = (0..8).map(|task| {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        tokio::spawn(async move {
            for turn in 0..25 {
                append_durably(&*log, &topic, batch(task * 1000 + turn * 3, 3)).await;
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.expect("no task panics"));
    let found = read_all(&*log, &topic, 0).await;
    let mut next = Offset(0);
    for fetched in &found {
        assert_eq!(fetched.base_offset, next);
        next = fetched.next_offset();
    }
    assert_eq!(next, Offset(8 * 25 * 3));
}

/// A batch that is not what its header says is refused and takes no offset.
pub async fn batches_that_contradict_themselves_are_refused(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let good = batch(0, 3);
    let position = Position::default();
    let bad = [
        LogBatch { records: 2, ..good.clone() },
        LogBatch { records: 0, ..good.clone() },
        LogBatch { bytes: Bytes::new(), ..good.clone() },
        LogBatch { bytes: good.bytes.slice(..good.bytes.len() - 1), ..good.clone() },
        LogBatch { positions: Arc::from([position]), ..good.clone() },
    ];
    for batch in bad {
        let refused = log.append(&topic, foreign(batch)).await.expect_err("a bad batch is refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidRecord);
    }
    assert_eq!(append_durably(&*log, &topic, good).await, Offset(0));
}

/// After a restart every durable record is there, and offsets go on.
pub async fn records_survive_a_restart(subject: &mut dyn Subject) {
    let topic = {
        let log = subject.log();
        let topic = create(&*log, "orders", 1).await;
        append_durably(&*log, &topic, batch(0, 3)).await;
        append_durably(&*log, &topic, batch(3, 3)).await;
        topic
    };
    if !subject.reopen().await {
        return;
    }
    let log = subject.log();
    assert_eq!(keys(&read_all(&*log, &topic, 0).await), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(append_durably(&*log, &topic, batch(6, 1)).await, Offset(6));
    assert_eq!(keys(&read_all(&*log, &topic, 5).await), ["3", "4", "5", "6"], "reads go on across the restart");
}
