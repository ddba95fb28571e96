//! Where to re-read from when Redis has lost the board: an offset from about one window ago.
//!
//! ```text
//!   log      ──┬───────┬───────┬───────┬───────▶
//!   noted at   w0      w1      w2      now          (wall clock; one note per tenth of a window)
//!                      ▲
//!                      └ last note older than now - window - slack: every record before it that counts anywhere
//!                        has a moment before w1 + slack, so it is out of the window
//! ```
//!
//! A note is a fact about the log, not about the board, so a rebuild leaves all notes true. The first note of a
//! generation stands at "always": before it nothing was ours to count. Kept in the `StateStore`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thm_api::{Generation, Offset, Result, SinkPartition, StateStore};

use super::config::FUTURE_SLACK_MS;

const STATE_KEY: &str = "rewind";
/// Notes per window: a rebuild re-reads at most a tenth of a window too much.
const NOTES_PER_WINDOW: i64 = 10;
/// No note is newer than the last by less than this: each is an fsync.
const MIN_NOTE_INTERVAL_MS: i64 = 10_000;

/// Wall clock in milliseconds, and the next offset to write at that moment.
type Note = (i64, Offset);

/// The notes of every partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rewind {
    generation: Generation,
    notes: BTreeMap<String, Vec<Note>>,
    #[serde(skip)]
    noted_ms: i64,
}

fn name(partition: &SinkPartition) -> String {
    format!("{}/{}", partition.topic_uuid, partition.partition.partition)
}

impl Rewind {
    /// The notes of this generation; those of an older one are of no use.
    pub fn load(state: &dyn StateStore, generation: Generation) -> Result<Self> {
        let stored = state.get(STATE_KEY)?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let usable = stored.filter(|rewind| rewind.generation == generation);
        Ok(usable.unwrap_or_else(|| Self { generation, ..Self::default() }))
    }

    /// Notes where a partition begins, durably, before its first write.
    pub fn begin(&mut self, state: &dyn StateStore, partition: &SinkPartition, first: Offset) -> Result<()> {
        if self.notes.contains_key(&name(partition)) {
            return Ok(());
        }
        self.notes.insert(name(partition), vec![(i64::MIN, first)]);
        self.store(state)
    }

    /// Notes where the partitions are now, if the last note is old enough.
    pub fn note<'a>(
        &mut self,
        state: &dyn StateStore,
        window_ms: i64,
        now_ms: i64,
        next: impl Iterator<Item = (&'a SinkPartition, Offset)>,
    ) -> Result<()> {
        if now_ms - self.noted_ms < (window_ms / NOTES_PER_WINDOW).max(MIN_NOTE_INTERVAL_MS) {
            return Ok(());
        }
        self.noted_ms = now_ms;
        let mut changed = false;
        for (partition, offset) in next {
            let Some(notes) = self.notes.get_mut(&name(partition)) else { continue };
            // In idle times the last note is as good as a new one, once it is old enough.
            if notes.last().is_some_and(|(_, last)| *last == offset) {
                continue;
            }
            notes.push((now_ms, offset));
            let usable = notes.iter().rposition(|(wall_ms, _)| *wall_ms <= oldest_needed(window_ms, now_ms));
            notes.drain(..usable.unwrap_or(0));
            changed = true;
        }
        if changed { self.store(state) } else { Ok(()) }
    }

    /// Where to re-read a partition from; `None` if it was never written in this generation.
    pub fn offset(&self, partition: &SinkPartition, window_ms: i64, now_ms: i64) -> Option<Offset> {
        let notes = self.notes.get(&name(partition))?;
        let old_enough = notes.iter().filter(|(wall_ms, _)| *wall_ms <= oldest_needed(window_ms, now_ms));
        let best = old_enough.map(|(_, offset)| *offset).max();
        if best.is_none() {
            // Only after the window was made longer: what is noted reaches back as far as the old one did.
            tracing::warn!(partition = %partition.partition, "board fills up over the next window: too little is noted to rebuild it");
        }
        best.or_else(|| notes.first().map(|(_, offset)| *offset))
    }

    fn store(&self, state: &dyn StateStore) -> Result<()> {
        let bytes = serde_json::to_vec(self).expect("numbers and texts are always JSON");
        state.put(STATE_KEY, &bytes)
    }
}

const fn oldest_needed(window_ms: i64, now_ms: i64) -> i64 {
    now_ms - window_ms - FUTURE_SLACK_MS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::TopicPartition;
    use uuid::Uuid;

    use super::*;
    use crate::memory_state::MemoryState;

    #[test]
    fn reaches_back_one_window_and_survives_a_restart() {
        let state = MemoryState::default();
        let partition = SinkPartition { partition: TopicPartition::new("t", 0), topic_uuid: Uuid::nil() };
        let window_ms = 600_000;
        let mut rewind = Rewind::load(&state, Generation(1)).unwrap();
        assert_eq!(rewind.offset(&partition, window_ms, 0), None);
        rewind.begin(&state, &partition, Offset(5)).unwrap();
        let mut now_ms = 1_000_000_000;
        assert_eq!(rewind.offset(&partition, window_ms, now_ms), Some(Offset(5)));
        for second in 0..7_200 {
            now_ms += 1_000;
            let next = [(&partition, Offset(100 + second))];
            rewind.note(&state, window_ms, now_ms, next.into_iter()).unwrap();
        }
        let rewind = Rewind::load(&state, Generation(1)).unwrap();
        let Offset(from) = rewind.offset(&partition, window_ms, now_ms).unwrap();
        let age_seconds = 7_300 - from;
        assert!((660..=725).contains(&age_seconds), "{age_seconds}");
        assert!(rewind.notes[&name(&partition)].len() <= 14);
        // A reset starts again where the worker says.
        assert_eq!(Rewind::load(&state, Generation(2)).unwrap().offset(&partition, window_ms, now_ms), None);
    }
}
