//! The terminal while the screen has it: taken, drawn on, and given back whatever happens.
//!
//! ```text
//!   enter ── raw mode, other screen, standard error into a file, keys on a thread ──▶ draw … draw ──▶ leave
//!                                                                             panic ──────────────────▶ leave
//! ```

use std::fs::File;
use std::io::{self, IsTerminal, Stdout};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// How long the thread of the keys waits before it looks whether it is to end.
const DEFAULT_KEY_WAIT: Duration = Duration::from_millis(100);

/// Where standard error goes meanwhile, and where it came from.
static STANDARD_ERROR: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// What a person does at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `q`
    Quit,
    /// Ctrl-C: no signal comes while the terminal is raw.
    Interrupt,
    /// It has another size.
    Resize,
}

/// Whether there is a terminal that can be drawn on.
pub(super) fn is_there() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    io::stdout().is_terminal() && io::stdin().is_terminal() && !matches!(term.as_str(), "" | "dumb")
}

/// The taken terminal; given back when dropped.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    ended: Arc<AtomicBool>,
    keys: Option<JoinHandle<()>>,
}

impl Taken {
    /// Takes it; keys go to `keys`, what others print on standard error into `log`.
    pub(super) fn enter(log: &Path, keys: mpsc::UnboundedSender<Key>) -> io::Result<Self> {
        set_standard_error_aside(log)?;
        let terminal = ratatui::try_init().inspect_err(|_| bring_standard_error_back())?;
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            bring_standard_error_back();
            shown(panic);
        }));
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let keys = std::thread::Builder::new().name("keys".to_owned()).spawn(move || read(&until, &keys))?;
        Ok(Self { terminal, ended, keys: Some(keys) })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if self.keys.take().is_some_and(|keys| keys.join().is_err()) {
            tracing::debug!("the thread of the keys panicked");
        }
        ratatui::restore();
        bring_standard_error_back();
    }
}

/// Passes keys on until it is told to end, or nobody listens.
fn read(ended: &AtomicBool, keys: &mpsc::UnboundedSender<Key>) {
    while !ended.load(Ordering::Relaxed) {
        let event = match event::poll(DEFAULT_KEY_WAIT) {
            Ok(true) => event::read(),
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        let key = match event {
            Ok(Event::Resize(..)) => Some(Key::Resize),
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
                KeyCode::Char('q' | 'Q') => Some(Key::Quit),
                _ => None,
            },
            Ok(_) => None,
            // The terminal has gone away; a signal says so to the rest.
            Err(_) => return,
        };
        if key.is_some_and(|key| keys.send(key).is_err()) {
            return;
        }
    }
}

/// A line that anybody prints on standard error would lie across the screen.
fn set_standard_error_aside(log: &Path) -> io::Result<()> {
    if !io::stderr().is_terminal() {
        return Ok(());
    }
    let file = File::options().create(true).append(true).open(log)?;
    *STANDARD_ERROR.lock() = Some(nix::unistd::dup(io::stderr())?);
    nix::unistd::dup2_stderr(file)?;
    Ok(())
}

fn bring_standard_error_back() {
    if let Some(original) = STANDARD_ERROR.lock().take() {
        // Without it nothing could be said of the failure either.
        let _ = nix::unistd::dup2_stderr(original);
    }
}
