//! The listener over the memory log, spoken to by hand-made clients.
#![allow(clippy::unwrap_used)]

mod fetch;
mod fuzz;
mod produce;
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tempfile::TempDir;
use thm_api::{Log, TopicSpec};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Broker, Limits, Listener, ListenerConfig};
use crate::MemoryLog;
use crate::group::{GroupConfig, GroupCoordinator};

/// A listener on a free port, until it is dropped.
struct Server {
    address: SocketAddr,
    broker: Arc<Broker>,
    _stop: DropGuard,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::with(Limits::default(), true).await
    }

    async fn with(limits: Limits, auto_create: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let groups = GroupCoordinator::open(GroupConfig::new(folder.path().join("groups"))).unwrap();
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
        let broker = Broker::new(log, Arc::new(groups), auto_create, limits);
        let config = ListenerConfig {
            addr: ([127, 0, 0, 1], 0).into(),
            advertised_host: "advertised.example".to_owned(),
            advertised_port: 19092,
        };
        let listener = Listener::bind(config, Arc::clone(&broker)).await.unwrap();
        let address = listener.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(listener.run(stop.clone()));
        Self { address, broker, _stop: stop.drop_guard(), _folder: folder }
    }

    async fn topic(&self, spec: TopicSpec) {
        self.broker.log.create_topic(&spec).await.unwrap();
    }

    async fn client(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), correlation_id: 0 }
    }
}

/// One connection.
struct Client {
    socket: TcpStream,
    correlation_id: i32,
}

impl Client {
    async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        self.send_frame(&body).await;
    }

    async fn send_frame(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).unwrap());
        frame.put_slice(body);
        self.socket.write_all(&frame).await.unwrap();
    }

    async fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut frame = self.receive_frame().await.unwrap();
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert_eq!(frame.remaining(), 0, "bytes are left of {:?} version {version}", ApiKey::try_from(R::KEY));
        response
    }

    /// The next frame; `None` if the listener has closed.
    async fn receive_frame(&mut self) -> Option<Bytes> {
        let length = self.socket.read_u32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.socket.read_exact(&mut frame).await.ok()?;
        Some(Bytes::from(frame))
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A batch of records with keys `k0`, `k1`, … and these values, a second apart from `start_ms` on.
fn batch(start_ms: i64, values: &[&str]) -> Bytes {
    let mut writer = BatchWriter::new();
    for (index, value) in values.iter().enumerate() {
        let key = format!("k{index}");
        let time = start_ms + 1000 * i64::try_from(index).unwrap();
        writer.push(time, Some(key.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
    }
    writer.finish()
}
