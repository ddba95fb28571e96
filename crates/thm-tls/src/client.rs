//! A client's side of TLS, made once per target: connections share its sessions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use thm_api::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stream::Stream;
use crate::trust::{Roots, Trust, certificates, unreadable};

/// Who we say we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the certificate, the authorities between after it.
    pub certificate: PathBuf,
    /// File of its key: PEM, or PKCS-8 in DER as PostgreSQL's JDBC driver wants it. Without a password.
    pub key: PathBuf,
}

/// Opens TLS sessions as the options of one target say.
#[derive(Clone, Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// Reads the files. TLS 1.2 and 1.3, the algorithms of ring.
    pub fn new(trust: &Trust, identity: Option<&Identity>) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let verifier = trust.verifier(&provider)?;
        let internal = |error| Error::new(ErrorKind::Internal, "preparing TLS", "its versions").with_source(error);
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(internal)?.dangerous().with_custom_certificate_verifier(verifier);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = certificates(certificate)?;
                let key = private_key(key)?;
                config.with_client_auth_cert(chain, key).map_err(|error| unreadable(certificate, error))?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// For a server whose very name one of these authorities has signed, as for HTTPS; `ca` is a PEM file, without it the
    /// system's authorities count.
    pub fn of_name(ca: Option<&str>) -> Result<Self> {
        Self::new(&Trust::Name(ca.map_or(Roots::System, |path| Roots::File(path.into()))), None)
    }

    /// For a library that opens connections itself.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The handshake on a connected socket; `host` is the name that the server must prove, or an IP address.
    pub async fn connect(&self, host: &str, socket: TcpStream) -> io::Result<Stream> {
        let tls = TlsConnector::from(self.config.clone()).connect(server_name(host)?, socket).await?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

/// A host as certificates name it.
pub fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, error))?;
    if bytes.starts_with(b"-----") {
        return PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
            let hint = "It must be a PEM key without a password (openssl pkey -in … -out …).";
            unreadable(path, error).with_hint(hint)
        });
    }
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bytes)))
}
