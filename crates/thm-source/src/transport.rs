//! The replication session: CopyBoth with the server, behind a trait so that the client can be exchanged.
//!
//! ```text
//!   connect ──▶ gated ──create_slot──▶ gated (exports a snapshot until the next command)
//!                 └──────start─────────▶ streaming ──recv──▶ Begin · Change* · Commit · KeepAlive
//!                                            ▲
//!                                            └── acknowledge(lsn): the next status update carries it
//! ```
//!
//! The client under it speaks protocol version 1 and bounds its queue by count; both are the next transport's to better.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use pgwire_replication::{Lsn as WireLsn, ReplicationClient, ReplicationConfig, ReplicationEvent};
use thm_api::{Error, ErrorKind, Hosts, Lsn, Result};
use thm_codec::debezium::PG_EPOCH_MICROS;

use crate::failure::from_replication;
use crate::options::Options;
use crate::session::identifier;

/// Events the client may queue: enough to keep it reading while we encode, small beside the budget at usual row sizes.
const DEFAULT_QUEUED_EVENTS: usize = 1024;
/// How long a start may take: the server may still be decoding for the session before.
const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a close waits for what the server still sends.
const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// All that was committed before it is in the snapshot, all after it in the stream.
    pub consistent_point: Lsn,
    /// The exported snapshot; valid until the next command of this session.
    pub snapshot: Option<String>,
}

/// What the server sends.
#[derive(Clone, Debug)]
pub enum Event {
    /// A transaction begins.
    Begin {
        /// Its id.
        xid: u32,
        /// Its commit time, microseconds since 1970.
        commit_us: i64,
    },
    /// Any message inside it.
    Change {
        /// Where its WAL record starts.
        lsn: u64,
        /// pgoutput's bytes.
        data: Bytes,
    },
    /// It ends.
    Commit {
        /// End of its commit record.
        end: Lsn,
    },
    /// The server has sent everything up to here.
    KeepAlive {
        /// Up to where.
        wal_end: Lsn,
    },
}

/// A replication session.
#[async_trait]
pub trait ReplicationTransport: Send {
    /// Makes a slot, with a snapshot exported if wanted. Only before [`Self::start`].
    async fn create_slot(&mut self, export_snapshot: bool) -> Result<CreatedSlot>;
    /// Starts streaming from where the slot stands. `Ok`: the slot is ours. Cancel-safe.
    async fn start(&mut self) -> Result<()>;
    /// The next event, in the order sent. Cancel-safe.
    async fn recv(&mut self) -> Result<Event>;
    /// The next event if it is there already.
    fn try_recv(&mut self) -> Result<Option<Event>>;
    /// Everything up to `lsn` is durable; the server hears it with the next status update. Never goes back.
    fn acknowledge(&self, lsn: Lsn);
    /// How far the server's WAL is, as it last said.
    fn wal_end(&self) -> Lsn;
    /// Ends the session.
    async fn close(&mut self);
}

/// [`ReplicationTransport`] over `pgwire-replication`.
pub struct PgwireTransport {
    client: ReplicationClient,
    slot: String,
    started: bool,
}

impl PgwireTransport {
    /// Connects, waits at the gate.
    pub async fn connect(options: &Options, hosts: &Hosts) -> Result<Self> {
        let (host, port) = hosts.resolve(&options.host, options.port);
        let mut config = ReplicationConfig::new(
            host,
            options.user.clone(),
            options.password.expose(),
            options.database.clone(),
            // The client puts the name into its command as it is.
            identifier(&options.slot),
            options.publication.clone(),
        )
        .with_application_name("thm source")
        .with_options("-c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0");
        config.port = port;
        config.binary = true;
        config.status_interval = options.status_interval;
        config.buffer_events = DEFAULT_QUEUED_EVENTS;
        let client = ReplicationClient::connect_gated(config)
            .await
            .map_err(|error| from_replication(error, "connecting for replication", &options.slot))?;
        Ok(Self { client, slot: options.slot.clone(), started: false })
    }

