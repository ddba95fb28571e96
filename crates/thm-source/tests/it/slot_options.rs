//! Who moves the slot and who drops it; and what stands before a failure is given.

use thm_api::ErrorKind;

use crate::harness::Bench;
use crate::postgres::Postgres;

fn bench(options: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int)");
    for (name, value) in options {
        bench.set(name, value);
    }
    bench
}

fn keys(bench: &Bench) -> Vec<String> {
    bench.stored.iter().map(|record| record.key_text()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_dropped_at_a_stop_and_missed_at_the_next_start() {
    let mut bench = bench(&[("slot.drop.on.stop", "true")]);
    let mut task = bench.start().await.unwrap();
    bench.postgres.psql("INSERT INTO t VALUES (1)");
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    assert_eq!(bench.postgres.psql("SELECT count(*) FROM pg_replication_slots"), "0");
    let refused = bench.start().await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::SlotUnsafe, "{refused}");

    bench.postgres.psql("INSERT INTO t VALUES (2)");
    bench.set("snapshot.mode", "when_needed");
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench), ["{\"id\":1}", "{\"id\":2}"]);
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_somebody_else_moves_hears_nothing_from_us() {
    let mut bench = bench(&[("lsn.flush.mode", "manual")]);
    let mut task = bench.start().await.unwrap();
    let at_first = bench.confirmed();
    bench.postgres.psql("INSERT INTO t VALUES (1)");
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    assert_eq!(bench.confirmed(), at_first);
    // All of it comes again and is known; then somebody moves the slot, but not beyond what is durable.
    let mut task = bench.start_again().await;
    bench.postgres.psql("INSERT INTO t VALUES (2)");
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench), ["{\"id\":1}", "{\"id\":2}"]);
    let complete = bench.complete.unwrap().commit_end;
    task.stop().await.unwrap();
    bench.postgres.psql(&format!("SELECT pg_replication_slot_advance('debezium', '{complete}')"));
    let mut task = bench.start_again().await;
    bench.postgres.psql("INSERT INTO t VALUES (3)");
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench).len(), 3);
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_before_a_failure_are_given_first() {
    let mut bench = bench(&[("thm.truncate.mode", "fail")]);
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("BEGIN; INSERT INTO t VALUES (1); TRUNCATE u; INSERT INTO t VALUES (2); COMMIT");
    let failure = bench.failure(&mut *task).await;
    assert_eq!(failure.kind(), ErrorKind::TableTruncated, "{failure}");
    assert_eq!(keys(&bench), ["{\"id\":1}"]);
    let told = bench.complete.unwrap();
    assert!(bench.stored.iter().all(|record| record.position > told), "the transaction is not said to be complete");
}
