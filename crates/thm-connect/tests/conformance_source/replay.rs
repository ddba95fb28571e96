//! Replays one case: its steps on a fresh database, with our source in a worker on a log of its own.
//!
//! ```text
//!   case.sql ──▶ PostgreSQL ──▶ source ──▶ worker ──▶ Recorder ──▶ log ──▶ records, in order
//!                                            └─▶ status, trace, HTTP status
//! ```

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Hosts, Registry};
use thm_connect::{Herder, HerderOptions, InitialState, Restart, State};
use thm_log::group::{GroupConfig, GroupCoordinator};
use thm_log::{EmbeddedLog, FileStateStore, LogConfig};
use thm_source::PostgresConnector;

use crate::case::{Case, Expect};
use crate::normalise::Record;
use crate::postgres::Postgres;
use crate::recorder::Recorder;

/// How long a case may wait for anything.
const PATIENCE: Duration = Duration::from_secs(25);
/// A connector that cannot say that it has caught up is waited for until it is silent for so long.
const QUIET: Duration = Duration::from_millis(700);
const CONNECTOR: &str = "case";

/// How records are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// With their schemas.
    pub schemas: bool,
    /// Through transforms that leave them alone.
    pub through_transforms: bool,
}

/// How a case went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What came out.
    pub records: Vec<Record>,
    /// HTTP status and message of a refusal, or a failed task's trace.
    pub error: Option<String>,
    /// Columns that deviations are about, as `topic-part.column` to type name.
    pub types: BTreeMap<(String, String), String>,
}

/// One case under way.
pub struct Replay<'a> {
    case: &'a Case,
    postgres: &'a Postgres,
    /// Port of a server with `wal_level=replica`.
    replica_port: u16,
    way: Way,
    herder: Arc<Herder>,
    recorder: Arc<Recorder>,
    config: BTreeMap<String, Option<String>>,
    session: tokio_postgres::Client,
    running: bool,
    error: Option<String>,
    background: Vec<Child>,
    _folder: tempfile::TempDir,
}

impl<'a> Replay<'a> {
    /// Runs the case.
    pub async fn run(case: &'a Case, postgres: &'a Postgres, replica_port: u16, way: Way) -> Result<Outcome, String> {
        postgres.fresh_database()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let log = EmbeddedLog::open(LogConfig::new(folder.path().join("log"))).map_err(|error| error.to_string())?;
        let log = Arc::new(log);
        let recorder = Arc::new(Recorder::new(log.clone()));
        let groups = GroupCoordinator::open(GroupConfig::new(folder.path().join("groups"))).unwrap();
        let state = FileStateStore::open(folder.path().join("state")).unwrap();
        let source = PostgresConnector::default().spooling_in(folder.path());
        let registry = Registry::default().with(source);
        let mut options =
            HerderOptions::new(recorder.clone(), log.clone(), Arc::new(groups), Arc::new(state), registry);
        options.hosts = Arc::new(Hosts::default());
        let herder = Herder::new(options).map_err(|error| error.to_string())?;
        herder.start().await;
        let mut replay = Self {
            case,
            postgres,
            replica_port,
            way,
            herder,
            recorder,
            config: BTreeMap::new(),
            session: postgres.session().await?,
            running: false,
            error: None,
            background: Vec::new(),
            _folder: folder,
        };
        replay.config = replay.options();
        let done = replay.steps().await;
        for mut child in std::mem::take(&mut replay.background) {
            let _ = child.kill();
            let _ = child.wait();
        }
        let types = replay.types();
        replay.herder.stop().await;
        done?;
        let records = replay.recorder.records().await;
        let _ = log.close();
        Ok(Outcome { records, error: replay.error.take(), types })
    }

