//! Whom we believe: authorities, and how much of a server's certificate counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thm_api::{Error, ErrorKind, Result};

type Verified<T> = std::result::Result<T, rustls::Error>;

/// Authorities that may vouch for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those of a PEM file. A server's own certificate in it is believed as it is.
    File(PathBuf),
}

/// How much of a server's certificate counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: encrypted against listeners, not against someone in the middle.
    Anyone,
    /// An authority has signed it, for whatever name (`verify-ca`).
    Authority(Roots),
    /// An authority has signed it for this very name (`verify-full`, HTTPS).
    Name(Roots),
}

impl Trust {
    /// The verifier for it. Reads the files.
    pub(crate) fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        let algorithms = provider.signature_verification_algorithms;
        let (roots, checks_name) = match self {
            Self::Anyone => return Ok(Arc::new(Verifier { algorithms, wanted: None })),
            Self::Authority(roots) => (roots, false),
            Self::Name(roots) => (roots, true),
        };
        let (certificates, object) = roots.load()?;
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if added == 0 {
            return Err(unusable(&object, "It holds no certificate that can be read: PEM is expected."));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        let chain = chain.build().map_err(|error| unusable(&object, "See the cause.").with_source(error))?;
        // The system's are authorities only; a file may hold the server's own certificate.
        let pinned = if matches!(roots, Roots::File(_)) { certificates } else { Vec::new() };
        Ok(Arc::new(Verifier { algorithms, wanted: Some(Wanted { chain, pinned, checks_name }) }))
    }
}

impl Roots {
    /// The certificates, and what to call them in messages.
    fn load(&self) -> Result<(Vec<CertificateDer<'static>>, String)> {
        match self {
            Self::File(path) => Ok((certificates(path)?, path.display().to_string())),
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    let hint = "Install them (Debian: ca-certificates), or name a file of authorities in the options.";
                    return Err(unusable("the system's certificate authorities", hint));
                }
                Ok((found.certs, "the system's certificate authorities".to_owned()))
            }
        }
    }
}

/// All certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let read = read.map_err(|error| unreadable(path, error))?;
    if read.is_empty() {
        return Err(unusable(&path.display().to_string(), "It holds no certificate: PEM is expected."));
    }
    Ok(read)
}

/// A file that cannot be read as what it should be.
pub(crate) fn unreadable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    unusable(&path.display().to_string(), "Check its path, rights and form.").with_source(error)
}

fn unusable(object: &str, hint: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading certificates", object).with_hint(hint)
}

/// A server must hold the key of the certificate that it shows, and the certificate must be what is wanted, if anything is.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// None: any certificate will do.
    wanted: Option<Wanted>,
}

/// The chain, and the name if it counts.
#[derive(Debug)]
struct Wanted {
    chain: Arc<WebPkiServerVerifier>,
    /// Certificates of servers themselves: signed by nobody else, as many databases make them.
    pinned: Vec<CertificateDer<'static>>,
    checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verified<ServerCertVerified> {
        let Some(wanted) = &self.wanted else { return Ok(ServerCertVerified::assertion()) };
        if wanted.pinned.iter().any(|pinned| pinned == end_entity) {
            if wanted.checks_name {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        // The name is compared last: any other fault has been told before it.
        match wanted.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !wanted.checks_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
