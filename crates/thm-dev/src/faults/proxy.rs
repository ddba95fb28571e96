//! A TCP relay between the engine and one service, which can lose what a healthy network delivers.
//!
//! ```text
//!                 healthy        ───────────────▶ ◀───────────────
//!   engine ──▶ relay ──▶ service
//!                 lose answers   ───────────────▶ ✕  reset: done, but the engine does not know
//!                 late requests  ✕ reset … later ─▶   the engine tries again, the first attempt comes after it;
//!                                                     every other request, so that each kind has its turn
//! ```
//! Resets are real ones (`RST`), so that clients see what a crashed peer or a firewall shows them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes relayed at once.
const BUFFER_BYTES: usize = 64 << 10;
/// A request that has paused this long is whole.
const REQUEST_PAUSE: Duration = Duration::from_millis(30);
/// How long the answer to a late request is read and thrown away.
const DRAIN: Duration = Duration::from_secs(2);

/// What the relay does with traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Weather {
    /// Delivers everything.
    #[default]
    Fair,
    /// Delivers requests; resets the connection instead of delivering an answer.
    LoseAnswers,
    /// Resets the connection upon every other request, and delivers that request `hold` later; `only` those that say this.
    LateRequests { hold: Duration, only: Option<&'static str> },
}

impl Weather {
    /// How much later a request has to arrive whose first bytes are these; nothing if it is not for this weather.
    fn hold(self, request: &[u8]) -> Option<Duration> {
        match self {
            Self::LateRequests { hold, only } => {
                let says = |word: &str| request.windows(word.len()).any(|part| part == word.as_bytes());
                only.is_none_or(says).then_some(hold)
            }
            Self::Fair | Self::LoseAnswers => None,
        }
    }
}

/// The relay; connections end when it is dropped.
pub(super) struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    /// A new number resets every connection.
    resets: watch::Sender<u64>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Relays a free port of 127.0.0.1 to `target` there.
    pub(super) async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening for a relay")?;
        let port = listener.local_addr()?.port();
        let (weather, resets) = (watch::channel(Weather::Fair).0, watch::channel(0).0);
        let (weathers, resetting) = (weather.subscribe(), resets.subscribe());
        let requests = Arc::new(AtomicU64::new(0));
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let relay =
                    Relay { weather: weathers.clone(), resets: resetting.clone(), requests: Arc::clone(&requests) };
                tokio::spawn(relay.run(client, target));
            }
        });
        Ok(Self { port, weather, resets, acceptor })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Resets every connection that stands.
    pub(super) fn reset(&self) {
        self.resets.send_modify(|number| *number += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// One connection.
struct Relay {
    weather: watch::Receiver<Weather>,
    resets: watch::Receiver<u64>,
    /// Requests of all connections that came while requests were to be late.
    requests: Arc<AtomicU64>,
}

impl Relay {
    async fn run(mut self, mut client: TcpStream, target: u16) {
        self.resets.mark_unchanged();
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
            reset(client);
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (mut up, mut down) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        loop {
            tokio::select! {
                changed = self.resets.changed() => {
                    if changed.is_ok() {
                        reset(client);
                        reset(server);
                    }
                    return;
                }
                read = client.read(&mut up) => {
                    let Some(bytes) = some(read, &up) else { return };
                    let weather = *self.weather.borrow();
                    if let Some(hold) = weather.hold(bytes)
                        && self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
                    {
                        deliver_late(client, server, bytes.to_vec(), hold).await;
                        return;
                    }
                    if server.write_all(bytes).await.is_err() {
                        reset(client);
                        return;
                    }
                }
                read = server.read(&mut down) => {
                    let bytes = some(read, &down);
                    let lost = *self.weather.borrow() == Weather::LoseAnswers;
                    match bytes.filter(|_| !lost) {
                        Some(bytes) if client.write_all(bytes).await.is_ok() => {}
                        // A server that died, or an answer to lose: the client sees no orderly end.
                        _ => { reset(client); return; }
                    }
                }
            }
        }
    }
}

fn some(read: std::io::Result<usize>, buffer: &[u8]) -> Option<&[u8]> {
    read.ok().filter(|length| *length > 0).and_then(|length| buffer.get(..length))
}

/// Reads the request to its end, resets the client, and hands the request on after `hold`.
async fn deliver_late(mut client: TcpStream, mut server: TcpStream, mut request: Vec<u8>, hold: Duration) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read) = timeout(REQUEST_PAUSE, client.read(&mut buffer)).await {
        match some(read, &buffer) {
            Some(bytes) => request.extend_from_slice(bytes),
            None => break,
        }
    }
    reset(client);
    tokio::time::sleep(hold).await;
    if server.write_all(&request).await.is_ok() {
        let drain = async { while some(server.read(&mut buffer).await, &buffer).is_some() {} };
        let _ = timeout(DRAIN, drain).await;
    }
}

/// Closes with a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::mpsc;

    use super::*;

    /// Tells what it got and answers each message with `ok`.
    async fn echo() -> (u16, mpsc::UnboundedReceiver<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64];
                    while let Some(bytes) = some(stream.read(&mut buffer).await, &buffer) {
                        tell.send(bytes.to_vec()).unwrap();
                        let _ = stream.write_all(b"ok").await;
                    }
                });
            }
        });
        (port, told)
    }

    async fn ask(port: u16, text: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut buffer = vec![0; 64];
        let length = stream.read(&mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    #[tokio::test]
    async fn each_weather_does_what_it_says() {
        let (port, mut told) = echo().await;
        let proxy = Proxy::start(port).await.unwrap();
        assert_eq!(ask(proxy.port(), "one").await.unwrap(), "ok");
        proxy.set(Weather::LoseAnswers);
        assert!(ask(proxy.port(), "two").await.is_err());
        proxy.set(Weather::LateRequests { hold: Duration::from_millis(100), only: Some("ate") });
        assert_eq!(ask(proxy.port(), "other").await.unwrap(), "ok");
        assert!(ask(proxy.port(), "late").await.is_err());
        proxy.set(Weather::Fair);
        assert_eq!(ask(proxy.port(), "three").await.unwrap(), "ok");
        let mut got = Vec::new();
        for _ in 0..5 {
            got.push(String::from_utf8(told.recv().await.unwrap()).unwrap());
        }
        assert_eq!(got, ["one", "two", "other", "three", "late"]);
    }

    #[tokio::test]
    async fn a_reset_ends_what_stands_and_not_what_comes() {
        let (port, _told) = echo().await;
        let proxy = Proxy::start(port).await.unwrap();
        let mut standing = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap();
        standing.write_all(b"x").await.unwrap();
        let mut buffer = [0; 2];
        standing.read_exact(&mut buffer).await.unwrap();
        proxy.reset();
        assert!(standing.read(&mut buffer).await.is_err());
        assert_eq!(ask(proxy.port(), "again").await.unwrap(), "ok");
    }
}
