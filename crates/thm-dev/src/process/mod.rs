//! One child process: started, watched, stopped, never lost.
//!
//! A [`Launch`] says what to run; [`Process::spawn`] makes it a [`Process`], which knows when the child ends and
//! ends it at the latest when dropped.
//!
//! ```text
//!   Launch ──spawn──▶ running ──exit──▶ ended ──▶ status kept, pid file removed
//!                        │                ▲
//!                        └── stop(): close its input or send the stop signal ─┐
//!                                          ▲                                  │ grace over
//!                                          └──────── SIGKILL to its group ◀───┘
//! ```
//!
//! * The child's end is seen by a thread that waits for it *without reaping*; it reaps under the lock that signals
//!   are sent under. So a signal never reaches a stranger who got the number.
//! * The child leads its own process group: Ctrl-C at the terminal reaches the supervisor only, which decides the order.
//! * `setpriv --pdeathsig` makes the kernel stop the child when the thread that started it ends. Hence all children are
//!   started by one thread that lives as long as this process.

mod identity;
mod ports;
mod reclaim;
mod spawn;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::{Condvar, Mutex};
use thm_api::{Error, ErrorKind, Result};
use tokio::sync::watch;

pub use identity::ProcessId;
pub use ports::{free_ports, owner_of, require_free};
pub use reclaim::reclaim_orphans;
pub(crate) use spawn::find_program;

/// How long a child that serves until its input closes may take to end after that.
const DEFAULT_INPUT_CLOSE_GRACE: Duration = Duration::from_secs(3);
/// A log above this is set aside as `NAME.log.1` (which it replaces): two files bound a service's log.
const DEFAULT_MAX_LOG_BYTES: u64 = 32 << 20;

/// As whom a child runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// As we do.
    Caller,
    /// As this user and group; needs root.
    User {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// In a user namespace in which we have another number, for programs that refuse to be root.
    Namespace,
}

/// What to run and how to end it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program, by path or by name on `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory; ours when none.
    pub directory: Option<PathBuf>,
    /// As whom.
    pub run_as: RunAs,
    /// Sent to stop it, and by the kernel when we die.
    pub stop_signal: Signal,
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
    /// Whether it serves until its standard input closes.
    pub until_input_closes: bool,
    /// Whether it writes to our own output instead of its log file.
    pub inherit_output: bool,
}

impl Launch {
    /// `program` with `args`, as the caller, stopped by SIGTERM within 10 s.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            directory: None,
            run_as: RunAs::Caller,
            stop_signal: Signal::SIGTERM,
            grace: Duration::from_secs(10),
            until_input_closes: false,
            inherit_output: false,
        }
    }
}

/// Where children leave their logs and pid files.
#[derive(Clone, Debug)]
pub struct Folders {
    /// `NAME.log` per service.
    pub logs: PathBuf,
    /// `NAME.pid` per running service.
    pub pids: PathBuf,
}

impl Folders {
    /// `logs/` and `run/` under `data`, created.
    ///
    /// # Errors
    /// `LocalService` when they cannot be created.
    pub fn create(data: &Path) -> Result<Self> {
        let folders = Self { logs: data.join("logs"), pids: data.join("run") };
        for folder in [&folders.logs, &folders.pids] {
            fs::create_dir_all(folder).map_err(|error| local("creating a folder", folder.display(), error))?;
        }
        Ok(folders)
    }

    /// The log of `name`.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The pid file of `name`.
    #[must_use]
    pub fn pid(&self, name: &str) -> PathBuf {
        self.pids.join(format!("{name}.pid"))
    }
}

/// A started child. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    identity: ProcessId,
    shared: Arc<Shared>,
    input: Mutex<Option<ChildStdin>>,
    log: PathBuf,
    /// Where in the log this run begins.
    log_start: u64,
}

#[derive(Debug)]
struct Shared {
    /// None while it runs. Signals are sent, and the child is reaped, under this lock.
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
    watch: watch::Sender<Option<ExitStatus>>,
}

