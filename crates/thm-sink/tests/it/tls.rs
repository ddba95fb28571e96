//! TLS to each target: the real services behind a relay that ends TLS for them, with a certificate for `localhost`.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use thm_api::{Error, ErrorKind, Generation, Op, SinkTask};
use thm_sink::{HttpConnector, LeaderboardConnector};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::clickhouse::engine::{self, Database};
use crate::http::api::{Api, status};
use crate::redis::service::RedisServer;
use crate::support::{self, MemoryState};

/// Ends TLS in front of a port of this machine.
struct Relay {
    port: u16,
    /// Holds the certificate.
    folder: TempDir,
}

impl Relay {
    async fn start(target: u16) -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.crt"), own.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![CertificateDer::from(own.cert.der().to_vec())], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that believes nobody ends here.
                    let Ok(mut inside) = acceptor.accept(socket).await else { return };
                    let mut outside = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        });
        Self { port, folder }
    }

    fn certificate(&self) -> String {
        self.folder.path().join("server.crt").display().to_string()
    }
}

/// Opens a sink and writes one record.
async fn deliver(mut task: Box<dyn SinkTask>, value: &str) -> Result<(), Error> {
    let partition = support::partition(7);
    task.open(std::slice::from_ref(&partition), Generation(1)).await?;
    let record = support::record(0, Op::Create, support::now_ms(), 1, Some(value.to_owned()));
    task.write(support::batch(&partition, &[record])).await.map(drop)
}

/// The task stops, and says what to do.
fn refused(result: Result<(), Error>, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkMismatch, "{error}");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error} {cause} {}", error.hint());
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_target_is_believed_by_its_certificate() {
    let api = Api::start(|_, _| status(200)).await;
    let relay = Relay::start(api.port).await;
    let certificate = relay.certificate();
    let post = async |host: &str, options: &[(&str, &str)]| {
        let url = format!("https://{host}:{}/events", relay.port);
        let mut all = vec![("http.url", url.as_str()), ("http.authorization.type", "none"), ("http.timeout", "5")];
        all.extend_from_slice(options);
        let context = support::context(&Arc::new(MemoryState::default()), support::config(&all));
        deliver(support::sink(&HttpConnector, context), "{\"id\":1}").await
    };
    post("localhost", &[("ssl.ca.location", &certificate)]).await.unwrap();
    post("127.0.0.1", &[("http.ssl.trust.all.certs", "true")]).await.unwrap();
    assert_eq!(api.accepted(), ["{\"id\":1}", "{\"id\":1}"]);
    refused(post("127.0.0.1", &[("ssl.ca.location", &certificate)]).await, &["not valid for name", "ssl.ca.location"]);
    refused(post("localhost", &[]).await, &["certificate", "ssl.ca.location"]);
    refused(post("localhost", &[("batching.enabled", "true")]).await, &["certificate", "ssl.ca.location"]);
    assert_eq!(api.requests().len(), 2, "nothing reaches a target that is not believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_believed_by_its_certificate() {
    let server = RedisServer::start(&[]).await;
    let relay = Relay::start(server.port).await;
    let certificate = relay.certificate();
    let event = r#"{"id":1,"content_id":"a","event_type":"play","event_ts":"2025-08-23 05:40:00.000"}"#;
    let write = async |host: &str, options: &[(&str, &str)]| {
        let uri = format!("rediss://{host}:{}/0", relay.port);
        let mut all = vec![("redis.uri", uri.as_str()), ("redis.timeout.ms", "5000")];
        all.extend_from_slice(options);
        let context = support::context(&Arc::new(MemoryState::default()), support::config(&all));
        deliver(support::sink(&LeaderboardConnector, context), event).await
    };
    write("localhost", &[("ssl.ca.location", &certificate)]).await.unwrap();
    let scores: Vec<(String, f64)> = redis::cmd("ZRANGE")
        .arg(&["thm:top:10m", "0", "-1", "WITHSCORES"])
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    assert_eq!(scores, [("a".to_owned(), 1.0)]);
    refused(write("127.0.0.1", &[("ssl.ca.location", &certificate)]).await, &["not valid for name", "ssl.ca.location"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clickhouse_is_believed_by_its_certificate() {
    let database = Database::contract().await;
    let port = tokio::task::spawn_blocking(engine::port).await.unwrap();
    let relay = Relay::start(port).await;
    let (port, certificate) = (relay.port.to_string(), relay.certificate());
    let row = engine::event(1, "2025-08-23 05:40:00.000", "100");
    let write = async |further: &[(&str, &str)]| {
        let mut all = vec![("port", port.as_str()), ("ssl", "true")];
        all.extend_from_slice(further);
        deliver(database.sink(&all).await, &row).await
    };
    let certified = ("ssl.ca.location", certificate.as_str());
    write(&[("hostname", "localhost"), certified]).await.unwrap();
    // The address is one thing, the name in the certificate another.
    write(&[("hostname", "127.0.0.1"), ("ssl_socket_sni", "localhost"), certified]).await.unwrap();
    assert_eq!(database.ask("SELECT id FROM {t} FINAL").await, "1");
    for (further, words) in [
        (vec![("hostname", "127.0.0.1"), certified], ["not valid for name", "ssl.ca.location"]),
        // The port of HTTP.
        (vec![("port", "PLAIN"), ("hostname", "localhost"), certified], ["message", "ssl=false"]),
    ] {
        let plain = tokio::task::spawn_blocking(engine::port).await.unwrap().to_string();
        let further: Vec<_> = further
            .into_iter()
            .map(|(name, value)| (name, if value == "PLAIN" { plain.as_str() } else { value }))
            .collect();
        refused(write(&further).await, &words);
    }
}
