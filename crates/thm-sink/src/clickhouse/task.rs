//! The task: one range of a partition becomes one insert, and the deletes that belong to it.
//!
//! ```text
//!  write(range) ─▶ Rows::read ─▶ Prepared::fold ─▶ INSERT, token and query id of the range ─▶ DELETE … ─▶ flush names it
//!                     │                               │
//!                     └ RecordRejected                └ already running (216), overload, no answer ─▶ the same again
//! ```
//! Exactly once: the worker stores a range before its first attempt, so each attempt is the same insert with the same
//! token, and the table remembers the tokens of its last inserts. Deletes follow the insert and repeat harmlessly until
//! the next range is written: so the range is committed before that, and a late delete is refused (see `session`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::{Counter, Histogram, counter, gauge, histogram};
use thm_api::{
    BatchPolicy, Error, ErrorKind, Generation, Offset, Result, SinkBatch, SinkPartition, SinkTask, TaskContext,
    TopicPartition,
};

use super::bisect::Bisect;
use super::client::{Client, Request};
use super::config::ClickHouseConfig;
use super::ddl;
use super::encode::insert_body;
use super::evolve;
use super::fault::Fault;
use super::fold::Prepared;
use super::json_cells;
use super::quote;
use super::rows::{Rows, key_names};
use super::session::DeleteSession;
use super::statement;
use super::table::Table;
use crate::failpoints;

/// Settings of a delete: it runs to its end before the answer, and its text may be long.
const DELETE_SETTINGS: &[(&str, &str)] = &[
    ("lightweight_deletes_sync", "1"),
    ("mutations_sync", "1"),
    ("max_query_size", "268435456"),
    ("max_ast_elements", "10000000"),
    ("max_expanded_ast_elements", "10000000"),
];

/// From this many records on a batch is converted off the I/O threads: a few hundred rows take less than moving them.
const OFFLOAD_RECORDS: usize = 1_000;

/// Most fields that the log tells of: their names may be data.
const MAX_TOLD: usize = 1_000;

/// Writes topics into tables.
#[derive(Debug)]
pub struct ClickHouseTask {
    connector: Arc<str>,
    config: ClickHouseConfig,
    client: Client,
    generation: Generation,
    tables: HashMap<Arc<str>, Arc<Table>>,
    /// Fields without a column, by table, that the log has told of.
    told: HashSet<String>,
    written: HashMap<TopicPartition, Offset>,
    /// Whether the last range deleted rows by their keys.
    deleted: bool,
    meters: Meters,
    session: DeleteSession,
    off: SwitchedOff,
}

/// What a test switched off; nothing otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct SwitchedOff {
    token: bool,
    delete: bool,
    /// Deletes run before the insert, and spare nothing.
    order: bool,
    early_commit: bool,
    /// Deletes are bound to no session.
    session: bool,
}

impl SwitchedOff {
    fn read(context: &TaskContext) -> Result<Self> {
        let names = failpoints::active(&context.failpoints, "clickhouse", &context.connector)?;
        let has = |name| names.contains(&name);
        Ok(Self {
            token: has("clickhouse.no-token"),
            delete: has("clickhouse.no-delete"),
            order: has("clickhouse.delete-before-insert"),
            early_commit: has("clickhouse.no-early-commit"),
            session: has("clickhouse.no-delete-session"),
        })
    }
}

struct Meters {
    rows: Counter,
    batches: Counter,
    bytes: Counter,
    deletes: Counter,
    defaulted: Counter,
    skipped: Counter,
    insert_seconds: Histogram,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

impl Meters {
    fn new(connector: &str) -> Self {
        let label = || [("connector", connector.to_owned())];
        Self {
            rows: counter!("thm_clickhouse_rows_total", &label()),
            batches: counter!("thm_clickhouse_batches_total", &label()),
            bytes: counter!("thm_clickhouse_insert_bytes_total", &label()),
            deletes: counter!("thm_clickhouse_delete_statements_total", &label()),
            defaulted: counter!("thm_clickhouse_defaulted_nulls_total", &label()),
            skipped: counter!("thm_clickhouse_skipped_tombstones_total", &label()),
            insert_seconds: histogram!("thm_clickhouse_insert_seconds", &label()),
        }
    }
}

impl ClickHouseTask {
    /// Touches nothing outside.
    pub fn new(context: &TaskContext) -> Result<Self> {
        let config = ClickHouseConfig::parse(&context.config)?;
        let off = SwitchedOff::read(context)?;
        Ok(Self {
            connector: Arc::clone(&context.connector),
            client: Client::new(&config, &context.hosts)?,
            config,
            generation: Generation::default(),
            tables: HashMap::new(),
            told: HashSet::new(),
            written: HashMap::new(),
            deleted: false,
            meters: Meters::new(&context.connector),
            session: DeleteSession::new(Arc::clone(&context.connector), Arc::clone(&context.state), !off.session),
            off,
        })
    }

