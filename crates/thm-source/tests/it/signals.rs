//! Signals by table, file and topic: where their notifications stand, and that a restart surprises nobody.

use std::io::Write;
use std::sync::Arc;

use thm_api::{Append, Log, LogBatch, TopicPartition, TopicSpec};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use crate::harness::{Bench, Stored};
use crate::postgres::Postgres;

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY);
    CREATE TABLE sig (id text PRIMARY KEY, type text, data text)";

fn bench(options: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql(TABLES);
    let notes = [("notification.enabled.channels", "sink"), ("notification.sink.topic.name", "notes")];
    for (name, value) in notes.iter().chain(options) {
        bench.set(name, value);
    }
    bench
}

/// Topic and key of what came, snapshots' notifications left out.
fn told(bench: &Bench) -> Vec<String> {
    let show = |record: &Stored| match record.topic.as_str() {
        "notes" if record.json()["aggregate_type"] == "Initial Snapshot" => None,
        "notes" => {
            let json = record.json();
            assert!(json["additional_data"]["reason"].as_str().unwrap().contains("not available"));
            assert_eq!(record.key_text(), format!("{{\"id\":{}}}", json["id"]));
            let data = &json["additional_data"]["signal_type"];
            Some(format!("{} {} {data}", json["type"].as_str().unwrap(), json["id"]))
        }
        topic => Some(format!("{topic} {}", record.key_text())),
    };
    bench.stored.iter().filter_map(show).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_the_table_is_a_signal_and_a_record() {
    let mut bench = bench(&[("signal.data.collection", "public.sig"), ("table.include.list", "public.t")]);
    bench.set("publication.autocreate.mode", "filtered");
    bench.postgres.psql("INSERT INTO sig VALUES ('old', 'execute-snapshot', '{}')");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    assert!(told(&bench).is_empty(), "what the table had is neither given nor obeyed: {:?}", told(&bench));
    bench
        .postgres
        .psql("INSERT INTO sig VALUES ('a', 'execute-snapshot', '{}'), ('b', 'no-such', ''), ('c', 'log', '{')");
    bench.postgres.psql("INSERT INTO t VALUES (1); UPDATE sig SET type = 'stop-snapshot' WHERE id = 'c'");
    bench.catch_up(&mut *task).await;
    let row = |id: &str| format!("pg.public.sig {{\"id\":\"{id}\"}}");
    let refused = "ABORTED \"a\" \"execute-snapshot\"".to_owned();
    let expected = [row("a"), row("b"), row("c"), row("c"), "pg.public.t {\"id\":1}".to_owned(), refused];
    let mut all = told(&bench);
    all.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(all, expected);
    drop(task);

    // The slot has heard of nothing, so all comes again, and none of it a second time.
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.postgres.psql("INSERT INTO sig VALUES ('d', 'pause-snapshot', NULL)");
    bench.catch_up(&mut *task).await;
    assert_eq!(told(&bench).len(), 2, "{:?}", told(&bench));
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_file_are_signals_until_what_they_gave_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signals");
    let file = path.display().to_string();
    let mut bench =
        bench(&[("signal.enabled.channels", "file"), ("signal.file", &file), ("signal.poll.interval.ms", "10")]);
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    let add = |line: &str| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        writeln!(file, "{line}").unwrap();
    };
    add(r#"{"id": "f", "type": "execute-snapshot", "data": {}}"#);
    add("no signal");
    while told(&bench).is_empty() {
        bench.turn(&mut *task).await;
    }
    drop(task);
    assert!(std::fs::metadata(&path).unwrap().len() > 0, "nobody has said that it is durable");

    bench.stored.clear();
    let mut task = bench.start_again().await;
    while std::fs::metadata(&path).unwrap().len() > 0 {
        if let Some(complete) = bench.turn(&mut *task).await {
            task.acknowledge(complete).await.unwrap();
        }
    }
    assert_eq!(told(&bench), ["ABORTED \"f\" \"execute-snapshot\""]);
    task.stop().await.unwrap();
}

async fn produce(log: &dyn Log, key: &str, value: &str) {
    log.create_topic(&TopicSpec::new("pg-signal")).await.unwrap();
    let mut writer = BatchWriter::new();
    writer.push(1, Some(key.as_bytes()), Some(value.as_bytes()), &HeaderBlock::default());
    let batch = LogBatch { records: 1, bytes: writer.finish(), positions: [].into(), decoded: None };
    let append = Append { batch: Some(batch), progress: None };
    log.append(&TopicPartition::new("pg-signal", 0), append).await.unwrap().durable.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_the_topic_are_signals_of_whom_they_are_keyed_by() {
    let log = Arc::new(thm_log::MemoryLog::new());
    let mut bench = bench(&[("signal.enabled.channels", "source,kafka"), ("signal.poll.interval.ms", "10")]);
    bench.log = Some(Arc::clone(&log) as Arc<dyn Log>);
    let signal = |id: &str| format!(r#"{{"id": "{id}", "type": "resume-snapshot", "data": {{}}}}"#);
    produce(&*log, "pg", &signal("first")).await;
    produce(&*log, "other", &signal("others")).await;
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    produce(&*log, "pg", "no signal").await;
    produce(&*log, "pg", &signal("second")).await;
    let refused = |id: &str| format!("ABORTED \"{id}\" \"resume-snapshot\"");
    while told(&bench).len() < 2 {
        if let Some(complete) = bench.turn(&mut *task).await {
            task.acknowledge(complete).await.unwrap();
        }
    }
    assert_eq!(told(&bench), [refused("first"), refused("second")]);
    task.stop().await.unwrap();

    bench.stored.clear();
    let mut task = bench.start_again().await;
    produce(&*log, "pg", &signal("third")).await;
    while told(&bench).is_empty() {
        if let Some(complete) = bench.turn(&mut *task).await {
            task.acknowledge(complete).await.unwrap();
        }
    }
    assert_eq!(told(&bench), [refused("third")]);
    task.stop().await.unwrap();
}
