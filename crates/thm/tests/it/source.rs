//! The source's promises seen from the sinks: snapshots taken again, large values, TRUNCATE, changed tables.

use std::path::Path;

use serde_json::Value;

use crate::stack::{Options, Stack, project};

/// Number or text that ClickHouse answers.
async fn clickhouse(stack: &Stack, query: &str) -> String {
    let answer = reqwest::Client::new().post(stack.clickhouse.url()).body(query.to_owned()).send().await.unwrap();
    answer.text().await.unwrap().trim().to_owned()
}

async fn rows_in_clickhouse(stack: &Stack) -> u64 {
    clickhouse(stack, "SELECT count() FROM thm.enriched_events FINAL").await.parse().unwrap_or(0)
}

/// What the source's slot state says.
fn slot_state(stack: &Stack) -> String {
    fn find(folder: &Path) -> Option<String> {
        for entry in folder.read_dir().ok()?.flatten() {
            let path = entry.path();
            let found = if path.is_dir() { find(&path) } else { std::fs::read_to_string(&path).ok() };
            if let Some(text) = found.filter(|text| text.contains("consistent_point")) {
                return Some(text);
            }
        }
        None
    }
    find(&stack.config.parent().unwrap().join("engine/state")).unwrap_or_default()
}

/// The demo's connectors, but the snapshot of the events does not get beyond row 10,000 while the gate is shut.
fn gated_connectors(folder: &Path) -> String {
    for entry in project().join("connectors").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let mut connector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if connector["name"] == "pg.engagement.source" {
            let option = "snapshot.select.statement.overrides";
            connector["config"][option] = "public.engagement_events".into();
            connector["config"][format!("{option}.public.engagement_events")] =
                "SELECT * FROM engagement_events WHERE id <= 10000 OR gate()".into();
        }
        std::fs::write(folder.join(path.file_name().unwrap()), connector.to_string()).unwrap();
    }
    folder.join("*.json").display().to_string()
}

/// Promise 12: what the abandoned snapshot told of rows that are gone or elsewhere when it is taken again is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_taken_again_takes_back_what_is_no_longer_so() {
    let folder = tempfile::tempdir().unwrap();
    let connectors = gated_connectors(folder.path());
    let mut stack = Stack::services(Options { connectors, ..Options::default() }).await;
    stack
        .sql("INSERT INTO engagement_events (content_id, user_id, event_type, device, raw_payload)
              SELECT (SELECT id FROM content ORDER BY slug OFFSET n % 20 LIMIT 1), gen_random_uuid(), 'play', 'ios', '{}'
              FROM generate_series(1, 10000) n;
              CREATE FUNCTION gate() RETURNS boolean LANGUAGE sql VOLATILE AS
              'SELECT pg_advisory_lock_shared(8), pg_advisory_unlock_shared(8); SELECT true'")
        .await;
    let keeper = stack.client().await;
    keeper.batch_execute("SELECT pg_advisory_lock(8)").await.unwrap();
    stack.start_engine().await;
    stack.eventually("rows of the snapshot arrive", async || rows_in_clickhouse(&stack).await > 1_000).await;
    stack.kill_engine();
    keeper.batch_execute("SELECT pg_advisory_unlock(8)").await.unwrap();
    assert!(slot_state(&stack).contains("\"started\""), "killed during the snapshot: {}", slot_state(&stack));
    let ids = clickhouse(&stack, "SELECT arrayStringConcat(groupArray(toString(id)), ',') FROM (SELECT id FROM thm.enriched_events ORDER BY id LIMIT 60)").await;
    let ids: Vec<&str> = ids.split(',').collect();
    let (gone, moved) = (ids[..30].join(","), ids[30..].join(","));
    stack
        .sql(&format!(
            "DELETE FROM engagement_events WHERE id IN ({gone});
             UPDATE engagement_events SET event_ts = event_ts - interval '1 hour' WHERE id IN ({moved})"
        ))
        .await;
    stack.start_engine().await;
    stack.assert_verified();
    assert!(stack.engine_log().contains("told of rows that are gone"));
}

