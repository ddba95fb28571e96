//! One attempt at a batch: many requests under way, in order per key, until something stands in the way.
//!
//! ```text
//!   records ──[`Work`] first of each key──▶ `http.max.in.flight` lanes ──▶ POST ─┬─ delivered ─▶ noted, next of its key
//!                                                                               ├─ refused ───▶ its key waits, others go on
//!                                                                               └─ later, denied ─▶ no new request at all
//! ```
//! Requests under way are always awaited: what they delivered is noted before the error goes to the worker.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use thm_api::{RejectedRecord, SinkPartition};

use super::answer::Answer;
use super::body::{Post, together};
use super::config::Batching;
use super::connection::Connection;
use super::delivered::Delivered;
use super::identity::Identity;
use super::lanes::Work;
use super::poster::{Poster, is_closed};

/// What stood in the way.
#[derive(Default)]
pub(super) struct Obstacles {
    pub refused: Vec<RejectedRecord>,
    pub denied: Option<String>,
    pub distrusted: Option<String>,
    pub later: Option<(String, Option<Duration>)>,
}

/// One attempt at one batch.
pub(super) struct Attempt<'a> {
    poster: &'a Poster,
    partition: &'a SinkPartition,
    identity: Identity<'a>,
    delivered: &'a Delivered,
    obstacles: Mutex<Obstacles>,
    stopped: AtomicBool,
}

impl<'a> Attempt<'a> {
    pub fn new(
        poster: &'a Poster,
        partition: &'a SinkPartition,
        identity: Identity<'a>,
        delivered: &'a Delivered,
    ) -> Self {
        let (obstacles, stopped) = (Mutex::default(), AtomicBool::new(false));
        Self { poster, partition, identity, delivered, obstacles, stopped }
    }

    /// Posts each record alone.
    pub async fn one_by_one(self, posts: &[Post<'_>]) -> Obstacles {
        let lanes = self.poster.settings.max_in_flight.min(posts.len());
        let work = Work::new(posts, lanes, self.poster.in_order);
        join_all((0..lanes).map(|_| self.lane(&work, posts))).await;
        let went_well = !self.stopped.load(Ordering::Relaxed);
        self.poster.depth.learn(went_well);
        self.obstacles.into_inner()
    }

    async fn lane(&self, work: &Work, posts: &[Post<'_>]) {
        while let Some(taken) = work.take(self.poster.depth.get()).await {
            match self.poster.connection().await {
                Ok(connection) => self.stretch(work, posts, taken, connection).await,
                Err(error) => self.give_up(work, posts, taken, &error),
            }
        }
    }

    /// On one connection, while there is more to send and it lasts.
    async fn stretch(&self, work: &Work, posts: &[Post<'_>], taken: Vec<usize>, mut connection: Connection) {
        let (depth, timeout) = (&self.poster.depth, self.poster.settings.timeout);
        let mut sent: VecDeque<(usize, Instant)> = VecDeque::with_capacity(depth.get());
        let mut more = taken;
        let mut end = Ok(());
        loop {
            for post in more {
                connection.queue(
                    &self.poster.template,
                    &self.identity.of_record(posts[post].record),
                    &posts[post].body,
                );
                sent.push_back((post, Instant::now()));
            }
            let Some((post, began)) = sent.front().copied() else { return self.poster.keep(connection) };
            let reply = match connection.answer(timeout, sent.len() > 1).await {
                Ok(reply) => reply,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            };
            sent.pop_front();
            self.poster.meters.posts.increment(1);
            self.poster.meters.seconds.record(began.elapsed());
            let delivered = self.judge(std::slice::from_ref(&posts[post]), Answer::of(&reply));
            if !delivered && self.stopped.load(Ordering::Relaxed) {
                work.stop();
            }
            work.done(post, delivered);
            if reply.is_last {
                break;
            }
            more = work.take_more(depth.get().saturating_sub(sent.len()));
        }
        if connection.answers() == 1 && !sent.is_empty() {
            depth.refuse();
        }
        let unanswered = sent.into_iter().map(|(post, _)| post);
        match end {
            // Closed behind an answer, or while it lay idle: another connection gets the rest.
            Err(error) if !is_closed(&error) || connection.answers() == 0 => {
                self.give_up(work, posts, unanswered.collect(), &error);
            }
            Ok(()) | Err(_) => unanswered.rev().for_each(|post| work.put_back(post)),
        }
    }

    /// Nothing new is posted, and these have no answer.
    fn give_up(&self, work: &Work, posts: &[Post<'_>], unanswered: Vec<usize>, error: &io::Error) {
        work.stop();
        for post in unanswered {
            self.judge(std::slice::from_ref(&posts[post]), Answer::missing(error));
            work.done(post, false);
        }
    }

    /// Posts records together, in order. A refused batch is halved until the refused records stand alone; records of
    /// their keys wait.
    pub async fn together(self, batching: &Batching, posts: &[Post<'_>]) -> Obstacles {
        let mut parked: HashSet<Bytes> = HashSet::new();
        let mut open: Vec<&[Post<'_>]> = posts.chunks(batching.max_records).rev().collect();
        while let Some(piece) = open.pop() {
            let waits = |post: &Post<'_>| post.record.key.as_ref().is_some_and(|key| parked.contains(key));
            if self.stopped.load(Ordering::Relaxed) || piece.iter().all(waits) {
                continue;
            }
            let mut refused = piece.iter().any(waits);
            if !refused {
                let identity = self.identity.of_batch(piece[0].offset(), piece[piece.len() - 1].offset());
                let answer = self.poster.post(&identity, &together(batching, piece)).await;
                refused = matches!(answer, Answer::Refused { .. });
                if !refused || piece.len() == 1 {
                    self.judge(piece, answer);
                }
            }
            match piece {
                [only] if refused && self.poster.in_order => parked.extend(only.record.key.clone()),
                piece if refused => {
                    let (left, right) = piece.split_at(piece.len() / 2);
                    open.extend([right, left]);
                }
                _ => {}
            }
        }
        self.obstacles.into_inner()
    }

    /// Notes what became of records; whether their chain goes on.
    fn judge(&self, posts: &[Post<'_>], answer: Answer) -> bool {
        let meters = &self.poster.meters;
        let mut obstacles = self.obstacles.lock();
        match answer {
            Answer::Delivered => {
                self.delivered.add(self.partition, posts.iter().map(Post::offset));
                meters.records.increment(posts.len() as u64);
                return true;
            }
            Answer::Refused { reason } => {
                meters.refused.increment(posts.len() as u64);
                obstacles.refused.extend(posts.iter().map(|post| RejectedRecord {
                    partition: self.partition.partition.clone(),
                    offset: post.offset(),
                    reason: reason.clone(),
                }));
            }
            Answer::Denied { reason } => {
                self.stopped.store(true, Ordering::Relaxed);
                obstacles.denied.get_or_insert(reason);
            }
            Answer::Distrusted { reason } => {
                self.stopped.store(true, Ordering::Relaxed);
                obstacles.distrusted.get_or_insert(reason);
            }
            Answer::Later { reason, after } => {
                self.stopped.store(true, Ordering::Relaxed);
                meters.retries.increment(1);
                let longest = obstacles.later.take().map_or(after, |(_, other)| other.max(after));
                obstacles.later = Some((reason, longest));
            }
        }
        false
    }
}
