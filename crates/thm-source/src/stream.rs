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
//! Invariants: a batch ends between changes; `complete` is said only when nothing is open or being given; rows at or
//! below their own partition's progress at the start are dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use thm_api::{Error, ErrorKind, Hosts, Lsn, Op, Position, Result, SourceBatch};
use thm_codec::debezium::{Change, EventTime, SnapshotMarker};
use tokio::time::Instant;

use crate::catalog::{self, TableName};
use crate::encoder::{Encoder, RowChange, RowOrigin};
use crate::options::Options;
use crate::pgoutput::{Message, Relation};
use crate::session::Session;
use crate::table::{Table, TableFacts};
use crate::transaction::TransactionBuffer;
use crate::transport::{Event, ReplicationTransport};

/// A batch is cut at this size: large enough to make appends cheap, small enough to keep latency and memory low.
pub const DEFAULT_POLL_BYTES: usize = 1 << 20;

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
    origin: Option<(String, u64)>,
}

/// Streams changes.
pub struct Stream {
    transport: Box<dyn ReplicationTransport>,
    options: Arc<Options>,
    hosts: Arc<Hosts>,
    /// For the catalog; connected when a relation is first seen and again if it was lost.
    session: Option<Session>,
    phase: Phase,
    buffer: TransactionBuffer,
    rows: Rows,
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
    /// Commits count for `source.sequence` from that of the first row given on.
    any_given: bool,
    /// Commit end of the last row given: acknowledging up to there needs no state of ours.
    last_row: Lsn,
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
            any_given: last_commit.is_some(),
            last_commit,
        };
        Self {
            transport,
            options,
            hosts,
            session: Some(session),
            phase: Phase::Idle,
            buffer,
            rows,
            given: Lsn(0),
            said: Lsn(0),
        }
    }

    /// The session under it.
    pub fn transport(&mut self) -> &mut dyn ReplicationTransport {
        &mut *self.transport
    }

    /// Commit end of the last row given, or durable at the start.
    #[must_use]
    pub fn last_row(&self) -> Lsn {
        self.rows.last_row
    }

    /// Commit time of the last transaction met, for metrics: microseconds since 1970.
    #[must_use]
    pub fn last_commit_us(&self) -> i64 {
        self.rows.transaction.commit_us
    }

    /// The next changes. Cancel-safe: every await either takes nothing or has kept what it took.
    pub async fn poll(&mut self, encoder: &mut Encoder, deadline: Instant) -> Result<SourceBatch> {
        loop {
            if self.phase == Phase::Giving && !self.give(encoder).await? {
                // The batch is full in the middle of a transaction: it says nothing of completeness.
                return Ok(SourceBatch { appends: encoder.cut()?, ..SourceBatch::default() });
            }
            if self.phase == Phase::Idle && encoder.bytes() >= DEFAULT_POLL_BYTES {
                return self.batch(encoder);
            }
            if let Some(event) = self.transport.next()? {
                take(event, &mut self.phase, &mut self.buffer, &mut self.rows, &mut self.given)?;
                continue;
            }
            let ready = encoder.bytes() > 0 || self.given > self.said;
            if ready && self.phase == Phase::Idle {
                return self.batch(encoder);
            }
            match tokio::time::timeout_at(deadline, self.transport.fill()).await {
                Ok(filled) => filled?,
                Err(_late) => return Ok(SourceBatch::default()),
            }
        }
    }

    fn batch(&mut self, encoder: &mut Encoder) -> Result<SourceBatch> {
        self.said = self.given;
        let complete = (self.given > Lsn(0)).then(|| Position::end_of(self.given));
        Ok(SourceBatch { appends: encoder.cut()?, complete, incomplete: Vec::new() })
    }

    /// Encodes held messages until all are given (true) or the batch is full (false).
    async fn give(&mut self, encoder: &mut Encoder) -> Result<bool> {
        while let Some((lsn, bytes)) = self.buffer.peek()? {
            if encoder.bytes() >= DEFAULT_POLL_BYTES {
                return Ok(false);
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
                    rows.give(relation, RowChange::Update(old, new), lsn, encoder)?;
                }
                Message::Delete { relation, old: (image, old) } => {
                    rows.give(relation, RowChange::Delete(image, old), lsn, encoder)?;
                }
                Message::Origin { lsn, name } => rows.transaction.origin = Some((name.to_owned(), lsn)),
                Message::Relation(relation) => self.meet(relation, encoder).await?,
                _ => {}
            }
            self.buffer.advance();
        }
        let end = self.rows.transaction.end;
        if self.rows.any_given {
            self.rows.last_commit = Some(end);
        }
        self.given = self.given.max(end);
        self.phase = Phase::Idle;
        Ok(true)
    }

    /// A table as the rows after this message have it.
    async fn meet(&mut self, relation: Relation, encoder: &mut Encoder) -> Result<()> {
        let oid = relation.oid;
        if !self.options.filter.includes(&relation.schema, &relation.name) {
            self.rows.tables.insert(oid, None);
            return Ok(());
        }
        let topic = self.options.topic(&relation.schema, &relation.name);
        let durable = self.rows.durable.get(&topic).copied().unwrap_or_default();
        if encoder.table(oid).is_none_or(|table| table.relation != relation) {
            let facts = self.facts(&relation).await?;
            tracing::info!(table = %format_args!("{}.{}", relation.schema, relation.name), "table in the stream");
            encoder.set_table(Arc::new(Table::new(relation, &facts, &self.options)?))?;
        }
        self.rows.tables.insert(oid, Some(durable));
        Ok(())
    }

    /// What the catalog says now. The table may be gone by now: then its key is what identifies its rows.
    async fn facts(&mut self, relation: &Relation) -> Result<TableFacts> {
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::connect(&self.options, &self.hosts).await?,
        };
        let session = self.session.insert(session);
        let name = TableName { schema: relation.schema.clone(), name: relation.name.clone(), oid: relation.oid };
        let known = catalog::table(session, &name).await?.map(|(_, facts)| facts);
        Ok(known.unwrap_or_else(|| {
            let identity = relation.columns.iter().filter(|column| column.identity && relation.identity != b'f');
            TableFacts { key: identity.map(|column| column.name.clone()).collect(), columns: Vec::new() }
        }))
    }
}

