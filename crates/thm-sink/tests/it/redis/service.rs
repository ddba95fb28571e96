//! A redis-server of the test's own, a proxy that loses answers, and a log to replay from.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::MultiplexedConnection;
use thm_api::{ConnectorConfig, Generation, Hosts, Offset, Op, Result, SinkPartition, SinkRecord, SinkTask};
use thm_sink::LeaderboardConnector;
use thm_sink::redis::verify::{BoardState, expected, read_board};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{self, MemoryState, Service};

/// A redis-server with an empty, unsaved database.
pub struct RedisServer {
    pub port: u16,
    _child: Service,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    pub async fn start(options: &[&str]) -> Self {
        let (port, folder) = (support::free_port(), tempfile::tempdir().unwrap());
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .args(options);
        let child = support::spawn(&mut command);
        support::wait_for_port(port).await;
        Self { port, _child: child, _folder: folder }
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Hands bytes on, and loses the answers to as many requests as it is told.
pub struct LossyProxy {
    pub port: u16,
    /// Answers still to lose; each lost one ends its connection.
    pub lose: Arc<AtomicUsize>,
}

impl LossyProxy {
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lose = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&lose);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                tokio::spawn(relay(client, upstream, Arc::clone(&counter)));
            }
        });
        Self { port, lose }
    }
}

async fn relay(client: TcpStream, upstream: TcpStream, lose: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let requests = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from_server.read(&mut buffer).await {
        let lost = lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if length == 0 || lost || to_client.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    requests.abort();
}

/// A log of one partition, and the leaderboard that reads it.
pub struct Bench {
    pub config: ConnectorConfig,
    pub state: Arc<MemoryState>,
    pub partition: SinkPartition,
    pub log: Vec<SinkRecord>,
    pub task: Box<dyn SinkTask>,
    pub next: usize,
    /// Failpoints of the next task.
    pub failpoints: String,
}

pub const WINDOW: &str = "600000";

impl Bench {
    pub async fn open(port: u16, window_ms: &str) -> Self {
        Self::open_without(port, window_ms, "").await
    }

    /// With these failpoints active.
    pub async fn open_without(port: u16, window_ms: &str, failpoints: &str) -> Self {
        let uri = format!("redis://127.0.0.1:{port}/0");
        let config = support::config(&[("redis.uri", &uri), ("window.ms", window_ms), ("redis.timeout.ms", "2000")]);
        let state = Arc::new(MemoryState::default());
        let task = support::sink(&LeaderboardConnector, support::context_without(&state, config.clone(), failpoints));
        let failpoints = failpoints.to_owned();
        let partition = support::partition(7);
        let mut bench = Self { config, state, partition, log: Vec::new(), task, next: 0, failpoints };
        bench.reopen(Generation(1)).await.unwrap();
        bench
    }

    /// A new task on the same state, as after a crash of the process.
    pub async fn crash(&mut self, generation: Generation) -> Result<()> {
        let context = support::context_without(&self.state, self.config.clone(), &self.failpoints);
        self.task = support::sink(&LeaderboardConnector, context);
        self.reopen(generation).await
    }

    /// Opens as the worker does: the target's offset wins over the committed one.
    pub async fn reopen(&mut self, generation: Generation) -> Result<()> {
        let offsets = self.task.open(std::slice::from_ref(&self.partition), generation).await?;
        if let Some((_, Offset(offset))) = offsets.first() {
            self.next = usize::try_from(*offset).unwrap();
        }
        Ok(())
    }

    /// Appends an event to the log.
    pub fn event(&mut self, op: Op, timestamp_ms: i64, id: i64, content: &str, kind: &str, event_ts: &str) {
        let value = format!(
            r#"{{"id":{id},"content_id":"{content}","event_type":"{kind}","event_ts":"{event_ts}","device":null}}"#
        );
        self.log.push(support::record(self.log.len() as i64, op, timestamp_ms, id, Some(value)));
    }

    /// An insert of now.
    pub fn insert(&mut self, id: i64, content: &str, kind: &str) {
        self.event(Op::Create, support::now_ms(), id, content, kind, "2025-08-23 05:40:00.000");
    }

    pub fn delete(&mut self, id: i64) {
        self.log.push(support::record(self.log.len() as i64, Op::Delete, support::now_ms(), id, None));
    }

    /// Writes the rest of the log in one batch.
    pub async fn write(&mut self) -> Result<()> {
        let batch = support::batch(&self.partition, &self.log[self.next..]);
        self.task.write(batch).await?;
        self.next = self.log.len();
        Ok(())
    }

    /// Writes and opens again like the worker, until it works.
    pub async fn write_as_worker(&mut self) {
        for _ in 0..5 {
            if self.next == self.log.len() || self.write().await.is_ok() {
                return;
            }
            self.reopen(Generation(1)).await.unwrap();
        }
        panic!("five attempts were not enough");
    }

    pub async fn board(&self) -> BoardState {
        read_board(&self.config, &Hosts::default()).await.unwrap()
    }

    pub async fn points(&self) -> BTreeMap<String, f64> {
        self.board().await.points
    }

    /// The board must be what the log says.
    pub async fn verify(&self) {
        let board = self.board().await;
        let records = self.log.iter().map(|record| (&self.partition, record));
        let expected = expected(&self.config, &board.fence.unwrap(), records).unwrap();
        assert_eq!(board.points, expected);
    }

    /// The board must not be what the log says: a test has switched a mechanism off.
    pub async fn verify_wrong(&self) {
        let board = self.board().await;
        let records = self.log.iter().map(|record| (&self.partition, record));
        assert_ne!(board.points, expected(&self.config, &board.fence.unwrap(), records).unwrap());
    }
}

pub fn points(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(content, points)| ((*content).to_owned(), *points)).collect()
}
