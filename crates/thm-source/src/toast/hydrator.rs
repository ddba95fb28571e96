//! Feeds values to the store, and completes rows from it.
//!
//! ```text
//!   pending ──flush──▶ being written ──▶ store         a version is always in one of them, and looked for in this order
//! ```
//! Whoever waits for a flush may give up waiting: the write goes on, and what it writes stays readable until it is done.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use metrics::{Counter, Gauge};
use thm_api::{Lsn, Position, Result};
use tokio::time::Instant;

use super::layout::recognise;
use super::writing::{Writing, applied_by};
use super::{Cell, Layout, Pending, Store, TableStorage};
use crate::pgoutput::{Datum, OldImage, Relation, Tuple};

/// What memory holds of values that are not in the file yet; beyond it they are staged there.
const DEFAULT_PENDING_BYTES: usize = 8 << 20;
/// How often the file is made durable: the server hears of acknowledgements no more often than this anyway.
const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// What becomes of a row whose value neither the store nor, provably, the database has (`thm.toast.miss`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissPolicy {
    /// The source stops.
    #[default]
    Fail,
    /// The row takes the value that the database has now, though it may be a later one.
    Current,
    /// The row shows Debezium's placeholder.
    Placeholder,
}

/// How complete an updated row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It says everything itself.
    Whole,
    /// [`Hydrator::row`] says everything.
    Completed,
    /// The store lacks these columns, by index. [`Hydrator::row`] has the others; asked again after
    /// [`Hydrator::supply`], the row is complete.
    Lacking(Vec<usize>),
}

/// Keeps large values and puts them back.
pub struct Hydrator {
    store: Store,
    pending: Pending,
    writing: Option<Writing>,
    /// Tables by relation. One that is absent has nothing to keep; see [`Layout::new`].
    layouts: HashMap<u32, Layout>,
    /// Tables that have any version.
    populated: HashSet<u32>,
    /// TRUNCATEs that are not in the store yet.
    truncated: Vec<(u32, Position)>,
    floors: HashMap<u32, Position>,
    /// The store holds staged versions: they must be made durable, and tidied up.
    staged: bool,
    /// Everything up to here is complete in the store.
    applied: Position,
    /// The last position of which the slot may hear.
    told: Position,
    flushed: Instant,
    row: Vec<u8>,
    supplied: Option<(Position, Supplied)>,
    metrics: Metrics,
}

/// What the caller found for the one row that lacks values.
enum Supplied {
    /// Values in binary form by index.
    Values(Vec<(usize, Option<Vec<u8>>)>),
    /// Nothing: the row shows the placeholder.
    Placeholder,
}

