//! Checkpoints: how far each input has been consumed, and the look-up tables as of there.
//!
//! ```text
//!   sql/<job>/lookup-<n>-<id>   rows of a look-up table, written only when they changed
//!   sql/<job>/rows-<n>-<id>     rows that an input remembers, likewise
//!   sql/<job>/checkpoint        offsets, and which of those belong to them: written last, in one piece
//! ```
//! Invariant: what a checkpoint covers is durable in the output, and the state it names is there before it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Position, Result, StateStore, TopicPartition};
use uuid::Uuid;

use super::input::Role;
use super::shape::TableShape;

/// Version of the stored form.
const VERSION: u32 = 1;

/// What is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Patterns of topics that have been looked for: what they find from now on is new, and read from its start.
    #[serde(default)]
    pub patterns: Vec<String>,
    pub lookups: Vec<LookupState>,
}

impl Checkpoint {
    /// What is stored of a partition for a look-up.
    pub fn lookup_input(&self, partition: &TopicPartition, index: usize) -> Option<&InputState> {
        let same = |state: &&InputState| {
            state.role.is_none_or(|known| known == Role::Lookup(index))
                && *state.topic == *partition.topic
                && state.partition == partition.partition
        };
        self.inputs.iter().find(same)
    }
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
    /// What it is for; none in a checkpoint of before this was kept.
    #[serde(default)]
    pub role: Option<Role>,
    /// Its rank among the inputs.
    #[serde(default)]
    pub rank: Option<u32>,
    /// Form of the branch that it is for.
    #[serde(default)]
    pub form: Option<String>,
    /// Its name among the producers of the job.
    #[serde(default)]
    pub producer: Option<String>,
    /// Key in the store of the rows that it remembers.
    #[serde(default)]
    pub rows: Option<String>,
}

impl InputState {
    /// A partition that has been read up to an offset, of which nothing else is known.
    pub fn of(partition: &TopicPartition, offset: i64) -> Self {
        Self {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            uuid: Uuid::nil(),
            offset,
            place: Position::default(),
            end: None,
            tables: Vec::new(),
            role: None,
            rank: None,
            form: None,
            producer: None,
            rows: None,
        }
    }
}

/// One look-up table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LookupState {
    /// What the table is made of.
    pub hash: String,
    /// Key of its rows in the store.
    pub state: Option<String>,
}

/// Rows that are other than in the last checkpoint.
#[derive(Default)]
pub(super) struct Changed {
    /// Look-up tables, by index.
    pub lookups: Vec<(usize, Vec<u8>)>,
    /// What inputs remember, by index.
    pub inputs: Vec<(usize, Vec<u8>)>,
}

impl Changed {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty() && self.inputs.is_empty()
    }
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

    /// Rows of a look-up table, or of an input.
    pub fn rows(&self, key: &str) -> Result<Vec<u8>> {
        let found = self.state.get(key)?;
        found.ok_or_else(|| Error::new(ErrorKind::DataFolder, "reading a checkpoint", key.to_owned()))
    }

    /// Stores a checkpoint and the changed rows that it names. Gives its size in bytes.
    pub fn save(&self, mut checkpoint: Checkpoint, changed: &Changed) -> Result<(Checkpoint, usize)> {
        let mut bytes = 0;
        checkpoint.version = VERSION;
        let mut put = |what: &str, index: usize, rows: &[u8]| {
            let key = format!("{}/{what}-{index}-{}", self.prefix, checkpoint.id);
            bytes += rows.len();
            self.state.put(&key, rows).map(|()| Some(key))
        };
        for (index, rows) in &changed.lookups {
            checkpoint.lookups[*index].state = put("lookup", *index, rows)?;
        }
        for (index, rows) in &changed.inputs {
            checkpoint.inputs[*index].rows = put("rows", *index, rows)?;
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
        let lookups = checkpoint.lookups.iter().filter_map(|lookup| lookup.state.as_ref());
        let kept: Vec<&String> =
            lookups.chain(checkpoint.inputs.iter().filter_map(|input| input.rows.as_ref())).collect();
        for what in ["lookup", "rows"] {
            for key in self.state.list(&format!("{}/{what}-", self.prefix))? {
                if !kept.contains(&&key) {
                    self.state.delete(&key)?;
                }
            }
        }
        Ok(())
    }
}
