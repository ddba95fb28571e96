//! The engine under measurement: `thm run` with a folder of its own, driven over its public interfaces.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use thm_api::Error;

use super::lab::Lab;
use super::topic_end::TopicEnds;
use crate::process::free_ports;
use crate::services::{Engine, Running};

pub(super) const EVENTS_TOPIC: &str = "pg.public.engagement_events";
pub(super) const ENRICHED_TOPIC: &str = "thm.enriched.events";
const SOURCE: &str = "pg.engagement.source";
/// Events in one request of the HTTP sink where it is asked for arrays.
const HTTP_ARRAY: &str = "500";
/// A connector that is not where it was asked to be after this long will not get there.
const DEFAULT_STATE_TIMEOUT: Duration = Duration::from_secs(60);

/// What an engine is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Name of its folder and of its slot.
    pub(super) name: &'static str,
    /// Whether it has the SQL job and the three sinks.
    pub(super) whole_path: bool,
    /// Whether the HTTP sink posts arrays of 500 instead of single events.
    pub(super) http_arrays: bool,
    /// Whether it starts with its connectors.
    pub(super) with_connectors: bool,
}

/// A running engine.
pub(super) struct Subject {
    running: Running<Engine>,
    connect_url: String,
    flink_url: String,
    kafka_port: u16,
    http: reqwest::Client,
    /// As written for it, by name.
    connectors: Vec<Value>,
}

