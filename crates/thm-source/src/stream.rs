//! Streaming: events of the replication session to batches of whole changes.
//!
//! ```text
//!             Begin          Change*          Commit(end)
//!   idle ──────────▶ open ───────────▶ open ────────────▶ giving ──all given──▶ idle
//!    │ KeepAlive(wal_end): nothing is pending, so everything up to wal_end has been given
//! ```
//!
//! Why a keepalive may be believed: the server sends transactions in commit order, and its `wal_end` is the place up to
//! which it has decoded and sent. Received while no transaction is open and none is being given, it means that no row
//! up to there is outstanding; a commit at or before it would have come first. So an idle database, or one whose other
//! tables are busy, does not keep its WAL for us.
//!
//! Invariants: a batch ends between changes; `complete` is the place of the last change given, inside a transaction too
//! (of a flood, every batch ends inside one, and whoever waits for completeness would fall behind); the slot is told of
//! whole transactions only; rows at or below their own partition's progress at the start are dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thm_api::{Error, ErrorKind, Hosts, Lsn, Op, Position, Result, SourceBatch, Superseded, Supersession};
use thm_codec::debezium::{Change, EventTime, SnapshotMarker};
use tokio::time::Instant;

use crate::catalog_session::{Answer, CatalogSession};
use crate::encoder::{Encoder, RowChange, RowOrigin};
use crate::notes::{Note, NoteWriter, message_collection};
use crate::options::{Options, TruncateMode};
use crate::pgoutput::{Message, OldImage, Relation, Tuple};
use crate::refused::DeadLetters;
use crate::session::Session;
use crate::signals::Signals;
use crate::table::Table;
use crate::toast::{Found, MissPolicy, read_current, stays};
use crate::transaction::TransactionBuffer;
use crate::transport::{Event, ReplicationTransport};

mod heed;

/// A batch is cut at this size: large enough to make appends cheap, small enough to keep latency and memory low.
pub const DEFAULT_POLL_BYTES: usize = 1 << 20;

/// In a flood a batch is cut at this size: what every batch costs on its way counts no more beside its rows.
const DEFAULT_FLOOD_BYTES: usize = 256 << 10;
/// How long rows that could be given wait for the flood's next read: one rest of its reader, and some delay.
const DEFAULT_GATHER: Duration = Duration::from_millis(3);

/// Nanoseconds since 1970.
#[must_use]
pub fn now() -> EventTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
}

/// Where the stream stands in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Open,
    Giving,
}

/// The transaction that is open or being given.
#[derive(Debug, Default)]
struct Transaction {
    xid: u32,
    commit_us: i64,
    end: Lsn,
    /// Row messages so far, of captured tables or not.
    ordinal: u64,
    /// Commit end of the last row given before it.
    row_before: Lsn,
    origin: Option<(String, u64)>,
    /// Whether all its changes so far, captured or not, are of operations that are left out; `None` without a change.
    left_out: Option<bool>,
}

/// Streams changes.
pub struct Stream {
    transport: Box<dyn ReplicationTransport>,
    options: Arc<Options>,
    catalog: CatalogSession,
    phase: Phase,
    /// What a TRUNCATE that was just met makes untrue: it goes out with the rows before it.
    superseded: Vec<Superseded>,
    buffer: TransactionBuffer,
    rows: Rows,
    notes: NoteWriter,
    /// Logical messages outside transactions that came and are not given yet.
    outside: VecDeque<(Lsn, Vec<u8>)>,
    /// The transaction being given has been told of.
    begun: bool,
    /// What stopped the stream: it is told after the changes before it were given.
    failed: Option<Error>,
    /// Everything up to here has been given; what was last said of it.
    given: Lsn,
    said: Lsn,
}

