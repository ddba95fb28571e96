//! Both logs run the suite; the embedded one also with segments of one batch each, and without a tail cache.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use thm_api::Log;
use thm_log::conformance::{self, Subject};
use thm_log::storage::{Fault, FaultStorage};
use thm_log::{EmbeddedLog, LogConfig, MemoryLog};

use super::support::config;

struct Memory(Arc<MemoryLog>);

#[async_trait]
impl Subject for Memory {
    fn log(&self) -> Arc<dyn Log> {
        self.0.clone()
    }

    fn hold_durability(&self, held: bool) {
        self.0.hold_durability(held);
    }

    async fn reopen(&mut self) -> bool {
        false
    }
}

struct Embedded {
    dir: TempDir,
    storage: FaultStorage,
    segment_bytes: u64,
    tail_cache_bytes: usize,
    log: Option<Arc<EmbeddedLog>>,
}

impl Embedded {
    fn new(segment_bytes: u64, tail_cache_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut subject = Self { dir, storage: FaultStorage::new(), segment_bytes, tail_cache_bytes, log: None };
        subject.open();
        subject
    }

    fn open(&mut self) {
        let config = LogConfig {
            segment_bytes: self.segment_bytes,
            tail_cache_bytes: self.tail_cache_bytes,
            storage: Some(Arc::new(self.storage.clone())),
            ..config(self.dir.path())
        };
        self.log = Some(Arc::new(EmbeddedLog::open(config).unwrap()));
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // A case that failed may have left it held, and the drop of the log would wait.
        self.hold_durability(false);
    }
}

#[async_trait]
impl Subject for Embedded {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone().unwrap()
    }

    fn hold_durability(&self, held: bool) {
        let fault = Fault::HoldSync("*".to_owned());
        if held { self.storage.inject(fault) } else { self.storage.lift(&fault) }
    }

    async fn reopen(&mut self) -> bool {
        let log = self.log.take().unwrap();
        assert_eq!(Arc::strong_count(&log), 1, "the case still holds the log");
        drop(log);
        self.open();
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_log() {
    conformance::run(|| Box::new(Memory(Arc::new(MemoryLog::new())))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_log() {
    conformance::run(|| Box::new(Embedded::new(64 << 20, 24 << 20))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_log_that_rolls_at_every_batch() {
    conformance::run(|| Box::new(Embedded::new(1, 24 << 20))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_log_without_tail_cache() {
    conformance::run(|| Box::new(Embedded::new(300, 0))).await;
}
