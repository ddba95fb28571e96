//! Idempotent producers: which sequence numbers each has brought to each partition.
//!
//! A producer numbers its records per partition. A batch that comes again (its answer was lost) is answered with
//! the offsets of the first time; a gap or a step back is refused. This is held in memory: after a restart the
//! first batch of a producer is taken as it comes.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use thm_api::{Offset, TopicPartition};
use thm_codec::record_batch::BatchHeader;
use tokio::time::Instant;

/// Most pairs of producer and partition that are remembered; the longest unused ones go.
const MAX_SEQUENCES: usize = 10_000;

/// Batches of a producer that may come again: clients have at most five in flight.
const MAX_REPEATS: usize = 5;

/// Ids of one run are counted up from a random start, so that those of the last run do not come again.
const IDS_PER_RUN_BITS: u32 = 24;

/// How an append became durable, or why not; several may wait for it.
pub(super) type Outcome = Shared<BoxFuture<'static, Result<(), ResponseError>>>;

/// An outcome that several may wait for.
pub(super) fn outcome(durable: BoxFuture<'static, thm_api::Result<()>>) -> Outcome {
    durable.map(|durable| durable.map_err(|error| super::errors::of_log(&error))).boxed().shared()
}

struct Remembered {
    first_sequence: i32,
    base_offset: Offset,
    outcome: Outcome,
}

/// What one producer has brought to one partition. The lock is held over check and append.
#[derive(Default)]
pub(super) struct Sequence {
    epoch: i16,
    /// Number that its next record must have; `None` before the first.
    next: Option<i32>,
    recent: VecDeque<Remembered>,
}

/// What to do with a batch.
pub(super) enum Check {
    /// Append it.
    New,
    /// It is there already.
    Repeated(Offset, Outcome),
}

impl Sequence {
    /// Judges a batch by its header.
    pub(super) fn check(&mut self, header: &BatchHeader) -> Result<Check, ResponseError> {
        if self.next.is_none() || header.producer_epoch > self.epoch {
            let fresh_epoch = self.next.is_some();
            if fresh_epoch && header.base_sequence != 0 {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
            *self = Self { epoch: header.producer_epoch, ..Self::default() };
            return Ok(Check::New);
        }
        if header.producer_epoch < self.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if Some(header.base_sequence) == self.next {
            return Ok(Check::New);
        }
        let repeated = self.recent.iter().find(|batch| batch.first_sequence == header.base_sequence);
        match repeated {
            Some(batch) => Ok(Check::Repeated(batch.base_offset, batch.outcome.clone())),
            None if self.next.is_some_and(|next| header.base_sequence < next) => {
                Err(ResponseError::DuplicateSequenceNumber)
            }
            None => Err(ResponseError::OutOfOrderSequenceNumber),
        }
    }

    /// Remembers an appended batch.
    pub(super) fn appended(&mut self, header: &BatchHeader, base_offset: Offset, outcome: Outcome) {
        self.next = Some(after(header.base_sequence, header.records));
        self.recent.push_back(Remembered { first_sequence: header.base_sequence, base_offset, outcome });
        if self.recent.len() > MAX_REPEATS {
            self.recent.pop_front();
        }
    }
}

/// Sequence numbers run from 0 to 2^31 - 1 and start again.
fn after(sequence: i32, records: u32) -> i32 {
    let next = (i64::from(sequence) + i64::from(records)) % (1 << 31);
    i32::try_from(next).unwrap_or(0)
}

type Key = (i64, TopicPartition);

struct Slot {
    used: Instant,
    sequence: Arc<tokio::sync::Mutex<Sequence>>,
}

/// All producers.
pub(super) struct Producers {
    next_id: AtomicI64,
    sequences: Mutex<HashMap<Key, Slot>>,
}

impl Producers {
    pub(super) fn new() -> Self {
        let run = rand::random::<u32>() >> 1;
        let first = i64::from(run) << IDS_PER_RUN_BITS;
        Self { next_id: AtomicI64::new(first), sequences: Mutex::default() }
    }

    /// An id that no other producer has.
    pub(super) fn new_id(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// What a producer has brought to a partition.
    pub(super) fn sequence(&self, producer: i64, at: &TopicPartition) -> Arc<tokio::sync::Mutex<Sequence>> {
        let mut sequences = self.sequences.lock();
        if sequences.len() >= MAX_SEQUENCES {
            forget_half(&mut sequences);
        }
        let now = Instant::now();
        let slot =
            sequences.entry((producer, at.clone())).or_insert_with(|| Slot { used: now, sequence: Arc::default() });
        slot.used = now;
        Arc::clone(&slot.sequence)
    }
}

fn forget_half(sequences: &mut HashMap<Key, Slot>) {
    let mut used: Vec<Instant> = sequences.values().map(|slot| slot.used).collect();
    let middle = used.len() / 2;
    let (_, horizon, _) = used.select_nth_unstable(middle);
    let horizon = *horizon;
    sequences.retain(|_, slot| slot.used > horizon);
}
