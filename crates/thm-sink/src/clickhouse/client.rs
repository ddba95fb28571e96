//! One HTTP request to ClickHouse: text and bytes in, text or a classified fault out.
//!
//! No retry here. Every request has a time-out, and `wait_end_of_query` makes the status line the last word: no
//! answer begins before the server is done.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use thm_api::{Error, ErrorKind, Hosts, Result};

use super::config::ClickHouseConfig;
use super::fault::{self, Fault};
use super::transport::{Answer, Transport, TransportError};

/// Connections to one server as one user.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
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
        let scheme = if config.ssl { "https" } else { "http" };
        let mut url = reqwest::Url::parse(&format!("{scheme}://{address}/")).map_err(|_| {
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
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("thamanya/", env!("CARGO_PKG_VERSION"))));
        let tls = if config.ssl { Some(thm_tls::Client::of_name(config.ca.as_deref())?) } else { None };
        let name = if config.sni.is_empty() { &config.hostname } else { &config.sni };
        let transport = Transport::new(tls.as_ref().map(|tls| (tls, name.as_str())), headers)?;
        let ClickHouseConfig { settings, timeout, insert_timeout, .. } = config.clone();
        Ok(Self { transport, url, address, settings, timeout, insert_timeout })
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
        let url = url.as_str().parse().map_err(|error| broken(TransportError::from(http::Error::from(error))))?;
        let Answer { status, code, text } = self.transport.post(url, request.body, timeout).await.map_err(broken)?;
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
