//! The snapshot: every row of the captured tables as of the slot's consistent point.
//!
//! ```text
//!   tables in order ──COPY──▶ row ──held until its successor is known──▶ Encoder ──▶ SourceBatch
//!                                    (only then is it known to be a table's last)
//! ```
//!
//! Invariants: all rows stand at `Position::snapshot(consistent point)`; a table leaves `incomplete` only after its
//! last row was given; the very last batch is complete up to `Position::end_of(consistent point)`, which no earlier
//! one is, so that its acknowledgement says "the whole snapshot is durable".

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use metrics::Gauge;
use thm_api::{
    Error, ErrorKind, Hosts, LogBatch, Lsn, Op, Position, Progress, Result, SourceAppend, SourceBatch, Superseded,
    Supersession, TopicSpec,
};
use thm_codec::debezium::{Change, EventTime, SnapshotMarker};
use tokio::time::Instant;

use crate::catalog::{self, TableName};
use crate::copy::{CopyReader, CopyRow, KeptRow};
use crate::encoder::{Encoder, RowChange, RowOrigin};
use crate::failure::from_sql;
use crate::notifications::{Event, Notifier};
use crate::options::Options;
use crate::pgoutput::Relation;
use crate::refused::DeadLetters;
use crate::session::{Session, identifier, literal};
use crate::stream::{DEFAULT_POLL_BYTES, now};
use crate::table::Table;
use crate::toast::{TableStorage, table_storage};
use crate::transport::{CopyPart, CopySession};

/// A running snapshot.
pub struct Snapshot {
    session: Arc<Session>,
    options: Arc<Options>,
    taken: Taken,
    /// Present between tables.
    copying: Option<CopySession>,
    waiting: VecDeque<TableName>,
    /// Tables whose rows may be used before all of them are there: they refer to others, and none refers to them.
    facts: HashSet<u32>,
    /// A table that is being opened, kept so that a dropped poll does not begin its `COPY` twice.
    opening: Option<BoxFuture<'static, Result<Opened>>>,
    current: Option<Box<Current>>,
    /// Topics of tables that had no row: they are created all the same.
    empty: Vec<Arc<TopicSpec>>,
    /// Tables whose rows are all read: what their topics held before is superseded.
    ended: Vec<Arc<Table>>,
    held: Option<Held>,
    tables_opened: usize,
    notifier: Option<Notifier>,
    begun: bool,
    done: bool,
}

/// What a snapshot is read with.
pub struct Sessions {
    catalog: Session,
    copying: CopySession,
}

impl Sessions {
    /// Connects both at once: most of a small snapshot's time is the server's, getting ready for a session.
    pub async fn connect(options: &Options, hosts: &Hosts) -> Result<Self> {
        let (catalog, copying) =
            tokio::try_join!(Session::connect(options, hosts), CopySession::connect(options, hosts))?;
        Ok(Self { catalog, copying })
    }
}

/// When and where the snapshot was taken.
struct Taken {
    consistent_point: Lsn,
    taken_us: i64,
    tx_id: u64,
    /// Where rows go that cannot be decoded.
    dead_letters: Option<DeadLetters>,
}

impl Taken {
    /// Of every row.
    const fn position(&self) -> Position {
        Position::snapshot(self.consistent_point)
    }

    /// What `source` says.
    fn change(&self, snapshot: SnapshotMarker) -> Change<'static> {
        let Self { consistent_point, taken_us, tx_id, .. } = *self;
        Change { commit_us: taken_us, snapshot, lsn: consistent_point.0, tx_id, ..Change::default() }
    }

    /// Gives a row.
    fn give(&self, encoder: &mut Encoder, held: &Held, marker: SnapshotMarker, now: EventTime) -> Result<()> {
        let origin = RowOrigin { position: self.position(), change: self.change(marker), now };
        let (relation, tuple) = (held.table.relation.oid, held.row.tuple());
        if let Some(toast) = encoder.toast() {
            toast.insert(relation, &tuple, origin.position)?;
        }
        let change = RowChange::Insert(Op::Read, tuple);
        match (encoder.push(relation, change, &origin), &self.dead_letters) {
            (Err(error), Some(letters)) => letters.take(encoder, (relation, &change), &origin, true, error),
            (pushed, _) => pushed.map(drop),
        }
    }
}

/// A table whose `COPY` has begun; or none, and the session for the next.
enum Opened {
    Table(Box<Current>),
    Gone(CopySession),
}

struct Current {
    table: Arc<Table>,
    session: CopySession,
    reader: CopyReader,
    rows: u64,
    progress: SnapshotMeters,
    /// How its rows are stored, where large values are kept.
    storage: Option<TableStorage>,
}

