//! What waits between an append and the log thread.

use std::sync::Arc;

use thm_api::{FetchedBatch, LogBatch, Offset, Permit, Progress};
use tokio::sync::oneshot;

use crate::batch;
use crate::frame::FIXED_BYTES;

/// An append with its offsets, not durable yet.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Offset of its first record, or where one would have stood.
    pub base_offset: i64,
    /// The records.
    pub batch: Option<LogBatch>,
    /// Producer and its progress.
    pub progress: Option<(Arc<str>, Progress)>,
    /// Memory it holds, as the tail cache will count it.
    pub memory_bytes: usize,
    /// Its share of the write buffer, given back when it is durable or given up.
    pub _permit: Permit,
    /// Told when it is durable; dropped untold when it never will be.
    pub done: oneshot::Sender<()>,
}

impl Pending {
    /// Offset after its last record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset + self.batch.as_ref().map_or(0, |batch| i64::from(batch.records))
    }

    /// About the size of its frame: enough to decide whether it fits.
    pub(crate) fn frame_bytes(&self) -> u64 {
        let batch = self.batch.as_ref().map_or(0, |batch| batch.bytes.len() + 2 * batch.positions.len());
        (FIXED_BYTES + batch) as u64
    }

    /// Writes the base offset into the batch.
    pub(crate) fn number(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.bytes = batch::with_base_offset(std::mem::take(&mut batch.bytes), self.base_offset);
        }
    }

    /// Its batch, for the tail cache.
    pub(crate) fn take_batch(&mut self) -> Option<FetchedBatch> {
        let producer = self.progress.as_ref().map(|(producer, _)| Arc::clone(producer));
        let base_offset = Offset(self.base_offset);
        self.batch.take().map(|batch| FetchedBatch { base_offset, batch, producer })
    }

    /// Ends it: durable.
    pub(crate) fn settle(self) {
        // The one who appended may not care when it is durable.
        let _ = self.done.send(());
    }
}
