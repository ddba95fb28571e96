//! `SharedDecodes`: the batches that sinks have decoded lately, so that sinks that read the same one decode it once.
//!
//! ```text
//!   tail cache ──the same bytes──▶ sink 1 ──decodes──▶ ┌────────┐
//!              └────────────────▶ sink 2 ◀──records─── │ newest │ ──▶ the oldest leave, by bytes and number
//!              └────────────────▶ sink 3 ◀──────────── └────────┘
//! ```
//! A batch is known by where its bytes lie in memory, which an entry keeps alive: equal addresses are the same batch, and
//! one that was read anew from a segment is another. What stands here is what its reader would decode: leaving it out
//! costs time and changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use thm_api::{FetchedBatch, Offset, Result, TopicPartition};

use crate::decode::{Parsed, parse};

/// What the sinks of one process are apart from each other while they keep up, in decoded batches.
const DEFAULT_CAPACITY_BYTES: usize = 4 << 20;
/// A search goes through all of them.
const MAX_BATCHES: usize = 64;
/// Fewer records are decoded sooner than found.
const MIN_RECORDS: u32 = 8;

/// Decoded batches of all sinks of a process.
#[derive(Debug, Default)]
pub(crate) struct SharedDecodes {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    held: usize,
    batches: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    base_offset: Offset,
    parsed: Arc<Parsed>,
}

impl SharedDecodes {
    /// The batch decoded, by us or by another reader.
    pub(crate) fn parse(&self, partition: &TopicPartition, fetched: &FetchedBatch) -> Result<Arc<Parsed>> {
        if fetched.batch.records < MIN_RECORDS {
            return parse(partition, fetched).map(Arc::new);
        }
        if let Some(parsed) = self.recent.lock().find(fetched) {
            return Ok(parsed);
        }
        // Two that come at once decode twice: nobody waits for another's decoding.
        let parsed = Arc::new(parse(partition, fetched)?);
        if parsed.held <= DEFAULT_CAPACITY_BYTES / 2 {
            let gone = self.recent.lock().add(fetched, &parsed);
            drop(gone);
        }
        Ok(parsed)
    }
}

impl Recent {
    fn find(&self, fetched: &FetchedBatch) -> Option<Arc<Parsed>> {
        let bytes = &fetched.batch.bytes;
        let is_it = |entry: &&Entry| {
            entry.bytes.as_ptr() == bytes.as_ptr()
                && entry.bytes.len() == bytes.len()
                && entry.base_offset == fetched.base_offset
        };
        self.batches.iter().rev().find(is_it).map(|entry| Arc::clone(&entry.parsed))
    }

    /// What has to leave for it: dropped outside the lock.
    fn add(&mut self, fetched: &FetchedBatch, parsed: &Arc<Parsed>) -> Vec<Entry> {
        let (bytes, base_offset) = (fetched.batch.bytes.clone(), fetched.base_offset);
        self.held += parsed.held;
        self.batches.push_back(Entry { bytes, base_offset, parsed: Arc::clone(parsed) });
        let mut gone = Vec::new();
        while self.held > DEFAULT_CAPACITY_BYTES || self.batches.len() > MAX_BATCHES {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.held -= oldest.parsed.held;
            gone.push(oldest);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::LogBatch;
    use thm_codec::record_batch::{BatchWriter, HeaderBlock};

    use super::*;

    fn fetched(base_offset: i64, records: u32, value_bytes: usize) -> FetchedBatch {
        let mut writer = BatchWriter::new();
        (0..records).for_each(|_| writer.push(1, None, Some(&vec![0; value_bytes]), &HeaderBlock::default()));
        let batch = LogBatch { bytes: writer.finish(), records, positions: [].into(), decoded: None };
        FetchedBatch { base_offset: Offset(base_offset), batch, producer: None }
    }

    #[test]
    fn the_same_bytes_are_decoded_once_and_equal_ones_again() {
        let (decodes, partition) = (SharedDecodes::default(), TopicPartition::new("t", 0));
        let parse = |batch: &FetchedBatch| decodes.parse(&partition, batch).unwrap();
        let batch = fetched(10, 20, 8);
        let first = parse(&batch);
        assert!(Arc::ptr_eq(&first, &parse(&batch.clone())));
        assert!(!Arc::ptr_eq(&first, &parse(&fetched(10, 20, 8))));
        let elsewhere = FetchedBatch { base_offset: Offset(30), ..batch };
        assert_eq!(parse(&elsewhere).records.first().map(|record| record.offset), Some(Offset(30)));
        let few = fetched(0, 2, 8);
        assert!(!Arc::ptr_eq(&parse(&few), &parse(&few)));
    }

    #[test]
    fn old_batches_leave_by_bytes_and_by_number() {
        let (decodes, partition) = (SharedDecodes::default(), TopicPartition::new("t", 0));
        let state = |value_bytes| {
            for at in 0..200 {
                decodes.parse(&partition, &fetched(at * 10, 10, value_bytes)).unwrap();
            }
            let recent = decodes.recent.lock();
            let held: usize = recent.batches.iter().map(|entry| entry.parsed.held).sum();
            assert_eq!(held, recent.held);
            assert_eq!(recent.batches.back().map(|entry| entry.base_offset), Some(Offset(1_990)));
            (recent.batches.len(), held)
        };
        assert_eq!(state(1).0, MAX_BATCHES);
        let (batches, held) = state(20_000);
        assert!(batches < MAX_BATCHES && held <= DEFAULT_CAPACITY_BYTES, "{batches} batches, {held} bytes");
        let too_large = fetched(0, 10, 300_000);
        assert!(!Arc::ptr_eq(
            &decodes.parse(&partition, &too_large).unwrap(),
            &decodes.parse(&partition, &too_large).unwrap()
        ));
    }
}