/// The way of one row message to the encoder.
struct Rows {
    transaction: Transaction,
    /// By relation: captured tables with what was durable of them at the start; `None` for those that are not
    /// captured, though the publication has them.
    tables: HashMap<u32, Option<Position>>,
    /// By topic: rows at or below were durable at the start.
    durable: HashMap<String, Position>,
    last_commit: Option<Lsn>,
    /// Commit time of the transaction before, for messages outside one: microseconds since 1970.
    last_commit_us: i64,
    /// Commit end of the last row given: acknowledging up to there needs no state of ours.
    last_row: Lsn,
    /// Commands among the rows.
    signals: Signals,
    /// Where changes go that cannot be decoded.
    dead_letters: Option<DeadLetters>,
    /// When the rows that are being given are made into events: the clock costs as much as a column.
    now: EventTime,
}

impl Stream {
    /// `durable` is each topic's progress at the start; `last_commit` what `source.sequence` begins with.
    #[must_use]
    pub fn new(
        transport: Box<dyn ReplicationTransport>,
        options: Arc<Options>,
        hosts: Arc<Hosts>,
        session: Session,
        memory_bytes: usize,
        durable: HashMap<String, Position>,
        last_commit: Option<Lsn>,
    ) -> Self {
        let buffer = TransactionBuffer::new(options.spool.clone(), memory_bytes);
        let rows = Rows {
            transaction: Transaction::default(),
            tables: HashMap::new(),
            last_row: durable.values().map(|position| position.commit_end).max().unwrap_or_default(),
            durable,
            last_commit,
            last_commit_us: 0,
            signals: Signals::new(&options),
            dead_letters: options.dead_letters.clone(),
            now: EventTime::default(),
        };
        let notes = NoteWriter::new(&options);
        Self {
            transport,
            catalog: CatalogSession::new(Arc::clone(&options), hosts, session),
            options,
            phase: Phase::Idle,
            superseded: Vec::new(),
            buffer,
            rows,
            notes,
            outside: VecDeque::new(),
            begun: false,
            failed: None,
            given: Lsn(0),
            said: Lsn(0),
        }
    }

    /// The session under it.
    pub fn transport(&mut self) -> &mut dyn ReplicationTransport {
        &mut *self.transport
    }

    /// Commit end of the last transaction that was given whole and had a row, or of the last row durable at the start.
    #[must_use]
    pub fn last_row(&self) -> Lsn {
        match self.phase {
            Phase::Giving => self.rows.transaction.row_before,
            Phase::Idle | Phase::Open => self.rows.last_row,
        }
    }

    /// Everything up to here has been given, transactions whole.
    #[must_use]
    pub const fn given(&self) -> Lsn {
        self.given
    }

    /// Commit time of the last transaction met, for metrics: microseconds since 1970.
    #[must_use]
    pub fn last_commit_us(&self) -> i64 {
        self.rows.transaction.commit_us
    }

    /// The next changes. Cancel-safe: every await either takes nothing or has kept what it took.
    pub async fn poll(&mut self, encoder: &mut Encoder, deadline: Instant) -> Result<SourceBatch> {
        loop {
            if self.phase == Phase::Giving && !self.give_sound(encoder).await? {
                // The batch is full in the middle of a transaction, or a TRUNCATE or a failure stands there.
                let superseded = std::mem::take(&mut self.superseded);
                let Transaction { end, ordinal, .. } = self.rows.transaction;
                let whole = ordinal > 0 && superseded.is_empty() && self.failed.is_none();
                let complete = whole.then(|| Position::new(end, ordinal));
                return Ok(SourceBatch { appends: encoder.cut()?, complete, superseded, ..SourceBatch::default() });
            }
            if self.phase == Phase::Idle && encoder.bytes() >= DEFAULT_POLL_BYTES {
                return self.batch(encoder);
            }
            if let Some(event) = self.transport.next()? {
                let held = (&mut self.buffer, &mut self.outside);
                take(event, &mut self.phase, held, &mut self.rows, &mut self.given)?;
                self.give_outside(encoder)?;
                continue;
            }
            let ready = self.phase == Phase::Idle && (encoder.bytes() > 0 || self.given > self.said);
            if ready && !(self.transport.is_flooded() && encoder.bytes() < DEFAULT_FLOOD_BYTES) {
                return self.batch(encoder);
            }
            let until = if ready { deadline.min(Instant::now() + DEFAULT_GATHER) } else { deadline };
            match tokio::time::timeout_at(until, self.transport.fill()).await {
                Ok(filled) => filled?,
                Err(_late) if ready => return self.batch(encoder),
                Err(_late) => return Ok(SourceBatch::default()),
            }
        }
    }

