//! Where requests go, and whether inside TLS.

use std::io;

use thm_api::{Error, Hosts, Result};
use thm_tls::{Client, Roots, Stream, Trust};
use tokio::net::TcpStream;

use super::config::HttpSettings;

/// The target, or the proxy before it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// `host:port`
    address: String,
    /// For `https`, with the name that the certificate must be for: that in the URL, whatever address it has.
    tls: Option<(Client, String)>,
}

impl Endpoint {
    /// Reads the authorities' file; opens nothing.
    pub fn new(settings: &HttpSettings, hosts: &Hosts) -> Result<Self> {
        let address = settings.address(hosts)?;
        if settings.url.scheme() != "https" {
            return Ok(Self { address, tls: None });
        }
        let roots = settings.ca.clone().map_or(Roots::System, Roots::File);
        let trust = if settings.trust_all { Trust::Anyone } else { Trust::Name(roots) };
        let name = settings.url.host_str().unwrap_or_default().to_owned();
        Ok(Self { address, tls: Some((Client::new(&trust, None)?, name)) })
    }

    /// Connects, and shakes hands.
    pub async fn connect(&self) -> io::Result<Stream> {
        let socket = TcpStream::connect(&self.address).await?;
        socket.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(socket)),
            Some((client, name)) => client.connect(name, socket).await,
        }
    }
}

const ADVICE: &str = "http.ssl.trust.all.certs=true believes any certificate.";

/// No connection, or none that is believed: the second stops the task.
pub(super) fn unreached(doing: &'static str, target: String, error: io::Error) -> Error {
    thm_tls::unreached(doing, target, ADVICE, error)
}

/// A connection that is not believed: the next attempt would fail as well.
pub(super) fn distrusted(doing: &'static str, target: &str, reason: String) -> Error {
    thm_tls::refused(doing, target, ADVICE, reason)
}
