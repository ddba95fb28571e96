//! What the disk itself takes to make 4 KiB durable.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

/// Enough for a 99th percentile, short enough to stand beside each measurement.
const SYNCS: usize = 300;

/// Appends a page and syncs it, again and again; each in milliseconds.
pub(super) fn fsync_ms(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("fsync.probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(path)?;
    Ok(times)
}
