//! The screen as text, at the sizes that people have.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::view::View;
use super::*;

const RUNNING: &str = r#"{"memory_bytes":45000000,
  "connectors":[
    {"name":"clickhouse.enriched.sink","kind":"sink","class":"com.clickhouse.kafka.connect.ClickHouseSinkConnector",
     "state":"RUNNING","records":41020,"rate":1003.2,"lag":412,"lag_seconds":0.41,"p99_seconds":0.52,"rows":41020},
    {"name":"http.enriched.sink","kind":"sink","class":"io.aiven.kafka.connect.http.HttpSinkConnector","state":"RUNNING",
     "records":41220,"rate":1002.0,"lag":0,"lag_seconds":0.0,"p99_seconds":0.005},
    {"name":"pg.engagement.source","kind":"source","class":"io.debezium.connector.postgresql.PostgresConnector",
     "state":"RUNNING","records":41240,"rate":1003.0,
     "postgres":{"host":"127.0.0.1","port":5432,"slot":"thm_pg","lag_bytes":0,"retained_wal_bytes":1234567}},
    {"name":"redis.leaderboard.sink","kind":"sink","class":"thamanya.connect.redis.LeaderboardSinkConnector",
     "state":"RUNNING","records":41220,"rate":1003.0,"lag":3,"lag_seconds":0.003,
     "leaderboard":[{"member":"x","title":"Inflation","score":412.6},{"member":"c-3","score":398.2},{"member":"c-19","score":391.0}]}],
  "jobs":[{"short_name":"enriched_out","state":"RUNNING","output_topic":"thm.enriched.events","records_out":41220,
           "rate":1003.0,"lag":0,"p99_seconds":0.0019}],
  "topics":[{"name":"pg.public.content","records":20,"snapshot":{"rows":20,"expected":20}},
            {"name":"pg.public.engagement_events","records":41220,"snapshot":{"rows":4000,"expected":4000}},
            {"name":"thm.enriched.events","records":41220}]}"#;

fn unit(name: &'static str, state: &'static str, now: Instant) -> UnitRow {
    UnitRow { name, state, ports: vec![5432], since: now, restarts: 0, waits_for: Vec::new() }
}

fn shown(figures: &Figures, width: usize, height: usize) -> Vec<String> {
    let now = Instant::now();
    let mut units =
        ["postgres", "redis", "clickhouse", "external-api", "run", "generator"].map(|name| unit(name, "running", now));
    units[1].restarts = 1;
    let guide = Guide {
        links: vec![("dashboard", "http://localhost:8081".to_owned()), ("connect", ":8083".to_owned())],
        insert: "psql postgres://app:app@localhost:5432/thm -c \"INSERT INTO engagement_events (content_id, user_id) \
                 SELECT id, gen_random_uuid() FROM content LIMIT 1\""
            .to_owned(),
        watch: "redis-cli ZREVRANGE thm:top:10m 0 9 WITHSCORES".to_owned(),
    };
    let journal: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
    let view = View {
        now: now + Duration::from_secs(41),
        began: now,
        units: &units,
        announced: true,
        deadline: None,
        figures: Some(figures),
        is_fresh: true,
        guide: &guide,
        journal: &journal,
    };
    view.rows(width, height).iter().map(|row| row.plain(width)).collect()
}

#[test]
fn the_path_and_everything_else_fit_on_80_by_24() {
    let figures: Figures = serde_json::from_str(RUNNING).unwrap();
    let rows = shown(&figures, 80, 24);
    assert!(rows.len() <= 24);
    let text = rows.join("\n");
    for part in [
        "thamanya dev · up 41 s · engine 45.0 MB",
        "q or Ctrl-C stops everything",
        "PostgreSQL :5432   slot thm_pg   lag 0 B   retained WAL 1.2 MB",
        "│ 1,003 rows/s",
        "pg.public.engagement_events         41,220 records   snapshot 4,000 of 4,000",
        "│ enriched_out  RUNNING     1,003/s   lag 0   p99 1.9 ms",
        "├─ ClickHouse  RUNNING     1,003/s  lag 0.4 s",
        "41,020 rows",
        "└─ Redis       RUNNING",
        "Inflation 412.6",
        "0 retries · 0 dead letters",
        "http://localhost:8081",
        "psql postgres://app:app@localhost:5432/thm -c \"INSERT INTO",
        "line 49",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(rows.iter().all(|row| text::columns(row) <= 80), "{text}");
}

#[test]
fn a_small_terminal_keeps_the_path() {
    let figures: Figures = serde_json::from_str(RUNNING).unwrap();
    for (width, height) in [(40, 12), (20, 5), (1, 1)] {
        let rows = shown(&figures, width, height);
        assert!(rows.len() <= height && rows.iter().all(|row| text::columns(row) <= width), "{rows:?}");
    }
    let text = shown(&figures, 40, 13).join("\n");
    assert!(text.contains("ClickHouse  RUNNING") && text.contains("HTTP"), "{text}");
}

#[test]
fn services_keep_their_names_where_restarts_do_not_fit() {
    let figures: Figures = serde_json::from_str(RUNNING).unwrap();
    let of = |width| shown(&figures, width, 24)[1].clone();
    assert!(of(80).contains("● redis  ● clickhouse"), "{}", of(80));
    assert!(of(100).contains("● redis (1 restart)  ● clickhouse"), "{}", of(100));
    assert!(of(40).contains("● ● ") || of(40).contains("●   ●"), "{}", of(40));
}

#[test]
fn what_fails_says_why_and_what_to_do_where_it_stands() {
    let mut figures: Figures = serde_json::from_str(RUNNING).unwrap();
    let problem = r#"{"code":"THM-SNK-001","message":"sending rows: 127.0.0.1:8123: connection refused","hint":"Check that the target runs."}"#;
    figures.connectors[0].error = serde_json::from_str(problem).unwrap();
    figures.connectors[0].retrying = true;
    let rows = shown(&figures, 100, 30);
    let place = rows.iter().position(|row| row.contains("ClickHouse  RETRYING")).unwrap();
    assert!(rows[place + 1].contains("THM-SNK-001 sending rows: 127.0.0.1:8123"), "{rows:?}");
    assert!(rows[place + 2].contains("→ Check that the target runs."), "{rows:?}");
}

#[test]
fn while_services_start_each_has_its_row() {
    let now = Instant::now();
    let mut waiting = unit("run", "stopped", now);
    waiting.waits_for = vec!["clickhouse"];
    let units = [unit("postgres", "running", now), unit("clickhouse", "starting", now), waiting];
    let guide = Guide::default();
    let view = View {
        now: now + Duration::from_millis(1400),
        began: now,
        units: &units,
        announced: false,
        deadline: None,
        figures: None,
        is_fresh: false,
        guide: &guide,
        journal: &[],
    };
    let text: Vec<String> = view.rows(80, 24).iter().map(|row| row.plain(80)).collect();
    let text = text.join("\n");
    for part in [
        "· starting 1 s",
        "postgres      ready on :5432",
        "clickhouse    starting 1.4 s",
        "run           waits for clickhouse",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}
