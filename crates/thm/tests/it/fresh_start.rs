//! From an empty data folder to three equal sinks, and on after a restart.

use std::time::Duration;

use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_start_fills_three_sinks_and_a_restart_goes_on() {
    let mut stack = Stack::start().await;
    let report = stack.assert_verified();
    assert_eq!(report["events"], 4_000);

    let load = stack.generate(500);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stack.stop_engine();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.start_engine().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(load);
    let report = stack.assert_verified();
    assert!(report["events"].as_u64() > Some(4_500), "{report}");
    assert_eq!(report["api_repeats"], 0, "a graceful stop commits what was delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_frees_its_wal() {
    let stack = Stack::start().await;
    stack.assert_verified();
    let client = stack.client().await;
    // WAL that has nothing to do with the captured tables.
    client.batch_execute("CREATE TABLE other AS SELECT generate_series(1, 50000) AS n").await.unwrap();
    let behind = "SELECT (pg_current_wal_lsn() - confirmed_flush_lsn)::bigint FROM pg_replication_slots";
    stack
        .eventually("the slot follows", async || {
            client.query_one(behind, &[]).await.unwrap().get::<_, Option<i64>>(0).is_some_and(|bytes| bytes < 1_000)
        })
        .await;
}
