//! Every task that ships, held against the suites of the task traits, on its real service.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use thm_api::{
    Connector, ConnectorConfig, Failpoints, Hosts, MemoryBudget, Offset, Op, Origin, Position, SinkRecord, SinkTask,
    SourceTask, Task, TaskContext,
};
use thm_connect::conformance::{SinkSubject, SourceSubject, sink_task, source_task};
use thm_dev::mock_api::MockApi;
use thm_dev::services::{ClickHouse, Postgres, Redis, Running};
use thm_log::FileStateStore;

/// A connector with its options and a state of its own.
struct Subject {
    connector: Box<dyn Connector>,
    options: BTreeMap<String, String>,
    state: tempfile::TempDir,
}

impl Subject {
    fn new(connector: impl Connector, options: &[(&str, String)]) -> Self {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { connector: Box::new(connector), options, state: tempfile::tempdir().unwrap() }
    }

    fn task(&self) -> Task {
        let context = TaskContext {
            connector: "conformance".into(),
            task: 0,
            config: ConnectorConfig::new(self.options.clone()),
            hosts: Arc::new(Hosts::default()),
            state: Arc::new(FileStateStore::open(self.state.path()).unwrap()),
            log: None,
            budget: MemoryBudget::new(8 << 20),
            failpoints: Failpoints::default(),
        };
        self.connector.task(context).unwrap()
    }

    fn sink(&self) -> Box<dyn SinkTask> {
        match self.task() {
            Task::Sink(task) => task,
            Task::Source(_) => panic!("not a sink"),
        }
    }
}

/// One moment for all records: a record that comes again is the same record.
static NOW_MS: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_millis());

/// An enriched event whose id is its offset, committed just now.
fn event(offset: Offset) -> SinkRecord {
    let now_ms = *NOW_MS;
    let value = format!(
        "{{\"id\":{offset},\"content_id\":\"c{}\",\"user_id\":\"u\",\"event_type\":\"play\",\"event_ts\":\"2026-01-02 03:04:05.678\",\
         \"device\":\"ios\",\"content_type\":\"podcast\",\"length_seconds\":60,\"engagement_seconds\":1.50,\
         \"engagement_pct\":2.50,\"raw_payload\":null}}",
        offset.0 % 3
    );
    let position = Position::new(thm_api::Lsn(1_000 + offset.0 as u64), 1);
    SinkRecord {
        offset,
        timestamp_ms: now_ms,
        key: Some(Bytes::from(format!("{{\"id\":{offset}}}"))),
        value: Some(Bytes::from(value)),
        headers: [].into(),
        origin: Some(Origin { op: Op::Create, position, commit_us: now_ms * 1_000, old: None }),
    }
}

struct ClickHouseSubject {
    subject: Subject,
    service: Running<ClickHouse>,
}

#[async_trait]
impl SinkSubject for ClickHouseSubject {
    fn task(&self) -> Box<dyn SinkTask> {
        self.subject.sink()
    }

    fn record(&self, offset: Offset) -> SinkRecord {
        event(offset)
    }

    async fn shown(&self) -> String {
        // The suite names the topic, and with it the table, which the first write creates.
        let named = "SELECT name FROM system.tables WHERE database = 'thm' AND name LIKE 'conformance-%'";
        let table = self.service.query(named).await.unwrap();
        if table.trim().is_empty() {
            return String::new();
        }
        let rows = format!("SELECT id, content_id FROM thm.`{}` ORDER BY ALL", table.trim());
        self.service.query(&rows).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clickhouse_sink() {
    let service = ClickHouse::temporary().await.unwrap();
    let options = [
        ("topics", "t".to_owned()),
        ("auto.create", "true".to_owned()),
        ("hostname", "127.0.0.1".to_owned()),
        ("port", service.port().to_string()),
        ("ssl", "false".to_owned()),
        ("database", "thm".to_owned()),
    ];
    let subject = Subject::new(thm_sink::ClickHouseConnector, &options);
    sink_task(&ClickHouseSubject { subject, service }).await;
}

struct RedisSubject {
    subject: Subject,
    service: Running<Redis>,
}

#[async_trait]
impl SinkSubject for RedisSubject {
    fn task(&self) -> Box<dyn SinkTask> {
        self.subject.sink()
    }

    fn record(&self, offset: Offset) -> SinkRecord {
        event(offset)
    }

    async fn shown(&self) -> String {
        let client = redis::Client::open(self.service.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("ZRANGE");
        command.arg("thm:top:10m").arg(0).arg(-1).arg("WITHSCORES");
        format!("{:?}", command.query_async::<Vec<(String, f64)>>(&mut connection).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaderboard_sink() {
    let service = Redis::temporary().await.unwrap();
    let options = [("topics", "t".to_owned()), ("redis.uri", service.url())];
    let subject = Subject::new(thm_sink::LeaderboardConnector, &options);
    sink_task(&RedisSubject { subject, service }).await;
}

struct HttpSubject {
    subject: Subject,
    api: MockApi,
}

#[async_trait]
impl SinkSubject for HttpSubject {
    fn task(&self) -> Box<dyn SinkTask> {
        self.subject.sink()
    }

    fn record(&self, offset: Offset) -> SinkRecord {
        event(offset)
    }

    async fn shown(&self) -> String {
        self.api.counts().events.to_string()
    }

    fn is_idempotent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_sink() {
    let folder = tempfile::tempdir().unwrap();
    let api = MockApi::start(0, &folder.path().join("events.jsonl")).await.unwrap();
    let options = [
        ("topics", "t".to_owned()),
        ("http.url", format!("{}/events", api.url())),
        ("http.authorization.type", "none".to_owned()),
    ];
    let subject = Subject::new(thm_sink::HttpConnector, &options);
    sink_task(&HttpSubject { subject, api }).await;
}

struct PostgresSubject {
    subject: Subject,
    service: Running<Postgres>,
}

#[async_trait]
impl SourceSubject for PostgresSubject {
    fn task(&self) -> Box<dyn SourceTask> {
        match self.subject.task() {
            Task::Source(task) => task,
            Task::Sink(_) => panic!("not a source"),
        }
    }

    async fn change(&self, count: usize) {
        let (client, connection) = tokio_postgres::connect(&self.service.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..count {
            client.batch_execute("INSERT INTO facts (text) VALUES ('x')").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_postgres_source() {
    let service = Postgres::temporary().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&service.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE facts (id bigserial PRIMARY KEY, text text)").await.unwrap();
    let options = [
        ("database.hostname", "127.0.0.1".to_owned()),
        ("database.port", service.port().to_string()),
        ("database.user", "app".to_owned()),
        ("database.password", "app".to_owned()),
        ("database.dbname", "thm".to_owned()),
        ("plugin.name", "pgoutput".to_owned()),
        ("slot.name", "conformance".to_owned()),
        ("publication.name", "conformance".to_owned()),
        ("publication.autocreate.mode", "filtered".to_owned()),
        ("topic.prefix", "pg".to_owned()),
        ("table.include.list", "public.facts".to_owned()),
    ];
    let subject = Subject::new(thm_source::PostgresConnector::default(), &options);
    source_task(&PostgresSubject { subject, service }).await;
}
