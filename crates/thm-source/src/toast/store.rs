//! The file under the hydration: versions of values by (relation, row key, column, position).
//!
//! ```text
//!   values   (relation, key, attribute, commit end, ordinal) ─▶ value, or nothing for "gone since here"
//!   staged   (commit end, ordinal, relation, key, attribute)     versions written before they were durable in the log
//!   known    relation ─▶ columns as last met, and the position of its last TRUNCATE
//!   meta     epoch, applied
//! ```
//!
//! Invariants: everything up to `applied` is durable in the log and complete here; of each cell at most one version at
//! or below `applied` counts, and older ones are removed when a newer one is written. Versions above `applied` are in
//! `staged` and are removed by the next [`Store::open`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Lsn, Position, Result};

use super::Cell;

type ValueKey = (u32, &'static [u8], u16, u64, u64);
type StagedKey = (u64, u64, u32, &'static [u8], u16);
const VALUES: TableDefinition<'static, ValueKey, &[u8]> = TableDefinition::new("values");
const STAGED: TableDefinition<'static, StagedKey, ()> = TableDefinition::new("staged");
const KNOWN: TableDefinition<'static, u32, &[u8]> = TableDefinition::new("known");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// Pages kept in memory: the inner nodes of a store of some ten million values, and little beside the source's share.
const DEFAULT_CACHE_BYTES: usize = 4 << 20;
/// Staged versions that one commit tidies up, so that a huge transaction does not hold up the acknowledgement after it.
const DEFAULT_TIDIED_VERSIONS: usize = 2_000;
/// How long a write of a task that ended may take, and how often it is looked after.
const DEFAULT_LAST_WRITE: Duration = Duration::from_secs(5);
const LAST_WRITE_PAUSE: Duration = Duration::from_millis(10);
/// Form of the file.
const FORMAT: &[u8] = b"1";

/// A version to write; `None`: the value is gone since this position.
pub type Version = (Cell, Position, Option<Vec<u8>>);

/// A table as it was last met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// File of its rows: a new one after each rewrite.
    pub filenode: u32,
    /// Columns in table order.
    pub columns: Vec<KnownColumn>,
    /// Versions below are gone: the table was truncated here.
    #[serde(default)]
    pub truncated: Position,
}

/// A column as it was last met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownColumn {
    /// Name.
    pub name: String,
    /// Attribute number.
    pub attribute: u16,
    /// Transaction that last changed its definition.
    pub changed_by: u32,
    /// Versions at or below are not to be trusted: the column may have been rewritten since.
    #[serde(default)]
    pub distrusted: Lsn,
}

/// The open file.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    path: Arc<Path>,
}