    fn batch(&mut self, encoder: &mut Encoder) -> Result<SourceBatch> {
        self.said = self.given;
        let complete = (self.given > Lsn(0)).then(|| Position::end_of(self.given));
        Ok(SourceBatch { appends: encoder.cut()?, complete, ..SourceBatch::default() })
    }

    /// The same as [`Self::give`]; a failure waits until the changes before it were given (false).
    async fn give_sound(&mut self, encoder: &mut Encoder) -> Result<bool> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.give(encoder).await {
            Err(error) if encoder.bytes() > 0 && encoder.is_whole() => {
                self.failed = Some(error);
                Ok(false)
            }
            given => given,
        }
    }

    /// Encodes held messages until all are given (true) or the batch is full (false).
    async fn give(&mut self, encoder: &mut Encoder) -> Result<bool> {
        self.rows.now = now();
        while let Some((lsn, bytes)) = self.buffer.peek()? {
            if encoder.bytes() >= DEFAULT_POLL_BYTES {
                return Ok(false);
            }
            let (changes, skipped) = (changes(bytes), self.options.skips(bytes));
            if changes {
                let left_out = &mut self.rows.transaction.left_out;
                *left_out = Some(left_out.unwrap_or(true) && skipped);
            }
            // A message that tells of a table has another LSN than the change behind it.
            if !self.begun && self.notes.tells_transactions() && changes && !skipped {
                self.begun = true;
                encoder.begin_transaction();
                let Transaction { xid, commit_us, end, .. } = self.rows.transaction;
                let note = self.notes.begin(xid.into(), lsn.0, commit_us);
                self.rows.note(note, Position::new(end, 0), encoder);
            }
            let message = Message::decode(bytes).map_err(|error| {
                let doing = "reading the replication stream";
                Error::new(ErrorKind::SourceDecode, doing, format!("at {lsn}")).with_source(error)
            })?;
            let rows = &mut self.rows;
            match message {
                Message::Insert { relation, new } => {
                    rows.give(relation, RowChange::Insert(Op::Create, new), lsn, encoder)?;
                }
                Message::Update { relation, old, new } => {
                    if let Some(lacking) = rows.update(relation, (old, new), lsn, encoder)? {
                        // Asked for now, and then the same message comes again.
                        self.look_up(lacking, encoder).await?;
                        continue;
                    }
                }
                Message::Delete { relation, old: (image, old) } => {
                    rows.give(relation, RowChange::Delete(image, old), lsn, encoder)?;
                }
                Message::Truncate { relations } => {
                    self.superseded = rows.truncate(&relations, lsn, encoder, &self.options)?;
                    self.buffer.advance();
                    if self.superseded.is_empty() {
                        continue;
                    }
                    return Ok(false);
                }
                Message::Origin { lsn, name } => rows.transaction.origin = Some((name.to_owned(), lsn)),
                Message::Relation(relation) => self.meet(relation, encoder).await?,
                Message::Logical { prefix, content, .. } => {
                    rows.transaction.ordinal += 1;
                    let position = Position::new(rows.transaction.end, rows.transaction.ordinal);
                    let tells = self.notes.tells_message(prefix);
                    let order = tells.then(|| encoder.count_message(|| message_collection(lsn))).flatten();
                    let source = Change { order, ..rows.source(lsn) };
                    let note = self.notes.message(prefix, content, &source, now());
                    rows.note(note, position, encoder);
                }
                _ => {}
            }
            self.buffer.advance();
        }
        let Transaction { xid, commit_us, end, ordinal, .. } = self.rows.transaction;
        if self.notes.tells_transactions() && self.begun {
            let note = self.notes.end(xid.into(), end.0, commit_us, encoder.end_transaction());
            self.rows.note(note, Position::new(end, ordinal + 1), encoder);
        }
        self.begun = false;
        // A transaction of nothing but operations that are left out is one that the real connector never sees.
        if self.rows.transaction.left_out != Some(true) {
            self.rows.last_commit = Some(end);
        }
        self.given = self.given.max(end);
        self.phase = Phase::Idle;
        Ok(true)
    }

    /// Gives logical messages that belong to no transaction. Each stands behind the start of its own WAL record.
    fn give_outside(&mut self, encoder: &mut Encoder) -> Result<()> {
        while let Some((lsn, bytes)) = self.outside.pop_front() {
            let message = Message::decode(&bytes).map_err(|error| {
                let doing = "reading the replication stream";
                Error::new(ErrorKind::SourceDecode, doing, format!("at {lsn}")).with_source(error)
            })?;
            if let Message::Logical { prefix, content, .. } = message {
                self.rows.last_commit = Some(lsn);
                let source = Change { tx_id: 0, origin: None, ..self.rows.source(lsn) };
                let note = self.notes.message(prefix, content, &source, now());
                self.rows.note(note, Position::new(Lsn(lsn.0.saturating_add(1)), 0), encoder);
            }
        }
        Ok(())
    }

    /// A table as the rows after this message have it.
    async fn meet(&mut self, relation: Relation, encoder: &mut Encoder) -> Result<()> {
        let oid = relation.oid;
        let (met, hydrates) = (relation.clone(), encoder.toast().is_some());
        if !self.options.filter.includes(&relation.schema, &relation.name) {
            self.rows.tables.insert(oid, None);
            return Ok(());
        }
        let topic = self.options.topic(&relation.schema, &relation.name);
        let durable = self.rows.durable.get(&topic).copied().unwrap_or_default();
        let Answer { facts, storage } = self.catalog.ask(&relation, hydrates).await?;
        if encoder.table(oid).is_none_or(|table| table.relation != relation || table.facts != facts) {
            tracing::info!(table = %format_args!("{}.{}", relation.schema, relation.name), "table in the stream");
            encoder.set_table(Arc::new(Table::new(relation, &facts, &self.options)?))?;
        }
        if let Some(toast) = hydrates.then(|| encoder.toast()).flatten() {
            toast.meet(&met, storage.as_ref(), Some(self.rows.transaction.xid))?;
        }
        self.rows.signals.meet(&met);
        self.rows.tables.insert(oid, Some(durable));
        Ok(())
    }

    /// Finds values that an update leaves out and the store lacks: in the database, if what it has now is provably the
    /// row's version; else as the policy says.
    async fn look_up(&mut self, lacking: Lacking, encoder: &mut Encoder) -> Result<()> {
        let Lacking { relation, position, columns } = lacking;
        let (Some(table), Some(toast)) = (encoder.table(relation).cloned(), encoder.toast()) else { return Ok(()) };
        let row = toast.row();
        let tuple = Tuple::parse(&row).unwrap_or_default();
        let found = read_current(self.catalog.session().await?, &table.relation, &tuple, &columns).await?;
        let following = self.buffer.following();
        let proven = found.as_ref().is_some_and(|found| {
            let key = toast.key(relation, &tuple, None);
            let same = key.zip(following).is_some_and(|(key, following)| stays(toast, relation, &key, following));
            found.made_by == self.rows.transaction.xid && same
        });
        let miss = if proven { MissPolicy::Current } else { self.options.toast.miss };
        match (found, miss) {
            (Some(found), MissPolicy::Current) => toast.supply(position, found.values),
            (_, MissPolicy::Placeholder) => toast.give_up(position),
            (found, _) => return Err(unknown_value(&table, &columns, position, found.is_some())),
        }
        toast.give_back(row);
        Ok(())
    }
}

