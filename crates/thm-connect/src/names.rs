//! Keys in the `StateStore` for connectors, whose names may hold anything.
//!
//! A name goes in; out comes a key made of `[A-Za-z0-9._-]` parts. Two names never share a key, and a name made of
//! those characters alone stands in its key as it is, so that a person finds it in the folder.
//!
//! ```text
//!   connect/<name>                    what REST stored: configuration and target state
//!   worker/<name>/<kind>-topics       topics the connector was told of, with their uuid
//!   worker/<name>/ranges/<topic>-<n>  frozen ranges of a partition
//!   worker/<name>/transformed        how far a source is whose transforms drop all it gives
//!   connector/<name>/…                the connector's own facts
//! ```

use std::sync::Arc;

use thm_api::{ConnectorKind, Result, StateStore, TopicPartition};

/// Longest name, in bytes, that stands in a key as it is: file systems take parts of 255.
const PLAIN_NAME_BYTES: usize = 120;
/// Marks a name that is written in hexadecimal.
const HEX_MARK: &str = "_hex.";
/// Longest part of a name in hexadecimal, in bytes.
const HEX_PART_BYTES: usize = 200;

/// The name as part of a key.
pub(crate) fn key_part(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = !name.is_empty() && name.len() <= PLAIN_NAME_BYTES && !name.starts_with(['.', '_']);
    if fits && name.chars().all(plain) {
        return name.to_owned();
    }
    let mut key = String::with_capacity(HEX_MARK.len() + name.len() * 2 + 2);
    key.push_str(HEX_MARK);
    for (index, byte) in name.bytes().enumerate() {
        if index > 0 && index % (HEX_PART_BYTES / 2) == 0 {
            key.push('/');
        }
        for half in [byte >> 4, byte & 15] {
            key.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    key
}

/// Where REST's record of a connector stands.
pub(crate) fn connector_key(name: &str) -> String {
    // The end mark keeps a long name's parts from being a folder of one key and a file of another.
    format!("{CONNECTORS}{}/connector", key_part(name))
}

/// Prefix of all keys of [`connector_key`].
pub(crate) const CONNECTORS: &str = "connect/";

/// Where the worker keeps which topics a connector of a kind was told of.
pub(crate) fn topics_key(name: &str, kind: ConnectorKind) -> String {
    format!("worker/{}/{}-topics", key_part(name), kind.as_str())
}

/// Where the worker keeps how far a source is while no topic of its could say so.
pub(crate) fn transformed_key(name: &str) -> String {
    format!("worker/{}/transformed", key_part(name))
}

/// What the source's transforms made each topic of.
pub(crate) fn lineage_key(connector: &str) -> String {
    format!("{}/lineage", transformed_key(connector))
}

/// Where the worker keeps the frozen ranges of a partition.
pub(crate) fn ranges_key(name: &str, partition: &TopicPartition) -> String {
    format!("worker/{}/ranges/{partition}", key_part(name))
}

/// A store whose keys all begin with a connector's own prefix.
pub(crate) struct ConnectorState {
    store: Arc<dyn StateStore>,
    prefix: String,
}

impl ConnectorState {
    /// The part of `store` that belongs to the connector `name`.
    pub(crate) fn new(store: Arc<dyn StateStore>, name: &str) -> Self {
        Self { store, prefix: format!("connector/{}/", key_part(name)) }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl StateStore for ConnectorState {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.store.get(&self.key(key))
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        self.store.put(&self.key(key), value)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(&self.key(key))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let keys = self.store.list(&self.key(prefix))?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(&self.prefix)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_others_never_collide() {
        assert_eq!(key_part("pg.engagement.source"), "pg.engagement.source");
        assert_eq!(key_part("clickhouse_sink-1"), "clickhouse_sink-1");
        assert_eq!(key_part("a b"), "_hex.612062");
        assert_ne!(key_part("_hex.612062"), key_part("a b"));
        assert_eq!(key_part(".."), "_hex.2e2e");
        let long = key_part(&"x".repeat(300));
        assert!(long.split('/').all(|part| part.len() <= 255));
    }
}
