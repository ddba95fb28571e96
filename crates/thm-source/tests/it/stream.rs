//! The stream: values, large transactions, idle acknowledgement.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use thm_api::{ChangelogBatch, Lsn, Op, RowKind};

use crate::harness::Bench;
use crate::postgres::Postgres;

fn last(bench: &Bench, topic: &str) -> Arc<ChangelogBatch> {
    Arc::clone(&bench.decoded.iter().rfind(|(name, _)| name == topic).unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_in_every_nullable_column_updates_and_deletes() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.stored.clear();
    bench.postgres.psql(
        "BEGIN; INSERT INTO engagement_events (id, event_ts) VALUES (9001, '2024-01-02 03:04:05.678+00');
         UPDATE engagement_events SET duration_ms = 5, device = 'ios' WHERE id = 9001;
         DELETE FROM engagement_events WHERE id = 9001; COMMIT;",
    );
    bench.catch_up(&mut *task).await;
    let [create, update, delete, tombstone] = bench.stored.as_slice() else { panic!("{:?}", bench.stored) };
    let after = create.json()["after"].to_string();
    let nulls = "\"content_id\":null,\"user_id\":null,\"event_type\":null,\"event_ts\":\"2024-01-02T03:04:05.678000Z\"";
    assert!(after.contains(nulls) && after.contains("\"raw_payload\":null"), "{after}");
    assert_eq!(update.json()["after"]["duration_ms"], 5);
    assert_eq!(delete.json()["before"]["id"], 9001);
    assert!(tombstone.value.is_none());
    assert_eq!(tombstone.key_text(), "{\"id\":9001}");
    let ordinals: Vec<_> = bench.stored.iter().map(|record| record.position.ordinal).collect();
    assert_eq!(ordinals, [1, 2, 3, 3]);

    let batch = last(&bench, "pg.public.engagement_events");
    let kinds: Vec<_> = batch.meta.iter().map(|meta| (meta.kind, meta.op, meta.record)).collect();
    let expected =
        [(RowKind::Insert, Op::Create, 0), (RowKind::UpdateAfter, Op::Update, 1), (RowKind::Delete, Op::Delete, 2)];
    assert_eq!(kinds, expected);
    assert_eq!(batch.rows.column(0).as_primitive::<Int64Type>().values(), &[9001, 9001, 9001]);
    let micros = batch.rows.column(4).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((micros.value(0), micros.is_null(2)), (1_704_164_645_678_000, true));
    let duration = batch.rows.column(5).as_primitive::<Int32Type>();
    assert_eq!((duration.is_null(0), duration.value(1)), (true, 5));
    assert_eq!(batch.rows.column(6).as_string::<i32>().value(1), "ios");
    task.stop().await.unwrap();
}

/// Beyond the memory's share the transaction waits in the spool folder and is given in batches.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_is_spooled_and_comes_whole_and_in_order() {
    let spool = tempfile::tempdir().unwrap();
    let mut bench = Bench::demo();
    bench.budget_bytes = 256 << 10;
    bench.set("thm.spool.dir", spool.path().to_str().unwrap());
    bench.set("snapshot.mode", "no_data");
    let mut task = bench.start().await.unwrap();
    bench.postgres.psql("INSERT INTO engagement_events (device) SELECT 'd' || n FROM generate_series(1, 20000) n");
    bench.postgres.psql("INSERT INTO engagement_events (device) VALUES ('next')");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.len(), 20001);
    let end = bench.stored[0].position.commit_end;
    let in_order = |(n, record): (usize, &crate::harness::Stored)| {
        (record.position.commit_end, record.position.ordinal) == (end, n as u64 + 1)
    };
    assert!(bench.stored.iter().take(20000).enumerate().all(in_order));
    assert_eq!(bench.stored[20000].json()["after"]["device"], "next");
    let last = |batch: &thm_api::SourceBatch| batch.appends.last()?.batch.positions.last().copied();
    let cut = bench.batches.iter().filter(|batch| last(batch).is_some() && batch.complete == last(batch)).count();
    assert!(cut >= 5, "batches inside the transaction are complete up to their last row: {cut}");
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0);
    task.stop().await.unwrap();
}

/// What is durable of a transaction is complete for readers, but the slot hears of whole transactions only.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_inside_a_transaction_leaves_the_slot_before_it() {
    let mut bench = Bench::demo();
    bench.set("snapshot.mode", "no_data");
    let mut task = bench.start().await.unwrap();
    bench.postgres.psql("INSERT INTO engagement_events (device) SELECT 'd' || n FROM generate_series(1, 20000) n");
    while bench.stored.is_empty() {
        bench.turn(&mut *task).await;
    }
    let (given, end) = (bench.stored.len(), bench.stored[0].position.commit_end);
    assert!(given < 20000, "one batch held all of it");
    assert_eq!(bench.complete, bench.stored.last().map(|record| record.position));
    task.stop().await.unwrap();
    assert!(bench.confirmed() < end, "{} is not before {end}", bench.confirmed());
    // The same again, now that a row of it was durable at the start.
    let mut task = bench.start_again().await;
    while bench.stored.len() == given {
        bench.turn(&mut *task).await;
    }
    assert!(bench.stored.len() < 20000, "one batch held the rest");
    task.stop().await.unwrap();
    assert!(bench.confirmed() < end, "{} is not before {end}", bench.confirmed());
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.len(), 20000);
    assert!((1..).zip(&bench.stored).all(|(ordinal, record)| record.position.ordinal == ordinal));
    task.stop().await.unwrap();
}