/// Whether a message is a change, or a logical message.
fn changes(message: &[u8]) -> bool {
    matches!(message.first(), Some(b'I' | b'U' | b'D' | b'T' | b'M'))
}

/// Follows the protocol by one event.
fn take(
    event: Event<'_>,
    phase: &mut Phase,
    (buffer, outside): (&mut TransactionBuffer, &mut VecDeque<(Lsn, Vec<u8>)>),
    rows: &mut Rows,
    given: &mut Lsn,
) -> Result<()> {
    match (event, *phase) {
        (Event::Change { lsn, data }, Phase::Open) => buffer.push(lsn, data)?,
        (Event::Begin { xid, commit_us }, Phase::Idle) => {
            rows.last_commit_us = rows.transaction.commit_us;
            rows.transaction = Transaction { xid, commit_us, ..Transaction::default() };
            buffer.clear();
            *phase = Phase::Open;
        }
        // Outside a transaction only logical messages come.
        (Event::Change { lsn, data }, Phase::Idle) => outside.push_back((Lsn(lsn), data.to_vec())),
        (Event::Commit { end }, Phase::Open) => {
            (rows.transaction.end, rows.transaction.row_before) = (end, rows.last_row);
            buffer.finish()?;
            *phase = Phase::Giving;
        }
        (Event::KeepAlive { wal_end }, Phase::Idle) => *given = (*given).max(wal_end),
        (Event::KeepAlive { .. }, _) => {}
        (event, phase) => {
            let object = format!("{} while {phase:?}", event.name());
            return Err(Error::new(ErrorKind::SourceDecode, "following the replication protocol", object));
        }
    }
    Ok(())
}

