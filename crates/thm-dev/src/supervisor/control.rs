//! `control.sock`: one request a connection, a JSON line each way.
//!
//! ```json
//! {"action":"restart","service":"redpanda"}
//! {"ok":true,"text":"run is running"}
//! ```

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thm_api::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::process::local;

use super::stack::Event;
use super::unit::Waiter;

/// Longest request line taken.
const DEFAULT_MAX_REQUEST_BYTES: u64 = 4096;

/// What can be asked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Ps,
    Stop,
    Start,
    Restart,
}

/// A request, and where its answer goes.
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) service: String,
    pub(super) reply: Waiter,
}

/// A request on the wire.
#[derive(Deserialize, Serialize)]
pub(super) struct Question {
    pub(super) action: Action,
    #[serde(default)]
    pub(super) service: String,
}

/// An answer on the wire.
#[derive(Deserialize, Serialize)]
pub(super) struct Answer {
    pub(super) ok: bool,
    pub(super) text: String,
}

/// A path to the socket that fits into an address (108 bytes) however deep the folder lies: through the descriptor
/// of the folder, which must stay open as long as the path is used.
pub(super) struct SocketPath {
    folder: File,
}

impl SocketPath {
    pub(super) fn of(data: &Path) -> Result<Self> {
        let folder = File::open(data).map_err(|error| local("opening", data.display(), error))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/control.sock", self.folder.as_raw_fd()))
    }
}

/// Listens in `data` and passes requests on.
pub(super) fn serve(data: &Path, events: mpsc::Sender<Event>) -> Result<JoinHandle<()>> {
    let socket = SocketPath::of(data)?;
    // Left by a supervisor that was killed; the lock says that it is gone.
    let _ = fs::remove_file(socket.path());
    let listener = UnixListener::bind(socket.path())
        .map_err(|error| local("listening", data.join("control.sock").display(), error))?;
    let file = data.join("control.sock");
    Ok(tokio::spawn(async move {
        let _removed_at_the_end = RemoveOnDrop(file);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(answer(stream, events.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept on the control socket");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }))
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Answers one connection.
async fn answer(stream: UnixStream, events: mpsc::Sender<Event>) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(DEFAULT_MAX_REQUEST_BYTES));
    if reader.read_line(&mut line).await.is_err() {
        return;
    }
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => ask(question, &events).await,
        Err(error) => Answer { ok: false, text: format!("the request is not understood: {error}") },
    };
    if let Ok(mut text) = serde_json::to_string(&answer) {
        text.push('\n');
        // One who asked and went away does not mind.
        let _ = writer.write_all(text.as_bytes()).await;
    }
}

async fn ask(question: Question, events: &mpsc::Sender<Event>) -> Answer {
    let (reply, answer) = oneshot::channel();
    let request = Request { action: question.action, service: question.service, reply };
    let stopping = || Answer { ok: false, text: "the stack is stopping".to_owned() };
    if events.send(Event::Control(request)).await.is_err() {
        return stopping();
    }
    match answer.await {
        Ok(Ok(text)) => Answer { ok: true, text },
        Ok(Err(text)) => Answer { ok: false, text },
        Err(_) => stopping(),
    }
}
