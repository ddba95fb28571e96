//! Targets: away, slow, refusing, or not what the connector needs. What may pass is tried again with the reason in
//! the status; what needs somebody fails the task with cause and remedy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};
use thm_dev::process::{Folders, free_ports};
use thm_dev::services::{ClickHouse, ExternalApi, Redis, Running};

use super::bare::{Bare, with};
use super::connectors::{clickhouse, http, redis};
use crate::stack::program;

/// One enriched event.
pub const EVENT: &str = "{\"id\":1,\"content_id\":\"c1\",\"user_id\":\"u1\",\"event_type\":\"play\",\
    \"event_ts\":\"2026-01-01 00:00:00.000\",\"device\":\"ios\",\"content_type\":\"podcast\",\"length_seconds\":60,\
    \"engagement_seconds\":1.5,\"engagement_pct\":2.5,\"raw_payload\":\"{}\"}";

pub fn table(server: &ClickHouse, name: &str) -> Value {
    with(
        &clickhouse(),
        json!({"port": server.port().to_string(), "topic2TableMap": format!("thm.enriched.events={name}")}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_away_or_with_other_tables() {
    let (bare, server) = tokio::join!(Bare::start(&[]), ClickHouse::temporary());
    let server = server.unwrap();
    bare.produce("thm.enriched.events", "1", EVENT);
    for (statement, name) in
        [("id String, content_id Array(String)", "arrays"), ("id Int64, event_type UInt8", "numbers")]
    {
        let sql = format!("CREATE TABLE thm.{name} ({statement}) ENGINE = MergeTree ORDER BY id");
        server.query(&sql).await.unwrap();
    }
    bare.create("away", &clickhouse()).await;
    bare.create("no-host", &with(&clickhouse(), json!({"hostname": "no-such-host.invalid"}))).await;
    bare.create("no-table", &table(&server, "nowhere")).await;
    bare.create("no-database", &with(&table(&server, "t"), json!({"database": "nowhere"}))).await;
    bare.create("no-user", &with(&table(&server, "t"), json!({"username": "nobody"}))).await;
    bare.create("arrays", &table(&server, "arrays")).await;
    bare.create("numbers", &table(&server, "numbers")).await;
    for (name, state, words) in [
        ("away", "RUNNING", vec!["THM-SNK-001", "127.0.0.1:1", "Check that the target runs", "tries again"]),
        ("no-host", "RUNNING", vec!["THM-SNK-001", "no-such-host.invalid", "tries again"]),
        ("no-table", "FAILED", vec!["THM-SNK-003", "thm.nowhere", "CREATE TABLE `thm`.`nowhere`", "auto.create=true"]),
        ("no-database", "FAILED", vec!["THM-SNK-003", "CREATE DATABASE `nowhere`"]),
        ("no-user", "FAILED", vec!["THM-SNK-002", "nobody", "restart its task"]),
        ("arrays", "FAILED", vec!["THM-SNK-003", "thm.arrays.content_id", "Array(String)", "Alter its type"]),
        ("numbers", "FAILED", vec!["THM-SNK", "event_type", "UInt8"]),
    ] {
        bare.task(name, state, &words).await;
    }
    // The remedy in the trace works: the statement as it stands, then a restart.
    let trace = bare.task("no-table", "FAILED", &[]).await;
    server.query(trace[trace.find("CREATE TABLE").unwrap()..].trim()).await.unwrap();
    assert_eq!(bare.ask("POST", "/connectors/no-table/restart?includeTasks=true", None).await.unwrap().0, 202);
    bare.is_well("no-table").await;
    bare.until("the row arrives", async || {
        let rows = server.query("SELECT count() FROM thm.nowhere").await.unwrap();
        if rows.trim() == "1" { Ok(()) } else { Err(rows) }
    })
    .await;
}

/// Sends commands to Redis as anybody may type them.
fn redis_commands(port: u16, commands: &str) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(format!("{commands}QUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains("-ERR"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_away_with_a_password_or_with_another_key() {
    let (bare, server) = tokio::join!(Bare::start(&[]), Redis::temporary());
    let server = server.unwrap();
    bare.produce("thm.enriched.events", "1", EVENT);
    redis_commands(server.port(), "SET thm:top:10m hello\r\nCONFIG SET requirepass secret\r\n");
    let uri = |login: &str, db: u8| format!("redis://{login}127.0.0.1:{}/{db}", server.port());
    bare.create("away", &redis("redis://127.0.0.1:1/0")).await;
    bare.create("no-password", &redis(&uri("", 1))).await;
    bare.create("wrong-password", &redis(&uri(":wrong@", 1))).await;
    bare.create("other-type", &redis(&uri(":secret@", 0))).await;
    bare.create("well", &redis(&uri(":secret@", 1))).await;
    bare.task("away", "RUNNING", &["THM-SNK-001", "127.0.0.1:1", "tries again"]).await;
    bare.task("no-password", "FAILED", &["THM-SNK-002", &server.port().to_string(), "credentials"]).await;
    let trace = bare.task("wrong-password", "FAILED", &["THM-SNK-002", "credentials", "restart its task"]).await;
    assert!(!trace.contains("wrong"), "no password is printed: {trace}");
    bare.task("other-type", "FAILED", &["THM-SNK-003", "thm:top:10m", "a string", "leaderboard.key"]).await;
    bare.is_well("well").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_answers_4xx_5xx_or_never() {
    let bare = Bare::start(&[]).await;
    let [port] = free_ports().unwrap();
    let service = ExternalApi::new(program(), &bare.folder.path().join("events.jsonl"), port);
    let folders = Folders::create(bare.folder.path()).unwrap();
    let api = Running::start(Arc::new(service), &folders).await.map_err(thm_api::Error::from).unwrap();
    let url = format!("{}/events", api.url());
    let control = async |faults: Value| {
        let answer = reqwest::Client::new().post(format!("{}/control", api.url())).json(&faults).send().await;
        assert!(answer.unwrap().status().is_success(), "{faults}");
    };
    bare.produce("thm.enriched.events", "1", EVENT);
    bare.create("away", &http("http://127.0.0.1:1/events")).await;
    bare.task("away", "RUNNING", &["THM-SNK-001", "127.0.0.1:1/events", "tries again"]).await;

    // Each connector meets one fault, and goes on by itself or by a restart when it has passed.
    for (name, faults, state, words) in [
        ("overloaded", json!({"fail": {"status": 503}}), "RUNNING", ["THM-SNK-001", "503"]),
        ("too-many", json!({"fail": {"status": 429, "retry_after_s": 1}}), "RUNNING", ["THM-SNK-001", "429"]),
        ("never", json!({"stall_ms": 60_000}), "RUNNING", ["THM-SNK-001", "events"]),
        ("forbidden", json!({"fail": {"status": 403}}), "FAILED", ["THM-SNK-002", "403"]),
        ("refused", json!({"fail": {"status": 422}}), "FAILED", ["THM-SNK-004", "thm.enriched.events-0 offset 0"]),
    ] {
        control(faults).await;
        bare.create(name, &with(&http(&url), json!({"http.timeout": "1"}))).await;
        bare.task(name, state, &words).await;
        control(json!({})).await;
        if state == "FAILED" {
            let path = format!("/connectors/{name}/restart?includeTasks=true");
            assert_eq!(bare.ask("POST", &path, None).await.unwrap().0, 202);
        }
        bare.is_well(name).await;
    }
}
