//! `SourceTask`: change events in commit order, and the acknowledgement that lets the database forget them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{LogBatch, Position, Progress, Result, TopicPartition, TopicSpec};

/// Durable progress of this task's producer, by partition.
pub type PartitionProgress = HashMap<TopicPartition, Progress>;

/// Records for one partition.
#[derive(Clone, Debug)]
pub struct SourceAppend {
    /// Where to; the worker creates the topic if it is not there.
    pub topic: Arc<TopicSpec>,
    /// Which partition.
    pub partition: u32,
    /// The records, in commit order.
    pub batch: LogBatch,
    /// How far this brings the partition.
    pub progress: Progress,
}

/// What one poll gave. Appended in the order given.
#[derive(Clone, Debug, Default)]
pub struct SourceBatch {
    /// Records by partition; may be empty.
    pub appends: Vec<SourceAppend>,
    /// Once everything so far is durable: all rows up to here have been given. The worker then publishes it and
    /// calls [`SourceTask::acknowledge`]. Wherever a batch ends, also inside a transaction and in idle times.
    pub complete: Option<Position>,
    /// Topics, if any, whose snapshot is not finished and that must stay out of the published statement.
    pub incomplete: Vec<String>,
    /// Rows of earlier records that are gone or other ones without a change that says so. Dealt with after `appends` and
    /// before `complete`.
    pub superseded: Vec<Superseded>,
}

/// What a topic held no longer is what the table holds. The worker finds the keys in the topic and appends a delete for
/// each that is gone, and an update for each whose row is another one now.
#[derive(Clone, Debug)]
pub struct Superseded {
    /// The topic.
    pub topic: Arc<TopicSpec>,
    /// Where the deletes stand in commit order.
    pub position: Position,
    /// What replaced the rows.
    pub by: Supersession,
    /// JSON of the `source` field of the records written for it.
    pub source_json: Vec<u8>,
    /// A delete is followed by a tombstone.
    pub tombstones: bool,
    /// Where keys go that memory has no room for.
    pub spool: PathBuf,
}

/// What replaced a topic's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supersession {
    /// A whole snapshot since the task's start: what was there before and is not in it is gone.
    Snapshot,
    /// A TRUNCATE: everything before it is gone. The batch ends where it stands.
    Truncate,
}

impl SourceBatch {
    /// Whether there is nothing to do for it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.complete.is_none() && self.superseded.is_empty()
    }
}

/// One connection to a database's changes.
///
/// A task makes one attempt at a thing and classifies the failure; the worker owns retry (it drops the task and
/// makes a new one) and back-off.
#[async_trait]
pub trait SourceTask: Send {
    /// Connects and finds where to go on. `progress` is what is durable, by partition: rows at or below the
    /// progress of their own partition are never given again. Topics it was told of before and that are gone are
    /// named by the worker, which stops.
    async fn start(&mut self, progress: PartitionProgress) -> Result<()>;

    /// The next change events, waiting for some at most about a second. `Ok` promises whole events in commit
    /// order, none left out. Cancel-safe: what was read but not given comes with the next poll.
    async fn poll(&mut self) -> Result<SourceBatch>;

    /// Everything up to `position` is durable, so the database may forget the transactions that end there or before.
    /// The task tells it soon; `Ok` does not promise that it has.
    async fn acknowledge(&mut self, position: Position) -> Result<()>;

    /// Tells the last acknowledged position and disconnects.
    async fn stop(&mut self) -> Result<()>;
}
