//! How many there were when: the rows that were committed, and those that a target shows.
//!
//! ```text
//!   rows                 committed ╱      ╱ shown
//!    │                           ╱◀─────▶╱      horizontal: how late a target is for one row
//!    │                         ╱    ╱╲ vertical: its backlog at a moment
//! ```
//! Only inserts are made, and each is shown once, so the n-th row committed is the n-th one shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A count that only grows, with the moment of each step; shared between who notes and who reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve(Arc<Mutex<Vec<(u64, Instant)>>>);

impl Curve {
    /// Notes that there are `count` now; a lower one than before is an answer that was overtaken.
    pub(super) fn note(&self, count: u64, at: Instant) {
        let mut steps = self.0.lock();
        if steps.last().is_none_or(|(last, _)| *last < count) {
            steps.push((count, at));
        }
    }

    /// Notes `more` rows.
    pub(super) fn add(&self, more: u64, at: Instant) {
        let mut steps = self.0.lock();
        let before = steps.last().map_or(0, |(count, _)| *count);
        steps.push((before + more, at));
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.lock().last().map_or(0, |(count, _)| *count)
    }

    /// The steps of a span of time.
    fn steps(&self, from: Instant, to: Instant) -> Vec<(u64, Instant)> {
        self.0.lock().iter().filter(|(_, at)| *at >= from && *at < to).copied().collect()
    }

    /// How late `shown` was for what was committed in a span of time, in milliseconds. Rows that are not shown yet are
    /// left out: whoever asks has waited for them.
    pub(super) fn lateness_ms(&self, shown: &Self, from: Instant, to: Instant) -> Vec<f64> {
        let shown = shown.0.lock();
        let late = |(count, at): (u64, Instant)| {
            let found = shown.get(shown.partition_point(|(reached, _)| *reached < count))?;
            Some(found.1.saturating_duration_since(at).as_secs_f64() * 1e3)
        };
        self.steps(from, to).into_iter().filter_map(late).collect()
    }

    /// Rows per second in a span of time.
    pub(super) fn rate(&self, from: Instant, to: Instant) -> f64 {
        let steps = self.steps(from, to);
        let rows = steps.last().map_or(0, |last| last.0) - steps.first().map_or(0, |first| first.0);
        let taken = to.saturating_duration_since(from).max(Duration::from_millis(1));
        rows as f64 / taken.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_the_distance_between_the_curves() {
        let (committed, shown) = (Curve::default(), Curve::default());
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for step in 0..10 {
            committed.add(10, at(step * 100));
        }
        shown.note(30, at(250));
        shown.note(20, at(260));
        shown.note(100, at(2000));
        assert_eq!(committed.count(), 100);
        assert_eq!(committed.lateness_ms(&shown, at(0), at(300)), [250.0, 150.0, 50.0]);
        assert_eq!(committed.lateness_ms(&shown, at(900), at(1000)), [1100.0]);
        assert_eq!(committed.rate(at(0), at(1000)).round(), 90.0);
    }
}
