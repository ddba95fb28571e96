//! What PostgreSQL or the connection to it reports, as an error kind: the one place that reads SQLSTATEs.

use pgwire_replication::PgWireError;
use thm_api::{Error, ErrorKind};

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
    with_sql_hint(Error::new(kind, doing, object), kind, error.as_db_error().map(|db| db.message())).with_source(error)
}

/// An error of the replication session.
#[must_use]
pub fn from_replication(error: PgWireError, doing: &'static str, object: impl Into<String>) -> Error {
    let kind = match &error {
        PgWireError::Server(message) => kind_of_message(message),
        PgWireError::Auth(_) => ErrorKind::SourceDenied,
        PgWireError::Protocol(_) | PgWireError::MessageTooLarge { .. } => ErrorKind::SourceDecode,
        PgWireError::Tls(_) => ErrorKind::SourceDenied,
        _ => ErrorKind::SourceUnreachable,
    };
    let message = error.to_string();
    with_sql_hint(Error::new(kind, doing, object), kind, Some(&message)).with_source(error)
}

/// The transport keeps the SQLSTATE only inside its message: `... (SQLSTATE 55006)`.
fn kind_of_message(message: &str) -> ErrorKind {
    let state = message.rsplit_once("SQLSTATE ").and_then(|(_, rest)| rest.get(..5)).unwrap_or_default();
    let lost = message.contains("requested WAL segment") || message.contains("can no longer get changes");
    if lost { ErrorKind::SlotUnsafe } else { kind_of_state(state) }
}

fn with_sql_hint(error: Error, kind: ErrorKind, message: Option<&str>) -> Error {
    let message = message.unwrap_or_default();
    if kind == ErrorKind::SourceDenied && message.contains("replication") {
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
    fn the_state_inside_a_message_decides() {
        let kind =
            |text: &str| from_replication(PgWireError::Server(text.to_owned()), "starting replication", "slot").kind();
        assert_eq!(kind("ERROR: replication slot \"s\" is active for PID 9 (SQLSTATE 55006)"), ErrorKind::SlotInUse);
        assert_eq!(kind("FATAL: password authentication failed (SQLSTATE 28P01)"), ErrorKind::SourceDenied);
        assert_eq!(kind("FATAL: shutting down (SQLSTATE 57P01)"), ErrorKind::SourceUnreachable);
        let lost = "ERROR: can no longer get changes from replication slot \"s\" (SQLSTATE 55000)";
        assert_eq!(kind(lost), ErrorKind::SlotUnsafe);
    }
}
