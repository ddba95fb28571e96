//! `FaultStorage`: a file system that fails on purpose.
//!
//! ```text
//!  append ─▶ held in memory ─sync─▶ written and fsynced      (drop-unsynced: a kill or crash loses what is held)
//! ```
//!
//! `kill -9` alone proves nothing about fsync, because the page cache survives it. Here unsynced bytes live in
//! this process, so a kill loses them; [`FaultStorage::crash`] does the same inside one process, and also removes
//! files whose folder entry was never made durable.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::{LogFile, RealStorage, Storage, parent, partition_of};

/// A thing that goes wrong, for the files of one partition (`topic-0`) or of all (`*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Bytes are held in memory until they are synced.
    DropUnsynced(String),
    /// Appends fail with EIO.
    FailWrite(String),
    /// Appends fail with ENOSPC.
    NoSpace(String),
    /// Syncs fail with EIO, and the bytes are gone.
    FailSync(String),
    /// Syncs wait until the fault is lifted or the machine crashes.
    HoldSync(String),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, target) = text.split_once(':').ok_or_else(|| format!("failpoint `{text}` names no partition"))?;
        let target = target.to_owned();
        match name {
            "log.drop-unsynced" => Ok(Self::DropUnsynced(target)),
            "log.fail-write" => Ok(Self::FailWrite(target)),
            "log.no-space" => Ok(Self::NoSpace(target)),
            "log.fail-sync" => Ok(Self::FailSync(target)),
            "log.hold-sync" => Ok(Self::HoldSync(target)),
            _ => Err(format!("there is no failpoint `{name}`")),
        }
    }
}

/// The real file system with faults.
#[derive(Clone, Debug, Default)]
pub struct FaultStorage {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Mutex<HashSet<Fault>>,
    lifted: Condvar,
    crashed: AtomicBool,
    /// Files made since their folder was last synced: a crash may lose the entry.
    unsynced_entries: Mutex<HashSet<PathBuf>>,
}

impl FaultStorage {
    /// Without faults it is the file system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on this goes wrong.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.lock().insert(fault);
    }

    /// This goes right again.
    pub fn lift(&self, fault: &Fault) {
        self.shared.faults.lock().remove(fault);
        self.shared.lifted.notify_all();
    }

    /// The machine loses power: held bytes and unsynced folder entries are gone, and every later operation of
    /// whoever still uses this storage fails without touching a file.
    pub fn crash(&self) {
        // Taken first, so that a sync under way either is whole or sees the crash.
        let faults = self.shared.faults.lock();
        self.shared.crashed.store(true, Ordering::SeqCst);
        self.shared.lifted.notify_all();
        drop(faults);
        for path in self.shared.unsynced_entries.lock().drain() {
            // A file that is gone already is as lost as it should be.
            let _ = std::fs::remove_file(path);
        }
    }

    fn alive(&self) -> io::Result<RealStorage> {
        self.shared.alive()?;
        Ok(RealStorage)
    }
}

impl Shared {
    fn alive(&self) -> io::Result<()> {
        if self.crashed.load(Ordering::SeqCst) { Err(io::Error::other("the machine has crashed")) } else { Ok(()) }
    }

    fn has(&self, fault: fn(String) -> Fault, target: &str) -> bool {
        let faults = self.faults.lock();
        faults.contains(&fault(target.to_owned())) || faults.contains(&fault("*".to_owned()))
    }

    /// Waits while syncs of the target are held back.
    fn wait_for_sync(&self, target: &str) -> io::Result<()> {
        let mut faults = self.faults.lock();
        loop {
            self.alive()?;
            let held = [target, "*"].iter().any(|name| faults.contains(&Fault::HoldSync((*name).to_owned())));
            if !held {
                return Ok(());
            }
            self.lifted.wait(&mut faults);
        }
    }
}

impl Storage for FaultStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let real = self.alive()?;
        if !path.exists() {
            self.shared.unsynced_entries.lock().insert(path.to_path_buf());
        }
        let target = partition_of(path).unwrap_or_default();
        let file = real.open(path)?;
        Ok(Arc::new(FaultFile { shared: Arc::clone(&self.shared), target, file, held: Mutex::default() }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.alive()?.open_read(path)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.alive()?.read(path)
    }

    fn write_atomic(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        self.alive()?.write_atomic(path, contents)?;
        // It has synced the folder, and with it every entry in there.
        self.sync_dir(&parent(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.alive()?.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.alive()?.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.alive()?.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.alive()?.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.alive()?.sync_dir(path)?;
        self.shared.unsynced_entries.lock().retain(|entry| parent(entry) != path);
        Ok(())
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.alive()?.free_bytes(path)
    }
}

/// A file of one partition, with the bytes that are not synced yet.
#[derive(Debug)]
struct FaultFile {
    shared: Arc<Shared>,
    target: String,
    file: Arc<dyn LogFile>,
    held: Mutex<Vec<u8>>,
}

impl LogFile for FaultFile {
    fn append(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.shared.alive()?;
        if self.shared.has(Fault::FailWrite, &self.target) {
            return Err(io::Error::other("injected write failure"));
        }
        if self.shared.has(Fault::NoSpace, &self.target) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut held = self.held.lock();
        if self.shared.has(Fault::DropUnsynced, &self.target) || !held.is_empty() {
            slices.iter().for_each(|slice| held.extend_from_slice(slice));
            return Ok(());
        }
        self.file.append(slices)
    }

    fn sync(&self) -> io::Result<()> {
        self.shared.wait_for_sync(&self.target)?;
        let mut held = self.held.lock();
        if self.shared.has(Fault::FailSync, &self.target) {
            held.clear();
            return Err(io::Error::other("injected fsync failure"));
        }
        if !held.is_empty() {
            self.file.append(&mut [IoSlice::new(&held)])?;
            held.clear();
        }
        self.file.sync()
    }

    fn forget(&self, bytes: Range<u64>) {
        self.file.forget(bytes);
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared.alive()?;
        self.file.read_at(position, buffer)
    }

    fn read_new(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        self.shared.alive()?;
        self.file.read_new(position, length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.shared.alive()?;
        self.held.lock().clear();
        self.file.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.length()? + self.held.lock().len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
}
