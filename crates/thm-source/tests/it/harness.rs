//! A worker's loop without a log: it polls, keeps the records, acknowledges.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thm_api::{
    ChangelogBatch, Connector, ConnectorConfig, Failpoints, Hosts, Log, Lsn, MemoryBudget, PartitionProgress, Position,
    Result, SourceBatch, SourceTask, StateStore, Task, TaskContext, TopicPartition,
};
use thm_codec::record_batch::{check_crc, records};
use thm_source::PostgresConnector;

use crate::postgres::Postgres;

#[derive(Default)]
pub struct MemoryState(Mutex<BTreeMap<String, Vec<u8>>>);

impl StateStore for MemoryState {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

/// The texts of an envelope's `before` and `after`: parsing would change the form of numbers.
pub fn rows_text(envelope: &str) -> (String, String) {
    #[derive(serde::Deserialize)]
    struct Rows<'a> {
        #[serde(borrow)]
        before: &'a serde_json::value::RawValue,
        #[serde(borrow)]
        after: &'a serde_json::value::RawValue,
    }
    let rows: Rows<'_> = serde_json::from_str(envelope).unwrap();
    (rows.before.get().to_owned(), rows.after.get().to_owned())
}

/// A record as it would stand in the log.
#[derive(Clone, Debug)]
pub struct Stored {
    pub topic: String,
    pub position: Position,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

impl Stored {
    pub fn json(&self) -> serde_json::Value {
        self.value.as_ref().map_or(serde_json::Value::Null, |value| serde_json::from_slice(value).unwrap())
    }

    /// The texts of `before` and `after`, numbers as they stand.
    pub fn rows_text(&self) -> (String, String) {
        self.value.as_ref().map(|value| rows_text(std::str::from_utf8(value).unwrap())).unwrap_or_default()
    }

    pub fn key_text(&self) -> String {
        self.key.as_ref().map(|key| String::from_utf8(key.to_vec()).unwrap()).unwrap_or_default()
    }
}

/// What a log would hold, and what a connector's state store does.
pub struct Bench {
    pub postgres: Postgres,
    pub options: BTreeMap<String, String>,
    pub state: Arc<MemoryState>,
    /// Topics that commands come from.
    pub log: Option<Arc<dyn Log>>,
    pub budget_bytes: usize,
    pub stored: Vec<Stored>,
    pub decoded: Vec<(String, Arc<ChangelogBatch>)>,
    pub progress: PartitionProgress,
    pub complete: Option<Position>,
    pub batches: Vec<SourceBatch>,
}

impl Bench {
    pub fn new(postgres: Postgres) -> Self {
        let pairs = [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("database.hostname", "db.example"),
            ("database.port", "5432"),
            ("database.user", "thm"),
            ("database.password", "thm"),
            ("database.dbname", "thm"),
            ("topic.prefix", "pg"),
            ("plugin.name", "pgoutput"),
            ("slot.name", "debezium"),
        ];
        Self {
            postgres,
            options: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            state: Arc::default(),
            log: None,
            budget_bytes: 16 << 20,
            stored: Vec::new(),
            decoded: Vec::new(),
            progress: HashMap::new(),
            complete: None,
            batches: Vec::new(),
        }
    }

    /// A server with the two tables of the demo.
    pub fn demo() -> Self {
        let bench = Self::new(Postgres::start());
        bench.postgres.psql(DEMO);
        bench
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.options.insert(name.to_owned(), value.to_owned());
    }

    pub fn context(&self) -> TaskContext {
        let address = format!("127.0.0.1:{}", self.postgres.port);
        TaskContext {
            connector: "pg.source".into(),
            task: 0,
            config: ConnectorConfig::new(self.options.clone()),
            hosts: Arc::new(Hosts::new(BTreeMap::from([("db.example:5432".to_owned(), address)]))),
            state: Arc::clone(&self.state) as Arc<dyn StateStore>,
            log: self.log.clone(),
            budget: MemoryBudget::new(self.budget_bytes),
            failpoints: Failpoints::default(),
        }
    }

    pub async fn check(&self) -> Result<()> {
        PostgresConnector::default().check(&self.context()).await
    }