impl Store {
    /// Opens or makes the file. One of another epoch is emptied: its rows are of another start. What was staged and
    /// never became durable in the log is removed; it will be sent again.
    pub fn open(path: &Path, epoch: &str) -> Result<(Self, Position)> {
        let failed = |error: &dyn std::fmt::Display| failure("opening the TOAST store", path, error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let mut builder = Builder::new();
        builder.set_cache_size(DEFAULT_CACHE_BYTES);
        let database = create(&builder, path).map_err(|error| failed(&error))?;
        let store = Self { database: Arc::new(database), path: path.into() };
        let applied = store.attempt("opening the TOAST store", |write| {
            let mut meta = write.open_table(META)?;
            let text = |value: Option<redb::AccessGuard<'_, &[u8]>>| value.map(|value| value.value().to_vec());
            let ours = text(meta.get("format")?).as_deref() == Some(FORMAT)
                && text(meta.get("epoch")?).as_deref() == Some(epoch.as_bytes());
            if !ours {
                write.delete_table(VALUES)?;
                write.delete_table(STAGED)?;
                write.delete_table(KNOWN)?;
                meta.retain(|_, _| false)?;
                meta.insert("format", FORMAT)?;
                meta.insert("epoch", epoch.as_bytes())?;
            }
            let applied = meta.get("applied")?.map(|value| read_position(value.value())).unwrap_or_default();
            drop_staged_above(write, applied)?;
            write.open_table(KNOWN)?;
            Ok(applied)
        })?;
        Ok((store, applied))
    }

    /// Removes the file: nothing of it may be believed once rows were not fed to it.
    pub fn remove(path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failure("removing the TOAST store", path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Newest version of a cell before `before`, with its position.
    pub fn get(&self, cell: &Cell, before: Position) -> Result<Option<(Position, Option<Vec<u8>>)>> {
        self.read(|values| {
            let (relation, key, attribute) = (cell.relation, &*cell.key, cell.attribute);
            let (low, high) =
                ((relation, key, attribute, 0, 0), (relation, key, attribute, before.commit_end.0, before.ordinal));
            let Some(found) = values.range(low..high)?.next_back() else { return Ok(None) };
            let (at, value) = found?;
            let (_, _, _, commit_end, ordinal) = at.value();
            Ok(Some((
                Position::new(Lsn(commit_end), ordinal),
                Some(value.value().to_vec()).filter(|value| !value.is_empty()),
            )))
        })
    }

    /// Attribute numbers under which a row has any version.
    pub fn attributes(&self, relation: u32, key: &[u8]) -> Result<Vec<u16>> {
        self.read(|values| {
            let mut attributes = Vec::new();
            for found in values.range((relation, key, 0, 0, 0)..=(relation, key, u16::MAX, u64::MAX, u64::MAX))? {
                let attribute = found?.0.value().2;
                if attributes.last() != Some(&attribute) {
                    attributes.push(attribute);
                }
            }
            Ok(attributes)
        })
    }

    /// Whether there is any version of any row of the table.
    pub fn has(&self, relation: u32) -> Result<bool> {
        let none: &[u8] = &[];
        self.read(|values| {
            let mut range = values.range((relation, none, 0, 0, 0)..)?;
            Ok(range.next().transpose()?.is_some_and(|(at, _)| at.value().0 == relation))
        })
    }

    /// Writes versions that are durable in the log, and that everything up to `applied` is. Durable when it returns.
    /// Says whether staged versions are left to tidy up.
    pub fn apply(
        &self,
        versions: &[Version],
        truncated: &[(u32, Position)],
        applied: Option<Position>,
    ) -> Result<bool> {
        self.attempt("writing the TOAST store", |write| {
            let mut values = write.open_table(VALUES)?;
            for (cell, position, value) in versions {
                remove_before(&mut values, cell, *position)?;
                match value {
                    Some(value) => drop(values.insert(value_key(cell, *position), value.as_slice())?),
                    None => drop(values.remove(value_key(cell, *position))?),
                }
            }
            for (relation, position) in truncated {
                forget_before(write, &mut values, *relation, *position)?;
            }
            let Some(applied) = applied else { return Ok(true) };
            write.open_table(META)?.insert("applied", write_position(applied).as_slice())?;
            tidy(write, &mut values, applied)
        })
    }

    /// Writes versions that are not durable in the log yet. Not durable itself: it only takes them out of memory.
    pub fn stage(&self, versions: &[Version]) -> Result<()> {
        self.with_durability(Durability::None, "writing the TOAST store", |write| {
            let mut values = write.open_table(VALUES)?;
            let mut staged = write.open_table(STAGED)?;
            for (cell, position, value) in versions {
                values.insert(value_key(cell, *position), value.as_deref().unwrap_or_default())?;
                staged.insert(staged_key(cell, *position), ())?;
            }
            Ok(())
        })
    }

    /// What was last known of a table.
    pub fn known(&self, relation: u32) -> Result<Option<Known>> {
        let doing = "reading the TOAST store";
        let read = || -> std::result::Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(KNOWN)?;
            Ok(table.get(relation)?.and_then(|bytes| serde_json::from_slice(bytes.value()).ok()))
        };
        read().map_err(|error| failure(doing, &self.path, &error))
    }

    /// Notes what is known of a table; durable with the next [`Self::apply`].
    pub fn note(&self, relation: u32, known: &Known) -> Result<()> {
        let bytes = serde_json::to_vec(known).unwrap_or_default();
        self.with_durability(Durability::None, "writing the TOAST store", |write| {
            write.open_table(KNOWN)?.insert(relation, bytes.as_slice())?;
            Ok(())
        })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Holds up writes until it is dropped.
    #[cfg(test)]
    pub(super) fn hold(&self) -> WriteTransaction {
        self.database.begin_write().expect("no write fails to begin in a test")
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&redb::ReadOnlyTable<ValueKey, &'static [u8]>) -> std::result::Result<T, redb::Error>,
    ) -> Result<T> {
        let read = || {
            let table = self.database.begin_read()?.open_table(VALUES)?;
            body(&table)
        };
        read().map_err(|error| failure("reading the TOAST store", &self.path, &error))
    }

    fn attempt<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&WriteTransaction) -> std::result::Result<T, redb::Error>,
    ) -> Result<T> {
        self.with_durability(Durability::Immediate, doing, body)
    }

    fn with_durability<T>(
        &self,
        durability: Durability,
        doing: &'static str,
        body: impl FnOnce(&WriteTransaction) -> std::result::Result<T, redb::Error>,
    ) -> Result<T> {
        let run = || -> std::result::Result<T, redb::Error> {
            let mut write = self.database.begin_write()?;
            write.set_durability(durability)?;
            // A start after a crash must not read the whole file.
            write.set_quick_repair(matches!(durability, Durability::Immediate));
            let done = body(&write)?;
            write.commit()?;
            Ok(done)
        };
        run().map_err(|error| failure(doing, &self.path, &error))
    }
}

/// Opens the file; waits for the last write of a task before this one.
fn create(builder: &Builder, path: &Path) -> std::result::Result<Database, DatabaseError> {
    let until = Instant::now() + DEFAULT_LAST_WRITE;
    loop {
        match builder.create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => std::thread::sleep(LAST_WRITE_PAUSE),
            opened => return opened,
        }
    }
}

