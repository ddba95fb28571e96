//! A log with the two captured tables, and a source that writes them as Debezium would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use thm_api::{
    Append, ChangelogBatch, Complete, Completeness, Log, LogBatch, Lsn, MemoryBudget, Offset, Op, Position, Progress,
    ReadLimits, RowKind, RowMeta, StateStore, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{self, BatchWriter, HeaderBlock};
use thm_log::{FileStateStore, MemoryLog};
use thm_sql::{CompileContext, JobManager, JobManagerOptions, JobPlan, JobState, JobStatus, compile};

pub const EVENTS: &str = "pg.public.engagement_events";
pub const CONTENT: &str = "pg.public.content";
pub const ENRICHED: &str = "thm.enriched.events";
pub const OURS: &str = include_str!("../../../../flink/sql/01_enrich.sql");
pub const PUBLISHED: &str = include_str!("../sql/published.sql");

/// A change of one of the two tables.
#[derive(Clone, Debug)]
pub struct Change {
    pub topic: &'static str,
    pub lsn: u64,
    pub op: Op,
    pub row: Row,
}

#[derive(Clone, Debug)]
pub enum Row {
    Event { id: i64, content: Option<String>, kind: Option<String>, duration_ms: Option<i32> },
    Content { id: String, kind: Option<String>, length: Option<i32> },
}

pub fn content(lsn: u64, op: Op, id: &str, kind: &str, length: Option<i32>) -> Change {
    let row = Row::Content { id: uuid(id), kind: Some(kind.to_owned()), length };
    Change { topic: CONTENT, lsn, op, row }
}

pub fn event(lsn: u64, op: Op, id: i64, content: &str, duration_ms: Option<i32>) -> Change {
    let row = Row::Event { id, content: Some(uuid(content)), kind: Some("play".to_owned()), duration_ms };
    Change { topic: EVENTS, lsn, op, row }
}

pub fn uuid(short: &str) -> String {
    format!("{short:0>8}-1111-1111-1111-111111111111")
}

impl Change {
    pub fn position(&self) -> Position {
        if self.op == Op::Read { Position::snapshot(Lsn(self.lsn)) } else { Position::new(Lsn(self.lsn), 1) }
    }

    fn commit_us(&self) -> i64 {
        1_700_000_000_000_123 + i64::try_from(self.lsn).unwrap() * 1_000
    }

    fn event_us(&self) -> i64 {
        1_704_164_701_000_000 + i64::try_from(self.lsn).unwrap() * 1_500
    }

    pub fn key(&self) -> String {
        match &self.row {
            Row::Event { id, .. } => format!("{{\"id\":{id}}}"),
            Row::Content { id, .. } => format!("{{\"id\":\"{id}\"}}"),
        }
    }

    /// The envelope; `before` is null as under replica identity default.
    pub fn value(&self) -> String {
        let text = |value: &Option<String>| serde_json::to_string(value).unwrap();
        let number = |value: &Option<i32>| serde_json::to_string(value).unwrap();
        let row = match &self.row {
            Row::Event { id, content, kind, duration_ms } => {
                let mut at = String::new();
                let micros = self.event_us();
                let moment = thm_sql::types::time::Moment::of(micros, arrow::datatypes::TimeUnit::Microsecond);
                thm_sql::types::time::write_timestamp(&mut at, moment, 'T', 6);
                format!(
                    "{{\"id\":{id},\"content_id\":{},\"user_id\":\"{}\",\"event_type\":{},\"event_ts\":\"{at}Z\",\"duration_ms\":{},\"device\":\"ios\",\"raw_payload\":\"{{\\\"n\\\": {id}}}\"}}",
                    text(content),
                    uuid("9"),
                    text(kind),
                    number(duration_ms)
                )
            }
            Row::Content { id, kind, length } => format!(
                "{{\"id\":\"{id}\",\"slug\":\"s\",\"title\":\"t\",\"content_type\":{},\"length_seconds\":{},\"publish_ts\":\"2024-01-02T03:04:05.678901Z\"}}",
                text(kind),
                number(length)
            ),
        };
        let after = if self.op == Op::Delete { "null" } else { row.as_str() };
        let us = self.commit_us();
        format!(
            "{{\"before\":null,\"after\":{after},\"source\":{{\"version\":\"3.7.0\",\"ts_ms\":{},\"ts_us\":{us},\"table\":\"t\"}},\"transaction\":null,\"op\":\"{}\",\"ts_ms\":1}}",
            us / 1_000,
            self.op.as_str()
        )
    }

