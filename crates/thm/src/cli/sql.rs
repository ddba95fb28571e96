//! `thm sql`: a Flink SQL file checked, explained or tried; the shell is in `sql_shell.rs`.
//!
//! Nothing is written anywhere: queries run on copies of what the topics hold now, in memory.
//!
//! ```text
//!   topics over the Kafka protocol ──copy──▶ log in memory ──▶ the job as it is, its rows collected ──▶ table
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use thm_api::{
    Append, Complete, Completeness, ErrorKind, ExitCode, Log, LogBatch, Lsn, MemoryBudget, Offset, Position,
    StateStore, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use thm_log::{FileStateStore, MemoryLog};
use thm_sql::parser::parse_script;
use thm_sql::planner::bounded::{self, NoTables};
use thm_sql::planner::{Outcome, Selection, Session};
use thm_sql::{CompileContext, JobManager, JobManagerOptions, JobPlan, JobState, SqlDiagnostic};

use super::output::{Output, line, note};
use super::run::SqlFailure;
use super::sql_table::Shown;
use crate::config::Config;
use crate::kafka_client::{KafkaClient, records_from};

/// Most records that are copied of a partition: a shell looks, it does not replay.
const DEFAULT_COPY_RECORDS: usize = 100_000;
/// Longest a query of a shell may run.
const DEFAULT_QUERY_TIME: Duration = Duration::from_secs(60);

/// How rows are shown: `table`, `changelog` or `tableau`.
const RESULT_MODE: &str = "sql-client.execution.result-mode";

/// Try Flink SQL.
#[derive(Args)]
pub struct SqlArgs {
    /// A file of statements; without one, a shell.
    file: Option<PathBuf>,
    /// Check the file as `thm run` does, and exit.
    #[arg(long, conflicts_with_all = ["explain", "dry_run"], requires = "file")]
    check: bool,
    /// Show the plans of its jobs.
    #[arg(long, conflicts_with = "dry_run", requires = "file")]
    explain: bool,
    /// Show the first rows that its jobs would write, from what the topics hold now.
    #[arg(long, value_name = "N", requires = "file")]
    dry_run: Option<usize>,
    /// How rows are printed; `json` is one object a line.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Configuration of the project: where its engine is, and, while none answers, which tables its connectors capture.
    /// Without it thm.toml, if there is one here.
    #[arg(long, short, env = "THM_CONFIG")]
    config: Option<PathBuf>,
    /// Kafka address of the engine, for queries that read topics; 127.0.0.1:9092 unless the configuration says another port.
    #[arg(long, short, env = "THM_BOOTSTRAP")]
    bootstrap: Option<String>,
    /// Connect REST API of the engine: its sources say which tables are captured; http://127.0.0.1:8083 likewise.
    #[arg(long, env = "THM_CONNECT")]
    connect: Option<String>,
}

/// How queries are answered.
pub(super) struct Asking {
    bootstrap: String,
    json: bool,
    /// Set to end the query that runs: what it has given so far is its answer.
    pub cancelled: AtomicBool,
}

/// Where the configuration is, unless an option says so.
const DEFAULT_CONFIG: &str = "thm.toml";

/// What statements are compiled against, and how that is known.
struct Known {
    context: CompileContext,
    from: String,
    bootstrap: String,
}

impl SqlArgs {
    /// By the engine that runs; else by the project's connectors; else nothing is known.
    async fn known(&self) -> Result<Known> {
        let path = self.config.clone().or_else(|| Some(DEFAULT_CONFIG.into()).filter(|path: &PathBuf| path.exists()));
        let config = path.as_deref().map(Config::load).transpose()?;
        let server = config.as_ref().map(|config| config.server.clone()).unwrap_or_default();
        let local = |port: u16| format!("127.0.0.1:{port}");
        let connect = self.connect.clone().unwrap_or_else(|| format!("http://{}", local(server.connect_port)));
        let port = server.kafka.first().map_or(9092, |listener| listener.port);
        let bootstrap = self.bootstrap.clone().unwrap_or_else(|| local(port));
        let (context, from) = match (crate::captures::of_engine(&connect).await, config.zip(path)) {
            (Some(context), _) => (context, format!("by the sources of the engine at {connect}")),
            (None, Some((config, path))) => {
                let context = crate::captures::of_files(&config);
                (context, format!("by the connectors of {} (no engine answers at {connect})", path.display()))
            }
            (None, None) => (
                CompileContext::default(),
                format!("not known, no engine answers at {connect}, and there is no {DEFAULT_CONFIG} here"),
            ),
        };
        Ok(Known { context, from, bootstrap })
    }
}

/// Runs the subcommand.
pub async fn run(args: SqlArgs) -> Result<ExitCode> {
    let Known { context, from, bootstrap } = args.known().await?;
    let asking = Asking { bootstrap, json: args.output == Output::Json, cancelled: AtomicBool::new(false) };
    let Some(file) = &args.file else { return super::sql_shell::run(context, &asking).await };
    let text = crate::config::read_text(file)
        .with_context(|| format!("reading {}: name an existing UTF-8 file, or none for a shell", file.display()))?;
    let name = file.display().to_string();
    if !args.check && !args.explain && args.dry_run.is_none() {
        let mut session = Session::new(context);
        return statements(&mut session, &name, &text, &asking).await;
    }
    let script = thm_sql::compile(&name, &text, &context).map_err(SqlFailure)?;
    script.notices.iter().for_each(|notice| note(&format!("note: {notice}")));
    if script.jobs.iter().any(|job| job.lookups().next().is_some()) {
        note(&format!("note: which tables are captured: {from}"));
        if context.sources.is_empty() {
            note(
                "note: without a source, a look-up is taken to be captured by the one of its stream, if that is Debezium's",
            );
        }
    }
    if args.check {
        line(&format!("{} jobs are in order", script.jobs.len()));
    }
    for job in script.jobs {
        if args.check {
            lookups(&job);
        }
        if args.explain {
            line(job.explain().trim_end());
        }
        if let Some(rows) = args.dry_run {
            if !asking.json {
                line(&format!("{}:", job.name));
            }
            preview(job, rows, &asking).await?;
        }
    }
    Ok(ExitCode::Ok)
}

/// Where the rows of a job's look-ups come from.
fn lookups(job: &JobPlan) {
    for (table, topic) in job.lookups() {
        line(&match topic {
            Some(topic) => format!("{}: look-up {table} is fed by the WAL, through {topic}", job.name),
            None => format!("{}: look-up {table} asks its database: no source captures that table", job.name),
        });
    }
}

/// The rows that a job would write.
async fn preview(job: JobPlan, rows: usize, asking: &Asking) -> Result<()> {
    tell_of_offsets(&job);
    let (job, collected, columns) = job.preview();
    let log = copied(&job, &asking.bootstrap).await?;
    finish(&log, job, asking).await?;
    let mut shown = Shown::new(columns, true).in_json(asking.json);
    collected.take().iter().for_each(|part| shown.add(&part.kinds, &part.columns));
    shown.truncate(rows);
    print(&shown);
    Ok(())
}

/// Statements of a file or of a shell's input, one after the other; ends at the first error.
pub(super) async fn statements(session: &mut Session, name: &str, text: &str, asking: &Asking) -> Result<ExitCode> {
    let source = Arc::new(text.to_owned());
    let wrong = |error: SqlDiagnostic| SqlFailure(error.in_text(name, &source));
    for parsed in parse_script(text).map_err(wrong)? {
        let outcome = session.execute(&parsed, Some((name, &source))).map_err(wrong)?;
        session.take_notices().iter().for_each(|notice| note(&format!("note: {notice}")));
        match outcome {
            Outcome::Done if asking.json => {}
            Outcome::Done => line("[INFO] Execute statement succeeded."),
            Outcome::Table(table) => print(&Shown::of_table(&table, asking.json)),
            Outcome::Select(selection) => {
                select(session, &selection, asking).await.map_err(|error| match error.downcast::<SqlDiagnostic>() {
                    Ok(error) => anyhow::Error::from(wrong(error)),
                    Err(error) => error,
                })?
            }
            Outcome::Jobs(jobs) => {
                for job in jobs {
                    note(&format!("note: {} is planned, not run; `thm job submit FILE` runs it", job.name));
                }
            }
        }
    }
    Ok(ExitCode::Ok)
}

/// Says what a query on copies leaves aside.
fn tell_of_offsets(job: &JobPlan) {
    if job.has_offsets() {
        note("note: here all of the topics is read, whatever offsets the table's options give; a job goes by them");
    }
}

/// Prints rows, if there is anything to print.
fn print(shown: &Shown) {
    let text = shown.text();
    if !text.is_empty() {
        line(&text);
    }
}

async fn select(session: &Session, selection: &Selection, asking: &Asking) -> Result<()> {
    let set = |key: &str, value: &str| session.option(key).is_some_and(|set| set.eq_ignore_ascii_case(value));
    let tableau = set(RESULT_MODE, "tableau") && !set("execution.runtime-mode", "batch");
    let mut shown = Shown::new(selection.schema(), tableau || set(RESULT_MODE, "changelog"));
    shown = if tableau { shown.of_a_stream() } else { shown }.in_json(asking.json);
    match selection.job("thm sql", session.context()) {
        Ok((job, _)) => {
            tell_of_offsets(&job);
            let (job, collected, _) = job.preview();
            let log = copied(&job, &asking.bootstrap).await?;
            finish(&log, job, asking).await?;
            collected.take().iter().for_each(|part| shown.add(&part.kinds, &part.columns));
        }
        // What keeps state runs over constants alone so far.
        Err(stateful) => match bounded::run(selection, &NoTables) {
            Ok(answer) => shown.add(&answer.kinds, &answer.columns),
            Err(bounded::BoundedError::Plan(_)) => return Err(stateful.into()),
            Err(error) => return Err(error.into()),
        },
    }
    print(&shown);
    Ok(())
}

/// A log in memory with what the topics of a job hold now.
async fn copied(job: &JobPlan, bootstrap: &str) -> Result<Arc<MemoryLog>> {
    let log = Arc::new(MemoryLog::new());
    let mut ends = std::collections::BTreeMap::new();
    let mut topics: Vec<String> = job.source_topics().into_iter().map(str::to_owned).collect();
    if topics.is_empty() && !job.has_patterns() {
        return Ok(log);
    }
    let mut client = KafkaClient::connect(bootstrap).await?;
    if job.has_patterns() {
        topics.extend(client.topics(None).await?.into_iter().map(|topic| topic.name).filter(|name| job.finds(name)));
    }
    for topic in topics.iter().map(String::as_str) {
        let known = client.topics(Some(topic)).await?;
        let partitions = u32::try_from(known.first().map_or(1, |topic| topic.partitions).max(1))?;
        log.create_topic(&TopicSpec { partitions, ..TopicSpec::new(topic) }).await?;
        let mut of_topic = Vec::new();
        for partition in 0..partitions {
            of_topic.push(Some(Offset(copy(&mut client, &log, topic, partition).await?)));
        }
        ends.insert(topic.to_owned(), of_topic);
    }
    // Look-up tables are whole: nothing more will come.
    let position = Position::end_of(Lsn(u64::MAX));
    log.publish("copy", Arc::new(Complete { position, ends }));
    Ok(log)
}

/// Copies the records of a partition; gives its end.
async fn copy(client: &mut KafkaClient, log: &MemoryLog, topic: &str, partition: u32) -> Result<i64> {
    let number = i32::try_from(partition)?;
    let (mut next, end) = client.range(topic, number).await?;
    let (mut copied, mut last) = (0_i64, 0_usize);
    while next < end && last < DEFAULT_COPY_RECORDS {
        let found = records_from(client.fetch(topic, number, next, Duration::ZERO).await?, next)?;
        let Some(newest) = found.last() else { break };
        next = newest.offset + 1;
        last += found.len();
        let mut writer = BatchWriter::new();
        for consumed in &found {
            let record = &consumed.record;
            let mut headers = HeaderBlock::default();
            for (name, value) in record.headers.iter() {
                headers.push(&String::from_utf8_lossy(&name), value.as_deref());
            }
            writer.push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        let records = u32::try_from(found.len())?;
        let batch = LogBatch { bytes: writer.finish(), records, positions: Arc::new([]), decoded: None };
        let append = Append { batch: Some(batch), progress: None };
        let appended = log.append(&TopicPartition::new(topic, partition), append).await?;
        copied = appended.base_offset.0 + i64::from(records);
        appended.durable.await?;
    }
    Ok(copied)
}

/// Runs a job to its end.
async fn finish(log: &Arc<MemoryLog>, job: JobPlan, asking: &Asking) -> Result<()> {
    let folder = Scratch(std::env::temp_dir().join(format!("thm-sql-{}", std::process::id())));
    let state: Arc<dyn StateStore> = Arc::new(FileStateStore::open(&folder.0)?);
    let manager = JobManager::new(JobManagerOptions {
        log: Arc::clone(log) as Arc<dyn Log>,
        completeness: Arc::clone(log) as Arc<dyn Completeness>,
        state,
        handle: tokio::runtime::Handle::current(),
        budget: MemoryBudget::new(64 << 20),
        groups: None,
        hosts: thm_api::Hosts::default(),
    });
    wait(&manager, job, &asking.cancelled).await
}

/// A folder that is removed also when its query is cancelled.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn wait(manager: &JobManager, job: JobPlan, cancelled: &AtomicBool) -> Result<()> {
    let id = manager.submit(job)?;
    let begun = Instant::now();
    while let Some(status) = manager.job(&id) {
        match status.state {
            JobState::Finished => break,
            JobState::Failed => {
                let error = thm_api::Error::new(ErrorKind::Evaluation, "answering a query", "thm sql");
                let error = error.with_source(status.exception.unwrap_or_default());
                return Err(error.with_hint(status.hint.unwrap_or_default()).into());
            }
            _ if cancelled.load(Ordering::Relaxed) => {
                manager.cancel(&id)?;
                note("Query has been cancelled; these are the rows so far.");
                break;
            }
            _ if begun.elapsed() > DEFAULT_QUERY_TIME => {
                manager.cancel(&id)?;
                note("note: stopped after 60 s; these are the rows so far");
                break;
            }
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    Ok(())
}
