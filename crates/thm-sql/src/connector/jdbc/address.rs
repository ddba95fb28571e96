//! `url`: `jdbc:postgresql://host:port/database?parameter=value` → where and how to connect.

use std::path::PathBuf;

use thm_api::{Result, Secret};
use thm_tls::{Identity, PostgresTls, SslMode};

use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::{Given, Options};

/// PostgreSQL's port where a URL has none.
const DEFAULT_PORT: u16 = 5432;

/// Parameters that change how the JDBC driver works inside and no row.
const WITHOUT_EFFECT: &[&str] = &[
    "ApplicationName",
    "connectTimeout",
    "defaultRowFetchSize",
    "loginTimeout",
    "prepareThreshold",
    "readOnly",
    "reWriteBatchedInserts",
    "socketTimeout",
    "stringtype",
    "tcpKeepAlive",
];

/// What a URL says.
#[derive(Clone, Debug)]
pub struct Address {
    /// Names and ports, tried in this order.
    pub hosts: Vec<(String, u16)>,
    /// The database.
    pub database: String,
    /// `currentSchema`
    pub schema: Option<String>,
    /// `user` and `password`, if the URL has them.
    pub login: Option<(String, Secret)>,
    /// `sslmode` and the files with it.
    pub ssl: Ssl,
}

/// How connections are encrypted, as written: the files are read at each connect.
#[derive(Clone, Debug)]
pub struct Ssl {
    mode: SslMode,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Default for Ssl {
    /// The driver's own: encrypted where the server can.
    fn default() -> Self {
        Self { mode: SslMode::Prefer, root: None, certificate: None, key: None }
    }
}

impl Ssl {
    /// Reads the files.
    pub fn open(&self) -> Result<PostgresTls> {
        let files = self.certificate.clone().zip(self.key.clone());
        let identity = files.map(|(certificate, key)| Identity { certificate, key });
        PostgresTls::new(self.mode, self.root.clone(), identity.as_ref())
    }
}

impl Address {
    /// Without passwords, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("postgresql://{}/{}", hosts.join(","), self.database)
    }
}

/// Reads a URL.
pub(super) fn read(url: &Given) -> SqlResult<Address> {
    let rest = url.value.strip_prefix("jdbc:postgresql:").ok_or_else(|| {
        let message = format!(
            "Could not find any jdbc factory that can handle url '{}' that implements \
             'org.apache.flink.connector.jdbc.core.database.JdbcFactory' in the classpath.",
            url.value
        );
        SqlDiagnostic::new(url.span, message).with_hint("Write 'jdbc:postgresql://host:port/database'.")
    })?;
    let bad = || {
        SqlDiagnostic::new(url.span, "The 'url' cannot be read")
            .with_hint("Write 'jdbc:postgresql://host:port/database'.")
    };
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = match place.strip_prefix("//") {
        Some(place) => place.split_once('/').ok_or_else(bad)?,
        None => ("localhost", place),
    };
    if database.is_empty() {
        return Err(bad());
    }
    let hosts: Option<Vec<(String, u16)>> = hosts.split(',').map(host).collect();
    let mut address = Address {
        hosts: hosts.ok_or_else(bad)?,
        database: decoded(database).ok_or_else(bad)?,
        schema: None,
        login: None,
        ssl: Ssl::default(),
    };
    let (mut user, mut password) = (None, None);
    for pair in parameters.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(bad)?;
        match name {
            "user" => user = Some(value),
            "password" => password = Some(value),
            "currentSchema" => address.schema = Some(value),
            "sslmode" => {
                address.ssl.mode = value.parse().map_err(|()| {
                    SqlDiagnostic::new(url.span, format!("parameter 'sslmode' of the 'url' cannot be '{value}'"))
                        .with_hint("Use one of disable, allow, prefer, require, verify-ca, verify-full.")
                })?;
            }
            // The driver's short form.
            "ssl" if value == "false" => {}
            "ssl" if ["true", ""].contains(&value.as_str()) => address.ssl.mode = SslMode::VerifyFull,
            "sslrootcert" => address.ssl.root = Some(value.into()),
            "sslcert" => address.ssl.certificate = Some(value.into()),
            "sslkey" => address.ssl.key = Some(value.into()),
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ => {
                let message = format!("parameter '{name}' of the 'url' is not supported");
                let hint = format!(
                    "Remove it. Known are user, password, currentSchema, sslmode, sslrootcert, sslcert, sslkey, {}.",
                    WITHOUT_EFFECT.join(", ")
                );
                return Err(SqlDiagnostic::new(url.span, message).with_hint(hint));
            }
        }
    }
    if address.ssl.certificate.is_some() != address.ssl.key.is_some() {
        let message = "parameters 'sslcert' and 'sslkey' of the 'url' belong together";
        return Err(SqlDiagnostic::new(url.span, message).with_hint("Give both, or none."));
    }
    address.login = user.map(|user| (user, Secret::new(password.unwrap_or_default())));
    Ok(address)
}

/// `username` and `password`: both or none.
pub(super) fn login(options: &mut Options<'_>) -> SqlResult<Option<(String, Secret)>> {
    match (options.take("username"), options.take("password")) {
        (Some(user), Some(password)) => Ok(Some((user.value, Secret::new(password.value)))),
        (None, None) => Ok(None),
        (Some(one), None) | (None, Some(one)) => {
            let message = "Either all or none of the following options should be provided:\nusername\npassword";
            Err(SqlDiagnostic::new(one.span, message).with_hint("Give both, or none."))
        }
    }
}

fn host(text: &str) -> Option<(String, u16)> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()?),
        _ => (text, DEFAULT_PORT),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    Some((if name.is_empty() { "localhost" } else { name }.to_owned(), port))
}

/// Percent-encoding undone.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sqlparser::tokenizer::Span;

    use super::*;

    fn of(url: &str) -> SqlResult<Address> {
        read(&Given { key: "url".to_owned(), value: url.to_owned(), span: Span::empty() })
    }

    #[test]
    fn hosts_ports_database_and_parameters_are_read() {
        let address =
            of("jdbc:postgresql://a:5433,[::1]/my%20db?user=u&password=p%26q&currentSchema=s&sslmode=prefer").unwrap();
        assert_eq!(address.hosts, [("a".to_owned(), 5433), ("::1".to_owned(), 5432)]);
        assert_eq!((address.database.as_str(), address.schema.as_deref()), ("my db", Some("s")));
        let (user, password) = address.login.clone().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("u", "p&q"));
        assert!(!format!("{} {address:?}", address.shown()).contains("p&q"));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for url in [
            "jdbc:mysql://a/b",
            "jdbc:postgresql://a",
            "jdbc:postgresql://a/b?sslmode=required",
            "jdbc:postgresql://a/b?sslcert=c",
            "jdbc:postgresql://a:x/b",
        ] {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
