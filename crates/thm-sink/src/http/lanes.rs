//! Who posts what next: lanes, each with a connection, share the records of an attempt.
//!
//! ```text
//!   records ──first of each key──▶ ready ──▶ lane 1 ══ a b c ══▶ target
//!                ▲                      └──▶ lane 2 ══ d e   ══▶   │
//!                └──── the key's next, once this one is delivered ◀┘
//! ```
//! A lane sends several requests before their answers (pipelining, RFC 9112 9.3.2), which costs a fifth of the CPU time
//! on both sides. It does so only when there is more to send than lanes, and in measure: [`Depth`] begins at one, doubles
//! with each attempt that goes well, and falls back to one when anything stands in the way. Invariant: a key has one
//! request under way at most, wherever it is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::body::Post;

/// How many requests may be under way on one connection.
#[derive(Debug)]
pub(super) struct Depth {
    now: AtomicUsize,
    most: usize,
    /// The target was seen to answer only the first of several.
    is_refused: AtomicBool,
}

impl Depth {
    /// One for now, `most` in the end.
    pub fn new(most: usize) -> Self {
        Self { now: AtomicUsize::new(1), most, is_refused: AtomicBool::new(false) }
    }

    pub fn get(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// After an attempt.
    pub fn learn(&self, went_well: bool) {
        let may_grow = went_well && !self.is_refused.load(Ordering::Relaxed);
        self.now.store(if may_grow { (self.get() * 2).min(self.most) } else { 1 }, Ordering::Relaxed);
    }

    /// This target does not take several requests at once.
    pub fn refuse(&self) {
        if !self.is_refused.swap(true, Ordering::Relaxed) {
            tracing::info!("the target answers one request at a time only");
        }
        self.now.store(1, Ordering::Relaxed);
    }
}

/// The records of one attempt.
pub(super) struct Work {
    queue: Mutex<Queue>,
    changed: Notify,
    lanes: usize,
}

struct Queue {
    ready: VecDeque<usize>,
    /// The next record of the same key.
    next: Vec<Option<usize>>,
    under_way: usize,
    stopped: bool,
}

impl Work {
    /// All of `posts`, for so many lanes.
    pub fn new(posts: &[Post<'_>], lanes: usize, in_order: bool) -> Self {
        let (ready, next) =
            if in_order { chains(posts) } else { ((0..posts.len()).collect(), vec![None; posts.len()]) };
        let queue = Queue { ready, next, under_way: 0, stopped: false };
        Self { queue: Mutex::new(queue), changed: Notify::new(), lanes: lanes.max(1) }
    }

    /// A lane's fair share of what is ready, `room` at most; none at the end.
    pub async fn take(&self, room: usize) -> Option<Vec<usize>> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut queue = self.queue.lock();
                if queue.stopped || (queue.ready.is_empty() && queue.under_way == 0) {
                    return None;
                }
                if !queue.ready.is_empty() {
                    return Some(queue.share(self.lanes, room));
                }
            }
            changed.await;
        }
    }

    /// The same for a lane that has others under way: nothing if nothing is ready.
    pub fn take_more(&self, room: usize) -> Vec<usize> {
        let mut queue = self.queue.lock();
        if queue.stopped || room == 0 { Vec::new() } else { queue.share(self.lanes, room) }
    }

    /// A record has its answer; the next of its key follows if it was delivered.
    pub fn done(&self, post: usize, delivered: bool) {
        let mut queue = self.queue.lock();
        queue.under_way -= 1;
        if delivered && let Some(next) = queue.next[post] {
            queue.ready.push_back(next);
        }
        if queue.under_way == 0 || !queue.ready.is_empty() {
            self.changed.notify_waiters();
        }
    }

    /// A record was not answered, and comes again before all others.
    pub fn put_back(&self, post: usize) {
        let mut queue = self.queue.lock();
        queue.under_way -= 1;
        queue.ready.push_front(post);
        self.changed.notify_waiters();
    }

    /// Nothing new is taken.
    pub fn stop(&self) {
        self.queue.lock().stopped = true;
        self.changed.notify_waiters();
    }
}

impl Queue {
    fn share(&mut self, lanes: usize, room: usize) -> Vec<usize> {
        let count = self.ready.len().div_ceil(lanes).min(room);
        self.under_way += count;
        self.ready.drain(..count).collect()
    }
}

/// The first record of each key, and after each record the next one of its key; a record without a key has no order to
/// keep.
fn chains(posts: &[Post<'_>]) -> (VecDeque<usize>, Vec<Option<usize>>) {
    let (mut first, mut next) = (VecDeque::with_capacity(posts.len()), vec![None; posts.len()]);
    let mut last_of: HashMap<&[u8], usize> = HashMap::with_capacity(posts.len());
    for (index, post) in posts.iter().enumerate() {
        match post.record.key.as_deref().and_then(|key| last_of.insert(key, index)) {
            Some(before) => next[before] = Some(index),
            None => first.push_back(index),
        }
    }
    (first, next)
}