/// A slot that was lost, and its way out: the rows that changed or went meanwhile are right in every sink.
#[tokio::test(flavor = "multi_thread")]
async fn a_resnapshot_takes_back_what_the_lost_slot_missed() {
    let mut stack = Stack::start().await;
    stack.assert_verified();
    stack.stop_engine();
    stack
        .sql(
            "SELECT pg_drop_replication_slot('thm_pg');
              DELETE FROM engagement_events WHERE id % 10 = 0;
              UPDATE engagement_events SET event_ts = event_ts - interval '2 hours', duration_ms = 1 WHERE id % 10 = 1;
              UPDATE content SET length_seconds = 77",
        )
        .await;
    stack.start_engine().await;
    let status = format!("/connectors/{}/status", "pg.engagement.source");
    let failed = async |stack: &Stack| {
        let status = stack.get(stack.connect_port, &status).await.unwrap_or_default();
        status["tasks"][0]["trace"].as_str().is_some_and(|trace| trace.contains("THM-SRC-006"))
    };
    stack.eventually("the source stops", async || failed(&stack).await).await;
    let url = format!("http://127.0.0.1:{}/connectors/pg.engagement.source/config", stack.connect_port);
    let order = r#"{"thm.start": "resnapshot"}"#;
    let patch = reqwest::Client::new().patch(url).header("content-type", "application/json").body(order);
    assert!(patch.send().await.unwrap().status().is_success());
    stack.assert_verified();
}

/// An update of another column, and a key's change, put no placeholder anywhere; a TRUNCATE empties the sinks.
#[tokio::test(flavor = "multi_thread")]
async fn large_values_arrive_whole_and_a_truncate_empties_the_sinks() {
    let stack = Stack::start().await;
    let noise = "(SELECT string_agg(md5(n::text || random()), '') FROM generate_series(1, 400) n)";
    stack
        .sql(&format!(
            "INSERT INTO engagement_events (id, content_id, user_id, event_type, device, raw_payload)
             SELECT 900000 + n, (SELECT id FROM content LIMIT 1), gen_random_uuid(), 'play', 'ios',
                    jsonb_build_object('blob', {noise}) FROM generate_series(1, 5) n;
             UPDATE engagement_events SET device = 'android' WHERE id > 900000;
             UPDATE engagement_events SET id = id + 1000 WHERE id IN (900001, 900002)"
        ))
        .await;
    stack.assert_verified();
    let placeholders = "SELECT count() FROM thm.enriched_events WHERE raw_payload LIKE '%debezium_unavailable%'";
    assert_eq!(clickhouse(&stack, placeholders).await, "0");
    let posted = std::fs::read_to_string(stack.config.parent().unwrap().join("api/events.jsonl")).unwrap();
    assert!(posted.contains("900003") && !posted.contains("debezium_unavailable"));
    stack
        .sql(
            "BEGIN; INSERT INTO engagement_events (id, event_type) VALUES (950001, 'play'); TRUNCATE engagement_events;
              INSERT INTO engagement_events (id, event_type) VALUES (950002, 'click'); COMMIT",
        )
        .await;
    stack.assert_verified();
    assert_eq!(rows_in_clickhouse(&stack).await, 1);
}

/// CONTRACTS §11: an added column, also one that is added in a transaction with data, stops neither source nor job.
#[tokio::test(flavor = "multi_thread")]
async fn an_added_column_stops_nothing() {
    let stack = Stack::start().await;
    let load = stack.generate(200);
    stack.sql("ALTER TABLE engagement_events ADD COLUMN place text DEFAULT 'here'").await;
    stack
        .sql("BEGIN; INSERT INTO engagement_events (id, event_type) VALUES (910001, 'play');
              ALTER TABLE engagement_events ADD COLUMN volume int;
              INSERT INTO engagement_events (id, event_type, place, volume) VALUES (910002, 'play', 'there', 11); COMMIT")
        .await;
    drop(load);
    stack.assert_verified();
    let job: Value = stack.get(stack.flink_port, "/jobs").await.unwrap();
    assert_eq!(job["jobs"][0]["status"], "RUNNING");
}
