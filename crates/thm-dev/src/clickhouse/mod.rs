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
mod program;

use std::path::PathBuf;

use clap::Args;
use thm_api::{Error, ErrorKind, ExitCode, Result};

pub use self::program::engine_program;

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

#[cfg(test)]
mod tests {
    #[test]
    fn setup_fetches_the_version_that_we_load() {
        let setup = include_str!("../../../../tools/setup.sh");
        assert!(setup.contains(&format!("chdb_version={}\n", super::library::VERSION)));
    }
}
