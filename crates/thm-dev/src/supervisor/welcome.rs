//! What is printed when everything is up: where it listens, and something to paste.

use std::path::Path;

use super::plan::{Plan, Ports};
use super::screen::Guide;

/// What is inserted: short enough to paste, with something to recognise it by.
const INSERT: &str = "INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload) \
    SELECT id, gen_random_uuid(), 'finish', 480000, 'ios', '{\"hello\": \"world\"}' FROM content \
    WHERE slug = 'explained-inflation' RETURNING id";
/// The same for a screen, where each line counts.
const SHORT_INSERT: &str = "INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms) \
    SELECT id, gen_random_uuid(), 'finish', 480000 FROM content LIMIT 1 RETURNING id";

/// Addresses as a person types them.
struct Addresses {
    postgres: String,
    redis: String,
    clickhouse: String,
}

impl Addresses {
    fn of(plan: &Plan) -> Self {
        let Ports { clickhouse, redis, .. } = plan.ports;
        let redis = if plan.endpoints.redis == format!("redis://127.0.0.1:{redis}/0") {
            if redis == Ports::STANDARD.redis { "redis-cli".to_owned() } else { format!("redis-cli -p {redis}") }
        } else {
            format!("redis-cli -u {}", plan.endpoints.redis)
        };
        let clickhouse = if plan.endpoints.clickhouse == format!("http://127.0.0.1:{clickhouse}") {
            format!("http://localhost:{clickhouse}")
        } else {
            plan.endpoints.clickhouse.clone()
        };
        Self { postgres: plan.endpoints.postgres.replace("127.0.0.1", "localhost"), redis, clickhouse }
    }
}

/// Links, an INSERT and where to watch it arrive, for the screen.
pub(super) fn guide(plan: &Plan) -> Guide {
    let Ports { external_api, kafka: [kafka, _], connect, flink, .. } = plan.ports;
    let Addresses { postgres, redis, clickhouse } = Addresses::of(plan);
    let port = |port: u16| format!(":{port}");
    let clickhouse = clickhouse.strip_prefix("http://localhost").unwrap_or(&clickhouse).to_owned();
    Guide {
        links: vec![
            ("dashboard", format!("http://localhost:{flink}")),
            ("connect", port(connect)),
            ("kafka", port(kafka)),
            ("clickhouse", clickhouse),
            ("metrics", format!(":{flink}/metrics")),
            ("mock API", port(external_api)),
        ],
        insert: format!("psql {postgres} -c \"{SHORT_INSERT}\""),
        watch: format!("{redis} ZREVRANGE thm:top:10m 0 9 WITHSCORES"),
    }
}

/// Addresses, an INSERT and where to watch it arrive.
pub(super) fn text(plan: &Plan) -> String {
    let Ports { external_api, kafka: [inner, outer], connect, flink, .. } = plan.ports;
    let Addresses { postgres, redis, clickhouse } = Addresses::of(plan);
    let insert = INSERT.replace('"', "\\\"");
    let (thm, ledger) = (shown(&plan.program), shown(&plan.endpoints.ledger));
    let data = plan.config_file.parent().map(shown).unwrap_or_default();
    let option = if data == ".thm" { String::new() } else { format!(" --data {data}") };
    format!(
        r#"
  Everything runs. Ctrl-C stops it and leaves no process behind.

    dashboard, Flink REST   http://localhost:{flink}
    Kafka Connect REST      http://localhost:{connect}/connectors
    Kafka                   localhost:{inner}, localhost:{outer}
    PostgreSQL              {postgres}
    ClickHouse              {clickhouse}
    Redis                   {redis}
    mock API                http://localhost:{external_api}/metrics
    data and logs           {data}

  Insert an event:
    psql {postgres} -c "{insert}"
  and watch it arrive:
    curl -s '{clickhouse}/?query=SELECT+*+FROM+thm.enriched_events+ORDER+BY+id+DESC+LIMIT+1+FORMAT+Vertical'
    {redis} ZREVRANGE thm:top:10m 0 9 WITHSCORES
    tail -n 1 {ledger}
  From a second terminal:
    {thm} dev{option} ps | logs SERVICE | stop SERVICE | start SERVICE | restart SERVICE
"#
    )
}

/// A path as short as it can be typed from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
