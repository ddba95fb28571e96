//! Topics: creation, deletion, identity.

use std::sync::Arc;

use thm_api::{Cleanup, ErrorKind, Offset, ReadLimits, TopicPartition, TopicSpec};

use super::*;

/// Creating a topic that is there returns it as it is; the list is sorted.
pub async fn creation_is_idempotent_and_lists(subject: &dyn Subject) {
    let log = subject.log();
    let spec = TopicSpec { cleanup: Cleanup::Compact, retention_ms: 5, ..TopicSpec::new("b.two") };
    let first = log.create_topic(&spec).await.expect("created");
    assert_eq!(first.spec, spec);
    create(&*log, "a-one", 2).await;
    let again = log.create_topic(&TopicSpec::new("b.two")).await.expect("it is there");
    assert_eq!(again, first, "the topic as it is, with the settings it was created with");
    let names: Vec<_> = log.topics().into_iter().map(|topic| topic.spec.name).collect();
    assert_eq!(names, ["a-one", "b.two"]);
    assert_eq!(log.topic("a-one").map(|topic| topic.partitions.len()), Some(2));
    assert_eq!(log.topic("c"), None);
}

/// Another number of partitions, and names that Kafka refuses, are refused.
pub async fn other_partition_counts_and_bad_names_are_refused(subject: &dyn Subject) {
    let log = subject.log();
    create(&*log, "orders", 2).await;
    let long = "x".repeat(250);
    let specs = [("orders", 3), ("orders", 0), ("", 1), (".", 1), ("..", 1), ("a/b", 1), ("~a", 1), (&long, 1)];
    for (name, partitions) in specs {
        let spec = TopicSpec { partitions, ..TopicSpec::new(name) };
        let refused = log.create_topic(&spec).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::TopicMismatch, "{name}");
    }
}

/// Whatever is asked of a topic or partition that is not there says so.
pub async fn what_is_missing_is_named(subject: &dyn Subject) {
    let log = subject.log();
    create(&*log, "orders", 1).await;
    let limits = ReadLimits { max_bytes: 1, max_wait: PATIENCE };
    for partition in [TopicPartition::new("nowhere", 0), TopicPartition::new("orders", 1)] {
        let read = log.read(&partition, Offset(0), limits).await.expect_err("missing");
        let append = log.append(&partition, foreign(batch(0, 1))).await.expect_err("missing");
        let progress = log.progress(&partition, "source:a").expect_err("missing");
        for error in [read, append, progress] {
            assert_eq!(error.kind(), ErrorKind::TopicMissing);
            assert!(error.to_string().contains(&partition.to_string()), "{error}");
        }
    }
    assert_eq!(log.delete_topic("nowhere").await.expect_err("missing").kind(), ErrorKind::TopicMissing);
}

/// A topic of the same name is another one: empty, with another uuid.
pub async fn a_recreated_topic_is_another(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    append_durably(&*log, &topic, batch(0, 3)).await;
    let before = log.topic("orders").map(|topic| topic.uuid);
    log.delete_topic("orders").await.expect("deleted");
    assert_eq!(log.topic("orders"), None);
    create(&*log, "orders", 1).await;
    let after = log.topic("orders").map(|topic| topic.uuid);
    assert!(after.is_some() && after != before);
    let found = read(&*log, &topic, 0, usize::MAX).await;
    assert!(found.batches.is_empty() && found.high_watermark == Offset(0), "nothing of the old life is left");
    assert_eq!(append_durably(&*log, &topic, batch(7, 1)).await, Offset(0));
    assert_eq!(keys(&read(&*log, &topic, 0, usize::MAX).await.batches), ["7"]);
}

/// A reader that waits is told at once that its topic is gone.
pub async fn deletion_wakes_readers(subject: &dyn Subject) {
    let log = subject.log();
    let topic = create(&*log, "orders", 1).await;
    let reader = {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        let limits = ReadLimits { max_bytes: 1, max_wait: PATIENCE * 2 };
        tokio::spawn(async move { log.read(&topic, Offset(0), limits).await })
    };
    tokio::time::sleep(GRACE).await;
    log.delete_topic("orders").await.expect("deleted");
    let woken = tokio::time::timeout(PATIENCE, reader).await.expect("woken in time").expect("no panic");
    assert_eq!(woken.expect_err("the topic is gone").kind(), ErrorKind::TopicMissing);
}

/// After a restart a topic has the same settings and uuid, and a deleted one is still gone.
pub async fn identity_survives_a_restart(subject: &mut dyn Subject) {
    let before = {
        let log = subject.log();
        create(&*log, "gone", 1).await;
        create(&*log, "orders", 2).await;
        log.delete_topic("gone").await.expect("deleted");
        log.topics()
    };
    if subject.reopen().await {
        assert_eq!(subject.log().topics(), before);
    }
}
