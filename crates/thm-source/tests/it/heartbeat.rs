//! Heartbeats: their records, the statement that goes with them, and a slot that does not keep WAL for others.

use std::time::{Duration, Instant};

use thm_api::{Lsn, SourceTask};

use crate::harness::Bench;
use crate::postgres::Postgres;

const TOPIC: &str = "__debezium-heartbeat.pg";

/// Turns until `done`, acknowledging.
async fn until(bench: &mut Bench, task: &mut dyn SourceTask, what: &str, done: impl Fn(&Bench) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done(bench) {
        if let Some(position) = bench.turn(task).await {
            task.acknowledge(position).await.unwrap();
        }
        assert!(Instant::now() < deadline, "never: {what}");
    }
}

fn beats(bench: &Bench) -> usize {
    bench.stored.iter().filter(|record| record.topic == TOPIC).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_now_and_then_and_a_statement_with_it() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE TABLE beat (id int PRIMARY KEY, n int); INSERT INTO beat VALUES (1, 0)",
    );
    bench.set("table.include.list", "public.t");
    bench.set("heartbeat.interval.ms", "50");
    bench.set("heartbeat.action.query", "UPDATE beat SET n = n + 1; SELECT 1 / (n % 3) FROM beat");
    let mut task = bench.start().await.unwrap();
    let ran = |bench: &Bench| beats(bench) > 5 && bench.postgres.psql("SELECT n FROM beat") == "2";
    until(&mut bench, &mut *task, "a few beats", ran).await;
    until(&mut bench, &mut *task, "more beats", |bench| beats(bench) > 12).await;
    assert_eq!(bench.stored[0].topic, "pg.public.t", "none comes while tables are copied");
    let first = bench.stored.iter().find(|record| record.topic == TOPIC).unwrap();
    assert_eq!(first.key_text(), r#"{"serverName":"pg"}"#);
    assert!(
        first.json()["ts_ms"].as_i64().unwrap() > 1_700_000_000_000 && first.json().as_object().unwrap().len() == 1
    );
    // The third update divides by zero: its transaction is undone as a whole, and the task goes on.
    assert_eq!(bench.postgres.psql("SELECT n FROM beat"), "2");
    task.stop().await.unwrap();
    // Positions never go back, also in the next life.
    let before = beats(&bench);
    let mut task = bench.start_again().await;
    until(&mut bench, &mut *task, "a beat after a restart", |bench| beats(bench) > before).await;
    let places: Vec<_> = bench.stored.iter().filter(|record| record.topic == TOPIC).map(|r| r.position).collect();
    assert!(places.is_sorted());
    task.stop().await.unwrap();
}

/// What would fill a disk: a source whose tables are idle while a neighbour is busy. Both marks of the slot move on.
#[tokio::test(flavor = "multi_thread")]
async fn wal_of_uncaptured_tables_and_other_databases_is_let_go() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE busy (x text)");
    bench.postgres.psql("CREATE DATABASE neighbour");
    bench.set("table.include.list", "public.t");
    bench.set("publication.autocreate.mode", "filtered");
    bench.set("heartbeat.interval.ms", "100");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    for busy in ["thm", "neighbour"] {
        bench.postgres.psql_in(busy, "CREATE TABLE IF NOT EXISTS busy (x text)");
        bench.postgres.psql_in(busy, "INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
        let end: Lsn = bench.postgres.psql("SELECT pg_current_wal_lsn()").parse().unwrap();
        // A checkpoint says which transactions run; from there a slot may begin to read.
        bench.postgres.psql("CHECKPOINT");
        let freed = move |bench: &Bench| {
            let marks = bench.postgres.psql(
                "SELECT least(restart_lsn, confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = 'debezium'",
            );
            marks.parse::<Lsn>().unwrap() >= end
        };
        until(&mut bench, &mut *task, busy, freed).await;
    }
    task.stop().await.unwrap();
}
