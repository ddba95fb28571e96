//! One connection to the target: requests are queued on it, sent together, and answered in order.
//!
//! In: encoded requests. Out: a [`Reply`] for each, oldest first. Invariant: bytes are read while bytes are written, so
//! neither side waits for the other with full buffers.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thm_tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::response::{Reply, next_reply};

/// An answer to a delivery fits.
const READ_BYTES: usize = 4 << 10;

/// What every request to the target begins with.
#[derive(Debug)]
pub(super) struct Template {
    head: Vec<u8>,
    idempotency_header: Option<HeaderName>,
}

impl Template {
    /// `target` is the path, or the whole URL for a proxy.
    pub fn new(target: &str, host: &str, headers: &HeaderMap, idempotency_header: Option<HeaderName>) -> Self {
        let agent = concat!("thamanya/", env!("CARGO_PKG_VERSION"));
        let mut head =
            format!("POST {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\naccept: */*\r\n").into_bytes();
        for (name, value) in headers {
            field(&mut head, name, value);
        }
        Self { head, idempotency_header }
    }

    fn encode(&self, identity: &HeaderValue, body: &[u8], out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        let mut rest = Vec::with_capacity(256);
        if let Some(name) = &self.idempotency_header {
            field(&mut rest, name, identity);
        }
        rest.extend_from_slice(b"content-length: ");
        rest.extend_from_slice(body.len().to_string().as_bytes());
        rest.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&rest);
        out.extend_from_slice(body);
    }
}

fn field(head: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    out: BytesMut,
    input: BytesMut,
    /// The target sends nothing more.
    ended: bool,
    /// Answers so far.
    answers: u64,
    used: Instant,
}

impl Connection {
    /// Opens it, with the handshake of TLS if that is wanted.
    pub async fn open(endpoint: &Endpoint, limit: Duration) -> io::Result<Self> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the connection was not accepted in time");
        let stream = timeout(limit, endpoint.connect()).await.map_err(late)??;
        let (out, input) = (BytesMut::new(), BytesMut::new());
        Ok(Self { stream, out, input, ended: false, answers: 0, used: Instant::now() })
    }

    /// Answers it has given.
    pub const fn answers(&self) -> u64 {
        self.answers
    }

    /// Whether another request may be sent on it, after so much idleness at most.
    pub fn is_usable(&mut self, most_idle: Duration) -> bool {
        let mut byte = [0];
        let mut probe = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(std::task::Waker::noop());
        // Closed by the target, or bytes that nobody asked for.
        !self.ended
            && self.used.elapsed() < most_idle
            && self.input.is_empty()
            && Pin::new(&mut self.stream).poll_read(&mut context, &mut probe).is_pending()
    }

    /// Adds a request to what is sent next.
    pub fn queue(&mut self, template: &Template, identity: &HeaderValue, body: &Bytes) {
        template.encode(identity, body, &mut self.out);
    }

    /// Sends what is queued and waits for the next answer. `more` says that others are to follow.
    pub async fn answer(&mut self, limit: Duration, more: bool) -> io::Result<Reply> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "there was no answer in time");
        let reply = timeout(limit, self.next(more)).await.map_err(late)??;
        self.answers += 1;
        self.ended |= reply.is_last;
        self.used = Instant::now();
        Ok(reply)
    }

    async fn next(&mut self, more: bool) -> io::Result<Reply> {
        loop {
            if let Some(reply) = next_reply(&mut self.input, self.ended)? {
                return Ok(reply);
            }
            poll_fn(|context| self.exchange(context)).await?;
            if more {
                self.acknowledge_now();
            }
        }
    }

    /// Writes what it can, and reads; ready once something was read, or the end.
    fn exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.out) {
                Poll::Ready(Ok(bytes)) => self.out.advance(bytes),
                // It may have said why before it closed.
                Poll::Ready(Err(_)) => self.out.clear(),
                Poll::Pending => break,
            }
        }
        // Inside TLS written is not yet sent. Whether it broke is told by the read.
        let _ = Pin::new(&mut self.stream).poll_flush(context);
        let mut chunk = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.ended |= buffer.filled().is_empty();
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    /// A server that sends each answer by itself waits for the acknowledgement of the one before (Nagle), and a kernel
    /// that expects us to speak delays it by 40 ms.
    fn acknowledge_now(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(self.stream.socket()).set_tcp_quickack(true);
    }
}