    /// The recording's base, the case's own options, and what the recording's worker had by default.
    fn options(&self) -> BTreeMap<String, Option<String>> {
        let port = self.postgres.port.to_string();
        let base = [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("tasks.max", "1"),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &port),
            ("database.user", "thm"),
            ("database.password", "thm"),
            ("database.dbname", "thm"),
            ("topic.prefix", "pg"),
            ("plugin.name", "pgoutput"),
            ("slot.name", "debezium"),
            ("poll.interval.ms", "50"),
            ("status.update.interval.ms", "50"),
            ("key.converter.replace.null.with.default", "true"),
            ("value.converter.replace.null.with.default", "true"),
        ];
        let mut config: BTreeMap<String, Option<String>> =
            base.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        if self.case.older {
            config.insert("thm.envelope".to_owned(), Some("2.7".to_owned()));
        }
        config.extend(self.case.options.clone());
        if self.way.schemas {
            for side in ["key", "value"] {
                let json = "org.apache.kafka.connect.json.JsonConverter".to_owned();
                config.insert(format!("{side}.converter"), Some(json));
                config.insert(format!("{side}.converter.schemas.enable"), Some("true".to_owned()));
            }
        }
        if self.way.through_transforms && !config.contains_key("transforms") {
            // A transform that no record meets: all go the long way and come out as they were.
            let chain = [
                ("transforms", "none"),
                ("transforms.none.type", "org.apache.kafka.connect.transforms.Filter"),
                ("transforms.none.predicate", "never"),
                ("predicates", "never"),
                ("predicates.never.type", "org.apache.kafka.connect.transforms.predicates.HasHeaderKey"),
                ("predicates.never.name", "no such header"),
            ];
            config.extend(chain.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
        }
        // The recording's second server, which has wal_level=replica.
        if let Some(port) = config.get_mut("database.port").filter(|port| port.as_deref() == Some("5433")) {
            *port = Some(self.replica_port.to_string());
        }
        config.retain(|_, value| value.is_some());
        config
    }

    async fn steps(&mut self) -> Result<(), String> {
        for step in &self.case.steps {
            let (word, rest) = step.directive.split_once(' ').unwrap_or((&step.directive, ""));
            match word {
                "connector" => {
                    let (action, argument) = rest.split_once(' ').unwrap_or((rest, ""));
                    self.connector(action, argument).await?;
                }
                "sleep" => tokio::time::sleep(Duration::from_secs_f64(rest.parse().unwrap_or(1.0))).await,
                "quiet" => self.quiet().await,
                "background" => self.background(rest).await?,
                _ => {}
            }
            if !step.sql.trim().is_empty() {
                self.postgres.psql(&step.sql).map_err(|error| format!("psql: {error}"))?;
                self.catch_up().await?;
            }
        }
        if self.case.expect == Expect::Break {
            self.error = self.failure();
        }
        Ok(())
    }

    async fn background(&mut self, command: &str) -> Result<(), String> {
        let port = self.postgres.port.to_string();
        let command = command.replace("$PG_PORT", &port).replace("5432", &port);
        let mut words = command.split_whitespace();
        let mut program = self.postgres.program(words.next().unwrap_or_default());
        let child = program.args(words).stderr(std::process::Stdio::null()).spawn().map_err(|e| e.to_string())?;
        self.background.push(child);
        let active = "SELECT count(*) FROM pg_replication_slots WHERE active";
        self.until_answer("the background program at work", active, "1").await
    }

    async fn connector(&mut self, action: &str, argument: &str) -> Result<(), String> {
        let herder = self.herder.clone();
        let refused = |refusal: thm_connect::Refusal| format!("{action}: {} {}", refusal.status, refusal.message);
        match action {
            "create" => {
                match herder.create(CONNECTOR, self.config.clone(), InitialState::Running).await {
                    Err(refusal) if self.case.expect == Expect::Rejected => {
                        self.error = Some(format!("{}\n{}", refusal.status, refusal.message));
                        return Ok(());
                    }
                    created => created.map(drop).map_err(refused)?,
                }
                if self.case.expect == Expect::Rejected {
                    return Ok(());
                }
                self.running = true;
                if self.case.expect == Expect::Failed {
                    return self.await_failure().await;
                }
                self.started().await
            }
            "delete" => {
                self.running = false;
                herder.delete(CONNECTOR).await.map_err(refused)
            }
            "restart" => {
                let what = Restart { include_tasks: true, ..Restart::default() };
                herder.restart(CONNECTOR, what).await.map(drop).map_err(refused)?;
                self.started().await
            }
            "put" => {
                let changed: BTreeMap<String, Option<String>> =
                    serde_json::from_str(argument).map_err(|error| error.to_string())?;
                self.config.extend(changed);
                herder.put_config(CONNECTOR, self.config.clone()).await.map(drop).map_err(refused)?;
                self.started().await
            }
            "pause" | "stop" => {
                self.running = false;
                match action {
                    "pause" => herder.pause(CONNECTOR).await.map_err(refused),
                    _ => herder.stop_connector(CONNECTOR).await.map_err(refused),
                }
            }
            "resume" => {
                herder.resume(CONNECTOR).await.map_err(refused)?;
                self.running = true;
                self.started().await
            }
            other => Err(format!("unknown directive: connector {other}")),
        }
    }

