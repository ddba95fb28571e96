//! PostgreSQL's way into TLS: a client asks in clear text, the server answers one byte, and the handshake follows.
//!
//! ```text
//!   SSLRequest ──▶ 'S' ──▶ handshake ──▶ startup, encrypted
//!              └─▶ 'N' ──▶ startup in clear text if the mode allows it, else refused
//! ```

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use rustls::ClientConnection;
use thm_api::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream as PostgresStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, Identity, server_name};
use crate::trust::{Roots, Trust};

/// Length 8, and the number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The library's words, and ours, for a server that does without.
pub(crate) const NO_TLS: &str = "server does not support TLS";

/// `sslmode`, as clients of PostgreSQL know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// `disable`, and `allow`: in clear text, which a server that wants TLS refuses.
    Disable,
    /// Encrypted where the server can, by whatever certificate.
    Prefer,
    /// Encrypted or not at all, by whatever certificate.
    Require,
    /// And an authority has signed the certificate.
    VerifyCa,
    /// And it is this host's.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "disable" | "allow" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(()),
        })
    }
}

/// How to connect to a PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresTls {
    /// None: in clear text.
    client: Option<Client>,
    is_required: bool,
}

impl PostgresTls {
    /// Reads the files. `root` is asked for by the modes that verify, and the system's authorities stand in for it.
    pub fn new(mode: SslMode, root: Option<PathBuf>, identity: Option<&Identity>) -> Result<Self> {
        let roots = || root.map_or(Roots::System, Roots::File);
        let trust = match mode {
            SslMode::Disable => return Ok(Self { client: None, is_required: false }),
            SslMode::Prefer | SslMode::Require => Trust::Anyone,
            SslMode::VerifyCa => Trust::Authority(roots()),
            SslMode::VerifyFull => Trust::Name(roots()),
        };
        Ok(Self { client: Some(Client::new(&trust, identity)?), is_required: mode != SslMode::Prefer })
    }

    /// What the library for SQL sessions is told; the certificate is our matter, see [`MakeTlsConnect`].
    #[must_use]
    pub const fn library_mode(&self) -> tokio_postgres::config::SslMode {
        match (&self.client, self.is_required) {
            (None, _) => tokio_postgres::config::SslMode::Disable,
            (Some(_), false) => tokio_postgres::config::SslMode::Prefer,
            (Some(_), true) => tokio_postgres::config::SslMode::Require,
        }
    }

    /// Asks the server on a fresh connection. A session of TLS, or none where clear text is meant.
    pub async fn negotiate(
        &self,
        host: &str,
        mut socket: TcpStream,
    ) -> io::Result<(TcpStream, Option<ClientConnection>)> {
        let Some(client) = &self.client else { return Ok((socket, None)) };
        socket.write_all(&SSL_REQUEST).await?;
        match (socket.read_u8().await?, self.is_required) {
            (b'S', _) => {
                let tls = TlsConnector::from(client.config().clone()).connect(server_name(host)?, socket).await?;
                let (socket, mut session) = tls.into_inner();
                // Who writes never waits: the session keeps what the socket does not take, a few statuses at most.
                session.set_buffer_limit(None);
                Ok((socket, Some(session)))
            }
            (b'N', false) => Ok((socket, None)),
            (b'N', true) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, NO_TLS)),
            (other, _) => {
                let message =
                    format!("the answer to the request for TLS was {other:#04x}: is this a PostgreSQL server?");
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    /// The same for the library's sessions, to one host.
    #[must_use]
    pub fn for_host(&self, host: &str) -> HostTls {
        HostTls { client: self.client.clone(), host: host.to_owned() }
    }
}

/// The library's way to a TLS session with one host, by the name in the options rather than the address it resolves to.
#[derive(Clone, Debug)]
pub struct HostTls {
    client: Option<Client>,
    host: String,
}

impl MakeTlsConnect<TcpOrUnix> for HostTls {
    type Stream = Encrypted;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _address: &str) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// The library's own socket.
type TcpOrUnix = tokio_postgres::Socket;

impl TlsConnect<TcpOrUnix> for HostTls {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, socket: TcpOrUnix) -> Self::Future {
        Box::pin(async move {
            let client = self.client.ok_or_else(|| io::Error::other("clear text was asked for"))?;
            let connector = TlsConnector::from(client.config().clone());
            Ok(Encrypted(connector.connect(server_name(&self.host)?, socket).await?))
        })
    }
}

/// A stream of the library's inside TLS.
#[derive(Debug)]
pub struct Encrypted(TlsStream<TcpOrUnix>);

impl PostgresStream for Encrypted {
    /// Without binding: the server takes a client that cannot do it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
