//! A stage for a herder: a log in memory, groups and state in a folder that survives the herder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Append, Log, LogBatch, Offset, OffsetStore, Registry, TopicPartition, TopicSpec};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use thm_connect::{Herder, HerderOptions, RawConfig, State};
use thm_log::group::{GroupConfig, GroupCoordinator};
use thm_log::{CompletenessBoard, FileStateStore, MemoryLog};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stage {
    pub log: Arc<MemoryLog>,
    pub board: Arc<CompletenessBoard>,
    pub groups: Arc<GroupCoordinator>,
    pub state: Arc<FileStateStore>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            log: Arc::new(MemoryLog::new()),
            board: Arc::new(CompletenessBoard::new()),
            groups: Arc::new(GroupCoordinator::open(GroupConfig::new(folder.path().join("groups"))).unwrap()),
            state: Arc::new(FileStateStore::open(folder.path().join("state")).unwrap()),
            _folder: folder,
        }
    }

    pub fn options(&self, registry: Registry) -> HerderOptions {
        HerderOptions {
            commit_interval: Duration::from_millis(20),
            stop_grace: Duration::from_secs(2),
            ..HerderOptions::new(
                self.log.clone(),
                self.board.clone(),
                self.groups.clone(),
                self.state.clone(),
                registry,
            )
        }
    }

    /// A herder that has been started.
    pub async fn herder(&self, registry: Registry) -> Arc<Herder> {
        let herder = Herder::new(self.options(registry)).unwrap();
        herder.start().await;
        herder
    }

    /// Appends foreign records, one batch, each value its own key.
    pub async fn produce(&self, topic: &str, values: &[&str]) {
        self.log.create_topic(&TopicSpec::new(topic)).await.unwrap();
        self.produce_to(topic, 0, values).await;
    }

    /// The same to one partition of a topic that is there.
    pub async fn produce_to(&self, topic: &str, partition: u32, values: &[&str]) {
        let mut writer = BatchWriter::new();
        for value in values {
            writer.push(1, Some(value.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
        }
        let batch = LogBatch { records: writer.len(), bytes: writer.finish(), positions: Arc::from([]), decoded: None };
        let append = Append { batch: Some(batch), progress: None };
        let appended = self.log.append(&TopicPartition::new(topic, partition), append).await.unwrap();
        appended.durable.await.unwrap();
    }

    pub fn committed(&self, group: &str, topic: &str) -> Option<Offset> {
        self.groups.committed(group).offsets.get(&TopicPartition::new(topic, 0)).copied()
    }
}

pub fn config(options: &[(&str, &str)]) -> RawConfig {
    options.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the connector's task is in a state.
pub async fn task_is(herder: &Herder, name: &str, state: State) {
    let end = Instant::now() + PATIENCE;
    while herder.state(name).and_then(|(_, task)| task) != Some(state) {
        assert!(Instant::now() < end, "{name} never {state:?}: {:?}", herder.snapshot());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn task(herder: &Herder, name: &str) -> thm_connect::TaskSnapshot {
    let found = herder.snapshot().into_iter().find(|connector| connector.name == name).unwrap();
    found.tasks.into_iter().next().unwrap()
}
