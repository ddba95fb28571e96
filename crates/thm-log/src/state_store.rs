//! `FileStateStore`: one file per key, replaced by rename.
//!
//! ```text
//!  state/ source/ pg.engagement.source/ snapshot~      key source/pg.engagement.source/snapshot
//! ```
//!
//! The mark behind a file's name cannot occur in an escaped part, so a key may be the folder of another one.

use std::path::PathBuf;
use std::sync::Arc;

use thm_api::{Error, ErrorKind, Result, StateStore};

use crate::storage::{RealStorage, Storage, parent};

/// Ends the name of a file that holds a value. No escaped part has it.
const VALUE_MARK: char = '~';

/// Small durable values in a folder of their own.
#[derive(Clone, Debug)]
pub struct FileStateStore {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
}

impl FileStateStore {
    /// Opens the folder, made if it is not there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::on(Arc::new(RealStorage), dir)
    }

    /// The same on a file layer of the caller's.
    pub fn on(storage: Arc<dyn Storage>, dir: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { dir: dir.into(), storage };
        store
            .make_dir(&store.dir)
            .map_err(|error| failed("opening the state store", &store.dir.to_string_lossy(), error))?;
        Ok(store)
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        if key.split('/').any(str::is_empty) {
            return Err(Error::new(ErrorKind::Internal, "naming a state value", key).with_source("a part is empty"));
        }
        let mut path = self.dir.clone();
        let mut parts = key.split('/').peekable();
        while let Some(part) = parts.next() {
            let mut name = escape(part);
            if parts.peek().is_none() {
                name.push(VALUE_MARK);
            }
            path.push(name);
        }
        Ok(path)
    }

    /// Makes the folder, and every new folder's entry in the one above durable.
    fn make_dir(&self, dir: &std::path::Path) -> std::io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let above = parent(dir);
        if above != dir && !above.as_os_str().is_empty() {
            self.make_dir(&above)?;
        }
        self.storage.create_dir(dir)?;
        let above = if above.as_os_str().is_empty() { PathBuf::from(".") } else { above };
        self.storage.sync_dir(&above)
    }

    fn collect(&self, dir: &std::path::Path, key: &str, keys: &mut Vec<String>) -> std::io::Result<()> {
        for name in self.storage.list(dir)? {
            let part = |text: &str| if key.is_empty() { unescape(text) } else { format!("{key}/{}", unescape(text)) };
            match name.strip_suffix(VALUE_MARK) {
                Some(stem) => keys.push(part(stem)),
                None if name.starts_with(VALUE_MARK) => {}
                None => self.collect(&dir.join(&name), &part(&name), keys)?,
            }
        }
        Ok(())
    }
}

impl StateStore for FileStateStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(&self.path(key)?).map_err(|error| failed("reading a state value", key, error))
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        let path = self.path(key)?;
        self.make_dir(&parent(&path))
            .and_then(|()| self.storage.write_atomic(&path, value))
            .map_err(|error| failed("writing a state value", key, error))
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        let dir = parent(&path);
        let removed = if dir.is_dir() {
            self.storage.remove_file(&path).and_then(|()| self.storage.sync_dir(&dir))
        } else {
            Ok(())
        };
        removed.map_err(|error| failed("removing a state value", key, error))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        self.collect(&self.dir, "", &mut keys).map_err(|error| failed("listing state values", prefix, error))?;
        keys.retain(|key| key.starts_with(prefix));
        keys.sort_unstable();
        Ok(keys)
    }
}

fn failed(doing: &'static str, object: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::LogIo, doing, object).with_source(error)
}

/// `[A-Za-z0-9._-]` stay, other bytes become `%XX`; a part of dots only would be a way out of the folder.
fn escape(part: &str) -> String {
    let only_dots = part.bytes().all(|byte| byte == b'.');
    let mut name = String::with_capacity(part.len() + 1);
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (byte == b'.' && !only_dots) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

fn unescape(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = name.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_survive_and_keys_list_by_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStateStore::open(dir.path().join("a/b")).unwrap();
        assert_eq!(store.get("source/x/snapshot").unwrap(), None);
        store.put("source/x/snapshot", b"one").unwrap();
        store.put("source/x/snapshot", b"two").unwrap();
        store.put("source/x", b"the folder of another key").unwrap();
        store.put("source/y z%/..", b"odd").unwrap();
        let store = FileStateStore::open(dir.path().join("a/b")).unwrap();
        assert_eq!(store.get("source/x/snapshot").unwrap().unwrap(), b"two");
        assert_eq!(store.get("source/y z%/..").unwrap().unwrap(), b"odd");
        assert_eq!(store.list("source/").unwrap(), ["source/x", "source/x/snapshot", "source/y z%/.."]);
        assert_eq!(store.list("source/x/").unwrap(), ["source/x/snapshot"]);
        store.delete("source/x").unwrap();
        store.delete("nowhere/at/all").unwrap();
        assert_eq!(store.list("source/x").unwrap(), ["source/x/snapshot"]);
        assert!(store.put("a//b", b"").is_err());
    }

    #[test]
    fn a_write_that_did_not_finish_is_not_a_value() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStateStore::open(dir.path()).unwrap();
        store.put("job/main", b"checkpoint").unwrap();
        std::fs::write(dir.path().join("job").join(format!("{}1-1", crate::storage::TEMPORARY_PREFIX)), b"half")
            .unwrap();
        assert_eq!(store.list("").unwrap(), ["job/main"]);
    }
}
