//! Heartbeats: a record now and then that says that the connector lives, and a statement run in the database with it.
//!
//! ```text
//!   snapshot ends ─▶ beat ─▶ … ─interval─▶ beat ─┬─▶ record in <prefix>.<topic.prefix>, at the last complete position
//!                                                └─▶ heartbeat.action.query, on a session and a task of its own
//! ```
//! The record stands where everything is complete, so that whoever reads only this topic knows how far the others are. The
//! slot needs none of it: keepalives move it on while other tables or databases write. The statement gives the database
//! itself something to write where nobody else does, in one transaction whatever it consists of.
//!
//! Invariant: the positions of the topic never go back, whatever the slot sends again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thm_api::{Hosts, LogBatch, Position, Progress, Result, SourceAppend, TopicSpec};
use thm_codec::debezium::{EventTime, Schema, write_int};
use thm_codec::java_json::write_string;
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::failure::from_sql;
use crate::options::Options;
use crate::output::Frame;
use crate::session::Session;

/// What the options say of heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatOptions {
    /// `heartbeat.interval.ms`; never zero.
    pub interval: Duration,
    /// `topic.heartbeat.prefix`
    pub topic_prefix: String,
    /// `heartbeat.action.query`
    pub query: Option<String>,
}

/// One task's heartbeats.
pub struct Heartbeat {
    interval: Duration,
    topic: Arc<TopicSpec>,
    key: Bytes,
    frame: Frame,
    due: Instant,
    /// Where the last one stands, or the last that was durable at the start.
    at: Position,
    action: Option<Action>,
}

impl Heartbeat {
    /// By the options; `None` where none are wanted. The first comes as soon as it may after a start that is `fresh`.
    /// `durable` is the topic's progress, by its name.
    #[must_use]
    pub fn new(
        options: &Arc<Options>,
        hosts: &Arc<Hosts>,
        fresh: bool,
        durable: impl Fn(&str) -> Position,
    ) -> Option<Self> {
        let wanted = options.heartbeat.as_ref()?;
        let topic = options.naming.heartbeat(&wanted.topic_prefix);
        let (key_schema, value_schema) = schemas();
        let mut key = b"{\"serverName\":".to_vec();
        write_string(&mut key, &options.prefix);
        key.push(b'}');
        let mut framed = Vec::new();
        let key = Frame::new(options.output.key, &key_schema).around(&key, &mut framed);
        Some(Self {
            interval: wanted.interval,
            at: durable(&topic),
            topic: Arc::new(TopicSpec::new(topic)),
            key: Bytes::copy_from_slice(key),
            frame: Frame::new(options.output.value, &value_schema),
            due: Instant::now() + if fresh { Duration::ZERO } else { wanted.interval },
            action: wanted.query.as_ref().map(|query| Action::new(query.clone(), options, hosts)),
        })
    }

    /// When the next one is to come.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// The record, if its time has come, of a source that is complete up to `complete`.
    pub fn beat(&mut self, complete: Position, now: EventTime) -> Option<SourceAppend> {
        if Instant::now() < self.due {
            return None;
        }
        self.due = Instant::now() + self.interval;
        if let Some(action) = &self.action {
            action.wanted.notify_one();
        }
        let time_ms = now.0.div_euclid(1_000_000);
        let mut value = Vec::new();
        self.frame.open(&mut value);
        value.extend_from_slice(b"{\"ts_ms\":");
        write_int(&mut value, time_ms);
        value.push(b'}');
        self.frame.close(&mut value);
        let mut writer = BatchWriter::new();
        writer.push(time_ms, Some(&self.key), Some(&value), &HeaderBlock::default());
        self.at = self.at.max(complete);
        let batch = LogBatch { bytes: writer.finish(), records: 1, positions: [self.at].into(), decoded: None };
        Some(SourceAppend { topic: Arc::clone(&self.topic), partition: 0, batch, progress: Progress::at(self.at) })
    }
}

fn schemas() -> (Schema, Schema) {
    let key = Schema::fields([("serverName", Schema::plain("string"))]);
    let value = Schema::fields([("ts_ms", Schema::plain("int64"))]);
    (
        key.named("io.debezium.connector.common.ServerNameKey", 1),
        value.named("io.debezium.connector.common.Heartbeat", 1),
    )
}

/// Runs the statement, once for each wish and never twice at a time. A poll never waits for it.
struct Action {
    wanted: Arc<Notify>,
    running: JoinHandle<()>,
}

impl Drop for Action {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Action {
    fn new(query: String, options: &Arc<Options>, hosts: &Arc<Hosts>) -> Self {
        let wanted = Arc::new(Notify::new());
        let (wishes, options, hosts) = (Arc::clone(&wanted), Arc::clone(options), Arc::clone(hosts));
        let running = tokio::spawn(async move {
            let (mut session, mut failing) = (None, false);
            loop {
                wishes.notified().await;
                let done = act(&mut session, &query, &options, &hosts).await;
                match &done {
                    // A statement that never works is not told of at every beat.
                    Err(error) if !failing => tracing::warn!(%error, hint = error.hint(), "heartbeat query failed"),
                    Err(error) => tracing::debug!(%error, "heartbeat query failed again"),
                    Ok(()) if failing => tracing::info!("heartbeat query works again"),
                    Ok(()) => {}
                }
                if done.is_err() {
                    metrics::counter!("thm_source_heartbeat_query_failures_total").increment(1);
                }
                failing = done.is_err();
            }
        });
        Self { wanted, running }
    }
}

async fn act(session: &mut Option<Session>, query: &str, options: &Options, hosts: &Hosts) -> Result<()> {
    let alive = match session.take().filter(|session| !session.is_closed()) {
        Some(session) => session,
        None => Session::connect(options, hosts).await?,
    };
    let done = session.insert(alive).batch_execute(query).await;
    done.map_err(|error| {
        from_sql(error, "running the heartbeat query", "heartbeat.action.query")
            .with_hint("Correct heartbeat.action.query, or give the connector's user the rights that it needs.")
    })
}
