//! `Poster`: the target, what every request to it begins with, and the connections that are kept open.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use metrics::{Counter, Histogram, counter, histogram};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use thm_api::{Hosts, Result};

use super::answer::Answer;
use super::config::HttpSettings;
use super::connection::{Connection, Template};
use super::endpoint::Endpoint;
use super::lanes::Depth;

/// A host that does not take a connection in this time does not answer soon either.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections end before most servers end them.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends requests.
pub(super) struct Poster {
    pub settings: HttpSettings,
    /// Whether a key's next record waits for the one before; only a test says no.
    pub in_order: bool,
    pub depth: Depth,
    pub meters: Meters,
    pub template: Template,
    /// `host:port` to connect to.
    endpoint: Endpoint,
    /// Open connections that nobody uses, the last used one last.
    idle: Mutex<Vec<Connection>>,
}

/// Handles made once: a request costs no look-up.
pub(super) struct Meters {
    pub posts: Counter,
    pub records: Counter,
    pub retries: Counter,
    pub refused: Counter,
    pub seconds: Histogram,
}

impl Meters {
    fn new(connector: &Arc<str>) -> Self {
        let labels = [("connector", connector.to_string())];
        Self {
            posts: counter!("thm_http_posts_total", &labels),
            records: counter!("thm_http_records_total", &labels),
            retries: counter!("thm_http_retries_total", &labels),
            refused: counter!("thm_http_refused_records_total", &labels),
            seconds: histogram!("thm_http_post_seconds", &labels),
        }
    }
}

impl Poster {
    /// For the target of `settings`; `headers` come with every request. Touches nothing outside.
    pub fn new(
        settings: HttpSettings,
        hosts: &Hosts,
        mut headers: HeaderMap,
        in_order: bool,
        connector: &Arc<str>,
    ) -> Result<Self> {
        let endpoint = Endpoint::new(&settings, hosts)?;
        let url = &settings.url;
        if let Some(value) = basic_authorization(url) {
            headers.entry(AUTHORIZATION).or_insert(value);
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let whole = if settings.proxy.is_some() { format!("http://{host}") } else { String::new() };
        let target = format!("{whole}{}{query}", url.path());
        let template = Template::new(&target, &host, &headers, settings.idempotency_header.clone());
        let depth = Depth::new(settings.max_pipelined);
        let meters = Meters::new(connector);
        Ok(Self { settings, in_order, depth, meters, template, endpoint, idle: Mutex::default() })
    }

    /// An idle connection that still lives, or a new one.
    pub async fn connection(&self) -> io::Result<Connection> {
        loop {
            let kept = self.idle.lock().pop();
            let Some(mut kept) = kept else {
                return Connection::open(&self.endpoint, self.settings.timeout.min(MAX_CONNECT_TIMEOUT)).await;
            };
            if kept.is_usable(POOL_IDLE_TIMEOUT) {
                return Ok(kept);
            }
        }
    }

    /// Keeps a connection that has answered everything.
    pub fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < self.settings.max_in_flight {
            idle.push(connection);
        }
    }

    /// Sends one request and waits for its answer.
    pub async fn post(&self, identity: &HeaderValue, body: &Bytes) -> Answer {
        let began = Instant::now();
        let answer = loop {
            let mut connection = match self.connection().await {
                Ok(connection) => connection,
                Err(error) => break Answer::missing(&error),
            };
            let is_kept = connection.answers() > 0;
            connection.queue(&self.template, identity, body);
            match connection.answer(self.settings.timeout, false).await {
                Ok(reply) => {
                    if !reply.is_last {
                        self.keep(connection);
                    }
                    break Answer::of(&reply);
                }
                // The target had closed it, or was about to.
                Err(error) if is_kept && is_closed(&error) => {}
                Err(error) => break Answer::missing(&error),
            }
        };
        self.meters.posts.increment(1);
        self.meters.seconds.record(began.elapsed());
        answer
    }
}

/// Whether the other side ended the connection.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// A user and password in the URL.
fn basic_authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
