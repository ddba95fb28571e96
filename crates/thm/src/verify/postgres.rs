//! The truth: events and content as PostgreSQL has them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use thm_tls::{PostgresTls, SslMode};
use tokio_postgres::config::{Host, SslMode as UrlMode};
use tokio_postgres::{Client, Config, Row};

use super::expected::{Content, Event};

/// Columns of an event, times as microseconds since 1970 so that no text form matters.
const EVENT_COLUMNS: &str = "id, content_id::text, user_id::text, event_type, \
    (extract(epoch FROM event_ts) * 1000000)::bigint, duration_ms, device, raw_payload::text";

/// Connects; the connection ends with the client.
pub async fn connect(url: &str) -> Result<Client> {
    let config: Config = url.parse().context("verify.postgres in the configuration")?;
    let mode = match config.get_ssl_mode() {
        UrlMode::Disable => SslMode::Disable,
        UrlMode::Require => SslMode::Require,
        _ => SslMode::Prefer,
    };
    let name = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => String::new(),
    });
    let tls = PostgresTls::new(mode, None, None)?;
    let connected = config.connect(tls.for_host(&name.unwrap_or_default())).await;
    let (client, connection) = connected.context("cannot reach PostgreSQL (verify.postgres in the configuration)")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

fn event(row: &Row) -> Event {
    Event {
        id: row.get(0),
        content_id: row.get(1),
        user_id: row.get(2),
        event_type: row.get(3),
        event_us: row.get(4),
        duration_ms: row.get(5),
        device: row.get(6),
        raw_payload: row.get(7),
    }
}

/// Lowest and highest id; `(0, -1)` of an empty table.
pub async fn id_range(client: &Client) -> Result<(i64, i64)> {
    let row =
        client.query_one("SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM engagement_events", &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// The lowest id above one.
pub async fn next_id(client: &Client, above: i64) -> Result<Option<i64>> {
    let row = client.query_one("SELECT min(id) FROM engagement_events WHERE id > $1", &[&above]).await?;
    Ok(row.get(0))
}

/// Events of a range of ids, both ends included.
pub async fn events_between(client: &Client, from: i64, to: i64) -> Result<Vec<Event>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM engagement_events WHERE id BETWEEN $1 AND $2 ORDER BY id");
    Ok(client.query(&sql, &[&from, &to]).await?.iter().map(event).collect())
}

/// Events by id, as far as they exist.
pub async fn events_of(client: &Client, ids: &[i64]) -> Result<Vec<Event>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM engagement_events WHERE id = ANY($1) ORDER BY id");
    Ok(client.query(&sql, &[&ids]).await?.iter().map(event).collect())
}

/// All content rows by id.
pub async fn content(client: &Client) -> Result<BTreeMap<String, Content>> {
    let rows = client.query("SELECT id::text, content_type, length_seconds FROM content", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), Content { content_type: row.get(1), length_seconds: row.get(2) })).collect())
}
