//! The file system as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use rustix::buffer::spare_capacity;
use rustix::fs::Advice;
use rustix::io::Errno;

use super::{LogFile, Storage, parent};

/// Names of temporary files differ, so that two writers of one file never share one.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// `std::fs`, with fsync where a promise needs it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealStorage;

impl Storage for RealStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(RealFile(File::open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        absent_as(fs::read(path).map(Some), None)
    }

    fn write_atomic(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let temporary = temporary_beside(path);
        let written = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(contents)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // The error that matters is the one above; what is left is removed at the next open.
            let _ = fs::remove_file(&temporary);
            return written;
        }
        self.sync_dir(&parent(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        absent_as(fs::remove_file(path), ())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        absent_as(fs::remove_dir_all(path), ())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let Some(entries) = absent_as(fs::read_dir(path).map(Some), None)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// A file opened with `O_APPEND`.
#[derive(Debug)]
struct RealFile(File);

impl LogFile for RealFile {
    fn append(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match (&self.0).write_vectored(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn forget(&self, bytes: Range<u64>) {
        let Some(length) = NonZeroU64::new(bytes.end.saturating_sub(bytes.start)) else { return };
        if let Err(error) = rustix::fs::fadvise(&self.0, bytes.start, Some(length), Advice::DontNeed) {
            tracing::debug!(%error, "the system keeps what it was told to forget");
        }
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_new(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = position + bytes.len() as u64;
            match rustix::io::pread(&self.0, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let age = self.0.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Prefix of files that are not finished; no file that is meant to stay is called so.
pub(crate) const TEMPORARY_PREFIX: &str = "~writing-";

fn temporary_beside(path: &Path) -> PathBuf {
    let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id()))
}

fn absent_as<T>(result: io::Result<T>, absent: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(absent),
        other => other,
    }
}
