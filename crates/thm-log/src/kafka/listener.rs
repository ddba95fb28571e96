//! `Listener`: accepts connections on one address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thm_api::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::connection;
use super::exchange::Peer;

/// Pause after a failed accept: the usual cause is too many open files, which passes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// One address, and the address clients are told.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Host that clients are told to connect to.
    pub advertised_host: String,
    /// Port that clients are told to connect to; 0 is the one that is listened on.
    pub advertised_port: u16,
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    advertised: Arc<(String, u16)>,
    broker: Arc<Broker>,
}

impl Listener {
    /// Opens the port. Error: `LocalService` if it is taken or not ours.
    pub async fn bind(config: ListenerConfig, broker: Arc<Broker>) -> Result<Self> {
        let failed = |error| {
            Error::new(ErrorKind::LocalService, "listening for Kafka clients", config.addr.to_string())
                .with_source(error)
                .with_hint("Stop what uses the port, or choose another for the Kafka listener.")
        };
        let socket = TcpListener::bind(config.addr).await.map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let port = if config.advertised_port == 0 { local.port() } else { config.advertised_port };
        Ok(Self { socket, local, advertised: Arc::new((config.advertised_host, port)), broker })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves clients until `stop`; when it returns, every connection is closed.
    pub async fn run(self, stop: CancellationToken) {
        tracing::info!(address = %self.local, advertised = %self.advertised.0, "listening for kafka clients");
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((socket, address)) => self.start(&mut connections, socket, address, &stop),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a kafka client");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
                Some(ended) = connections.join_next() => self.ended(&ended),
            }
        }
        while connections.join_next().await.is_some() {}
    }

    fn ended(&self, ended: &std::result::Result<(), JoinError>) {
        if let Err(error) = ended {
            self.broker.counters.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a kafka connection ended in a bug");
        }
    }

    fn start(&self, connections: &mut JoinSet<()>, socket: TcpStream, address: SocketAddr, stop: &CancellationToken) {
        let open = self.broker.counters.connections.load(Ordering::Relaxed);
        if open >= self.broker.limits.max_connections as u64 {
            tracing::warn!(%address, open, "refused a kafka client: too many connections");
            return;
        }
        let peer = Peer { broker: Arc::clone(&self.broker), advertised: Arc::clone(&self.advertised), address };
        let stop = stop.clone();
        connections.spawn(async move {
            let _open = Open::count(&peer.broker);
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection::serve(socket, Arc::new(peer.clone())) => {}
            }
        });
    }
}

/// Counts a connection while it lives.
struct Open(Arc<Broker>);

impl Open {
    fn count(broker: &Arc<Broker>) -> Self {
        broker.counters.connections.fetch_add(1, Ordering::Relaxed);
        broker.counters.connections_total.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("thm_kafka_connections").increment(1);
        Self(Arc::clone(broker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("thm_kafka_connections").decrement(1);
    }
}
