//! `TailCache`: the newest durable batches of all partitions, with their decoded rows, in bounded bytes.
//!
//! ```text
//!   order of arrival over all partitions:   a0 b0 a1 a2 b1 …     what is passed leaves first, then the oldest
//!   by partition:                           a: a0 a1 a2     b: b0 b1
//! ```
//!
//! A consumer that keeps up reads from here and never parses what we have just encoded. Only what is durable comes
//! in. What the reader of a partition that keeps up has passed leaves before all else: a topic that a job has read is
//! of no more use here, and its room is what the readers of the job's output are allowed to be late by. Of a partition
//! that nobody reads only the newest few batches stay, for whoever begins to.
//! One lock: it is taken once per batch that arrives and once per read, for a few pointer copies.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::Mutex;
use thm_api::FetchedBatch;

/// What a batch costs beside its bytes: its entry, its positions' and rows' headers.
const ENTRY_BYTES: usize = 256;

/// What a partition that nobody reads keeps: enough for a consumer that begins at the end and is there at the next look.
const DEFAULT_UNREAD_BYTES: usize = 2 << 20;

/// Which partition, unique over topics and their recreations.
pub(crate) type PartitionKey = u64;

/// Bounded memory of recent batches.
#[derive(Debug)]
pub(crate) struct TailCache {
    capacity_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used_bytes: usize,
    /// Batches that have come so far.
    arrivals: u64,
    /// Bytes of all of them.
    arrived_bytes: u64,
    /// Every entry's arrival, and whose it is.
    order: BTreeMap<u64, PartitionKey>,
    partitions: HashMap<PartitionKey, Tail>,
    /// Next offset of each partition's reader that keeps up: a handful, those that jobs read.
    readers: Vec<(PartitionKey, i64)>,
}

/// A partition's newest batches.
#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Entry>,
    used_bytes: usize,
    /// What had arrived when it was last read, if it was.
    read_at: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    batch: FetchedBatch,
    bytes: usize,
    arrival: u64,
}

/// What the cache has for a read.
#[derive(Debug)]
pub(crate) enum Cached {
    /// Batches from the one that holds the offset on.
    Hit(Vec<FetchedBatch>),
    /// Nothing at the offset; the segments have it, up to where the cache goes on, if it does.
    Miss(Option<i64>),
}

impl TailCache {
    /// A cache of at most `capacity_bytes`.
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes, state: Mutex::default() }
    }

    /// Takes durable batches of a partition, in offset order, each with the memory it holds.
    pub(crate) fn insert(&self, key: PartitionKey, batches: impl Iterator<Item = (FetchedBatch, usize)>) {
        // Dropped after the lock is: freeing decoded rows is not for others to wait for.
        let mut evicted = Vec::new();
        let mut state = self.state.lock();
        for (batch, bytes) in batches {
            let bytes = bytes + ENTRY_BYTES;
            if bytes > self.capacity_bytes {
                continue;
            }
            let arrival = state.arrivals;
            state.arrivals += 1;
            state.arrived_bytes += bytes as u64;
            state.used_bytes += bytes;
            state.order.insert(arrival, key);
            let tail = state.partitions.entry(key).or_default();
            tail.used_bytes += bytes;
            tail.entries.push_back(Entry { batch, bytes, arrival });
            while state.is_unread_beyond(key, self.capacity_bytes) {
                evicted.extend(state.evict_of(key));
            }
            while state.used_bytes > self.capacity_bytes {
                evicted.extend(state.evict());
            }
        }
        drop(state);
    }

    /// Batches around `from`, up to `max_bytes` (the first whole), none at or after `until`.
    pub(crate) fn read(&self, key: PartitionKey, from: i64, until: i64, max_bytes: usize) -> Cached {
        let mut state = self.state.lock();
        let arrived_bytes = state.arrived_bytes;
        let Some(tail) = state.partitions.get_mut(&key) else { return Cached::Miss(None) };
        tail.read_at = Some(arrived_bytes);
        let entries = &tail.entries;
        let first = entries.partition_point(|entry| entry.batch.next_offset().0 <= from);
        let mut next = match entries.get(first).map(|entry| entry.batch.base_offset.0) {
            Some(base) if base <= from => base,
            later => return Cached::Miss(later),
        };
        let mut batches = Vec::new();
        let mut bytes = 0;
        for Entry { batch, .. } in entries.range(first..) {
            bytes += batch.batch.bytes.len();
            let base = batch.base_offset.0;
            // A batch too large for the cache leaves a gap: what follows it is for the next read.
            if base != next || base >= until || (bytes > max_bytes && !batches.is_empty()) {
                break;
            }
            next = batch.next_offset().0;
            batches.push(batch.clone());
        }
        Cached::Hit(batches)
    }

    /// The reader of a partition that keeps up goes on at `next`.
    pub(crate) fn reader_at(&self, key: PartitionKey, next: i64) {
        let mut state = self.state.lock();
        match state.readers.iter_mut().find(|(reader, _)| *reader == key) {
            Some((_, at)) => *at = next,
            None => state.readers.push((key, next)),
        }
    }

    /// Forgets a partition that is deleted.
    pub(crate) fn forget(&self, key: PartitionKey) {
        let mut state = self.state.lock();
        let gone = state.partitions.remove(&key);
        state.order.retain(|_, other| *other != key);
        state.readers.retain(|(reader, _)| *reader != key);
        state.used_bytes -= gone.as_ref().map_or(0, |tail| tail.used_bytes);
        drop(state);
    }
}

