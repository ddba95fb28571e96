//! Which program can be started as `clickhouse-engine`: `thm` itself, or in tests the example program of this crate.
//!
//! The tests of a library have no `thm` at hand: cargo builds it for its own package only. The example is small and
//! belongs to this crate, so whoever tests with [`crate::services::ClickHouse`] can have it built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use thm_api::{Error, ErrorKind, Result};

use crate::process::local;

/// The example program.
const EXAMPLE: &str = "dev_stack";

/// This program if it is `thm`, else the example program, built when it is missing or older than its sources.
///
/// # Errors
/// `LocalService` when it cannot be built.
pub fn engine_program() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|error| local("finding", "this program", error))?;
    if own.file_stem().is_some_and(|stem| stem == "thm") {
        return Ok(own);
    }
    // target/PROFILE/deps/NAME-HASH, target/PROFILE/examples/NAME or target/PROFILE/NAME
    let is_profile = |folder: &&Path| !["deps", "examples"].iter().any(|name| folder.ends_with(name));
    let profile = own.ancestors().skip(1).find(is_profile).unwrap_or(Path::new("."));
    let program = profile.join("examples").join(EXAMPLE);
    let built = fs::metadata(&program).and_then(|meta| meta.modified()).ok();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    if own != program
        && built.is_none_or(|built| ["src", "examples"].iter().any(|part| is_newer(&sources.join(part), built)))
    {
        build(profile)?;
    }
    Ok(program)
}

/// Whether a file in `folder` or below has changed since.
fn is_newer(folder: &Path, than: SystemTime) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => is_newer(&entry.path(), than),
        Ok(meta) => meta.modified().is_ok_and(|changed| changed > than),
        Err(_) => false,
    })
}

/// Builds the example with the cargo that runs this test, into the same target folder.
fn build(profile: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "thm-dev", "--example", EXAMPLE, "--target-dir"]);
    cargo.arg(profile.parent().unwrap_or(profile)).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|error| local("building", EXAMPLE, error))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LocalService, "building", format!("the example program {EXAMPLE}"))
        .with_hint("Run `cargo build -p thm-dev --example dev_stack` to see why."))
}
