//! `thm smoke`: the user's smoke test, from outside, as any client would do it.
//!
//! Recreates the ClickHouse sink over REST, produces two sample records with a Kafka client, and waits until they
//! are in ClickHouse and on the leaderboard. The samples have fixed ids, so running it again changes nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use thm_api::ExitCode;
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use super::output;
use crate::config::Config;
use crate::kafka_client::KafkaClient;

const TOPIC: &str = "thm.enriched.events";
const CLASS: &str = "com.clickhouse.kafka.connect.ClickHouseSinkConnector";
const BOARD: &str = "thm:top:10m";
/// Far above what a bigserial reaches, and below 2^63.
const SAMPLE_IDS: [i64; 2] = [9_000_000_000_000_001, 9_000_000_000_000_002];
const SAMPLE_CONTENT: [&str; 2] = ["5a3b7e60-0000-4000-8000-000000000001", "5a3b7e60-0000-4000-8000-000000000002"];

/// Recreate the ClickHouse sink, send two samples, see them arrive.
#[derive(Args)]
pub struct SmokeArgs {
    /// The engine's configuration: where everything listens.
    #[arg(long, short, default_value = ".thm/thm.toml", env = "THM_CONFIG")]
    config: PathBuf,
    /// Connector file to create if the engine has no ClickHouse sink.
    #[arg(long, default_value = "connectors/clickhouse.enriched.sink.json")]
    connector: PathBuf,
    /// Longest wait for each step, in seconds.
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

/// Runs the steps; each prints one line.
pub async fn run(args: SmokeArgs) -> Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let smoke = Smoke::new(&config, &args)?;
    step("recreate the ClickHouse sink", smoke.recreate_sink()).await?;
    step("produce two samples to thm.enriched.events", smoke.produce()).await?;
    step("see them in ClickHouse", smoke.see_in_clickhouse()).await?;
    step("see them on the leaderboard", smoke.see_on_leaderboard()).await?;
    output::line("smoke test passed");
    Ok(ExitCode::Ok)
}

async fn step(name: &str, work: impl Future<Output = Result<String>>) -> Result<()> {
    let started = Instant::now();
    let said = work.await.with_context(|| format!("smoke test failed: {name}"))?;
    output::line(&format!("ok  {name} ({said}, {:.1} s)", started.elapsed().as_secs_f64()));
    Ok(())
}

struct Smoke {
    connect: String,
    kafka: String,
    clickhouse: String,
    redis: String,
    file: PathBuf,
    timeout: Duration,
    client: reqwest::Client,
}

impl Smoke {
    fn new(config: &Config, args: &SmokeArgs) -> Result<Self> {
        let host = if config.server.bind == "0.0.0.0" { "127.0.0.1" } else { &config.server.bind };
        let listener = config.server.kafka.first().context("the configuration has no server.kafka listener")?;
        Ok(Self {
            connect: format!("http://{host}:{}", config.server.connect_port),
            kafka: format!("{host}:{}", listener.port),
            clickhouse: config.verify.clickhouse.clone(),
            redis: config.verify.redis.clone(),
            file: args.connector.clone(),
            timeout: Duration::from_secs(args.timeout),
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Asks again until there is an answer or the time is over.
    async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            if started.elapsed() > self.timeout {
                bail!("{what} did not happen within {:?}", self.timeout);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn recreate_sink(&self) -> Result<String> {
        let (name, config) = self.current_sink().await?;
        let url = format!("{}/connectors/{name}", self.connect);
        self.client.delete(&url).send().await?;
        let body = json!({"name": name, "config": config});
        let answer = self.client.post(format!("{}/connectors", self.connect)).json(&body).send().await?;
        if !answer.status().is_success() {
            bail!("creating {name}: {} {}", answer.status(), answer.text().await?);
        }
        self.until(&format!("{name} RUNNING"), async || {
            let status: Value = self.client.get(format!("{url}/status")).send().await?.json().await?;
            match status["tasks"][0]["state"].as_str() {
                Some("RUNNING") => Ok(Some(())),
                Some("FAILED") => bail!("{name} failed: {}", status["tasks"][0]["trace"].as_str().unwrap_or_default()),
                _ => Ok(None),
            }
        })
        .await?;
        Ok(name)
    }

    /// Name and options of the ClickHouse sink that runs, or of the file.
    async fn current_sink(&self) -> Result<(String, Value)> {
        let sent = self.client.get(format!("{}/connectors?expand=info", self.connect)).send().await;
        let all: Value = sent.context("Connect's REST API does not answer; is `thm dev` up?")?.json().await?;
        let found =
            all.as_object().into_iter().flatten().find(|(_, one)| one["info"]["config"]["connector.class"] == CLASS);
        if let Some((name, one)) = found {
            return Ok((name.clone(), one["info"]["config"].clone()));
        }
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("no ClickHouse sink runs, and {} cannot be read", self.file.display()))?;
        let file: Value = serde_json::from_str(&text)?;
        let name = file["name"].as_str().context("the connector file has no name")?;
        Ok((name.to_owned(), file["config"].clone()))
    }

    async fn produce(&self) -> Result<String> {
        let mut writer = BatchWriter::new();
        let now = chrono::Utc::now().timestamp_millis();
        for (place, event_type) in ["play", "finish"].iter().enumerate() {
            let value = json!({
                "id": SAMPLE_IDS[place], "content_id": SAMPLE_CONTENT[place],
                "user_id": "5a3b7e60-0000-4000-8000-00000000000a", "event_type": event_type,
                "event_ts": "2025-08-23 05:40:00.000", "device": "ios", "content_type": "podcast",
                "length_seconds": 1800, "engagement_seconds": 120.5, "engagement_pct": 6.69,
                "raw_payload": "{\"smoke\": true}",
            });
            writer.push(now, None, Some(value.to_string().as_bytes()), &HeaderBlock::default());
        }
        let mut client = KafkaClient::connect(&self.kafka).await?;
        // Right after a start the job may still be about to create its topic.
        self.until(TOPIC, async || {
            Ok(client.topics(None).await?.iter().any(|topic| topic.name == TOPIC).then_some(()))
        })
        .await?;
        let offset = client.produce(TOPIC, 0, writer.finish()).await?;
        Ok(format!("offset {offset}"))
    }

    async fn see_in_clickhouse(&self) -> Result<String> {
        let [first, second] = SAMPLE_IDS;
        let sql = format!("SELECT count() FROM thm.enriched_events FINAL WHERE id IN ({first}, {second})");
        self.until("both samples in ClickHouse", async || {
            let answer = self.client.post(&self.clickhouse).body(sql.clone()).send().await?;
            Ok((answer.text().await?.trim() == "2").then_some(()))
        })
        .await?;
        Ok("2 rows".to_owned())
    }

    async fn see_on_leaderboard(&self) -> Result<String> {
        let client = redis::Client::open(self.redis.as_str())?;
        let mut connection = client.get_multiplexed_async_connection().await.context("cannot reach Redis")?;
        let mut seen = Vec::new();
        for content in SAMPLE_CONTENT {
            let score = self
                .until("a sample on the leaderboard", async || {
                    let mut command = redis::cmd("ZSCORE");
                    command.arg(BOARD).arg(content);
                    Ok(command.query_async::<Option<f64>>(&mut connection).await?)
                })
                .await?;
            seen.push(score.to_string());
        }
        Ok(format!("scores {}", seen.join(", ")))
    }
}
