//! The replication client against a real server: ways in, stalls, long messages, floods.

use std::time::{Duration, Instant};

use thm_api::{Error, ErrorKind};
use thm_source::options::Options;
use thm_source::transport::{ReplicationClient, ReplicationTransport};

use crate::harness::Bench;
use crate::postgres::Postgres;

pub async fn connect(bench: &Bench) -> Result<(), Error> {
    let context = bench.context();
    let mut client = ReplicationClient::connect(&Options::parse(&context.config)?, &context.hosts).await?;
    client.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_authentication_and_a_wrong_password() {
    let mut bench = Bench::new(Postgres::start());
    for (user, method, encryption) in [
        ("of_trust", "trust", "scram-sha-256"),
        ("of_clear_text", "password", "scram-sha-256"),
        ("of_md5", "md5", "md5"),
        ("of_scram", "scram-sha-256", "scram-sha-256"),
    ] {
        // SASLprep turns the soft hyphen into nothing, on both sides.
        let password = "pass\u{ad}wörd";
        bench.postgres.psql(&format!(
            "SET password_encryption = '{encryption}'; CREATE ROLE {user} LOGIN REPLICATION PASSWORD '{password}'"
        ));
        bench.postgres.allow(&format!("host all {user} all {method}"));
        bench.set("database.user", user);
        bench.set("database.password", password);
        connect(&bench).await.unwrap();
        bench.set("database.password", "wrong");
        let connected = connect(&bench).await;
        match method {
            "trust" => connected.unwrap(),
            _ => assert_eq!(connected.err().unwrap().kind(), ErrorKind::SourceDenied, "{user}"),
        }
    }
    bench.postgres.psql("CREATE ROLE weak LOGIN PASSWORD 'weak'");
    bench.set("database.user", "weak");
    bench.set("database.password", "weak");
    let error = connect(&bench).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceDenied, "{error}");
    assert!(error.hint().contains("ALTER ROLE"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_no_postgresql_server() {
    let mut bench = Bench::new(Postgres::start());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    bench.set("database.hostname", "127.0.0.1");
    bench.set("database.port", &listener.local_addr().unwrap().port().to_string());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    });
    let error = connect(&bench).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceDecode);
    assert!(error.to_string().contains("is this a PostgreSQL server?"), "{error}");
    drop(server.await.unwrap());
    let error = connect(&bench).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_and_a_publication_whose_name_needs_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = folder.path().display().to_string();
    let mut bench =
        Bench::new(Postgres::with(&["-c", "wal_level=logical", "-c", &format!("unix_socket_directories={sockets}")]));
    bench.set("database.hostname", &sockets);
    bench.set("database.port", &bench.postgres.port.to_string());
    bench.set("publication.name", "all, 'of' \"it\"");
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("INSERT INTO t VALUES (1)");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.len(), 1);
    task.stop().await.unwrap();
}

/// The log is full or a disk is slow: nobody reads, and the server must not give the session up for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_keeps_its_session() {
    let mut bench = Bench::new(Postgres::with(&["-c", "wal_level=logical", "-c", "wal_sender_timeout=2s"]));
    // Many statuses within the server's patience: on a busy machine one comes late by more than half a second.
    bench.set("status.update.interval.ms", "50");
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY, text text)");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.turn(&mut *task).await;
    let walsender = "SELECT active_pid FROM pg_replication_slots";
    let before = bench.postgres.psql(walsender);
    // More than sockets hold, so that the server waits in the middle of a transaction.
    bench.postgres.psql("INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 40000) n");
    let waits = format!("SELECT coalesce(wait_event, '') FROM pg_stat_activity WHERE pid = {before}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while bench.postgres.psql(&waits) != "WalSenderWriteData" {
        assert!(Instant::now() < deadline, "the server never waits for its reader");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Twice its patience, from when it began to wait.
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.catch_up(&mut *task).await;
    assert_eq!((bench.stored.len(), bench.postgres.psql(walsender)), (40_000, before));
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_longer_than_any_read() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY, text text)");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql(
        "INSERT INTO t VALUES (1, 'short'); INSERT INTO t VALUES (2, repeat('0123456789', 1200000));
         INSERT INTO t VALUES (3, 'short')",
    );
    bench.catch_up(&mut *task).await;
    let lengths: Vec<_> = bench.stored.iter().map(|row| row.json()["after"]["text"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [5, 12_000_000, 5]);
    task.stop().await.unwrap();
}

/// A worker drops a poll whenever something else is to do. In a flood that hits every place the stream can wait at.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_polls_of_a_flood_lose_nothing() {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql(
        "DO $$ BEGIN FOR n IN 1..20000 LOOP INSERT INTO t VALUES (n); IF n % 3 = 0 THEN COMMIT; END IF; END LOOP; END $$",
    );
    let mut micros = 0;
    while bench.stored.len() < 20_000 {
        micros = (micros + 37) % 1_500;
        if let Ok(batch) = tokio::time::timeout(Duration::from_micros(micros), task.poll()).await {
            bench.take(batch.unwrap());
        }
    }
    let ids: Vec<_> = bench.stored.iter().map(|row| row.json()["after"]["id"].as_i64().unwrap()).collect();
    assert!(ids.into_iter().eq(1..=20_000), "rows differ or are out of order");
    task.stop().await.unwrap();
}
