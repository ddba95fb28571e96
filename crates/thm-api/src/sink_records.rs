//! `SinkRecords`: the records of a chunk, decoded once for all sinks that read the same batch.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::SinkRecord;

/// A stretch of a batch's records. Clones share them; whoever wants others makes a stretch of its own.
#[derive(Clone, Debug, Default)]
pub struct SinkRecords {
    all: Arc<Vec<SinkRecord>>,
    range: Range<usize>,
}

impl SinkRecords {
    /// Leaves the first `at` records, or all if there are fewer, and gives the others.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let middle = (self.range.start + at).min(self.range.end);
        let rest = Self { all: Arc::clone(&self.all), range: middle..self.range.end };
        self.range.end = middle;
        rest
    }

    /// Keeps what `keep` says: copies it, unless that is everything.
    pub fn retain(&mut self, keep: impl Fn(&SinkRecord) -> bool) {
        if !self.iter().all(&keep) {
            *self = self.iter().filter(|record| keep(record)).cloned().collect();
        }
    }

    /// Makes other records of them.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<SinkRecord>)) {
        let mut own = std::mem::take(self).into_vec();
        change(&mut own);
        *self = own.into();
    }

    /// The records, copied if others have them too.
    #[must_use]
    pub fn into_vec(self) -> Vec<SinkRecord> {
        let Self { all, range } = self;
        match Arc::try_unwrap(all) {
            Ok(all) if range == (0..all.len()) => all,
            Ok(all) => all[range].to_vec(),
            Err(all) => all[range].to_vec(),
        }
    }
}

impl Deref for SinkRecords {
    type Target = [SinkRecord];

    fn deref(&self) -> &[SinkRecord] {
        &self.all[self.range.clone()]
    }
}

impl From<Arc<Vec<SinkRecord>>> for SinkRecords {
    fn from(all: Arc<Vec<SinkRecord>>) -> Self {
        let range = 0..all.len();
        Self { all, range }
    }
}

impl From<Vec<SinkRecord>> for SinkRecords {
    fn from(all: Vec<SinkRecord>) -> Self {
        Self::from(Arc::new(all))
    }
}

impl FromIterator<SinkRecord> for SinkRecords {
    fn from_iter<T: IntoIterator<Item = SinkRecord>>(records: T) -> Self {
        Self::from(records.into_iter().collect::<Vec<_>>())
    }
}

impl<'a> IntoIterator for &'a SinkRecords {
    type Item = &'a SinkRecord;
    type IntoIter = std::slice::Iter<'a, SinkRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Offset;

    fn records(offsets: Range<i64>) -> SinkRecords {
        let record = |offset| SinkRecord {
            offset: Offset(offset),
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Arc::from([]),
            origin: None,
        };
        offsets.map(record).collect()
    }

    fn offsets(records: &SinkRecords) -> Vec<i64> {
        records.iter().map(|record| record.offset.0).collect()
    }

    #[test]
    fn who_changes_its_stretch_leaves_the_others_as_they_are() {
        let mut first = records(0..5);
        let mut other = first.clone();
        let mut rest = first.split_off(3);
        assert_eq!((offsets(&first), offsets(&rest)), (vec![0, 1, 2], vec![3, 4]));
        rest.retain(|record| record.offset.0 == 4);
        other.retain(|record| record.offset.0 != 1);
        assert_eq!((offsets(&first), offsets(&rest), offsets(&other)), (vec![0, 1, 2], vec![4], vec![0, 2, 3, 4]));
        assert_eq!(first.clone().into_vec().len(), 3);
        assert!(first.split_off(9).is_empty());
    }
}
