//! Which keys of a look-up table are answered, and for how long answers hold: Flink's `lookup.cache`.
//!
//! ```text
//!   asked ─▶ held for the rows at hand ─▶ kept (PARTIAL): least recently used go first, then those whose time is over
//!                                      └▶ forgotten (NONE)
//! ```
//! Only keys and times; the rows lie in the look-up table. Time comes from the caller.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::connector::jdbc::Cache;

/// What an entry takes beside its key and rows, bytes: two maps and the table's indexes.
const ENTRY_BYTES: usize = 256;

/// Answered keys.
#[derive(Debug)]
pub struct Answers {
    cache: Option<Cache>,
    max_bytes: usize,
    entries: HashMap<Box<[u8]>, Entry>,
    /// Keys by last use, the oldest first.
    by_use: BTreeMap<u64, Box<[u8]>>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    written: Instant,
    used: Instant,
    at: u64,
    bytes: usize,
    empty: bool,
}

impl Answers {
    /// None yet. `max_bytes` bounds what stays whatever the cache's options say.
    #[must_use]
    pub fn new(cache: Option<Cache>, max_bytes: usize) -> Self {
        Self { cache, max_bytes, entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0 }
    }

    /// Whether a key is answered; using it counts.
    pub fn has(&mut self, key: &[u8], now: Instant) -> bool {
        let Some(cache) = &self.cache else { return self.entries.contains_key(key) };
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if over(cache, entry, now) {
            return false;
        }
        self.uses += 1;
        if let Some(key) = self.by_use.remove(&entry.at) {
            self.by_use.insert(self.uses, key);
        }
        (entry.at, entry.used) = (self.uses, now);
        true
    }

    /// A key is answered by rows of so many bytes in all; none if `empty`.
    pub fn put(&mut self, key: Box<[u8]>, bytes: usize, empty: bool, now: Instant) {
        self.remove(&key);
        let bytes = bytes + 3 * key.len() + ENTRY_BYTES;
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { written: now, used: now, at: self.uses, bytes, empty });
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.at);
            self.bytes -= entry.bytes;
        }
    }

    /// Gives up what must not stay now that the rows at hand are joined: the keys whose rows are to go.
    pub fn settle(&mut self, now: Instant) -> Vec<Box<[u8]>> {
        let Some(cache) = self.cache else {
            self.by_use.clear();
            self.bytes = 0;
            return self.entries.drain().map(|(key, _)| key).collect();
        };
        let mut gone = Vec::new();
        if !cache.missing {
            gone.extend(self.entries.iter().filter(|(_, entry)| entry.empty).map(|(key, _)| key.clone()));
            gone.iter().for_each(|key| self.remove(key));
        }
        let most = cache.max_rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
        while let Some((_, oldest)) = self.by_use.first_key_value() {
            let expired = self.entries.get(oldest).is_some_and(|entry| over(&cache, entry, now));
            if !expired && self.entries.len() <= most && self.bytes <= self.max_bytes {
                break;
            }
            let oldest = oldest.clone();
            self.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }
}

fn over(cache: &Cache, entry: &Entry, now: Instant) -> bool {
    cache.after_write.is_some_and(|time| now.duration_since(entry.written) >= time)
        || cache.after_access.is_some_and(|time| now.duration_since(entry.used) >= time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    const CACHE: Cache = Cache { max_rows: None, after_write: None, after_access: None, missing: true };

    fn key(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    fn after(seconds: u64) -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START + Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_cache_an_answer_holds_for_the_rows_at_hand() {
        let mut answers = Answers::new(None, 1 << 20);
        answers.put(key("a"), 10, false, after(0));
        assert!(answers.has(b"a", after(9)));
        assert_eq!(answers.settle(after(9)), [key("a")]);
        assert!(!answers.has(b"a", after(9)));
    }

    #[test]
    fn the_least_recently_used_go_when_there_are_too_many_keys_or_bytes() {
        let mut answers = Answers::new(Some(Cache { max_rows: Some(2), ..CACHE }), 1 << 20);
        ["a", "b", "c"].iter().for_each(|text| answers.put(key(text), 10, false, after(0)));
        assert!(answers.has(b"a", after(1)));
        assert_eq!(answers.settle(after(1)), [key("b")]);
        let mut answers = Answers::new(Some(CACHE), 2 * ENTRY_BYTES);
        ["a", "b"].iter().for_each(|text| answers.put(key(text), 10, false, after(0)));
        assert_eq!(answers.settle(after(1)), [key("a")]);
    }

    #[test]
    fn answers_are_over_some_time_after_they_were_given_or_used() {
        let mut answers = Answers::new(Some(Cache { after_write: Some(Duration::from_secs(5)), ..CACHE }), 1 << 20);
        answers.put(key("a"), 10, false, after(0));
        assert!(answers.has(b"a", after(4)));
        assert!(!answers.has(b"a", after(5)));
        assert_eq!(answers.settle(after(5)), [key("a")]);
        let mut answers = Answers::new(Some(Cache { after_access: Some(Duration::from_secs(5)), ..CACHE }), 1 << 20);
        answers.put(key("a"), 10, false, after(0));
        assert!(answers.has(b"a", after(4)) && answers.has(b"a", after(8)));
        assert!(!answers.has(b"a", after(13)));
    }

    #[test]
    fn that_there_is_no_row_is_kept_only_if_it_is_wanted() {
        for missing in [true, false] {
            let mut answers = Answers::new(Some(Cache { missing, ..CACHE }), 1 << 20);
            answers.put(key("a"), 0, true, after(0));
            answers.settle(after(0));
            assert_eq!(answers.has(b"a", after(0)), missing);
        }
    }
}
