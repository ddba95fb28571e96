//! The live screen of `thm dev`: the supervisor's services and the engine's figures, drawn once a second and at every
//! change.
//!
//! ```text
//!   supervisor ──show──▶ Shown ──┐
//!   engine ──/api/status────────▶├──▶ one task draws ──▶ terminal
//!   journal (what is said) ─────▶│         ▲
//!                                └── keys ─┴──▶ supervisor: q, Ctrl-C
//! ```
//! Invariant: while it is open nobody else prints; when it closes the terminal is as it was, and the last figures stand
//! there as plain lines.

mod figures;
mod terminal;
mod text;
mod tree;
mod view;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ratatui::widgets::Paragraph;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

pub(super) use self::figures::{Figures, Source};
use self::terminal::{Key, Taken};
pub(super) use self::tree::rate;
use self::view::View;
pub(super) use self::view::{Guide, UnitRow};
use crate::console::{Console, JOURNAL};

/// Between two questions to the engine: as often as it looks itself.
const DEFAULT_ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two drawings while something turns.
const DEFAULT_DRAW_INTERVAL: Duration = Duration::from_millis(125);
/// Width of what stays when the screen closes, where the terminal does not say its own.
const DEFAULT_SUMMARY_COLUMNS: u16 = 120;
/// Lines of the journal that the tallest terminal has room for.
const JOURNAL_LINES: usize = 100;

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    Quit,
    /// To end, by Ctrl-C.
    Interrupt,
}

/// What the supervisor and the engine have to show.
#[derive(Clone, Default)]
struct Shown {
    units: Vec<UnitRow>,
    announced: bool,
    deadline: Option<Instant>,
    figures: Option<Figures>,
    is_fresh: bool,
}

/// The open screen.
pub(super) struct Screen {
    shown: Arc<Mutex<Shown>>,
    changed: Arc<Notify>,
    drawing: Option<JoinHandle<()>>,
    asking: JoinHandle<()>,
    began: Instant,
}

/// Whether a screen is wanted and there is a terminal for it.
pub(super) fn is_possible(plain: bool) -> bool {
    !plain && terminal::is_there()
}

impl Screen {
    /// Takes the terminal. What is asked for goes to `asked`; `log` takes what others print on standard error.
    pub(super) fn open(
        console: Console,
        source: Source,
        guide: Guide,
        log: &Path,
        asked: mpsc::UnboundedSender<Asked>,
    ) -> std::io::Result<Self> {
        let (sender, keys) = mpsc::unbounded_channel();
        let taken = Taken::enter(log, sender)?;
        JOURNAL.open();
        let shown: Arc<Mutex<Shown>> = Arc::default();
        let changed = Arc::new(Notify::new());
        let asking = tokio::spawn(ask(source, Arc::clone(&shown), Arc::clone(&changed)));
        let painter = Painter {
            taken,
            keys,
            asked,
            shown: Arc::clone(&shown),
            changed: Arc::clone(&changed),
            guide,
            began: console.began(),
            // https://no-color.org
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let drawing = Some(tokio::spawn(painter.run()));
        Ok(Self { shown, changed, drawing, asking, began: console.began() })
    }

    /// Shows the services as they are now.
    pub(super) fn show(&self, mut units: Vec<UnitRow>, announced: bool, deadline: Option<Instant>) {
        let mut shown = self.shown.lock();
        for unit in &mut units {
            let before = shown.units.iter().find(|before| (before.name, before.state) == (unit.name, unit.state));
            unit.since = before.map_or(unit.since, |before| before.since);
        }
        (shown.units, shown.announced, shown.deadline) = (units, announced, deadline);
        drop(shown);
        self.changed.notify_one();
    }

    /// Gives the terminal back. The last figures stay as plain lines; so does what was said, if `all`.
    pub(super) async fn close(mut self, all: bool) {
        self.asking.abort();
        if let Some(drawing) = self.drawing.take() {
            drawing.abort();
            let _ = drawing.await;
        }
        let said = JOURNAL.close();
        let console = Console::default();
        let shown = self.shown.lock();
        if let Some(figures) = &shown.figures {
            let up = text::uptime(self.began.elapsed());
            console.plain(&format!("thamanya dev · was up {up}"));
            let width = ratatui::crossterm::terminal::size().map_or(DEFAULT_SUMMARY_COLUMNS, |(width, _)| width);
            for row in tree::rows(figures, width.into(), false) {
                console.plain(&row.plain(width.into()));
            }
        }
        if all {
            said.iter().for_each(|line| console.plain(line));
        }
    }
}

/// Asks the engine for its figures, for ever.
async fn ask(source: Source, shown: Arc<Mutex<Shown>>, changed: Arc<Notify>) {
    let mut interval = tokio::time::interval(DEFAULT_ASK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if !shown.lock().announced {
            continue;
        }
        let figures = source.fetch().await;
        let mut shown = shown.lock();
        shown.is_fresh = figures.is_some();
        shown.figures = figures.or_else(|| shown.figures.take());
        drop(shown);
        changed.notify_one();
    }
}

/// Owns the terminal.
struct Painter {
    taken: Taken,
    keys: mpsc::UnboundedReceiver<Key>,
    asked: mpsc::UnboundedSender<Asked>,
    shown: Arc<Mutex<Shown>>,
    changed: Arc<Notify>,
    guide: Guide,
    began: Instant,
    colours: bool,
}

impl Painter {
    async fn run(mut self) {
        let mut interval = tokio::time::interval(DEFAULT_DRAW_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut drawn = None;
        loop {
            tokio::select! {
                () = self.changed.notified() => drawn = None,
                Some(key) = self.keys.recv() => match key {
                    // One who has gone away is stopping everything.
                    Key::Quit => drop(self.asked.send(Asked::Quit)),
                    Key::Interrupt => drop(self.asked.send(Asked::Interrupt)),
                    Key::Resize => drawn = None,
                },
                _ = interval.tick() => {}
            }
            let is_due = drawn.is_none_or(|at: Instant| at.elapsed() >= self.pace());
            if is_due && self.draw().is_err() {
                // The terminal has gone away; SIGHUP says so to the supervisor.
                return;
            }
            if is_due {
                drawn = Some(Instant::now());
            }
        }
    }

    /// Quickly while something turns, else as the seconds pass.
    fn pace(&self) -> Duration {
        if self.shown.lock().announced { DEFAULT_ASK_INTERVAL } else { DEFAULT_DRAW_INTERVAL }
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let journal = JOURNAL.last(JOURNAL_LINES);
        // A terminal that stalls must not hold up the supervisor.
        let shown = self.shown.lock().clone();
        let view = View {
            now: Instant::now(),
            began: self.began,
            units: &shown.units,
            announced: shown.announced,
            deadline: shown.deadline,
            figures: shown.figures.as_ref(),
            is_fresh: shown.is_fresh,
            guide: &self.guide,
            journal: &journal,
        };
        let colours = self.colours;
        self.taken.terminal.draw(|frame| {
            let area = frame.area();
            let (width, height) = (usize::from(area.width), usize::from(area.height));
            let lines: Vec<_> = view.rows(width, height).iter().map(|row| row.line(width, colours)).collect();
            frame.render_widget(Paragraph::new(lines), area);
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
