//! What PostgreSQL or the connection to it reports, as an error kind: the one place that reads SQLSTATEs.

use std::io;

use thm_api::{Error, ErrorKind};

use crate::transport::WireError;
use crate::transport::frame::ServerError;

/// The kind behind an SQLSTATE that the server sent.
fn kind_of_state(state: &str) -> ErrorKind {
    match state {
        // Password, no such role or database, no entry in pg_hba.conf, no right.
        "28P01" | "28000" | "3D000" | "42501" => ErrorKind::SourceDenied,
        // The slot is in use.
        "55006" => ErrorKind::SlotInUse,
        // Not in the state that the command needs: wal_level, or a slot whose WAL is gone.
        "55000" => ErrorKind::SourceNotLogical,
        // WAL file missing.
        "58P01" => ErrorKind::SlotUnsafe,
        // No such object, relation, column.
        "42704" | "42P01" | "42703" => ErrorKind::CaptureMismatch,
        // All slots or senders taken.
        "53400" => ErrorKind::SourceNotLogical,
        // Too many connections, shutting down, starting up, terminated, and all of class 08: may pass.
        _ => ErrorKind::SourceUnreachable,
    }
}

/// An error of a SQL session.
#[must_use]
pub fn from_sql(error: tokio_postgres::Error, doing: &'static str, object: impl Into<String>) -> Error {
    let kind = error.code().map_or(ErrorKind::SourceUnreachable, |state| kind_of_state(state.code()));
    if thm_tls::is_refusal(&error) {
        return tls_refused(doing, object).with_source(error);
    }
    with_sql_hint(Error::new(kind, doing, object), kind, error.as_db_error().map(|db| db.message())).with_source(error)
}

/// Neither side takes the other as it is: the next attempt would fail as well.
fn tls_refused(doing: &'static str, object: impl Into<String>) -> Error {
    Error::new(ErrorKind::SourceDenied, doing, object).with_hint(
        "Correct database.sslmode, or database.sslrootcert, which must vouch for the server's certificate; a server that \
         asks for a certificate wants database.sslcert and database.sslkey.",
    )
}

/// An error of the replication session.
#[must_use]
pub fn from_replication(error: WireError, doing: &'static str, object: impl Into<String>) -> Error {
    let (kind, message) = match &error {
        WireError::Io(io) if thm_tls::is_refusal(io) => return tls_refused(doing, object).with_source(error),
        WireError::Server(server) => (kind_of_error(server), Some(server.message.as_str())),
        WireError::Denied(_) => (ErrorKind::SourceDenied, None),
        WireError::Frame(_) => (ErrorKind::SourceDecode, None),
        // Somebody who does not know the request for TLS.
        WireError::Io(error) if error.kind() == io::ErrorKind::InvalidData => (ErrorKind::SourceDecode, None),
        WireError::Io(_) | WireError::Ended | WireError::Late(_) => (ErrorKind::SourceUnreachable, None),
    };
    with_sql_hint(Error::new(kind, doing, object), kind, message).with_source(error)
}

/// WAL that the slot needs may be gone under a state that says less.
fn kind_of_error(error: &ServerError) -> ErrorKind {
    let message = &error.message;
    let lost = message.contains("requested WAL segment") || message.contains("can no longer get changes");
    if lost { ErrorKind::SlotUnsafe } else { kind_of_state(&error.code) }
}

fn with_sql_hint(error: Error, kind: ErrorKind, message: Option<&str>) -> Error {
    let message = message.unwrap_or_default();
    // Up to release 15 "must be superuser or replication role …", from 16 on "permission denied to start WAL sender".
    let replication = message.contains("replication") || message.contains("WAL sender");
    if kind == ErrorKind::SourceDenied && replication {
        return error.with_hint("Give the user the right: ALTER ROLE … REPLICATION.");
    }
    if kind == ErrorKind::SourceDenied && message.contains("database") && message.contains("does not exist") {
        return error.with_hint("Create the database, or correct database.dbname.");
    }
    if kind == ErrorKind::SourceNotLogical && message.contains("all replication") {
        return error.with_hint("Raise max_replication_slots and max_wal_senders, or drop slots that nobody uses.");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_decides_unless_wal_is_gone() {
        let kind = |code: &str, message: &str| {
            let server = ServerError { code: code.to_owned(), message: message.to_owned(), ..ServerError::default() };
            from_replication(WireError::Server(server), "starting replication", "slot").kind()
        };
        assert_eq!(kind("55006", "replication slot \"s\" is active for PID 9"), ErrorKind::SlotInUse);
        assert_eq!(kind("28P01", "password authentication failed"), ErrorKind::SourceDenied);
        assert_eq!(kind("57P01", "shutting down"), ErrorKind::SourceUnreachable);
        assert_eq!(kind("55000", "can no longer get changes from replication slot \"s\""), ErrorKind::SlotUnsafe);
    }
}
