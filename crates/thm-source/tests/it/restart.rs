//! Restarts: nothing twice, nothing lost, whatever was durable in which partition.

use std::time::Duration;

use thm_api::{ErrorKind, Lsn, TopicPartition};

use crate::harness::{Bench, Stored};

/// What happens between two appends: half of a batch is durable, the process dies.
fn forget_after(bench: &mut Bench, topic: &str, keep: usize) {
    let mut kept = 0;
    bench.stored.retain(|record| {
        kept += usize::from(record.topic == topic);
        record.topic != topic || kept <= keep
    });
    let last = bench.stored.iter().rfind(|record| record.topic == topic).map(|record| record.position);
    let partition = TopicPartition::new(topic, 0);
    match last {
        Some(position) => drop(bench.progress.insert(partition, thm_api::Progress::at(position))),
        None => drop(bench.progress.remove(&partition)),
    }
}

fn keys(bench: &Bench, topic: &str) -> Vec<String> {
    bench.stored.iter().filter(|record| record.topic == topic).map(Stored::key_text).collect()
}

/// Promise 2: re-sent rows are dropped per partition, each by its own progress.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_partition_has_are_not_given_again() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.stored.clear();
    for n in 1..=5 {
        bench.postgres.psql(&format!(
            "BEGIN; INSERT INTO content (slug, title) VALUES ('new-{n}', 'n');
             INSERT INTO engagement_events (id) VALUES ({}), ({}); COMMIT",
            9000 + 2 * n,
            9001 + 2 * n
        ));
    }
    while bench.stored.len() < 15 {
        bench.turn(&mut *task).await;
    }
    // Killed: nothing was acknowledged; the events are durable up to the middle of a transaction, content wholly.
    drop(task);
    forget_after(&mut bench, "pg.public.engagement_events", 5);
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    let events: Vec<String> = (9002..=9011).map(|id| format!("{{\"id\":{id}}}")).collect();
    assert_eq!(keys(&bench, "pg.public.engagement_events"), events);
    assert_eq!(keys(&bench, "pg.public.content").len(), 5);
    task.stop().await.unwrap();
}

/// The records of a key change share a position: they are durable together or come again together.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_transactions_goes_on_where_it_was() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    bench.stored.clear();
    bench.postgres.psql("UPDATE engagement_events SET id = 9002 WHERE id = 9001");
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench, "pg.public.engagement_events"), ["{\"id\":9001}", "{\"id\":9001}", "{\"id\":9002}"]);
    let positions: Vec<_> = bench.stored.iter().map(|record| record.position).collect();
    assert!(positions.iter().all(|position| *position == positions[0]));
    task.stop().await.unwrap();
}

/// Promise 1, its last word: a graceful stop leaves the slot at what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_the_slot_the_last_acknowledgement() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    for round in 0..5 {
        bench.postgres.psql("INSERT INTO engagement_events (device) VALUES ('x')");
        bench.catch_up(&mut *task).await;
        let acknowledged = bench.complete.unwrap().commit_end;
        task.stop().await.unwrap();
        assert!(bench.confirmed() >= acknowledged, "round {round}: {} < {acknowledged}", bench.confirmed());
        task = bench.start_again().await;
    }
    task.stop().await.unwrap();
}

/// The slot never hears of what was not acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_stays_in_the_slot() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    let acknowledged: Lsn = bench.complete.unwrap().commit_end;
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    let before = bench.stored.len();
    while bench.stored.len() == before {
        bench.turn(&mut *task).await;
    }
    // Time enough for several status updates.
    bench.turn(&mut *task).await;
    bench.turn(&mut *task).await;
    task.stop().await.unwrap();
    assert!(bench.confirmed() <= acknowledged.max(bench.stored[before - 1].position.commit_end));
    // The log lost what was not durable: the row comes again.
    bench.stored.truncate(before);
    forget_after(&mut bench, "pg.public.engagement_events", 300);
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.last().unwrap().key_text(), "{\"id\":9001}");
    task.stop().await.unwrap();
}

/// Promise 10: a slot that somebody made anew has missed changes, and looks like ours in all but its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_slot_is_refused_and_the_two_ways_out_work() {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    bench.postgres.psql("SELECT pg_drop_replication_slot('debezium')");
    let gone = bench.start().await.err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::SlotUnsafe);
    bench.postgres.psql(
        "INSERT INTO engagement_events (id) VALUES (9001);
         SELECT pg_create_logical_replication_slot('debezium', 'pgoutput');
         INSERT INTO engagement_events (id) VALUES (9002)",
    );
    let recreated = bench.start().await.err().unwrap();
    assert_eq!(recreated.kind(), ErrorKind::SlotUnsafe, "{recreated}");
    assert!(recreated.hint().contains("=resnapshot") && recreated.hint().contains("=from-slot"));

    bench.stored.clear();
    bench.set("thm.start", "from-slot");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench, "pg.public.engagement_events"), ["{\"id\":9002}"], "the missed row is knowingly missing");
    task.stop().await.unwrap();

    bench.stored.clear();
    bench.set("thm.start", "resnapshot");
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench, "pg.public.engagement_events").len(), 302);
    task.stop().await.unwrap();
    // The same order is not obeyed twice.
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert!(bench.stored.is_empty());
    task.stop().await.unwrap();
}

/// Killed when the slot is there and nothing says so yet: the sessions that the snapshot needs are still on their way.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_making_was_not_noted_is_ours() {
    let mut bench = Bench::demo();
    // The first session stays while the next ones wait here.
    let wait = "SELECT pg_sleep(CASE WHEN count(*) > 1 THEN 600 ELSE 0 END) FROM pg_stat_activity
         WHERE application_name = 'thm source' AND backend_type = 'client backend'";
    bench.set("database.initial.statements", wait);
    let made = "SELECT confirmed_flush_lsn IS NOT NULL AND active_pid IS NULL FROM pg_replication_slots";
    tokio::select! {
        started = bench.start() => panic!("started: {:?}", started.err()),
        () = async { while bench.postgres.psql(made) != "t" { tokio::time::sleep(Duration::from_millis(20)).await; } } => {}
    }
    bench.postgres.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'thm source'
         AND backend_type = 'client backend'",
    );
    assert_eq!(bench.postgres.psql("SELECT count(*) FROM pg_replication_slots"), "1", "it outlives the session");
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    bench.options.remove("database.initial.statements");
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert_eq!(keys(&bench, "pg.public.engagement_events").len(), 301);
    assert_eq!(bench.postgres.psql("SELECT count(*) FROM pg_replication_slots"), "1");
    task.stop().await.unwrap();
}
