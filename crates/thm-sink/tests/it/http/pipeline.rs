//! Several requests on a connection before the first answer: when, in which order, and with targets that mind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thm_api::{Op, SinkRecord, SinkTask};
use thm_sink::HttpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{self, MemoryState};

/// What a target has seen.
#[derive(Default)]
struct Seen {
    /// Bodies in the order of their arrival, with what was answered.
    bodies: Vec<(String, u16)>,
    /// Most requests that lay on a connection at once.
    most: usize,
    connections: usize,
}

impl Seen {
    fn figures(&self) -> (usize, usize) {
        (self.most, self.connections)
    }
}

/// How a target answers; given the number of the request on its connection and of all requests.
type Manner = fn(usize, usize) -> Option<&'static str>;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CLOSING: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const LATER: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";

/// A target that reads as it likes; `None` of the manner closes the connection without an answer.
async fn target(manner: Manner) -> (u16, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.lock().connections += 1;
            tokio::spawn(serve(stream, manner, Arc::clone(&shared)));
        }
    });
    (port, seen)
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: Arc<Mutex<Seen>>) {
    let (mut input, mut number) = (String::new(), 0);
    loop {
        while let Some(body) = request(&mut input) {
            let all = seen.lock().bodies.len();
            let answer = manner(number, all);
            seen.lock().bodies.push((body, answer.map_or(0, |answer| answer[9..12].parse().unwrap())));
            number += 1;
            let Some(answer) = answer else { return };
            if stream.write_all(answer.as_bytes()).await.is_err() || answer.contains("close") {
                return;
            }
        }
        let mut chunk = vec![0; 64 << 10];
        let Ok(length @ 1..) = stream.read(&mut chunk).await else { return };
        input.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        let waiting = input.matches("POST /").count();
        let mut seen = seen.lock();
        seen.most = seen.most.max(waiting);
    }
}

/// Takes a whole request off the input: its body.
fn request(input: &mut String) -> Option<String> {
    let (head, rest) = input.split_once("\r\n\r\n")?;
    let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.parse().unwrap();
    let body = rest.get(..length)?.to_owned();
    *input = rest[length..].to_owned();
    Some(body)
}

async fn sink(port: u16, options: &[(&str, &str)], failpoints: &str) -> Box<dyn SinkTask> {
    let url = format!("http://127.0.0.1:{port}/events");
    let base = [("http.url", url.as_str()), ("http.authorization.type", "none"), ("http.timeout", "2")];
    let config = support::config(&[&base, options].concat());
    let context = support::context_without(&Arc::<MemoryState>::default(), config, failpoints);
    let mut task = support::sink(&HttpConnector, context);
    task.open(&[support::partition(7)], thm_api::Generation(1)).await.unwrap();
    task
}

fn change(offset: i64, id: i64) -> SinkRecord {
    support::record(offset, Op::Create, 1_000, id, Some(format!("{{\"id\":{id},\"n\":{offset}}}")))
}

/// Writes `0..count` in batches of 100, over `keys` keys, each batch as often as it takes.
async fn write_all(sink: &mut Box<dyn SinkTask>, count: i64, keys: i64) {
    for first in (0..count).step_by(100) {
        let records: Vec<_> = (first..first + 100).map(|offset| change(offset, offset % keys)).collect();
        let batch = support::batch(&support::partition(7), &records);
        let mut attempts = 0;
        while let Err(error) = sink.write(batch.clone()).await {
            attempts += 1;
            assert!(attempts < 100, "{error}");
        }
    }
}

/// The first delivery of each record, by key.
fn first_deliveries(seen: &Seen) -> BTreeMap<i64, Vec<i64>> {
    let mut by_key: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (body, _) in seen.bodies.iter().filter(|(_, status)| *status == 200) {
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        let (id, n) = (value["id"].as_i64().unwrap(), value["n"].as_i64().unwrap());
        if known.insert(n) {
            by_key.entry(id).or_default().push(n);
        }
    }
    by_key
}

#[tokio::test]
async fn a_backlog_shares_connections_and_a_trickle_does_not() {
    let (port, seen) = target(|_, _| Some(OK)).await;
    let mut sink = sink(port, &[("http.max.in.flight", "4")], "").await;
    for offset in 0..20 {
        sink.write(support::batch(&support::partition(7), &[change(offset, offset)])).await.unwrap();
    }
    assert_eq!(seen.lock().figures(), (1, 1), "one at a time needs one connection");
    write_all(&mut sink, 1_000, 1_000).await;
    let seen = seen.lock();
    assert!((5..=16).contains(&seen.most), "{} at once", seen.most);
    assert!(seen.connections <= 4, "{} connections", seen.connections);
    assert_eq!(seen.bodies.len(), 1_020, "each once");
}

#[tokio::test]
async fn a_key_stays_in_order_whatever_fails_in_between() {
    for (failpoints, in_order) in [("", true), ("http.no-order", false)] {
        // Every 97th request is put off, every 157th breaks its connection.
        let (port, seen) = target(|_, all| match all {
            all if all % 157 == 156 => None,
            all if all % 97 == 96 => Some(LATER),
            _ => Some(OK),
        })
        .await;
        let mut sink = sink(port, &[("http.max.in.flight", "4")], failpoints).await;
        write_all(&mut sink, 2_000, 8).await;
        let seen = seen.lock();
        assert!(seen.most > 1, "nothing was pipelined");
        let by_key = first_deliveries(&seen);
        assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 2_000, "each is delivered");
        assert_eq!(by_key.values().all(|offsets| offsets.is_sorted()), in_order, "{failpoints}");
    }
}

#[tokio::test]
async fn a_target_that_closes_behind_each_answer_gets_one_at_a_time() {
    let (port, seen) = target(|_, _| Some(CLOSING)).await;
    let mut sink = sink(port, &[("http.max.in.flight", "4")], "").await;
    write_all(&mut sink, 500, 500).await;
    let seen = seen.lock();
    assert!(seen.most <= 2, "it was tried once, with two: {}", seen.most);
    assert_eq!((seen.bodies.len(), seen.connections), (500, 500));
}

#[tokio::test]
async fn a_target_that_drops_what_follows_the_first_request_is_not_sent_several_again() {
    // It answers the first request of a connection and never again until the next connection.
    let (port, seen) = target(|number, _| (number == 0).then_some(OK)).await;
    let mut sink = sink(port, &[("http.max.in.flight", "2")], "").await;
    tokio::time::timeout(Duration::from_secs(20), write_all(&mut sink, 500, 500)).await.unwrap();
    let seen = seen.lock();
    assert!(seen.most <= 2, "{}", seen.most);
    assert_eq!(first_deliveries(&seen).len(), 500);
}

#[tokio::test]
async fn several_requests_can_be_forbidden() {
    let (port, seen) = target(|_, _| Some(OK)).await;
    let mut sink = sink(port, &[("http.max.in.flight", "2"), ("http.max.pipelined", "1")], "").await;
    write_all(&mut sink, 500, 500).await;
    assert_eq!(seen.lock().figures(), (1, 2));
}
