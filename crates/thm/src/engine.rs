//! The engine: log, groups, jobs, connectors and listeners, started in the order of the data and stopped against it.
//!
//! ```text
//!  start:  data folder ▶ log ▶ groups ▶ SQL compiled ▶ listeners ▶ jobs ▶ connectors
//!  stop:   connectors (sinks commit, the source acknowledges for the last time) ▶ jobs (last checkpoint) ▶ listeners ▶ log
//! ```
//! Everything that can be wrong with files and ports is found before anything is changed outside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use thm_api::{
    Completeness, Error, ErrorKind, Hosts, Log, MemoryBudget, Offset, OffsetStore, Position, Registry, StateStore,
    TopicPartition,
};
use thm_connect::{CursorHolds, Herder, HerderOptions};
use thm_log::group::{GroupConfig, GroupCoordinator};
use thm_log::kafka::{Broker, Limits, Listener, ListenerConfig};
use thm_log::{DataFolder, EmbeddedLog, FileStateStore, LogConfig};
use thm_source::PostgresConnector;
use thm_sql::{CompileContext, JobManager, JobManagerOptions, JobPlan};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::captures;
use crate::cli::output::note;
use crate::cli::run::SqlFailure;
use crate::config::{Config, read_text};
use crate::server::watch::Watch;
use crate::server::{api, flink, page};

/// How often the log's health is looked at.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);

/// A running engine.
pub struct Engine {
    /// What it was started with.
    pub config: Config,
    /// When.
    pub started: Instant,
    /// Topics.
    pub log: Arc<dyn Log>,
    /// How complete they are.
    pub completeness: Arc<dyn Completeness>,
    /// SQL jobs.
    pub jobs: Arc<JobManager>,
    /// Connectors.
    pub herder: Arc<Herder>,
    /// Names to addresses.
    pub hosts: Arc<Hosts>,
    /// What people watch.
    pub watch: Arc<Watch>,
    embedded: Arc<EmbeddedLog>,
    stop: CancellationToken,
    _folder: DataFolder,
}

impl Engine {
    /// Starts everything; an error leaves nothing running. `start` is how sources start whose slot and state do not
    /// belong together (`thm.start`).
    pub async fn start(config: Config, metrics: PrometheusHandle, start: Option<String>) -> Result<Arc<Self>> {
        let hosts = Arc::new(Hosts::new(config.hosts.clone()));
        compile(&config, &CompileContext::default())?;
        check_connectors(&config)?;
        let ports = Ports::bind(&config).await?;
        let folder = DataFolder::open(&config.data_dir)?;
        let embedded = Arc::new(EmbeddedLog::open(log_config(&config, &folder))?);
        let log: Arc<dyn Log> = embedded.clone();
        let completeness: Arc<dyn Completeness> = embedded.clone();
        let state: Arc<dyn StateStore> = Arc::new(FileStateStore::open(folder.state())?);
        let groups = Arc::new(GroupCoordinator::open(GroupConfig::new(folder.connect().join("groups")))?);

        let jobs = Arc::new(JobManager::new(JobManagerOptions {
            log: log.clone(),
            completeness: completeness.clone(),
            state: state.clone(),
            handle: tokio::runtime::Handle::current(),
            budget: MemoryBudget::new(share(&config, SQL_PARTS)),
            groups: Some(groups.clone() as Arc<dyn OffsetStore>),
            hosts: (*hosts).clone(),
        }));
        let offsets: Arc<dyn OffsetStore> = groups.clone();
        let mut source = PostgresConnector::default().spooling_in(&folder.spool()).keeping_in(&folder.toast());
        if let Some(start) = &start {
            source = source.starting_by(start);
        }
        let mut options = HerderOptions::new(log.clone(), completeness.clone(), offsets, state, registry(source));
        options.hosts = hosts.clone();
        options.holds = Some(Arc::new(Holds(embedded.clone())));
        options.source_budget = MemoryBudget::new(share(&config, SOURCE_PARTS));
        options.common_budget = MemoryBudget::new(share(&config, COMMON_PARTS));
        options.worker_id = format!("{}:{}", config.server.bind, config.server.connect_port);
        let herder = Herder::new(options)?;
        for file in config.connector_files()? {
            herder.load_file(&file).await?;
        }

        // Once more, now that the sources are known: which look-ups are fed by the WAL.
        let Compiled { plans, notices } = compile(&config, &captures::context(&herder))?;
        notices.iter().for_each(|(file, notice)| tracing::warn!(file, "{notice}"));
        let broker = Broker::new(log.clone(), groups, config.server.auto_create_on_produce, Limits::default());
        let kafka = bind_kafka(&config, &broker).await?;
        let stop = CancellationToken::new();
        let engine = Arc::new(Self {
            config,
            started: Instant::now(),
            log,
            completeness,
            jobs,
            herder,
            hosts,
            watch: Watch::new(),
            embedded,
            stop,
            _folder: folder,
        });
        tokio::spawn(
            engine.stop.clone().run_until_cancelled_owned(engine.watch.clone().run(engine.clone(), metrics.clone())),
        );
        ports.serve(&engine, kafka, metrics);
        for plan in plans {
            engine.jobs.submit(plan)?;
        }
        engine.herder.start().await;
        Ok(engine)
    }

