//! A `StateStore` for tests, of this crate and beside it: a map that nothing outlives.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use thm_api::{Result, StateStore};

/// Keys and values in memory.
#[derive(Debug, Default)]
pub struct MemoryState(pub Mutex<BTreeMap<String, Vec<u8>>>);

impl StateStore for MemoryState {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.lock().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.0.lock().remove(key);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.0.lock().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}
