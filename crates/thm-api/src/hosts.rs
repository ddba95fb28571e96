//! `Hosts`: the `[hosts]` table, so that a file that says `postgres:5432` runs unchanged anywhere.

use std::collections::BTreeMap;

/// Maps the names in users' files to addresses, for every connection we make.
///
/// A key is `name:port` or `name`, a value `host:port` or `host`; `name:port` wins. Names that are not in the
/// table stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    table: BTreeMap<String, String>,
}

impl Hosts {
    /// From the configuration's table.
    #[must_use]
    pub fn new(table: BTreeMap<String, String>) -> Self {
        Self { table }
    }

    /// Where to connect for `host` and `port`.
    #[must_use]
    pub fn resolve(&self, host: &str, port: u16) -> (String, u16) {
        let entry = self.table.get(&format!("{host}:{port}")).or_else(|| self.table.get(host));
        match entry {
            None => (host.to_owned(), port),
            Some(address) => match address.rsplit_once(':') {
                Some((name, digits)) if digits.parse::<u16>().is_ok() => {
                    (name.to_owned(), digits.parse().unwrap_or(port))
                }
                _ => (address.clone(), port),
            },
        }
    }

    /// The same for `host:port` inside a list such as `bootstrap.servers`; text without a port stays as it is.
    #[must_use]
    pub fn resolve_address(&self, address: &str) -> String {
        match address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => {
                let (host, port) = self.resolve(host, port);
                format!("{host}:{port}")
            }
            None => address.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_key_wins_and_unknown_names_stay() {
        let hosts = Hosts::new(BTreeMap::from([
            ("redpanda:9092".to_owned(), "127.0.0.1:19092".to_owned()),
            ("redpanda".to_owned(), "127.0.0.1".to_owned()),
        ]));
        assert_eq!(hosts.resolve("redpanda", 9092), ("127.0.0.1".to_owned(), 19092));
        assert_eq!(hosts.resolve("redpanda", 1), ("127.0.0.1".to_owned(), 1));
        assert_eq!(hosts.resolve_address("db.example.org:5432"), "db.example.org:5432");
    }
}