    /// Resolves if the log can no longer be trusted: the only failure that ends the whole process.
    pub async fn failed(&self) -> anyhow::Error {
        loop {
            if let Err(error) = self.embedded.health() {
                return error.into();
            }
            tokio::time::sleep(HEALTH_INTERVAL).await;
        }
    }

    /// Stops everything in the order that leaves least to repeat.
    pub async fn stop(&self) {
        self.herder.stop().await;
        let jobs = self.jobs.clone();
        if tokio::task::spawn_blocking(move || jobs.stop()).await.is_err() {
            tracing::error!("stopping the jobs panicked");
        }
        self.stop.cancel();
        if let Err(error) = self.embedded.close() {
            tracing::error!(%error, "the log did not close cleanly; it recovers at the next start");
        }
    }

    /// Up to where a source connector has declared its topics complete.
    pub fn source_position(&self, connector: &thm_connect::ConnectorSnapshot) -> Option<Position> {
        let complete = connector.topics.iter().filter_map(|topic| self.completeness.watch(topic).borrow().clone());
        complete.map(|complete| complete.position).max()
    }
}

/// Keeps retention from what sinks have not delivered yet.
struct Holds(Arc<EmbeddedLog>);

impl CursorHolds for Holds {
    fn hold(&self, name: &str, partition: &TopicPartition, offset: Offset) {
        self.0.hold(name, partition, offset);
    }

    fn release(&self, name: &str) {
        self.0.release(name);
    }
}

/// Of the memory budget: tail cache 24, source 16, SQL 16, and 16 that sinks have in common, of 96 MiB; each sink has its own 8.
const TAIL_PARTS: usize = 24;
const SOURCE_PARTS: usize = 16;
const SQL_PARTS: usize = 16;
const COMMON_PARTS: usize = 16;
const ALL_PARTS: usize = 96;

fn share(config: &Config, part: usize) -> usize {
    (config.memory.budget_mib << 20) / ALL_PARTS * part
}

fn log_config(config: &Config, folder: &DataFolder) -> LogConfig {
    let mut log = LogConfig::new(folder.log());
    log.tail_cache_bytes = share(config, TAIL_PARTS);
    let given = [
        (config.log.segment_bytes, &mut log.segment_bytes),
        (config.log.retention_ms, &mut log.retention_ms),
        (config.log.retention_bytes, &mut log.retention_bytes),
        (config.log.min_free_bytes, &mut log.min_free_bytes),
    ];
    for (value, field) in given.into_iter().filter(|(value, _)| *value > 0) {
        *field = value;
    }
    log
}

fn registry(source: PostgresConnector) -> Registry {
    Registry::default()
        .with(source)
        .with(thm_sink::ClickHouseConnector)
        .with(thm_sink::HttpConnector)
        .with(thm_sink::LeaderboardConnector)
}

/// Checks all files without touching anything outside; says what there is.
pub fn check(config: &Config) -> Result<String> {
    let Compiled { plans, notices } = compile(config, &crate::captures::of_files(config))?;
    notices.iter().for_each(|(file, notice)| note(&format!("note: {file}: {notice}")));
    let connectors = check_connectors(config)?;
    for (file, warnings) in &connectors {
        warnings.iter().for_each(|warning| note(&format!("note: {}: {warning}", file.display())));
    }
    Ok(format!("{} SQL jobs and {} connectors are in order", plans.len(), connectors.len()))
}

/// Checks the connector files, no network; gives what has no effect in them.
fn check_connectors(config: &Config) -> Result<BTreeMap<PathBuf, Vec<String>>> {
    let registry = registry(PostgresConnector::default());
    let (mut warnings, mut by_name) = (BTreeMap::new(), BTreeMap::new());
    for file in config.connector_files()? {
        let (name, warned) = check_connector(&registry, &file)?;
        if let Some(other) = by_name.insert(name.clone(), file.clone()) {
            let hint = format!("{} has a connector of that name, too. Give one of them another name.", other.display());
            let object = format!("{name} in {}", file.display());
            return Err(Error::new(ErrorKind::InvalidConfig, "checking a connector file", object)
                .with_hint(hint)
                .into());
        }
        warnings.insert(file, warned);
    }
    Ok(warnings)
}

