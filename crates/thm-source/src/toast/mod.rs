//! TOAST hydration: completes updates whose large values PostgreSQL does not repeat.
//!
//! An update that leaves a TOASTed value alone does not carry it. With `thm.toast.mode = hydrate` such values are kept
//! here, by row and column, and put back into the row before anything sees it.
//!
//! ```text
//!                     rows with large values                       durable(position)
//!   snapshot, stream ───────────────────────▶ pending (memory) ─────────────────────▶ store (one file)
//!         ▲                                    │        └── beyond its limit: staged ──▶ │
//!         └── row completed ◀── the newest version before the row's own position ◀───────┘
//!                               none: ask the database, if it provably still has that version (`current`)
//! ```
//!
//! **Versions.** Every value stands under (relation, row key, column, position). A row at position *p* sees the newest
//! version before *p*, so it never sees a value from its future, whatever was written when.
//!
//! **Crashes.** The log is made durable first, then the store, and only then the slot hears of it. So the store may be
//! behind the log, but never behind the slot: what is missing in it is sent again and fed again, also rows that the log
//! already has. Versions ahead of the log (a transaction larger than memory) are staged; the next start removes them.
//! The store belongs to one start of one slot by its `epoch`: another one finds it empty.
//!
//! **Column identity** is the attribute number, so that columns may come, go and be renamed ([`layout`]).

mod current;
mod hydrator;
mod layout;
mod options;
mod pending;
mod store;
mod writing;

pub use current::{Current, read_current, stays};
pub use hydrator::{Found, Hydrator, MissPolicy};
pub use layout::{ColumnStorage, Layout, TableStorage, table_storage};
pub use options::ToastOptions;
pub use pending::Pending;
pub use store::{Known, KnownColumn, Store, Version};

/// One column of one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Oid of the table.
    pub relation: u32,
    /// The row, as [`Layout::key`] writes it.
    pub key: Box<[u8]>,
    /// Attribute number of the column.
    pub attribute: u16,
}

#[cfg(test)]
mod tests;
