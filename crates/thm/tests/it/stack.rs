//! Everything that one test needs, started and stopped together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;
use thm_dev::process::{Folders, Launch, free_ports};
use thm_dev::services::{ClickHouse, ExternalApi, Postgres, Redis, Running, Service};

/// The binary under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_thm"))
}

/// The project's folder, with the users' files.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What a test wants different from the demo.
pub struct Options {
    /// SQL files for the database; the demo's by default.
    pub init: Vec<PathBuf>,
    /// Connector files.
    pub connectors: String,
    /// The job.
    pub sql: PathBuf,
    /// More environment for the engine.
    pub environment: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        let init = project().join("db/init");
        let mut files: Vec<_> = init.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        Self {
            init: files,
            connectors: project().join("connectors/*.json").display().to_string(),
            sql: project().join("flink/sql/01_enrich.sql"),
            environment: Vec::new(),
        }
    }
}

/// The services and, most of the time, the engine.
pub struct Stack {
    pub postgres: Running<Postgres>,
    pub redis: Running<Redis>,
    pub clickhouse: Running<ClickHouse>,
    pub api: Running<ExternalApi>,
    engine: Option<Running<Engine>>,
    environment: Vec<(String, String)>,
    pub config: PathBuf,
    pub connect_port: u16,
    pub flink_port: u16,
    pub kafka_port: u16,
    second_kafka_port: u16,
    folders: Folders,
    _folder: tempfile::TempDir,
}

impl Stack {
    /// The demo's files, engine running.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// With the options, engine running.
    pub async fn start_with(options: Options) -> Self {
        let mut stack = Self::services(options).await;
        stack.start_engine().await;
        stack
    }

