//! Progress of producers in a partition, and the file beside the partition that keeps it.
//!
//! ```text
//!  progress.json (as of: segment, bytes)  +  frames after that place  =  progress now
//! ```
//!
//! Later frames win, so replaying frames that the file covers already changes nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Progress, Result};

use crate::storage::Storage;

const FILE_NAME: &str = "progress.json";

/// Version of the file; a reader refuses what it does not know.
const FORMAT: u32 = 1;

/// Progress by producer: a handful of entries, so a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgressMap {
    entries: Vec<(Arc<str>, Progress)>,
}

impl ProgressMap {
    /// Replaces a producer's progress.
    pub(crate) fn set(&mut self, producer: &str, progress: Progress) {
        match self.entries.iter_mut().find(|(name, _)| **name == *producer) {
            Some((_, entry)) => *entry = progress,
            None => self.entries.push((Arc::from(producer), progress)),
        }
    }

    /// A producer's progress.
    pub(crate) fn get(&self, producer: &str) -> Option<Progress> {
        self.entries.iter().find(|(name, _)| **name == *producer).map(|(_, progress)| *progress)
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgressFile {
    /// Base offset of the segment up to which it counts.
    pub segment: i64,
    /// Bytes of that segment it counts; they were durable when it was written.
    pub bytes: u64,
    /// Progress at that place.
    pub progress: ProgressMap,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    segment: i64,
    bytes: u64,
    progress: Vec<(String, Progress)>,
}

impl ProgressFile {
    /// Replaces the file, atomically and durably. Its first line is the CRC32C of the rest.
    pub(crate) fn store(&self, storage: &dyn Storage, dir: &Path) -> io::Result<()> {
        let progress = self.progress.entries.iter().map(|(name, progress)| (name.to_string(), *progress)).collect();
        let stored = Stored { format: FORMAT, segment: self.segment, bytes: self.bytes, progress };
        let json = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        let mut contents = format!("{:08x}\n", crc32c::crc32c(&json)).into_bytes();
        contents.extend_from_slice(&json);
        storage.write_atomic(&dir.join(FILE_NAME), &contents)
    }

    /// Reads the file; `None` if the partition was never rolled nor stopped cleanly.
    pub(crate) fn load(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE_NAME);
        let object = || path.display().to_string();
        let contents = storage
            .read(&path)
            .map_err(|error| Error::new(ErrorKind::LogIo, "reading progress", object()).with_source(error))?;
        let Some(contents) = contents else { return Ok(None) };
        let corrupt = |cause: &str| {
            Err(Error::new(ErrorKind::LogCorrupt, "reading progress", object()).with_source(cause.to_owned()))
        };
        let Some((crc, json)) = contents.split_at_checked(9) else { return corrupt("the file is cut short") };
        if format!("{:08x}\n", crc32c::crc32c(json)).as_bytes() != crc {
            return corrupt("the file fails its checksum");
        }
        let stored: Stored = match serde_json::from_slice(json) {
            Ok(stored) => stored,
            Err(error) => return corrupt(&error.to_string()),
        };
        if stored.format != FORMAT {
            return corrupt(&format!("it has format {}, this build reads {FORMAT}", stored.format));
        }
        let mut progress = ProgressMap::default();
        stored.progress.iter().for_each(|(name, entry)| progress.set(name, *entry));
        Ok(Some(Self { segment: stored.segment, bytes: stored.bytes, progress }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::{Lsn, Position};

    use super::*;
    use crate::storage::RealStorage;

    #[test]
    fn file_round_trip_and_damage() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ProgressFile::load(&RealStorage, dir.path()).unwrap(), None);
        let mut progress = ProgressMap::default();
        let end = Progress { position: Position::end_of(Lsn(u64::MAX)), input: u32::MAX, offset: i64::MAX };
        progress.set("source:a", end);
        progress.set("job:b", Progress::default());
        let file = ProgressFile { segment: 42, bytes: u64::MAX, progress };
        file.store(&RealStorage, dir.path()).unwrap();
        assert_eq!(ProgressFile::load(&RealStorage, dir.path()).unwrap(), Some(file));
        let path = dir.path().join(FILE_NAME);
        let mut contents = std::fs::read(&path).unwrap();
        *contents.last_mut().unwrap() ^= 1;
        std::fs::write(&path, contents).unwrap();
        assert_eq!(ProgressFile::load(&RealStorage, dir.path()).unwrap_err().kind(), ErrorKind::LogCorrupt);
    }
}
