//! [`ReplicationTransport`] over our own client of the streaming replication protocol.
//!
//! Memory: the read buffer, of one read or of one message, whichever is larger. What else the server has sent waits in
//! the socket, so a consumer that stalls stops the server and nothing piles up here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{Error, ErrorKind, Hosts, Lsn, Result};
use thm_codec::debezium::PG_EPOCH_MICROS;
use tokio::time::timeout;

use super::connection::Connection;
use super::frame::{DEFAULT_MAX_BODY_BYTES, FrameError, ServerError, StreamMessage};
use super::handshake::{self, Login};
use super::reporter::{Progress, Reporter};
use super::wire_error::WireError;
use super::{CreatedSlot, Event, ReplicationTransport};
use crate::failure::from_replication;
use crate::options::Options;
use crate::pgoutput::Message;
use crate::session::{SESSION_SETTINGS, identifier, literal};

/// Long enough for a busy server, short enough for a person who waits for an answer.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a start may take: the server may still be decoding for the session before.
const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a close waits for the server to take note of it.
const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// CopyDone, and the end of the session.
const COPY_DONE: &[u8] = b"c\0\0\0\x04";
const TERMINATE: &[u8] = b"X\0\0\0\x04";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes commands.
    Gated,
    /// The command is sent, its answer not there.
    Starting,
    Streaming,
}

/// A replication session.
pub struct ReplicationClient {
    connection: Connection,
    phase: Phase,
    slot: String,
    /// Standbys are to keep the slot in step.
    failover: bool,
    publication: String,
    /// More parameters for the output plugin, none of them ours.
    params: Vec<(String, String)>,
    status_interval: Duration,
    progress: Arc<Progress>,
    reporter: Option<Reporter>,
    /// End of the server's WAL, as it last said.
    wal_end: u64,
}

impl ReplicationClient {
    /// Connects and logs in.
    pub async fn connect(options: &Options, hosts: &Hosts) -> Result<Self> {
        let connection = connect(options, hosts, true, "connecting for replication").await?;
        Ok(Self {
            connection,
            phase: Phase::Gated,
            slot: options.slot.clone(),
            failover: options.failover,
            publication: options.publication.clone(),
            params: options.stream_params.clone(),
            status_interval: options.status_interval,
            progress: Arc::default(),
            reporter: None,
            wal_end: 0,
        })
    }

    /// Has standbys keep a slot in step that was made without that.
    pub async fn keep_for_failover(&mut self) -> Result<()> {
        let sql = format!("ALTER_REPLICATION_SLOT {} (FAILOVER)", identifier(&self.slot));
        let done = handshake::command(&mut self.connection, &sql).await;
        done.map(drop).map_err(|error| self.failed(error, "preparing the slot for a failover"))
    }

    /// Sends the command once, however often the start is taken up again, and waits for the stream to begin.
    async fn begin(&mut self) -> std::result::Result<(), WireError> {
        if self.phase == Phase::Gated {
            let sql = self.start_command();
            // Kept by the channel even if this future is dropped while it waits.
            self.phase = Phase::Starting;
            handshake::send_command(&mut self.connection, &sql).await?;
        }
        match handshake::message(&mut self.connection).await?.tag {
            b'W' => Ok(()),
            tag => Err(FrameError::Unexpected(tag).into()),
        }
    }

    fn start_command(&self) -> String {
        let publication = literal(&identifier(&self.publication));
        let mut params = format!("proto_version '1', publication_names {publication}, messages 'true', binary 'true'");
        for (name, value) in &self.params {
            params.push_str(&format!(", {name} {}", literal(value)));
        }
        format!("START_REPLICATION SLOT {} LOGICAL 0/0 ({params})", identifier(&self.slot))
    }

    /// The next message of the stream, as a place in the read buffer; `None`: none is there.
    fn next_message(&mut self) -> std::result::Result<Option<Place>, WireError> {
        loop {
            let Some(frame) = self.connection.frame(DEFAULT_MAX_BODY_BYTES)? else { return Ok(None) };
            let body = self.connection.body(frame.body.clone());
            match frame.tag {
                b'd' => match StreamMessage::parse(body)? {
                    StreamMessage::XLogData { start, wal_end, data } => {
                        let length = data.len();
                        self.wal_end = self.wal_end.max(wal_end);
                        self.progress.receive(start);
                        let data = frame.body.end - length..frame.body.end;
                        return Ok(Some(Place::Data { lsn: start, data }));
                    }
                    StreamMessage::KeepAlive { wal_end, reply } => {
                        self.wal_end = self.wal_end.max(wal_end);
                        self.progress.receive(wal_end);
                        if reply {
                            self.connection.channel().send_if_free(&self.progress.status().encode())?;
                        }
                        return Ok(Some(Place::KeepAlive { wal_end }));
                    }
                },
                b'E' => return Err(ServerError::parse(body).into()),
                // CopyDone, or at once the end of the command: it shuts down.
                b'c' | b'C' => return Err(WireError::Ended),
                b'N' | b'S' => {}
                tag => return Err(FrameError::Unexpected(tag).into()),
            }
        }
    }

    /// Reads on until the server has ended its side.
    async fn until_ended(&mut self) -> std::result::Result<(), WireError> {
        loop {
            while let Some(frame) = self.connection.frame(DEFAULT_MAX_BODY_BYTES)? {
                match frame.tag {
                    b'c' => return Ok(()),
                    b'E' => return Err(ServerError::parse(self.connection.body(frame.body)).into()),
                    _ => {}
                }
            }
            self.connection.fill().await?;
        }
    }

