//! A primary that dies and a standby that takes its place: followed with nothing lost, or refused.
//!
//! Needs PostgreSQL 17 or newer (`make test-source PG=18`): an older one has no such slots, and nothing is done here. What
//! decides is tested without a server in `slot.rs`.

use std::time::{Duration, Instant};

use thm_api::ErrorKind;

use crate::harness::Bench;
use crate::postgres::Postgres;

/// The first release with slots that standbys keep in step.
const FAILOVER_SLOTS: u32 = 17;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A primary with a table, its standby, and a source that has streamed some rows of the first.
async fn pair() -> (Bench, Postgres) {
    let mut bench = Bench::new(Postgres::start());
    bench.set("slot.failover", "true");
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let standby = bench.postgres.standby();
    let mut task = bench.start().await.unwrap();
    bench.postgres.psql("INSERT INTO t SELECT generate_series(1, 100)");
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    (bench, standby)
}

/// Waits until the standby has all that the primary has.
fn replayed(primary: &Postgres, standby: &Postgres) {
    let end = primary.psql("SELECT pg_current_wal_lsn()");
    until("the standby does not follow", || {
        standby.psql(&format!("SELECT pg_last_wal_replay_lsn() >= '{end}'")) == "t"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_kept_the_slot_is_followed() {
    if Postgres::release() < FAILOVER_SLOTS {
        return;
    }
    let (mut bench, standby) = pair().await;
    let mut task = bench.start_again().await;
    // A standby keeps a slot once the primary's has moved on to what the standby still has.
    let deadline = Instant::now() + Duration::from_secs(60);
    while standby.psql("SELECT count(*) FROM pg_replication_slots WHERE synced AND NOT temporary") != "1" {
        assert!(Instant::now() < deadline, "the standby does not take the slot over");
        bench.postgres.psql("SELECT pg_log_standby_snapshot()");
        bench.catch_up(&mut *task).await;
        replayed(&bench.postgres, &standby);
        standby.psql("SELECT pg_sync_replication_slots()");
    }
    // From here on the source is ahead of the slot that the standby has.
    bench.postgres.psql("INSERT INTO t SELECT generate_series(101, 150)");
    bench.catch_up(&mut *task).await;
    replayed(&bench.postgres, &standby);
    bench.postgres.kill();
    drop(task);
    standby.psql("SELECT pg_promote()");
    bench.postgres = standby;
    bench.postgres.psql("INSERT INTO t SELECT generate_series(151, 200)");
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    let mut ids: Vec<_> = bench.stored.iter().map(|row| row.json()["after"]["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    // What the slot sends again is told from new rows by its position, which both timelines share.
    ids.dedup();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_lacks_what_we_have_is_refused() {
    if Postgres::release() < FAILOVER_SLOTS {
        return;
    }
    let (mut bench, standby) = pair().await;
    replayed(&bench.postgres, &standby);
    standby.psql("ALTER SYSTEM SET primary_conninfo = ''");
    standby.psql("SELECT pg_reload_conf()");
    until("the standby goes on following", || standby.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0");
    let mut task = bench.start_again().await;
    bench.postgres.psql("INSERT INTO t VALUES (101)");
    bench.catch_up(&mut *task).await;
    bench.postgres.kill();
    drop(task);
    standby.psql("SELECT pg_promote()");
    bench.postgres = standby;
    // It may have the longer WAL by now: the fork counts, not the end.
    bench.postgres.psql("INSERT INTO t SELECT generate_series(101, 1000)");
    let error = bench.start().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SlotUnsafe, "{error}");
    assert!(error.to_string().contains("is not in it"), "{error}");
}
