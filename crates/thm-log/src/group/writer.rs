//! The one thread that changes stored groups: all changes that wait go into one line and one fsync.
//!
//! ```text
//!   commit, reset, delete ──▶ queue ──▶ plan against working copy ──▶ journal: one line, one fsync
//!                                            │ refused                        │ durable
//!                                            ▼                                ▼
//!                                       answer: error            publish to readers, answer: generation
//! ```
//!
//! Readers never see a state that a crash could take back, and changes take effect in the order of the queue,
//! so a commit that is queued behind a reset is already stale.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use thm_api::{Error, ErrorKind, Generation, Result};
use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use super::live::Exclusive;
use super::state::{Change, Groups, Record, apply, plan};

/// Most changes in one line, which bounds the line. More wait for the next fsync.
const MAX_CHANGES_PER_WRITE: usize = 1024;

struct Command {
    change: Change,
    /// Keeps members out of the group until the change is published, even if the caller goes away.
    exclusive: Option<Exclusive>,
    answer: Option<oneshot::Sender<Result<Generation>>>,
}

/// Sends changes to the thread. Dropping it ends the thread after what is queued.
#[derive(Debug)]
pub struct Writer {
    /// Unbounded, yet bounded by callers: each waits for its answer, but for one `Adopt` per lease.
    queue: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("change", &self.change).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread; `published` is what readers see.
    pub fn start(journal: Journal, published: Arc<RwLock<Groups>>) -> Result<Self> {
        let (queue, commands) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("thm-groups".to_owned())
            .spawn(move || run(journal, &published, commands))
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "starting the thread of consumer groups", "thm-groups")
                    .with_source(error)
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a change and waits until it is durable and published. The generation is the group's afterwards.
    pub async fn change(&self, change: Change, exclusive: Option<Exclusive>) -> Result<Generation> {
        let (answer, answered) = oneshot::channel();
        self.send(Command { change, exclusive, answer: Some(answer) });
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Queues a change that nobody waits for.
    pub fn change_later(&self, change: Change) {
        self.send(Command { change, exclusive: None, answer: None });
    }

    fn send(&self, command: Command) {
        if let Some(queue) = &self.queue {
            // A closed queue drops the command, and with it the answer: the caller sees `stopped`.
            let _ = queue.send(command);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::LogIo, "storing consumer groups", "thm-groups").with_hint("The process is stopping.")
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn run(mut journal: Journal, published: &RwLock<Groups>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut working = published.read().clone();
    while let Some(first) = commands.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < MAX_CHANGES_PER_WRITE {
            let Ok(next) = commands.try_recv() else { break };
            batch.push(next);
        }
        write_batch(&mut journal, &mut working, published, batch);
    }
}

fn write_batch(journal: &mut Journal, working: &mut Groups, published: &RwLock<Groups>, batch: Vec<Command>) {
    let mut records: Vec<Record> = Vec::new();
    let mut done = Vec::with_capacity(batch.len());
    for command in batch {
        match plan(working, &command.change, now_ms()) {
            Ok(planned) => {
                let generation = planned.first().map(|record| record.generation);
                planned.iter().for_each(|record| apply(working, record));
                records.extend(planned);
                let current = generation.unwrap_or_else(|| generation_of(working, &command.change));
                done.push((command, current));
            }
            Err(refused) => answer(command, Err(refused)),
        }
    }
    if !records.is_empty() {
        if let Err(error) = journal.write(&records) {
            tracing::error!(%error, "cannot store consumer groups");
            done.into_iter().for_each(|(command, _)| answer(command, Err(write_failed(&error))));
            return;
        }
        metrics::counter!("thm_group_changes_total").increment(records.len() as u64);
        publish(published, working, &records);
    }
    done.into_iter().for_each(|(command, generation)| answer(command, Ok(generation)));
    if let Err(error) = journal.compact_if_due(working) {
        tracing::error!(%error, "cannot compact the file of consumer groups");
    }
}

fn publish(published: &RwLock<Groups>, working: &Groups, records: &[Record]) {
    let mut published = published.write();
    for record in records {
        match working.get(&record.group) {
            Some(stored) => published.insert(Arc::clone(&record.group), Arc::clone(stored)),
            None => published.remove(&record.group),
        };
    }
}

fn generation_of(groups: &Groups, change: &Change) -> Generation {
    let group = match change {
        Change::ConnectorCommit { group, .. }
        | Change::ClientCommit { group, .. }
        | Change::Adopt { group }
        | Change::Reset { group, .. }
        | Change::Delete { group }
        | Change::DeleteOffsets { group, .. } => group,
        Change::ForgetTopic { .. } => return Generation::default(),
    };
    groups.get(group).map_or_else(Generation::default, |stored| stored.generation)
}

fn answer(command: Command, result: Result<Generation>) {
    let Command { exclusive, answer, .. } = command;
    drop(exclusive);
    if let Some(answer) = answer {
        // The caller may have gone away; the change stands.
        let _ = answer.send(result);
    }
}

fn write_failed(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::LogIo, "storing consumer groups", "thm-groups")
        .with_source(std::io::Error::new(error.kind(), error.to_string()))
}
