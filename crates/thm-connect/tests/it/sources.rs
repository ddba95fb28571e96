//! What the worker promises to sources.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{Completeness, ErrorKind, Log, Offset, ReadLimits, Registry, TopicPartition};
use thm_connect::{Herder, InitialState, State};

use crate::fake_source::{Database, FakeSource, PollFault};
use crate::stage::{Stage, config, task, task_is, until};

fn registry(database: &Arc<Database>) -> Registry {
    Registry::default().with(FakeSource(Arc::clone(database)))
}

async fn create(herder: &Herder) {
    let config = config(&[("connector.class", "FakeSource")]);
    herder.create("src", config, InitialState::Running).await.unwrap();
}

async fn values(stage: &Stage, topic: &str) -> Vec<String> {
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    let Ok(read) = stage.log.read(&TopicPartition::new(topic, 0), Offset(0), limits).await else { return Vec::new() };
    let mut values = Vec::new();
    for batch in read.batches {
        assert_eq!(batch.producer.as_deref(), Some("source:src"));
        for record in thm_codec::record_batch::records(&batch.batch.bytes).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

#[tokio::test]
async fn nothing_is_acknowledged_or_published_before_every_partition_is_durable() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.insert("x", &["1"]);
    database.insert("y", &["2"]);
    let herder = stage.herder(registry(&database)).await;
    stage.log.hold_durability(true);
    create(&herder).await;
    let told = stage.board.watch("x");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(database.acknowledged(), 0);
    assert!(told.borrow().is_none());
    stage.log.hold_durability(false);
    until("acknowledged", || database.acknowledged() == 2).await;
    let complete = told.borrow().clone().unwrap();
    assert_eq!(complete.position.commit_end.0, 2);
    assert_eq!(complete.ends["x"], [Some(Offset(1))]);
    assert_eq!(complete.ends["y"], [Some(Offset(1))]);
    assert_eq!(task(&herder, "src").records, 2);
    herder.stop().await;
    assert_eq!(database.0.lock().stops, 1);
}

#[tokio::test]
async fn after_a_crash_between_append_and_acknowledgement_nothing_is_lost_or_doubled() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.insert("x", &["1"]);
    database.insert("y", &["2"]);
    database.insert("x", &["3"]);
    stage.log.hold_durability(true);
    let crashing = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let options = stage.options(registry(&database));
    crashing.spawn(async move {
        let herder = Herder::new(options).unwrap();
        herder.start().await;
        create(&herder).await;
        std::future::pending::<()>().await;
    });
    until("started", || !database.0.lock().starts.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::task::spawn_blocking(move || crashing.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
    // The disk got it, the database was never told.
    stage.log.hold_durability(false);
    assert_eq!(database.acknowledged(), 0);
    let herder = stage.herder(registry(&database)).await;
    until("acknowledged", || database.acknowledged() == 3).await;
    assert_eq!(values(&stage, "x").await, ["1", "3"]);
    assert_eq!(values(&stage, "y").await, ["2"]);
    herder.stop().await;
}

/// Lets a source fail while its appends await durability, and counts the rows it leaves.
async fn rows_after(fault: PollFault) -> Vec<String> {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    let herder = stage.herder(registry(&database)).await;
    stage.log.hold_durability(true);
    database.insert("x", &["1", "2"]);
    database.0.lock().faults.extend([None, None, Some(fault)]);
    create(&herder).await;
    until("failed", || database.0.lock().faults.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(database.0.lock().starts.len(), 1, "not started again over appends in flight");
    stage.log.hold_durability(false);
    if matches!(fault, PollFault::Panic) {
        task_is(&herder, "src", State::Failed).await;
        herder.restart_task("src", 0).await.unwrap();
    }
    database.insert("x", &["3"]);
    until("acknowledged", || database.acknowledged() == 3).await;
    herder.stop().await;
    values(&stage, "x").await
}

#[tokio::test]
async fn a_broken_connection_is_made_anew_only_after_the_appends_in_flight() {
    assert_eq!(rows_after(PollFault::Fail(ErrorKind::SourceUnreachable)).await, ["1", "2", "3"]);
    assert_eq!(rows_after(PollFault::Panic).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_topic_that_is_gone_stops_the_source_by_its_name() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.insert("x", &["1"]);
    let herder = stage.herder(registry(&database)).await;
    create(&herder).await;
    until("acknowledged", || database.acknowledged() == 1).await;
    herder.stop_connector("src").await.unwrap();
    stage.log.delete_topic("x").await.unwrap();
    herder.resume("src").await.unwrap();
    task_is(&herder, "src", State::Failed).await;
    let trace = task(&herder, "src").trace.unwrap();
    assert!(trace.starts_with("THM-LOG-003") && trace.contains(": x"), "{trace}");
    // Told to start over, it goes on; once.
    let again = config(&[("connector.class", "FakeSource"), ("thm.start", "resnapshot")]);
    herder.put_config("src", again).await.unwrap();
    database.insert("x", &["2"]);
    until("acknowledged", || database.acknowledged() == 2).await;
    herder.stop_connector("src").await.unwrap();
    stage.log.delete_topic("x").await.unwrap();
    herder.resume("src").await.unwrap();
    task_is(&herder, "src", State::Failed).await;
    herder.stop().await;
}

#[tokio::test]
async fn a_batch_without_records_makes_its_topic_known_as_complete() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.0.lock().empty_topic = true;
    database.insert("x", &["1"]);
    let herder = stage.herder(registry(&database)).await;
    create(&herder).await;
    until("acknowledged", || database.acknowledged() == 1).await;
    let complete = stage.board.watch("empty").borrow().clone().unwrap();
    assert_eq!(complete.ends["empty"], [Some(Offset(0))]);
    herder.stop().await;
}

/// Two sources on one slot would steal each other's changes.
#[tokio::test]
async fn what_one_connector_may_have_is_refused_to_a_second() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    let herder = stage.herder(registry(&database)).await;
    let of = |slot| config(&[("connector.class", "FakeSource"), ("slot.name", slot)]);
    herder.create("one", of("a"), InitialState::Stopped).await.unwrap();
    let refusal = herder.create("two", of("a"), InitialState::Running).await.unwrap_err();
    assert_eq!(refusal.status, 409);
    for word in ["one", "two", "the slot a", "Choose another slot.name", "delete one"] {
        assert!(refusal.message.contains(word), "{}", refusal.message);
    }
    herder.create("two", of("b"), InitialState::Stopped).await.unwrap();
    assert_eq!(herder.put_config("two", of("a")).await.unwrap_err().status, 409);
    herder.put_config("one", of("a")).await.unwrap();
    herder.delete("one").await.unwrap();
    herder.put_config("two", of("a")).await.unwrap();
    herder.stop().await;
}