    fn failure(&self) -> Option<String> {
        let state = self.herder.state(CONNECTOR)?;
        if state.1 != Some(State::Failed) && state.0 != State::Failed {
            return None;
        }
        let snapshot = self.herder.snapshot().into_iter().find(|connector| connector.name == CONNECTOR)?;
        Some(snapshot.tasks.first().and_then(|task| task.trace.clone()).unwrap_or_default())
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if let Some(trace) = self.failure() {
                return Err(format!("the task failed: {trace}"));
            }
            if Instant::now() > deadline {
                return Err(format!("never: {what}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The first value of a question's answer.
    async fn ask(&self, sql: &str) -> Option<String> {
        let answer = self.session.simple_query(sql).await.ok()?;
        answer.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    async fn until_answer(&self, what: &str, sql: &str, wanted: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.ask(sql).await.as_deref() != Some(wanted) {
            if let Some(trace) = self.failure() {
                return Err(format!("the task failed: {trace}"));
            }
            if Instant::now() > deadline {
                return Err(format!("never: {what}"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn await_failure(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(trace) = self.failure() {
                (self.error, self.running) = (Some(trace), false);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the task did not fail".to_owned())
    }

    async fn started(&self) -> Result<(), String> {
        let running = || self.herder.state(CONNECTOR).is_some_and(|(_, task)| task == Some(State::Running));
        self.until("a running task", running).await?;
        self.catch_up().await?;
        // Something must stand in the WAL between the snapshot and what follows, as the real connector's own doings did.
        self.ask("SELECT pg_current_xact_id()").await;
        Ok(())
    }

    /// Waits until the slot has confirmed everything that the server has now: it is told of nothing that is not durable.
    async fn catch_up(&self) -> Result<(), String> {
        if !self.running {
            return Ok(());
        }
        if self.case.expect == Expect::Quiet {
            self.quiet().await;
            return Ok(());
        }
        // What was emitted outside a transaction is written some time after: only the insert position tells of it. It may
        // stand behind the head of a page that holds nothing yet.
        let end = self.ask("SELECT pg_current_wal_insert_lsn() - 64").await.unwrap_or_default();
        let slot = self.config.get("slot.name").cloned().flatten().unwrap_or_default();
        let confirmed = format!(
            "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots s JOIN pg_stat_replication r \
                     ON r.pid = s.active_pid AND r.state IN ('catchup', 'streaming') WHERE slot_name = '{slot}'"
        );
        let outcome = self.until_answer("a slot that has caught up", &confirmed, "t").await;
        if self.case.expect == Expect::Break { Ok(()) } else { outcome }
    }

    async fn quiet(&self) {
        let (mut seen, mut since) = (self.recorder.count(), Instant::now());
        while since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.recorder.count() > seen {
                (seen, since) = (self.recorder.count(), Instant::now());
            }
        }
    }

    /// Types of all columns that are there now, by `schema.table` and column; without a column, what is odd about a table.
    fn types(&self) -> BTreeMap<(String, String), String> {
        let sql = "SELECT n.nspname || '.' || c.relname || chr(9) || a.attname || chr(9) || \
                   CASE WHEN e.oid IS NOT NULL THEN 'a' || e.typtype::text WHEN b.typtype IN ('c', 'm') THEN b.typtype::text \
                   ELSE t.typtype::text END || ' ' || t.typname \
                   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                   JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' \
                   LEFT JOIN pg_type b ON b.oid = t.typbasetype \
                   WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') \
                   AND n.nspname NOT IN ('pg_catalog', 'information_schema') UNION ALL \
                   SELECT DISTINCT n.nspname || '.' || c.relname || chr(9) || chr(9) || 'inherited' FROM pg_inherits i \
                   JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace \
                   UNION ALL \
                   SELECT n.nspname || '.' || c.relname || chr(9) || '=' || a.attname || chr(9) || 'expression' \
                   FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
                   JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE pg_get_expr(d.adbin, d.adrelid) !~ '^(\\(?-?[0-9.]+\\)?|true|false|B?''([^'']|'''')*''(::[^|+]*)?)$' \
                   UNION ALL \
                   SELECT DISTINCT n.nspname || '.' || c.relname || chr(9) || chr(9) || 'partly unique' FROM pg_index i \
                   JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE i.indisunique AND i.indpred IS NOT NULL AND n.nspname NOT LIKE 'pg\\_%'";
        let found = self.postgres.psql(sql).unwrap_or_default();
        let row = |line: &str| {
            let mut parts = line.split('\t').map(str::to_owned);
            Some(((parts.next()?, parts.next()?), parts.next()?))
        };
        found.lines().filter_map(row).collect()
    }
}
