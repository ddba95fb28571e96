//! The replication session: CopyBoth with the server, behind a trait so that the client can be exchanged.
//!
//! ```text
//!   connect ──▶ gated ──create_slot──▶ gated (exports a snapshot until the next command)
//!                 └──────start─────────▶ streaming ──fill──▶ next, next, … ──none left──▶ fill
//!                                            ▲
//!                                            └── acknowledge(lsn): the next status update carries it
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`client`] | the session: commands, stream, end |
//! | [`copy_session`] | a SQL session beside it, for the snapshot's `COPY` |
//! | [`handshake`] | startup and authentication |
//! | [`connection`], [`read_buffer`], [`pace`] | reads of many messages at once, waits in between |
//! | [`frame`] | the protocol's bytes, pure |
//! | [`channel`], [`reporter`] | the socket; statuses that go out on time |

pub mod channel;
pub mod client;
pub mod connection;
pub mod copy_session;
pub mod frame;
pub mod handshake;
pub mod pace;
pub mod read_buffer;
pub mod reporter;
pub mod wire_error;

use async_trait::async_trait;
use thm_api::{Lsn, Result};

pub use client::ReplicationClient;
pub use copy_session::{CopyPart, CopySession};
pub use wire_error::WireError;

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// All that was committed before it is in the snapshot, all after it in the stream.
    pub consistent_point: Lsn,
    /// The exported snapshot; valid until the next command of this session.
    pub snapshot: Option<String>,
}

/// What the server sends. Bytes lie in the session's buffer until the next [`ReplicationTransport::fill`].
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
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
        data: &'a [u8],
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

impl Event<'_> {
    /// What it is, without the row values it may hold.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Change { .. } => "change",
            Self::Commit { .. } => "commit",
            Self::KeepAlive { .. } => "keepalive",
        }
    }
}

/// A replication session.
#[async_trait]
pub trait ReplicationTransport: Send {
    /// Makes a slot, with a snapshot exported if wanted. Only before [`Self::start`].
    async fn create_slot(&mut self, export_snapshot: bool) -> Result<CreatedSlot>;
    /// Starts streaming from where the slot stands. `Ok`: the slot is ours, and the server hears of us on time from
    /// now on, whether we read or not. Cancel-safe.
    async fn start(&mut self) -> Result<()>;
    /// Waits for more than [`Self::next`] has given. `Ok` does not promise a whole event. Cancel-safe.
    async fn fill(&mut self) -> Result<()>;
    /// The next event that is there already, in the order sent.
    fn next(&mut self) -> Result<Option<Event<'_>>>;
    /// More is sure to come within a millisecond or so: worth waiting for before a batch is cut.
    fn is_flooded(&self) -> bool;
    /// Everything up to `lsn` is durable; the server hears it with the next status update. Never goes back.
    fn acknowledge(&self, lsn: Lsn);
    /// How far the server's WAL is, as it last said.
    fn wal_end(&self) -> Lsn;
    /// Tells the last acknowledgement and ends the session, within a bounded time. True: the server has taken note.
    async fn close(&mut self) -> bool;
}
