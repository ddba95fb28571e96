//! Malformed records that anybody with a Kafka client may write: dead letter queue or a stop by name, never silence.

use std::sync::Arc;

use serde_json::{Value, json};
use thm_dev::process::{Folders, free_ports};
use thm_dev::services::{ClickHouse, ExternalApi, Redis, Running};

use super::bare::{Bare, with};
use super::connectors::{http, redis};
use super::sinks::{EVENT, table};
use crate::stack::program;

#[tokio::test(flavor = "multi_thread")]
async fn sinks_set_them_aside_or_stop_as_told() {
    let (bare, clickhouse, redis_server) = tokio::join!(Bare::start(&[]), ClickHouse::temporary(), Redis::temporary());
    let (clickhouse, redis_server) = (clickhouse.unwrap(), redis_server.unwrap());
    let [port] = free_ports().unwrap();
    let folders = Folders::create(bare.folder.path()).unwrap();
    let api = ExternalApi::new(program(), &bare.folder.path().join("events.jsonl"), port);
    let api = Running::start(Arc::new(api), &folders).await.map_err(thm_api::Error::from).unwrap();
    let (url, uri) = (format!("{}/events", api.url()), redis_server.url());
    let sinks = [("clickhouse", table(&clickhouse, "enriched_events")), ("http", http(&url)), ("redis", redis(&uri))];
    // Two boards cannot share one key.
    let keys = |name: &str| json!({"leaderboard.key": name});
    for (name, config) in &sinks {
        let own = if *name == "redis" { keys("tolerant") } else { json!({}) };
        bare.create(&format!("{name}.all"), &with(&with(config, own), json!({"errors.tolerance": "all"}))).await;
        bare.create(&format!("{name}.none"), config).await;
    }
    bare.produce("thm.enriched.events", "1", EVENT);
    bare.produce("thm.enriched.events", "2", "this is no json");
    bare.produce("thm.enriched.events", "3", &EVENT.replace("\"id\":1", "\"id\":3"));
    for (name, _) in &sinks {
        let words = ["THM-SNK-004", "thm.enriched.events-0 offset 1", "JSON", "errors.tolerance=all"];
        bare.task(&format!("{name}.none"), "FAILED", &words).await;
        let queue = format!("dlq.{name}.all");
        let what = format!("{queue} is written");
        let letters = bare.until(&what, async || {
            let found = bare.consume(&queue);
            if found.contains("__connect.errors.offset=1") { Ok(found) } else { Err(found) }
        });
        let letters = letters.await;
        let words = ["this is no json", "__connect.errors.topic=thm.enriched.events", "THM-SNK-004", "JSON"];
        assert!(words.iter().all(|word| letters.contains(word)), "{letters}");
        assert_eq!(letters.matches("__connect.errors.offset=").count(), 1, "the others are not in it: {letters}");
        bare.is_well(&format!("{name}.all")).await;
    }
    bare.until("the rows around it arrive", async || {
        let ids = clickhouse.query("SELECT DISTINCT id FROM thm.enriched_events ORDER BY id").await.unwrap();
        if ids == "1\n3\n" { Ok(()) } else { Err(ids) }
    })
    .await;
}

/// A job without look-up over a topic that anybody may write.
fn job(ignore: bool) -> String {
    let name = if ignore { "lenient" } else { "strict" };
    format!(
        "CREATE TABLE s (id BIGINT, event_type STRING) WITH ('connector' = 'kafka', 'topic' = 'events',\n\
         'properties.bootstrap.servers' = 'redpanda:9092', 'scan.startup.mode' = 'earliest-offset',\n\
         'format' = 'debezium-json', 'debezium-json.ignore-parse-errors' = '{ignore}');\n\
         CREATE TABLE o (id BIGINT, event_type STRING, PRIMARY KEY (id) NOT ENFORCED) WITH (\n\
         'connector' = 'upsert-kafka', 'topic' = '{name}', 'properties.bootstrap.servers' = 'redpanda:9092',\n\
         'key.format' = 'json', 'value.format' = 'json');\n\
         INSERT INTO o SELECT id, event_type FROM s;\n"
    )
}

fn envelope(id: u32) -> String {
    json!({"before": Value::Null, "after": {"id": id, "event_type": "play"}, "op": "c"}).to_string()
}

async fn jobs(bare: &Bare) -> Value {
    let url = format!("http://127.0.0.1:{}/jobs/overview", bare.flink_port);
    match reqwest::get(url).await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Value::Null,
    }
}

async fn with_malformed_records(ignore: bool) -> Bare {
    let bare = Bare::start(&[("job.sql", job(ignore))]).await;
    bare.produce("events", "1", &envelope(1));
    let out = if ignore { "lenient" } else { "strict" };
    bare.until("the first record is written", async || {
        let found = bare.consume(out);
        if found.contains("{\"id\":1,") { Ok(()) } else { Err(found) }
    })
    .await;
    bare.produce("events", "2", "this is no json");
    bare.produce("events", "3", "{\"op\":\"z\"}");
    bare.produce("events", "4", &envelope(4));
    bare
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_skips_and_counts_them_where_it_was_told_to() {
    let bare = with_malformed_records(true).await;
    bare.until("the records around them are written", async || {
        let found = bare.consume("lenient");
        let both = found.contains("{\"id\":1,") && found.contains("{\"id\":4,");
        if both { Ok(()) } else { Err(found) }
    })
    .await;
    assert_eq!(jobs(&bare).await["jobs"][0]["state"], "RUNNING");
    let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", bare.flink_port)).await.unwrap().text().await;
    let metrics = metrics.unwrap();
    let counted = metrics.lines().find(|line| line.starts_with("thm_sql_records_skipped_total")).unwrap_or_default();
    assert!(counted.ends_with(" 2"), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_stops_at_them_otherwise() {
    let bare = with_malformed_records(false).await;
    let id = bare
        .until("the job is FAILED", async || {
            let jobs = jobs(&bare).await;
            let job = &jobs["jobs"][0];
            if job["state"] == "FAILED" { Ok(job["jid"].as_str().unwrap().to_owned()) } else { Err(jobs.to_string()) }
        })
        .await;
    let url = format!("http://127.0.0.1:{}/jobs/{id}/exceptions", bare.flink_port);
    let told = reqwest::get(url).await.unwrap().text().await.unwrap();
    let words = ["THM-SQL-002", "topic events, partition 0, offset 1", "ignore-parse-errors"];
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    assert!(!bare.consume("strict").contains("{\"id\":4,"), "nothing after it is written");
}
