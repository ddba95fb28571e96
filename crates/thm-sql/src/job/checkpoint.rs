//! Checkpoints: how far each input has been consumed, and the look-up tables as of there.
//!
//! ```text
//!   sql/<job>/lookup-<n>-<id>   rows of a look-up table, written only when they changed
//!   sql/<job>/checkpoint        offsets, and which of those belong to them: written last, in one piece
//! ```
//! Invariant: what a checkpoint covers is durable in the output, and the state it names is there before it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Position, Result, StateStore};
use uuid::Uuid;

use super::shape::TableShape;

/// Version of the stored form.
const VERSION: u32 = 1;

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub version: u32,
    /// Counts up.
    pub id: u64,
    pub plan: String,
    /// Counts the fresh starts by order: each writes as a producer of its own.
    #[serde(default)]
    pub generation: u32,
    /// What the sink's keys mean.
    pub key: String,
    pub inputs: Vec<InputState>,
    pub lookups: Vec<LookupState>,
}

/// One input partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InputState {
    pub topic: String,
    pub partition: u32,
    pub uuid: Uuid,
    /// Next offset to consume.
    pub offset: i64,
    /// Position of the last record before it.
    pub place: Position,
    /// Offset at which the input ends, as it was found at the first start.
    #[serde(default)]
    pub end: Option<i64>,
    /// Columns of the captured tables that have been seen.
    #[serde(default)]
    pub tables: Vec<TableShape>,
}

/// One look-up table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LookupState {
    /// What the table is made of.
    pub hash: String,
    /// Key of its rows in the store.
    pub state: Option<String>,
}

/// Checkpoints of one job.
pub(super) struct Store {
    state: Arc<dyn StateStore>,
    prefix: String,
}

impl Store {
    pub fn new(state: Arc<dyn StateStore>, job_id: &str) -> Self {
        Self { state, prefix: format!("sql/{job_id}") }
    }

    /// The last one.
    pub fn load(&self) -> Result<Option<Checkpoint>> {
        let key = format!("{}/checkpoint", self.prefix);
        let Some(bytes) = self.state.get(&key)? else { return Ok(None) };
        let bad = || Error::new(ErrorKind::DataFolder, "reading a checkpoint", key.clone());
        let stored: Checkpoint = serde_json::from_slice(&bytes).map_err(|error| bad().with_source(error))?;
        if stored.version == VERSION {
            Ok(Some(stored))
        } else {
            Err(bad().with_hint("It was written by another version; use that, or delete the job's state."))
        }
    }

    /// Rows of a look-up table.
    pub fn lookup(&self, key: &str) -> Result<Vec<u8>> {
        let found = self.state.get(key)?;
        found.ok_or_else(|| Error::new(ErrorKind::DataFolder, "reading a checkpoint", key.to_owned()))
    }

    /// Stores a checkpoint and the changed look-up tables that it names. Gives its size in bytes.
    pub fn save(&self, mut checkpoint: Checkpoint, changed: &[(usize, Vec<u8>)]) -> Result<(Checkpoint, usize)> {
        let mut bytes = 0;
        checkpoint.version = VERSION;
        for (index, rows) in changed {
            let key = format!("{}/lookup-{index}-{}", self.prefix, checkpoint.id);
            self.state.put(&key, rows)?;
            bytes += rows.len();
            checkpoint.lookups[*index].state = Some(key);
        }
        let bad =
            |error| Error::new(ErrorKind::Internal, "writing a checkpoint", self.prefix.clone()).with_source(error);
        let encoded = serde_json::to_vec(&checkpoint).map_err(bad)?;
        self.state.put(&format!("{}/checkpoint", self.prefix), &encoded)?;
        self.forget_old(&checkpoint)?;
        Ok((checkpoint, bytes + encoded.len()))
    }

    /// Removes rows that no checkpoint names any more.
    fn forget_old(&self, checkpoint: &Checkpoint) -> Result<()> {
        let kept: Vec<&String> = checkpoint.lookups.iter().filter_map(|lookup| lookup.state.as_ref()).collect();
        for key in self.state.list(&format!("{}/lookup-", self.prefix))? {
            if !kept.contains(&&key) {
                self.state.delete(&key)?;
            }
        }
        Ok(())
    }
}
