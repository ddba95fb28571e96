//! As whom PostgreSQL runs: it refuses to be root.
//!
//! ```text
//!   not root ─────────────────────────────────────▶ as we are
//!   root, and user `postgres` (else `nobody`)
//!         can reach the folder ───────────────────▶ as that user, who then owns the folder
//!   root, and that user cannot reach it ──────────▶ in a user namespace, in which root has another number
//! ```

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use nix::unistd::{Uid, User};
use thm_api::Result;

use crate::process::{RunAs, local};

/// How to run a program that refuses to be root on data in `folder`.
#[must_use]
pub(super) fn unprivileged(folder: &Path) -> RunAs {
    if !Uid::effective().is_root() {
        return RunAs::Caller;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    match user {
        Some(user) if is_reachable(folder, user.uid.as_raw(), user.gid.as_raw()) => {
            RunAs::User { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
        }
        _ => RunAs::Namespace,
    }
}

/// Gives everything under `folder` to whom it belongs then.
pub(super) fn hand_over(folder: &Path, run_as: RunAs) -> Result<()> {
    let (uid, gid) = match run_as {
        RunAs::Caller => return Ok(()),
        RunAs::User { uid, gid } => (uid, gid),
        RunAs::Namespace => (Uid::effective().as_raw(), nix::unistd::Gid::effective().as_raw()),
    };
    let meta = fs::symlink_metadata(folder).map_err(|error| local("looking at", folder.display(), error))?;
    if (meta.uid(), meta.gid()) == (uid, gid) {
        // What is below was handed over with it.
        return Ok(());
    }
    give(folder, uid, gid).map_err(|error| local("changing the owner of", folder.display(), error))
}

/// Children first: the folder itself then says that all is done.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).or_else(|_| chown(path, Some(uid), Some(gid)))
}

/// Whether every folder above `folder` lets that user through.
fn is_reachable(folder: &Path, uid: u32, gid: u32) -> bool {
    folder.ancestors().skip(1).filter_map(|above| fs::metadata(above).ok()).all(|meta| {
        let shift = if meta.uid() == uid {
            6
        } else if meta.gid() == gid {
            3
        } else {
            0
        };
        meta.mode() >> shift & 1 == 1
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_closed_folder_above_is_seen() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("open/data");
        fs::create_dir_all(&below).unwrap();
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_reachable(&below, 65534, 65534));
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_reachable(&below, 65534, 65534));
    }
}
