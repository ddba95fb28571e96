//! What can go wrong on a replication session, as typed data.

use super::frame::{FrameError, ServerError};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The network.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Bytes that are not the protocol's.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The server says so.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Neither side may go on: a method of authentication that we lack, or a server that does not know the password.
    #[error("{0}")]
    Denied(String),
    /// The server ended the connection, or the stream.
    #[error("the server ended the connection")]
    Ended,
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(std::time::Duration),
}
