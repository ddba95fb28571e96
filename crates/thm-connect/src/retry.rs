//! Back-off: when the worker tries again, and when it gives up.
//!
//! A failure goes in, a pause or nothing comes out. Only kinds whose policy is `Retry` get here. The pause doubles
//! from the first one up to the largest, with jitter so that sinks that failed together do not come back together;
//! a success starts anew.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use thm_api::{ConnectorConfig, Error, ErrorKind, Policy, Result};

/// First pause: most broken connections are back after one.
pub const DEFAULT_FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Largest pause: how long delivery may stand still after the target is back.
pub const DEFAULT_LARGEST_PAUSE: Duration = Duration::from_secs(5);

/// How a connector wants failures retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `errors.retry.timeout`: how long after the first failure the task gives up; `None` (−1, or not set) for never.
    /// Kafka's own default, 0, never applied to a sink that asks for a retry, so a target that is away for a night
    /// does not stop the task here either.
    pub give_up_after: Option<Duration>,
    /// `errors.retry.delay.max.ms`: largest pause.
    pub largest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { give_up_after: None, largest_pause: DEFAULT_LARGEST_PAUSE }
    }
}

impl RetryPolicy {
    /// From the connector's options.
    pub fn from_config(config: &ConnectorConfig) -> Result<Self> {
        let timeout_ms: i64 = config.parse("errors.retry.timeout", -1)?;
        let default_ms = u64::try_from(DEFAULT_LARGEST_PAUSE.as_millis()).unwrap_or(u64::MAX);
        let pause_ms: u64 = config.parse("errors.retry.delay.max.ms", default_ms)?;
        Ok(Self {
            give_up_after: u64::try_from(timeout_ms).ok().map(Duration::from_millis),
            largest_pause: Duration::from_millis(pause_ms),
        })
    }
}

/// The state of one task's retries.
#[derive(Debug)]
pub(crate) struct Retry {
    policy: RetryPolicy,
    /// When the first failure since the last success was, and the pauses to come.
    failing: Option<(Instant, ExponentialBackoff)>,
    /// Of which kind the last failures were, and since when.
    alike: Option<(ErrorKind, Instant)>,
}

impl Retry {
    /// No failure yet.
    pub(crate) const fn new(policy: RetryPolicy) -> Self {
        Self { policy, failing: None, alike: None }
    }

    /// Things work again.
    pub(crate) fn succeeded(&mut self) {
        (self.failing, self.alike) = (None, None);
    }

    /// How long to wait before the next attempt, or the error if there is to be none. `limit` is how long failures of
    /// just this kind may go on.
    pub(crate) fn pause(&mut self, error: Error, limit: Option<Duration>) -> Result<Duration, Error> {
        let kind = error.kind();
        if kind.policy() != Policy::Retry {
            return Err(error);
        }
        let policy = self.policy;
        let (since, pauses) = self.failing.get_or_insert_with(|| (Instant::now(), pauses(policy)));
        let alike = match self.alike {
            Some((before, alike)) if before == kind => alike,
            _ => self.alike.insert((kind, Instant::now())).1,
        };
        let over = |since: Instant, limit: Option<Duration>| limit.is_some_and(|limit| since.elapsed() >= limit);
        if over(*since, policy.give_up_after) || over(alike, limit) {
            return Err(error);
        }
        Ok(pauses.next().unwrap_or(policy.largest_pause).min(policy.largest_pause))
    }
}

fn pauses(policy: RetryPolicy) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(DEFAULT_FIRST_PAUSE.min(policy.largest_pause))
        .with_max_delay(policy.largest_pause)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn unreachable() -> Error {
        Error::new(ErrorKind::SinkUnreachable, "writing", "target")
    }

    #[test]
    fn pauses_grow_up_to_the_largest_and_start_anew() {
        let mut retry = Retry::new(RetryPolicy { give_up_after: None, largest_pause: Duration::from_secs(1) });
        let first = retry.pause(unreachable(), None).unwrap();
        assert!(first < Duration::from_millis(250), "{first:?}");
        for _ in 0..20 {
            retry.pause(unreachable(), None).unwrap();
        }
        assert_eq!(retry.pause(unreachable(), None).unwrap(), Duration::from_secs(1));
        retry.succeeded();
        assert!(retry.pause(unreachable(), None).unwrap() < Duration::from_millis(250));
    }

    #[test]
    fn other_kinds_and_an_expired_time_out_end_it() {
        let mut retry = Retry::new(RetryPolicy::default());
        assert!(retry.pause(Error::new(ErrorKind::SinkDenied, "writing", "target"), None).is_err());
        let mut retry = Retry::new(RetryPolicy { give_up_after: Some(Duration::ZERO), ..RetryPolicy::default() });
        assert!(retry.pause(unreachable(), None).is_err());
    }

    /// A limit of one kind counts from the first failure of that kind, whatever failed before it.
    #[test]
    fn a_limit_is_of_its_own_kind() {
        let mut retry = Retry::new(RetryPolicy::default());
        let taken = || Error::new(ErrorKind::SlotInUse, "taking the slot", "s");
        retry.pause(unreachable(), None).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let limit = Some(Duration::from_millis(20));
        assert!(retry.pause(taken(), limit).is_ok(), "the time before it does not count");
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(retry.pause(taken(), limit).unwrap_err().kind(), ErrorKind::SlotInUse);
    }
}