    pub async fn start(&self) -> Result<Box<dyn SourceTask>> {
        let Task::Source(mut task) = PostgresConnector::default().task(self.context())? else { panic!("not a source") };
        task.start(self.progress.clone()).await?;
        Ok(task)
    }

    /// Turns until the task fails.
    pub async fn failure(&mut self, task: &mut dyn SourceTask) -> thm_api::Error {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match task.poll().await {
                Ok(batch) => drop(self.take(batch)),
                Err(error) => return error,
            }
            assert!(Instant::now() < deadline, "the task does not fail");
        }
    }

    /// Starts, trying again while the server still holds the slot for the session before.
    pub async fn start_again(&mut self) -> Box<dyn SourceTask> {
        self.complete = None;
        for _ in 0..100 {
            match self.start().await {
                Err(error) if error.kind() == thm_api::ErrorKind::SlotInUse => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                started => return started.unwrap(),
            }
        }
        panic!("the slot stays in use");
    }

    /// One turn of the worker's loop, without its acknowledgement.
    pub async fn turn(&mut self, task: &mut dyn SourceTask) -> Option<Position> {
        let batch = task.poll().await.unwrap();
        self.take(batch)
    }

    /// Keeps what one poll gave.
    pub fn take(&mut self, batch: SourceBatch) -> Option<Position> {
        for append in &batch.appends {
            let partition = TopicPartition::new(append.topic.name.as_str(), append.partition);
            assert!(self.progress.get(&partition).is_none_or(|before| *before <= append.progress));
            self.progress.insert(partition, append.progress);
            if append.batch.records == 0 {
                continue;
            }
            check_crc(&append.batch.bytes).unwrap();
            if let Some(decoded) = append.batch.decoded.clone() {
                assert_eq!(decoded.rows.num_rows(), decoded.meta.len());
                self.decoded.push((append.topic.name.clone(), decoded));
            }
            let mut count = 0;
            for (record, position) in records(&append.batch.bytes).unwrap().zip(append.batch.positions.iter()) {
                let record = record.unwrap();
                self.stored.push(Stored {
                    topic: append.topic.name.clone(),
                    position: *position,
                    key: record.key,
                    value: record.value,
                });
                count += 1;
            }
            assert_eq!(count, append.batch.records);
        }
        let complete = batch.complete;
        if let Some(complete) = complete {
            assert!(self.complete.is_none_or(|before| before <= complete), "completeness never goes back");
            self.complete = Some(complete);
        }
        self.batches.push(batch);
        complete
    }

    /// Turns with acknowledgement until everything the server has now is complete.
    pub async fn catch_up(&mut self, task: &mut dyn SourceTask) {
        let target: Lsn = self.postgres.psql("SELECT pg_current_wal_lsn()").parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.complete.is_none_or(|complete| complete < Position::end_of(target)) {
            if let Some(position) = self.turn(task).await {
                task.acknowledge(position).await.unwrap();
            }
            assert!(Instant::now() < deadline, "not complete up to {target}: {:?}", self.complete);
        }
    }

    pub fn confirmed(&self) -> Lsn {
        self.postgres.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots").parse().unwrap()
    }
}

pub const DEMO: &str = "
CREATE TABLE content (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), slug text UNIQUE NOT NULL, title text NOT NULL,
  content_type text, length_seconds int, publish_ts timestamptz NOT NULL DEFAULT now());
CREATE TABLE engagement_events (
  id bigserial PRIMARY KEY, content_id uuid REFERENCES content, user_id uuid, event_type text,
  event_ts timestamptz NOT NULL DEFAULT now(), duration_ms int, device text, raw_payload jsonb);
INSERT INTO content SELECT gen_random_uuid(), 'ep-' || n, 'Episode ' || n, 'podcast', n * 60 FROM generate_series(1, 20) n;
INSERT INTO engagement_events (content_id, event_type, duration_ms, device, raw_payload)
  SELECT (SELECT id FROM content ORDER BY slug LIMIT 1), 'play', n, 'ios', '{\"n\": 1}' FROM generate_series(1, 300) n;
";
