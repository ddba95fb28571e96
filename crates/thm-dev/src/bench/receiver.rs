//! The HTTP sink's target: counts what it gets and, if asked, notes when which event came.
//!
//! It stands in for the mock API, whose file and parsing would be measured too. A record never holds a raw line end,
//! so a body in which records are separated by `,\n` holds as many records as line ends and one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Largest body taken: arrays of 500 events of 1 KiB and much room.
const DEFAULT_MAX_BODY_BYTES: usize = 16 << 20;

/// What has arrived.
#[derive(Default)]
struct Inbox {
    events: AtomicU64,
    arrivals: Mutex<Option<Vec<(i64, Instant)>>>,
}

/// The server; ends when dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::default());
        let router = Router::new()
            .route("/events", post(receive))
            .layer(DefaultBodyLimit::max(DEFAULT_MAX_BODY_BYTES))
            .with_state(Arc::clone(&inbox));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the receiver stopped serving");
            }
        });
        Ok(Self { address, inbox, server })
    }

    /// `host:port`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Events received so far.
    pub(super) fn events(&self) -> u64 {
        self.inbox.events.load(Ordering::Relaxed)
    }

    /// From now on notes the arrival of each event that comes alone.
    pub(super) fn note_arrivals(&self) {
        *self.inbox.arrivals.lock() = Some(Vec::new());
    }

    /// What was noted: id and time.
    pub(super) fn take_arrivals(&self) -> Vec<(i64, Instant)> {
        self.inbox.arrivals.lock().take().unwrap_or_default()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, body: Bytes) -> &'static str {
    let now = Instant::now();
    if let (Some(arrivals), Some(id)) = (inbox.arrivals.lock().as_mut(), leading_id(&body)) {
        arrivals.push((id, now));
    }
    inbox.events.fetch_add(records(&body), Ordering::Relaxed);
    "ok"
}

fn records(body: &[u8]) -> u64 {
    1 + body.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// The number in `{"id":NUMBER,…`.
pub(super) fn leading_id(body: &[u8]) -> Option<i64> {
    let rest = body.strip_prefix(b"{\"id\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_told_apart() {
        assert_eq!(records(b"[{\"id\":1},\n{\"id\":2}]"), 2);
        assert_eq!(records(b"{\"id\":1}"), 1);
        assert_eq!(leading_id(b"{\"id\":42,\"device\":null}"), Some(42));
        assert_eq!(leading_id(b"[{\"id\":42}]"), None);
    }
}
