//! Retention: which closed segments go, and what holds them back.
//!
//! ```text
//!   by age ──┐
//!   by size ─┼─▶ oldest closed segments, up to the first one that a registered cursor still needs
//!   by total ┘
//!   beyond max_bytes: oldest closed segments, needed or not; their readers get the lost range by name
//! ```
//!
//! Compacted topics are never cut by age or size. The active segment never goes; one that has grown too old
//! without filling up is closed first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use thm_api::{Cleanup, Offset, TopicPartition, TopicSpec};

use crate::partition::Partition;
use crate::segment::index::Summary;

/// Cursors that retention must not pass, by partition and name.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    cursors: Mutex<HashMap<TopicPartition, HashMap<String, Offset>>>,
}

impl Holds {
    /// Sets a cursor: it still needs everything from `offset` on.
    pub(crate) fn hold(&self, name: &str, partition: &TopicPartition, offset: Offset) {
        self.cursors.lock().entry(partition.clone()).or_default().insert(name.to_owned(), offset);
    }

    /// Forgets all cursors of that name.
    pub(crate) fn release(&self, name: &str) {
        let mut cursors = self.cursors.lock();
        cursors.retain(|_, named| {
            named.remove(name);
            !named.is_empty()
        });
    }

    fn lowest(&self, partition: &TopicPartition) -> Option<Offset> {
        self.cursors.lock().get(partition).and_then(|named| named.values().min().copied())
    }
}

/// Limits of the log as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Age of a segment, for topics that have no own; 0 keeps for ever.
    pub retention_ms: u64,
    /// Size of all; 0 for no limit.
    pub retention_bytes: u64,
    /// Size of all above which cursors do not count; 0 for no limit.
    pub max_bytes: u64,
}

/// One partition as the policy sees it.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The partition.
    pub partition: Arc<Partition>,
    /// What its topic asks for.
    pub spec: TopicSpec,
    /// Closed segments, oldest first.
    closed: Vec<Summary>,
    active_bytes: u64,
    held_from: Option<Offset>,
    /// How many of the oldest go.
    pub remove: usize,
}

impl Candidate {
    /// Looks at a partition.
    pub(crate) fn new(partition: Arc<Partition>, spec: TopicSpec, holds: &Holds) -> Self {
        let (closed, active) = partition.summaries();
        let held_from = holds.lowest(&partition.id);
        Self { partition, spec, closed, active_bytes: active.map_or(0, |active| active.bytes), held_from, remove: 0 }
    }

    fn bytes(&self) -> u64 {
        self.closed[self.remove..].iter().map(|segment| segment.bytes).sum::<u64>() + self.active_bytes
    }

    /// The oldest segment still there, if it may go.
    fn oldest(&self, heed_cursors: bool) -> Option<&Summary> {
        let oldest = self.closed.get(self.remove).filter(|_| self.spec.cleanup != Cleanup::Compact)?;
        let needed = heed_cursors && self.held_from.is_some_and(|held| held.0 < oldest.next_offset);
        if needed { None } else { Some(oldest) }
    }

    fn cut_by_own_limits(&mut self, limits: &Limits, now_ms: i64) {
        let keep_ms = if self.spec.retention_ms == 0 { limits.retention_ms } else { self.spec.retention_ms };
        let keep_bytes = self.spec.retention_bytes;
        while let Some(oldest) = self.oldest(true) {
            let too_old = keep_ms > 0 && now_ms.saturating_sub(oldest.written_ms) > keep_ms as i64;
            let too_large = keep_bytes > 0 && self.bytes() > keep_bytes;
            if !(too_old || too_large) {
                return;
            }
            self.remove += 1;
        }
    }

    /// Age above which the active segment is closed, in milliseconds.
    pub(crate) fn active_keep_ms(&self, limits: &Limits) -> Option<i64> {
        let keep_ms = if self.spec.retention_ms == 0 { limits.retention_ms } else { self.spec.retention_ms };
        (keep_ms > 0 && self.spec.cleanup != Cleanup::Compact).then(|| i64::try_from(keep_ms).unwrap_or(i64::MAX))
    }
}

/// Marks what goes; returns the size that stays, in bytes.
pub(crate) fn decide(candidates: &mut [Candidate], limits: &Limits, now_ms: i64) -> u64 {
    candidates.iter_mut().for_each(|candidate| candidate.cut_by_own_limits(limits, now_ms));
    shrink(candidates, limits.retention_bytes, true);
    shrink(candidates, limits.max_bytes, false);
    candidates.iter().map(Candidate::bytes).sum()
}

/// Marks the oldest segments of all partitions until the log is at most `target` bytes.
fn shrink(candidates: &mut [Candidate], target: u64, heed_cursors: bool) {
    let mut total: u64 = candidates.iter().map(Candidate::bytes).sum();
    while target > 0 && total > target {
        let oldest = |candidate: &Candidate| candidate.oldest(heed_cursors).copied();
        let choices = candidates.iter_mut().filter_map(|candidate| Some((oldest(candidate)?, candidate)));
        let Some((oldest, candidate)) = choices.min_by_key(|(oldest, _)| oldest.written_ms) else { return };
        if !heed_cursors && candidate.held_from.is_some_and(|held| held.0 < oldest.next_offset) {
            let partition = &candidate.partition.id;
            tracing::warn!(%partition, up_to = oldest.next_offset, "cutting records that a consumer still needs");
        }
        total -= oldest.bytes;
        candidate.remove += 1;
    }
}