/// Its name, and what has no effect in it.
fn check_connector(registry: &Registry, file: &Path) -> Result<(String, Vec<String>)> {
    let bad = |hint: String| {
        Error::new(ErrorKind::InvalidConfig, "checking a connector file", file.display().to_string()).with_hint(hint)
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let (name, mut written) = thm_connect::parse_connector(&text, file)?;
    written.entry("name".to_owned()).or_insert_with(|| Some(name.clone()));
    let Some(class) = written.get("connector.class").cloned().flatten() else {
        return Err(bad("Give the connector a \"connector.class\".".to_owned()).into());
    };
    // Connect allows to leave the class's last word out.
    let connector = registry.get(&class).or_else(|| registry.get(&format!("{class}Connector")));
    let connector = connector.ok_or_else(|| {
        let known: Vec<_> = registry.iter().map(|one| one.class()).collect();
        bad(format!("connector.class {class} is not known; there are {}.", known.join(", ")))
    })?;
    let (errors, warnings) = thm_connect::config_problems(&*connector, &written);
    if errors.is_empty() { Ok((name, warnings)) } else { Err(bad(errors.join("\n        ")).into()) }
}

/// What the SQL files say.
struct Compiled {
    plans: Vec<JobPlan>,
    /// What to know of a file, beside its name: settings and options without effect.
    notices: Vec<(String, String)>,
}

/// Compiles every SQL file before anything else happens.
fn compile(config: &Config, context: &CompileContext) -> Result<Compiled> {
    let mut compiled = Compiled { plans: Vec::new(), notices: Vec::new() };
    let mut files = BTreeMap::new();
    for file in &config.sql {
        let text = read_text(Path::new(file)).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, "reading a SQL file", file)
                .with_source(error)
                .with_hint("Name an existing UTF-8 file in the `sql` list of thm.toml.")
        })?;
        let script = thm_sql::compile(file, &text, context).map_err(SqlFailure)?;
        compiled.notices.extend(script.notices.into_iter().map(|notice| (file.clone(), notice)));
        if script.jobs.is_empty() {
            compiled.notices.push((file.clone(), "no INSERT in the SQL file: it starts no job".to_owned()));
        }
        for plan in script.jobs {
            if let Some(other) = files.insert(plan.name.clone(), file) {
                let hint = format!(
                    "{other} has a job of that name, too, and a job is known by its name: write SET 'pipeline.name' = '…' before \
                     one of the two INSERTs."
                );
                let object = format!("{} in {file}", plan.name);
                return Err(Error::new(ErrorKind::InvalidConfig, "reading a SQL file", object).with_hint(hint).into());
            }
            compiled.plans.push(plan);
        }
    }
    Ok(compiled)
}

/// The HTTP sockets, bound before anything starts.
struct Ports {
    connect: TcpListener,
    flink: TcpListener,
}

impl Ports {
    async fn bind(config: &Config) -> Result<Self> {
        let server = &config.server;
        let address = |port: u16| -> Result<SocketAddr> { Ok(SocketAddr::new(server.bind.parse()?, port)) };
        Ok(Self {
            connect: bind("server.connect_port", address(server.connect_port)?).await?,
            flink: bind("server.flink_port", address(server.flink_port)?).await?,
        })
    }

    fn serve(self, engine: &Arc<Engine>, kafka: Vec<Listener>, metrics: PrometheusHandle) {
        serve_http(self.connect, thm_connect::rest::router(engine.herder.clone()), engine.stop.clone());
        let pages = flink::router(engine.jobs.clone())
            .merge(api::router(engine.clone()))
            .route("/", get(page::index))
            .route("/errors", get(page::error_index))
            .route("/errors/{code}", get(page::error_page))
            .route("/metrics", get(async move || metrics.render().into_response()))
            .fallback(flink::not_found)
            .method_not_allowed_fallback(flink::not_found);
        serve_http(self.flink, pages, engine.stop.clone());
        for listener in kafka {
            tokio::spawn(listener.run(engine.stop.clone()));
        }
    }
}

async fn bind_kafka(config: &Config, broker: &Arc<Broker>) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for one in &config.server.kafka {
        let (host, port) = one.advertise.rsplit_once(':').unwrap_or((&one.advertise, "0"));
        let listener = ListenerConfig {
            addr: SocketAddr::new(config.server.bind.parse()?, one.port),
            advertised_host: host.to_owned(),
            advertised_port: port.parse()?,
        };
        let addr = listener.addr;
        let bound = Listener::bind(listener, broker.clone()).await;
        listeners.push(bound.map_err(|error| taken("server.kafka.port", addr).unwrap_or(error))?);
    }
    Ok(listeners)
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await.map_err(|error| {
        taken(key, address).unwrap_or_else(|| {
            Error::new(ErrorKind::LocalService, "binding a port", format!("{key} {address}"))
                .with_source(error)
                .with_hint("Stop what uses the port, or set another in the configuration.")
        })
    })?;
    Ok(bound)
}

/// What to say of a port that somebody listens on, with who it is.
fn taken(key: &str, address: SocketAddr) -> Option<Error> {
    let owner = thm_dev::process::owner_of(address.port())?;
    let object = format!("{key} {address}, held by pid {} ({})", owner.pid, owner.command());
    let hint = format!("Stop that process, or set another {key} in thm.toml.");
    Some(Error::new(ErrorKind::LocalService, "port is taken", object).with_hint(hint))
}

fn serve_http(listener: TcpListener, router: Router, stop: CancellationToken) {
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await;
        if let Err(error) = served {
            tracing::error!(%error, "server ended");
        }
    });
}
