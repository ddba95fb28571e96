//! One error type, one table from kind to code, policy and exit status.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::{Offset, TopicPartition};

/// Result with the workspace's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the runtime does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Try again with growing pauses: the cause may pass by itself.
    Retry,
    /// Stop the task (FAILED in REST) until an operator acts; the hint says how.
    Stop,
    /// The named records go to the dead letter queue, or stop the task, per `errors.tolerance`.
    DeadLetter,
}

/// Status with which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All is well.
    Ok = 0,
    /// A verification found a difference.
    VerificationFailed = 1,
    /// Wrong usage, configuration or SQL.
    Usage = 2,
    /// A service cannot be reached.
    Unreachable = 3,
    /// Going on could lose or duplicate data.
    DataSafety = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $policy:ident, $exit:ident, $hint:literal;)*) => {
        /// What kind of thing went wrong. The only place that says code, policy, exit status and general advice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, for the test that each has its page under `docs/errors/`.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];
            /// Stable code, `THM-<area>-<number>`.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$kind => $code,)* } }
            /// What the runtime does.
            #[must_use]
            pub const fn policy(self) -> Policy { match self { $(Self::$kind => Policy::$policy,)* } }
            /// Status when it ends the process.
            #[must_use]
            pub const fn exit_code(self) -> ExitCode { match self { $(Self::$kind => ExitCode::$exit,)* } }
            /// What to do, in general; an error may carry a better one.
            #[must_use]
            pub const fn hint(self) -> &'static str { match self { $(Self::$kind => $hint,)* } }
        }
    };
}

kinds! {
    /// PostgreSQL does not answer, or the connection broke.
    SourceUnreachable = "THM-SRC-001", Retry, Unreachable, "Check that PostgreSQL runs and that host and port are right.";
    /// PostgreSQL refuses the user, or the user lacks a right.
    SourceDenied = "THM-SRC-002", Stop, Usage, "Check user and password, and give the user REPLICATION and SELECT on the captured tables.";
    /// `wal_level`, slots or senders are not set up for logical replication.
    SourceNotLogical = "THM-SRC-003", Stop, Usage, "Set wal_level = logical and restart PostgreSQL.";
    /// The slot is used by somebody else just now.
    SlotInUse = "THM-SRC-004", Retry, Unreachable, "Stop the other reader of the slot, or choose another slot.name.";
    /// A publication or table is missing, or is not what the connector wants.
    CaptureMismatch = "THM-SRC-005", Stop, Usage, "Compare table.include.list with the publication and the tables that exist.";
    /// Slot, server and our durable state do not belong together; going on would lose changes.
    SlotUnsafe = "THM-SRC-006", Stop, DataSafety, "Set the source connector's option thm.start (or start once with thm run --resnapshot or --from-slot): resnapshot takes everything anew, from-slot goes on from what the slot still has.";
    /// A message or value from PostgreSQL cannot be decoded.
    SourceDecode = "THM-SRC-007", Stop, DataSafety, "Report the table and column named here; nothing was skipped.";
    /// An update left a large value out, and it cannot be found any more.
    ValueUnknown = "THM-SRC-008", Stop, DataSafety, "Set thm.start=resnapshot to take everything anew, or let such rows pass with thm.toast.miss=current (the present value) or placeholder.";
    /// A captured table was truncated, and that is not to pass.
    TableTruncated = "THM-SRC-009", Stop, DataSafety, "Set thm.truncate.mode: delete tells the sinks to remove the rows, skip leaves them there.";
    /// The disk or file system fails; the log stops rather than lie about durability.
    LogIo = "THM-LOG-001", Stop, DataSafety, "Free space or repair the disk, then start again; nothing acknowledged is lost.";
    /// Stored bytes are not what was written.
    LogCorrupt = "THM-LOG-002", Stop, DataSafety, "Keep the data folder for analysis; start with a fresh one and thm.start=resnapshot in the source connector.";
    /// A topic or partition does not exist.
    TopicMissing = "THM-LOG-003", Stop, DataSafety, "Create the topic, or start what produces it.";
    /// A topic exists with other settings, or its name is not valid.
    TopicMismatch = "THM-LOG-004", Stop, Usage, "Delete the topic or ask for its settings.";
    /// The offset is not in the log (any more).
    OffsetOutOfRange = "THM-LOG-005", Stop, DataSafety, "Reset the consumer group to an offset that is still there; the lost range is named.";
    /// A record or batch breaks a limit or the topic's rules.
    InvalidRecord = "THM-LOG-006", DeadLetter, Usage, "Fix the producer; nothing of this batch was stored.";
    /// Somebody uses an older generation of a group, or the group has members.
    StaleGeneration = "THM-LOG-007", Stop, DataSafety, "Stop the group's members first, then reset it.";
    /// The data folder is locked or of another version.
    DataFolder = "THM-CFG-002", Stop, DataSafety, "Stop the other process that uses this data folder, or choose another.";
    /// A SQL text is wrong or asks for what we lack.
    InvalidSql = "THM-SQL-001", Stop, Usage, "Correct the statement at the place shown.";
    /// A job could not evaluate or read a record.
    Evaluation = "THM-SQL-002", DeadLetter, DataSafety, "Correct the record or the expression named here.";
    /// The database that a look-up asks does not answer.
    LookupUnreachable = "THM-SQL-003", Retry, Unreachable, "Check that the database of the look-up runs; the job goes on by itself when it does.";
    /// The database that a look-up asks refuses the login, the table or the query.
    LookupRefused = "THM-SQL-004", Stop, Usage, "Compare url, username, password, table-name and columns of the jdbc table with the database.";
    /// A sink's target does not answer, answers too slowly, or is overloaded.
    SinkUnreachable = "THM-SNK-001", Retry, Unreachable, "Check that the target runs; delivery goes on by itself when it does.";
    /// A sink's target refuses our credentials or rights.
    SinkDenied = "THM-SNK-002", Stop, Usage, "Correct the credentials in the connector's configuration and restart its task.";
    /// The target's table, key or answer is not what the connector needs.
    SinkMismatch = "THM-SNK-003", Stop, Usage, "Create or alter the target as the message says, then restart the task.";
    /// The target or a check refuses single records.
    RecordRejected = "THM-SNK-004", DeadLetter, DataSafety, "Correct the record or the target, then restart the task; with errors.tolerance=all such records go to the dead letter queue instead.";
    /// A transform cannot work on a record.
    TransformFailed = "THM-SMT-001", DeadLetter, DataSafety, "Correct the transform's options, or give it a predicate so that it leaves such records alone; with errors.tolerance=all they go to the dead letter queue.";
    /// An option, a file or a request is not valid.
    InvalidConfig = "THM-CFG-001", Stop, Usage, "Correct the option named here.";
    /// A service of the local stack did not start, or a port is taken.
    LocalService = "THM-DEV-001", Stop, Unreachable, "See the service's log with `thm dev logs SERVICE`.";
    /// Something that should be impossible.
    Internal = "THM-INT-001", Stop, DataSafety, "Please report this with the log around it.";
}

