//! `thm verify` after changes of every kind, and with each sink damaged by hand.

use std::path::Path;

use serde_json::Value;

use crate::stack::Stack;

/// Every way in which an event can change, on ids of its own.
const CHANGES: &str = "
    INSERT INTO engagement_events (id, content_id, event_type, event_ts, duration_ms, device)
      SELECT 900000 + n, (SELECT id FROM content ORDER BY slug OFFSET n % 5 LIMIT 1), 'play', now(), 1000 * n, 'ios'
      FROM generate_series(1, 30) AS n;
    UPDATE engagement_events SET event_ts = event_ts - interval '1 hour', device = 'android' WHERE id BETWEEN 900001 AND 900009;
    UPDATE engagement_events SET event_type = NULL WHERE id IN (900010, 900011);
    UPDATE engagement_events SET event_type = 'finish' WHERE id = 900011;
    DELETE FROM engagement_events WHERE id IN (900012, 900013);
    INSERT INTO engagement_events (id, event_type) VALUES (900013, 'click');
    UPDATE engagement_events SET id = 900099, event_ts = now() WHERE id = 900014;
    BEGIN;
    UPDATE content SET length_seconds = length_seconds + 1;
    UPDATE engagement_events SET duration_ms = 77 WHERE id = 900015;
    UPDATE content SET length_seconds = length_seconds + 1;
    DELETE FROM engagement_events WHERE id = 900016;
    INSERT INTO engagement_events (id, event_type) VALUES (900016, 'pause');
    SAVEPOINT s;
    DELETE FROM engagement_events WHERE id > 900015;
    ROLLBACK TO SAVEPOINT s;
    COMMIT;
    BEGIN; DELETE FROM engagement_events; ROLLBACK;
    INSERT INTO content (id, slug, title) VALUES ('00000000-0000-4000-8000-000000000009', 'nine', 'Nine');
    INSERT INTO engagement_events (id, event_type, content_id)
      VALUES (900031, 'finish', '00000000-0000-4000-8000-000000000009');";

/// The member of the board that only one event has scored for, a moment ago: nothing touches it for ten minutes.
const MEMBER: &str = "00000000-0000-4000-8000-000000000009";

/// A change that the source is not told of: the topic goes without it.
const UNSEEN: &str = "
    ALTER PUBLICATION thm_pub DROP TABLE engagement_events;
    UPDATE engagement_events SET device = 'unseen', duration_ms = 5 WHERE id = 900020;
    DELETE FROM engagement_events WHERE id = 900021;
    ALTER PUBLICATION thm_pub ADD TABLE engagement_events;";

/// What the report says of a key in a sink.
fn said<'r>(report: &'r Value, sink: &str, key: &str) -> &'r str {
    let shown = report["shown"].as_array().unwrap();
    let found = shown.iter().find(|one| one["sink"] == sink && one["key"] == key);
    found.and_then(|one| one["what"].as_str()).unwrap_or_else(|| panic!("{sink} {key} is not in {report:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_every_kind_are_equal_and_each_damage_is_named() {
    let stack = Stack::start().await;
    stack.assert_verified();
    stack.sql(CHANGES).await;
    let report = stack.assert_verified();
    assert_eq!(report["differences"], 0, "{report}");

    stack.sql(UNSEEN).await;
    damage_clickhouse(&stack).await;
    damage_redis(&stack).await;
    damage_ledger(&stack.config.parent().unwrap().join("api/events.jsonl"));
    let output = stack.thm(&["verify", "--output", "json", "--show", "100", "--rounds", "2"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (sink, key, what) in [
        ("topic", "900020", "differs in device, engagement_seconds, engagement_pct"),
        ("topic", "900021", "is there, but not in PostgreSQL"),
        ("ClickHouse", "900020", "differs in device, engagement_seconds, engagement_pct"),
        ("ClickHouse", "900021", "is there, but not in PostgreSQL"),
        ("ClickHouse", "900022", "differs in event_type, device"),
        ("ClickHouse", "900023", "is missing"),
        ("ClickHouse", "900012", "is there, but not in PostgreSQL"),
        ("ClickHouse", "900024", "is there 2 times under FINAL"),
        ("ClickHouse", "900010", "is there, but the filter drops it"),
        ("Redis", MEMBER, "is 4, should be 1"),
        ("HTTP", "900025", "was never received"),
        ("HTTP", "900001", "a state that it had was never received"),
        ("HTTP", "900002", "the last state received is not its last state: it differs in event_ts, device"),
        ("HTTP", "900026", "the last state received is not its last state: it is no state that the topic has"),
        ("HTTP", "987654", "was received, but never was an enriched event"),
    ] {
        assert_eq!(said(&report, sink, key), what);
    }
    assert!(said(&report, "HTTP", "900003").contains("came after"), "{report:#}");
    assert_eq!(report["differences"], 16, "{report:#}");
}

async fn damage_clickhouse(stack: &Stack) {
    let table = "thm.enriched_events";
    let copy = |from: i64, changes: &str| {
        format!("INSERT INTO {table} SELECT * REPLACE ({changes}) FROM (SELECT * FROM {table} FINAL WHERE id = {from})")
    };
    for statement in [
        copy(900_022, "'pause' AS event_type, 'x' AS device"),
        format!("DELETE FROM {table} WHERE id = 900023"),
        copy(900_015, "900012 AS id"),
        copy(900_024, "event_ts + 1 AS event_ts"),
        copy(900_015, "900010 AS id"),
    ] {
        stack.clickhouse.query(&statement).await.unwrap();
    }
}

/// The number of members stays as it is: what does not add up the sink finds by itself.
async fn damage_redis(stack: &Stack) {
    let client = redis::Client::open(stack.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut add = redis::cmd("ZINCRBY");
    add.arg("thm:top:10m").arg(3).arg(MEMBER);
    add.query_async::<()>(&mut connection).await.unwrap();
}

/// Takes deliveries away, exchanges them, and adds one that never was.
fn damage_ledger(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let of = |lines: &[String], id: i64| {
        let mark = format!("\"ids\":[{id}]");
        let places: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(&mark)).collect();
        places
    };
    let first = of(&lines, 900_001)[0];
    lines.remove(first);
    let last = of(&lines, 900_002).pop().unwrap();
    lines.remove(last);
    let only = of(&lines, 900_025)[0];
    lines.remove(only);
    let both = of(&lines, 900_003);
    lines.swap(both[0], both[1]);
    let altered = of(&lines, 900_026)[0];
    let (head, _) = lines[altered].split_once("\"sums\"").unwrap();
    lines[altered] = format!("{head}\"sums\":[1]}}");
    lines.push(r#"{"key":"stray","ids":[987654],"sums":[2]}"#.to_owned());
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}
