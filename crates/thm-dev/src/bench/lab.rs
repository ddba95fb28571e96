//! The services under measurement, and the state that every stage begins from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use thm_api::Error;
use tokio_postgres::Client;

use super::fence::RedisConnection;
use super::receiver::Receiver;
use crate::process::{Folders, free_ports};
use crate::services::{ClickHouse, Postgres, Redis, Running, connect_postgres};
use crate::supervisor::Project;

/// Most WAL between checkpoints: none begins inside a measured run unless the run asks for it.
const DEFAULT_MAX_WAL_SIZE: &str = "8GB";
/// The publication that every connector makes or finds.
pub(super) const PUBLICATION: &str = "thm_pub";

/// Services, their folder, the program to measure.
pub(super) struct Lab {
    pub(super) program: PathBuf,
    pub(super) project: Project,
    pub(super) folders: Folders,
    pub(super) postgres: Running<Postgres>,
    pub(super) redis: Running<Redis>,
    pub(super) clickhouse: Running<ClickHouse>,
    pub(super) receiver: Receiver,
    pub(super) app: Client,
    superuser: Client,
    /// Removed after everything above has ended: fields drop in order.
    folder: tempfile::TempDir,
}

/// How events are put into transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) transactions: u64,
    pub(super) rows_per_transaction: u64,
}

impl Load {
    pub(super) fn rows(self) -> u64 {
        self.transactions * self.rows_per_transaction
    }
}

impl Lab {
    /// Starts PostgreSQL, Redis, the ClickHouse engine and the receiver in a folder of their own under `parent`.
    pub(super) async fn start(program: &Path, project: Option<&Path>, parent: &Path) -> Result<Self> {
        let project = Project::find(project, program)?;
        fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix("thm-bench-").tempdir_in(parent)?;
        // PostgreSQL's user must get through it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let folders = Folders::create(folder.path())?;
        let [postgres_port, redis_port, clickhouse_port] = free_ports()?;
        let cluster = folder.path().join("postgres");
        let postgres = Postgres::new(&cluster, postgres_port, project.init()?)?
            .with_setting("max_wal_size", DEFAULT_MAX_WAL_SIZE)
            .with_setting("checkpoint_timeout", "1h")
            .with_setting("autovacuum", "off");
        let own_program = std::env::current_exe()?;
        let clickhouse = ClickHouse::new(&own_program, &folder.path().join("clickhouse"), clickhouse_port)?;
        let redis = Redis::new(&folder.path().join("redis"), redis_port);
        let postgres = Running::start(Arc::new(postgres), &folders).await.map_err(Error::from)?;
        let redis = Running::start(Arc::new(redis), &folders).await.map_err(Error::from)?;
        let clickhouse = Running::start(Arc::new(clickhouse), &folders).await.map_err(Error::from)?;
        let app = connect_postgres(&postgres.url()).await?;
        let superuser = connect_postgres(&postgres.superuser_url()?).await?;
        let receiver = Receiver::start().await?;
        // Moved in every transaction that must come after all measured ones; in no publication.
        app.batch_execute("CREATE TABLE bench_mark AS SELECT 0 AS passes").await?;
        let program = program.to_owned();
        Ok(Self { program, project, folders, postgres, redis, clickhouse, receiver, app, superuser, folder })
    }

    /// Where the services and engines keep their files.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// As on the first day: no slot, no publication, content without events, empty sinks. No engine may run.
    pub(super) async fn reset(&self) -> Result<()> {
        self.drop_slots().await?;
        self.superuser.batch_execute(&format!("DROP PUBLICATION IF EXISTS {PUBLICATION}")).await?;
        self.superuser.batch_execute("TRUNCATE engagement_events; CHECKPOINT").await?;
        self.clickhouse.query("TRUNCATE TABLE thm.enriched_events").await?;
        RedisConnection::connect(self.redis.port())?.command(&["FLUSHALL"])?;
        Ok(())
    }

    /// Drops every slot; a walsender whose client has just gone may still hold its own for a moment.
    pub(super) async fn drop_slots(&self) -> Result<()> {
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = self.superuser.batch_execute(drop).await {
            if Instant::now() > deadline {
                return Err(error).context("dropping slots");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Makes a slot as the engine's source makes it.
    pub(super) async fn create_slot(&self, name: &str) -> Result<()> {
        let sql = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')";
        self.app.execute(sql, &[&name]).await.context("creating a slot")?;
        Ok(())
    }

    pub(super) async fn drop_slot(&self, name: &str) -> Result<()> {
        self.app.execute("SELECT pg_drop_replication_slot($1)", &[&name]).await.context("dropping a slot")?;
        Ok(())
    }

    /// Inserts events on the server's side and gives the LSN that lies after them; all is durable then, and written
    /// back, so that no run pays for it.
    pub(super) async fn fill(&self, load: Load) -> Result<String> {
        let Load { transactions, rows_per_transaction } = load;
        let statement = include_str!("fill.sql")
            .replace("TRANSACTIONS", &transactions.to_string())
            .replace("ROWS_PER_TRANSACTION", &rows_per_transaction.to_string());
        self.app.batch_execute("SET synchronous_commit = off").await?;
        self.app.batch_execute(&statement).await.context("inserting events")?;
        self.app.batch_execute("SET synchronous_commit = on; UPDATE bench_mark SET passes = passes + 1").await?;
        let end = self.flushed().await?;
        self.superuser.batch_execute("CHECKPOINT").await?;
        Ok(end)
    }

    /// How far the WAL is durable; something lies after it, so that a reader sees that it has passed.
    pub(super) async fn flushed(&self) -> Result<String> {
        let row = self.app.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?;
        self.app.batch_execute("UPDATE bench_mark SET passes = passes + 1").await?;
        Ok(row.get(0))
    }

    /// Runs `pg_recvlogical` on `slot` up to `end`, with the source's options, to `/dev/null`; how long it took.
    pub(super) async fn receive(&self, slot: &str, end: &str) -> Result<Duration> {
        let mut command = tokio::process::Command::new(self.postgres.program("pg_recvlogical"));
        command.args(["--start", "--no-loop", "--fsync-interval=0", "--file=/dev/null", "--dbname"]);
        command.arg(self.postgres.url()).args(["--slot", slot, "--endpos", end]);
        let publication = format!("publication_names={PUBLICATION}");
        for option in ["proto_version=1", &publication, "binary=true", "messages=true"] {
            command.args(["--option", option]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let began = Instant::now();
        let output = command.output().await.context("running pg_recvlogical")?;
        if !output.status.success() {
            bail!("pg_recvlogical: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(began.elapsed())
    }

    /// Rows in ClickHouse's table, from its metadata.
    pub(super) async fn clickhouse_rows(&self) -> Result<u64> {
        Ok(self.clickhouse.query("SELECT count() FROM thm.enriched_events").await?.trim().parse()?)
    }
}
