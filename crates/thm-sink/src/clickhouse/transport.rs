//! Bytes to ClickHouse and back: HTTP/1.1 over kept connections, inside TLS if so configured.
//!
//! In: a URL and a body. Out: status, exception code and text of the answer. No retry, and one limit of time for all of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thm_api::{Error, ErrorKind, Result};

/// How long a connection may take to open: a host that is there answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: less than any server's own limit (3 s in old releases), so that a request
/// seldom meets a connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Longest answer that is read: descriptions of tables and texts of errors.
const MAX_ANSWER_BYTES: usize = 1 << 20;

const EXCEPTION_CODE: HeaderName = HeaderName::from_static("x-clickhouse-exception-code");

/// Connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    connections: Connections,
    headers: Arc<HeaderMap>,
}

#[derive(Clone, Debug)]
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    /// The server's own code of an error.
    pub code: Option<u32>,
    pub text: String,
}

/// Nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// The limit is over.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The connection, or the request on it.
    #[error("the request failed")]
    Request(#[from] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[from] hyper::Error),
    /// Not a request.
    #[error(transparent)]
    Form(#[from] http::Error),
}

impl Transport {
    /// Opens nothing. With TLS the server's certificate must be for the name given, whatever address it has.
    pub fn new(tls: Option<(&thm_tls::Client, &str)>, headers: HeaderMap) -> Result<Self> {
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_nodelay(true);
        sockets.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE_TIMEOUT).pool_timer(TokioTimer::new());
        let connections = match tls {
            None => Connections::Plain(client.build(sockets)),
            Some((tls, name)) => {
                let name = thm_tls::server_name(name).map_err(|error| {
                    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", "hostname")
                        .with_source(error)
                })?;
                let connector =
                    HttpsConnectorBuilder::new().with_tls_config(tls.config().as_ref().clone()).https_only();
                let connector = connector.with_server_name_resolver(FixedServerNameResolver::new(name));
                Connections::Tls(client.build(connector.enable_http1().wrap_connector(sockets)))
            }
        };
        Ok(Self { connections, headers: Arc::new(headers) })
    }

    /// Sends a request and reads the whole answer.
    pub async fn post(&self, url: Uri, body: Bytes, limit: Duration) -> std::result::Result<Answer, TransportError> {
        let mut request = Request::post(url).body(Full::new(body))?;
        request.headers_mut().clone_from(&self.headers);
        let answered = async {
            let answer = match &self.connections {
                Connections::Plain(client) => client.request(request).await?,
                Connections::Tls(client) => client.request(request).await?,
            };
            read(answer).await
        };
        tokio::time::timeout(limit, answered).await.unwrap_or(Err(TransportError::Late(limit)))
    }
}

async fn read(answer: Response<Incoming>) -> std::result::Result<Answer, TransportError> {
    let status = answer.status();
    let code = answer.headers().get(EXCEPTION_CODE).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        let room = MAX_ANSWER_BYTES.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(Answer { status, code, text: String::from_utf8_lossy(&bytes).into_owned() })
}
