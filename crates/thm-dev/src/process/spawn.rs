//! The two threads behind a child: one for all that starts them, one each that waits for its end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use thm_api::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::{Launch, ProcessId, RunAs, Shared, local};

type Order = (Command, oneshot::Sender<std::io::Result<Child>>);

/// Starts the child on the thread whose life is the children's life line (see the module above).
pub(super) async fn start(name: &str, launch: &Launch, log: &Path) -> Result<(Child, ProcessId)> {
    let command = command(launch, log)?;
    let (reply, answer) = oneshot::channel();
    starter().send((command, reply)).map_err(|_| gone(name))?;
    let child = answer.await.map_err(|_| gone(name))?.map_err(|error| local("starting", name, error))?;
    // It may have ended already, yet it is not reaped: its entry is there.
    let identity = ProcessId::of_child(&child).ok_or_else(|| gone(name))?;
    Ok((child, identity))
}

fn gone(name: &str) -> Error {
    Error::new(ErrorKind::Internal, "starting a child", name)
}

/// The thread that starts children; it ends with this process only.
fn starter() -> &'static mpsc::Sender<Order> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        let work = move || {
            for (mut command, reply) in inbox {
                // An asker who no longer waits gets no child.
                if let Err(Ok(mut child)) = reply.send(command.spawn()) {
                    let _ = child.kill().and_then(|()| child.wait());
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("thm-children".to_owned()).spawn(work) {
            // The channel's other end is gone with the closure; every start says so.
            tracing::error!(%error, "could not start the thread for children");
        }
        orders
    })
}

/// `[unshare] [setpriv --pdeathsig] program args`, in its own process group, output appended to the log.
fn command(launch: &Launch, log: &Path) -> Result<Command> {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    if launch.run_as == RunAs::Namespace {
        words.extend(["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"].map(Into::into));
    }
    if let Some(setpriv) = setpriv() {
        // Last before the program: a change of credentials would clear the setting again.
        let signal = launch.stop_signal.as_str().trim_start_matches("SIG");
        words.extend([setpriv.into(), "--pdeathsig".into(), signal.into(), "--".into()]);
    }
    words.push(program(launch)?.into());
    words.extend(launch.args.iter().cloned());

    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).process_group(0);
    command.stdin(if launch.until_input_closes { Stdio::piped() } else { Stdio::null() });
    if !launch.inherit_output {
        let output = File::options().create(true).append(true).open(log);
        let output = output.map_err(|error| local("opening a log", log.display(), error))?;
        let errors = output.try_clone().map_err(|error| local("opening a log", log.display(), error))?;
        command.stdout(output).stderr(errors);
    }
    if let Some(directory) = &launch.directory {
        command.current_dir(directory);
    }
    if let RunAs::User { uid, gid } = launch.run_as {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// The program to run, looked up here: behind `setpriv` a missing one would only show in the log.
fn program(launch: &Launch) -> Result<PathBuf> {
    let found = match launch.program.to_str() {
        Some(name) if !name.contains('/') => find_program(name),
        _ => Some(launch.program.clone()).filter(|path| path.is_file()),
    };
    found.ok_or_else(|| {
        Error::new(ErrorKind::LocalService, "looking for a program", launch.program.display().to_string())
            .with_hint("Run tools/setup.sh, which installs what the local stack needs.")
    })
}

/// `setpriv` of util-linux, where it is (everywhere on Debian). Without it the pid files alone find orphans.
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| find_program("setpriv")).as_deref()
}

/// The program `name` on `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Keeps the child's status in `shared` when it ends.
pub(super) fn reap_in_background(mut child: Child, shared: Arc<Shared>, pid_file: PathBuf) {
    let work = move || {
        let pid = Pid::from_raw(child.id().cast_signed());
        // Interrupted by a signal: wait again. Any other error: `wait` below reports it.
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
        let mut status = shared.status.lock();
        let exit = child.wait().unwrap_or_default();
        let _ = fs::remove_file(pid_file);
        *status = Some(exit);
        shared.ended.notify_all();
        drop(status);
        shared.watch.send_replace(Some(exit));
    };
    if let Err(error) = std::thread::Builder::new().name("thm-child-wait".to_owned()).spawn(work) {
        tracing::error!(%error, "could not start the thread that waits for a child");
    }
}
