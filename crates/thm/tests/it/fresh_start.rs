//! From an empty data folder to three equal sinks, and on after a restart.

use crate::stack::Stack;

/// Waits until the table has so many rows.
async fn events_reach(stack: &Stack, rows: i64) {
    let client = stack.client().await;
    let count = "SELECT count(*) FROM engagement_events";
    let grown = async || client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) >= rows;
    stack.eventually(&format!("{rows} events"), grown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_start_fills_three_sinks_and_a_restart_goes_on() {
    let mut stack = Stack::start().await;
    let report = stack.assert_verified();
    assert_eq!(report["events"], 4_000);

    // It stops under load, misses some, and has caught up under load.
    let load = stack.generate(500);
    events_reach(&stack, 4_600).await;
    stack.stop_engine();
    events_reach(&stack, 5_000).await;
    stack.start_engine().await;
    events_reach(&stack, 5_600).await;
    drop(load);
    let report = stack.assert_verified();
    assert!(report["events"].as_u64() >= Some(5_600), "{report}");
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