struct Metrics {
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl Hydrator {
    /// Opens the store of that epoch.
    pub fn open(path: &Path, epoch: &str, connector: &str) -> Result<Self> {
        let (store, applied) = Store::open(path, epoch)?;
        let label = connector.to_owned();
        let metrics = Metrics {
            hits: metrics::counter!("thm_source_toast_hits_total", "connector" => label.clone()),
            misses: metrics::counter!("thm_source_toast_misses_total", "connector" => label.clone()),
            bytes: metrics::gauge!("thm_source_toast_store_bytes", "connector" => label),
        };
        metrics.bytes.set(store.file_bytes() as f64);
        Ok(Self {
            store,
            pending: Pending::default(),
            writing: None,
            layouts: HashMap::new(),
            populated: HashSet::new(),
            truncated: Vec::new(),
            floors: HashMap::new(),
            staged: true,
            applied,
            told: Position::default(),
            flushed: Instant::now(),
            row: Vec::new(),
            supplied: None,
            metrics,
        })
    }

    /// A table as the rows after this have it; `storage` is what the catalog says now, and `xid` the transaction of
    /// those rows, if they are not of a snapshot.
    pub fn meet(&mut self, relation: &Relation, storage: Option<&TableStorage>, xid: Option<u32>) -> Result<()> {
        let oid = relation.oid;
        let before = self.store.known(oid)?;
        let known = recognise(relation, storage, before.as_ref(), xid);
        if before.as_ref() != Some(&known) {
            self.store.note(oid, &known)?;
        }
        self.floors.entry(oid).or_insert(known.truncated);
        let unknown = TableStorage::default();
        match Layout::new(relation, storage.unwrap_or(&unknown), &known) {
            Some(layout) => {
                self.layouts.insert(oid, layout);
                if self.store.has(oid)? {
                    self.populated.insert(oid);
                }
            }
            None => drop(self.layouts.remove(&oid)),
        }
        Ok(())
    }

    /// A new row, of the snapshot or inserted.
    pub fn insert(&mut self, relation: u32, new: &Tuple<'_>, position: Position) -> Result<()> {
        let Some(layout) = self.layouts.get(&relation).filter(|layout| layout.may_be_large(new)) else {
            return Ok(());
        };
        if position <= self.applied {
            return Ok(());
        }
        let Some(key) = layout.key(new, None) else { return Ok(()) };
        for cell in layout.cells(new).filter(|cell| cell.large) {
            let at = Cell { relation, key: key.clone(), attribute: cell.attribute };
            self.pending.put(at, position, encode(cell.type_oid, cell.datum));
            self.populated.insert(relation);
        }
        self.spill()
    }

    /// An updated row: keeps what it tells, and finds what it does not.
    pub fn update(
        &mut self,
        relation: u32,
        old: Option<&(OldImage, Tuple<'_>)>,
        new: &Tuple<'_>,
        position: Position,
    ) -> Result<Found> {
        if let Some((OldImage::Full, old)) = old {
            self.update_whole(relation, old, new, position)?;
            return Ok(Found::Whole);
        }
        let old = old.map(|(_, tuple)| tuple);
        let layout = self.layouts.get(&relation).filter(|layout| old.is_some() || layout.may_be_large(new)).cloned();
        let key = layout.as_ref().and_then(|layout| layout.key(new, old));
        let mut filled = Vec::new();
        if let (Some(layout), Some(new_key)) = (&layout, &key) {
            let old_key = old.and_then(|old| layout.key(old, None)).unwrap_or_else(|| new_key.clone());
            self.keep(layout, (&old_key, new_key), new, position)?;
            for cell in layout.cells(new).filter(|cell| cell.datum == Datum::Unchanged) {
                let told = old.and_then(|old| old.values().nth(cell.index));
                let before = Cell { relation, key: old_key.clone(), attribute: cell.attribute };
                let value = match told.and_then(|datum| encode(cell.type_oid, datum)) {
                    Some(value) => Some(value),
                    None => {
                        self.get(&before, position, cell.distrusted)?.filter(|value| type_of(value) == cell.type_oid)
                    }
                };
                filled.extend(value.map(|value| (cell.index, Some(value))));
            }
            if position > self.applied && old_key != *new_key {
                self.remove(relation, &old_key, position)?;
            }
        }
        if !new.has_unchanged() {
            self.spill()?;
            return Ok(Found::Whole);
        }
        let unchanged =
            new.values().enumerate().filter(|(_, datum)| *datum == Datum::Unchanged).map(|(index, _)| index);
        let lacking: Vec<usize> = unchanged.filter(|index| filled.iter().all(|(at, _)| at != index)).collect();
        let lacking = self.take_supplied(&lacking, position, &mut filled);
        self.fill(new, &filled);
        if let (Some(layout), Some(key)) = (&layout, &key)
            && position > self.applied
        {
            self.keep_filled(layout, key, &filled, position);
        }
        self.spill()?;
        Ok(if lacking.is_empty() { Found::Completed } else { Found::Lacking(lacking) })
    }

    /// An update that tells the old row whole: nothing to find, but what it says is kept for the time after.
    fn update_whole(&mut self, relation: u32, old: &Tuple<'_>, new: &Tuple<'_>, position: Position) -> Result<()> {
        let Some(layout) = self.layouts.get(&relation).cloned() else { return Ok(()) };
        let (Some(old_key), Some(new_key)) = (layout.key(old, None), layout.key(new, Some(old))) else { return Ok(()) };
        if position <= self.applied {
            return Ok(());
        }
        let told = new.values().zip(old.values()).enumerate();
        let unchanged: Vec<_> = told
            .filter(|(_, (new, _))| *new == Datum::Unchanged)
            .map(|(index, (_, old))| (index, encode(0, old)))
            .collect();
        self.fill(new, &unchanged);
        let row = std::mem::take(&mut self.row);
        let kept = self.keep(&layout, (&old_key, &new_key), &Tuple::parse(&row).unwrap_or_default(), position);
        self.row = row;
        kept?;
        if old_key != new_key {
            self.remove(relation, &old_key, position)?;
        }
        self.spill()
    }

    /// Keeps the values that an updated row tells.
    fn keep(&mut self, layout: &Layout, (old, new): (&[u8], &[u8]), row: &Tuple<'_>, position: Position) -> Result<()> {
        if position <= self.applied {
            return Ok(());
        }
        for cell in layout.cells(row).filter(|cell| cell.datum != Datum::Unchanged) {
            let at = Cell { relation: layout.relation, key: new.into(), attribute: cell.attribute };
            if cell.large {
                self.put(at, position, encode(cell.type_oid, cell.datum));
            } else if old == new && self.has(&at, position)? {
                self.put(at, position, None);
            }
        }
        Ok(())
    }

    /// Keeps what was found for a completed row where it is not kept under its key yet: its key changed, or the value
    /// is from elsewhere.
    fn keep_filled(&mut self, layout: &Layout, key: &[u8], filled: &[(usize, Option<Vec<u8>>)], position: Position) {
        let row = std::mem::take(&mut self.row);
        let tuple = Tuple::parse(&row).unwrap_or_default();
        for cell in layout.cells(&tuple).filter(|cell| filled.iter().any(|(index, _)| *index == cell.index)) {
            let at = Cell { relation: layout.relation, key: key.into(), attribute: cell.attribute };
            let value = encode(cell.type_oid, cell.datum);
            let kept = self.get(&at, Position::new(position.commit_end, position.ordinal + 1), cell.distrusted);
            if kept.ok().flatten() != value {
                self.put(at, position, value);
            }
        }
        self.row = row;
    }

    /// Takes what was supplied for this row; gives what is lacking still.
    fn take_supplied(
        &mut self,
        lacking: &[usize],
        position: Position,
        filled: &mut Vec<(usize, Option<Vec<u8>>)>,
    ) -> Vec<usize> {
        self.metrics.hits.increment(filled.len() as u64);
        let supplied = self.supplied.take().filter(|(at, _)| *at == position);
        match supplied {
            Some((_, Supplied::Placeholder)) => return Vec::new(),
            Some((_, Supplied::Values(values))) => {
                let typed = |(index, value): (usize, Option<Vec<u8>>)| {
                    (index, value.and_then(|value| encode(0, Datum::Binary(&value))))
                };
                filled.extend(values.into_iter().map(typed));
            }
            None => self.metrics.misses.increment(lacking.len() as u64),
        }
        lacking.iter().copied().filter(|index| filled.iter().all(|(at, _)| at != index)).collect()
    }

    /// Values in binary form that the store lacks for the row at `position`.
    pub fn supply(&mut self, position: Position, values: Vec<(usize, Option<Vec<u8>>)>) {
        self.supplied = Some((position, Supplied::Values(values)));
    }

    /// The row at `position` shows the placeholder for what the store lacks.
    pub fn give_up(&mut self, position: Position) {
        self.supplied = Some((position, Supplied::Placeholder));
    }

    /// What identifies a row of the table.
    #[must_use]
    pub fn key(&self, relation: u32, row: &Tuple<'_>, other: Option<&Tuple<'_>>) -> Option<Box<[u8]>> {
        self.layouts.get(&relation)?.key(row, other)
    }

    /// A deleted row.
    pub fn delete(&mut self, relation: u32, old: &Tuple<'_>, position: Position) -> Result<()> {
        if position <= self.applied || !self.populated.contains(&relation) {
            return Ok(());
        }
        let Some(key) = self.layouts.get(&relation).and_then(|layout| layout.key(old, None)) else { return Ok(()) };
        self.remove(relation, &key, position)?;
        self.spill()
    }

    /// A truncated table.
    pub fn truncate(&mut self, relation: u32, position: Position) {
        if position > self.applied && self.populated.contains(&relation) {
            self.floors.insert(relation, position);
            self.truncated.push((relation, position));
        }
    }

    /// The row that was completed; give it back with [`Self::give_back`].
    #[must_use]
    pub fn row(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.row)
    }

    /// Memory to use again.
    pub fn give_back(&mut self, row: Vec<u8>) {
        self.row = row;
    }

    /// Everything up to `position` is durable in the log. Gives the position of which the slot may hear: what was kept
    /// of the rows up to there is durable here.
    pub async fn durable(&mut self, position: Position) -> Result<Position> {
        let due = self.flushed.elapsed() >= DEFAULT_FLUSH_INTERVAL || self.pending.bytes() > DEFAULT_PENDING_BYTES / 8;
        let idle = self.pending.is_empty() && self.truncated.is_empty() && !self.staged && self.writing.is_none();
        if idle || due {
            self.flush(position).await?;
        }
        Ok(self.told)
    }

    /// Whether [`Self::durable`] would make more of it durable by now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.flushed.elapsed() >= DEFAULT_FLUSH_INTERVAL
    }