/// Values that an update leaves out and nobody here has.
struct Lacking {
    relation: u32,
    position: Position,
    columns: Vec<usize>,
}

/// A placeholder must not pass for a value.
fn unknown_value(table: &Table, columns: &[usize], position: Position, exists: bool) -> Error {
    let names = columns.iter().filter_map(|index| table.columns.get(*index)).map(|column| column.name.as_str());
    let object = format!("{}.{} at {position}", table.full_name(), names.collect::<Vec<_>>().join(", "));
    let reason = match exists {
        true => "an update left the value out; it is not in the TOAST store, and the row has changed since",
        false => "an update left the value out; it is not in the TOAST store, and the row is gone since",
    };
    Error::new(ErrorKind::ValueUnknown, "completing a row", object).with_source(reason)
}

impl Rows {
    /// Where the next row stands, and whether its partition lacks it. `None`: its table is not captured.
    fn place(&self, relation: u32, lsn: Lsn) -> Result<Option<(Position, bool)>> {
        let Some(table) = self.tables.get(&relation) else {
            let object = format!("relation {relation} at {lsn}");
            return Err(Error::new(ErrorKind::SourceDecode, "finding a row's table", object));
        };
        let position = Position::new(self.transaction.end, self.transaction.ordinal + 1);
        Ok(table.map(|durable| (position, position > durable)))
    }

