//! `HttpTask`: batches in, requests out; remembers what an unfinished batch has delivered and when it may go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use thm_api::{
    BatchPolicy, Error, ErrorKind, Generation, Offset, Result, SinkBatch, SinkPartition, SinkTask, TaskContext,
    TopicPartition,
};

use super::attempt::{Attempt, Obstacles};
use super::body::posts;
use super::config::{Authorization, HttpSettings};
use super::delivered::Delivered;
use super::endpoint;
use super::identity::Identity;
use super::poster::Poster;
use crate::failpoints;

/// Single requests: a batch ends with its slowest request, so a larger one hides more of it. As many as all lanes take
/// at once by default, 32 by 16, and as much again.
const MAX_RECORDS: usize = 1_000;
/// Bounds the bodies under way.
const MAX_BYTES: usize = 1 << 20;
/// A pause that the target asked for is slept through if it is this short; else the worker is told, so that it can stop.
const MAX_NAP: Duration = Duration::from_secs(1);

const POSTING: &str = "posting records";

/// The sink task of one HTTP target.
pub struct HttpTask {
    context: TaskContext,
    poster: Poster,
    /// For messages.
    target: String,
    generation: Generation,
    delivered: Option<Delivered>,
    /// The target asked for no request before this.
    not_before: Option<Instant>,
    next: BTreeMap<TopicPartition, Offset>,
    /// A test wants every attempt to post the whole range.
    forgets_completed: bool,
}

impl HttpTask {
    /// Parses the options and makes the client; touches nothing outside.
    pub fn new(context: TaskContext) -> Result<Self> {
        let settings = HttpSettings::parse(&context.config)?;
        let target = settings.target();
        let mut headers = settings.headers.clone();
        if let Authorization::Static(secret) = &settings.authorization {
            let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
                Error::new(ErrorKind::InvalidConfig, "reading the connector's options", "http.headers.authorization")
                    .with_hint("It has characters that no header may have.")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let off = failpoints::active(&context.failpoints, "http", &context.connector)?;
        let forgets_completed = off.contains(&"http.forget-completed");
        let in_order = !off.contains(&"http.no-order");
        let poster = Poster::new(settings, &context.hosts, headers, in_order, &context.connector)?;
        Ok(Self {
            context,
            poster,
            target,
            generation: Generation::default(),
            delivered: None,
            not_before: None,
            next: BTreeMap::new(),
            forgets_completed,
        })
    }

    /// Waits out a short pause that the target asked for; a long one is an error without a request.
    async fn respect_pause(&mut self) -> Result<()> {
        let Some(left) = self.not_before.and_then(|until| until.checked_duration_since(Instant::now())) else {
            return Ok(());
        };
        if left > MAX_NAP {
            let seconds = left.as_secs_f32().ceil();
            return Err(self.error(ErrorKind::SinkUnreachable, &format!("it asked to wait; {seconds} s are left")));
        }
        tokio::time::sleep(left).await;
        Ok(())
    }

    /// The worst obstacle decides. Refused records come before a target that is away: the worker takes them out and
    /// tries the rest again at once.
    fn outcome(&mut self, obstacles: Obstacles) -> Result<()> {
        let Obstacles { refused, denied, distrusted, later } = obstacles;
        if let Some((_, Some(after))) = &later {
            self.not_before = Some(Instant::now() + *after);
        }
        if let Some(reason) = denied {
            return Err(self.error(ErrorKind::SinkDenied, &reason));
        }
        if let Some(reason) = distrusted {
            return Err(endpoint::distrusted(POSTING, &self.target, reason));
        }
        if let Some(first) = refused.first() {
            return Err(self.error(ErrorKind::RecordRejected, &first.reason).with_rejected(refused));
        }
        match later {
            Some((reason, _)) => Err(self.error(ErrorKind::SinkUnreachable, &reason)),
            None => Ok(()),
        }
    }

    fn error(&self, kind: ErrorKind, reason: &str) -> Error {
        Error::new(kind, POSTING, &self.target).with_source(reason)
    }
}

#[async_trait]
impl SinkTask for HttpTask {
    fn batch_policy(&self) -> BatchPolicy {
        // A batch's idempotency key is its range, so the range must stay the same.
        match &self.poster.settings.batching {
            Some(batching) => BatchPolicy {
                max_records: batching.max_records,
                max_bytes: MAX_BYTES,
                linger: Duration::ZERO,
                frozen: true,
            },
            None => {
                BatchPolicy { max_records: MAX_RECORDS, max_bytes: MAX_BYTES, linger: Duration::ZERO, frozen: false }
            }
        }
    }

    async fn open(
        &mut self,
        _partitions: &[SinkPartition],
        generation: Generation,
    ) -> Result<Vec<(TopicPartition, Offset)>> {
        self.generation = generation;
        self.next.clear();
        // What this process knows is at least what it stored.
        if self.delivered.as_ref().is_none_or(|delivered| delivered.generation() != generation) {
            self.delivered = Some(Delivered::load(&*self.context.state, generation)?);
        }
        Ok(Vec::new())
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        self.respect_pause().await?;
        let Some(delivered) = &self.delivered else {
            return Err(Error::new(ErrorKind::Internal, "posting records before open", &self.target));
        };
        let completed = if self.forgets_completed { BTreeSet::new() } else { delivered.of(&batch.partition) };
        let posts = posts(&self.poster.settings, &batch, &completed);
        let identity = Identity::new(&batch.partition, self.generation);
        let attempt = Attempt::new(&self.poster, &batch.partition, identity, delivered);
        let obstacles = match &self.poster.settings.batching {
            Some(batching) => attempt.together(batching, &posts).await,
            None => attempt.one_by_one(&posts).await,
        };
        let outcome = self.outcome(obstacles);
        let delivered = self.delivered.as_mut().expect("it was there before the attempt");
        match outcome {
            Ok(()) => {
                delivered.finish(&*self.context.state, &batch.partition, batch.last)?;
                self.next.insert(batch.partition.partition.clone(), Offset(batch.last.0 + 1));
                Ok(())
            }
            Err(error) => {
                delivered.store(&*self.context.state)?;
                Err(error)
            }
        }
    }

    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        Ok(self.next.iter().map(|(partition, offset)| (partition.clone(), *offset)).collect())
    }

    async fn close(&mut self) {
        self.next.clear();
    }
}