impl Subject {
    /// Writes its files and starts it; a folder that is there already is gone on with.
    pub(super) async fn start(lab: &Lab, setup: Setup) -> Result<Self> {
        let folder = lab.path().join(setup.name);
        let connectors = connectors(lab, setup)?;
        let files = folder.join("connectors");
        fs::create_dir_all(&files)?;
        for connector in &connectors {
            let name = connector["name"].as_str().context("a connector file without a name")?;
            fs::write(files.join(format!("{name}.json")), serde_json::to_vec_pretty(connector)?)?;
        }
        let [inner, outer, connect, flink] = free_ports()?;
        let config = folder.join("thm.toml");
        fs::write(&config, engine_config(lab, setup, &folder, [inner, outer, connect, flink]))?;
        let engine = Engine::new(&lab.program, &config, connect, flink, [inner, outer]);
        let running = Running::start(Arc::new(engine), &lab.folders).await.map_err(Error::from)?;
        Ok(Self {
            running,
            connect_url: format!("http://127.0.0.1:{connect}"),
            flink_url: format!("http://127.0.0.1:{flink}"),
            kafka_port: inner,
            http: reqwest::Client::new(),
            connectors,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.running.process().identity().pid
    }

    pub(super) async fn topic_ends(&self) -> Result<TopicEnds> {
        TopicEnds::connect(self.kafka_port).await
    }

    /// Stops it in its own way.
    pub(super) async fn stop(self) -> Result<()> {
        // Blocks for as long as the sinks flush; the receiver must answer meanwhile.
        tokio::task::spawn_blocking(move || drop(self.running)).await?;
        Ok(())
    }

    pub(super) async fn pause_source(&self) -> Result<()> {
        self.ask_source("pause").await?;
        self.await_source("PAUSED").await
    }

    /// Returns once the request is answered: what follows is the engine's own time.
    pub(super) async fn resume_source(&self) -> Result<()> {
        self.ask_source("resume").await
    }

    async fn ask_source(&self, what: &str) -> Result<()> {
        let url = format!("{}/connectors/{SOURCE}/{what}", self.connect_url);
        self.http.put(url).send().await?.error_for_status().with_context(|| format!("asking for {what}"))?;
        Ok(())
    }

    /// Waits until the source and its task are in `state`.
    pub(super) async fn await_source(&self, state: &str) -> Result<()> {
        let url = format!("{}/connectors/{SOURCE}/status", self.connect_url);
        let deadline = Instant::now() + DEFAULT_STATE_TIMEOUT;
        loop {
            let status: Value = self.http.get(&url).send().await?.json().await?;
            let task = &status["tasks"][0]["state"];
            if status["connector"]["state"] == state && task == state {
                return Ok(());
            }
            if task == "FAILED" || Instant::now() > deadline {
                bail!("the source is not {state}: {status}\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Creates its source connector over REST.
    pub(super) async fn create_source(&self) -> Result<()> {
        let source = self.connectors.iter().find(|connector| connector["name"] == SOURCE).context("no source")?;
        let url = format!("{}/connectors", self.connect_url);
        let answer = self.http.post(url).json(source).send().await?;
        if !answer.status().is_success() {
            bail!("creating the source: {}", answer.text().await?);
        }
        Ok(())
    }

    /// Offset and key of each record of the enriched topic from `first` on.
    pub(super) async fn enriched_keys(&self, first: i64) -> Result<Vec<(i64, i64)>> {
        let mut keys = Vec::new();
        let mut from = first;
        loop {
            let url = format!("{}/api/log/{ENRICHED_TOPIC}/0?from={from}", self.flink_url);
            let page: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
            for record in page["records"].as_array().into_iter().flatten() {
                let id = record["key"].as_str().and_then(|key| super::receiver::leading_id(key.as_bytes()));
                keys.push((record["offset"].as_i64().unwrap_or(-1), id.unwrap_or(-1)));
            }
            let next = page["next"].as_i64().unwrap_or(from);
            if next <= from {
                return Ok(keys);
            }
            from = next;
        }
    }

    /// The buckets of a histogram of `/metrics` without labels: upper bound and how many are at or below it.
    pub(super) async fn histogram(&self, name: &str) -> Result<Vec<(f64, f64)>> {
        let text = self.http.get(format!("{}/metrics", self.flink_url)).send().await?.text().await?;
        let prefix = format!("{name}_bucket{{le=\"");
        let buckets = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "));
        Ok(buckets.filter_map(|(bound, count)| Some((bound.parse().ok()?, count.parse().ok()?))).collect())
    }

    /// Reads of each topic so far: those that the log's tail cache answered, and those that went to segments.
    pub(super) async fn cache_reads(&self) -> Result<BTreeMap<String, [f64; 2]>> {
        let text = self.http.get(format!("{}/metrics", self.flink_url)).send().await?.text().await?;
        let mut reads: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for (place, name) in ["hits", "misses"].into_iter().enumerate() {
            let prefix = format!("thm_log_tail_cache_{name}_total{{topic=\"");
            let samples = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "));
            for (topic, count) in samples {
                let found = reads.entry(topic.to_owned()).or_default();
                if let (Some(slot), Ok(count)) = (found.get_mut(place), count.parse()) {
                    *slot = count;
                }
            }
        }
        Ok(reads)
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        self.running.process().log_tail(12)
    }
}

/// The project's connector files, with this engine's slot and, if asked for, arrays over HTTP.
fn connectors(lab: &Lab, setup: Setup) -> Result<Vec<Value>> {
    let mut connectors = Vec::new();
    let folder = PathBuf::from(lab.project.connectors());
    for entry in fs::read_dir(folder.parent().context("no folder of connectors")?)?.flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut connector: Value = serde_json::from_slice(&fs::read(entry.path())?)?;
        let is_source = connector["name"] == SOURCE;
        if is_source {
            connector["config"]["slot.name"] = json!(setup.name);
        }
        if connector["config"]["http.url"].is_string() {
            connector["config"]["http.url"] = json!(format!("http://{}/events", lab.receiver.address()));
            if setup.http_arrays {
                set_arrays(&mut connector["config"]);
            }
        }
        if is_source || setup.whole_path {
            connectors.push(connector);
        }
    }
    Ok(connectors)
}

fn set_arrays(config: &mut Value) {
    let options = [
        ("batching.enabled", "true"),
        ("batch.max.size", HTTP_ARRAY),
        ("batch.prefix", "["),
        ("batch.separator", ",\n"),
        ("batch.suffix", "]"),
    ];
    for (option, value) in options {
        config[option] = json!(value);
    }
}

fn engine_config(lab: &Lab, setup: Setup, folder: &std::path::Path, ports: [u16; 4]) -> String {
    let [inner, outer, connect, flink] = ports;
    let files = folder.join("connectors/*.json").display().to_string();
    let connectors = if setup.with_connectors { vec![files] } else { Vec::new() };
    let sql = if setup.whole_path { vec![lab.project.sql()] } else { Vec::new() };
    let hosts = [
        ("postgres:5432", lab.postgres.port()),
        ("redis:6379", lab.redis.port()),
        ("clickhouse:8123", lab.clickhouse.port()),
    ];
    let hosts: String = hosts.iter().map(|(name, port)| format!("\"{name}\" = \"127.0.0.1:{port}\"\n")).collect();
    // A Rust string in quotes is a TOML string, too, for paths without odd characters.
    format!(
        "data_dir = {:?}\nconnectors = {connectors:?}\nsql = {sql:?}\n\
         [server]\nconnect_port = {connect}\nflink_port = {flink}\n\
         kafka = [{{ port = {inner}, advertise = \"localhost:{inner}\" }}, \
         {{ port = {outer}, advertise = \"localhost:{outer}\" }}]\n[hosts]\n{hosts}",
        folder.join("data").display().to_string(),
    )
}
