//! One HTTP request to ClickHouse: text and bytes in, text or a classified fault out.
//!
//! No retry here. Every request has a time-out, and `wait_end_of_query` makes the status line the last word: no
//! answer begins before the server is done.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thm_api::{Error, ErrorKind, Hosts, Result};

use super::config::{ClickHouseConfig, NO_TLS};
use super::fault::{self, Fault};

/// How long a connection may take to open: a host that is there answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: less than any server's own limit (3 s in old releases), so that a request
/// seldom meets a connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Longest answer that is read: descriptions of tables and texts of errors.
const MAX_ANSWER_BYTES: usize = 1 << 20;

const EXCEPTION_CODE: &str = "x-clickhouse-exception-code";

/// Connections to one server as one user.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    address: String,
    settings: Vec<(String, String)>,
    timeout: Duration,
    insert_timeout: Duration,
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// What for, in messages.
    pub doing: &'static str,
    /// The object's name, in messages.
    pub object: &'a str,
    /// Sent as `query_id`; the same on every attempt of the same thing.
    pub query_id: Option<&'a str>,
    /// Statement, and the data after it.
    pub body: Bytes,
    /// Further settings.
    pub settings: &'a [(&'a str, &'a str)],
    /// Whether it carries rows and so has the time-out of inserts.
    pub insert: bool,
}

impl Client {
    /// For the server of the options; opens nothing.
    pub fn new(config: &ClickHouseConfig, hosts: &Hosts) -> Result<Self> {
        let (host, port) = hosts.resolve(&config.hostname, config.port);
        let address = format!("{host}:{port}");
        let wrong = |option: &'static str, hint: &str| {
            Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
        };
        if config.ssl {
            return Err(wrong("ssl", NO_TLS));
        }
        let mut url = reqwest::Url::parse(&format!("http://{address}/")).map_err(|_| {
            wrong("hostname", "\"hostname\" must be a host name or an IP address, without scheme or port.")
        })?;
        url.query_pairs_mut().append_pair("wait_end_of_query", "1");
        let header = |text: &str, option| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| wrong(option, "User and password must not hold control characters."))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-clickhouse-user"), header(&config.username, "username")?);
        headers.insert(HeaderName::from_static("x-clickhouse-key"), header(config.password.expose(), "password")?);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("thamanya/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, "making an HTTP client", &address).with_source(error))?;
        let ClickHouseConfig { settings, timeout, insert_timeout, .. } = config.clone();
        Ok(Self { http, url, address, settings, timeout, insert_timeout })
    }

    /// `host:port`, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs one statement and returns its answer's text.
    pub async fn send(&self, request: Request<'_>) -> std::result::Result<String, Fault> {
        let mut url = self.url.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(&self.settings).extend_pairs(request.settings);
            if let Some(query_id) = request.query_id {
                pairs.append_pair("query_id", query_id);
            }
        }
        let timeout = if request.insert { self.insert_timeout } else { self.timeout };
        let object = if request.object.is_empty() { &self.address } else { request.object };
        let broken =
            |error| Fault::Error(fault::of_transport(request.doing, &format!("{object} on {}", self.address), error));
        let answer = self.http.post(url).timeout(timeout).body(request.body).send().await.map_err(broken)?;
        let status = answer.status();
        let code = answer.headers().get(EXCEPTION_CODE).and_then(|value| value.to_str().ok()?.parse().ok());
        let text = read_text(answer).await.map_err(broken)?;
        if status.is_success() && code.is_none() {
            return Ok(text);
        }
        Err(fault::of_answer(request.doing, object, status.as_u16(), code, &text))
    }

    /// Runs a short statement without data.
    pub async fn query(&self, doing: &'static str, object: &str, sql: String) -> Result<String> {
        let request = Request { doing, object, query_id: None, body: sql.into(), settings: &[], insert: false };
        Ok(self.send(request).await?)
    }
}

async fn read_text(mut answer: reqwest::Response) -> std::result::Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = MAX_ANSWER_BYTES.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
