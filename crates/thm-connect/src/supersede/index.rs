//! Last states of a topic's keys, before and since a boundary, in bounded memory.
//!
//! ```text
//!   records in offset order ──▶ map (key ─▶ last state on each side) ──full──▶ sorted run in an unnamed file
//!                                                                                    │ … more runs
//!   findings in key order ◀── merge: of each key, the latest run that speaks of a side decides it ◀┘
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thm_api::{Error, ErrorKind, Offset, Result};

/// Memory for keys before they go to a run; some hundred thousand of them.
pub(super) const DEFAULT_INDEX_BYTES: usize = 16 << 20;
/// A key costs this beside its bytes: tree node and states.
const OVERHEAD_BYTES: usize = 112;
/// Reads and writes of a run are of this size.
const BUFFER_BYTES: usize = 64 << 10;

/// The last row of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    /// Nothing is said of the key.
    #[default]
    Silent,
    /// The row is gone.
    Gone,
    /// The row is in the record at this offset; the hash is of the row, the length of its record's value.
    Row { offset: Offset, hash: u64, bytes: u32 },
}

/// A key's last states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    /// In the records before the boundary.
    pub(super) before: Side,
    /// In those since.
    pub(super) since: Side,
}

impl States {
    fn overlay(&mut self, later: Self) {
        if later.before != Side::Silent {
            self.before = later.before;
        }
        if later.since != Side::Silent {
            self.since = later.since;
        }
    }
}

/// Takes states in offset order, gives them in key order.
pub(super) struct Index {
    map: BTreeMap<Box<[u8]>, States>,
    bytes: usize,
    limit_bytes: usize,
    spool: PathBuf,
    runs: Vec<File>,
}

impl Index {
    pub(super) fn new(spool: &Path, limit_bytes: usize) -> Self {
        Self { map: BTreeMap::new(), bytes: 0, limit_bytes, spool: spool.to_owned(), runs: Vec::new() }
    }

    /// A later state of a key.
    pub(super) fn put(&mut self, key: &[u8], states: States) -> Result<()> {
        match self.map.get_mut(key) {
            Some(known) => known.overlay(states),
            None => {
                self.bytes += OVERHEAD_BYTES + key.len();
                self.map.insert(key.into(), states);
            }
        }
        if self.bytes > self.limit_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        let written = self.write_run().map_err(|error| failed(&self.spool, error))?;
        self.runs.push(written);
        self.map.clear();
        self.bytes = 0;
        Ok(())
    }

    fn write_run(&self) -> std::io::Result<File> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, unnamed(&self.spool)?);
        for (key, states) in &self.map {
            out.write_all(&(key.len() as u32).to_be_bytes())?;
            out.write_all(key)?;
            write_side(&mut out, states.before)?;
            write_side(&mut out, states.since)?;
        }
        let mut file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }

    /// All keys with their last states, in key order.
    pub(super) fn finish(mut self) -> Result<Merge> {
        if !self.runs.is_empty() {
            self.spill()?;
        }
        let mut runs = Vec::with_capacity(self.runs.len());
        for file in self.runs {
            let mut run = Run { file: BufReader::with_capacity(BUFFER_BYTES, file), next: None };
            run.advance().map_err(|error| failed(&self.spool, error))?;
            runs.push(run);
        }
        Ok(Merge { memory: self.map.into_iter(), runs, spool: self.spool })
    }
}

struct Run {
    file: BufReader<File>,
    next: Option<(Box<[u8]>, States)>,
}

impl Run {
    fn advance(&mut self) -> std::io::Result<()> {
        let mut length = [0; 4];
        self.next = match self.file.read_exact(&mut length) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
            Ok(()) => {
                let mut key = vec![0; u32::from_be_bytes(length) as usize];
                self.file.read_exact(&mut key)?;
                let before = read_side(&mut self.file)?;
                Some((key.into(), States { before, since: read_side(&mut self.file)? }))
            }
        };
        Ok(())
    }
}

/// Keys in order.
pub(super) struct Merge {
    memory: std::collections::btree_map::IntoIter<Box<[u8]>, States>,
    /// Oldest first.
    runs: Vec<Run>,
    spool: PathBuf,
}

impl Merge {
    /// The next key's states.
    pub(super) fn next(&mut self) -> Result<Option<States>> {
        if self.runs.is_empty() {
            return Ok(self.memory.next().map(|(_, states)| states));
        }
        let Some(least) = self.runs.iter().filter_map(|run| run.next.as_ref().map(|(key, _)| key)).min().cloned()
        else {
            return Ok(None);
        };
        let mut merged = States::default();
        for run in &mut self.runs {
            if let Some((_, states)) = run.next.take_if(|(key, _)| *key == least) {
                merged.overlay(states);
                run.advance().map_err(|error| failed(&self.spool, error))?;
            }
        }
        Ok(Some(merged))
    }
}

fn write_side(out: &mut impl Write, side: Side) -> std::io::Result<()> {
    match side {
        Side::Silent => out.write_all(&[0]),
        Side::Gone => out.write_all(&[1]),
        Side::Row { offset, hash, bytes } => {
            out.write_all(&[2])?;
            out.write_all(&offset.0.to_be_bytes())?;
            out.write_all(&hash.to_be_bytes())?;
            out.write_all(&bytes.to_be_bytes())
        }
    }
}

fn read_side(file: &mut impl Read) -> std::io::Result<Side> {
    let mut tag = [0];
    file.read_exact(&mut tag)?;
    if tag != [2] {
        return Ok(if tag == [1] { Side::Gone } else { Side::Silent });
    }
    let (mut offset, mut hash, mut bytes) = ([0; 8], [0; 8], [0; 4]);
    file.read_exact(&mut offset)?;
    file.read_exact(&mut hash)?;
    file.read_exact(&mut bytes)?;
    let (hash, bytes) = (u64::from_be_bytes(hash), u32::from_be_bytes(bytes));
    Ok(Side::Row { offset: Offset(i64::from_be_bytes(offset)), hash, bytes })
}

/// A file that only this process sees and that ends with it.
fn unnamed(folder: &Path) -> std::io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("keys-{}-{number}.spool", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn failed(spool: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::LogIo, "comparing the keys of a topic", spool.display().to_string()).with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn memory_and_runs_give_the_same_last_states() {
        let folder = tempfile::tempdir().unwrap();
        let fill = |limit: usize| {
            let mut index = Index::new(folder.path(), limit);
            for offset in 0..500_i64 {
                let row = Side::Row { offset: Offset(offset), hash: (offset % 7) as u64, bytes: 10 };
                let side = if offset % 11 == 0 { Side::Gone } else { row };
                let states = match offset < 300 {
                    true => States { before: side, since: Side::Silent },
                    false => States { before: Side::Silent, since: side },
                };
                index.put(format!("key-{}", offset * 31 % 83).as_bytes(), states).unwrap();
            }
            let runs = index.runs.len();
            let mut merge = index.finish().unwrap();
            (runs, std::iter::from_fn(|| merge.next().unwrap()).collect::<Vec<_>>())
        };
        let (none, expected) = fill(1 << 20);
        let (many, found) = fill(1000);
        assert!(none == 0 && many > 20, "{many}");
        assert_eq!(expected.len(), 83);
        assert_eq!(found, expected);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left in the folder");
    }
}
