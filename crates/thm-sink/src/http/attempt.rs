//! One attempt at a batch: many requests under way, in order per key, until something stands in the way.
//!
//! ```text
//!   records ──by key──▶ chains ──at most `http.max.in.flight` at once──▶ POST ─┬─ delivered ─▶ noted, next of the chain
//!                                                                             ├─ refused ───▶ this chain waits, others go on
//!                                                                             └─ later, denied ─▶ no new request at all
//! ```
//! Requests under way are always awaited: what they delivered is noted before the error goes to the worker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use metrics::{Counter, Histogram, counter, histogram};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use thm_api::{RejectedRecord, SinkPartition};

use super::answer::Answer;
use super::body::{Post, together};
use super::config::{Batching, HttpSettings};
use super::delivered::Delivered;
use super::identity::Identity;

/// Sends single requests.
pub(super) struct Poster {
    pub client: Client,
    pub url: Url,
    pub headers: HeaderMap,
    pub settings: HttpSettings,
    /// Whether a key's next record waits for the one before; only a test says no.
    in_order: bool,
    meters: Meters,
}

/// Handles made once: a request costs no look-up.
struct Meters {
    posts: Counter,
    records: Counter,
    retries: Counter,
    refused: Counter,
    seconds: Histogram,
}

/// What stood in the way.
#[derive(Default)]
pub(super) struct Obstacles {
    pub refused: Vec<RejectedRecord>,
    pub denied: Option<String>,
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

impl Poster {
    pub fn new(
        client: Client,
        url: Url,
        headers: HeaderMap,
        settings: HttpSettings,
        in_order: bool,
        connector: &Arc<str>,
    ) -> Self {
        let labels = [("connector", connector.to_string())];
        let meters = Meters {
            posts: counter!("thm_http_posts_total", &labels),
            records: counter!("thm_http_records_total", &labels),
            retries: counter!("thm_http_retries_total", &labels),
            refused: counter!("thm_http_refused_records_total", &labels),
            seconds: histogram!("thm_http_post_seconds", &labels),
        };
        Self { client, url, headers, settings, in_order, meters }
    }

    async fn post(&self, identity: HeaderValue, body: Bytes) -> Answer {
        let mut headers = self.headers.clone();
        if let Some(name) = &self.settings.idempotency_header {
            headers.insert(name.clone(), identity);
        }
        let began = Instant::now();
        let answer = Answer::of(self.client.post(self.url.clone()).headers(headers).body(body).send().await).await;
        self.meters.posts.increment(1);
        self.meters.seconds.record(began.elapsed());
        answer
    }
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
        let limit = self.poster.settings.max_in_flight;
        let chains =
            if self.poster.in_order { chains(posts) } else { (0..posts.len()).map(|post| vec![post]).collect() };
        futures::stream::iter(chains).for_each_concurrent(limit, |chain| self.chain(posts, chain)).await;
        self.obstacles.into_inner()
    }

    /// The records of one key, in order.
    async fn chain(&self, posts: &[Post<'_>], chain: Vec<usize>) {
        for index in chain {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let post = &posts[index];
            let answer = self.poster.post(self.identity.of_record(post.record), post.body.clone()).await;
            if !self.judge(std::slice::from_ref(post), answer) {
                return;
            }
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
                let answer = self.poster.post(identity, together(batching, piece)).await;
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

/// Indices by key, in order of first appearance; a record without a key has no order to keep.
fn chains(posts: &[Post<'_>]) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(posts.len());
    let mut by_key: HashMap<&[u8], usize> = HashMap::with_capacity(posts.len());
    for (index, post) in posts.iter().enumerate() {
        let chain = match &post.record.key {
            None => chains.len(),
            Some(key) => *by_key.entry(key).or_insert(chains.len()),
        };
        match chains.get_mut(chain) {
            Some(chain) => chain.push(index),
            None => chains.push(vec![index]),
        }
    }
    chains
}
