//! Everything that a seed runs on: four services, the engine, and a relay before each service.
//!
//! Each part can be killed, frozen and brought back alone; its data stays where it was, as after a crash of the
//! process. Nothing is left frozen when the stack goes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use serde_json::{Value, json};
use thm_api::Error;

use super::proxy::Proxy;
use crate::bench::family;
use crate::process::{Folders, Launch, free_ports};
use crate::services::{ClickHouse, Engine, ExternalApi, Postgres, Redis, Running, Service, connect_postgres};
use crate::supervisor::Project;

/// A part that was killed may need several starts: PostgreSQL refuses to while its orphans still run.
const DEFAULT_RESTART_PATIENCE: Duration = Duration::from_secs(60);
/// Between two starts.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// Environment variable that switches mechanisms of the engine off.
const FAILPOINT_VARIABLE: &str = "THM_FAILPOINT";

/// A part of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Part {
    #[value(skip)]
    Engine,
    /// The source
    Postgres,
    /// The leaderboard
    Redis,
    /// The table
    #[value(name = "clickhouse")]
    ClickHouse,
    /// The target of the HTTP sink
    Api,
}

impl Part {
    pub(super) const ALL: [Self; 5] = [Self::Engine, Self::Postgres, Self::Redis, Self::ClickHouse, Self::Api];
    /// Those with a relay before them.
    pub(super) const SERVICES: [Self; 4] = [Self::Postgres, Self::Redis, Self::ClickHouse, Self::Api];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::ClickHouse => "clickhouse",
            Self::Api => "mock api",
        }
    }
}

/// What distinguishes one stack from another.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    /// Mechanisms of the engine that are switched off, as `THM_FAILPOINT` has them.
    pub(super) failpoint: Option<String>,
    /// Length of the leaderboard's window, so that it also slides within a run.
    pub(super) window_ms: u64,
}

/// The stack of one seed.
pub(super) struct Stack {
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    pub(super) postgres: Arc<Postgres>,
    pub(super) clickhouse: Arc<ClickHouse>,
    pub(super) redis: Arc<Redis>,
    pub(super) api: Arc<ExternalApi>,
    pub(super) connect_url: String,
    flink_url: String,
    /// As registered, by name.
    pub(super) connectors: BTreeMap<String, Value>,
    services: BTreeMap<Part, Arc<dyn Service>>,
    running: Mutex<BTreeMap<Part, Arc<Running<dyn Service>>>>,
    frozen: Mutex<BTreeMap<Part, Vec<i32>>>,
    proxies: BTreeMap<Part, Proxy>,
    folders: Folders,
    folder: PathBuf,
}

impl Stack {
    /// Starts everything in `folder`.
    pub(super) async fn start(program: &Path, project: &Project, folder: &Path, setup: &Setup) -> Result<Self> {
        // PostgreSQL's user must get through it.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let folders = Folders::create(folder)?;
        let [pg_port, redis_port, clickhouse_port, api_port, connect, flink, inner, outer] = free_ports()?;
        let postgres = Arc::new(Postgres::new(&folder.join("postgres"), pg_port, project.init()?)?);
        let redis = Arc::new(Redis::new(&folder.join("redis"), redis_port));
        let clickhouse = Arc::new(ClickHouse::new(program, &folder.join("clickhouse"), clickhouse_port)?);
        let ledger = folder.join("api/events.jsonl");
        let api = Arc::new(ExternalApi::new(program, &ledger, api_port));
        let config = folder.join("thm.toml");
        let engine = Engine::new(program, &config, connect, flink, [inner, outer]);
        let engine: Arc<dyn Service> = Arc::new(Subject { engine, failpoint: setup.failpoint.clone() });
        let mut services = BTreeMap::from([(Part::Engine, engine)]);
        services.insert(Part::Postgres, Arc::clone(&postgres) as Arc<dyn Service>);
        services.insert(Part::Redis, Arc::clone(&redis) as _);
        services.insert(Part::ClickHouse, Arc::clone(&clickhouse) as _);
        services.insert(Part::Api, Arc::clone(&api) as _);
        let mut proxies = BTreeMap::new();
        for (part, port) in Part::SERVICES.into_iter().zip([pg_port, redis_port, clickhouse_port, api_port]) {
            proxies.insert(part, Proxy::start(port).await?);
        }
        let stack = Self {
            program: program.to_owned(),
            config,
            postgres,
            clickhouse,
            redis,
            api,
            connect_url: format!("http://127.0.0.1:{connect}"),
            flink_url: format!("http://127.0.0.1:{flink}"),
            connectors: write_connectors(project, folder, setup)?,
            services,
            running: Mutex::default(),
            frozen: Mutex::default(),
            proxies,
            folders,
            folder: folder.to_owned(),
        };
        fs::write(&stack.config, stack.engine_config(project, &ledger, [inner, outer, connect, flink]))?;
        let (one, two, three, four) = tokio::join!(
            stack.bring_back(Part::Postgres),
            stack.bring_back(Part::Redis),
            stack.bring_back(Part::ClickHouse),
            stack.bring_back(Part::Api),
        );
        one.and(two).and(three).and(four)?;
        stack.bring_back(Part::Engine).await?;
        Ok(stack)
    }

