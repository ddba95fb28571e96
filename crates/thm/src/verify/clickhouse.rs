//! The rows of `thm.enriched_events` under FINAL.

use anyhow::{Context, Result, bail};

use super::expected::EnrichedRow;

/// Decimals as hundredths and times as milliseconds: whole numbers compare without doubt.
const COLUMNS: &str = "id, content_id, user_id, event_type, toUnixTimestamp64Milli(event_ts), device, content_type, \
    length_seconds, toInt64(engagement_seconds * 100), toInt64(engagement_pct * 100), raw_payload";
const TABLE: &str = "thm.enriched_events FINAL";
/// Ids that one query asks for: some 100 KiB of text, where ClickHouse refuses a query above 256 KiB unless told otherwise.
const IDS_PER_QUERY: usize = 5_000;

/// A client of the HTTP interface.
pub struct ClickHouse {
    url: String,
    client: reqwest::Client,
}

type Cells = (i64, String, String, String, i64, String, String, i32, Option<i64>, Option<i64>, String);

fn row(cells: Cells) -> EnrichedRow {
    let (
        id,
        content_id,
        user_id,
        event_type,
        event_ms,
        device,
        content_type,
        length_seconds,
        seconds,
        pct,
        raw_payload,
    ) = cells;
    EnrichedRow {
        id,
        content_id,
        user_id,
        event_type,
        event_ms,
        device,
        content_type,
        length_seconds,
        engagement_seconds: seconds,
        engagement_pct: pct,
        raw_payload,
    }
}

impl ClickHouse {
    /// For the URL of the HTTP interface.
    pub fn new(url: &str) -> Result<Self> {
        if url.starts_with("https:") {
            bail!("verify.clickhouse cannot be https: name ClickHouse's HTTP port (8123), or a tunnel to it");
        }
        Ok(Self { url: url.to_owned(), client: reqwest::Client::builder().no_proxy().build()? })
    }

    async fn query(&self, sql: String) -> Result<String> {
        let settings = [("output_format_json_quote_64bit_integers", "0")];
        let sent = self.client.post(&self.url).query(&settings).body(sql).send().await;
        let answer = sent.context("cannot reach ClickHouse (verify.clickhouse in the configuration)")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("ClickHouse answers {status}: {}", text.lines().next().unwrap_or_default());
        }
        Ok(text)
    }

    async fn number(&self, sql: &str) -> Result<Option<i64>> {
        let text = self.query(sql.to_owned()).await?;
        Ok(text.trim().parse().ok())
    }

    async fn rows(&self, condition: &str) -> Result<Vec<EnrichedRow>> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLE} WHERE {condition} ORDER BY id FORMAT JSONCompactEachRow");
        let text = self.query(sql).await?;
        text.lines().map(|line| Ok(row(serde_json::from_str(line)?))).collect()
    }

    /// Lowest and highest id; `(0, -1)` of an empty table.
    pub async fn id_range(&self) -> Result<(i64, i64)> {
        if self.count().await? == 0 {
            return Ok((0, -1));
        }
        let lowest = self.number("SELECT min(id) FROM thm.enriched_events").await?;
        let highest = self.number("SELECT max(id) FROM thm.enriched_events").await?;
        Ok((lowest.unwrap_or(0), highest.unwrap_or(-1)))
    }

    /// The lowest id above one.
    pub async fn next_id(&self, above: i64) -> Result<Option<i64>> {
        let sql = format!("SELECT minOrNull(id) FROM thm.enriched_events WHERE id > {above}");
        self.number(&sql).await
    }

    /// Rows of a range of ids, both ends included.
    pub async fn rows_between(&self, from: i64, to: i64) -> Result<Vec<EnrichedRow>> {
        self.rows(&format!("id BETWEEN {from} AND {to}")).await
    }

    /// Rows by id, however many there are.
    pub async fn rows_of(&self, ids: &[i64]) -> Result<Vec<EnrichedRow>> {
        let mut rows = Vec::new();
        for some in ids.chunks(IDS_PER_QUERY) {
            let list: Vec<String> = some.iter().map(i64::to_string).collect();
            rows.extend(self.rows(&format!("id IN ({})", list.join(","))).await?);
        }
        Ok(rows)
    }

    /// Number of rows.
    pub async fn count(&self) -> Result<u64> {
        let count = self.number(&format!("SELECT count() FROM {TABLE}")).await?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}