    /// The services alone, with the engine's configuration written.
    pub async fn services(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("thm-it-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let root = &folder.path().to_owned();
        let folders = Folders::create(root).unwrap();
        let [postgres, redis, clickhouse, api, connect_port, flink_port, kafka_port, second_kafka_port] =
            free_ports().unwrap();
        let postgres = Postgres::new(&root.join("postgres"), postgres, options.init.clone()).unwrap();
        let clickhouse = ClickHouse::new(program(), &root.join("clickhouse"), clickhouse).unwrap();
        let api = ExternalApi::new(program(), &root.join("api/events.jsonl"), api);
        let redis = Redis::new(&root.join("redis"), redis);
        let (postgres, redis, clickhouse, api) = tokio::join!(
            Running::start(Arc::new(postgres), &folders),
            Running::start(Arc::new(redis), &folders),
            Running::start(Arc::new(clickhouse), &folders),
            Running::start(Arc::new(api), &folders),
        );
        let stack = Self {
            postgres: postgres.map_err(thm_api::Error::from).unwrap(),
            redis: redis.map_err(thm_api::Error::from).unwrap(),
            clickhouse: clickhouse.map_err(thm_api::Error::from).unwrap(),
            api: api.map_err(thm_api::Error::from).unwrap(),
            engine: None,
            environment: options.environment.clone(),
            config: root.join("thm.toml"),
            connect_port,
            flink_port,
            kafka_port,
            second_kafka_port,
            folders,
            _folder: folder,
        };
        std::fs::write(&stack.config, stack.config_text(root, &options)).unwrap();
        stack
    }

    fn config_text(&self, root: &Path, options: &Options) -> String {
        let hosts: BTreeMap<&str, String> = BTreeMap::from([
            ("postgres", format!("127.0.0.1:{}", self.postgres.port())),
            ("redis", format!("127.0.0.1:{}", self.redis.port())),
            ("clickhouse", format!("127.0.0.1:{}", self.clickhouse.port())),
            ("redpanda", format!("127.0.0.1:{}", self.kafka_port)),
            ("external-api", self.api.url().trim_start_matches("http://").to_owned()),
        ]);
        let hosts: String = hosts.iter().map(|(name, address)| format!("{name} = \"{address}\"\n")).collect();
        format!(
            "data_dir = \"engine\"\nconnectors = [\"{}\"]\nsql = [\"{}\"]\n\n[server]\nconnect_port = {}\nflink_port = {}\n\
             kafka = [{{ port = {}, advertise = \"127.0.0.1:{}\" }}, {{ port = {}, advertise = \"localhost:{}\" }}]\n\
             auto_create_on_produce = true\n\n[hosts]\n{hosts}\n[verify]\npostgres = \"{}\"\nclickhouse = \"{}\"\n\
             redis = \"{}\"\nmock_api_file = \"{}\"\n",
            options.connectors,
            options.sql.display(),
            self.connect_port,
            self.flink_port,
            self.kafka_port,
            self.kafka_port,
            self.second_kafka_port,
            self.second_kafka_port,
            self.postgres.url(),
            self.clickhouse.url(),
            self.redis.url(),
            root.join("api/events.jsonl").display(),
        )
    }

    /// Starts the engine and waits until it serves.
    pub async fn start_engine(&mut self) {
        let ports = vec![self.kafka_port, self.second_kafka_port, self.connect_port, self.flink_port];
        let engine = Engine { config: self.config.clone(), environment: self.environment.clone(), ports };
        let started = Running::start(Arc::new(engine), &self.folders).await;
        self.engine = Some(started.map_err(thm_api::Error::from).unwrap());
    }

    /// `kill -9`, as a crash would.
    pub fn kill_engine(&mut self) {
        self.engine.take().expect("the engine runs").kill();
    }

    /// SIGTERM, and the end of it.
    pub fn stop_engine(&mut self) {
        self.engine.take().expect("the engine runs").stop();
    }

    /// The end of the engine's log.
    pub fn engine_log(&self) -> String {
        std::fs::read_to_string(self.folders.log("run")).unwrap_or_default()
    }

    /// Runs the binary with these arguments and the configuration's path at the end.
    pub fn thm(&self, arguments: &[&str]) -> Output {
        Command::new(program()).args(arguments).arg("--config").arg(&self.config).output().unwrap()
    }

    /// `thm verify` must find zero differences; returns its report.
    pub fn assert_verified(&self) -> Value {
        let output = self.thm(&["verify", "--output", "json", "--timeout", "120"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let log = self.engine_log();
        let end = &log[log.floor_char_boundary(log.len().saturating_sub(3_000))..];
        assert!(output.status.success(), "verify: {text}\n{errors}\nend of the engine's log:\n{end}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs statements, each in its own transaction unless they say otherwise.
    pub async fn sql(&self, statements: &str) {
        self.client().await.batch_execute(statements).await.unwrap();
    }

    /// A client of PostgreSQL.
    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.postgres.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A generator that inserts until it is dropped.
    pub fn generate(&self, rate: u32) -> Load {
        let child = Command::new(program())
            .args(["generate", "--postgres", &self.postgres.url(), "--rate", &rate.to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        Load(child.unwrap())
    }

    /// A JSON answer of one of the engine's APIs; `None` if it is not there or no success.
    pub async fn get(&self, port: u16, path: &str) -> Option<Value> {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Waits until something holds.
    pub async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < Duration::from_secs(60), "{what} did not happen; {}", self.engine_log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// `thm run` with an environment of the test's own.
struct Engine {
    config: PathBuf,
    environment: Vec<(String, String)>,
    ports: Vec<u16>,
}

#[async_trait]
impl Service for Engine {
    fn name(&self) -> &'static str {
        "run"
    }

    fn ports(&self) -> Vec<u16> {
        self.ports.clone()
    }

    fn launch(&self) -> Launch {
        // env(1) replaces itself with the program, so the process is the engine's own.
        let mut launch = Launch::new("env", self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        launch.args.extend([program().into(), "run".into(), "--config".into(), self.config.clone().into()]);
        // Long enough for the last commits on a busy machine: killed in the middle of them it would send again.
        launch.grace = Duration::from_secs(60);
        launch
    }

    async fn probe(&self) -> thm_api::Result<()> {
        for port in &self.ports {
            let connected = tokio::net::TcpStream::connect(("127.0.0.1", *port)).await;
            connected.map_err(|error| {
                let kind = thm_api::ErrorKind::LocalService;
                thm_api::Error::new(kind, "probing the engine", port.to_string()).with_source(error)
            })?;
        }
        Ok(())
    }
}

/// A running `thm generate`.
pub struct Load(std::process::Child);

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