    fn engine_config(&self, project: &Project, ledger: &Path, ports: [u16; 4]) -> String {
        let [inner, outer, connect, flink] = ports;
        let relay = |part: Part| self.proxies.get(&part).map_or(0, Proxy::port);
        let hosts = [
            ("postgres:5432", Part::Postgres),
            ("redis:6379", Part::Redis),
            ("clickhouse:8123", Part::ClickHouse),
            ("external-api:8088", Part::Api),
        ];
        let hosts: String =
            hosts.iter().map(|(name, part)| format!("\"{name}\" = \"127.0.0.1:{}\"\n", relay(*part))).collect();
        // A Rust string in quotes is a TOML string, too, for paths without odd characters.
        format!(
            "data_dir = \"engine\"\nconnectors = [\"connectors/*.json\"]\nsql = [{:?}]\n\
             [server]\nconnect_port = {connect}\nflink_port = {flink}\n\
             kafka = [{{ port = {inner}, advertise = \"localhost:{inner}\" }}, \
             {{ port = {outer}, advertise = \"localhost:{outer}\" }}]\n[hosts]\n{hosts}\
             [verify]\npostgres = {:?}\nclickhouse = {:?}\nredis = {:?}\nmock_api_file = {:?}\n",
            project.sql(),
            self.postgres.url(),
            self.clickhouse.url(),
            self.redis.url(),
            ledger.display().to_string(),
        )
    }

