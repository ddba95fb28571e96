//! A SQL session for `COPY … TO STDOUT`: chunks as they lie in the bytes of a read.
//!
//! ```text
//!   connect ──▶ command ──▶ copy ──▶ part, part, … ──none left──▶ fill ──▶ part, …, End ──▶ copy
//! ```
//!
//! Why not the session of the catalog's queries: its library hands each row over by itself, from a task of its own. Here a
//! read brings some hundred rows, and none of them is moved. Memory: the read buffer, as in the stream.

use thm_api::{Error, Hosts, Result};

use super::client;
use super::connection::Connection;
use super::frame::{DEFAULT_MAX_BODY_BYTES, FrameError, ServerError};
use super::handshake;
use super::wire_error::WireError;
use crate::failure::from_replication;
use crate::options::Options;

/// A session that copies one thing after the other. Dropping it ends it.
pub struct CopySession {
    connection: Connection,
}

/// What a copy consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPart<'a> {
    /// Some bytes; of PostgreSQL itself a row, with the header in front of the first and the trailer by itself.
    Chunk(&'a [u8]),
    /// That was all; the session takes the next command.
    End,
}

impl CopySession {
    /// Connects and logs in.
    pub async fn connect(options: &Options, hosts: &Hosts) -> Result<Self> {
        let mut connection = client::connect(options, hosts, false, "connecting to PostgreSQL").await?;
        for statement in &options.initial_statements {
            let done = handshake::command(&mut connection, statement).await;
            done.map_err(|error| from_replication(error, "running database.initial.statements", statement))?;
        }
        Ok(Self { connection })
    }

    /// Runs a command that gives no rows. `object` is what an error names.
    pub async fn command(&mut self, sql: &str, object: &str) -> Result<()> {
        let done = handshake::command(&mut self.connection, sql).await;
        done.map(drop).map_err(|error| from_replication(error, "opening the snapshot", object))
    }

    /// Begins a copy. Not cancel-safe.
    pub async fn copy(&mut self, sql: &str, object: &str) -> Result<()> {
        let begun = async {
            handshake::send_command(&mut self.connection, sql).await?;
            match handshake::message(&mut self.connection).await?.tag {
                b'H' => Ok(()),
                tag => Err(FrameError::Unexpected(tag).into()),
            }
        };
        begun.await.map_err(|error| failed(error, object))
    }

    /// The next part that is there already. A chunk stays until the next [`Self::fill`].
    #[inline]
    pub fn part(&mut self, object: &str) -> Result<Option<CopyPart<'_>>> {
        let found = loop {
            let frame = self.connection.frame(DEFAULT_MAX_BODY_BYTES).map_err(|error| failed(error, object))?;
            let Some(frame) = frame else { return Ok(None) };
            match frame.tag {
                b'd' => break frame.body,
                b'Z' => return Ok(Some(CopyPart::End)),
                b'E' => {
                    let error = ServerError::parse(self.connection.body(frame.body));
                    return Err(failed(error.into(), object));
                }
                // CopyDone and the command's end; notices, parameters, notifications.
                b'c' | b'C' | b'N' | b'S' | b'A' => {}
                tag => return Err(failed(FrameError::Unexpected(tag).into(), object)),
            }
        };
        Ok(Some(CopyPart::Chunk(self.connection.body(found))))
    }

    /// Waits for more than [`Self::part`] has given. Cancel-safe.
    pub async fn fill(&mut self, object: &str) -> Result<()> {
        self.connection.fill_at_once().await.map_err(|error| failed(error, object))
    }
}

fn failed(error: WireError, object: &str) -> Error {
    from_replication(error, "copying a table", object)
}
