//! Where a seeded RAND is in its numbers: one sequence a job, whatever its batches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A generator's state between two batches. One thread evaluates an expression; it is atomic to be shared with its plan.
#[derive(Clone, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// The state that was kept; `None` at the beginning. States are below 2^48.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Keeps a state.
    pub fn keep(&self, state: u64) {
        self.0.store(state + 1, Ordering::Relaxed);
    }

    /// Back to the beginning.
    pub fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

// Where it is does not belong to a plan's version.
impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequence")
    }
}
