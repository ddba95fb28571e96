//! `DataFolder`: the one folder an engine owns, its version and its lock.
//!
//! ```text
//!  <dir>/ format-version   log/  state/  toast/  spool/  connect/   lock (pid of the holder)
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use thm_api::{Error, ErrorKind, Result};

use crate::storage::{RealStorage, Storage};

/// Version of everything below the folder. A change of any format in it raises the number.
const FORMAT_VERSION: &str = "1";

/// The folder, locked for this process as long as this value lives.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, locks it, and checks its version.
    ///
    /// `ErrorKind::DataFolder` names the process that holds it, or the version it has.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let failed = |error: std::io::Error| unusable(&root, error);
        fs::create_dir_all(&root).map_err(failed)?;
        let lock = take_lock(&root)?;
        check_version(&root)?;
        for part in ["log", "state", "toast", "spool", "connect"] {
            fs::create_dir_all(root.join(part)).map_err(failed)?;
        }
        RealStorage.sync_dir(&root).map_err(failed)?;
        Ok(Self { root, _lock: lock })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Topics: [`crate::LogConfig::dir`].
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Checkpoints, markers, group offsets: [`crate::FileStateStore`].
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Large values that updates leave out; not under [`DataFolder::state`], which holds nothing but state values.
    #[must_use]
    pub fn toast(&self) -> PathBuf {
        self.root.join("toast")
    }

    /// Bytes that did not fit in memory; may be emptied at start.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Connectors made by REST.
    #[must_use]
    pub fn connect(&self) -> PathBuf {
        self.root.join("connect")
    }
}

fn refused(root: &Path) -> Error {
    Error::new(ErrorKind::DataFolder, "opening the data folder", root.display().to_string())
}

/// It cannot be made, read or written.
fn unusable(root: &Path, error: std::io::Error) -> Error {
    refused(root).with_source(error).with_hint("Check data_dir in thm.toml, the rights on the folder, and its disk.")
}

fn take_lock(root: &Path) -> Result<File> {
    let failed = |error: std::io::Error| unusable(root, error);
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(root.join("lock"));
    let mut file = open.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Without the number the message is poorer, not wrong.
            let _ = file.read_to_string(&mut pid);
            let holder = if pid.trim().is_empty() { "an unknown process" } else { pid.trim() };
            return Err(refused(root).with_source(format!("it is in use by process {holder}")));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let write_pid = (|| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    })();
    write_pid.map_err(failed)?;
    Ok(file)
}

fn check_version(root: &Path) -> Result<()> {
    let path = root.join("format-version");
    let failed = |error: std::io::Error| refused(root).with_source(error);
    match RealStorage.read(&path).map_err(failed)? {
        None => RealStorage.write_atomic(&path, format!("{FORMAT_VERSION}\n").as_bytes()).map_err(failed),
        Some(found) if found.trim_ascii() == FORMAT_VERSION.as_bytes() => Ok(()),
        Some(found) => Err(refused(root)
            .with_source(format!(
                "it has format {}, this build reads {FORMAT_VERSION}",
                String::from_utf8_lossy(&found).trim()
            ))
            .with_hint("Use the build that wrote this folder, or choose another folder.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_error_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataFolder::open(dir.path().join("data")).unwrap();
        assert!(
            held.log().is_dir()
                && held.state().is_dir()
                && held.spool().is_dir()
                && held.toast().is_dir()
                && held.connect().is_dir()
        );
        let error = DataFolder::open(dir.path().join("data")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataFolder);
        assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(held);
        DataFolder::open(dir.path().join("data")).unwrap();
    }

    #[test]
    fn another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::open(dir.path()).unwrap());
        fs::write(dir.path().join("format-version"), "99\n").unwrap();
        let error = DataFolder::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("it has format 99"), "{error}");
    }
}
