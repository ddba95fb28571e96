//! Progress of producers: durable with their records, without records, and beside foreign appends.

use std::sync::Arc;

use thm_api::{Append, Log, LogBatch, Lsn, Offset, Position, Progress, TopicPartition};

use super::*;

async fn append_as(
    log: &dyn Log,
    partition: &TopicPartition,
    producer: &str,
    progress: Progress,
    batch: Option<LogBatch>,
) -> Appended {
    let append = Append { batch, progress: Some((Arc::from(producer), progress)) };
    log.append(partition, append).await.expect("a good batch is accepted")
}

fn progress_of(log: &dyn Log, partition: &TopicPartition, producer: &str) -> Option<Progress> {
    log.progress(partition, producer).expect("the partition is there")
}

/// Progress is what is durable, by producer.
pub async fn progress_moves_when_durable(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 2).await;
    assert_eq!(progress_of(&*log, &topic, "source:a"), None);
    durable(append_as(&*log, &topic, "source:a", at(10), Some(batch(0, 1))).await).await;
    subject.hold_durability(true);
    let queued = append_as(&*log, &topic, "source:a", at(20), Some(batch(1, 1))).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(progress_of(&*log, &topic, "source:a"), Some(at(10)), "moved before it was durable");
    subject.hold_durability(false);
    durable(queued).await;
    assert_eq!(progress_of(&*log, &topic, "source:a"), Some(at(20)));
    assert_eq!(progress_of(&*log, &topic, "job:b"), None);
    assert_eq!(progress_of(&*log, &TopicPartition::new("orders", 1), "source:a"), None);
}

/// Progress alone is durable and ordered like records, and takes no offset.
pub async fn progress_without_records_takes_no_offset(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    assert_eq!(durable(append_as(&*log, &topic, "job:b", at(1), None).await).await, Offset(0));
    assert_eq!(progress_of(&*log, &topic, "job:b"), Some(at(1)));
    assert_eq!(append_durably(&*log, &topic, batch(0, 2)).await, Offset(0));
    let fine = Progress { position: Position::snapshot(Lsn(1)), input: 3, offset: 17 };
    assert_eq!(durable(append_as(&*log, &topic, "job:b", fine, None).await).await, Offset(2));
    assert_eq!(append_durably(&*log, &topic, batch(2, 1)).await, Offset(2));
    assert_eq!(progress_of(&*log, &topic, "job:b"), Some(fine));
    let found = read(&*log, &topic, 0, usize::MAX).await;
    assert_eq!(keys(&found.batches), ["0", "1", "2"], "readers see records only");
    assert_eq!(found.high_watermark, Offset(3));
}

/// Records from elsewhere move nobody's progress.
pub async fn foreign_appends_keep_progress(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    durable(append_as(&*log, &topic, "source:a", at(10), Some(batch(0, 1))).await).await;
    for first in 1..20 {
        append_durably(&*log, &topic, batch(first, 1)).await;
    }
    durable(append_as(&*log, &topic, "job:b", at(3), Some(batch(20, 1))).await).await;
    assert_eq!(progress_of(&*log, &topic, "source:a"), Some(at(10)));
    assert_eq!(progress_of(&*log, &topic, "job:b"), Some(at(3)));
}

/// A reader learns who wrote a batch and where its records stand.
pub async fn producers_and_positions_come_back(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let positions: Arc<[Position]> =
        Arc::from([Position::snapshot(Lsn(7)), Position::new(Lsn(9), 1), Position::end_of(Lsn(8))]);
    let own = LogBatch { positions: Arc::clone(&positions), ..batch(0, 3) };
    durable(append_as(&*log, &topic, "source:a", at(9), Some(own)).await).await;
    append_durably(&*log, &topic, batch(3, 1)).await;
    let found = read(&*log, &topic, 0, usize::MAX).await.batches;
    assert_eq!(found[0].producer.as_deref(), Some("source:a"));
    assert_eq!(found[0].batch.positions, positions);
    assert_eq!(found[1].producer, None);
    assert!(found[1].batch.positions.is_empty());
}

/// A deleted topic takes its progress with it.
pub async fn progress_goes_with_the_topic(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    durable(append_as(&*log, &topic, "source:a", at(10), Some(batch(0, 1))).await).await;
    log.delete_topic("orders").await.expect("deleted");
    create(&*log, "orders", 1).await;
    assert_eq!(progress_of(&*log, &topic, "source:a"), None);
}

/// After restarts progress is as it was, whatever came after it.
pub async fn progress_survives_restarts(subject: &mut dyn Subject) {
    let topic = {
        let log = subject.log();
        let topic = create(&*log, "orders", 1).await;
        durable(append_as(&*log, &topic, "source:a", at(10), Some(batch(0, 1))).await).await;
        durable(append_as(&*log, &topic, "job:b", at(4), None).await).await;
        append_durably(&*log, &topic, batch(1, 1)).await;
        topic
    };
    for _ in 0..2 {
        if !subject.reopen().await {
            return;
        }
        let log = subject.log();
        assert_eq!(progress_of(&*log, &topic, "source:a"), Some(at(10)));
        assert_eq!(progress_of(&*log, &topic, "job:b"), Some(at(4)));
    }
    let log = subject.log();
    durable(append_as(&*log, &topic, "job:b", at(5), None).await).await;
    drop(log);
    subject.reopen().await;
    assert_eq!(progress_of(&*subject.log(), &topic, "job:b"), Some(at(5)));
}