/// How far a table is, for those who watch.
struct SnapshotMeters {
    rows: Gauge,
    expected: Gauge,
}

impl SnapshotMeters {
    fn new(topic: &str, expected: Option<u64>) -> Self {
        let of = || topic.to_owned();
        let gauges = Self {
            rows: metrics::gauge!("thm_source_snapshot_rows", "topic" => of()),
            expected: metrics::gauge!("thm_source_snapshot_expected_rows", "topic" => of()),
        };
        gauges.rows.set(0.0);
        gauges.expected.set(expected.unwrap_or_default() as f64);
        gauges
    }

    /// All of them: the estimate is not needed any more.
    fn end(&self, rows: u64) {
        self.rows.set(rows as f64);
        self.expected.set(rows as f64);
    }
}

/// The last row read: whether it is its table's last is not known yet.
struct Held {
    table: Arc<Table>,
    row: KeptRow,
    first_of_table: bool,
    first_table: bool,
}

impl Held {
    fn new(table: &Arc<Table>, row: CopyRow<'_>, first_table: bool) -> Self {
        let mut held = Self { table: Arc::clone(table), row: KeptRow::default(), first_of_table: true, first_table };
        held.row.keep(row);
        held
    }

    /// Holds the next row instead.
    fn replace(&mut self, table: &Arc<Table>, row: CopyRow<'_>, first_of_table: bool, first_table: bool) {
        if first_of_table {
            self.table = Arc::clone(table);
        }
        self.row.keep(row);
        (self.first_of_table, self.first_table) = (first_of_table, first_table);
    }

    /// Where it stands among the rows, now that its successor is known: the first row of the next table, or one of its own.
    const fn marker(&self, last_of_table: bool) -> SnapshotMarker {
        match (self.first_of_table, last_of_table) {
            (true, _) if self.first_table => SnapshotMarker::First,
            (_, true) => SnapshotMarker::LastInDataCollection,
            (true, false) => SnapshotMarker::FirstInDataCollection,
            (false, false) => SnapshotMarker::True,
        }
    }
}