type Values<'a> = redb::Table<'a, ValueKey, &'static [u8]>;
type Done = std::result::Result<(), redb::Error>;

fn value_key(cell: &Cell, position: Position) -> (u32, &[u8], u16, u64, u64) {
    (cell.relation, &cell.key, cell.attribute, position.commit_end.0, position.ordinal)
}

fn staged_key(cell: &Cell, position: Position) -> (u64, u64, u32, &[u8], u16) {
    (position.commit_end.0, position.ordinal, cell.relation, &cell.key, cell.attribute)
}

/// Older versions of a cell: none is read any more once everything up to a newer one is durable.
fn remove_before(values: &mut Values<'_>, cell: &Cell, position: Position) -> Done {
    let low = (cell.relation, &*cell.key, cell.attribute, 0, 0);
    values.retain_in(low..value_key(cell, position), |_, _| false)?;
    Ok(())
}

/// A truncated table's versions.
fn forget_before(write: &WriteTransaction, values: &mut Values<'_>, relation: u32, position: Position) -> Done {
    let none: &[u8] = &[];
    values.retain_in(
        (relation, none, 0, 0, 0)..(relation.saturating_add(1), none, 0, 0, 0),
        |(_, _, _, commit_end, ordinal), _| Position::new(Lsn(commit_end), ordinal) >= position,
    )?;
    let mut table = write.open_table(KNOWN)?;
    let known = table.get(relation)?.and_then(|bytes| serde_json::from_slice::<Known>(bytes.value()).ok());
    if let Some(mut known) = known {
        known.truncated = known.truncated.max(position);
        table.insert(relation, serde_json::to_vec(&known).unwrap_or_default().as_slice())?;
    }
    Ok(())
}

/// Makes ordinary versions of staged ones that have become durable in the log: some per call.
fn tidy(
    write: &WriteTransaction,
    values: &mut Values<'_>,
    applied: Position,
) -> std::result::Result<bool, redb::Error> {
    let mut staged = write.open_table(STAGED)?;
    for _ in 0..DEFAULT_TIDIED_VERSIONS {
        let Some((cell, position)) = first_staged(&staged)? else { return Ok(false) };
        if position > applied {
            break;
        }
        remove_before(values, &cell, position)?;
        let gone = values.get(value_key(&cell, position))?.is_some_and(|value| value.value().is_empty());
        if gone {
            values.remove(value_key(&cell, position))?;
        }
        staged.remove(staged_key(&cell, position))?;
    }
    Ok(true)
}

fn first_staged(
    staged: &impl ReadableTable<StagedKey, ()>,
) -> std::result::Result<Option<(Cell, Position)>, redb::Error> {
    let Some((at, ())) = staged.first()?.map(|(at, value)| (at, value.value())) else { return Ok(None) };
    let (commit_end, ordinal, relation, key, attribute) = at.value();
    Ok(Some((Cell { relation, key: key.into(), attribute }, Position::new(Lsn(commit_end), ordinal))))
}

fn drop_staged_above(write: &WriteTransaction, applied: Position) -> Done {
    let (mut values, mut staged) = (write.open_table(VALUES)?, write.open_table(STAGED)?);
    let none: &[u8] = &[];
    let above = (applied.commit_end.0, applied.ordinal, u32::MAX, none, 0)..;
    for found in staged.extract_from_if(above, |_, ()| true)? {
        let (at, ()) = found.map(|(at, value)| (at, value.value()))?;
        let (commit_end, ordinal, relation, key, attribute) = at.value();
        values.remove((relation, key, attribute, commit_end, ordinal))?;
    }
    Ok(())
}

fn read_position(bytes: &[u8]) -> Position {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn write_position(position: Position) -> Vec<u8> {
    serde_json::to_vec(&position).unwrap_or_default()
}

fn failure(doing: &'static str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    let path: PathBuf = path.to_owned();
    Error::new(ErrorKind::LogIo, doing, path.display().to_string()).with_source(error.to_string())
}
