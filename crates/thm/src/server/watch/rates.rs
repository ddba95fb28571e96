//! Counters in, rates out: the difference to a few seconds ago.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Long enough to smooth batches, short enough to follow the eye.
const DEFAULT_WINDOW: Duration = Duration::from_secs(5);

/// Counters of the last seconds.
#[derive(Default)]
pub struct Rates {
    past: VecDeque<(Instant, BTreeMap<String, u64>)>,
}

impl Rates {
    /// Takes new counters; gives the rate per second of each that was there before. One that fell began anew.
    pub fn take(&mut self, now: Instant, counters: BTreeMap<String, u64>) -> BTreeMap<String, f64> {
        while self.past.front().is_some_and(|(at, _)| now.duration_since(*at) > DEFAULT_WINDOW) {
            self.past.pop_front();
        }
        let mut rates = BTreeMap::new();
        for (name, count) in &counters {
            let first = self.past.iter().find_map(|(at, past)| Some((at, *past.get(name)?)));
            let Some((at, before)) = first else { continue };
            let seconds = now.duration_since(*at).as_secs_f64();
            if seconds > 0.0 {
                rates.insert(name.clone(), count.saturating_sub(before) as f64 / seconds);
            }
        }
        self.past.push_back((now, counters));
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_window_and_needs_two_looks() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let of = |count| BTreeMap::from([("a".to_owned(), count)]);
        assert!(rates.take(start, of(100)).is_empty());
        for second in 1..=20 {
            let found = rates.take(start + Duration::from_secs(second), of(100 + 50 * second));
            assert_eq!(found.get("a"), Some(&50.0), "second {second}");
        }
        let stalled = rates.take(start + Duration::from_secs(40), of(1100));
        assert!(stalled.is_empty(), "an old look is no measure: {stalled:?}");
        assert_eq!(rates.take(start + Duration::from_secs(41), of(3)).get("a"), Some(&0.0), "it began anew");
    }
}
