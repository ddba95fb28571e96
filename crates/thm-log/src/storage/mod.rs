//! The file layer: the only place of this crate that touches files, so that tests can take the disk away.
//!
//! [`RealStorage`] is the file system. [`FaultStorage`] wraps it and loses unsynced bytes, fails writes and
//! fsyncs, or holds them back; a running binary gets it through the environment variable `THM_FAILPOINT`.

mod fault;
mod real;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use fault::{Fault, FaultStorage};
pub use real::RealStorage;
pub(crate) use real::TEMPORARY_PREFIX;

/// Environment variable that names failpoints, such as `log.drop-unsynced:pg.public.content-0`; several are
/// separated by commas.
pub const FAILPOINT_VARIABLE: &str = "THM_FAILPOINT";

/// Files and folders by path.
///
/// `Ok` of a change to a folder (create, rename, remove) does not promise durability before
/// [`Storage::sync_dir`]; [`Storage::write_atomic`] does.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Opens the file for appends and reads, made if it is not there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Opens an existing file for reads only.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// The whole file; `None` if there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Replaces the file's contents: after any crash the old or the new ones are there, whole; after `Ok` the new.
    fn write_atomic(&self, path: &Path, contents: &[u8]) -> io::Result<()>;
    /// Makes the folder and those above it; present is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Moves a file or folder over what is at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the file; absent is fine.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes the folder with all in it; absent is fine.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Names in the folder, sorted; empty if there is no such folder.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the folder's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that an ordinary user may still write on the file system of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file that grows at its end.
pub trait LogFile: Debug + Send + Sync {
    /// Appends the slices in order, all of them or an error; not durable before [`LogFile::sync`].
    fn append(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Makes everything appended before the call durable. After an error nothing is known about those bytes.
    fn sync(&self) -> io::Result<()>;
    /// Gives back the memory in which the system keeps these bytes, which are durable; they are read from the disk from
    /// now on. Only advice: nothing tells whether it was taken.
    fn forget(&self, _bytes: Range<u64>) {}
    /// Fills `buffer` from `position` on; fewer bytes at the end of the file.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// `length` bytes from `position` on, fewer at the end of the file: in memory that was not set to zero before.
    fn read_new(&self, position: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Cuts the file at `length` bytes; durable after [`LogFile::sync`].
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// When it was last written, milliseconds since 1970.
    fn modified_ms(&self) -> io::Result<i64>;
}

/// The file system, with the failpoints that the environment names; a text that is not a failpoint is an error.
pub fn from_environment() -> io::Result<Arc<dyn Storage>> {
    let Ok(text) = std::env::var(FAILPOINT_VARIABLE) else { return Ok(Arc::new(RealStorage)) };
    let faults: Vec<Fault> = text
        .split(',')
        .filter(|name| name.starts_with("log."))
        .map(|name| name.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error)))
        .collect::<io::Result<_>>()?;
    if faults.is_empty() {
        return Ok(Arc::new(RealStorage));
    }
    tracing::warn!(failpoints = %text, "the file layer will fail on purpose");
    let storage = FaultStorage::new();
    faults.into_iter().for_each(|fault| storage.inject(fault));
    Ok(Arc::new(storage))
}

/// `<topic>-<partition>` of a file in `<dir>/<topic>/<partition>/`, as failpoints name it.
fn partition_of(path: &Path) -> Option<String> {
    let partition = path.parent()?;
    let topic = partition.parent()?;
    Some(format!("{}-{}", topic.file_name()?.to_str()?, partition.file_name()?.to_str()?))
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or_else(|| Path::new(".")).to_path_buf()
}
