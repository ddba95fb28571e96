//! The test's own API: writes down what arrives, and answers what the test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use thm_api::{Generation, SinkTask};
use thm_sink::HttpConnector;

use crate::support::{self, MemoryState};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub headers: HeaderMap,
    pub body: String,
    pub at: Instant,
    /// What was answered.
    pub status: u16,
    /// When, at the earliest.
    pub answered: Instant,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What to answer, from the body and the number of earlier requests.
pub type Rule = Box<dyn Fn(&str, usize) -> Answer + Send + Sync>;

#[derive(Clone, Copy, Default)]
pub struct Answer {
    pub status: u16,
    pub retry_after_s: Option<u64>,
    pub stall: Duration,
}

pub const fn status(status: u16) -> Answer {
    Answer { status, retry_after_s: None, stall: Duration::ZERO }
}

pub struct Api {
    pub port: u16,
    pub requests: Arc<Mutex<Vec<Request>>>,
    pub rule: Arc<Mutex<Rule>>,
    pub most_at_once: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Shared {
    requests: Arc<Mutex<Vec<Request>>>,
    rule: Arc<Mutex<Rule>>,
    now: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Api {
    pub async fn start(rule: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared {
            requests: Arc::default(),
            rule: Arc::new(Mutex::new(Box::new(rule))),
            now: Arc::default(),
            most_at_once: Arc::default(),
        };
        let (requests, rule) = (Arc::clone(&shared.requests), Arc::clone(&shared.rule));
        let most_at_once = Arc::clone(&shared.most_at_once);
        let router = Router::new().fallback(receive).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, requests, rule, most_at_once }
    }

    pub fn set_rule(&self, rule: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) {
        *self.rule.lock() = Box::new(rule);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    /// Bodies that were answered with 200, in the order of their arrival.
    pub fn accepted(&self) -> Vec<String> {
        let requests = self.requests();
        requests.into_iter().filter(|request| request.status == 200).map(|request| request.body).collect()
    }

    pub async fn sink(&self, state: &Arc<MemoryState>, options: &[(&str, &str)]) -> Box<dyn SinkTask> {
        self.sink_without(state, options, "").await
    }

    /// With these failpoints active.
    pub async fn sink_without(
        &self,
        state: &Arc<MemoryState>,
        options: &[(&str, &str)],
        failpoints: &str,
    ) -> Box<dyn SinkTask> {
        let url = format!("http://127.0.0.1:{}/events", self.port);
        let base = [("http.url", url.as_str()), ("http.authorization.type", "none"), ("http.timeout", "1")];
        let all: Vec<_> = base
            .iter()
            .filter(|(name, _)| options.iter().all(|(other, _)| other != name))
            .chain(options)
            .copied()
            .collect();
        let mut task =
            support::sink(&HttpConnector, support::context_without(state, support::config(&all), failpoints));
        task.open(&[support::partition(7)], Generation(1)).await.unwrap();
        task
    }
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let at = Instant::now();
    let earlier = shared.requests.lock().len();
    let answer = shared.rule.lock()(&body, earlier);
    let at_once = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
    let answered = at + answer.stall;
    shared.requests.lock().push(Request { headers, body, at, status: answer.status, answered });
    tokio::time::sleep(answer.stall).await;
    shared.now.fetch_sub(1, Ordering::SeqCst);
    let mut response = (StatusCode::from_u16(answer.status).unwrap(), "answer").into_response();
    if let Some(seconds) = answer.retry_after_s {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
