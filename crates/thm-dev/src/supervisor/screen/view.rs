//! The whole screen as rows, from the top: what fits is shown, by importance.
//!
//! ```text
//!  title            always                       starting: a row a service with its state and time
//!  services         always                       running:  one row for all
//!  tree             always, cut at the bottom
//!  links            from 20 rows
//!  something to try from 22 rows
//!  what happened    whatever is left
//! ```

use std::time::Instant;

use super::figures::Figures;
use super::text::{Row, Tone, bytes, columns, span, uptime, wrapped};
use super::tree;

/// What happened lately is worth this many rows before links and things to try are.
const JOURNAL_ROWS: usize = 2;
/// Turns while something starts.
const SPINNER: [&str; 4] = ["◐", "◓", "◑", "◒"];
/// A turn of it.
const SPINNER_MS: u128 = 125;

/// A service as the supervisor has it.
#[derive(Clone, Debug)]
pub(crate) struct UnitRow {
    pub(crate) name: &'static str,
    pub(crate) state: &'static str,
    pub(crate) ports: Vec<u16>,
    /// Since when it is in this state.
    pub(crate) since: Instant,
    pub(crate) restarts: u32,
    /// Those that must be up before it starts.
    pub(crate) waits_for: Vec<&'static str>,
}

/// Addresses and commands; they do not change while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guide {
    /// Name and address.
    pub(crate) links: Vec<(&'static str, String)>,
    /// To paste: may be broken at any blank.
    pub(crate) insert: String,
    /// Where to see it arrive.
    pub(crate) watch: String,
}

/// Everything that is shown.
pub(crate) struct View<'a> {
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    pub(crate) units: &'a [UnitRow],
    /// Whether all services have been up together.
    pub(crate) announced: bool,
    /// When the generator is to stop.
    pub(crate) deadline: Option<Instant>,
    pub(crate) figures: Option<&'a Figures>,
    /// Whether the figures are of now: the engine answered last time.
    pub(crate) is_fresh: bool,
    pub(crate) guide: &'a Guide,
    /// Oldest first.
    pub(crate) journal: &'a [String],
}

