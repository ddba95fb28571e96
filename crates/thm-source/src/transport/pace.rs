//! When to read: at once when something comes, or by the clock in a flood.
//!
//! ```text
//!              more than DEFAULT_FLOOD_READS within DEFAULT_REST
//!   readiness ────────────────────────────────────────────────▶ clock: one read per DEFAULT_REST
//!       ▲                                                          │
//!       └──── a read after a rest brought less than DEFAULT_CALM_BYTES
//! ```
//!
//! Why: the walsender sends each message by itself, three for a transaction of one row. A reader that is faster than it
//! would wake for each, which costs both sides more than all the rest of the work. In a flood a millisecond brings
//! hundreds of messages in one read; it is added to a latency that is then made of queues anyway.

use std::time::{Duration, Instant};

/// How long a reader rests in a flood: the timer's own resolution, and at 100 MB/s 100 KB, which the socket's buffer
/// holds.
pub const DEFAULT_REST: Duration = Duration::from_millis(1);
/// More reads within one rest's time are a flood: below it, waking for each costs less than 10 % of a core.
const DEFAULT_FLOOD_READS: u32 = 8;
/// Less than so much in a rest is no flood any more: about a transaction of one row.
const DEFAULT_CALM_BYTES: usize = 512;

/// How to wait for the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something comes.
    Readiness,
    /// Until then, whatever comes.
    Until(Instant),
}

/// Decides how to wait, from the reads so far.
#[derive(Debug)]
pub struct Pace {
    is_flood: bool,
    /// When the reads that are counted began; in a flood when the last one was.
    since: Instant,
    reads: u32,
}

impl Pace {
    /// Calm.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { is_flood: false, since: now, reads: 0 }
    }

    /// How to wait.
    #[must_use]
    pub fn wait(&self) -> Wait {
        if self.is_flood { Wait::Until(self.since + DEFAULT_REST) } else { Wait::Readiness }
    }

    /// A read brought so many bytes.
    pub fn read(&mut self, now: Instant, bytes: usize) {
        if self.is_flood {
            self.is_flood = bytes >= DEFAULT_CALM_BYTES;
            (self.since, self.reads) = (now, 0);
            return;
        }
        if now.duration_since(self.since) >= DEFAULT_REST {
            (self.since, self.reads) = (now, 0);
        }
        self.reads += 1;
        if self.reads > DEFAULT_FLOOD_READS {
            (self.is_flood, self.since) = (true, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_begins_with_many_reads_and_ends_with_an_empty_rest() {
        let start = Instant::now();
        let at = |us: u64| start + Duration::from_micros(us);
        let mut pace = Pace::new(start);
        for read in 0..100 {
            pace.read(at(read * 500), 400);
            assert_eq!(pace.wait(), Wait::Readiness, "2,000 reads a second are no flood");
        }
        for read in 0..9 {
            pace.read(at(100_000 + read * 20), 400);
        }
        assert_eq!(pace.wait(), Wait::Until(at(100_160) + DEFAULT_REST));
        pace.read(at(101_200), 40_000);
        assert_eq!(pace.wait(), Wait::Until(at(101_200) + DEFAULT_REST), "rests are counted from the read before");
        pace.read(at(102_300), 100);
        assert_eq!(pace.wait(), Wait::Readiness);
    }
}
