//! A segment: one file of frames, from its base offset to that of the next segment.
//!
//! ```text
//!  <dir>/<topic>/<partition>/00000000000000000000.log     frames
//!                            00000000000000000000.index   sparse index, written when the segment is closed
//!                            00000000000000123456.log     the active one: appends go here
//! ```
//!
//! A [`Segment`] is what readers see: durable frames only. The active one keeps its file open; a closed one is
//! opened for each read, so that a long log does not hold a descriptor per 64 MiB.

pub(crate) mod index;
mod reader;
pub(crate) mod recovery;
pub(crate) mod scan;
pub(crate) mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use thm_api::Result;

use crate::storage::{LogFile, Storage};
use index::{Index, Summary};
pub(crate) use reader::Want;
use recovery::{Recovered, Subject, recover};
use scan::Scanned;

/// Readers' view of one file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The file of frames.
    pub path: PathBuf,
    storage: Arc<dyn Storage>,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// Open while the segment is active.
    file: Option<Arc<dyn LogFile>>,
    /// `None` of a closed segment that nobody has read yet.
    index: Option<Index>,
    summary: Summary,
}

/// Where to start reading.
struct Place {
    file: Arc<dyn LogFile>,
    position: u64,
    end: u64,
}

impl Segment {
    /// Makes the file of a new, active segment. The caller syncs the folder.
    pub(crate) fn create(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
    ) -> std::io::Result<Self> {
        let path = file_path(dir, base_offset);
        let state = State {
            file: Some(storage.open(&path)?),
            index: Some(Index::default()),
            summary: Summary::empty(base_offset, now_ms),
        };
        Ok(Self { base_offset, path, storage: Arc::clone(storage), state: RwLock::new(state) })
    }

    /// Opens the last segment for appends after checking every frame.
    pub(crate) fn open_last(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        durable_bytes: u64,
        see: impl FnMut(&Scanned<'_>),
    ) -> Result<Self> {
        let path = file_path(dir, base_offset);
        let file = storage.open(&path).map_err(|error| failed_at(&path, error))?;
        let subject = Subject { path: &path, file: &*file, base_offset, durable_bytes, last: true };
        let Recovered { index, summary } = recover(&subject, see)?;
        // What was written but not fsynced before a kill lies in the page cache: from here on it counts as durable.
        file.sync().map_err(|error| failed_at(&path, error))?;
        let state = State { file: Some(file), index: Some(index), summary };
        Ok(Self { base_offset, path, storage: Arc::clone(storage), state: RwLock::new(state) })
    }

    /// Opens a closed segment by its index, or by a scan where that is missing or `see` wants the frames.
    pub(crate) fn open_closed(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        (base_offset, next_base): (i64, i64),
        see: Option<&mut dyn FnMut(&Scanned<'_>)>,
    ) -> Result<Self> {
        let path = file_path(dir, base_offset);
        let failed = |error| failed_at(&path, error);
        let file = storage.open_read(&path).map_err(failed)?;
        let stored = storage.read(&index_path(dir, base_offset)).map_err(failed)?;
        let stored = stored.and_then(|bytes| Index::decode(&bytes)).map(|(_, summary)| summary);
        let summary = match (stored, see) {
            (Some(summary), None) => summary,
            (_, see) => {
                let subject = Subject { path: &path, file: &*file, base_offset, durable_bytes: 0, last: false };
                let Recovered { index, summary } = match see {
                    Some(see) => recover(&subject, see)?,
                    None => recover(&subject, |_| ())?,
                };
                storage.write_atomic(&index_path(dir, base_offset), &index.encode(&summary)).map_err(failed)?;
                summary
            }
        };
        let length = file.length().map_err(failed)?;
        if length != summary.bytes {
            let cause = format!("the closed segment had {} bytes", summary.bytes);
            return Err(recovery::corrupt(&path, length, cause));
        }
        if summary.next_offset != next_base {
            let cause = format!("it ends at offset {}, the next segment begins at {next_base}", summary.next_offset);
            return Err(recovery::corrupt(&path, length, cause));
        }
        let state = State { file: None, index: None, summary };
        Ok(Self { base_offset, path, storage: Arc::clone(storage), state: RwLock::new(state) })
    }

    /// What is durable in it.
    pub(crate) fn summary(&self) -> Summary {
        self.state.read().summary
    }

    /// Shows readers what has just become durable.
    pub(crate) fn extend(&self, boundaries: &[Summary], summary: Summary) {
        let mut state = self.state.write();
        if let Some(index) = &mut state.index {
            boundaries.iter().for_each(|before| index.offer(before));
        }
        state.summary = summary;
    }

    /// Nothing is appended any more: stores the index and lets the file go.
    fn close(&self, dir: &Path) -> std::io::Result<()> {
        let contents = {
            let state = self.state.read();
            state.index.as_ref().map(|index| index.encode(&state.summary))
        };
        if let Some(contents) = contents {
            self.storage.write_atomic(&index_path(dir, self.base_offset), &contents)?;
        }
        let mut state = self.state.write();
        state.file = None;
        state.index = None;
        Ok(())
    }

    /// Forgets all frames of an active segment that holds no records.
    fn reset(&self) {
        let mut state = self.state.write();
        state.index = Some(Index::default());
        state.summary.bytes = 0;
    }

    /// Removes its files; the caller syncs the folder.
    pub(crate) fn remove(&self) -> std::io::Result<()> {
        self.storage.remove_file(&self.path)?;
        self.storage.remove_file(&self.path.with_extension("index"))
    }

    /// The active segment's open file.
    fn file(&self) -> Option<Arc<dyn LogFile>> {
        self.state.read().file.clone()
    }

    fn place_of(&self, offset: i64) -> Result<Place> {
        self.place(|index| index.seek(offset))
    }

    fn place_of_time(&self, timestamp_ms: i64) -> Result<Place> {
        self.place(|index| index.seek_time(timestamp_ms))
    }

    fn place(&self, seek: impl FnOnce(&Index) -> u64) -> Result<Place> {
        self.load_index()?;
        let (open, position, end) = {
            let state = self.state.read();
            (state.file.clone(), state.index.as_ref().map_or(0, seek), state.summary.bytes)
        };
        let file = match open {
            Some(file) => file,
            None => self.storage.open_read(&self.path).map_err(|error| self.failed(error))?,
        };
        Ok(Place { file, position, end })
    }

    /// Reads the stored index of a closed segment at its first use. Without one, reads start at byte 0: the index
    /// is written at close and checked at open, so that is rare.
    fn load_index(&self) -> Result<()> {
        if self.state.read().index.is_some() {
            return Ok(());
        }
        let stored = self.storage.read(&self.path.with_extension("index")).map_err(|error| self.failed(error))?;
        let index = stored.and_then(|bytes| Index::decode(&bytes)).map(|(index, _)| index);
        self.state.write().index.get_or_insert(index.unwrap_or_default());
        Ok(())
    }
}

/// Base offsets of the segments in a folder, in order.
pub(crate) fn list(storage: &dyn Storage, dir: &Path) -> std::io::Result<Vec<i64>> {
    let names = storage.list(dir)?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect())
}

fn file_path(dir: &Path, base_offset: i64) -> PathBuf {
    dir.join(format!("{base_offset:020}.log"))
}

fn index_path(dir: &Path, base_offset: i64) -> PathBuf {
    file_path(dir, base_offset).with_extension("index")
}

fn failed_at(path: &Path, error: std::io::Error) -> thm_api::Error {
    thm_api::Error::new(thm_api::ErrorKind::LogIo, "opening segment", path.display().to_string()).with_source(error)
}
