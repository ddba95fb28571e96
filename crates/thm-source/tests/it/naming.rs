//! Several tables in one topic: commit order, keys that tell them apart, and progress that loses nothing.

use thm_api::Position;

use crate::harness::Bench;
use crate::postgres::Postgres;

/// Two shards in one topic.
fn bench() -> Bench {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql(
        "CREATE TABLE shard_1 (id int PRIMARY KEY, v text); CREATE TABLE shard_2 (id int PRIMARY KEY, n int);
         INSERT INTO shard_1 VALUES (1, 'a'); INSERT INTO shard_2 VALUES (1, 10)",
    );
    bench.set("topic.naming.strategy", "io.debezium.schema.SchemaRegexTopicNamingStrategy");
    bench.set("topic.regex", r"(.*)shard_\d+");
    bench.set("topic.replacement", "$1shards");
    bench
}

const KEYS: [&str; 2] = [
    r#"{"id":1,"__dbz__physicalTableIdentifier":"pg.public.shard_1"}"#,
    r#"{"id":1,"__dbz__physicalTableIdentifier":"pg.public.shard_2"}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_two_tables_stand_in_commit_order() {
    let mut bench = bench();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    let keys: Vec<_> = bench.stored.iter().map(|record| record.key_text()).collect();
    assert_eq!(keys, KEYS);
    assert!(bench.stored.iter().all(|record| record.topic == "pg.public.shards"));
    // What the topic held before is compared once both have been read.
    let superseded = |batch: &thm_api::SourceBatch| batch.superseded.len();
    assert_eq!(bench.batches.iter().map(superseded).sum::<usize>(), 1);

    let before = bench.stored.len();
    bench.postgres.psql(
        "BEGIN; INSERT INTO shard_1 VALUES (2); INSERT INTO shard_2 VALUES (2); INSERT INTO shard_1 VALUES (3); COMMIT",
    );
    bench.catch_up(&mut *task).await;
    let places: Vec<Position> = bench.stored[before..].iter().map(|record| record.position).collect();
    assert!(places.len() == 3 && places.is_sorted(), "{places:?}");
    task.stop().await.unwrap();
}

/// A crash between two appends of one poll: what follows comes again, what stands does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_appends_loses_nothing() {
    let mut bench = bench();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.stored.clear();
    bench.postgres.psql(
        "BEGIN; INSERT INTO shard_1 VALUES (2); INSERT INTO shard_2 VALUES (2); INSERT INTO shard_1 VALUES (3); COMMIT",
    );
    let mut batch = loop {
        let batch = task.poll().await.unwrap();
        if !batch.appends.is_empty() {
            break batch;
        }
        bench.take(batch);
    };
    assert_eq!(batch.appends.len(), 3, "one append for each turn of a table");
    batch.appends.truncate(1);
    batch.complete = None;
    bench.take(batch);
    drop(task);
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    let rows: Vec<_> = bench.stored.iter().map(|record| record.json()["after"]["id"].clone()).collect();
    assert_eq!(rows, [2, 2, 3]);
    task.stop().await.unwrap();
}
