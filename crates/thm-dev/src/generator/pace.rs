//! When the next transaction is due.

use std::time::{Duration, Instant};

/// Lag above which the missed transactions are let go instead of being made up for.
const DEFAULT_MAX_LAG: Duration = Duration::from_secs(1);

/// Evenly spaced moments, `per_s` of them each second.
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    /// The first moment is one interval after `now`.
    pub(super) fn new(per_s: f64, now: Instant) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / per_s).unwrap_or(Duration::MAX);
        Self { interval, next: now.checked_add(interval).unwrap_or(now) }
    }

    /// The moment at which the next transaction is due; a little in the past when we are late.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        if now.saturating_duration_since(self.next) > DEFAULT_MAX_LAG {
            self.next = now;
        }
        let due = self.next;
        self.next = due.checked_add(self.interval).unwrap_or(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lag_is_made_up_for_and_a_long_one_let_go() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut pace = Pace::new(10.0, start);
        assert_eq!(pace.next(start), start + ms(100));
        // Half a second late: the due moments follow each other without a gap.
        assert_eq!(pace.next(start + ms(700)), start + ms(200));
        assert_eq!(pace.next(start + ms(700)), start + ms(300));
        // Ten seconds late: as if nothing had been missed.
        assert_eq!(pace.next(start + ms(10_300)), start + ms(10_300));
    }
}