impl State {
    /// The oldest batch that its reader has passed, else the oldest of all.
    fn evict(&mut self) -> Option<Entry> {
        let Self { partitions, readers, order, .. } = self;
        let is_passed = |(key, at): &&(PartitionKey, i64)| {
            let oldest = partitions.get(key).and_then(|tail| tail.entries.front());
            oldest.is_some_and(|entry| entry.batch.next_offset().0 <= *at)
        };
        let passed = readers.iter().find(is_passed).map(|(key, _)| *key);
        let key = passed.or_else(|| order.first_key_value().map(|(_, key)| *key))?;
        self.evict_of(key)
    }

    /// The oldest batch of a partition.
    fn evict_of(&mut self, key: PartitionKey) -> Option<Entry> {
        let tail = self.partitions.get_mut(&key)?;
        let entry = tail.entries.pop_front()?;
        tail.used_bytes -= entry.bytes;
        self.order.remove(&entry.arrival);
        self.used_bytes -= entry.bytes;
        Some(entry)
    }

    /// Whether a partition holds more than one that nobody reads may. A reader that was away while the whole cache was
    /// renewed finds nothing of its own here either way.
    fn is_unread_beyond(&self, key: PartitionKey, capacity_bytes: usize) -> bool {
        let Some(tail) = self.partitions.get(&key) else { return false };
        let is_read = tail.read_at.is_some_and(|at| self.arrived_bytes - at <= capacity_bytes as u64);
        !is_read && tail.entries.len() > 1 && tail.used_bytes > DEFAULT_UNREAD_BYTES.min(capacity_bytes / 2)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use std::sync::Arc;
    use thm_api::{LogBatch, Offset};

    use super::*;

    fn batch(base_offset: i64, records: u32, bytes: usize) -> (FetchedBatch, usize) {
        let bytes = Bytes::from(vec![0; bytes]);
        let memory = bytes.len();
        let batch = LogBatch { bytes, records, positions: Arc::default(), decoded: None };
        (FetchedBatch { base_offset: Offset(base_offset), batch, producer: None }, memory)
    }

    fn offsets(cached: Cached) -> Vec<i64> {
        match cached {
            Cached::Hit(batches) => batches.iter().map(|batch| batch.base_offset.0).collect(),
            Cached::Miss(_) => vec![],
        }
    }

    #[test]
    fn oldest_of_all_partitions_leaves_first() {
        let cache = TailCache::new(4 * (1000 + ENTRY_BYTES));
        cache.insert(1, [batch(0, 10, 1000), batch(10, 10, 1000)].into_iter());
        cache.insert(2, [batch(0, 10, 1000), batch(10, 10, 1000)].into_iter());
        assert_eq!(offsets(cache.read(1, 0, 100, usize::MAX)), [0, 10]);
        assert_eq!(offsets(cache.read(2, 0, 100, usize::MAX)), [0, 10]);
        cache.insert(2, [batch(20, 10, 1000)].into_iter());
        assert!(matches!(cache.read(1, 5, 100, usize::MAX), Cached::Miss(Some(10))));
        assert_eq!(offsets(cache.read(1, 15, 100, usize::MAX)), [10]);
        assert_eq!(offsets(cache.read(2, 0, 100, 1)), [0]);
        assert_eq!(offsets(cache.read(2, 0, 20, usize::MAX)), [0, 10]);
        cache.forget(2);
        cache.insert(1, (2..5).map(|at| batch(at * 10, 10, 1000)));
        assert_eq!(offsets(cache.read(1, 10, 100, usize::MAX)), [10, 20, 30, 40]);
    }

    #[test]
    fn a_partition_that_nobody_reads_keeps_little() {
        let cache = TailCache::new(8 * (1000 + ENTRY_BYTES));
        cache.insert(1, (0..8).map(|at| batch(at * 10, 10, 1000)));
        assert_eq!(offsets(cache.read(1, 40, 100, usize::MAX)), [40, 50, 60, 70]);
        cache.insert(1, (8..12).map(|at| batch(at * 10, 10, 1000)));
        assert_eq!(offsets(cache.read(1, 40, 200, usize::MAX)).len(), 8, "it is read");
        // Its reader stays away while as much comes as the cache can hold.
        cache.insert(1, (12..21).map(|at| batch(at * 10, 10, 1000)));
        assert_eq!(offsets(cache.read(1, 170, 300, usize::MAX)), [170, 180, 190, 200]);
        assert!(matches!(cache.read(1, 160, 300, usize::MAX), Cached::Miss(Some(170))));
    }

    #[test]
    fn what_its_reader_has_passed_leaves_first() {
        let cache = TailCache::new(4 * (1000 + ENTRY_BYTES));
        cache.insert(1, [batch(0, 10, 1000)].into_iter());
        cache.insert(2, [batch(0, 10, 1000), batch(10, 10, 1000), batch(20, 10, 1000)].into_iter());
        cache.reader_at(2, 15);
        cache.insert(1, [batch(10, 10, 1000)].into_iter());
        assert_eq!(offsets(cache.read(1, 0, 100, usize::MAX)), [0, 10]);
        // The batch that the reader stands in is not passed: the oldest of all goes.
        cache.insert(1, [batch(20, 10, 1000)].into_iter());
        assert_eq!(offsets(cache.read(1, 10, 100, usize::MAX)), [10, 20]);
        assert_eq!(offsets(cache.read(2, 15, 100, usize::MAX)), [10, 20]);
        cache.reader_at(2, 30);
        cache.insert(1, [batch(30, 10, 1000), batch(40, 10, 1000)].into_iter());
        assert_eq!(offsets(cache.read(1, 10, 100, usize::MAX)), [10, 20, 30, 40]);
    }

    #[test]
    fn a_batch_beyond_the_capacity_leaves_a_gap() {
        let cache = TailCache::new(3000);
        cache.insert(1, [batch(0, 1, 100), batch(1, 1, 5000), batch(2, 1, 100)].into_iter());
        assert_eq!(offsets(cache.read(1, 0, 100, usize::MAX)), [0]);
        assert!(matches!(cache.read(1, 1, 100, usize::MAX), Cached::Miss(Some(2))));
        assert_eq!(offsets(cache.read(1, 2, 100, usize::MAX)), [2]);
    }
}
