//! Against the log in memory: what a new snapshot and a TRUNCATE leave in a topic.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use thm_api::{Lsn, TopicSpec};
use thm_log::MemoryLog;

use super::*;

struct Topic {
    log: MemoryLog,
    producer: Arc<str>,
    partition: TopicPartition,
    spool: tempfile::TempDir,
}

fn value(op: &str, id: u32, row: &str) -> String {
    format!(r#"{{"before":null,"after":{{"id":{id},"v":"{row}"}},"source":{{"lsn":1}},"op":"{op}","ts_ms":1}}"#)
}

fn gone(id: u32) -> String {
    format!(r#"{{"before":{{"id":{id},"v":null}},"after":null,"source":{{"lsn":1}},"op":"d","ts_ms":1}}"#)
}

impl Topic {
    async fn new() -> Self {
        let log = MemoryLog::new();
        log.create_topic(&TopicSpec::new("t")).await.unwrap();
        let spool = tempfile::tempdir().unwrap();
        Self { log, producer: "source:s".into(), partition: TopicPartition::new("t", 0), spool }
    }

    async fn put(&self, position: Position, records: &[(u32, Option<String>)], producer: Option<&Arc<str>>) {
        let mut writer = BatchWriter::new();
        for (id, value) in records {
            let key = format!("{{\"id\":{id}}}");
            let headers = HeaderBlock::of(&[("__debezium.context.task", b"0"), ("__debezium.oldkey", b"x")]);
            writer.push(1, Some(key.as_bytes()), value.as_deref().map(str::as_bytes), &headers);
        }
        let count = writer.len();
        let positions = vec![position; count as usize].into();
        let batch = LogBatch { bytes: writer.finish(), records: count, positions, decoded: None };
        let progress = producer.map(|producer| (Arc::clone(producer), Progress::at(position)));
        self.log.append(&self.partition, Append { batch: Some(batch), progress }).await.unwrap().durable.await.unwrap();
    }

    fn end(&self) -> Offset {
        self.log.topic("t").unwrap().partitions[0].high_watermark
    }

    async fn supersede(&self, by: Supersession, boundary: Offset, position: Position) -> Done {
        let order = Superseded {
            topic: Arc::new(TopicSpec::new("t")),
            position,
            by,
            source_json: b"{\"lsn\":7}".to_vec(),
            tombstones: true,
            spool: self.spool.path().to_owned(),
        };
        let stop = CancellationToken::new();
        let (log, producer) = (&self.log as &dyn Log, &self.producer);
        let work = Supersede { log, producer, partition: &self.partition, order: &order, boundary, stop: &stop };
        work.run().await.unwrap()
    }

    /// Records from an offset on: key, value.
    async fn from(&self, offset: Offset) -> Vec<(String, Option<String>)> {
        let limits = ReadLimits { max_bytes: 1 << 24, max_wait: Duration::ZERO };
        let read = self.log.read(&self.partition, offset, limits).await.unwrap();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = Vec::new();
        for fetched in read.batches {
            assert!(fetched.batch.positions.iter().all(|position| position.commit_end == Lsn(50)));
            for record in records(&fetched.batch.bytes).unwrap() {
                let record = record.unwrap();
                assert!(record.headers.get("__debezium.oldkey").is_none());
                assert_eq!(record.headers.get("__debezium.context.task").unwrap(), "0");
                all.push((text(record.key.unwrap()), record.value.map(text)));
            }
        }
        all
    }

    /// The rows that a reader of the topic believes in.
    async fn believed(&self) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        let limits = ReadLimits { max_bytes: 1 << 24, max_wait: Duration::ZERO };
        for fetched in self.log.read(&self.partition, Offset(0), limits).await.unwrap().batches {
            for record in records(&fetched.batch.bytes).unwrap() {
                let record = record.unwrap();
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                let row =
                    record.value.as_deref().and_then(StoredEnvelope::parse).and_then(|it| it.row().map(str::to_owned));
                match row {
                    Some(row) => drop(rows.insert(key, row)),
                    None => drop(rows.remove(&key)),
                }
            }
        }
        rows
    }
}

#[tokio::test]
async fn a_new_snapshot_deletes_what_it_lacks_and_tells_what_moved() {
    let topic = Topic::new().await;
    let first = Position::snapshot(Lsn(10));
    let rows: Vec<_> = (1..=5).map(|id| (id, Some(value("r", id, "old")))).collect();
    topic.put(first, &rows, Some(&topic.producer)).await;
    topic.put(first, &[(5, Some(gone(5))), (5, None)], Some(&topic.producer)).await;
    topic.put(first, &[(9, Some("by hand".to_owned()))], None).await;
    let boundary = topic.end();
    let now = Position::snapshot(Lsn(50));
    topic
        .put(
            now,
            &[(1, Some(value("r", 1, "old"))), (2, Some(value("r", 2, "moved"))), (6, Some(value("r", 6, "new")))],
            Some(&topic.producer),
        )
        .await;
    let end = topic.end();
    let done = topic.supersede(Supersession::Snapshot, boundary, now).await;
    assert_eq!(done, Done { deletes: 2, updates: 1, whole: true });
    let told = topic.from(end).await;
    let keys: Vec<_> = told.iter().map(|(key, value)| (key.as_str(), value.is_some())).collect();
    let expected = [
        ("{\"id\":3}", true),
        ("{\"id\":3}", false),
        ("{\"id\":4}", true),
        ("{\"id\":4}", false),
        ("{\"id\":2}", true),
    ];
    assert_eq!(keys, expected);
    let delete = told[0].1.as_deref().unwrap();
    assert!(
        delete
            .starts_with(r#"{"before":{"id":3,"v":"old"},"after":null,"source":{"lsn":7},"transaction":null,"op":"d""#)
    );
    let update = told[4].1.as_deref().unwrap();
    assert!(update.starts_with(r#"{"before":{"id":2,"v":"old"},"after":{"id":2,"v":"moved"},"source":{"lsn":7}"#));
    assert!(update.contains("\"op\":\"u\""));
    // Once more finds nothing to say of the deleted, and says the update again at most.
    let again = topic.supersede(Supersession::Snapshot, boundary, now).await;
    assert_eq!(again.deletes, 2, "a snapshot that is taken again has a boundary of its own");
    let none = topic.supersede(Supersession::Snapshot, Offset(0), now).await;
    assert_eq!(none, Done { whole: true, ..Done::default() }, "an empty topic has nothing to take back");
}

#[tokio::test]
async fn a_truncate_deletes_every_row_and_again_after_a_crash_in_the_middle() {
    let topic = Topic::new().await;
    let rows: Vec<_> = (1..=300).map(|id| (id, Some(value("c", id, &"x".repeat(100))))).collect();
    topic.put(Position::new(Lsn(50), 3), &rows, Some(&topic.producer)).await;
    let at = Position::new(Lsn(50), 4);
    let done = topic.supersede(Supersession::Truncate, topic.end(), at).await;
    assert_eq!((done.deletes, done.updates), (300, 0));
    assert!(topic.believed().await.is_empty());
    assert_eq!(topic.log.progress(&topic.partition, &topic.producer).unwrap(), Some(Progress::at(at)));
    // After it rows come again; nothing is left of the old ones.
    let end = topic.end();
    assert_eq!(topic.supersede(Supersession::Truncate, end, at).await.deletes, 0);
    assert_eq!(topic.end(), end);
}
