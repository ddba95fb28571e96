//! A real ClickHouse engine for the tests: clickhouse-local of the package `chdb-core`, with its HTTP handlers on.
//!
//! One engine serves the whole test process, each test in a database of its own. It serves until its standard input
//! closes, so it ends with the process however that ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use thm_api::{Generation, SinkPartition, SinkTask};
use thm_sink::ClickHouseConnector;

use crate::support::{MemoryState, config, context_without, free_port, partition, sink};

const PACKAGE: &str = "chdb-core==26.9.0";

const SERVE: &str = r#"
import glob, importlib.util, os, shutil, sys, sysconfig
lib = glob.glob(os.path.join(sysconfig.get_paths()["purelib"], "**", "_chdb*.so"), recursive=True)[0]
spec = importlib.util.spec_from_file_location("_chdb", lib)
chdb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chdb)
chdb.query("SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin', LineAsString, 'l String')",
           "TabSeparated", path=os.path.join(os.getcwd(), "data"))
shutil.rmtree(os.getcwd(), ignore_errors=True)
os._exit(0)
"#;

/// The contract's table.
pub const COLUMNS: &str = "id UInt64, content_id String, user_id String, event_type LowCardinality(String), \
    event_ts DateTime64(3), device LowCardinality(String), content_type LowCardinality(String), length_seconds Int32, \
    engagement_seconds Nullable(Decimal(10,2)), engagement_pct Nullable(Decimal(5,2)), raw_payload String";

fn python() -> PathBuf {
    let home = std::env::var("HOME").unwrap_or_else(|_| ".".to_owned());
    let cache = std::env::var("THM_CACHE").unwrap_or_else(|_| format!("{home}/.cache/thamanya"));
    let venv = Path::new(&cache).join("clickhouse-26.9.0");
    let python = venv.join("bin/python");
    fs::create_dir_all(&cache).unwrap();
    let lock = File::create(Path::new(&cache).join("clickhouse.lock")).unwrap();
    lock.lock().unwrap();
    if !venv.join(".done").exists() {
        run(Command::new("python3").arg("-m").arg("venv").arg(&venv));
        run(Command::new(&python).args(["-m", "pip", "install", "-q", PACKAGE]));
        File::create(venv.join(".done")).unwrap();
    }
    python
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?} failed");
}

struct Engine {
    port: u16,
    /// Its input stays open as long as this lives.
    _child: Child,
}

fn start() -> Engine {
    let python = python();
    let port = free_port();
    let folder = tempfile::tempdir().unwrap().keep();
    let listen = format!("<http_port>{port}</http_port><tcp_port>0</tcp_port><listen_host>127.0.0.1</listen_host>");
    fs::write(folder.join("config.xml"), format!("<clickhouse>{listen}</clickhouse>")).unwrap();
    fs::write(folder.join("serve.py"), SERVE).unwrap();
    let mut command = Command::new(python);
    command.arg("serve.py").current_dir(&folder).stdin(Stdio::piped());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "the ClickHouse engine does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Engine { port, _child: child }
}

pub fn port() -> u16 {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(start).port
}

/// Runs a statement on the engine.
pub async fn query(sql: &str) -> String {
    let port = tokio::task::spawn_blocking(port).await.unwrap();
    let answer = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/")).body(sql.to_owned()).send().await;
    let answer = answer.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{sql}: {text}");
    text.trim_end_matches('\n').to_owned()
}

/// A database of one test, with the contract's table in it.
pub struct Database {
    pub name: String,
    /// What the test's sink reads; each test has a topic of its own, for query ids are the server's.
    pub partition: SinkPartition,
}

impl Database {
    /// With table `enriched_events` of this engine clause.
    pub async fn new(engine: &str) -> Self {
        let database = Self::empty().await;
        query(&format!("CREATE TABLE {}.enriched_events ({COLUMNS}) ENGINE = {engine}", database.name)).await;
        database
    }

    /// The contract's table as it stands.
    pub async fn contract() -> Self {
        Self::new("ReplacingMergeTree ORDER BY (event_ts, id)").await
    }

    pub async fn empty() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("thm_{number}");
        query(&format!("CREATE DATABASE {name}")).await;
        Self { name, partition: partition(1_000 + u128::from(number)) }
    }

    /// The answer to a query with `{t}` for the table.
    pub async fn ask(&self, sql: &str) -> String {
        query(&sql.replace("{t}", &format!("{}.enriched_events", self.name))).await
    }

    /// A sink for this database; further options win.
    pub async fn sink(&self, further: &[(&str, &str)]) -> Box<dyn SinkTask> {
        self.sink_without(further, "").await
    }

    /// An opened sink with these failpoints active.
    pub async fn opened_without(&self, failpoints: &str) -> (Box<dyn SinkTask>, SinkPartition) {
        let mut task = self.sink_without(&[], failpoints).await;
        task.open(std::slice::from_ref(&self.partition), Generation(1)).await.unwrap();
        (task, self.partition.clone())
    }

    async fn sink_without(&self, further: &[(&str, &str)], failpoints: &str) -> Box<dyn SinkTask> {
        self.sink_on(&Arc::default(), further, failpoints).await
    }

    /// A sink that keeps its facts in `state`.
    pub async fn sink_on(
        &self,
        state: &Arc<MemoryState>,
        further: &[(&str, &str)],
        failpoints: &str,
    ) -> Box<dyn SinkTask> {
        let port = tokio::task::spawn_blocking(port).await.unwrap().to_string();
        let mut options = vec![
            ("hostname", "127.0.0.1"),
            ("port", port.as_str()),
            ("ssl", "false"),
            ("database", self.name.as_str()),
            ("username", "default"),
            ("password", ""),
            ("topics", "thm.enriched.events"),
            ("topic2TableMap", "thm.enriched.events=enriched_events"),
            ("value.converter.schemas.enable", "false"),
            ("clickhouseSettings", "date_time_input_format=best_effort"),
        ];
        options.extend_from_slice(further);
        sink(&ClickHouseConnector, context_without(state, config(&options), failpoints))
    }

    /// An opened sink.
    pub async fn opened(&self) -> (Box<dyn SinkTask>, SinkPartition) {
        let mut task = self.sink(&[]).await;
        let held = task.open(std::slice::from_ref(&self.partition), Generation(1)).await.unwrap();
        assert!(held.is_empty());
        (task, self.partition.clone())
    }
}

/// An enriched event as the SQL job writes it.
pub fn event(id: i64, event_ts: &str, length_seconds: &str) -> String {
    format!(
        r#"{{"id":{id},"content_id":"c-{id}","user_id":"u-test","event_type":"play","event_ts":"{event_ts}","device":"ios","content_type":"video","length_seconds":{length_seconds},"engagement_seconds":10.5,"engagement_pct":8.75,"raw_payload":"{{\"a\":1}}"}}"#
    )
}