    fn event(&self, received: pgwire_replication::Result<Option<ReplicationEvent>>) -> Result<Option<Event>> {
        let event = received.map_err(|error| from_replication(error, "reading the replication stream", &self.slot))?;
        let Some(event) = event else {
            let doing = "reading the replication stream";
            return Err(Error::new(ErrorKind::SourceUnreachable, doing, &self.slot).with_source("the server ended it"));
        };
        Ok(match event {
            ReplicationEvent::Begin { xid, commit_time_micros, .. } => {
                Some(Event::Begin { xid, commit_us: commit_time_micros.wrapping_add(PG_EPOCH_MICROS) })
            }
            ReplicationEvent::XLogData { wal_start, data, .. } => Some(Event::Change { lsn: wal_start.as_u64(), data }),
            ReplicationEvent::Commit { end_lsn, .. } => Some(Event::Commit { end: Lsn(end_lsn.as_u64()) }),
            ReplicationEvent::KeepAlive { wal_end, .. } => Some(Event::KeepAlive { wal_end: Lsn(wal_end.as_u64()) }),
            ReplicationEvent::Message { .. } | ReplicationEvent::StoppedAt { .. } => None,
        })
    }
}

#[async_trait]
impl ReplicationTransport for PgwireTransport {
    async fn create_slot(&mut self, export_snapshot: bool) -> Result<CreatedSlot> {
        let export = if export_snapshot { "EXPORT_SNAPSHOT" } else { "NOEXPORT_SNAPSHOT" };
        let sql = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput {export}", identifier(&self.slot));
        let doing = "creating the slot";
        let rows = self.client.simple_query(&sql).await.map_err(|error| from_replication(error, doing, &self.slot))?;
        let row = rows.first();
        let text = |column: usize| {
            let value = row.and_then(|row| row.get(column)).and_then(Option::as_ref);
            value.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let point = text(1).and_then(|text| text.parse().ok());
        let consistent_point = point.ok_or_else(|| Error::new(ErrorKind::SourceDecode, doing, &self.slot))?;
        Ok(CreatedSlot { consistent_point, snapshot: text(2).filter(|_| export_snapshot) })
    }

    async fn start(&mut self) -> Result<()> {
        let doing = "starting replication";
        let (client, begun) = (&mut self.client, &mut self.started);
        let started = async {
            // A dropped start is taken up where it was: the command goes out once.
            if !std::mem::replace(begun, true) {
                client.start().await?;
            }
            client.wait_started().await
        };
        match tokio::time::timeout(DEFAULT_START_TIMEOUT, started).await {
            Ok(started) => started.map_err(|error| from_replication(error, doing, &self.slot)),
            Err(late) => Err(Error::new(ErrorKind::SourceUnreachable, doing, &self.slot).with_source(late)),
        }
    }

    async fn recv(&mut self) -> Result<Event> {
        loop {
            let received = self.client.recv().await;
            if let Some(event) = self.event(received)? {
                return Ok(event);
            }
        }
    }

    fn try_recv(&mut self) -> Result<Option<Event>> {
        loop {
            // Unconstrained: the runtime's fairness budget must not look like an empty queue.
            let Some(received) = tokio::task::unconstrained(self.client.recv()).now_or_never() else { return Ok(None) };
            if let Some(event) = self.event(received)? {
                return Ok(Some(event));
            }
        }
    }

    fn acknowledge(&self, lsn: Lsn) {
        self.client.update_applied_lsn(WireLsn::from_u64(lsn.0));
    }

    fn wal_end(&self) -> Lsn {
        Lsn(self.client.metrics().last_wal_end().as_u64())
    }

    async fn close(&mut self) {
        // Before its start the client hears no stop: it waits at its gate.
        if self.started {
            match tokio::time::timeout(DEFAULT_CLOSE_TIMEOUT, self.client.shutdown()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::debug!(%error, slot = self.slot, "replication session ended with an error"),
                Err(_late) => tracing::debug!(slot = self.slot, "replication session does not end"),
            }
        }
        self.client.abort();
    }
}
