//! Source → log → sink on the real log, over restarts of all of it.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{ErrorKind, Offset, Registry, TopicPartition};
use thm_connect::{CursorHolds, Herder, HerderOptions, InitialState, State};
use thm_log::group::{GroupConfig, GroupCoordinator};
use thm_log::{EmbeddedLog, FileStateStore, LogConfig};

use crate::fake_sink::{FakeSink, Fault, Target};
use crate::fake_source::{Database, FakeSource, PollFault};
use crate::stage::{Stage, config, task_is, until};

/// A herder on everything that the folder holds.
async fn herder(folder: &std::path::Path, database: &Arc<Database>, target: &Arc<Target>) -> Arc<Herder> {
    let log = Arc::new(EmbeddedLog::open(LogConfig::new(folder.join("log"))).unwrap());
    let groups = Arc::new(GroupCoordinator::open(GroupConfig::new(folder.join("groups"))).unwrap());
    let state = Arc::new(FileStateStore::open(folder.join("state")).unwrap());
    let registry = Registry::default().with(FakeSource(Arc::clone(database))).with(FakeSink(Arc::clone(target)));
    let options = HerderOptions {
        commit_interval: Duration::from_millis(20),
        ..HerderOptions::new(log.clone(), log, groups, state, registry)
    };
    let herder = Herder::new(options).unwrap();
    herder.start().await;
    herder
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_once_and_in_order_whatever_fails() {
    const LIVES: usize = 4;
    const ROWS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let (database, target) = (Arc::new(Database::default()), Target::new(7, true));
    let mut expected = Vec::new();
    for life in 0..LIVES {
        let herder = herder(folder.path(), &database, &target).await;
        if life == 0 {
            let source = config(&[("connector.class", "FakeSource")]);
            herder.create("src", source, InitialState::Running).await.unwrap();
            let sink = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "u")]);
            herder.create("s", sink, InitialState::Running).await.unwrap();
        }
        let rows: Vec<String> = (0..ROWS).map(|row| format!("{life}-{row}")).collect();
        database.0.lock().faults.extend([None, Some(PollFault::Fail(ErrorKind::SourceUnreachable))]);
        target.fault(Fault::Fail(ErrorKind::SinkUnreachable));
        database.insert("t", &rows.iter().map(String::as_str).collect::<Vec<_>>());
        expected.extend(rows);
        // Every second life ends in the middle.
        let enough = expected.len() - if life % 2 == 0 { ROWS / 2 } else { 0 };
        until("rows arrive", || target.values().len() >= enough).await;
        herder.stop().await;
    }
    let herder = herder(folder.path(), &database, &target).await;
    until("all rows", || target.values().len() == expected.len()).await;
    herder.stop().await;
    assert_eq!(target.values(), expected);
    let state = target.state.lock();
    assert!(state.rows.values().all(|written| written.iter().all(|value| *value == written[0])));
    drop(state);
    assert_eq!(database.acknowledged(), expected.len() as u64);
}

/// A log that counts who holds what.
#[derive(Default)]
struct Holds(parking_lot::Mutex<std::collections::BTreeMap<(String, String), i64>>);

impl CursorHolds for Holds {
    fn hold(&self, name: &str, partition: &TopicPartition, offset: Offset) {
        self.0.lock().insert((name.to_owned(), partition.to_string()), offset.0);
    }

    fn release(&self, name: &str) {
        self.0.lock().retain(|(of, _), _| of != name);
    }
}

#[tokio::test]
async fn a_sink_holds_what_it_has_not_delivered_until_it_is_deleted() {
    let (stage, target, holds) = (Stage::new(), Target::new(10, false), Arc::new(Holds::default()));
    let options = || HerderOptions {
        holds: Some(holds.clone()),
        ..stage.options(Registry::default().with(FakeSink(Arc::clone(&target))))
    };
    let held = || holds.0.lock().get(&("connect:s".to_owned(), "t-0".to_owned())).copied();
    stage.produce("t", &["a", "b"]).await;
    target.fault(Fault::Fail(ErrorKind::SinkDenied));
    let herder = Herder::new(options()).unwrap();
    herder.start().await;
    let sink = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "u")]);
    herder.create("s", sink, InitialState::Running).await.unwrap();
    task_is(&herder, "s", State::Failed).await;
    assert_eq!(held(), Some(0), "a failed one holds too");
    herder.restart_task("s", 0).await.unwrap();
    until("delivered", || held() == Some(2)).await;
    herder.pause("s").await.unwrap();
    task_is(&herder, "s", State::Paused).await;
    herder.stop().await;
    // The next process: paused, and holding.
    holds.0.lock().clear();
    let herder = Herder::new(options()).unwrap();
    herder.start().await;
    assert_eq!(held(), Some(2));
    herder.delete("s").await.unwrap();
    assert_eq!(held(), None);
}