    pub(super) fn proxy(&self, part: Part) -> Option<&Proxy> {
        self.proxies.get(&part)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a part that does not run, as often as it takes.
    pub(super) async fn bring_back(&self, part: Part) -> Result<()> {
        let service = self.services.get(&part).context("an unknown part")?;
        let deadline = Instant::now() + DEFAULT_RESTART_PATIENCE;
        loop {
            match Running::start(Arc::clone(service), &self.folders).await {
                Ok(running) => {
                    self.running.lock().insert(part, Arc::new(running));
                    return Ok(());
                }
                Err(failure) if Instant::now() > deadline => {
                    let what = format!("bringing back {}, whose log ends with\n{}", part.name(), failure.log);
                    return Err(Error::from(failure)).context(what);
                }
                Err(_) => tokio::time::sleep(RESTART_PAUSE).await,
            }
        }
    }

    /// Waits until source, job and sinks are past what PostgreSQL has now: until the snapshot is over, at first.
    pub(super) async fn caught_up(&self) -> Result<()> {
        let client = connect_postgres(&self.postgres.url()).await?;
        let lsn: String = client.query_one("SELECT pg_current_wal_lsn()::text", &[]).await?.get(0);
        let url = format!("{}/api/barrier?lsn={lsn}", self.flink_url);
        let deadline = Instant::now() + DEFAULT_RESTART_PATIENCE;
        loop {
            let answer: Value = reqwest::get(&url).await?.json().await?;
            if answer["passed"] == true {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the snapshot does not come to its end: {answer}");
            }
        }
    }

    /// `kill -9`; it is down until it is brought back. Frozen parts are thawed, for a stopped orphan would stay.
    pub(super) fn kill(&self, part: Part) {
        self.thaw(part);
        let running = self.running.lock().remove(&part);
        if let Some(running) = running {
            tokio::task::block_in_place(|| running.kill());
        }
    }

    /// Asks it to stop, and waits for that.
    pub(super) fn stop(&self, part: Part) {
        let running = self.running.lock().remove(&part);
        if let Some(running) = running {
            tokio::task::block_in_place(|| running.stop());
        }
    }

    /// SIGSTOP to it and its children.
    pub(super) fn freeze(&self, part: Part) {
        let Some(pid) = self.running.lock().get(&part).map(|running| running.process().identity().pid) else { return };
        let members = family(pid);
        signal_all(&members, Signal::SIGSTOP);
        self.frozen.lock().insert(part, members);
    }

    /// SIGCONT to what was frozen.
    pub(super) fn thaw(&self, part: Part) {
        if let Some(members) = self.frozen.lock().remove(&part) {
            signal_all(&members, Signal::SIGCONT);
        }
    }

    /// Its process; 0 while it does not run.
    pub(super) fn pid(&self, part: Part) -> i32 {
        self.running.lock().get(&part).map_or(0, |running| running.process().identity().pid)
    }

    /// How a part ended that nobody killed; none while it runs.
    pub(super) fn ended(&self, part: Part) -> Option<String> {
        let running = self.running.lock().get(&part).cloned()?;
        let status = running.process().status()?;
        Some(crate::process::describe_exit(status))
    }

    /// The end of the engine's log.
    pub(super) fn engine_log(&self, lines: usize) -> String {
        crate::process::tail(&self.folders.log("run"), 0, lines)
    }

    /// The log's file.
    pub(super) fn engine_log_file(&self) -> PathBuf {
        self.folders.log("run")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for part in Part::ALL {
            self.thaw(part);
        }
        // The engine first, by force: what there is to see was seen. PostgreSQL in its own way, for its children
        // outlive a killed postmaster for a moment and write into the folder.
        self.kill(Part::Engine);
        self.stop(Part::Postgres);
        for part in [Part::Redis, Part::ClickHouse, Part::Api] {
            self.kill(part);
        }
    }
}

fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids {
        // It may have ended meanwhile; a child of a part that still runs keeps its number until it is reaped there.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// The project's connector files with the seed's options; also as values, to register them again.
fn write_connectors(project: &Project, folder: &Path, setup: &Setup) -> Result<BTreeMap<String, Value>> {
    let files = folder.join("connectors");
    fs::create_dir_all(&files)?;
    let pattern = PathBuf::from(project.connectors());
    let mut connectors = BTreeMap::new();
    for entry in fs::read_dir(pattern.parent().context("no folder of connectors")?)?.flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut connector: Value = serde_json::from_slice(&fs::read(entry.path())?)?;
        let name = connector["name"].as_str().context("a connector file without a name")?.to_owned();
        let class = connector["config"]["connector.class"].as_str().unwrap_or_default().to_owned();
        if class.ends_with("LeaderboardSinkConnector") {
            connector["config"]["window.ms"] = json!(setup.window_ms.to_string());
        }
        fs::write(files.join(format!("{name}.json")), serde_json::to_vec_pretty(&connector)?)?;
        connectors.insert(name, connector);
    }
    Ok(connectors)
}

/// The engine, with mechanisms switched off if asked for.
struct Subject {
    engine: Engine,
    failpoint: Option<String>,
}

#[async_trait]
impl Service for Subject {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn ports(&self) -> Vec<u16> {
        self.engine.ports()
    }

    fn launch(&self) -> Launch {
        let mut launch = self.engine.launch();
        if let Some(failpoint) = &self.failpoint {
            // env(1) replaces itself with the program, so the process is the engine's own.
            let mut args = vec![format!("{FAILPOINT_VARIABLE}={failpoint}").into(), launch.program.into()];
            args.append(&mut launch.args);
            (launch.program, launch.args) = ("env".into(), args);
        }
        launch
    }

    async fn probe(&self) -> thm_api::Result<()> {
        self.engine.probe().await
    }
}
