//! A write of the store, on a thread of its own: what it writes stays readable until it is done.

use std::sync::Arc;

use thm_api::{Error, ErrorKind, Position, Result};
use tokio::task::JoinHandle;

use super::{Cell, Store, Version};

/// A write that runs. Dropping it leaves it running.
pub(super) struct Writing {
    thread: JoinHandle<Result<(bool, u64)>>,
    /// What it writes, by cell, one version of each.
    versions: Arc<Vec<Version>>,
    position: Position,
}

impl Writing {
    /// Begins to make everything up to `position` durable; `versions` are in the order of their cells.
    pub(super) fn start(
        store: &Store,
        versions: Vec<Version>,
        truncated: Vec<(u32, Position)>,
        position: Position,
    ) -> Self {
        let versions = Arc::new(versions);
        let (store, written) = (store.clone(), Arc::clone(&versions));
        let thread = tokio::task::spawn_blocking(move || {
            let staged = store.apply(&written, &truncated, applied_by(position))?;
            Ok((staged, store.file_bytes()))
        });
        Self { thread, versions, position }
    }

    /// Up to here everything is durable once it is done.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Waits for it; to be dropped then. Says whether staged versions are left to tidy up, and the bytes of the file.
    pub(super) async fn done(&mut self) -> Result<(bool, u64)> {
        (&mut self.thread).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "writing the TOAST store", "thread").with_source(error))
        })
    }

    /// The version of a cell before `before`.
    pub(super) fn get(&self, cell: &Cell, before: Position) -> Option<(Position, Option<&[u8]>)> {
        let at = self.versions.binary_search_by(|(other, ..)| other.cmp(cell)).ok()?;
        let (_, position, value) = self.versions.get(at)?;
        (*position < before).then_some((*position, value.as_deref()))
    }

    /// Attribute numbers of a row.
    pub(super) fn attributes(&self, relation: u32, key: &[u8]) -> impl Iterator<Item = u16> {
        let of_row = move |cell: &Cell| (cell.relation, &*cell.key).cmp(&(relation, key));
        let first = self.versions.partition_point(|(cell, ..)| of_row(cell).is_lt());
        let row = self.versions.iter().skip(first).take_while(move |(cell, ..)| of_row(cell).is_eq());
        row.map(|(cell, ..)| cell.attribute)
    }
}

/// Up to where the store is complete once everything up to `position` is in it: more rows of a snapshot stand at the same
/// position, and a snapshot that is taken again finds an empty store.
pub(super) fn applied_by(position: Position) -> Option<Position> {
    Some(position).filter(|position| !position.is_snapshot())
}
