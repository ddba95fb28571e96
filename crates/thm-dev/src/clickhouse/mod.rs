//! `clickhouse-engine`: a current ClickHouse that serves HTTP, from a library.
//!
//! No package of the system has a current ClickHouse server; the npm package `@chdb/lib-linux-x64-gnu` has the whole
//! engine as one library, handlers of the server included. It is `clickhouse-local` with its HTTP handler switched on:
//!
//! ```text
//!   clickhouse-engine ──▶ chdb_query_cmdline("SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin')")
//!                              │  first statement: opens 127.0.0.1:PORT
//!                              └─ second statement: serves until standard input closes
//! ```
//!
//! So it ends when whoever holds its input ends, however that happens. Not like a server: asynchronous inserts run
//! synchronously, there are no replicated tables and no users. Loopback only, as there is no password.

mod library;

use std::path::PathBuf;

use clap::Args;
use thm_api::{Error, ErrorKind, ExitCode, Result};

use self::library::Library;
use crate::process::local;

/// Options of the hidden subcommand `clickhouse-engine`.
#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    /// Folder of its data, created when missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Port of its HTTP interface on 127.0.0.1
    #[arg(long, default_value_t = 8123)]
    port: u16,
    /// The library; by default where tools/setup.sh puts it
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
}

/// Serves until standard input closes, then ends this process. Blocks; call it before anything else needs the process.
///
/// # Errors
/// `LocalService` when the library is missing or the engine refuses its arguments.
pub fn run(args: &EngineArgs) -> Result<ExitCode> {
    let path = match &args.library {
        Some(path) => path.clone(),
        None => library_path()?,
    };
    std::fs::create_dir_all(&args.data).map_err(|error| local("creating a folder", args.data.display(), error))?;
    let data = args.data.to_str().ok_or_else(|| {
        Error::new(ErrorKind::InvalidConfig, "reading --data", args.data.display().to_string())
            .with_hint("The engine takes a path in UTF-8 only.")
    })?;
    let library = Library::load(&path)?;
    let serve =
        "SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin', LineAsString, 'line String') FORMAT Null";
    let answer = library.command_line(&[
        "clickhouse-local",
        "--path",
        data,
        "--query",
        serve,
        "--",
        "--listen_host=127.0.0.1",
        &format!("--http_port={}", args.port),
    ]);
    match answer {
        // Its own clean-up crashes now and then, after the data is safe: end at once.
        Ok(()) => library.exit(0),
        Err(refusal) => Err(Error::new(ErrorKind::LocalService, "starting the ClickHouse engine", refusal)),
    }
}

/// Where the library lies: `$THM_CACHE` (default `~/.cache/thamanya`), by version.
///
/// # Errors
/// `LocalService` when it is not there.
pub fn library_path() -> Result<PathBuf> {
    let cache = std::env::var_os("THM_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache/thamanya")));
    let path = cache.unwrap_or_default().join("chdb").join(library::VERSION).join("libchdb.so");
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(ErrorKind::LocalService, "looking for the ClickHouse engine", path.display().to_string())
        .with_hint("Run tools/setup.sh, which fetches it once; or give a server of yours with --clickhouse URL."))
}

/// A program that has the subcommand `clickhouse-engine`: this one if it is `thm`; in a test of this workspace the
/// example program of this crate, built when it is missing.
///
/// # Errors
/// `LocalService` when it is none of these and cannot be built.
pub fn engine_program() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|error| local("finding", "this program", error))?;
    if own.file_stem().is_some_and(|stem| stem == "thm") {
        return Ok(own);
    }
    // target/PROFILE/deps/NAME-HASH, or target/PROFILE/NAME
    let profile = own
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_none_or(|name| name != "deps" && name != "examples"));
    let Some(profile) = profile else { return Ok(own) };
    let program = profile.join("examples").join("dev_stack");
    if !program.is_file() {
        build_example(profile)?;
    }
    Ok(program)
}

/// Builds the example program with the cargo that runs this test.
fn build_example(profile: &std::path::Path) -> Result<()> {
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "thm-dev", "--example", "dev_stack", "--target-dir"]);
    cargo.arg(profile.parent().unwrap_or(profile)).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|error| local("building", "the example program dev_stack", error))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LocalService, "building", "the example program dev_stack")
        .with_hint("Run `cargo build -p thm-dev --example dev_stack` to see why."))
}

#[cfg(test)]
mod tests {
    #[test]
    fn setup_fetches_the_version_that_we_load() {
        let setup = include_str!("../../../../tools/setup.sh");
        assert!(setup.contains(&format!("chdb_version={}\n", super::library::VERSION)));
    }
}
