//! One service under supervision: a small machine that moves towards what is wanted.
//!
//! ```text
//!            start                    serves
//!   Idle ───────────▶ Starting ───────────────────▶ Up ──┐
//!    ▲  ▲                │ failed        ended by itself │ stop
//!    │  │                ▼                    │          ▼
//!    │  └── pause ── Waiting ◀────────────────┤      Stopping
//!    │      over                              ▼          │
//!    └──────── start asked for ────────── Failed         │
//!    └──────────────────── gone ─────────────────────────┘
//! ```
//!
//! Waiting: it is tried again after a pause that doubles. Failed: its exit code says that trying again changes nothing
//! (usage, configuration, data safety), so an operator decides.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::ExitCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::services::{Running, Service};

/// First pause before a service that ended is started again.
const DEFAULT_FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause: a person waits that long without wondering.
const DEFAULT_LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// One that served this long starts with the first pause again.
const DEFAULT_STABLE_AFTER: Duration = Duration::from_secs(30);

/// Where a service is.
pub(super) enum State {
    Idle,
    Starting(JoinHandle<()>),
    Up { running: Arc<Running<dyn Service>>, since: Instant },
    Waiting,
    Failed,
    Stopping(JoinHandle<()>),
}

impl State {
    /// As `ps` shows it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Idle => "stopped",
            Self::Starting(_) => "starting",
            Self::Up { .. } => "running",
            Self::Waiting => "restarting",
            Self::Failed => "failed",
            Self::Stopping(_) => "stopping",
        }
    }
}

/// Told when a service has reached what was asked for, or why it will not.
pub(super) type Waiter = oneshot::Sender<Result<String, String>>;

/// One service.
pub(super) struct Unit {
    pub(super) service: Arc<dyn Service>,
    /// Places of those that must be up before it starts for the first time.
    pub(super) after: Vec<usize>,
    pub(super) wanted: bool,
    pub(super) state: State,
    /// Raised at every start and stop, so that late news of an earlier life are known as such.
    pub(super) generation: u64,
    pub(super) restarts: u32,
    failures_in_row: u32,
    waiters: Vec<Waiter>,
}

/// What follows from an end that nobody asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterEnd {
    /// It was through.
    Done,
    /// Starting it again changes nothing.
    Fail,
    /// Start it again after this pause.
    Again(Duration),
}

impl Unit {
    pub(super) fn new(service: Arc<dyn Service>, after: Vec<usize>) -> Self {
        Self {
            service,
            after,
            wanted: true,
            state: State::Idle,
            generation: 0,
            restarts: 0,
            failures_in_row: 0,
            waiters: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.service.name()
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Remembers to tell `waiter`.
    pub(super) fn tell_later(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// Tells all who wait. One who has gone away does not mind.
    pub(super) fn tell(&mut self, news: &Result<String, String>) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(news.clone());
        }
    }

    /// What to do after it ended by itself with `exit_code` (none: by a signal), having served for `served`.
    pub(super) fn after_end(&mut self, exit_code: Option<i32>, served: Duration) -> AfterEnd {
        if self.service.ports().is_empty() && exit_code == Some(0) {
            return AfterEnd::Done;
        }
        if [ExitCode::Usage, ExitCode::DataSafety].map(|code| Some(code as i32)).contains(&exit_code) {
            return AfterEnd::Fail;
        }
        if served >= DEFAULT_STABLE_AFTER {
            self.failures_in_row = 0;
        }
        let pause = DEFAULT_FIRST_PAUSE.saturating_mul(1 << self.failures_in_row.min(10));
        self.failures_in_row += 1;
        self.restarts += 1;
        AfterEnd::Again(pause.min(DEFAULT_LONGEST_PAUSE))
    }
}

/// News about a unit, from its tasks to the loop.
pub(super) enum News {
    Started(Box<Result<Running<dyn Service>, crate::services::StartFailure>>),
    Ended(ExitStatus),
    Stopped,
    PauseOver,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::services::{Generator, Redis};

    #[test]
    fn pauses_double_up_to_a_limit_and_start_anew_after_a_stable_time() {
        let mut unit = Unit::new(Arc::new(Redis::new(Path::new("/"), 1)), Vec::new());
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let AfterEnd::Again(pause) = unit.after_end(None, Duration::ZERO) else { panic!("it is started again") };
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert_eq!(unit.after_end(Some(1), DEFAULT_STABLE_AFTER), AfterEnd::Again(DEFAULT_FIRST_PAUSE));
    }

    #[test]
    fn some_ends_are_final() {
        let mut server = Unit::new(Arc::new(Redis::new(Path::new("/"), 1)), Vec::new());
        assert_eq!(server.after_end(Some(2), Duration::ZERO), AfterEnd::Fail);
        assert_eq!(server.after_end(Some(4), Duration::ZERO), AfterEnd::Fail);
        assert_eq!(server.after_end(Some(0), Duration::ZERO), AfterEnd::Again(DEFAULT_FIRST_PAUSE));
        let generator = Generator::new(Path::new("thm"), "postgres://", 1.0, &[]);
        let mut generator = Unit::new(Arc::new(generator), Vec::new());
        assert_eq!(generator.after_end(Some(0), Duration::ZERO), AfterEnd::Done);
    }
}
