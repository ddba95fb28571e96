//! What is started, where it listens, and what the engine is told.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use thm_api::{Error, ErrorKind, Result};

use crate::process::{free_ports, local};
use crate::services::{ClickHouse, Engine, ExternalApi, Generator, Postgres, Redis, Service};

use super::project::Project;
use super::{DevOptions, PortChoice};

/// Byte permits of the engine, as the product's default.
const DEFAULT_BUDGET_MIB: usize = 96;

/// Where everything listens on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) postgres: u16,
    pub(super) redis: u16,
    pub(super) clickhouse: u16,
    pub(super) external_api: u16,
    pub(super) kafka: [u16; 2],
    pub(super) connect: u16,
    pub(super) flink: u16,
}

impl Ports {
    /// The original stack's.
    pub(super) const STANDARD: Self = Self {
        postgres: 5432,
        redis: 6379,
        clickhouse: 8123,
        external_api: 8088,
        kafka: [9092, 19092],
        connect: 8083,
        flink: 8081,
    };

    fn choose(choice: PortChoice) -> Result<Self> {
        if choice == PortChoice::Standard {
            return Ok(Self::STANDARD);
        }
        let [postgres, redis, clickhouse, external_api, inner, outer, connect, flink] = free_ports()?;
        Ok(Self { postgres, redis, clickhouse, external_api, kafka: [inner, outer], connect, flink })
    }
}

/// A service and the places in the plan of those that must serve before it starts for the first time.
pub(super) struct PlannedUnit {
    pub(super) service: Arc<dyn Service>,
    pub(super) after: Vec<usize>,
}

/// Addresses as the engine and the tools connect to them.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) postgres: String,
    pub(super) clickhouse: String,
    pub(super) redis: String,
    pub(super) ledger: PathBuf,
}

/// Everything that is decided before the first process starts.
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) config_file: PathBuf,
    pub(super) ports: Ports,
    pub(super) endpoints: Endpoints,
    /// In the order of starting.
    pub(super) units: Vec<PlannedUnit>,
    config: Config,
}

impl Plan {
    /// Decides; touches nothing but the choice of ports.
    pub(super) fn make(program: &Path, project: &Project, data: &Path, options: &DevOptions) -> Result<Self> {
        let ports = Ports::choose(options.ports)?;
        let config_file = data.join("thm.toml");
        let endpoints = Endpoints {
            postgres: options
                .postgres
                .clone()
                .unwrap_or(format!("postgres://app:app@127.0.0.1:{}/thm", ports.postgres)),
            clickhouse: options.clickhouse.clone().unwrap_or(format!("http://127.0.0.1:{}", ports.clickhouse)),
            redis: options.redis.clone().unwrap_or(format!("redis://127.0.0.1:{}/0", ports.redis)),
            ledger: data.join("mock-api/events.jsonl"),
        };

        let mut units: Vec<PlannedUnit> = Vec::new();
        let mut first = |service: Arc<dyn Service>| units.push(PlannedUnit { service, after: Vec::new() });
        if options.postgres.is_none() {
            first(Arc::new(Postgres::new(&data.join("postgres"), ports.postgres, project.init()?)?));
        }
        if options.redis.is_none() {
            first(Arc::new(Redis::new(&data.join("redis"), ports.redis)));
        }
        if options.clickhouse.is_none() {
            first(Arc::new(ClickHouse::new(program, &data.join("clickhouse"), ports.clickhouse)?));
        }
        first(Arc::new(ExternalApi::new(program, &endpoints.ledger, ports.external_api)));
        let engine = Engine::new(program, &config_file, ports.connect, ports.flink, ports.kafka);
        units.push(PlannedUnit { service: Arc::new(engine), after: (0..units.len()).collect() });
        if !options.no_generator {
            let more = options.transaction_rows.map(|rows| ["--transaction-rows".to_owned(), rows.to_string()]);
            let more = more.as_ref().map_or(&[][..], |more| more);
            let generator = Generator::new(program, &endpoints.postgres, options.rate, more);
            units.push(PlannedUnit { service: Arc::new(generator), after: vec![units.len() - 1] });
        }
        let config = Config::new(project, data, options, ports, &endpoints)?;
        Ok(Self { program: program.to_owned(), config_file, ports, endpoints, units, config })
    }

    /// Writes the engine's configuration.
    pub(super) fn write_config(&self) -> Result<()> {
        let text = toml::to_string(&self.config)
            .map_err(|error| Error::new(ErrorKind::Internal, "writing", "thm.toml").with_source(error))?;
        let text = format!("# Written by `thm dev` at every start.\n{text}");
        // For the owner alone: an address may hold a password.
        let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&self.config_file);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| local("writing", self.config_file.display(), error))
    }
}