    fn kind(&self) -> RowKind {
        match self.op {
            Op::Update => RowKind::UpdateAfter,
            Op::Delete => RowKind::Delete,
            _ => RowKind::Insert,
        }
    }
}

/// The rows as the source's decoded batch.
fn decoded(changes: &[Change], change_columns: impl FnOnce(&mut Vec<(&'static str, ArrayRef)>)) -> ChangelogBatch {
    let alive = |change: &Change| change.op != Op::Delete;
    let mut columns: Vec<(&'static str, ArrayRef)> = if changes[0].topic == EVENTS {
        let of = |change: &Change| match &change.row {
            Row::Event { id, content, kind, duration_ms } => (*id, content.clone(), kind.clone(), *duration_ms),
            Row::Content { .. } => unreachable!(),
        };
        let times = changes.iter().map(|change| alive(change).then(|| change.event_us()));
        vec![
            ("id", Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| of(change).0)))),
            ("content_id", Arc::new(StringArray::from_iter(changes.iter().map(|c| of(c).1.filter(|_| alive(c)))))),
            ("user_id", Arc::new(StringArray::from_iter(changes.iter().map(|c| alive(c).then(|| uuid("9")))))),
            ("event_type", Arc::new(StringArray::from_iter(changes.iter().map(|c| of(c).2.filter(|_| alive(c)))))),
            ("event_ts", Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))),
            ("duration_ms", Arc::new(Int32Array::from_iter(changes.iter().map(|c| of(c).3.filter(|_| alive(c)))))),
            ("device", Arc::new(StringArray::from_iter(changes.iter().map(|c| alive(c).then_some("ios"))))),
            (
                "raw_payload",
                Arc::new(StringArray::from_iter(
                    changes.iter().map(|c| alive(c).then(|| format!("{{\"n\": {}}}", of(c).0))),
                )),
            ),
        ]
    } else {
        let of = |change: &Change| match &change.row {
            Row::Content { id, kind, length } => (id.clone(), kind.clone(), *length),
            Row::Event { .. } => unreachable!(),
        };
        vec![
            ("id", Arc::new(StringArray::from_iter_values(changes.iter().map(|change| of(change).0)))),
            ("content_type", Arc::new(StringArray::from_iter(changes.iter().map(|c| of(c).1.filter(|_| alive(c)))))),
            ("length_seconds", Arc::new(Int32Array::from_iter(changes.iter().map(|c| of(c).2.filter(|_| alive(c)))))),
        ]
    };
    change_columns(&mut columns);
    let meta = (0..).zip(changes).map(|(record, change)| RowMeta {
        kind: change.kind(),
        op: change.op,
        position: change.position(),
        commit_us: change.commit_us(),
        record,
    });
    ChangelogBatch { rows: RecordBatch::try_from_iter(columns).unwrap(), meta: meta.collect() }
}

/// Changes of one topic as a batch of the source.
pub fn batch_of(changes: &[Change], columns: Option<Arc<ChangelogBatch>>) -> LogBatch {
    let mut writer = BatchWriter::new();
    for change in changes {
        let (key, value) = (change.key(), change.value());
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        writer.push(change.commit_us() / 1_000, key, value, &HeaderBlock::default());
    }
    LogBatch {
        bytes: writer.finish(),
        records: u32::try_from(changes.len()).unwrap(),
        positions: changes.iter().map(Change::position).collect(),
        decoded: columns,
    }
}

