//! How the mock API can be told to misbehave, by `POST /control`:
//!
//! ```json
//! {"fail": {"status": 503, "count": 10, "retry_after_s": 1, "received": false}}
//! {"stall_ms": 30000}
//! {"rate_limit": 100}
//! {}
//! ```
//!
//! Each request replaces the whole state, so `{}` makes it well again.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// What goes wrong for coming requests. Default: nothing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// The next requests fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<FailPlan>,
    /// Every answer comes this much later, after the events are in the ledger; in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<u64>,
    /// Requests per second above which the answer is 429 with `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
}

/// Requests that fail.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FailPlan {
    /// HTTP status of the answer.
    pub status: u16,
    /// How many requests; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// `Retry-After` of the answer, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Whether the events are taken all the same, so that only the answer says otherwise.
    #[serde(default)]
    pub received: bool,
}

/// An answer that a fault asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) retry_after_s: Option<u64>,
    pub(super) received: bool,
}

/// The state of the faults, asked once per request.
#[derive(Debug)]
pub(super) struct FaultState {
    faults: Faults,
    /// The running second of the rate limit and the requests in it.
    window: (Instant, u32),
}

impl FaultState {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, window: (Instant::now(), 0) }
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn stall(&self) -> Option<Duration> {
        self.faults.stall_ms.map(Duration::from_millis)
    }

    /// Counts one request and says how it is refused, if it is.
    pub(super) fn next_refusal(&mut self, now: Instant) -> Option<Refusal> {
        if let Some(limit) = self.faults.rate_limit {
            if now.duration_since(self.window.0) >= Duration::from_secs(1) {
                self.window = (now, 0);
            }
            self.window.1 += 1;
            if self.window.1 > limit {
                return Some(Refusal {
                    status: StatusCode::TOO_MANY_REQUESTS,
                    retry_after_s: Some(1),
                    received: false,
                });
            }
        }
        let plan = self.faults.fail.as_mut()?;
        let refusal = Refusal {
            status: StatusCode::from_u16(plan.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            retry_after_s: plan.retry_after_s,
            received: plan.received,
        };
        match &mut plan.count {
            None => Some(refusal),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(refusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_fails_as_often_as_it_says() {
        let fail = FailPlan { status: 503, count: Some(2), retry_after_s: None, received: false };
        let mut state = FaultState::new(Faults { fail: Some(fail), ..Faults::default() });
        let now = Instant::now();
        let refused: Vec<bool> = (0..4).map(|_| state.next_refusal(now).is_some()).collect();
        assert_eq!(refused, [true, true, false, false]);
    }

    #[test]
    fn the_rate_limit_starts_anew_each_second() {
        let mut state = FaultState::new(Faults { rate_limit: Some(1), ..Faults::default() });
        let now = Instant::now();
        assert_eq!(state.next_refusal(now), None);
        assert!(state.next_refusal(now).is_some_and(|refusal| refusal.retry_after_s == Some(1)));
        assert_eq!(state.next_refusal(now + Duration::from_secs(2)), None);
    }
}