    /// The pre-flight: server, user, database and tables, without changing anything.
    pub async fn check(&self, topics: &[String]) -> Result<()> {
        self.ping().await?;
        for topic in topics {
            self.find_table(topic).await?;
        }
        Ok(())
    }

    /// Asks whether the server lets us in and knows the database.
    async fn ping(&self) -> Result<()> {
        const DOING: &str = "connecting to ClickHouse";
        let database = &self.config.database;
        let sql = format!("SELECT count() FROM system.databases WHERE name = {}", quote::literal(database));
        let answer = self.client.query(DOING, self.client.address(), sql).await?;
        match answer.trim() {
            "1" => Ok(()),
            "0" => Err(Error::new(ErrorKind::SinkMismatch, DOING, database).with_hint(format!(
                "The database does not exist. Run: CREATE DATABASE {}",
                quote::identifier(database)
            ))),
            _ => Err(Error::new(ErrorKind::SinkMismatch, DOING, self.client.address())
                .with_hint("The answer is not ClickHouse's: \"hostname\" and \"port\" must name its HTTP interface.")),
        }
    }

    /// The topic's table; `None` if it is still to be created under `auto.create`.
    async fn find_table(&self, topic: &str) -> Result<Option<Table>> {
        let name = self.config.table_of(topic);
        let database = &self.config.database;
        match Table::describe(&self.client, database, name).await? {
            Some(table) => {
                table.check()?;
                ddl::check_contract(&table)?;
                Ok(Some(table))
            }
            None if self.config.auto_create => Ok(None),
            None => Err(Error::new(
                ErrorKind::SinkMismatch,
                "looking for the table of a topic",
                format!("{database}.{name}"),
            )
            .with_hint(format!(
                "Topic {topic} goes to a table that does not exist or that the user may not see. Set auto.create=true, or run, for enriched \
                     events: {}",
                ddl::suggested(database, name)
            ))),
        }
    }

    async fn adopt(&mut self, topic: &Arc<str>, mut table: Table) -> Result<Arc<Table>> {
        table.ensure_deduplication(&self.client).await?;
        gauge!("thm_clickhouse_deduplicates", "connector" => self.connector.to_string(), "topic" => topic.to_string())
            .set(if table.deduplicates { 1.0 } else { 0.0 });
        let table = Arc::new(table);
        self.tables.insert(Arc::clone(topic), Arc::clone(&table));
        Ok(table)
    }

    /// The table for a batch, created now if it is missing and we may. `None` if it is missing and the batch holds
    /// deletions alone, for which nothing has to be done.
    async fn table_for(&mut self, batch: &SinkBatch) -> Result<Option<Arc<Table>>> {
        let topic = &batch.partition.partition.topic;
        if let Some(table) = self.tables.get(topic) {
            return Ok(Some(Arc::clone(table)));
        }
        if let Some(table) = self.find_table(topic).await? {
            return self.adopt(topic, table).await.map(Some);
        }
        if batch.records().all(|record| record.value.is_none()) {
            return Ok(None);
        }
        self.create_table(batch).await?;
        let missing = || Error::new(ErrorKind::SinkMismatch, "creating a table", self.config.table_of(topic));
        let table = self.find_table(topic).await?.ok_or_else(missing)?;
        self.adopt(topic, table).await.map(Some)
    }