/// Follows the protocol by one event.
fn take(
    event: Event<'_>,
    phase: &mut Phase,
    buffer: &mut TransactionBuffer,
    rows: &mut Rows,
    given: &mut Lsn,
) -> Result<()> {
    match (event, *phase) {
        (Event::Change { lsn, data }, Phase::Open) => buffer.push(lsn, data)?,
        (Event::Begin { xid, commit_us }, Phase::Idle) => {
            rows.transaction = Transaction { xid, commit_us, ..Transaction::default() };
            buffer.clear();
            *phase = Phase::Open;
        }
        // Outside a transaction only logical messages come, which are of no use here.
        (Event::Change { .. }, Phase::Idle) => {}
        (Event::Commit { end }, Phase::Open) => {
            rows.transaction.end = end;
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

impl Rows {
    fn give(&mut self, relation: u32, change: RowChange<'_>, lsn: Lsn, encoder: &mut Encoder) -> Result<()> {
        self.transaction.ordinal += 1;
        let transaction = &self.transaction;
        let Some(table) = self.tables.get(&relation) else {
            let object = format!("relation {relation} at {lsn}");
            return Err(Error::new(ErrorKind::SourceDecode, "finding a row's table", object));
        };
        let position = Position::new(transaction.end, transaction.ordinal);
        if table.is_none_or(|durable| position <= durable) {
            return Ok(());
        }
        let source = Change {
            commit_us: transaction.commit_us,
            snapshot: SnapshotMarker::False,
            last_commit: self.last_commit.map(|lsn| lsn.0),
            lsn: lsn.0,
            tx_id: transaction.xid.into(),
            origin: transaction.origin.as_ref().map(|(name, lsn)| (name.as_str(), *lsn)),
        };
        if encoder.push(relation, change, &RowOrigin { position, change: source, now: now() })? {
            self.last_row = transaction.end;
            self.any_given = true;
        }
        Ok(())
    }
}
