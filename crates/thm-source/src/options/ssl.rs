//! `database.ssl*`: how connections to PostgreSQL are encrypted.

use std::path::PathBuf;

use thm_api::{ConfigIssue, ConnectorConfig, Error, ErrorKind, Result};
use thm_tls::{Identity, PostgresTls, SslMode};

const DEFAULT_MODE: &str = "prefer";
const PASSWORD: &str = "database.sslpassword";

/// As written; the files are read at each connect, so that a renewed certificate counts.
#[derive(Clone, Debug)]
pub struct SslOptions {
    mode: SslMode,
    root: Option<PathBuf>,
    identity: Option<Identity>,
}

impl SslOptions {
    /// Names the option that is wrong.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        if let Some(issue) = issues(config).into_iter().next() {
            return Err(invalid(&issue.option, issue.message));
        }
        let path = |option: &str| given(config, option).map(PathBuf::from);
        let mode = config.text("database.sslmode", DEFAULT_MODE).parse();
        let mode = mode.map_err(|()| invalid("database.sslmode", "See its allowed values."))?;
        let files = path("database.sslcert").zip(path("database.sslkey"));
        let identity = files.map(|(certificate, key)| Identity { certificate, key });
        Ok(Self { mode, root: path("database.sslrootcert"), identity })
    }

    /// Reads the files.
    pub fn open(&self) -> Result<PostgresTls> {
        PostgresTls::new(self.mode, self.root.clone(), self.identity.as_ref())
    }
}

/// What belongs together and is not given together, and what we lack.
pub(super) fn issues(config: &ConnectorConfig) -> Vec<ConfigIssue> {
    let given = |option: &str| given(config, option).is_some();
    let mut issues = Vec::new();
    for (one, other) in [("database.sslcert", "database.sslkey"), ("database.sslkey", "database.sslcert")] {
        if given(one) && !given(other) {
            let message = format!("The '{other}' value is invalid: it is required with {one}");
            issues.push(ConfigIssue::error(other, message));
        }
    }
    if given(PASSWORD) {
        let message = "The 'database.sslpassword' value is invalid: keys with a password are not supported, write the key \
                       without (openssl pkey -in FILE -out FILE) and leave this out";
        issues.push(ConfigIssue::error(PASSWORD, message));
    }
    issues
}

/// An option's value; an empty one is none.
fn given<'a>(config: &'a ConnectorConfig, option: &str) -> Option<&'a str> {
    config.get(option).filter(|value| !value.is_empty())
}

fn invalid(option: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)]) -> Vec<String> {
        let pairs = pairs.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned()));
        issues(&ConnectorConfig::new(pairs.collect())).into_iter().map(|issue| issue.option).collect()
    }

    #[test]
    fn an_empty_file_name_is_none() {
        let options = ["database.sslrootcert", "database.sslcert", "database.sslkey"];
        let pairs = options.map(|option| (option.to_owned(), String::new()));
        let parsed = SslOptions::parse(&ConnectorConfig::new(pairs.into())).map(|ssl| (ssl.root, ssl.identity));
        assert!(matches!(parsed, Ok((None, None))), "{parsed:?}");
    }

    #[test]
    fn half_an_identity_and_locked_keys_are_refused() {
        assert!(found(&[("database.sslcert", "a"), ("database.sslkey", "b")]).is_empty());
        assert_eq!(found(&[("database.sslcert", "a")]), ["database.sslkey"]);
        assert_eq!(found(&[("database.sslkey", "a")]), ["database.sslcert"]);
        assert_eq!(found(&[("database.sslpassword", "a")]), [PASSWORD]);
    }
}
