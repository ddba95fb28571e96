//! What a task tells of itself: states, counters, lags, the last error.
//!
//! Task loops write here, REST and the dashboard read. Counters are atomic; the rest changes once per batch at most
//! and stands behind a lock that nobody holds over an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use parking_lot::Mutex;
use thm_api::{ConnectorKind, Error, Offset, TopicPartition};

/// State of a connector or task, as Connect's REST API says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started yet.
    Unassigned,
    /// At work, or trying again.
    Running,
    /// Asked to pause.
    Paused,
    /// Stopped by an error until an operator acts.
    Failed,
    /// Between two lives.
    Restarting,
    /// Asked to stop; it has no tasks.
    Stopped,
}

impl State {
    /// In Connect's capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Where a sink stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Which partition.
    pub partition: TopicPartition,
    /// Next offset that is not yet in the target.
    pub position: Offset,
    /// First offset that is not yet readable.
    pub high_watermark: Offset,
}

impl PartitionLag {
    /// Records that are readable and not in the target.
    #[must_use]
    pub fn records(&self) -> u64 {
        u64::try_from(self.high_watermark.0 - self.position.0).unwrap_or(0)
    }
}

/// A task as it is now.
#[derive(Clone, Debug)]
pub struct TaskSnapshot {
    /// Task number, from 0.
    pub id: u32,
    /// Its state.
    pub state: State,
    /// Why it failed, or why the last attempt failed while another comes, with a hint.
    pub trace: Option<String>,
    /// Records given to the log or the target since the process started, those given twice counted twice.
    pub records: u64,
    /// Bytes of keys and values (a source: of batches) since the process started.
    pub bytes: u64,
    /// Where it stands; empty for a source.
    pub lags: Vec<PartitionLag>,
    /// The last error, also one that passed since.
    pub last_error: Option<String>,
    /// Whether the last attempt failed and another comes.
    pub retrying: bool,
    /// Attempts that failed and were repeated.
    pub retries: u64,
    /// Records in the dead letter queue.
    pub dead_letters: u64,
    /// A sink: from the commit (or Kafka timestamp) of the last delivered record to its delivery. A source: from the
    /// last batch's arrival to its durability.
    pub last_latency: Option<Duration>,
}

impl TaskSnapshot {
    /// Records that wait, over all partitions.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.lags.iter().map(PartitionLag::records).sum()
    }
}

/// A connector as it is now.
#[derive(Clone, Debug)]
pub struct ConnectorSnapshot {
    /// Its name.
    pub name: String,
    /// `connector.class` as written.
    pub class: String,
    /// Source or sink.
    pub kind: ConnectorKind,
    /// What it was asked to be.
    pub state: State,
    /// A sink's consumer group.
    pub group: Option<String>,
    /// Topics it has used since the start or the last reset.
    pub topics: Vec<String>,
    /// Its tasks; none while stopped.
    pub tasks: Vec<TaskSnapshot>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    trace: Option<String>,
    last_error: Option<String>,
    retrying: bool,
    last_latency: Option<Duration>,
    lags: BTreeMap<TopicPartition, (Offset, Offset)>,
    topics: BTreeSet<String>,
}

impl Inner {
    /// Leaves the trace of a failed attempt behind; a task that failed for good keeps its own.
    fn recovered(&mut self) {
        if self.retrying {
            self.retrying = false;
            self.trace = None;
        }
    }
}

/// Told with an error that does not stop the task: Connect's status has no word for "trying again".
const RETRIED: &str = "\nThe task tries again with growing pauses and goes on by itself.";

/// Most refused records that a trace names.
const TRACED_RECORDS: usize = 5;

/// The error, what it is about, and what to do.
fn trace(error: &Error) -> String {
    let mut text = error.to_string();
    for rejected in error.rejected().iter().take(TRACED_RECORDS) {
        text.push_str(&format!("\n\tat {} offset {}: {}", rejected.partition, rejected.offset, rejected.reason));
    }
    if error.rejected().len() > TRACED_RECORDS {
        text.push_str(&format!("\n\tand {} more", error.rejected().len() - TRACED_RECORDS));
    }
    text.push('\n');
    text.push_str(error.hint());
    text
}

/// A task's metrics, looked up once: the recorder must be installed before the herder is made.
struct Metrics {
    running: Gauge,
    failures: Counter,
    retries: Counter,
    records: Counter,
    dead_letters: Counter,
    lag: Gauge,
    latency: Histogram,
    write: Histogram,
}

impl Metrics {
    fn new(connector: &str) -> Self {
        let label = || connector.to_owned();
        Self {
            running: metrics::gauge!("thm_connect_task_running", "connector" => label()),
            failures: metrics::counter!("thm_connect_task_failures_total", "connector" => label()),
            retries: metrics::counter!("thm_connect_retries_total", "connector" => label()),
            records: metrics::counter!("thm_connect_records_total", "connector" => label()),
            dead_letters: metrics::counter!("thm_connect_dead_letters_total", "connector" => label()),
            lag: metrics::gauge!("thm_connect_lag_records", "connector" => label()),
            latency: metrics::histogram!("thm_connect_latency_seconds", "connector" => label()),
            write: metrics::histogram!("thm_connect_write_seconds", "connector" => label()),
        }
    }
}

