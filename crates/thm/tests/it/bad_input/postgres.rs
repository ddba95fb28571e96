//! PostgreSQL: away, refusing, not set up, or with other tables than the connector wants.

use std::sync::Arc;

use serde_json::json;
use thm_dev::process::{Folders, free_ports};
use thm_dev::services::{Postgres, Running};

use super::bare::{Bare, with};
use super::connectors::postgres;
use crate::stack::Options;

async fn execute(url: &str, statements: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn away_at_the_start_refusing_and_with_other_tables() {
    let [port] = free_ports().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let folders = Folders::create(folder.path()).unwrap();
    let server = Arc::new(Postgres::new(&folder.path().join("postgres"), port, Options::default().init).unwrap());
    let start = async || Running::start(server.clone(), &folders).await.map_err(thm_api::Error::from).unwrap();
    start().await.stop();
    let file = |name: &str, config| (json!({"name": name, "config": config})).to_string();
    let denied = with(&postgres(port, "denied"), json!({"database.password": "wrong"}));
    let bare = Bare::start(&[
        ("source.json", file("source", postgres(port, "source"))),
        ("denied.json", file("denied", denied)),
    ])
    .await;
    let address = format!("127.0.0.1:{port}/thm");
    bare.task("source", "RUNNING", &["THM-SRC-001", &address, "Check that PostgreSQL runs", "tries again"]).await;
    // Over REST an address where nobody answers is refused, as Connect does.
    let message = bare.refused(&postgres(port, "a")).await;
    assert!(message.contains("THM-SRC-001") && message.contains(&address), "{message}");

    let server = start().await;
    bare.is_well("source").await;
    bare.until("the snapshot is in the log", async || {
        let found = bare.ask("GET", "/connectors/source/topics", None).await.unwrap().1.to_string();
        if found.contains("source.public.engagement_events") { Ok(()) } else { Err(found) }
    })
    .await;
    bare.task("denied", "FAILED", &["THM-SRC-002", "password authentication failed", "Check user and password"]).await;
    refused_over_rest(&bare, &server).await;
    failed_or_waiting(&bare, &server).await;

    // In the middle it is the same: the reason while it is away, and well by itself.
    server.stop();
    bare.task("source", "RUNNING", &["THM-SRC-001", &address, "tries again"]).await;
    let _server = start().await;
    bare.is_well("source").await;
    // Once its reader is gone, a slot that another connector created is still not taken over.
    assert_eq!(bare.ask("DELETE", "/connectors/source", None).await.unwrap().0, 204);
    let words = ["THM-SRC-006", "slot_source", "thm.start=resnapshot", "thm.start=from-slot"];
    bare.task("slot", "FAILED", &words).await;
    // One of the two ways out, as the trace says it.
    let choice = json!({"thm.start": "from-slot"});
    assert_eq!(bare.ask("PATCH", "/connectors/slot/config", Some(choice)).await.unwrap().0, 200);
    bare.is_well("slot").await;
}

/// What can never work is refused at once.
async fn refused_over_rest(bare: &Bare, server: &Postgres) {
    let superuser = server.superuser_url().unwrap();
    execute(&superuser, "CREATE ROLE weak LOGIN PASSWORD 'weak'").await;
    let config = postgres(server.port(), "a");
    for (options, words) in [
        (json!({"database.password": "wrong"}), ["THM-SRC-002", "user \"app\"", "Check user and password"]),
        (json!({"database.dbname": "nowhere"}), ["THM-SRC-002", "\"nowhere\" does not exist", "database.dbname"]),
    ] {
        let message = bare.refused(&with(&config, options)).await;
        assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
    }
}

/// What somebody can put right fails the task, or waits for it.
async fn failed_or_waiting(bare: &Bare, server: &Postgres) {
    execute(&server.url(), "CREATE PUBLICATION pub_others FOR TABLE content").await;
    let named = |name: &str, options| with(&postgres(server.port(), name), options);
    // Two on one slot are refused where it shows. By another name of the server it only shows when the slot is taken.
    let same = json!({"slot.name": "slot_source"});
    let (status, body) = bare.post("slot", &named("slot", same.clone())).await;
    let message = body["message"].as_str().unwrap_or_default();
    assert_eq!(status, 409, "{body}");
    assert!(["slot", "source", "slot_source", "choose another slot.name"].iter().all(|word| message.contains(word)));
    let elsewhere = json!({"database.hostname": "localhost", "errors.max.retries": "-1"});
    bare.create("slot", &with(&named("slot", same), elsewhere)).await;
    bare.create("others", &named("others", json!({"publication.autocreate.mode": "disabled"}))).await;
    let weak = json!({"database.user": "weak", "database.password": "weak"});
    bare.create("weak", &named("weak", weak)).await;
    bare.create("disabled", &named("disabled", json!({"publication.autocreate.mode": "disabled"}))).await;
    for (name, words) in [
        ("others", ["THM-SRC-005", "pub_others", "ALTER PUBLICATION \"pub_others\" ADD TABLE"]),
        ("weak", ["THM-SRC-002", "weak", "ALTER ROLE \"weak\" REPLICATION"]),
        ("disabled", ["THM-SRC-005", "pub_disabled", "CREATE PUBLICATION \"pub_disabled\" FOR TABLE"]),
    ] {
        bare.task(name, "FAILED", &words).await;
    }
    // A slot has one reader; the other waits for it.
    bare.task("slot", "RUNNING", &["THM-SRC-004", "slot_source", "tries again"]).await;

    // The remedy in the trace works.
    execute(&server.url(), "ALTER PUBLICATION pub_others ADD TABLE engagement_events").await;
    assert_eq!(bare.ask("POST", "/connectors/others/restart?includeTasks=true", None).await.unwrap().0, 202);
    bare.is_well("others").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_set_up_for_logical_replication() {
    let server = Postgres::temporary_with(|server| server.with_setting("wal_level", "replica"));
    let (bare, server) = tokio::join!(Bare::start(&[]), server);
    let server = server.unwrap();
    execute(&server.url(), "CREATE TABLE engagement_events (id int PRIMARY KEY)").await;
    bare.create("source", &postgres(server.port(), "source")).await;
    let words = ["THM-SRC-003", "wal_level is replica", "wal_level = logical", "restart PostgreSQL"];
    bare.task("source", "FAILED", &words).await;
}