impl View<'_> {
    /// The rows of a screen of this size.
    pub(crate) fn rows(&self, width: usize, height: usize) -> Vec<Row> {
        let mut rows = vec![self.title(width)];
        let mut tail = Vec::new();
        if self.announced {
            rows.push(self.services());
            rows.push(Row::new());
            let mut tree = self.tree(width, false);
            if rows.len() + tree.len() > height {
                tree = self.tree(width, true);
            }
            rows.extend(tree);
            let guide = self.guide_rows(width);
            if rows.len() + guide.len() + JOURNAL_ROWS <= height {
                tail = guide;
            } else if let Some(links) = guide.get(..2).filter(|_| rows.len() + 2 + JOURNAL_ROWS <= height) {
                tail = links.to_vec();
            }
        } else {
            rows.push(Row::new());
            rows.extend(self.units.iter().map(|unit| self.start_row(unit)));
        }
        let room = height.saturating_sub(rows.len() + tail.len() + 1);
        rows.extend(tail);
        if room > 0 && !self.journal.is_empty() {
            rows.push(Row::new());
            let first = self.journal.len().saturating_sub(room);
            rows.extend(self.journal.iter().skip(first).map(|line| Row::new().with(Tone::Dim, line.clone())));
        }
        rows.truncate(height);
        rows
    }

    fn tree(&self, width: usize, brief: bool) -> Vec<Row> {
        let mut rows = self.figures.map(|figures| tree::rows(figures, width, brief)).unwrap_or_default();
        if !self.is_fresh {
            let text = if self.figures.is_some() { "the figures are old" } else { "no figures yet" };
            let text = format!(" the engine does not answer; {text}");
            rows.insert(0, Row::new().with(Tone::Wait, text));
        }
        rows
    }

    fn title(&self, width: usize) -> Row {
        let up = self.now.duration_since(self.began);
        let mut text = if self.announced { "up" } else { "starting" }.to_owned();
        text += &format!(" {}", uptime(up));
        if let Some(memory) = self.figures.and_then(|figures| figures.memory_bytes) {
            text += &format!(" · engine {}", bytes(memory as f64));
        }
        if let Some(left) = self.deadline.map(|deadline| deadline.saturating_duration_since(self.now)) {
            text += &format!(" · verifies in {}", uptime(left));
        }
        let (name, quit) = (" thamanya dev ", "q or Ctrl-C stops everything ");
        let used = columns(name) + 2 + columns(&text) + columns(quit);
        let gap = " ".repeat(width.saturating_sub(used).max(2));
        Row::new().with(Tone::Strong, name).with(Tone::Plain, format!("· {text}")).spare(1, Tone::Dim, gap).spare(
            1,
            Tone::Dim,
            quit,
        )
    }

    /// All services on a row.
    fn services(&self) -> Row {
        let mut row = Row::new().with(Tone::Plain, " ");
        for unit in self.units {
            let (mark, tone) = mark(unit.state);
            // Those that run are named where there is room.
            let is_up = unit.state == "running";
            let spare = if is_up { 1 } else { 0 };
            row = row.with(tone, format!("{mark} ")).spare(spare, Tone::Plain, unit.name);
            if !is_up {
                row = row.with(tone, format!(" {}", unit.state));
            }
            if unit.restarts > 0 {
                let word = if unit.restarts == 1 { "restart" } else { "restarts" };
                row = row.spare(2, Tone::Dim, format!(" ({} {word})", unit.restarts));
            }
            row = row.with(Tone::Plain, "  ");
        }
        row
    }

    /// One service, while all start.
    fn start_row(&self, unit: &UnitRow) -> Row {
        let (mut mark, tone) = mark(unit.state);
        let mut text = unit.state.to_owned();
        let time = span(self.now.duration_since(unit.since).as_secs_f64());
        match unit.state {
            "starting" => {
                let turn = self.now.duration_since(unit.since).as_millis() / SPINNER_MS;
                mark = SPINNER[(turn % SPINNER.len() as u128) as usize];
                text = format!("starting {time}");
            }
            "running" => {
                let ports: Vec<String> = unit.ports.iter().map(|port| format!(":{port}")).collect();
                text = if ports.is_empty() { "running".to_owned() } else { format!("ready on {}", ports.join(" ")) };
            }
            "stopped" if !unit.waits_for.is_empty() => text = format!("waits for {}", unit.waits_for.join(", ")),
            _ => {}
        }
        Row::new().with(tone, format!("  {mark} ")).with(Tone::Strong, format!("{:<14}", unit.name)).with(tone, text)
    }

    /// Links, then something to try.
    fn guide_rows(&self, width: usize) -> Vec<Row> {
        let mut links = Row::new().with(Tone::Plain, " ");
        for (place, (name, address)) in self.guide.links.iter().enumerate() {
            let lead = if place == 0 { "" } else { " · " };
            let spare = u8::try_from(place).unwrap_or(u8::MAX);
            links = links.spare(spare, Tone::Dim, format!("{lead}{name} ")).spare(spare, Tone::Link, address.clone());
        }
        let mut rows = vec![Row::new(), links];
        let insert = wrapped(&self.guide.insert, width.saturating_sub(1), "  ");
        rows.push(Row::new().with(Tone::Dim, " insert a row:"));
        rows.extend(insert.into_iter().map(|line| Row::new().with(Tone::Plain, line)));
        rows.push(
            Row::new().with(Tone::Dim, " watch it arrive here, or: ").with(Tone::Plain, self.guide.watch.clone()),
        );
        rows
    }
}

fn mark(state: &str) -> (&'static str, Tone) {
    match state {
        "running" => ("●", Tone::Good),
        "failed" => ("✗", Tone::Bad),
        "stopped" => ("○", Tone::Dim),
        _ => ("◌", Tone::Wait),
    }
}