/// The engine's `thm.toml`, as far as it differs from the defaults.
#[derive(Serialize)]
struct Config {
    data_dir: PathBuf,
    connectors: Vec<String>,
    sql: Vec<String>,
    server: ServerConfig,
    memory: MemoryConfig,
    hosts: BTreeMap<String, String>,
    verify: VerifyConfig,
}

#[derive(Serialize)]
struct ServerConfig {
    bind: &'static str,
    kafka: Vec<KafkaListener>,
    connect_port: u16,
    flink_port: u16,
    auto_create_on_produce: bool,
}

#[derive(Serialize)]
struct KafkaListener {
    port: u16,
    advertise: String,
}

#[derive(Serialize)]
struct MemoryConfig {
    budget_mib: usize,
}

#[derive(Serialize)]
struct VerifyConfig {
    postgres: String,
    clickhouse: String,
    redis: String,
    mock_api_file: PathBuf,
}

impl Config {
    fn new(project: &Project, data: &Path, options: &DevOptions, ports: Ports, endpoints: &Endpoints) -> Result<Self> {
        let kafka = ports.kafka.map(|port| KafkaListener { port, advertise: format!("localhost:{port}") });
        Ok(Self {
            data_dir: data.join("engine"),
            connectors: if options.no_connectors { Vec::new() } else { vec![project.connectors()] },
            sql: vec![project.sql()],
            server: ServerConfig {
                bind: "127.0.0.1",
                kafka: kafka.into(),
                connect_port: ports.connect,
                flink_port: ports.flink,
                auto_create_on_produce: true,
            },
            memory: MemoryConfig { budget_mib: DEFAULT_BUDGET_MIB },
            hosts: hosts(ports, endpoints)?,
            verify: VerifyConfig {
                postgres: endpoints.postgres.clone(),
                clickhouse: endpoints.clickhouse.clone(),
                redis: endpoints.redis.clone(),
                mock_api_file: endpoints.ledger.clone(),
            },
        })
    }
}

/// The names in the user's files, inside and outside of the original's containers, and where they lead here.
fn hosts(ports: Ports, endpoints: &Endpoints) -> Result<BTreeMap<String, String>> {
    let own = |port: u16| format!("127.0.0.1:{port}");
    let standard = Ports::STANDARD;
    let services = [
        ("postgres", standard.postgres, address(&endpoints.postgres, standard.postgres)?),
        ("redis", standard.redis, address(&endpoints.redis, standard.redis)?),
        ("clickhouse", standard.clickhouse, address(&endpoints.clickhouse, standard.clickhouse)?),
        ("external-api", standard.external_api, own(ports.external_api)),
        ("redpanda", standard.kafka[0], own(ports.kafka[0])),
        ("redpanda", standard.kafka[1], own(ports.kafka[1])),
        ("connect", standard.connect, own(ports.connect)),
        ("flink-jm", standard.flink, own(ports.flink)),
    ];
    let names = services
        .into_iter()
        .flat_map(|(name, port, address)| [name, "localhost"].map(|name| (format!("{name}:{port}"), address.clone())));
    Ok(names.collect())
}

/// `host:port` of a URL.
fn address(url: &str, default_port: u16) -> Result<String> {
    let bad = || {
        Error::new(ErrorKind::InvalidConfig, "reading an address", url.split('@').next_back().unwrap_or_default())
            .with_hint("Write it as a URL, for example http://127.0.0.1:8123.")
    };
    let parsed = reqwest::Url::parse(url).map_err(|error| bad().with_source(error))?;
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
    Ok(format!("{host}:{}", parsed.port().unwrap_or(default_port)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_of_the_original_lead_to_our_ports() {
        let ports = Ports { postgres: 1, kafka: [2, 3], ..Ports::STANDARD };
        let endpoints = Endpoints {
            postgres: "postgres://app:app@127.0.0.1:1/thm".into(),
            clickhouse: "http://ch.example.org".into(),
            redis: "redis://127.0.0.1:6379/0".into(),
            ledger: PathBuf::new(),
        };
        let hosts = hosts(ports, &endpoints).unwrap();
        assert_eq!(hosts["postgres:5432"], "127.0.0.1:1");
        assert_eq!(hosts["localhost:5432"], "127.0.0.1:1");
        assert_eq!(hosts["redpanda:9092"], "127.0.0.1:2");
        assert_eq!(hosts["localhost:19092"], "127.0.0.1:3");
        assert_eq!(hosts["clickhouse:8123"], "ch.example.org:8123");
        assert_eq!(hosts["external-api:8088"], "127.0.0.1:8088");
    }

    #[test]
    fn a_wrong_url_is_shown_without_its_password() {
        let error = address("postgres//app:secret@host", 5432).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
