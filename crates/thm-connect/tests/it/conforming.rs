//! The conformance suites, run on the fakes; and that they find a task that breaks its promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use thm_api::{Connector, Offset, SinkRecord, SinkTask, SourceTask, Task, TaskContext};
use thm_connect::conformance::{SinkSubject, SourceSubject, sink_task, source_task};

use crate::fake_sink::{FakeSink, Target};
use crate::fake_source::{Database, FakeSource};
use crate::stage::Stage;

fn context(stage: &Stage) -> TaskContext {
    TaskContext {
        connector: "c".into(),
        task: 0,
        config: thm_api::ConnectorConfig::default(),
        hosts: Arc::default(),
        state: stage.state.clone(),
        log: None,
        budget: thm_api::MemoryBudget::new(1 << 20),
        failpoints: thm_api::Failpoints::default(),
    }
}

struct Sink {
    stage: Stage,
    target: Arc<Target>,
    /// Shows every attempt instead of the rows, as a target without deduplication would.
    doubles: AtomicBool,
}

#[async_trait]
impl SinkSubject for Sink {
    fn task(&self) -> Box<dyn SinkTask> {
        let Ok(Task::Sink(task)) = FakeSink(Arc::clone(&self.target)).task(context(&self.stage)) else {
            panic!("a sink")
        };
        task
    }

    fn record(&self, offset: Offset) -> SinkRecord {
        let value = Some(format!("v{offset}").into());
        SinkRecord { offset, timestamp_ms: 1, key: None, value, headers: Arc::from([]), origin: None }
    }

    async fn shown(&self) -> String {
        if self.doubles.load(Ordering::Relaxed) {
            return format!("{:?}", self.target.attempts());
        }
        format!("{:?}", self.target.values())
    }
}

fn sink(doubles: bool) -> Sink {
    Sink { stage: Stage::new(), target: Target::new(10, false), doubles: doubles.into() }
}

#[tokio::test]
async fn the_fake_sink_conforms() {
    sink_task(&sink(false)).await;
}

#[tokio::test]
#[should_panic(expected = "a range that came again at once shows a difference")]
async fn a_sink_that_doubles_is_found() {
    sink_task(&sink(true)).await;
}

#[tokio::test]
#[should_panic(expected = "offsets of an older generation won")]
async fn a_fence_that_outlives_its_generation_is_found() {
    let sink = sink(false);
    sink.target.state.lock().has_fence = true;
    sink_task(&sink).await;
}

struct Source {
    stage: Stage,
    database: Arc<Database>,
    changes: AtomicUsize,
}

#[async_trait]
impl SourceSubject for Source {
    fn task(&self) -> Box<dyn SourceTask> {
        let made = FakeSource(Arc::clone(&self.database)).task(context(&self.stage));
        let Ok(Task::Source(task)) = made else { panic!("a source") };
        task
    }

    async fn change(&self, count: usize) {
        for _ in 0..count {
            let number = self.changes.fetch_add(1, Ordering::Relaxed);
            self.database.insert(if number.is_multiple_of(2) { "x" } else { "y" }, &[&number.to_string()]);
        }
    }
}

#[tokio::test]
async fn the_fake_source_conforms() {
    source_task(&Source { stage: Stage::new(), database: Arc::default(), changes: AtomicUsize::new(0) }).await;
}
