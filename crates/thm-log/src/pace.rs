//! `Pace`: keeps the producers of a partition from outrunning the one reader that wants the tail cache's decoded rows.
//!
//! ```text
//!            reader                                      end of what is queued
//!              ▼                                                   ▼
//!   ───────────┬────────┬────────┬────────┬────────┬───────────────┐
//!              │ mark   │ mark   │ mark   │ mark   │               │
//!              ◀──────────── at most `window_bytes` ───────────────▶    beyond that an append waits
//! ```
//!
//! A reader that falls out of the tail cache parses what we have just encoded, is slower for it, and never comes back
//! in while the producer runs at full speed. So an append waits for the reader, but only as long as the reader moves:
//! one that stands still for [`DEFAULT_PATIENCE`] (it waits for another topic, or works on something large) is left
//! alone until it has come back into the window by itself. Nothing is ever held back for good.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A reader that has not moved for so long does not keep up now. A full batch takes it some ten milliseconds; where ten
/// others want its core, some hundred.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(1);
/// Batches that are remembered: with the smallest ones the window is shorter in bytes, not larger in memory.
const DEFAULT_MARKS: usize = 16_384;

/// Distance between the end of a partition and the reader that its producers wait for.
#[derive(Debug)]
pub(crate) struct Pace {
    window_bytes: u64,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes queued since the partition was opened.
    queued_bytes: u64,
    /// First offset of each batch of the last two windows, with the bytes queued before it.
    marks: VecDeque<(i64, u64)>,
    /// Bytes queued before the place of the reader; none while nobody keeps up.
    reader: Option<u64>,
}

impl Pace {
    /// A window of that many bytes of memory.
    pub(crate) fn new(window_bytes: usize) -> Self {
        Self { window_bytes: window_bytes as u64, state: Mutex::default(), moved: Notify::new() }
    }

    /// A batch of `bytes` from `base_offset` on has been queued.
    pub(crate) fn queued(&self, base_offset: i64, bytes: usize) {
        let mut state = self.state.lock();
        let before = state.queued_bytes;
        state.queued_bytes += bytes as u64;
        state.marks.push_back((base_offset, before));
        // A reader that is waited for stands within one window; the second one is where others come back in.
        let oldest = state.queued_bytes.saturating_sub(2 * self.window_bytes);
        while state.marks.len() > DEFAULT_MARKS || state.marks.front().is_some_and(|(_, before)| *before < oldest) {
            state.marks.pop_front();
        }
    }

    /// The reader goes on at `next`; `queued` is the offset behind all that is queued.
    pub(crate) fn reader_at(&self, next: i64, queued: i64) {
        let mut state = self.state.lock();
        let behind = state.marks.partition_point(|(base, _)| *base <= next).checked_sub(1);
        let mark = behind.and_then(|at| state.marks.get(at)).map(|(_, before)| *before);
        let place = if next >= queued { Some(state.queued_bytes) } else { mark };
        state.reader = place.filter(|place| state.queued_bytes - place < 2 * self.window_bytes);
        drop(state);
        self.moved.notify_waiters();
    }

    /// Waits until there is room behind the reader, or nobody to wait for.
    pub(crate) async fn room(&self) {
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            let Some(place) = self.too_far_ahead() else { return };
            if timeout(DEFAULT_PATIENCE, moved).await.is_err() {
                let mut state = self.state.lock();
                if state.reader == Some(place) {
                    state.reader = None;
                }
            }
        }
    }

    /// The reader's place, if the end is more than the window beyond it.
    fn too_far_ahead(&self) -> Option<u64> {
        let state = self.state.lock();
        state.reader.filter(|place| state.queued_bytes - place >= self.window_bytes)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// Queues ten batches of 10 records and 100 bytes: the window of 500 is full twice.
    fn filled() -> Pace {
        let pace = Pace::new(500);
        (0..10).for_each(|batch| pace.queued(batch * 10, 100));
        pace
    }

    fn has_room(pace: &Pace) -> bool {
        pace.room().now_or_never().is_some()
    }

    #[test]
    fn nobody_waits_without_a_reader_or_for_one_that_is_near() {
        let pace = filled();
        assert!(has_room(&pace));
        pace.reader_at(60, 100);
        assert!(has_room(&pace));
        pace.reader_at(100, 100);
        assert!(has_room(&pace));
    }

    #[tokio::test]
    async fn an_append_waits_until_the_reader_has_moved() {
        let pace = filled();
        for next in [40, 45, 49] {
            pace.reader_at(next, 100);
            assert!(!has_room(&pace), "{next}");
        }
        let (room, ()) = tokio::join!(timeout(DEFAULT_PATIENCE / 2, pace.room()), async { pace.reader_at(60, 100) });
        assert!(room.is_ok(), "a reader that moves wakes those who wait");
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_is_left_alone_until_it_comes_back() {
        let pace = filled();
        pace.reader_at(40, 100);
        assert!(!has_room(&pace));
        pace.room().await;
        assert!(has_room(&pace));
        pace.reader_at(41, 100);
        assert!(!has_room(&pace));
    }

    #[tokio::test]
    async fn a_reader_of_old_records_holds_nobody_up() {
        let pace = Pace::new(500);
        pace.reader_at(3, 1000);
        (100..200).for_each(|batch| pace.queued(batch * 10, 100));
        assert!(has_room(&pace));
        pace.reader_at(1000, 2000);
        assert!(has_room(&pace));
        pace.reader_at(1920, 2000);
        assert!(!has_room(&pace));
    }
}
