//! Which records of an unfinished batch the target already has, so that no retry sends them again.
//!
//! Kept in memory while a batch is under way, and in the `StateStore` once an attempt at it failed: a restart after a
//! failure repeats nothing. A kill in the middle of a batch may repeat what it had delivered, with the same keys.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thm_api::{Generation, Offset, Result, SinkPartition, StateStore};

const STATE_KEY: &str = "delivered";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    generation: Generation,
    offsets: BTreeMap<String, BTreeSet<i64>>,
    /// Of the batch under way: most batches end well, and then nobody wants these sorted.
    #[serde(skip)]
    fresh: Option<(SinkPartition, Vec<i64>)>,
}

impl Ledger {
    /// Sorts in what is fresh.
    fn settle(&mut self) {
        if let Some((partition, offsets)) = self.fresh.take() {
            self.offsets.entry(name(&partition)).or_default().extend(offsets);
        }
    }
}

/// Delivered offsets of unfinished batches, by partition. Shared by the requests under way.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    ledger: Mutex<Ledger>,
    /// Whether the store holds anything.
    stored: bool,
}

fn name(partition: &SinkPartition) -> String {
    format!("{}/{}", partition.topic_uuid, partition.partition.partition)
}

impl Delivered {
    /// What an earlier process left, of this generation.
    pub fn load(state: &dyn StateStore, generation: Generation) -> Result<Self> {
        let bytes = state.get(STATE_KEY)?;
        let stored = bytes.is_some();
        let ledger = bytes.and_then(|bytes| serde_json::from_slice::<Ledger>(&bytes).ok());
        let usable = ledger.filter(|ledger| ledger.generation == generation);
        let ledger = usable.unwrap_or_else(|| Ledger { generation, ..Ledger::default() });
        Ok(Self { ledger: Mutex::new(ledger), stored })
    }

    /// The generation it is of.
    pub fn generation(&self) -> Generation {
        self.ledger.lock().generation
    }

    /// Notes a delivery.
    pub fn add(&self, partition: &SinkPartition, offsets: impl Iterator<Item = Offset>) {
        let mut ledger = self.ledger.lock();
        if ledger.fresh.as_ref().is_some_and(|(of, _)| of != partition) {
            ledger.settle();
        }
        let (_, fresh) = ledger.fresh.get_or_insert_with(|| (partition.clone(), Vec::new()));
        fresh.extend(offsets.map(|offset| offset.0));
    }

    /// The offsets of a partition that need not be sent.
    pub fn of(&self, partition: &SinkPartition) -> BTreeSet<i64> {
        let mut ledger = self.ledger.lock();
        ledger.settle();
        ledger.offsets.get(&name(partition)).cloned().unwrap_or_default()
    }

    /// Makes it durable, after a failed attempt.
    pub fn store(&mut self, state: &dyn StateStore) -> Result<()> {
        let ledger = self.ledger.get_mut();
        ledger.settle();
        if ledger.offsets.values().all(BTreeSet::is_empty) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(ledger).expect("numbers and texts are always JSON");
        self.stored = true;
        state.put(STATE_KEY, &bytes)
    }

    /// Forgets a partition up to `last`: the batch is delivered whole.
    pub fn finish(&mut self, state: &dyn StateStore, partition: &SinkPartition, last: Offset) -> Result<()> {
        let ledger = self.ledger.get_mut();
        let is_done = |(of, offsets): &mut (SinkPartition, Vec<i64>)| {
            of == partition && offsets.iter().all(|offset| *offset <= last.0)
        };
        if ledger.fresh.take_if(is_done).is_none() {
            ledger.settle();
        }
        if !ledger.offsets.is_empty()
            && let Some(offsets) = ledger.offsets.get_mut(&name(partition))
        {
            *offsets = offsets.split_off(&(last.0 + 1));
            if offsets.is_empty() {
                ledger.offsets.remove(&name(partition));
            }
        }
        if self.stored && ledger.offsets.is_empty() {
            self.stored = false;
            state.delete(STATE_KEY)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::TopicPartition;
    use uuid::Uuid;

    use super::*;
    use crate::memory_state::MemoryState;

    fn partition(number: u32) -> SinkPartition {
        SinkPartition { partition: TopicPartition::new("t", number), topic_uuid: Uuid::nil() }
    }

    #[test]
    fn what_an_attempt_left_open_is_kept_and_what_it_finished_is_forgotten() {
        let (state, zero, one) = (MemoryState::default(), partition(0), partition(1));
        let mut delivered = Delivered::load(&state, Generation(1)).unwrap();
        delivered.add(&zero, [Offset(3), Offset(1)].into_iter());
        delivered.add(&one, [Offset(7)].into_iter());
        assert_eq!(delivered.of(&zero), BTreeSet::from([1, 3]));
        delivered.add(&zero, [Offset(4)].into_iter());
        delivered.finish(&state, &zero, Offset(3)).unwrap();
        assert_eq!((delivered.of(&zero), delivered.of(&one)), (BTreeSet::from([4]), BTreeSet::from([7])));
        delivered.store(&state).unwrap();
        let mut later = Delivered::load(&state, Generation(1)).unwrap();
        assert_eq!(later.of(&zero), BTreeSet::from([4]));
        for (partition, last) in [(&zero, 9), (&one, 9)] {
            later.add(partition, [Offset(8)].into_iter());
            later.finish(&state, partition, Offset(last)).unwrap();
            assert_eq!(later.of(partition), BTreeSet::new());
        }
        assert_eq!(Delivered::load(&state, Generation(1)).unwrap().of(&one), BTreeSet::new());
    }
}