    async fn create_table(&self, batch: &SinkBatch) -> Result<()> {
        const DOING: &str = "creating a table for a topic";
        let topic = &batch.partition.partition.topic;
        let (database, name) = (&self.config.database, self.config.table_of(topic));
        let label = format!("{database}.{name}");
        let unknown = || {
            Error::new(ErrorKind::SinkMismatch, DOING, &label)
                .with_hint("The types of the topic's fields are not known here; create the table by hand.")
        };
        let first = batch.records().find_map(|record| record.value.as_deref()).ok_or_else(unknown)?;
        let names = json_cells::field_names(first).ok_or_else(unknown)?;
        let decoded = batch.chunks.iter().find_map(|chunk| chunk.columns.as_ref()).map(|columns| columns.rows.schema());
        let no_columns = Table::named(database, name);
        let key: Vec<_> = key_names(&no_columns, batch).into_iter().filter(|key| names.contains(key)).collect();
        let columns = ddl::columns_for(&names, decoded.as_deref(), &key).ok_or_else(unknown)?;
        if key.is_empty() {
            return Err(unknown());
        }
        self.client.query(DOING, &label, ddl::create(database, name, &columns, &key)).await?;
        tracing::info!(table = %label, %topic, "table created");
        Ok(())
    }

    /// The table with a column for every field of the batch, where `auto.evolve` says so; else the log tells once of
    /// fields that are left out.
    async fn evolved(&mut self, table: Arc<Table>, batch: &SinkBatch) -> Result<Arc<Table>> {
        let (topic, label) = (&batch.partition.partition.topic, table.label());
        if !self.config.auto_evolve {
            for field in evolve::left_out(&table, batch) {
                if self.told.len() < MAX_TOLD && self.told.insert(format!("{label}.{field}")) {
                    tracing::warn!(table = %label, field, "field has no column and is left out; auto.evolve=true adds one");
                }
            }
            return Ok(table);
        }
        let columns = evolve::missing(&table, batch, self.config.schemas_enabled)?;
        if columns.is_empty() {
            return Ok(table);
        }
        const DOING: &str = "adding columns for new fields";
        self.client.query(DOING, &label, evolve::statement(&table, &columns)).await?;
        tracing::info!(table = %label, %topic, ?columns, "columns added");
        let missing = || Error::new(ErrorKind::SinkMismatch, DOING, &label);
        let table = self.find_table(topic).await?.ok_or_else(missing)?;
        self.adopt(topic, table).await
    }

    /// Converts and folds, beside the I/O threads if it is much.
    async fn prepare(&self, table: &Arc<Table>, batch: SinkBatch) -> Result<Prepared> {
        let schemas_enabled = self.config.schemas_enabled;
        let records = batch.len();
        let table = Arc::clone(table);
        let spares_kept = !self.off.order;
        let prepare = move || {
            let rows = Rows::read(&table, &batch, schemas_enabled)?;
            // Two forms of the same rows are enough.
            drop(batch);
            Prepared::fold(&table, rows, spares_kept)
        };
        if records < OFFLOAD_RECORDS {
            return prepare();
        }
        let joined = tokio::task::spawn_blocking(prepare).await;
        joined.map_err(|error| {
            Error::new(ErrorKind::Internal, "converting records to rows", "batch").with_source(error)
        })?
    }

    /// Whether it ran deletes, too.
    async fn write_rows(&mut self, table: &Arc<Table>, batch: SinkBatch) -> Result<bool> {
        let (partition, first, last) = (batch.partition.clone(), batch.first, batch.last);
        let token = statement::token(&self.connector, self.generation, &partition, first, last);
        let prepared = self.prepare(table, batch).await?;
        if prepared.skipped > 0 {
            let skipped = prepared.skipped;
            tracing::warn!(connector = %self.connector, partition = %partition.partition, %first, %last, skipped,
                "foreign tombstones without a key name no row, passed over");
            self.meters.skipped.increment(skipped as u64);
        }
        if self.off.order {
            self.delete(table, &token, &prepared.deletes).await?;
            self.insert(table, &partition, &token, &prepared).await?;
        } else {
            self.insert(table, &partition, &token, &prepared).await?;
            self.delete(table, &token, &prepared.deletes).await?;
        }
        Ok(!prepared.deletes.is_empty())
    }

