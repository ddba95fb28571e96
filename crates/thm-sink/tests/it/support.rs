//! What the tests share: state in memory, batches from text, services that die with their test.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use thm_api::{
    Connector, ConnectorConfig, Failpoints, Hosts, MemoryBudget, Offset, Op, Origin, Position, SinkBatch, SinkChunk,
    SinkPartition, SinkRecord, SinkTask, StateStore, Task, TaskContext, TopicPartition,
};
use uuid::Uuid;

/// The library's own tests use it, too.
#[path = "../../src/memory_state.rs"]
mod memory_state;
pub use memory_state::MemoryState;

pub fn config(options: &[(&str, &str)]) -> ConnectorConfig {
    ConnectorConfig::new(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

pub fn context(state: &Arc<MemoryState>, config: ConnectorConfig) -> TaskContext {
    TaskContext {
        connector: "test".into(),
        task: 0,
        config,
        hosts: Arc::new(Hosts::default()),
        state: Arc::clone(state) as Arc<dyn StateStore>,
        log: None,
        budget: MemoryBudget::new(8 << 20),
        failpoints: Failpoints::default(),
    }
}

/// The same with these failpoints active.
pub fn context_without(state: &Arc<MemoryState>, config: ConnectorConfig, failpoints: &str) -> TaskContext {
    TaskContext { failpoints: Failpoints::parse(failpoints), ..context(state, config) }
}

pub fn sink(connector: &dyn Connector, context: TaskContext) -> Box<dyn SinkTask> {
    match connector.task(context).unwrap() {
        Task::Sink(task) => task,
        Task::Source(_) => panic!("a sink was asked for"),
    }
}

pub fn partition(uuid: u128) -> SinkPartition {
    SinkPartition { partition: TopicPartition::new("thm.enriched.events", 0), topic_uuid: Uuid::from_u128(uuid) }
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A record of our own job: key `{"id":<id>}`; its position is (1000, offset + 1).
pub fn record(offset: i64, op: Op, timestamp_ms: i64, id: i64, value: Option<String>) -> SinkRecord {
    let position = Position::new(thm_api::Lsn(1_000), offset as u64 + 1);
    let origin = Origin { op, position, commit_us: timestamp_ms * 1_000, old: None };
    SinkRecord {
        offset: Offset(offset),
        timestamp_ms,
        key: Some(Bytes::from(format!("{{\"id\":{id}}}"))),
        value: value.map(Bytes::from),
        headers: Arc::from([]),
        origin: Some(origin),
    }
}

/// A record that somebody produced by hand, without a key.
pub fn foreign(offset: i64, timestamp_ms: i64, value: &str) -> SinkRecord {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    SinkRecord { offset: Offset(offset), timestamp_ms, key: None, value, headers: Arc::from([]), origin: None }
}

/// A batch of records with consecutive offsets.
pub fn batch(partition: &SinkPartition, records: &[SinkRecord]) -> SinkBatch {
    let (first, last) = (records.first().unwrap().offset, records.last().unwrap().offset);
    let chunk = SinkChunk { base_offset: first, records: records.to_vec().into(), columns: None };
    SinkBatch { partition: partition.clone(), first, last, chunks: vec![chunk] }
}

pub fn free_port() -> u16 {
    let [port] = thm_dev::process::free_ports().unwrap();
    port
}

/// A child process that is killed by its pid when dropped.
pub struct Service(pub Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn spawn(command: &mut Command) -> Service {
    Service(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Waits until the port answers.
pub async fn wait_for_port(port: u16) {
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing listens on port {port}");
}
