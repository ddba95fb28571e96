//! A delete that was given up and runs after the next range: it must not take that range's rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use thm_api::{ErrorKind, Generation, Op, SinkBatch, SinkTask};

use super::engine::{Database, event, port};
use crate::support::{MemoryState, batch, record};

const FIRST: &str = "2025-08-23 05:40:00.123";
const MOVED: &str = "2025-08-24 06:00:00.456";
const BACK: &str = "2025-08-25 07:00:00.000";

/// Between sink and engine; holds back the next DELETE when told to, and its connection gets no answer.
#[derive(Clone, Default)]
struct Relay {
    port: u16,
    engine: u16,
    hold: Arc<AtomicBool>,
    /// Sessions are made elsewhere, as behind a load balancer.
    forgets: Arc<AtomicBool>,
    held: Arc<Mutex<Option<(String, Bytes)>>>,
}

impl Relay {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = tokio::task::spawn_blocking(port).await.unwrap();
        let relay = Self { port: listener.local_addr().unwrap().port(), engine, ..Self::default() };
        let router = Router::new().fallback(pass).with_state(relay.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        relay
    }

    async fn forward(&self, query: &str, body: Bytes) -> (StatusCode, HeaderMap, Bytes) {
        let url = format!("http://127.0.0.1:{}/?{query}", self.engine);
        let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.bytes().await.unwrap())
    }

    /// The held request comes after all; the engine's answer.
    async fn release(&self) -> String {
        let (query, body) = self.held.lock().take().unwrap();
        let (_, _, text) = self.forward(&query, body).await;
        String::from_utf8_lossy(&text).into_owned()
    }
}

async fn pass(State(relay): State<Relay>, RawQuery(query): RawQuery, body: Bytes) -> (StatusCode, HeaderMap, Bytes) {
    let query = query.unwrap_or_default();
    if body.starts_with(b"DELETE") && relay.hold.swap(false, Ordering::SeqCst) {
        *relay.held.lock() = Some((query, body));
        return (StatusCode::BAD_GATEWAY, HeaderMap::new(), Bytes::new());
    }
    if query.contains("session_timeout") && relay.forgets.load(Ordering::SeqCst) {
        return (StatusCode::OK, HeaderMap::new(), Bytes::new());
    }
    let (status, mut headers, body) = relay.forward(&query, body).await;
    headers.remove("transfer-encoding");
    (status, headers, body)
}

/// What is left of an event whose row was moved twice, after the first move's delete came late. `restarts`: a new
/// process makes the second attempt.
async fn after_a_late_delete(failpoints: &str, restarts: bool) -> (String, String) {
    let (database, relay) = (Database::contract().await, Relay::start().await);
    let (state, port) = (Arc::new(MemoryState::default()), relay.port.to_string());
    let partition = database.partition.clone();
    let range = |offset: i64, op: Op, event_ts: &str| -> SinkBatch {
        batch(&partition, &[record(offset, op, 0, 1, Some(event(1, event_ts, "10")))])
    };
    let fresh = async || database.sink_on(&state, &[("port", &port)], failpoints).await;
    let open = async |task: &mut Box<dyn SinkTask>| {
        task.open(std::slice::from_ref(&database.partition), Generation(1)).await.unwrap();
    };
    let mut task = fresh().await;
    open(&mut task).await;
    task.write(range(0, Op::Create, FIRST)).await.unwrap();
    relay.hold.store(true, Ordering::SeqCst);
    let error = task.write(range(1, Op::Update, MOVED)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
    if restarts {
        task = fresh().await;
    }
    open(&mut task).await;
    task.write(range(1, Op::Update, MOVED)).await.unwrap();
    task.write(range(2, Op::Update, BACK)).await.unwrap();
    let answer = relay.release().await;
    (database.ask("SELECT id, event_ts FROM {t} FINAL").await, answer)
}

#[tokio::test]
async fn it_is_refused_and_takes_nothing() {
    for restarts in [false, true] {
        let (rows, answer) = after_a_late_delete("", restarts).await;
        assert_eq!(rows, "1\t2025-08-25 07:00:00.000", "restarts: {restarts}");
        assert!(answer.contains("SESSION_NOT_FOUND"), "{answer}");
    }
}

#[tokio::test]
async fn without_a_session_the_row_would_be_lost() {
    assert_eq!(after_a_late_delete("clickhouse.no-delete-session", false).await.0, "");
}

#[tokio::test]
async fn where_sessions_do_not_last_deletes_run_without_one() {
    let (database, relay) = (Database::contract().await, Relay::start().await);
    relay.forgets.store(true, Ordering::SeqCst);
    let (port, partition) = (relay.port.to_string(), database.partition.clone());
    let mut task = database.sink_on(&Arc::default(), &[("port", &port)], "").await;
    let range = |offset: i64, op: Op, event_ts: &str| {
        batch(&partition, &[record(offset, op, 0, 1, Some(event(1, event_ts, "10")))])
    };
    task.open(std::slice::from_ref(&partition), Generation(1)).await.unwrap();
    task.write(range(0, Op::Create, FIRST)).await.unwrap();
    let mut attempts = 1;
    // The worker opens again after each refusal.
    while let Err(error) = task.write(range(1, Op::Update, MOVED)).await {
        assert_eq!(error.kind(), ErrorKind::SinkUnreachable, "{error}");
        task.open(std::slice::from_ref(&partition), Generation(1)).await.unwrap();
        attempts += 1;
    }
    assert_eq!(attempts, 3);
    assert_eq!(database.ask("SELECT id, event_ts FROM {t} FINAL").await, "1\t2025-08-24 06:00:00.456");
}