    fn failed(&self, error: WireError, doing: &'static str) -> Error {
        from_replication(error, doing, &self.slot)
    }
}

/// Connects and logs in.
pub(crate) async fn connect(
    options: &Options,
    hosts: &Hosts,
    replication: bool,
    doing: &'static str,
) -> Result<Connection> {
    let (host, port) = hosts.resolve(&options.host, options.port);
    let login = Login {
        user: &options.user,
        password: options.password.expose(),
        database: &options.database,
        settings: SESSION_SETTINGS,
        replication,
    };
    let tls = options.ssl.open()?;
    let connecting = async {
        let mut connection = Connection::connect(&host, port, &options.host, &tls).await?;
        handshake::log_in(&mut connection, login).await?;
        Ok(connection)
    };
    let connected = timeout(DEFAULT_CONNECT_TIMEOUT, connecting).await;
    let connected = connected.unwrap_or(Err(WireError::Late(DEFAULT_CONNECT_TIMEOUT)));
    connected.map_err(|error| from_replication(error, doing, format!("{host}:{port}/{}", options.database)))
}

/// A message of the stream, and where its bytes lie.
enum Place {
    Data { lsn: u64, data: std::ops::Range<usize> },
    KeepAlive { wal_end: u64 },
}

#[async_trait]
impl ReplicationTransport for ReplicationClient {
    async fn create_slot(&mut self, export_snapshot: bool) -> Result<CreatedSlot> {
        let slot = identifier(&self.slot);
        let sql = match (self.failover, export_snapshot) {
            // Servers before 15 know this form alone.
            (false, true) => format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput EXPORT_SNAPSHOT"),
            (false, false) => format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput NOEXPORT_SNAPSHOT"),
            (true, true) => format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER)"),
            (true, false) => format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput (SNAPSHOT 'nothing', FAILOVER)"),
        };
        let doing = "creating the slot";
        let rows = handshake::command(&mut self.connection, &sql).await.map_err(|error| self.failed(error, doing))?;
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let (_name, point, snapshot) = (row.next(), row.next().flatten(), row.next().flatten());
        let consistent_point = point.and_then(|text| text.parse().ok());
        let consistent_point =
            consistent_point.ok_or_else(|| Error::new(ErrorKind::SourceDecode, doing, &self.slot))?;
        Ok(CreatedSlot { consistent_point, snapshot: snapshot.filter(|_| export_snapshot) })
    }

    async fn start(&mut self) -> Result<()> {
        if self.phase == Phase::Streaming {
            return Ok(());
        }
        let begun = timeout(DEFAULT_START_TIMEOUT, self.begin()).await;
        begun
            .unwrap_or(Err(WireError::Late(DEFAULT_START_TIMEOUT)))
            .map_err(|error| self.failed(error, "starting replication"))?;
        self.phase = Phase::Streaming;
        let (channel, progress) = (Arc::clone(self.connection.channel()), Arc::clone(&self.progress));
        self.reporter = Some(Reporter::start(channel, progress, self.status_interval));
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        let filled = self.connection.fill().await;
        filled.map_err(|error| self.failed(error, READING))
    }

    fn next(&mut self) -> Result<Option<Event<'_>>> {
        let place = self.next_message().map_err(|error| self.failed(error, READING))?;
        let (lsn, data) = match place {
            None => return Ok(None),
            Some(Place::KeepAlive { wal_end }) => return Ok(Some(Event::KeepAlive { wal_end: Lsn(wal_end) })),
            Some(Place::Data { lsn, data }) => (lsn, self.connection.body(data)),
        };
        if !matches!(data.first(), Some(b'B' | b'C')) {
            return Ok(Some(Event::Change { lsn, data }));
        }
        match Message::decode(data) {
            Ok(Message::Begin { commit_us, xid, .. }) => {
                Ok(Some(Event::Begin { xid, commit_us: commit_us.wrapping_add(PG_EPOCH_MICROS) }))
            }
            Ok(Message::Commit { end_lsn, .. }) => Ok(Some(Event::Commit { end: Lsn(end_lsn) })),
            Ok(_) => Ok(Some(Event::Change { lsn, data })),
            Err(error) => Err(Error::new(ErrorKind::SourceDecode, READING, &self.slot).with_source(error)),
        }
    }

    fn is_flooded(&self) -> bool {
        self.connection.is_flooded()
    }

    fn acknowledge(&self, lsn: Lsn) {
        self.progress.acknowledge(lsn.0);
    }

    fn wal_end(&self) -> Lsn {
        Lsn(self.wal_end)
    }

    async fn close(&mut self) -> bool {
        self.reporter = None;
        let channel = Arc::clone(self.connection.channel());
        let told = async {
            if self.phase != Phase::Gated {
                // In order: by the time the server answers the second, it has taken note of the first.
                channel.send(&self.progress.status().encode())?;
                channel.send(COPY_DONE)?;
                self.until_ended().await?;
            }
            Ok::<_, WireError>(())
        };
        let told = timeout(DEFAULT_CLOSE_TIMEOUT, told).await.unwrap_or(Err(WireError::Late(DEFAULT_CLOSE_TIMEOUT)));
        if let Err(error) = &told {
            tracing::debug!(%error, slot = self.slot, "replication session does not end as it should");
        }
        // Good manners; the server notices the closed socket as well.
        channel.send(TERMINATE).ok();
        told.is_ok()
    }
}

const READING: &str = "reading the replication stream";