    /// An update, completed first. What it lacks is given back, and then nothing was done.
    fn update(
        &mut self,
        relation: u32,
        (old, new): (Option<(OldImage, Tuple<'_>)>, Tuple<'_>),
        lsn: Lsn,
        encoder: &mut Encoder,
    ) -> Result<Option<Lacking>> {
        let place = self.place(relation, lsn)?;
        let Some(((position, wanted), toast)) = place.zip(encoder.toast()) else {
            return self.give(relation, RowChange::Update(old, new), lsn, encoder).map(|()| None);
        };
        match toast.update(relation, old.as_ref(), &new, position)? {
            Found::Lacking(columns) if wanted => return Ok(Some(Lacking { relation, position, columns })),
            Found::Completed => {
                let row = toast.row();
                let new = Tuple::parse(&row).unwrap_or_default();
                self.give(relation, RowChange::Update(old, new), lsn, encoder)?;
                if let Some(toast) = encoder.toast() {
                    toast.give_back(row);
                }
            }
            Found::Whole | Found::Lacking(_) => self.give(relation, RowChange::Update(old, new), lsn, encoder)?,
        }
        Ok(None)
    }

    /// Each truncated table counts as a row message. Gives what is to be told of those whose rows are to be deleted.
    fn truncate(
        &mut self,
        relations: &[u32],
        lsn: Lsn,
        encoder: &mut Encoder,
        options: &Options,
    ) -> Result<Vec<Superseded>> {
        let mut superseded = Vec::new();
        for relation in relations {
            let place = self.place(*relation, lsn)?;
            self.transaction.ordinal += 1;
            let Some((position, wanted)) = place else { continue };
            if let Some(toast) = encoder.toast() {
                toast.truncate(*relation, position);
            }
            let Some(table) = encoder.table(*relation).filter(|_| wanted).cloned() else { continue };
            match options.truncate {
                TruncateMode::Skip => {
                    let origin = RowOrigin { position, change: self.source(lsn), now: self.now };
                    match encoder.push(*relation, RowChange::Truncate, &origin)? {
                        true => self.last_row = self.transaction.end,
                        false => tracing::warn!(table = table.full_name(), %position, "TRUNCATE is not told of"),
                    }
                }
                TruncateMode::Delete => {
                    let change = self.source(lsn);
                    superseded.push(table.superseded(options, position, Supersession::Truncate, &change));
                }
                TruncateMode::Fail => {
                    let object = format!("{} at {position}", table.full_name());
                    return Err(Error::new(ErrorKind::TableTruncated, "following the stream", object));
                }
            }
        }
        Ok(superseded)
    }

    fn give(&mut self, relation: u32, change: RowChange<'_>, lsn: Lsn, encoder: &mut Encoder) -> Result<()> {
        let place = self.place(relation, lsn)?;
        self.transaction.ordinal += 1;
        let Some((position, wanted)) = place else { return Ok(()) };
        match (&change, encoder.toast()) {
            (RowChange::Insert(_, new), Some(toast)) => toast.insert(relation, new, position)?,
            (RowChange::Delete(_, old), Some(toast)) => toast.delete(relation, old, position)?,
            _ => {}
        }
        if !wanted {
            return Ok(());
        }
        if self.signals.reads(relation) {
            self.heed((relation, &change), lsn, position, encoder)?;
        }
        let origin = RowOrigin { position, change: self.source(lsn), now: self.now };
        match encoder.push(relation, change, &origin) {
            Ok(false) => {}
            Ok(true) => self.last_row = self.transaction.end,
            Err(error) => self.refuse((relation, change), &origin, encoder, error)?,
        }
        Ok(())
    }

    /// A change that cannot be decoded stops the task, unless there is a queue for such.
    #[cold]
    fn refuse(
        &self,
        (relation, change): (u32, RowChange<'_>),
        origin: &RowOrigin<'_>,
        encoder: &mut Encoder,
        error: Error,
    ) -> Result<()> {
        let Some(letters) = &self.dead_letters else {
            encoder.leave_out(relation, &change, origin.position);
            return Err(error);
        };
        let wanted = self.durable.get(letters.topic()).is_none_or(|durable| origin.position > *durable);
        letters.take(encoder, (relation, &change), origin, wanted, error)
    }

    /// What `source` says of a change of the open transaction.
    fn source(&self, lsn: Lsn) -> Change<'_> {
        let transaction = &self.transaction;
        Change {
            commit_us: transaction.commit_us,
            snapshot: SnapshotMarker::False,
            last_commit: self.last_commit.map(|lsn| lsn.0),
            lsn: lsn.0,
            tx_id: transaction.xid.into(),
            order: None,
            origin: transaction.origin.as_ref().map(|(name, lsn)| (name.as_str(), *lsn)),
        }
    }

    /// Gives a note, unless it was durable at the start.
    fn note(&mut self, note: Option<Note<'_>>, position: Position, encoder: &mut Encoder) {
        let Some(note) = note else { return };
        if self.durable.get(&note.topic.name).is_some_and(|durable| position <= *durable) {
            return;
        }
        encoder.push_note(note, position, now());
        self.last_row = self.last_row.max(position.commit_end);
    }
}
