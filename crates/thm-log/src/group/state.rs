//! What is stored of groups, and the only function that changes it.
//!
//! A [`Change`] is planned against the stored group into [`Record`]s; a record is applied when it is written
//! and again when the journal is replayed, so both give the same state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Generation, GroupOffsets, Offset, Result, TopicPartition};

/// Most groups that are kept. A group costs about 200 bytes; a client that makes up names must not fill memory.
pub const DEFAULT_MAX_GROUPS: usize = 10_000;

/// Longest note a client may keep beside an offset, in bytes, as `offset.metadata.max.bytes`.
pub const DEFAULT_MAX_METADATA_BYTES: usize = 4096;

/// A committed offset and the client's note beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Next offset to read.
    pub offset: Offset,
    /// What the client wrote beside it; most write nothing.
    pub metadata: String,
}

impl From<Offset> for Committed {
    fn from(offset: Offset) -> Self {
        Self { offset, metadata: String::new() }
    }
}

/// A partition and what was committed for it.
pub type CommittedAt = (TopicPartition, Committed);

/// One group as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredGroup {
    /// Which life of the group this is.
    pub generation: Generation,
    /// Whether a connector uses it: only then does its generation outlive a delete, for a target may hold it.
    pub connector: bool,
    /// False for a deleted group of which the generation alone is kept.
    pub exists: bool,
    /// Time of the last change, milliseconds since 1970.
    pub touched_ms: u64,
    /// Committed offsets.
    pub offsets: BTreeMap<TopicPartition, Committed>,
}

impl StoredGroup {
    /// Offsets without the notes.
    #[must_use]
    pub fn offsets(&self) -> GroupOffsets {
        let offsets = self.offsets.iter().map(|(partition, committed)| (partition.clone(), committed.offset));
        GroupOffsets { generation: self.generation, offsets: offsets.collect() }
    }
}

/// Stored groups by name.
pub type Groups = HashMap<Arc<str>, Arc<StoredGroup>>;

/// One change of one group (or of a topic in all groups).
#[derive(Clone, Debug)]
pub enum Change {
    /// A connector's commit under the generation it has read.
    ConnectorCommit { group: Arc<str>, generation: Generation, offsets: Vec<CommittedAt> },
    /// A commit of a Kafka client. `admin` is one to an empty group, from nobody's member: for a connector's
    /// group that is how `kafka-consumer-groups --reset-offsets` works, so it starts a new life.
    ClientCommit { group: Arc<str>, admin: bool, offsets: Vec<CommittedAt> },
    /// A connector starts to use the group.
    Adopt { group: Arc<str> },
    /// New life with these offsets.
    Reset { group: Arc<str>, to: Vec<CommittedAt> },
    /// The group goes; a connector's generation stays, raised.
    Delete { group: Arc<str> },
    /// Some offsets go; for a connector's group that is a new life.
    DeleteOffsets { group: Arc<str>, partitions: Vec<TopicPartition> },
    /// A topic was deleted: no group keeps offsets of it.
    ForgetTopic { topic: Arc<str> },
}

/// What the journal holds of a change: the group's scalars as they are now, and which offsets moved.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Record {
    /// Group name.
    #[serde(rename = "g")]
    pub group: Arc<str>,
    /// Generation after the change.
    #[serde(rename = "n")]
    pub generation: Generation,
    /// [`StoredGroup::connector`] after the change.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub connector: bool,
    /// [`StoredGroup::exists`] is false after the change.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// [`StoredGroup::touched_ms`].
    #[serde(rename = "t")]
    pub touched_ms: u64,
    /// Whether all offsets go before `set`.
    #[serde(rename = "clear", default, skip_serializing_if = "std::ops::Not::not")]
    pub clear: bool,
    /// Topic, partition, offset, note.
    #[serde(rename = "set", default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(Arc<str>, u32, Offset, String)>,
    /// Topic, partition.
    #[serde(rename = "del", default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<(Arc<str>, u32)>,
}

impl Record {
    fn keep(group: &Arc<str>, stored: &StoredGroup, now_ms: u64) -> Self {
        Self {
            group: Arc::clone(group),
            generation: stored.generation,
            connector: stored.connector,
            deleted: false,
            touched_ms: now_ms,
            clear: false,
            set: Vec::new(),
            forget: Vec::new(),
        }
    }

    fn next_life(mut self) -> Self {
        self.generation = Generation(self.generation.0 + 1);
        self
    }

    fn setting(mut self, offsets: &[CommittedAt]) -> Self {
        let entry = |(at, to): &CommittedAt| (Arc::clone(&at.topic), at.partition, to.offset, to.metadata.clone());
        self.set = offsets.iter().map(entry).collect();
        self
    }

