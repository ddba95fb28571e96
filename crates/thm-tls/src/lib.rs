//! TLS as a client: whom we believe, who we say we are, and the streams that follow from it.
//!
//! ```text
//!   options ──▶ [`Trust`], [`Identity`] ──▶ [`Client`] ──connect──▶ [`Stream`]          HTTP, Redis
//!                                              ├── as a configuration of reqwest        ClickHouse
//!                                              └── [`PostgresTls`] ──SSLRequest──▶      PostgreSQL
//! ```
//!
//! In: options and files. Out: encrypted streams to a server that has proven its name, unless the options say that less is
//! wanted. Invariant: nothing falls back to less than the options ask for.

mod client;
mod postgres;
mod stream;
mod trust;

pub use client::{Client, Identity, server_name};
pub use postgres::{PostgresTls, SslMode};
pub use stream::Stream;
pub use trust::{Roots, Trust};

use std::error::Error as StdError;
use std::io;

use thm_api::{Error, ErrorKind};

/// Whether a handshake failed for what the two sides are, so that the next attempt fails as well: a certificate that is not
/// believed, a server without TLS, one that wants a certificate of ours. Looks through the causes.
#[must_use]
pub fn is_refusal(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return is_final(tls);
        }
        // What an I/O error carries is not its source: its source is that one's source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) if inner.to_string() == postgres::NO_TLS => return true,
            Some(inner) => Some(inner),
            None if error.to_string() == postgres::NO_TLS => return true,
            None => error.source(),
        };
    }
    false
}

/// What a sink says of a target that it cannot talk to: that two sides do not agree on TLS stops the task, whatever else
/// is wrong is tried again. `advice` is what else may be wrong with this very target's TLS, in sentences.
#[must_use]
pub fn unreached(
    doing: &'static str,
    target: impl Into<String>,
    advice: &str,
    error: impl StdError + Send + Sync + 'static,
) -> Error {
    if is_refusal(&error) {
        return refused(doing, target, advice, error);
    }
    Error::new(ErrorKind::SinkUnreachable, doing, target).with_source(error)
}

/// The same where it is known already that a sink and its target do not agree on TLS.
#[must_use]
pub fn refused(
    doing: &'static str,
    target: impl Into<String>,
    advice: &str,
    source: impl Into<Box<dyn StdError + Send + Sync>>,
) -> Error {
    let certificate = "A certificate that no authority of the system has signed wants ssl.ca.location.";
    let sentences = ["Is it the port of TLS?", advice, certificate];
    let hint: Vec<&str> = sentences.into_iter().filter(|sentence| !sentence.is_empty()).collect();
    Error::new(ErrorKind::SinkMismatch, doing, target).with_hint(hint.join(" ")).with_source(source)
}

/// Faults of a session that runs may pass with the next one; those of a handshake do not.
const fn is_final(error: &rustls::Error) -> bool {
    use rustls::Error;
    matches!(
        error,
        Error::InvalidCertificate(_)
            | Error::NoCertificatesPresented
            | Error::AlertReceived(_)
            | Error::PeerIncompatible(_)
            | Error::InvalidMessage(_)
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_refusal_is_found_below_other_errors() {
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls()));
        assert!(is_refusal(&tls()) && is_refusal(&wrapped));
        assert!(is_refusal(&io::Error::other(postgres::NO_TLS)));
        assert!(!is_refusal(&io::Error::from(io::ErrorKind::ConnectionRefused)));
        // A record that was bent on its way.
        assert!(!is_refusal(&io::Error::other(rustls::Error::DecryptError)));
    }

    #[test]
    fn a_file_without_certificates_is_named() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ca.pem");
        let told = |path: PathBuf| {
            let error = Client::new(&Trust::Name(Roots::File(path)), None).err();
            (error.as_ref().map(Error::kind), error.map(|error| error.to_string()).unwrap_or_default())
        };
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")] {
            if let Some(text) = text {
                std::fs::write(&path, text)?;
            }
            let (kind, message) = told(path.clone());
            assert_eq!(kind, Some(ErrorKind::InvalidConfig), "{text:?}");
            assert!(message.contains("ca.pem"), "{message}");
        }
        Ok(())
    }
}