    /// Makes everything up to `position`, which is durable in the log, durable here. May be given up and called again.
    pub async fn flush(&mut self, position: Position) -> Result<()> {
        self.written().await?;
        let versions = self.pending.take_durable(position);
        let (done, later) = std::mem::take(&mut self.truncated).into_iter().partition(|(_, at)| *at <= position);
        self.truncated = later;
        let truncated: Vec<(u32, Position)> = done;
        if versions.is_empty() && truncated.is_empty() && !self.staged {
            self.complete(position);
            return Ok(());
        }
        self.writing = Some(Writing::start(&self.store, versions, truncated, position));
        self.written().await
    }

    /// Waits for the write that runs.
    async fn written(&mut self) -> Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let (position, written) = (writing.position(), writing.done().await);
        self.writing = None;
        let (staged, file_bytes) = written?;
        self.staged = staged;
        self.metrics.bytes.set(file_bytes as f64);
        self.flushed = Instant::now();
        self.complete(position);
        Ok(())
    }

    fn complete(&mut self, position: Position) {
        self.applied = applied_by(position).unwrap_or(self.applied).max(self.applied);
        self.told = self.told.max(position);
    }

    #[cfg(test)]
    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    fn put(&mut self, cell: Cell, position: Position, value: Option<Vec<u8>>) {
        self.populated.insert(cell.relation);
        self.pending.put(cell, position, value);
    }

    /// Notes that a row is gone.
    fn remove(&mut self, relation: u32, key: &[u8], position: Position) -> Result<()> {
        let mut attributes = self.store.attributes(relation, key)?;
        attributes.extend(self.pending.attributes(relation, key));
        attributes.extend(self.writing.iter().flat_map(|writing| writing.attributes(relation, key)));
        attributes.sort_unstable();
        attributes.dedup();
        for attribute in attributes {
            self.pending.put(Cell { relation, key: key.into(), attribute }, position, None);
        }
        Ok(())
    }

    fn has(&self, cell: &Cell, before: Position) -> Result<bool> {
        if !self.populated.contains(&cell.relation) {
            return Ok(false);
        }
        Ok(self.get(cell, before, Lsn(0))?.is_some())
    }

    /// The value that a row at `before` sees.
    fn get(&self, cell: &Cell, before: Position, distrusted: Lsn) -> Result<Option<Vec<u8>>> {
        let floor = self.floors.get(&cell.relation).copied().filter(|floor| *floor < before).unwrap_or_default();
        let trusted = |at: Position| at >= floor && at.commit_end > distrusted;
        let being_written = || self.writing.as_ref()?.get(cell, before);
        if let Some((at, value)) = self.pending.get(cell, before).or_else(being_written) {
            return Ok(value.filter(|_| trusted(at)).map(<[u8]>::to_vec));
        }
        let stored = self.store.get(cell, before)?;
        Ok(stored.filter(|(at, _)| trusted(*at)).and_then(|(_, value)| value))
    }

    fn spill(&mut self) -> Result<()> {
        if self.pending.bytes() <= DEFAULT_PENDING_BYTES {
            return Ok(());
        }
        metrics::counter!("thm_source_toast_staged_total").increment(1);
        self.staged = true;
        self.store.stage(&self.pending.take_all())
    }

    /// Writes `row` with `values` in place of what it does not tell.
    fn fill(&mut self, row: &Tuple<'_>, values: &[(usize, Option<Vec<u8>>)]) {
        let mut out = std::mem::take(&mut self.row);
        out.clear();
        out.extend_from_slice(&(row.len() as u16).to_be_bytes());
        for (index, datum) in row.values().enumerate() {
            match values.iter().find(|(at, _)| *at == index).filter(|_| datum == Datum::Unchanged) {
                Some((_, Some(value))) => append(&mut out, decode(value)),
                Some((_, None)) => append(&mut out, Datum::Null),
                None => append(&mut out, datum),
            }
        }
        self.row = out;
    }
}