impl Snapshot {
    /// Opens the exported snapshot. From then on the session that exported it may go on.
    pub async fn open(
        sessions: Sessions,
        options: Arc<Options>,
        snapshot: &str,
        consistent_point: Lsn,
        mut tables: Vec<TableName>,
    ) -> Result<Self> {
        let Sessions { catalog: session, mut copying } = sessions;
        let failed = |error| from_sql(error, "opening the snapshot", snapshot.to_owned());
        let row = session.query_one("SELECT txid_current()", &[]).await.map_err(failed)?;
        let tx_id = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        let references = catalog::foreign_keys(&session).await?;
        let begin =
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}", literal(snapshot));
        session.batch_execute(&begin).await.map_err(failed)?;
        copying.command(&begin, snapshot).await?;
        let notifier = Notifier::new(&options, &tables);
        // Commands of the past are neither changes nor to be obeyed.
        tables.retain(|table| !options.signals.is_table(&table.schema, &table.name));
        let among = |oid: &u32| tables.iter().any(|table| table.oid == *oid);
        let referenced: HashSet<u32> = references.iter().filter(|(from, _)| among(from)).map(|(_, to)| *to).collect();
        let facts = references.iter().filter(|(from, to)| among(from) && among(to) && !referenced.contains(from));
        Ok(Self {
            facts: facts.map(|(from, _)| *from).collect(),
            waiting: catalog::snapshot_order(&tables, &references, &options.snapshot_order).into(),
            session: Arc::new(session),
            taken: Taken {
                consistent_point,
                taken_us: now().0.div_euclid(1_000),
                tx_id,
                dead_letters: options.dead_letters.clone(),
            },
            options,
            copying: Some(copying),
            opening: None,
            current: None,
            empty: Vec::new(),
            ended: Vec::new(),
            held: None,
            tables_opened: 0,
            notifier,
            begun: false,
            done: false,
        })
    }

    /// Whether the last batch was given.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// The next rows. Cancel-safe: what was read is kept here and in the encoder.
    pub async fn poll(&mut self, encoder: &mut Encoder, deadline: Instant) -> Result<SourceBatch> {
        if !std::mem::replace(&mut self.begun, true) {
            self.tell(Event::Started, encoder)?;
            self.tell(Event::Resolved, encoder)?;
        }
        while encoder.bytes() < DEFAULT_POLL_BYTES {
            if self.current.is_none() {
                if self.waiting.is_empty() {
                    return self.finish(encoder);
                }
                self.open_next(encoder).await?;
            }
            if self.give_rows(encoder)? {
                continue;
            }
            let Some(current) = &mut self.current else { continue };
            match tokio::time::timeout_at(deadline, current.session.fill(&current.table.full_name)).await {
                Err(_late) => break,
                Ok(filled) => filled?,
            }
        }
        self.batch(encoder, self.taken.position())
    }

    /// Begins the next table. Cancel-safe: one that is being opened is kept.
    async fn open_next(&mut self, encoder: &mut Encoder) -> Result<()> {
        let Some(name) = self.waiting.front() else { return Ok(()) };
        if let Some(copying) = self.copying.take() {
            let (session, options, name) = (Arc::clone(&self.session), Arc::clone(&self.options), name.clone());
            self.opening = Some(Box::pin(open_table(session, copying, options, name)));
        }
        let Some(opening) = &mut self.opening else {
            return Err(Error::new(ErrorKind::Internal, "copying a table", name.to_string()));
        };
        let opened = opening.await;
        self.opening = None;
        self.waiting.pop_front();
        self.tables_opened += 1;
        let current = match opened? {
            Opened::Gone(copying) => {
                self.copying = Some(copying);
                return Ok(());
            }
            Opened::Table(current) => current,
        };
        self.tell(Event::InProgress(&current.table.full_name), encoder)?;
        encoder.set_table(Arc::clone(&current.table))?;
        if let (Some(storage), Some(toast)) = (&current.storage, encoder.toast()) {
            toast.meet(&streamed(&current.table.relation, storage), Some(storage), None)?;
        }
        self.current = Some(current);
        Ok(())
    }

    /// Gives rows until the batch is full or the table ends (true), or more must be read first (false).
    fn give_rows(&mut self, encoder: &mut Encoder) -> Result<bool> {
        let now = now();
        while encoder.bytes() < DEFAULT_POLL_BYTES {
            let Some(current) = &mut self.current else { break };
            let Current { table, session, reader, rows, .. } = &mut **current;
            if let Some(row) = reader.next_row().map_err(|error| decode(table, error))? {
                let first_of_table = *rows == 0;
                *rows += 1;
                let first_table = self.tables_opened == 1;
                let Some(held) = &mut self.held else {
                    self.held = Some(Held::new(table, row, first_table));
                    continue;
                };
                self.taken.give(encoder, held, held.marker(first_of_table), now)?;
                held.replace(table, row, first_of_table, first_table);
                continue;
            }
            match session.part(&table.full_name)? {
                Some(CopyPart::Chunk(chunk)) => reader.push(chunk),
                Some(CopyPart::End) => self.end_table(encoder)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn tell(&mut self, event: Event<'_>, encoder: &mut Encoder) -> Result<()> {
        let (here, now) = (self.taken.position(), now());
        let note = self.notifier.as_mut().and_then(|notifier| notifier.tell(event, now));
        note.map_or(Ok(()), |note| encoder.push_note_in_order(note, here, now))
    }

    fn end_table(&mut self, encoder: &mut Encoder) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let Current { table, session, reader, rows, progress, .. } = *current;
        if !reader.ended() {
            let error = Error::new(ErrorKind::SourceUnreachable, "copying a table", table.full_name());
            return Err(error.with_source("it ended without its trailer"));
        }
        if rows == 0 {
            self.empty.push(Arc::clone(&table.topic));
        }
        progress.end(rows);
        tracing::info!(table = table.full_name, rows, "snapshot of table ends");
        self.tell(Event::TableScanCompleted { table: &table.full_name, rows }, encoder)?;
        self.ended.push(table);
        self.copying = Some(session);
        Ok(())
    }

    /// The whole table has been given, so what its topic held before is no longer true.
    fn supersedes(&self, table: &Table) -> Superseded {
        let change = self.taken.change(SnapshotMarker::True);
        table.superseded(&self.options, self.taken.position(), Supersession::Snapshot, &change)
    }

    fn finish(&mut self, encoder: &mut Encoder) -> Result<SourceBatch> {
        if let Some(held) = self.held.take() {
            self.taken.give(encoder, &held, SnapshotMarker::Last, now())?;
        }
        self.tell(Event::Completed, encoder)?;
        self.done = true;
        self.batch(encoder, Position::end_of(self.taken.consistent_point))
    }

    fn batch(&mut self, encoder: &mut Encoder, complete: Position) -> Result<SourceBatch> {
        let mut incomplete: Vec<String> =
            (self.waiting.iter()).map(|table| self.options.topic(&table.schema, &table.name)).collect();
        let half_done =
            self.current.iter().map(|current| &current.table).chain(self.held.iter().map(|held| &held.table));
        for table in half_done.filter(|table| !self.facts.contains(&table.relation.oid)) {
            if !incomplete.contains(&table.topic.name) {
                incomplete.push(table.topic.name.clone());
            }
        }
        if let Some(current) = &self.current {
            current.progress.rows.set(current.rows as f64);
        }
        let held = self.held.as_ref().map(|held| held.table.relation.oid);
        // A topic of several tables has been superseded when the last of them has ended.
        let unread: Vec<String> =
            self.waiting.iter().map(|table| self.options.topic(&table.schema, &table.name)).collect();
        let unread = |table: &Table| {
            let current = self.current.as_ref().is_some_and(|current| current.table.topic == table.topic);
            current || unread.contains(&table.topic.name)
        };
        let rest = |table: &Arc<Table>| Some(table.relation.oid) == held || unread(table);
        let (waiting, ended) = std::mem::take(&mut self.ended).into_iter().partition(rest);
        self.ended = waiting;
        let mut ended: Vec<Arc<Table>> = ended;
        let mut seen = HashSet::new();
        ended.retain(|table| seen.insert(table.topic.name.clone()));
        let superseded = ended.iter().map(|table| self.supersedes(table)).collect();
        let mut appends = encoder.cut()?;
        let here = self.taken.position();
        appends.extend(self.empty.drain(..).map(|topic| no_records(topic, here)));
        Ok(SourceBatch { appends, complete: Some(complete), incomplete, superseded })
    }
}

/// An append that only makes its topic and moves its progress: whoever reads the topic finds it from the start.
#[must_use]
pub fn no_records(topic: Arc<TopicSpec>, position: Position) -> SourceAppend {
    let batch = LogBatch { bytes: Bytes::new(), records: 0, positions: Arc::new([]), decoded: None };
    SourceAppend { topic, partition: 0, batch, progress: Progress::at(position) }
}

async fn open_table(
    session: Arc<Session>,
    mut copying: CopySession,
    options: Arc<Options>,
    name: TableName,
) -> Result<Opened> {
    let Some((mut relation, facts)) = catalog::table(&session, &name).await? else {
        return Ok(Opened::Gone(copying));
    };
    let filter = narrow(&session, &options, &name, &mut relation).await?;
    let table = Arc::new(Table::new(relation, &facts, &options)?);
    let place = format!("{}.{}", identifier(&name.schema), identifier(&name.name));
    let from = match options.snapshot_queries.get(&name.to_string()) {
        Some(query) => format!("({query}) AS chosen"),
        // The rows of a partitioned table are those of its partitions.
        None if catalog::is_partitioned(&session, name.oid).await? => place,
        None => format!("ONLY {place}"),
    };
    let sql = format!("COPY (SELECT {} FROM {from}{filter}) TO STDOUT (FORMAT binary)", table.select_list());
    let progress = SnapshotMeters::new(&table.topic.name, catalog::expected_rows(&session, &name).await?);
    let storage = match options.toast.hydrate {
        true => table_storage(&session, name.oid).await?,
        false => None,
    };
    copying.copy(&sql, &table.full_name).await?;
    tracing::info!(table = table.full_name, "snapshot of table begins");
    let reader = CopyReader::default();
    Ok(Opened::Table(Box::new(Current { table, session: copying, reader, rows: 0, progress, storage })))
}

/// Takes away what the publication leaves out of the table, if that is wanted, and gives the condition on its rows.
/// Otherwise all of it is taken, as the real connector does, and a line in the log says so.
async fn narrow(session: &Session, options: &Options, name: &TableName, relation: &mut Relation) -> Result<String> {
    let Some(published) = catalog::published(session, &options.publication, name).await? else {
        return Ok(String::new());
    };
    if options.snapshot_published {
        let is_published = |name: &String| published.columns.as_ref().is_none_or(|columns| columns.contains(name));
        relation.columns.retain(|column| is_published(&column.name));
        let overridden = options.snapshot_queries.contains_key(&name.to_string());
        let filter = published.filter.filter(|_| !overridden);
        return Ok(filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default());
    }
    if published.filter.is_some() {
        tracing::warn!(
            table = %name,
            "snapshot takes all rows, though the publication has a row filter: see thm.snapshot.filter"
        );
    }
    Ok(String::new())
}

/// The table as the stream will tell it: with its replica identity.
fn streamed(relation: &Relation, storage: &TableStorage) -> Relation {
    let identifies = |name: &str| storage.columns.iter().any(|column| column.name == name && column.identity);
    let mut relation = relation.clone();
    relation.identity = storage.identity;
    for column in &mut relation.columns {
        column.identity = identifies(&column.name);
    }
    relation
}

fn decode(table: &Table, error: crate::pgoutput::DecodeError) -> Error {
    Error::new(ErrorKind::SourceDecode, "reading a copied row", table.full_name()).with_source(error)
}
