//! One connection: frames in, answers out, in order.
//!
//! ```text
//!   socket ──▶ reader ── permit for its bytes ──▶ shape ok? ──▶ api::begin ──▶ queue of answers ──▶ writer ──▶ socket
//!                │                                               (produce: appended here,           (awaited one
//!                └─ a frame too large or not ours                 so requests overlap               by one)
//!                   closes the connection                         while they become durable)
//! ```
//!
//! As in Kafka, requests of a connection are answered in the order they came. All but Produce begin only when
//! the answer before them was written. When the client goes away, whatever waits for it is dropped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::Decodable;
use thm_api::Permit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api;
use super::exchange::{Answering, Peer, Request, invalid};
use super::versions;

/// Requests of a connection that are being answered; the client's further ones wait in its socket.
const MAX_IN_FLIGHT: usize = 16;

/// How long a client may take to send the rest of a frame, or to take an answer. It holds memory meanwhile.
const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may be silent between requests, as Kafka's `connections.max.idle.ms`.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Request header up to the client's name: key, version, correlation id, length of the name.
const SHORTEST_HEADER_BYTES: usize = 10;

/// Serves a client until it goes away or sends what no client sends.
pub(super) async fn serve(socket: TcpStream, peer: Arc<Peer>) {
    // Answers are whole frames; waiting to fill packets would only add to latency.
    let _ = socket.set_nodelay(true);
    let (read, write) = socket.into_split();
    let (queue, answers) = mpsc::channel(MAX_IN_FLIGHT);
    let ended = tokio::select! {
        ended = read_requests(read, queue, &peer) => ended,
        ended = write_answers(write, answers, &peer) => ended,
    };
    match ended {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(client = %peer.address, %error, "closed a kafka connection");
        }
        Err(error) => tracing::debug!(client = %peer.address, %error, "kafka connection broke"),
    }
}

async fn read_requests(
    mut socket: OwnedReadHalf,
    queue: mpsc::Sender<(Answering, Permit)>,
    peer: &Arc<Peer>,
) -> io::Result<()> {
    loop {
        let Some((frame, permit)) = read_frame(&mut socket, peer).await? else { return Ok(()) };
        let bytes = frame.len();
        let answering = match read_header(frame)? {
            Header::Known(request) => {
                peer.broker.counters.request(request.api, bytes);
                api::begin(Arc::clone(peer), request).await?
            }
            Header::NewerApiVersions { correlation_id } => api::refuse_api_versions(correlation_id),
        };
        if queue.send((answering, permit)).await.is_err() {
            return Ok(());
        }
    }
}

/// The next frame without its length; `None` when the client has closed between frames.
async fn read_frame(socket: &mut OwnedReadHalf, peer: &Peer) -> io::Result<Option<(Bytes, Permit)>> {
    let mut length = [0; 4];
    match timeout(DEFAULT_IDLE_TIMEOUT, socket.read_exact(&mut length)).await? {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
    let limits = &peer.broker.limits;
    if !(SHORTEST_HEADER_BYTES..=limits.max_request_bytes).contains(&length) {
        return Err(invalid(format!("a request of {length} bytes; at most {} are allowed", limits.max_request_bytes)));
    }
    let permit = limits.requests.acquire(length).await;
    let mut frame = BytesMut::with_capacity(length.min(64 << 10));
    let mut body = socket.take(length as u64);
    while frame.len() < length {
        if timeout(DEFAULT_STALL_TIMEOUT, body.read_buf(&mut frame)).await?? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((frame.freeze(), permit)))
}

enum Header {
    Known(Request),
    /// A client that is newer than we are asks what we offer.
    NewerApiVersions {
        correlation_id: i32,
    },
}

fn read_header(mut frame: Bytes) -> io::Result<Header> {
    let mut peek = &frame[..8];
    let (key, version, correlation_id) = (peek.get_i16(), peek.get_i16(), peek.get_i32());
    let index = versions::index_of(key).ok_or_else(|| invalid(format!("unknown request {key}")))?;
    let api = &versions::OFFERED[index];
    if !api.offers(version) {
        return match api.name {
            "api_versions" => Ok(Header::NewerApiVersions { correlation_id }),
            name => Err(invalid(format!("{name} in version {version}; {} to {} are offered", api.min, api.max))),
        };
    }
    let header = RequestHeader::decode(&mut frame, api.key.request_header_version(version))
        .map_err(|error| invalid(format!("{} with a header that cannot be read: {error}", api.name)))?;
    if !super::shape::fits(api.key, version, &frame) {
        return Err(invalid(format!("{} in version {version} that is not as that version says", api.name)));
    }
    let client_id = header.client_id.map(|id| id.to_string()).unwrap_or_default();
    Ok(Header::Known(Request { api: index, version, correlation_id, client_id, body: frame }))
}

async fn write_answers(
    mut socket: OwnedWriteHalf,
    mut answers: mpsc::Receiver<(Answering, Permit)>,
    peer: &Peer,
) -> io::Result<()> {
    while let Some((answering, permit)) = answers.recv().await {
        let answer = answering.await?;
        drop(permit);
        if let Some(mut frame) = answer.frame {
            peer.broker.counters.answer(frame.len());
            while frame.has_remaining() {
                timeout(DEFAULT_STALL_TIMEOUT, socket.write_buf(&mut frame)).await??;
            }
        }
        drop(answer.held);
    }
    // The reader has ended; let it say why.
    std::future::pending().await
}