/// WAL that has nothing for us is acknowledged too, or an idle database keeps it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn idle_times_are_acknowledged() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("CREATE TEMP TABLE x AS SELECT 1; CREATE UNLOGGED TABLE quiet (n int); SELECT pg_switch_wal()");
    let target: Lsn = bench.postgres.psql("SELECT pg_current_wal_lsn()").parse().unwrap();
    let before = bench.stored.len();
    bench.catch_up(&mut *task).await;
    for _ in 0..20 {
        if bench.confirmed() >= target {
            break;
        }
        bench.turn(&mut *task).await;
    }
    assert!(bench.confirmed() >= target, "{} < {target}", bench.confirmed());
    assert_eq!(bench.stored.len(), before);
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_while_running_shows_at_once() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    bench.postgres.psql("ALTER TABLE engagement_events ADD COLUMN country text");
    bench.postgres.psql("INSERT INTO engagement_events (id, country) VALUES (9002, 'SA')");
    bench.catch_up(&mut *task).await;
    let last_value = bench.stored.last().unwrap().json();
    assert_eq!(last_value["after"]["country"], "SA");
    assert_eq!(last(&bench, "pg.public.engagement_events").rows.num_columns(), 9);
    task.stop().await.unwrap();
}

/// Each type of the table of types goes from the server to JSON and Arrow, in snapshot and stream alike.
#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_the_same_in_snapshot_and_stream() {
    let mut bench = Bench::new(Postgres::start());
    let row = "true, '\\x01ff', 'c', 'name', -1, -2, -3, 'te\"xt', 4294967295, '{\"a\": 1}', 1.5, -1e300, 'ab', 'vc', \
               '2024-02-29', '13:14:15.5', '2024-02-29 13:14:15.678', '2024-02-29 13:14:15.678+03', -1.10, 12.5, \
               '11111111-1111-1111-1111-111111111111', '{\"b\": [1]}', 'ok', 7, '2024-01-01 00:00:00.25'";
    bench.postgres.psql(
        "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN small AS int CHECK (VALUE < 100);
         CREATE TABLE t (id int PRIMARY KEY, b bool, by bytea, ch \"char\", na name, i8 bigint, i2 smallint, i4 int, t text, o oid,
           j json, f4 real, f8 double precision, bc char(4), vc varchar(9), d date, ti time, ts timestamp, tz timestamptz,
           n numeric, n2 numeric(10,2), u uuid, jb jsonb, m mood, dom small, ts3 timestamp(3));",
    );
    bench.postgres.psql(&format!("INSERT INTO t VALUES (1, {row}); INSERT INTO t VALUES (2)"));
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql(&format!("BEGIN; INSERT INTO t VALUES (1001, {row}); INSERT INTO t VALUES (1002); COMMIT"));
    bench.catch_up(&mut *task).await;
    let after: Vec<String> =
        bench.stored.iter().map(|record| record.rows_text().1.replace("\"id\":100", "\"id\":")).collect();
    assert_eq!(after[0], after[2]);
    assert_eq!(after[1], after[3]);
    let expected = concat!(
        r#"{"id":1,"b":true,"by":"Af8=","ch":"c","na":"name","i8":-1,"i2":-2,"i4":-3,"t":"te\"xt","o":4294967295,"#,
        r#""j":"{\"a\": 1}","f4":1.5,"f8":-1.0E300,"bc":"ab  ","vc":"vc","d":19782,"ti":47655500000,"#,
        r#""ts":1709212455678000,"tz":"2024-02-29T10:14:15.678000Z","n":{"scale":1,"value":"9Q=="},"n2":"BOI=","#,
        r#""u":"11111111-1111-1111-1111-111111111111","jb":"{\"b\": [1]}","m":"ok","dom":7,"ts3":1704067200250}"#
    );
    assert_eq!(after[0], expected);
    let batch = last(&bench, "pg.public.t");
    let full_row_has_no_null = batch.rows.columns().iter().all(|column| column.is_valid(0));
    assert!(full_row_has_no_null, "a rule that does not fit its column shows as NULL");
    assert_eq!(batch.rows.column_by_name("n").unwrap().as_string::<i32>().value(0), "-1.10");
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_toasted_value_is_the_placeholder_or_the_old_value() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql(
        "CREATE TABLE t (id int PRIMARY KEY, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
         INSERT INTO t VALUES (1, 1, repeat('x', 3000))",
    );
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("UPDATE t SET n = 2");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored[1].json()["after"]["big"], "__debezium_unavailable_value");
    bench.postgres.psql("ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET n = 3");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored[2].json()["after"]["big"].as_str().unwrap().len(), 3000);
    task.stop().await.unwrap();
}
