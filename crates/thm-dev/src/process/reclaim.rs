//! Ends what an earlier supervisor left behind: each child has a pid file with its start time, so that the
//! next start kills exactly that child and never a stranger who got its number.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::ProcessId;

/// How long an orphan may take to stop by itself; PostgreSQL writes a checkpoint in that time.
const DEFAULT_ORPHAN_GRACE: Duration = Duration::from_secs(15);

/// Stops every process of the pid files in `folder` and removes the files; gives their names.
#[must_use]
pub fn reclaim_orphans(folder: &Path) -> Vec<String> {
    let mut reclaimed = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(orphan) = ProcessId::read(&path).filter(|orphan| orphan.is_alive()) {
            // SIGINT is PostgreSQL's fast shutdown; the others take it as Ctrl-C.
            orphan.signal(Signal::SIGINT);
            if !orphan.wait_until_gone(DEFAULT_ORPHAN_GRACE) {
                orphan.kill_group();
                let _ = orphan.wait_until_gone(DEFAULT_ORPHAN_GRACE);
            }
            reclaimed.push(name);
        }
        // A file that cannot be removed names a dead process: harmless.
        let _ = fs::remove_file(&path);
    }
    reclaimed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[test]
    fn ends_the_orphan_and_spares_the_stranger_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut orphan = Command::new("sleep").arg("60").spawn().unwrap();
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        let orphan_id = ProcessId::of(orphan.id().cast_signed()).unwrap();
        let stranger_id = ProcessId::of(stranger.id().cast_signed()).unwrap();
        orphan_id.write(&folder.path().join("redis.pid")).unwrap();
        ProcessId { start_ticks: stranger_id.start_ticks + 1, ..stranger_id }
            .write(&folder.path().join("postgres.pid"))
            .unwrap();

        assert_eq!(reclaim_orphans(folder.path()), ["redis"]);
        assert!(!orphan_id.is_alive());
        assert!(stranger_id.is_alive());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        stranger.kill().unwrap();
        stranger.wait().unwrap();
        orphan.wait().unwrap();
    }
}