impl Process {
    /// Starts `launch` under `name`, with its log and pid file in `folders`.
    ///
    /// # Errors
    /// `LocalService` when the program cannot be started or its files cannot be written.
    pub async fn spawn(name: &str, launch: Launch, folders: &Folders) -> Result<Self> {
        let log = folders.log(name);
        let log_start =
            fs::metadata(&log).map_or(0, |meta| if meta.len() > DEFAULT_MAX_LOG_BYTES { 0 } else { meta.len() });
        trim_log(&log);
        let (mut child, identity) = spawn::start(name, &launch, &log).await?;
        let input = Mutex::new(child.stdin.take());
        let shared =
            Arc::new(Shared { status: Mutex::new(None), ended: Condvar::new(), watch: watch::channel(None).0 });
        let pid_file = folders.pid(name);
        identity.write(&pid_file).map_err(|error| local("writing a pid file", pid_file.display(), error))?;
        spawn::reap_in_background(child, Arc::clone(&shared), pid_file);
        Ok(Self { launch, identity, shared, input, log, log_start })
    }

    /// Its number and start time.
    #[must_use]
    pub fn identity(&self) -> ProcessId {
        self.identity
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        *self.shared.status.lock()
    }

    /// Waits for its end. Cancel-safe.
    pub async fn ended(&self) -> ExitStatus {
        self.exit_watch().await
    }

    /// The same as a future that does not borrow this process.
    pub fn exit_watch(&self) -> impl Future<Output = ExitStatus> + Send + use<> {
        let mut watch = self.shared.watch.subscribe();
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                if let Some(status) = *shared.status.lock() {
                    return status;
                }
                // The sender lives in `shared`, so this cannot fail.
                let _ = watch.changed().await;
            }
        }
    }

    /// Sends a signal if it still runs.
    pub fn signal(&self, signal: Signal) {
        let status = self.shared.status.lock();
        if status.is_none() {
            // Not reaped before we let go of the lock: the number is still this child's.
            let _ = kill(Pid::from_raw(self.identity.pid), signal);
        }
    }

    /// Asks it to stop and waits for its end, by force when its grace is over. Blocks.
    pub fn stop(&self) {
        if self.input.lock().take().is_some() && self.wait(DEFAULT_INPUT_CLOSE_GRACE) {
            return;
        }
        self.signal(self.launch.stop_signal);
        if !self.wait(self.launch.grace) {
            self.kill();
        }
    }

    /// Kills it and waits for its end, as a crash would. Blocks.
    pub fn kill(&self) {
        {
            let status = self.shared.status.lock();
            if status.is_none() {
                self.identity.kill_group();
            }
        }
        // SIGKILL cannot be refused; the bound is for a child stuck in the kernel.
        let _ = self.wait(Duration::from_secs(10));
    }

    /// Waits up to `limit` for its end; true when it has ended. Blocks.
    fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut status = self.shared.status.lock();
        while status.is_none() {
            if self.shared.ended.wait_until(&mut status, deadline).timed_out() {
                return status.is_some();
            }
        }
        true
    }

    /// The last lines that this run wrote to its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, self.log_start, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How a child ended, in words.
#[must_use]
pub fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(number)) => {
            let name = Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.to_string());
            format!("was killed by {name}")
        }
        (None, None) => "ended".to_owned(),
    }
}

/// The last `lines` of a file from byte `start` on; at most the last 64 KiB are looked at.
#[must_use]
pub fn tail(file: &Path, start: u64, lines: usize) -> String {
    const LOOKED_AT_BYTES: u64 = 64 << 10;
    let Ok(mut file) = File::open(file) else { return String::new() };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let start = start.max(length.saturating_sub(LOOKED_AT_BYTES)).min(length);
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(start)).and_then(|_| file.take(LOOKED_AT_BYTES).read_to_end(&mut bytes)).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Sets a log that has grown too long aside. Safe while it is written: children append.
pub fn trim_log(log: &Path) {
    if fs::metadata(log).is_ok_and(|meta| meta.len() > DEFAULT_MAX_LOG_BYTES) {
        let aside = log.with_extension("log.1");
        if let Err(error) = fs::copy(log, aside).and_then(|_| File::options().write(true).open(log)?.set_len(0)) {
            tracing::warn!(log = %log.display(), %error, "could not set a log aside");
        }
    }
}

/// An error of the local stack.
pub(crate) fn local(
    doing: &'static str,
    object: impl std::fmt::Display,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(ErrorKind::LocalService, doing, object.to_string()).with_source(source)
}

#[cfg(test)]
mod tests;
