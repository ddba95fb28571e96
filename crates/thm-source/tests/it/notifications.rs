//! Notifications of a snapshot, in the order and with the words of the recorded case `signal-notification`.

use crate::harness::{Bench, Stored};
use crate::postgres::Postgres;

fn told(bench: &Bench) -> Vec<String> {
    let show = |record: &Stored| match record.topic.as_str() {
        "notes" => {
            let json = record.json();
            assert_eq!(record.key_text(), format!("{{\"id\":{}}}", json["id"]));
            assert_eq!(json["aggregate_type"], "Initial Snapshot");
            assert!(json["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
            let value = String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap();
            let data = value.split("\"additional_data\":").nth(1).unwrap();
            format!("{} {}", json["type"].as_str().unwrap(), data.split(",\"timestamp\"").next().unwrap())
        }
        topic => format!("{topic} {}", record.key_text()),
    };
    bench.stored.iter().map(show).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_told_of_and_so_is_one_that_is_not_taken() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE TABLE u (a int)");
    bench.set("notification.enabled.channels", "sink, log");
    bench.set("notification.sink.topic.name", "notes");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    let both = r#""connector_name":"pg","data_collections":"public.t,public.u""#;
    let scanned = |table: &str, rows: u32| {
        format!(
            "TABLE_SCAN_COMPLETED {{\"scanned_collection\":\"public.{table}\",\"connector_name\":\"pg\",\"total_rows_scanned\":\"{rows}\",\
             \"data_collections\":\"public.t,public.u\",\"status\":\"SUCCEEDED\"}}"
        )
    };
    let expected = [
        r#"STARTED {"connector_name":"pg"}"#.to_owned(),
        format!("DATA_COLLECTIONS_RESOLVED {{{both}}}"),
        format!("IN_PROGRESS {{\"current_collection_in_progress\":\"public.t\",{both}}}"),
        r#"pg.public.t {"id":1}"#.to_owned(),
        scanned("t", 2),
        format!("IN_PROGRESS {{\"current_collection_in_progress\":\"public.u\",{both}}}"),
        scanned("u", 0),
        r#"pg.public.t {"id":2}"#.to_owned(),
        r#"COMPLETED {"connector_name":"pg"}"#.to_owned(),
    ];
    assert_eq!(told(&bench), expected);
    task.stop().await.unwrap();

    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.postgres.psql("INSERT INTO t VALUES (3)");
    bench.catch_up(&mut *task).await;
    assert_eq!(told(&bench)[0], r#"SKIPPED {"connector_name":"pg"}"#);
    assert_eq!(told(&bench).len(), 2);
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_data_there_are_no_tables_to_tell_of() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    bench.set("snapshot.mode", "no_data");
    bench.set("notification.enabled.channels", "sink");
    bench.set("notification.sink.topic.name", "notes");
    let mut task = bench.start().await.unwrap();
    bench.postgres.psql("INSERT INTO t VALUES (2)");
    bench.catch_up(&mut *task).await;
    let told = told(&bench);
    let words: Vec<_> = told.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(words, ["STARTED", "DATA_COLLECTIONS_RESOLVED", "COMPLETED", "pg.public.t"]);
    task.stop().await.unwrap();
}