/// A log, a state store, and how far the source has written.
pub struct Bench {
    pub log: Arc<MemoryLog>,
    pub state: Arc<dyn StateStore>,
    ends: Mutex<BTreeMap<String, i64>>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        let log = Arc::new(MemoryLog::new());
        for topic in [EVENTS, CONTENT] {
            log.create_topic(&TopicSpec::new(topic)).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(FileStateStore::open(folder.path()).unwrap());
        Self { log, state, ends: Mutex::default(), _folder: folder }
    }

    /// Appends changes of one topic as one batch, with or without decoded columns.
    pub async fn write(&self, changes: &[Change], with_columns: bool) {
        if !changes.is_empty() {
            let columns = with_columns.then(|| Arc::new(decoded(changes, |_| {})));
            self.append(changes, columns).await;
        }
    }

    /// Appends changes with columns that do not agree with the records.
    pub async fn write_with(&self, changes: &[Change], wrong: impl FnOnce(&mut Vec<(&'static str, ArrayRef)>)) {
        self.append(changes, Some(Arc::new(decoded(changes, wrong)))).await;
    }

    /// Appends a change with another value than its own.
    pub async fn write_value(&self, change: &Change, value: &str) {
        self.write_altered(change, value, None).await;
    }

    /// Appends a change of an altered table: its value, and the columns that are there.
    pub async fn write_altered(&self, change: &Change, value: &str, columns: Option<&[&str]>) {
        let kept = |kept: &[&str]| {
            let columns = |all: &mut Vec<(&'static str, ArrayRef)>| all.retain(|(name, _)| kept.contains(name));
            Arc::new(decoded(std::slice::from_ref(change), columns))
        };
        let mut writer = BatchWriter::new();
        let key = change.key();
        writer.push(change.commit_us() / 1_000, Some(key.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
        let positions = Arc::new([change.position()]);
        let batch = LogBatch { bytes: writer.finish(), records: 1, positions, decoded: columns.map(kept) };
        self.put(change, batch).await;
    }

    /// Whether a topic is there.
    pub fn log_has(&self, topic: &str) -> bool {
        self.log.topic(topic).is_some()
    }

    async fn put(&self, last: &Change, batch: LogBatch) {
        let records = i64::from(batch.records);
        let append = Append { batch: Some(batch), progress: Some(("source:pg".into(), Progress::at(last.position()))) };
        let appended = self.log.append(&TopicPartition::new(last.topic, 0), append).await.unwrap();
        let end = appended.base_offset.0 + records;
        appended.durable.await.unwrap();
        self.ends.lock().unwrap().insert(last.topic.to_owned(), end);
    }

    async fn append(&self, changes: &[Change], columns: Option<Arc<ChangelogBatch>>) {
        let batch = batch_of(changes, columns);
        let last = changes.last().unwrap().position();
        let append = Append { batch: Some(batch), progress: Some(("source:pg".into(), Progress::at(last))) };
        let appended = self.log.append(&TopicPartition::new(changes[0].topic, 0), append).await.unwrap();
        let end = appended.base_offset.0 + i64::try_from(changes.len()).unwrap();
        appended.durable.await.unwrap();
        self.ends.lock().unwrap().insert(changes[0].topic.to_owned(), end);
    }

    /// Appends raw records that no source of ours wrote.
    pub async fn foreign(&self, topic: &str, records: &[(Option<&str>, Option<&str>)]) {
        let mut writer = BatchWriter::new();
        for (key, value) in records {
            let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
            writer.push(1_800_000_000_000, key, value, &HeaderBlock::default());
        }
        let records = u32::try_from(records.len()).unwrap();
        let batch = LogBatch { bytes: writer.finish(), records, positions: Arc::new([]), decoded: None };
        let append = Append { batch: Some(batch), progress: None };
        let appended = self.log.append(&TopicPartition::new(topic, 0), append).await.unwrap();
        appended.durable.await.unwrap();
        self.ends.lock().unwrap().insert(topic.to_owned(), appended.base_offset.0 + i64::from(records));
    }

    /// States that all topics, except some, are complete up to an LSN.
    pub fn complete(&self, position: Position, except: &[&str]) {
        let known = self.ends.lock().unwrap();
        let topics = [EVENTS, CONTENT].into_iter().filter(|topic| !except.contains(topic));
        let ends: BTreeMap<String, Vec<Option<Offset>>> = topics
            .map(|topic| (topic.to_owned(), vec![Some(Offset(known.get(topic).copied().unwrap_or(0)))]))
            .collect();
        self.log.publish("source:pg", Arc::new(Complete { position, ends }));
    }

    pub fn complete_to(&self, lsn: u64) {
        self.complete(Position::end_of(Lsn(lsn)), &[]);
    }

    pub fn manager(&self) -> JobManager {
        JobManager::new(JobManagerOptions {
            log: Arc::clone(&self.log) as Arc<dyn Log>,
            completeness: Arc::clone(&self.log) as Arc<dyn Completeness>,
            state: Arc::clone(&self.state),
            handle: tokio::runtime::Handle::current(),
            budget: MemoryBudget::new(16 << 20),
            groups: None,
            hosts: thm_api::Hosts::default(),
        })
    }

    /// Everything in the output topic.
    pub async fn output(&self) -> Vec<Written> {
        output(&*self.log).await
    }

    /// Waits until the output has so many records.
    pub async fn wait_for(&self, records: usize) -> Vec<Written> {
        let begun = Instant::now();
        loop {
            let out = self.output().await;
            if out.len() >= records || begun.elapsed() > PATIENCE {
                assert!(out.len() >= records, "only {} of {records} records came", out.len());
                return out;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Everything in the output topic of a log.
pub async fn output(log: &dyn Log) -> Vec<Written> {
    let partition = TopicPartition::new(ENRICHED, 0);
    let mut out = Vec::new();
    let mut from = Offset(0);
    loop {
        let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
        let Ok(found) = log.read(&partition, from, limits).await else { return out };
        if found.batches.is_empty() {
            return out;
        }
        for fetched in found.batches {
            from = fetched.next_offset();
            let mut decoded_rows = 0;
            for record in record_batch::records(&fetched.batch.bytes).unwrap() {
                let record = record.unwrap();
                let headers = record.headers.iter().collect();
                out.push(Written { key: record.key, value: record.value, timestamp_ms: record.timestamp_ms, headers });
                decoded_rows += 1;
            }
            let columns = fetched.batch.decoded.as_ref().map_or(decoded_rows, |decoded| decoded.rows.num_rows());
            assert_eq!(columns, decoded_rows, "the decoded batch has a row per record");
            assert_eq!(fetched.batch.positions.len(), decoded_rows);
        }
    }
}

/// Everything in the first partition of a topic.
pub async fn records(log: &dyn Log, topic: &str) -> Vec<Written> {
    records_of(log, topic, 0).await
}

/// Everything in a partition of a topic.
pub async fn records_of(log: &dyn Log, topic: &str, partition: u32) -> Vec<Written> {
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    let at = TopicPartition::new(topic, partition);
    let Ok(found) = log.read(&at, Offset(0), limits).await else { return Vec::new() };
    let mut out = Vec::new();
    for fetched in found.batches {
        for record in record_batch::records(&fetched.batch.bytes).unwrap() {
            let record = record.unwrap();
            let headers = record.headers.iter().collect();
            out.push(Written { key: record.key, value: record.value, timestamp_ms: record.timestamp_ms, headers });
        }
    }
    out
}

/// A record of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub timestamp_ms: i64,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Written {
    pub fn text(&self) -> String {
        let text = |bytes: &Option<Bytes>| {
            bytes.as_ref().map_or("null".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
        };
        format!("{} {}", text(&self.key), text(&self.value))
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(key, _)| key == name.as_bytes())?;
        found.1.as_ref().map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// Waits are for a condition; beyond this it will not come. Far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn plan(text: &str) -> JobPlan {
    compile("test.sql", text, &CompileContext::default()).unwrap().jobs.remove(0)
}

/// Waits until the job has ended, or is in a state.
pub async fn reach(manager: &JobManager, id: &str, state: JobState) -> JobStatus {
    let begun = Instant::now();
    loop {
        let status = manager.job(id).unwrap();
        if status.state == state {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "still {status:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