    fn forgetting<'a>(mut self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Self {
        self.forget = partitions.map(|at| (Arc::clone(&at.topic), at.partition)).collect();
        self
    }

    /// The whole group as one record, for compaction.
    #[must_use]
    pub fn whole(group: &Arc<str>, stored: &StoredGroup) -> Self {
        let offsets: Vec<_> = stored.offsets.iter().map(|(at, to)| (at.clone(), to.clone())).collect();
        let mut record = Self::keep(group, stored, stored.touched_ms).setting(&offsets);
        record.deleted = !stored.exists;
        record.clear = true;
        record
    }
}

/// Applies a record, from the writer or from the journal.
pub fn apply(groups: &mut Groups, record: &Record) {
    if record.deleted && !record.connector {
        groups.remove(&record.group);
        return;
    }
    let stored = Arc::make_mut(groups.entry(Arc::clone(&record.group)).or_default());
    stored.generation = record.generation;
    stored.connector = record.connector;
    stored.exists = !record.deleted;
    stored.touched_ms = record.touched_ms;
    if record.clear {
        stored.offsets.clear();
    }
    for (topic, partition, offset, metadata) in &record.set {
        let at = TopicPartition { topic: Arc::clone(topic), partition: *partition };
        stored.offsets.insert(at, Committed { offset: *offset, metadata: metadata.clone() });
    }
    for (topic, partition) in &record.forget {
        stored.offsets.remove(&TopicPartition { topic: Arc::clone(topic), partition: *partition });
    }
}

/// Turns a change into the records it means, or says why it is refused. Changes nothing.
pub fn plan(groups: &Groups, change: &Change, now_ms: u64) -> Result<Vec<Record>> {
    let unknown = StoredGroup::default();
    let stored = |group: &Arc<str>| groups.get(group).map_or(&unknown, Arc::as_ref);
    let keep = |group: &Arc<str>| Record::keep(group, stored(group), now_ms);
    let record = match change {
        Change::ConnectorCommit { group, generation, offsets } => {
            if *generation != stored(group).generation {
                return Err(stale(group, *generation, stored(group).generation));
            }
            Record { connector: true, ..keep(group).setting(offsets) }
        }
        Change::ClientCommit { group, admin, offsets } => {
            check_room(groups, group)?;
            let moved = || offsets.iter().any(|(at, to)| stored(group).offsets.get(at) != Some(to));
            let record = keep(group).setting(offsets);
            if *admin && stored(group).connector && moved() { record.next_life() } else { record }
        }
        Change::Adopt { group } if stored(group).connector => return Ok(Vec::new()),
        Change::Adopt { group } => Record { connector: true, deleted: !stored(group).exists, ..keep(group) },
        Change::Reset { group, to } => Record { connector: true, clear: true, ..keep(group).setting(to).next_life() },
        Change::Delete { group } => Record { deleted: true, clear: true, ..keep(group).next_life() },
        Change::DeleteOffsets { group, partitions } => {
            let held: Vec<_> = partitions.iter().filter(|at| stored(group).offsets.contains_key(at)).collect();
            if held.is_empty() {
                return Ok(Vec::new());
            }
            let record = keep(group).forgetting(held.into_iter());
            if record.connector { record.next_life() } else { record }
        }
        Change::ForgetTopic { topic } => return Ok(forget_topic(groups, topic, now_ms)),
    };
    Ok(vec![record])
}

fn forget_topic(groups: &Groups, topic: &Arc<str>, now_ms: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for (group, stored) in groups {
        let gone: Vec<_> = stored.offsets.keys().filter(|at| at.topic == *topic).collect();
        if !gone.is_empty() {
            records.push(Record::keep(group, stored, now_ms).forgetting(gone.into_iter()));
        }
    }
    records
}

fn check_room(groups: &Groups, group: &Arc<str>) -> Result<()> {
    if groups.len() < DEFAULT_MAX_GROUPS || groups.contains_key(group) {
        return Ok(());
    }
    let hint = format!("Delete groups that nobody uses; at most {DEFAULT_MAX_GROUPS} are kept.");
    Err(Error::new(ErrorKind::InvalidRecord, "storing offsets of one more consumer group", &**group).with_hint(hint))
}

fn stale(group: &str, used: Generation, current: Generation) -> Error {
    Error::new(ErrorKind::StaleGeneration, "committing offsets", group).with_hint(format!(
        "The group was reset: it is in generation {}, the commit came under {}. Restart the connector.",
        current.0, used.0
    ))
}