/// A record that was refused for itself, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Where it stands.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Why, naming field and value.
    pub reason: String,
}

/// Kind, what we were doing, the object's name, and what lies below.
///
/// Prints as `THM-SRC-001 connecting to PostgreSQL: localhost:5432/thm: connection refused`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    doing: Cow<'static, str>,
    object: String,
    hint: Option<String>,
    rejected: Vec<RejectedRecord>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `doing` is a lowercase phrase ("connecting to PostgreSQL"), `object` the thing's own name.
    #[must_use]
    pub fn new(kind: ErrorKind, doing: impl Into<Cow<'static, str>>, object: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            doing: doing.into(),
            object: object.into(),
            hint: None,
            rejected: Vec::new(),
            source: None,
        }))
    }

    /// With what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With advice for exactly this case, one or more sentences.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With another name of the object, where more of it is known than where it failed.
    #[must_use]
    pub fn with_object(mut self, object: impl Into<String>) -> Self {
        self.0.object = object.into();
        self
    }

    /// With the records it is about.
    #[must_use]
    pub fn with_rejected(mut self, rejected: Vec<RejectedRecord>) -> Self {
        self.0.rejected = rejected;
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.kind.hint())
    }

    /// The object's name.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.0.object
    }

    /// Records refused for themselves; the rest of their batch was not written either.
    #[must_use]
    pub fn rejected(&self) -> &[RejectedRecord] {
        &self.0.rejected
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, doing, object, source, .. } = &*self.0;
        write!(f, "{} {doing}: {object}", kind.code())?;
        let mut below = source.as_deref().map(|error| error as &dyn StdError);
        while let Some(error) = below {
            write!(f, ": {error}")?;
            // Errors of our own print what lies below themselves.
            below = if error.is::<Self>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn prints_code_doing_object_and_causes_once() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let below = Error::new(ErrorKind::SourceUnreachable, "connecting to PostgreSQL", "db:5432").with_source(io);
        let above = Error::new(ErrorKind::Internal, "starting", "task").with_source(below);
        assert_eq!(
            above.to_string(),
            "THM-INT-001 starting: task: THM-SRC-001 connecting to PostgreSQL: db:5432: connection refused"
        );
    }
}