    async fn insert(&self, table: &Table, partition: &SinkPartition, token: &str, prepared: &Prepared) -> Result<()> {
        let rows = prepared.rows.num_rows();
        if rows == 0 {
            return Ok(());
        }
        // Some servers take equal rows for a repetition even where told not to, so a token of its own switches it off.
        let remembered = if self.off.token { uuid::Uuid::new_v4().to_string() } else { token.to_owned() };
        let body = insert_body(&statement::insert(table, &prepared.columns, &remembered), &prepared.rows)?;
        let bytes = body.len();
        let label = table.label();
        let request = Request {
            doing: "inserting into ClickHouse",
            object: &label,
            query_id: Some(token),
            body,
            settings: &[],
            insert: true,
        };
        let started = Instant::now();
        match self.client.send(request).await {
            Ok(_) => {}
            Err(Fault::Data(text)) => {
                return Err(Bisect { client: &self.client, table, partition, prepared }.blame(text).await);
            }
            Err(fault) => return Err(fault.into()),
        }
        self.meters.insert_seconds.record(started.elapsed().as_secs_f64());
        self.meters.rows.increment(rows as u64);
        self.meters.bytes.increment(bytes as u64);
        self.meters.batches.increment(1);
        self.meters.defaulted.increment(prepared.defaulted as u64);
        Ok(())
    }

    /// Runs the deletes of a batch, each to its end on the replica that we talk to: the others follow by themselves,
    /// and one that is down must not stop us.
    async fn delete(&mut self, table: &Table, token: &str, statements: &[String]) -> Result<()> {
        if self.off.delete {
            return Ok(());
        }
        let label = table.label();
        for (number, sql) in statements.iter().enumerate() {
            let query_id = format!("{token}/delete/{number}");
            let session = self.session.name(&self.client).await?;
            let mut settings = DELETE_SETTINGS.to_vec();
            if let Some(session) = &session {
                settings.extend([("session_id", session.as_str()), ("session_check", "1")]);
            }
            let request = Request {
                doing: "deleting rows in ClickHouse",
                object: &label,
                query_id: Some(&query_id),
                settings: &settings,
                body: sql.clone().into(),
                insert: true,
            };
            match self.client.send(request).await {
                Ok(_) => self.session.succeeded(),
                Err(fault) => {
                    if matches!(fault, Fault::NoSession(_)) {
                        self.session.not_known();
                    }
                    return Err(fault.into());
                }
            }
            self.meters.deletes.increment(1);
        }
        Ok(())
    }
}

#[async_trait]
impl SinkTask for ClickHouseTask {
    fn batch_policy(&self) -> BatchPolicy {
        self.config.batch
    }

    async fn open(
        &mut self,
        partitions: &[SinkPartition],
        generation: Generation,
    ) -> Result<Vec<(TopicPartition, Offset)>> {
        self.generation = generation;
        self.tables.clear();
        self.written.clear();
        self.ping().await?;
        self.session.end_previous(&self.client).await?;
        for partition in partitions {
            let topic = &partition.partition.topic;
            if self.tables.contains_key(topic) {
                continue;
            }
            if let Some(table) = self.find_table(topic).await? {
                self.adopt(topic, table).await?;
            }
        }
        // The tables hold rows, not offsets: the frozen range and its token make a repetition harmless.
        Ok(Vec::new())
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        let (partition, last) = (batch.partition.partition.clone(), batch.last);
        self.deleted = false;
        if !batch.is_empty()
            && let Some(table) = self.table_for(&batch).await?
        {
            let table = self.evolved(table, &batch).await?;
            self.deleted = self.write_rows(&table, batch).await?;
        }
        self.written.insert(partition, Offset(last.0 + 1));
        Ok(())
    }

    /// A delete that comes again after the next range would take away rows of that range, whose insert would then be
    /// deduplicated.
    fn commit_before_next(&self) -> bool {
        self.deleted && !self.off.early_commit
    }

    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        Ok(self.written.drain().collect())
    }

    async fn close(&mut self) {
        self.tables.clear();
    }
}
