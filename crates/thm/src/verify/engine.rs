//! The running engine's own API: the barrier, and topics with positions.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use thm_api::{ConnectorConfig, Lsn, Offset, Op, Origin, Position, SinkRecord};
use uuid::Uuid;

use crate::config::Config;

/// A client of a running engine.
pub struct Engine {
    base: String,
    connect: String,
    client: reqwest::Client,
    timeout: Duration,
}

/// One record as `/api/log` gives it.
#[derive(Debug, Deserialize)]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// Kafka timestamp in milliseconds.
    pub timestamp: i64,
    /// Position of the change; none for foreign records.
    pub position: Option<Position>,
    /// `thm.op`, where there is one.
    pub op: Option<String>,
    /// `thm.ts`, where there is one.
    pub commit_us: Option<i64>,
    /// `thm.old`, where there is one.
    pub old: Option<String>,
    /// Key as text.
    pub key: Option<String>,
    /// Value as text.
    pub value: Option<String>,
}

impl LogRecord {
    /// The same as a sink gets it.
    pub fn to_sink_record(&self) -> SinkRecord {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let op = self.op.as_deref().and_then(|op| op.bytes().next()).and_then(Op::from_letter);
        let origin = op.zip(self.position).zip(self.commit_us).map(|((op, position), commit_us)| Origin {
            op,
            position,
            commit_us,
            old: bytes(&self.old),
        });
        SinkRecord {
            offset: Offset(self.offset),
            timestamp_ms: self.timestamp,
            key: bytes(&self.key),
            value: bytes(&self.value),
            headers: [].into(),
            origin,
        }
    }
}

/// A topic as `/api/log` tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct TopicInfo {
    /// Number of partitions; none of a topic that is not there.
    pub partitions: u32,
    /// Where each partition ends: the offset that its next record will have.
    pub ends: Vec<i64>,
    /// New with each creation.
    pub uuid: Uuid,
}

#[derive(Deserialize)]
struct Page {
    next: i64,
    end: i64,
    records: Vec<LogRecord>,
}

#[derive(Deserialize)]
struct Passed {
    passed: bool,
    waiting_for: Vec<String>,
}

impl Engine {
    /// For the engine of that configuration.
    pub fn new(config: &Config, timeout: Duration) -> Result<Self> {
        let bind = &config.server.bind;
        let host = if bind == "0.0.0.0" { "127.0.0.1" } else { bind };
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = |port: u16| format!("http://{host}:{port}");
        let (base, connect) = (address(config.server.flink_port), address(config.server.connect_port));
        Ok(Self { base, connect, client, timeout })
    }

    async fn get<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<T> {
        self.get_from(&self.base, path).await
    }

    async fn get_from<T: for<'a> Deserialize<'a>>(&self, base: &str, path: &str) -> Result<T> {
        let url = format!("{base}{path}");
        let sent = self.client.get(&url).send().await;
        let answer = sent.with_context(|| format!("the engine does not answer at {url}; is `thm run` up?"))?;
        if !answer.status().is_success() {
            bail!("{url} answers {}: {}", answer.status(), answer.text().await.unwrap_or_default());
        }
        Ok(answer.json().await?)
    }

    /// Waits until source, jobs and sinks are past PostgreSQL's current position.
    pub async fn barrier(&self, postgres: &tokio_postgres::Client) -> Result<Lsn> {
        let row = postgres.query_one("SELECT pg_current_wal_lsn()::text", &[]).await?;
        let lsn: Lsn = row.get::<_, String>(0).parse()?;
        let started = std::time::Instant::now();
        loop {
            let answer: Passed = self.get(&format!("/api/barrier?lsn={lsn}")).await?;
            if answer.passed {
                return Ok(lsn);
            }
            if started.elapsed() > self.timeout {
                bail!("not past {lsn} within {:?}; waiting for: {}", self.timeout, answer.waiting_for.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Calls `take` with each record of a topic's partitions, in offset order, to the end as it is now.
    pub async fn each_record(&self, topic: &str, mut take: impl FnMut(&LogRecord)) -> Result<()> {
        for partition in 0..self.topic(topic).await?.partitions {
            self.each_record_of(topic, partition, i64::MAX, &mut take).await?;
        }
        Ok(())
    }

    /// A topic's partitions and identity.
    pub async fn topic(&self, topic: &str) -> Result<TopicInfo> {
        self.get(&format!("/api/log/{topic}")).await
    }

    /// The same for one partition, up to an offset (exclusive).
    pub async fn each_record_of(
        &self,
        topic: &str,
        partition: u32,
        end: i64,
        mut take: impl FnMut(&LogRecord),
    ) -> Result<()> {
        let mut from = 0;
        let mut stop_at = end;
        while from < stop_at {
            let page: Page = self.get(&format!("/api/log/{topic}/{partition}?from={from}")).await?;
            stop_at = stop_at.min(page.end);
            page.records.iter().filter(|record| record.offset < end).for_each(&mut take);
            from = page.next;
        }
        Ok(())
    }

    /// Options, secrets resolved, of the connectors of a class, by name.
    pub async fn connectors_of(&self, class: &str) -> Result<Vec<(String, ConnectorConfig)>> {
        let all: BTreeMap<String, Value> = self.get_from(&self.connect, "/connectors?expand=info").await?;
        let mut found = Vec::new();
        for (name, one) in all {
            let values: BTreeMap<String, String> = serde_json::from_value(one["info"]["config"].clone())?;
            if values.get("connector.class").is_some_and(|of| of == class) {
                found.push((name, thm_connect::resolve_secrets(&values)?));
            }
        }
        Ok(found)
    }
}