/// One task's own page.
pub(crate) struct TaskStatus {
    metrics: Metrics,
    records: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    dead_letters: AtomicU64,
    inner: Mutex<Inner>,
}

impl TaskStatus {
    pub(crate) fn new(connector: &str) -> Self {
        Self {
            metrics: Metrics::new(connector),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                state: State::Unassigned,
                trace: None,
                last_error: None,
                retrying: false,
                last_latency: None,
                lags: BTreeMap::new(),
                topics: BTreeSet::new(),
            }),
        }
    }

    /// A new state; leaves `FAILED` behind with its trace.
    pub(crate) fn set_state(&self, state: State) {
        let mut inner = self.inner.lock();
        inner.state = state;
        inner.trace = None;
        if state != State::Running {
            inner.retrying = false;
        }
        drop(inner);
        let running = if state == State::Running { 1.0 } else { 0.0 };
        self.metrics.running.set(running);
    }

    /// The task ended with this error.
    pub(crate) fn fail(&self, error: &Error) {
        self.set_state(State::Failed);
        let mut inner = self.inner.lock();
        inner.last_error = Some(error.to_string());
        inner.trace = Some(trace(error));
        drop(inner);
        self.metrics.failures.increment(1);
    }

    /// An attempt failed and comes again.
    pub(crate) fn retry(&self, error: &Error) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        inner.last_error = Some(error.to_string());
        inner.trace = Some(trace(error) + RETRIED);
        inner.retrying = true;
        drop(inner);
        self.metrics.retries.increment(1);
    }

    /// A batch is in the log or the target.
    pub(crate) fn delivered(&self, records: u64, bytes: u64, latency: Option<Duration>) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        inner.recovered();
        if latency.is_some() {
            inner.last_latency = latency;
        }
        drop(inner);
        self.metrics.records.increment(records);
        if let Some(latency) = latency {
            self.metrics.latency.record(latency);
        }
    }

    /// One attempt of the target took so long.
    pub(crate) fn wrote_in(&self, taken: Duration) {
        self.metrics.write.record(taken);
    }

    /// Nothing fails at the moment.
    pub(crate) fn recovered(&self) {
        self.inner.lock().recovered();
    }

    pub(crate) fn dead_lettered(&self, records: u64) {
        self.dead_letters.fetch_add(records, Ordering::Relaxed);
        self.metrics.dead_letters.increment(records);
    }

    /// Where the sink stands in a partition.
    pub(crate) fn set_lag(&self, partition: &TopicPartition, position: Offset, high_watermark: Offset) {
        let mut inner = self.inner.lock();
        match inner.lags.get_mut(partition) {
            Some(lag) => *lag = (position, high_watermark),
            None => drop(inner.lags.insert(partition.clone(), (position, high_watermark))),
        }
        let lag: i64 = inner.lags.values().map(|(position, high)| (high.0 - position.0).max(0)).sum();
        drop(inner);
        #[expect(clippy::cast_precision_loss, reason = "a gauge of records")]
        self.metrics.lag.set(lag as f64);
    }

    /// Keeps the lags of these partitions only.
    pub(crate) fn retain_lags(&self, keep: impl Fn(&TopicPartition) -> bool) {
        self.inner.lock().lags.retain(|partition, _| keep(partition));
    }

    /// The connector has used a topic.
    pub(crate) fn used_topic(&self, topic: &str) {
        let mut inner = self.inner.lock();
        if !inner.topics.contains(topic) {
            inner.topics.insert(topic.to_owned());
        }
    }

    pub(crate) fn reset_topics(&self) {
        self.inner.lock().topics.clear();
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.inner.lock().topics.iter().cloned().collect()
    }

    pub(crate) fn state(&self) -> State {
        self.inner.lock().state
    }

    pub(crate) fn snapshot(&self, id: u32) -> TaskSnapshot {
        let inner = self.inner.lock();
        let lag = |(partition, (position, high)): (&TopicPartition, &(Offset, Offset))| PartitionLag {
            partition: partition.clone(),
            position: *position,
            high_watermark: *high,
        };
        TaskSnapshot {
            id,
            state: inner.state,
            trace: inner.trace.clone(),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            lags: inner.lags.iter().map(lag).collect(),
            last_error: inner.last_error.clone(),
            retrying: inner.retrying,
            retries: self.retries.load(Ordering::Relaxed),
            dead_letters: self.dead_letters.load(Ordering::Relaxed),
            last_latency: inner.last_latency,
        }
    }
}
