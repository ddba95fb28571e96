//! What a connection and the handlers hand each other: who asks, the request, and the answer on its way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use thm_api::Permit;

use super::broker::Broker;

/// Who is connected, and to what.
#[derive(Clone)]
pub(super) struct Peer {
    /// What all connections share.
    pub broker: Arc<Broker>,
    /// Host and port that clients of this listener are told.
    pub advertised: Arc<(String, u16)>,
    /// Where the client connects from.
    pub address: SocketAddr,
}

/// A frame, with its header read and its body found to have the shape its version says.
pub(super) struct Request {
    /// Place of the API in the table.
    pub api: usize,
    /// Version, one that we offer.
    pub version: i16,
    /// To be repeated in the answer.
    pub correlation_id: i32,
    /// The client's own name.
    pub client_id: String,
    /// The request itself.
    pub body: Bytes,
}

/// An answer: a whole frame with the memory it holds, or nothing to send (acks=0).
pub(super) struct Answer {
    /// Bytes for the socket.
    pub frame: Option<Bytes>,
    /// Memory of what the answer carries.
    pub held: Option<Permit>,
}

/// An answer on its way.
pub(super) type Answering = BoxFuture<'static, io::Result<Answer>>;

/// Something no well-behaved client sends.
pub(super) fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
