//! Versions that are not in the store yet, in memory.

use std::collections::BTreeMap;

use thm_api::Position;

use super::{Cell, Version};

/// What a version costs beside its bytes: keys, vectors and tree nodes.
const OVERHEAD_BYTES: usize = 96;

/// Versions of one cell, oldest first; `None`: gone.
type Versions = Vec<(Position, Option<Vec<u8>>)>;

/// Versions by cell.
#[derive(Debug, Default)]
pub struct Pending {
    cells: BTreeMap<Cell, Versions>,
    bytes: usize,
}

impl Pending {
    /// Adds a version; one of the same position, which the server sent again, is replaced.
    pub fn put(&mut self, cell: Cell, position: Position, value: Option<Vec<u8>>) {
        self.bytes += cost(&cell, value.as_deref());
        let versions = self.cells.entry(cell).or_default();
        match versions.last_mut().filter(|(last, _)| *last == position) {
            Some(last) => last.1 = value,
            None => versions.push((position, value)),
        }
    }

    /// Newest version of a cell before `before`.
    #[must_use]
    pub fn get(&self, cell: &Cell, before: Position) -> Option<(Position, Option<&[u8]>)> {
        let versions = self.cells.get(cell)?;
        let newest = versions.iter().rev().find(|(position, _)| *position < before)?;
        Some((newest.0, newest.1.as_deref()))
    }

    /// Attribute numbers under which a row has any version.
    pub fn attributes(&self, relation: u32, key: &[u8]) -> impl Iterator<Item = u16> {
        let cell = |attribute| Cell { relation, key: key.into(), attribute };
        self.cells.range(cell(0)..=cell(u16::MAX)).map(|(cell, _)| cell.attribute)
    }

    /// Bytes held, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Takes what is at or below `position`: of each cell the newest, for nobody asks for an older one any more.
    pub fn take_durable(&mut self, position: Position) -> Vec<Version> {
        let mut taken = Vec::new();
        for (cell, versions) in &mut self.cells {
            let durable = versions.partition_point(|(at, _)| *at <= position);
            if let Some((at, value)) = versions.drain(..durable).next_back() {
                taken.push((cell.clone(), at, value));
            }
        }
        self.cells.retain(|_, versions| !versions.is_empty());
        self.count();
        taken
    }

    /// Takes everything, every version of it.
    pub fn take_all(&mut self) -> Vec<Version> {
        self.bytes = 0;
        let cells = std::mem::take(&mut self.cells);
        let versions = |(cell, versions): (Cell, Versions)| {
            versions.into_iter().map(move |(position, value)| (cell.clone(), position, value))
        };
        cells.into_iter().flat_map(versions).collect()
    }

    fn count(&mut self) {
        let of_cell = |(cell, versions): (&Cell, &Versions)| {
            versions.iter().map(|(_, value)| cost(cell, value.as_deref())).sum::<usize>()
        };
        self.bytes = self.cells.iter().map(of_cell).sum();
    }
}

fn cost(cell: &Cell, value: Option<&[u8]>) -> usize {
    OVERHEAD_BYTES + cell.key.len() + value.map_or(0, <[u8]>::len)
}
