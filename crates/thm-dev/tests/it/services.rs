//! Each service of the stack by itself, on free ports.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_dev::process::{Folders, ProcessId, free_ports, owner_of};
use thm_dev::services::{ClickHouse, Generator, Postgres, Redis, Running};
use tokio_postgres::NoTls;

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The project's SQL files, in order.
fn init_files() -> Vec<PathBuf> {
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../db/init");
    ["01_schema.sql", "02_content.sql", "03_events.sql"].map(|file| init.join(file)).to_vec()
}

/// Stops it and checks that nothing of it is left: not the process, not a listener.
fn stop_and_expect_nothing(identity: ProcessId, port: u16, stop: impl FnOnce()) {
    assert!(owner_of(port).is_some());
    stop();
    assert!(!identity.is_alive());
    assert_eq!(owner_of(port), None);
}

#[tokio::test]
async fn postgres_serves_its_user_only_with_the_password_and_replicates() {
    let postgres = Postgres::temporary().await.unwrap();
    let client = connect(&postgres.url()).await;
    let row = client.query_one("SELECT current_setting('wal_level'), current_user::text", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("logical", "app"));
    let slot = "SELECT pg_create_logical_replication_slot('it', 'pgoutput')";
    client.query(slot, &[]).await.expect("app may replicate");
    client.batch_execute("CREATE TABLE t (id int); CREATE PUBLICATION p FOR TABLE t").await.expect("app owns thm");
    assert!(client.query("SELECT pg_read_file('/etc/hostname')", &[]).await.is_err(), "app is no superuser");

    let wrong = postgres.url().replace("app:app", "app:wrong");
    assert!(tokio_postgres::connect(&wrong, NoTls).await.is_err());
    connect(&postgres.superuser_url().unwrap()).await.query("SELECT pg_ls_dir('.')", &[]).await.unwrap();

    let (identity, port) = (postgres.process().identity(), postgres.port());
    stop_and_expect_nothing(identity, port, || drop(postgres));
}

#[tokio::test]
async fn postgres_applies_the_projects_files_once_and_wholly() {
    let folder = tempfile::tempdir().unwrap();
    // Root's temporary folder is closed to others, so here the server runs in a user namespace.
    let folders = Folders::create(folder.path()).unwrap();
    let files = init_files();
    let broken = folder.path().join("broken.sql");
    std::fs::write(&broken, "SELECT 1;\nSELECT nonsense;\n").unwrap();

    let [port] = free_ports().unwrap();
    let data = folder.path().join("postgres");
    let with = |files: Vec<_>| Arc::new(Postgres::new(&data, port, files).unwrap());
    let failure = Running::start(with([files.clone(), vec![broken]].concat()), &folders).await.err().unwrap();
    assert!(
        failure.error.to_string().contains("broken.sql line 2: column \"nonsense\" does not exist (SQLSTATE 42703)"),
        "{}",
        failure.error
    );

    for _ in 0..2 {
        let postgres = Running::start(with(files.clone()), &folders).await.map_err(thm_api::Error::from).unwrap();
        let query = "SELECT (SELECT count(*) FROM content), count(*), count(*) FILTER (WHERE duration_ms IS NULL \
             AND event_type IN ('play', 'finish')), count(DISTINCT content_id) FROM engagement_events";
        let row = connect(&postgres.url()).await.query_one(query, &[]).await.unwrap();
        assert_eq!((0..4).map(|column| row.get::<_, i64>(column)).collect::<Vec<_>>(), [20, 4000, 0, 20]);
        // As a crash: the next start recovers from the WAL.
        postgres.kill();
    }
}

#[tokio::test]
async fn the_generator_goes_on_when_postgres_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::create(folder.path()).unwrap();
    let [port] = free_ports().unwrap();
    let postgres = Arc::new(Postgres::new(&folder.path().join("postgres"), port, init_files()).unwrap());
    let running = Running::start(Arc::clone(&postgres), &folders).await.map_err(thm_api::Error::from).unwrap();
    let program = thm_dev::clickhouse::engine_program().unwrap();
    let more = ["--seed".to_owned(), "1".to_owned()];
    let generator = Arc::new(Generator::new(&program, &postgres.url(), 2000.0, &more));
    let generator = Running::start(generator, &folders).await.map_err(thm_api::Error::from).unwrap();
    wait_for_events(&postgres.url(), 4100).await;
    running.kill();
    let running = Running::start(postgres, &folders).await.map_err(thm_api::Error::from).unwrap();
    let before = wait_for_events(&running.url(), 0).await;
    wait_for_events(&running.url(), before + 100).await;
    generator.stop();
    assert_eq!(generator.process().status().unwrap().code(), Some(0));
    let log = generator.process().log_tail(50);
    assert!(log.contains("waiting 0.2 s: THM-SRC-001") && log.contains(" rows in "), "{log}");
}

/// Waits until the table has this many rows; gives their number.
async fn wait_for_events(url: &str, at_least: i64) -> i64 {
    let client = connect(url).await;
    let began = Instant::now();
    loop {
        let row = client.query_one("SELECT count(*) FROM engagement_events", &[]).await.unwrap();
        let count = row.get(0);
        if count >= at_least {
            return count;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{count} of {at_least} rows");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn redis_keeps_its_data_over_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::create(folder.path()).unwrap();
    let [port] = free_ports().unwrap();
    let redis = Arc::new(Redis::new(&folder.path().join("redis"), port));
    let running = Running::start(Arc::clone(&redis), &folders).await.map_err(thm_api::Error::from).unwrap();
    assert_eq!(ask_redis(port, "SET k 1").await, "+OK");
    running.kill();
    let running = Running::start(redis, &folders).await.map_err(thm_api::Error::from).unwrap();
    assert_eq!(ask_redis(port, "EXISTS k").await, ":1");
    stop_and_expect_nothing(running.process().identity(), port, || drop(running));
}

async fn ask_redis(port: u16, command: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = BufReader::new(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    answer.trim().to_owned()
}

#[tokio::test]
async fn clickhouse_has_the_contracts_table_and_keeps_it_over_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::create(folder.path()).unwrap();
    let [port] = free_ports().unwrap();
    let program = thm_dev::clickhouse::engine_program().unwrap();
    let service = Arc::new(ClickHouse::new(&program, &folder.path().join("clickhouse"), port).unwrap());
    let select = "SELECT id, event_ts, engagement_pct, engagement_seconds, device FROM thm.enriched_events FORMAT CSV";
    let row = r#"1,"2025-08-23 05:40:00.123",12.34,\N,"""#;

    let engine = Running::start(Arc::clone(&service), &folders).await.map_err(thm_api::Error::from).unwrap();
    let insert =
        "INSERT INTO thm.enriched_events (id, event_ts, engagement_pct) VALUES (1, '2025-08-23 05:40:00.123', 12.34)";
    engine.query(insert).await.unwrap();
    assert_eq!(engine.query(select).await.unwrap().trim(), row);
    assert!(engine.query("SELECT nonsense").await.unwrap_err().to_string().contains("nonsense"));
    engine.kill();

    let engine = Running::start(service, &folders).await.map_err(thm_api::Error::from).unwrap();
    assert_eq!(engine.query(select).await.unwrap().trim(), row);
    stop_and_expect_nothing(engine.process().identity(), port, || engine.stop());
}
