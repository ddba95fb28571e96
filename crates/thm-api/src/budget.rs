//! `MemoryBudget`: every queue takes byte permits from here, so memory is bounded whatever comes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit of the semaphore stands for this many bytes: a semaphore counts in `u32`.
const GRAIN_BYTES: usize = 1024;

/// A share of the process's memory budget, in bytes.
///
/// A request larger than the whole share is granted when nothing else is out (it runs alone), so one huge
/// batch slows others instead of stopping the pipeline.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    permits: Arc<Semaphore>,
    grains: u32,
}

/// Bytes taken from a budget; given back on drop.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl MemoryBudget {
    /// A budget of `bytes`, at least one grain.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let grains = u32::try_from(bytes.div_ceil(GRAIN_BYTES)).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Self { permits: Arc::new(Semaphore::new(grains as usize)), grains }
    }

    fn grains_for(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(GRAIN_BYTES)).unwrap_or(u32::MAX).clamp(1, self.grains)
    }

    /// Waits until `bytes` are free. First come, first served; cancel-safe.
    pub async fn acquire(&self, bytes: usize) -> Permit {
        let grains = self.grains_for(bytes);
        let permit = Arc::clone(&self.permits).acquire_many_owned(grains).await;
        Permit { _permit: permit.expect("the semaphore of a budget is never closed") }
    }

    /// Takes `bytes` if they are free now.
    #[must_use]
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(self.grains_for(bytes)).ok()?;
        Some(Permit { _permit: permit })
    }

    /// Size of the whole share, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.grains as usize * GRAIN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_beyond_the_share_runs_alone() {
        let budget = MemoryBudget::new(10 * 1024);
        let small = budget.try_acquire(1);
        assert!(small.is_some());
        assert!(budget.try_acquire(1 << 30).is_none());
        drop(small);
        let huge = budget.try_acquire(1 << 30);
        assert!(huge.is_some());
        assert!(budget.try_acquire(1).is_none());
    }
}
