//! `thm dev ps|logs|stop|start|restart`: the second terminal.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use thm_api::{Error, ErrorKind, ExitCode, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::console::Console;
use crate::process::{local, tail};

use super::control::{Action, Answer, Question, SocketPath};
use super::{DevCommand, names};

/// How often a followed log is looked at.
const DEFAULT_FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Carries out `command` on the stack of the data folder.
pub(super) async fn run(data: &Path, command: DevCommand) -> Result<ExitCode> {
    let (action, service) = match command {
        DevCommand::Logs { service, follow, lines } => return logs(data, &service, follow, lines).await,
        DevCommand::Ps => (Action::Ps, String::new()),
        DevCommand::Stop { service } => (Action::Stop, service),
        DevCommand::Start { service } => (Action::Start, service),
        DevCommand::Restart { service } => (Action::Restart, service),
    };
    let answer = ask(data, &Question { action, service }).await?;
    if !answer.ok {
        return Err(Error::new(ErrorKind::LocalService, "asking thm dev", answer.text)
            .with_hint("See `thm dev ps`, and `thm dev logs SERVICE`."));
    }
    Console::default().plain(&answer.text);
    Ok(ExitCode::Ok)
}

async fn ask(data: &Path, question: &Question) -> Result<Answer> {
    let nobody = |error: std::io::Error| {
        local("asking thm dev", data.display(), error)
            .with_hint("Start it with `thm dev`, or name its folder with --data.")
    };
    if !data.is_dir() {
        return Err(nobody(std::io::ErrorKind::NotFound.into()));
    }
    let socket = SocketPath::of(data)?;
    let mut stream = UnixStream::connect(socket.path()).await.map_err(nobody)?;
    let internal = |error| Error::new(ErrorKind::Internal, "asking thm dev", "control.sock").with_source(error);
    let mut line = serde_json::to_string(question).map_err(internal)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(nobody)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(nobody)?;
    serde_json::from_str(&answer).map_err(internal)
}

/// Prints the end of a log, and with `follow` what is added. Works without a running stack, too.
async fn logs(data: &Path, service: &str, follow: bool, lines: usize) -> Result<ExitCode> {
    let name = names::resolve(service).ok_or_else(|| {
        Error::new(ErrorKind::InvalidConfig, "looking for a log", format!("there is no service '{service}'"))
            .with_hint(format!("There are {}.", names::all()))
    })?;
    let file = data.join("logs").join(format!("{name}.log"));
    let end = std::fs::metadata(&file).map_err(|error| local("reading", file.display(), error))?.len();
    Console::default().plain(&tail(&file, 0, lines));
    if follow {
        follow_from(&file, end).await?;
    }
    Ok(ExitCode::Ok)
}

/// Prints what is added to a log from `position` on, until its reader has gone away.
async fn follow_from(file: &Path, mut position: u64) -> Result<()> {
    loop {
        tokio::time::sleep(DEFAULT_FOLLOW_INTERVAL).await;
        let mut log = std::fs::File::open(file).map_err(|error| local("reading", file.display(), error))?;
        let length = log.metadata().map_or(0, |meta| meta.len());
        if length < position {
            // It was set aside and begins anew.
            position = 0;
        }
        let mut added = Vec::new();
        let read = log.seek(SeekFrom::Start(position)).and_then(|_| log.read_to_end(&mut added));
        position += read.map_err(|error| local("reading", file.display(), error))? as u64;
        let mut out = std::io::stdout().lock();
        if out.write_all(&added).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}
