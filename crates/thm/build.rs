//! Puts the pages of `docs/errors/` into the binary: what to do must be at hand where the error shows.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let target = env::var("OUT_DIR").map_err(io::Error::other)?;
    let folder = Path::new(&here).join("../../docs/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pages: Vec<_> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    let mut table = "&[".to_owned();
    for page in pages {
        let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        write!(table, "({name:?}, include_str!({:?})),", page.display().to_string()).map_err(io::Error::other)?;
    }
    fs::write(Path::new(&target).join("error_pages.rs"), table + "]")
}