/// A value as it is kept: its type, its form, its bytes. `None` for NULL and for what is not told.
fn encode(type_oid: u32, datum: Datum<'_>) -> Option<Vec<u8>> {
    let (form, bytes) = match datum {
        Datum::Binary(bytes) => (b'b', bytes),
        Datum::Text(bytes) => (b't', bytes),
        Datum::Null | Datum::Unchanged => return None,
    };
    let mut value = Vec::with_capacity(5 + bytes.len());
    value.extend_from_slice(&type_oid.to_be_bytes());
    value.push(form);
    value.extend_from_slice(bytes);
    Some(value)
}

fn decode(value: &[u8]) -> Datum<'_> {
    match value.get(4..).and_then(<[u8]>::split_first) {
        Some((b't', bytes)) => Datum::Text(bytes),
        Some((_, bytes)) => Datum::Binary(bytes),
        None => Datum::Null,
    }
}

fn type_of(value: &[u8]) -> u32 {
    value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)).unwrap_or_default()
}

fn append(out: &mut Vec<u8>, datum: Datum<'_>) {
    let (form, bytes) = match datum {
        Datum::Null => return out.push(b'n'),
        Datum::Unchanged => return out.push(b'u'),
        Datum::Text(bytes) => (b't', bytes),
        Datum::Binary(bytes) => (b'b', bytes),
    };
    out.push(form);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
