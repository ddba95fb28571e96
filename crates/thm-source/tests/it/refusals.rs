//! Slots, servers and publications that do not belong to our state: each is refused by name, with its ways out.

use std::process::{Command, Stdio};

use thm_api::{Error, ErrorKind};

use crate::harness::Bench;
use crate::postgres::client;

/// Starts, and expects a refusal.
async fn refused(bench: &Bench, kind: ErrorKind, words: &[&str]) -> Error {
    let mut error = bench.start().await.err().unwrap();
    for _ in 0..100 {
        // The server may still hold the slot for the session before.
        if kind == ErrorKind::SlotInUse || error.kind() != ErrorKind::SlotInUse {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        error = bench.start().await.err().unwrap();
    }
    assert_eq!(error.kind(), kind, "{error}");
    let all = format!("{error} | {}", error.hint());
    for word in words {
        assert!(all.contains(word), "no `{word}` in: {all}");
    }
    error
}

/// A bench whose source has streamed for a while and was killed.
async fn killed() -> Bench {
    let mut bench = Bench::demo();
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("INSERT INTO engagement_events (id) VALUES (9001)");
    bench.catch_up(&mut *task).await;
    drop(task);
    bench
}

/// Promise 10, at its sharpest: nothing but one row lies between our last word and the slot made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_recreated_right_ahead_is_noticed_after_a_kill() {
    let bench = killed().await;
    for _ in 0..100 {
        if bench.postgres.psql("SELECT count(active_pid) FROM pg_replication_slots") == "0" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bench.postgres.psql(
        "SELECT pg_drop_replication_slot('debezium');
         INSERT INTO engagement_events (id) VALUES (9002);
         SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')",
    );
    let words = ["debezium", "recreated or moved", "lost", "thm.start=resnapshot", "thm.start=from-slot"];
    refused(&bench, ErrorKind::SlotUnsafe, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_somebody_reads_is_named_with_its_reader() {
    let bench = killed().await;
    let address = format!("127.0.0.1:{}", bench.postgres.port);
    let mut reader = Command::new(client("pg_recvlogical"))
        .args(["-h", "127.0.0.1", "-p", address.split(':').next_back().unwrap(), "-U", "thm", "-d", "thm"])
        .args(["--slot", "debezium", "--start", "-f", "/dev/null"])
        .args(["-o", "proto_version=1", "-o", "publication_names=dbz_publication"])
        .env("PGPASSWORD", "thm")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if bench.postgres.psql("SELECT application_name FROM pg_stat_replication") == "pg_recvlogical" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let words = ["debezium", "pg_recvlogical", "user thm", "Nothing is lost", "slot.name"];
    let error = bench.start().await.err();
    let _ = reader.kill();
    let _ = reader.wait();
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::SlotInUse);
    let all = format!("{error} | {}", error.hint());
    assert!(words.iter().all(|word| all.contains(word)), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_away_is_refused() {
    let mut bench = Bench::demo();
    bench.set("publication.autocreate.mode", "filtered");
    bench.set("table.include.list", "public.content,public.engagement_events");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    bench.postgres.psql("ALTER PUBLICATION dbz_publication DROP TABLE content");
    refused(&bench, ErrorKind::CaptureMismatch, &["without public.content", "ADD TABLE"]).await;
    bench.postgres.psql(
        "UPDATE content SET title = 'unseen' WHERE slug = 'ep-1';
         ALTER PUBLICATION dbz_publication ADD TABLE content",
    );
    let words = ["dbz_publication", "public.content was taken out", "not sent", "thm.start=resnapshot"];
    refused(&bench, ErrorKind::SlotUnsafe, &words).await;
    bench.postgres.psql("DROP PUBLICATION dbz_publication");
    refused(&bench, ErrorKind::SlotUnsafe, &["the publication is gone", "thm.start=resnapshot"]).await;
    // A start that begins anew makes it again.
    bench.set("thm.start", "resnapshot");
    bench.stored.clear();
    let mut task = bench.start_again().await;
    bench.catch_up(&mut *task).await;
    assert!(bench.stored.iter().any(|record| record.json()["after"]["title"] == "unseen"));
    task.stop().await.unwrap();
}

/// The same data folder on another server, and on the same one restored to an earlier state.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_and_one_restored_from_a_backup_are_refused() {
    let mut bench = killed().await;
    let first = std::mem::replace(&mut bench.postgres, Bench::demo().postgres);
    refused(&bench, ErrorKind::SlotUnsafe, &["another one", "system identifier", "thm.start=resnapshot"]).await;
    // Its WAL lies below our positions: taking it anew would give positions that the topics already passed.
    first.psql("SELECT pg_switch_wal()");
    let ahead = thm_api::Position::new(thm_api::Lsn(1 << 40), 1);
    for progress in bench.progress.values_mut() {
        *progress = thm_api::Progress::at(ahead);
    }
    bench.set("thm.start", "resnapshot");
    refused(&bench, ErrorKind::SlotUnsafe, &["restored from a backup", "empty data folder"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_wal_is_gone_is_refused() {
    let bench = killed().await;
    bench.postgres.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf()");
    for _ in 0..4 {
        bench.postgres.psql(
            "INSERT INTO content (slug, title) VALUES (gen_random_uuid(), 'x'); SELECT pg_switch_wal(); CHECKPOINT",
        );
    }
    assert_eq!(bench.postgres.psql("SELECT wal_status FROM pg_replication_slots"), "lost");
    refused(&bench, ErrorKind::SlotUnsafe, &["removed WAL", "max_slot_wal_keep_size", "thm.start=resnapshot"]).await;
}
