//! The snapshot: order of tables, completeness, all or again.

use thm_api::{Op, Position, SourceTask};

use crate::harness::{Bench, Stored};
use crate::postgres::Postgres;

/// Turns until the snapshot's last batch, without acknowledging.
async fn take(bench: &mut Bench, task: &mut dyn SourceTask) -> Position {
    loop {
        if let Some(complete) = bench.turn(task).await.filter(|complete| !complete.is_snapshot()) {
            return complete;
        }
    }
}

fn ids(stored: &[Stored], topic: &str) -> Vec<String> {
    stored.iter().filter(|record| record.topic == topic).map(Stored::key_text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn look_up_tables_come_first_and_stay_out_until_they_are_whole() {
    let mut bench = Bench::demo();
    // Both tables are larger than one poll.
    bench.postgres.psql("INSERT INTO content (slug, title) SELECT n, repeat('t', 500) FROM generate_series(1, 3000) n");
    bench.postgres.psql("INSERT INTO engagement_events (device) SELECT repeat('x', 500) FROM generate_series(1, 5000)");
    let mut task = bench.start().await.unwrap();
    let complete = take(&mut bench, &mut *task).await;
    assert_eq!(complete, Position::end_of(complete.commit_end));
    assert!(bench.stored.iter().all(|record| record.position == Position::snapshot(complete.commit_end)));
    assert_eq!(ids(&bench.stored, "pg.public.content").len(), 3020);
    assert_eq!(ids(&bench.stored, "pg.public.engagement_events").len(), 5300);
    let first_fact = bench.stored.iter().position(|record| record.topic.ends_with("events")).unwrap();
    assert_eq!(first_fact, 3020, "content stands before the events that refer to it");
    // A batch that says nothing of content's incompleteness has all of content before it.
    let mut content = 0;
    for batch in &bench.batches {
        let rows = |topic: &str| {
            let of = batch.appends.iter().filter(|append| append.topic.name == topic);
            of.map(|append| append.batch.records as usize).sum::<usize>()
        };
        content += rows("pg.public.content");
        assert!(content == 3020 || batch.incomplete.contains(&"pg.public.content".to_owned()));
        assert!(batch.complete.is_some());
    }
    let names = |batch: &thm_api::SourceBatch| !batch.appends.is_empty() && !batch.incomplete.is_empty();
    assert!(bench.batches.iter().any(names), "content comes in parts");
    assert!(bench.batches.len() > 2, "facts come in chunks: {}", bench.batches.len());
    assert!(bench.batches.last().unwrap().incomplete.is_empty());
    let rows: usize = bench.decoded.iter().map(|(_, batch)| batch.rows.num_rows()).sum();
    assert_eq!(rows, 8320);
    assert!(bench.decoded.iter().all(|(_, batch)| batch.meta.iter().all(|meta| meta.op == Op::Read)));
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_complete_at_once() {
    let mut bench = Bench::new(crate::postgres::Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    assert!(bench.stored.is_empty());
    let topics: Vec<_> = bench.progress.keys().map(|partition| partition.topic.to_string()).collect();
    assert_eq!(topics, ["pg.public.t"], "a topic without records is there all the same");
    bench.postgres.psql("INSERT INTO t VALUES (1)");
    bench.catch_up(&mut *task).await;
    assert_eq!(ids(&bench.stored, "pg.public.t"), ["{\"id\":1}"]);
    task.stop().await.unwrap();
}

/// Promise 12. Without the durable `Started` the second start would go on from the slot and lose the rows.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_snapshot_is_taken_again_from_a_new_slot() {
    let mut bench = Bench::demo();
    bench.postgres.psql("INSERT INTO engagement_events (device) SELECT repeat('x', 500) FROM generate_series(1, 5000)");
    let mut task = bench.start().await.unwrap();
    let first = bench.turn(&mut *task).await.unwrap();
    task.acknowledge(first).await.unwrap();
    assert!(first.is_snapshot());
    drop(task);
    bench.postgres.psql("INSERT INTO engagement_events (device) VALUES ('after')");
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(ids(&bench.stored, "pg.public.engagement_events").len(), 5301);
    assert!(bench.stored[0].position.commit_end > first.commit_end, "a new slot, a new consistent point");
    task.stop().await.unwrap();
    // Now it is finished: no row comes again.
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert!(bench.stored.is_empty());
    task.stop().await.unwrap();
}

/// The last batch alone is not enough: it must be durable before the snapshot counts as finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_given_but_never_acknowledged_is_taken_again() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    take(&mut bench, &mut *task).await;
    drop(task);
    bench.stored.clear();
    let mut task = bench.start_again().await;
    take(&mut bench, &mut *task).await;
    assert_eq!(bench.stored.len(), 320);
    task.stop().await.unwrap();
}

/// Snapshot and stream meet without gap or overlap while a writer is busy.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_during_the_snapshot_loses_nothing() {
    let mut bench = Bench::demo();
    let port = bench.postgres.port.to_string();
    let mut writer = tokio::process::Command::new("sh")
        .args(["-c", "for n in $(seq 1 300); do echo \"INSERT INTO engagement_events (device) VALUES ('w$n');\"; done | psql -Xq -h 127.0.0.1 -U thm -d thm -p $0", &port])
        .env("PGPASSWORD", "thm")
        .spawn()
        .unwrap();
    let mut task = bench.start().await.unwrap();
    take(&mut bench, &mut *task).await;
    assert!(writer.wait().await.unwrap().success());
    bench.catch_up(&mut *task).await;
    let mut seen = ids(&bench.stored, "pg.public.engagement_events");
    assert_eq!(seen.len(), 600);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 600, "no row twice");
    task.stop().await.unwrap();
}

/// The worker drops polls whenever an append becomes durable.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_polls_lose_nothing() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    let mut patience_us = 1;
    let insert = "BEGIN; INSERT INTO engagement_events (device) SELECT 'x' FROM generate_series(1, 100);
                  INSERT INTO content (slug, title) VALUES ('new', 'n'); COMMIT";
    let mut streamed = false;
    while bench.stored.len() < 421 {
        // Dropped at its first wait, then at some later one.
        if let Some(batch) = futures::FutureExt::now_or_never(task.poll()) {
            bench.take(batch.unwrap());
        }
        let patience = std::time::Duration::from_micros(patience_us);
        match tokio::time::timeout(patience, task.poll()).await {
            Ok(batch) => drop(bench.take(batch.unwrap())),
            Err(_late) => patience_us = if patience_us > 20_000 { 1 } else { patience_us * 3 / 2 + 1 },
        }
        if bench.stored.len() == 320 && !streamed {
            bench.postgres.psql(insert);
            streamed = true;
        }
    }
    assert_eq!(ids(&bench.stored, "pg.public.content").len(), 21);
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn initial_statements_run_on_every_session_but_the_stream() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE seen (text text)");
    bench.set("table.include.list", "public.t");
    bench.set("database.initial.statements", "INSERT INTO seen VALUES (';;'); SET work_mem = '1MB';");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    let seen = bench.postgres.psql("SELECT text, count(*) > 1 FROM seen GROUP BY text");
    assert_eq!((seen.as_str(), bench.stored.len()), (";|t", 1));
    bench.set("database.initial.statements", "SELEKT 1");
    let error = bench.check().await.unwrap_err();
    assert!(error.to_string().contains("database.initial.statements: SELEKT 1"), "{error}");
}
