//! `Position`: where a change stands among all changes of a database; `Progress`: how far a producer is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Lsn;

/// Place of one row change in commit order.
///
/// The LSN is that of the transaction's commit **end**; the ordinal counts the raw row messages of the
/// transaction from 1, before any filter or transform. LSNs of rows are no substitute: they are not in
/// commit order and rows may share one. Snapshot rows stand at (consistent point, 0), before every
/// streamed row.
///
/// Printed as `16/B374D848:3`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// End of the transaction's commit record.
    pub commit_end: Lsn,
    /// Which row message of the transaction; 0 for rows of a snapshot.
    pub ordinal: u64,
}

impl Position {
    /// A streamed row: the `ordinal`-th row message (from 1) of the transaction that ends at `commit_end`.
    #[must_use]
    pub const fn new(commit_end: Lsn, ordinal: u64) -> Self {
        Self { commit_end, ordinal }
    }

    /// A row of the snapshot taken at `consistent_point`.
    #[must_use]
    pub const fn snapshot(consistent_point: Lsn) -> Self {
        Self::new(consistent_point, 0)
    }

    /// The last place that a transaction ending at `commit_end` can reach: everything of it is ≤ this.
    #[must_use]
    pub const fn end_of(commit_end: Lsn) -> Self {
        Self::new(commit_end, u64::MAX)
    }

    /// Whether it is a row of a snapshot.
    #[must_use]
    pub const fn is_snapshot(self) -> bool {
        self.ordinal == 0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.commit_end, self.ordinal)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `<lsn>:<ordinal>`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a position such as 16/B374D848:3")]
pub struct ParsePositionError(String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let (lsn, ordinal) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self::new(lsn.parse().map_err(|_| bad())?, ordinal.parse().map_err(|_| bad())?))
    }
}

/// How far a producer has got in one partition: everything up to and including this place of its own
/// input is in the log, or was filtered out.
///
/// The source writes `input` 0 and `offset` 0. A SQL job reads several partitions merged by position; rows
/// of a snapshot share a position, so the job adds the rank of the input partition and the record's offset,
/// which together are the merge order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// Position of the last change dealt with.
    pub position: Position,
    /// Rank of the input partition in the merge.
    pub input: u32,
    /// Offset in that partition.
    pub offset: i64,
}

impl Progress {
    /// Progress of a source, which has one input: the database.
    #[must_use]
    pub const fn at(position: Position) -> Self {
        Self { position, input: 0, offset: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_stands_before_the_stream() {
        let point = Lsn(100);
        assert!(Position::snapshot(point) < Position::new(point, 1));
        assert!(Position::new(point, 7) < Position::end_of(point));
        assert!(Position::end_of(point) < Position::snapshot(Lsn(101)));
    }

    #[test]
    fn text_round_trip() {
        let position = Position::new(Lsn(0x16_B374_D848), 3);
        assert_eq!(position.to_string(), "16/B374D848:3");
        assert_eq!("16/B374D848:3".parse::<Position>().ok(), Some(position));
        assert!("16/B374D848".parse::<Position>().is_err());
    }
}
