//! Rows of coloured parts that know which of them can be spared when the terminal is narrow.

use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// What a part means; the colours follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Lines, units, what stays the same.
    Dim,
    /// Names.
    Strong,
    Good,
    /// Between two states, or trying again.
    Wait,
    Bad,
    Link,
}

impl Tone {
    /// The colours are the terminal's own, so that they suit light and dark ones.
    fn style(self, colours: bool) -> Style {
        let style = Style::default();
        let coloured = |colour| if colours { style.fg(colour) } else { style };
        match self {
            Self::Plain => style,
            Self::Dim => style.add_modifier(Modifier::DIM),
            Self::Strong => style.add_modifier(Modifier::BOLD),
            Self::Good => coloured(Color::Green),
            Self::Wait => coloured(Color::Yellow),
            Self::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Self::Link => coloured(Color::Cyan),
        }
    }
}

#[derive(Clone, Debug)]
struct Part {
    text: String,
    tone: Tone,
    /// Zero stays; of the others the highest goes first.
    spare: u8,
}

/// A line to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    parts: Vec<Part>,
}

impl Row {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With a part that stays.
    pub(crate) fn with(self, tone: Tone, text: impl Into<String>) -> Self {
        self.spare(0, tone, text)
    }

    /// With a part that goes when there is no room: the higher `spare`, the earlier.
    pub(crate) fn spare(mut self, spare: u8, tone: Tone, text: impl Into<String>) -> Self {
        self.parts.push(Part { text: text.into(), tone, spare });
        self
    }

    /// The parts for which there is room; what still sticks out is cut with an ellipsis.
    fn fit(&self, width: usize) -> Vec<Part> {
        let mut parts = self.parts.clone();
        let total = |parts: &[Part]| parts.iter().map(|part| columns(&part.text)).sum::<usize>();
        while total(&parts) > width {
            // A figure goes with its label.
            let worst = parts.iter().map(|part| part.spare).max().unwrap_or(0);
            if worst == 0 {
                break;
            }
            parts.retain(|part| part.spare < worst);
        }
        let mut room = width;
        for part in &mut parts {
            part.text = cut(&part.text, room);
            room -= columns(&part.text);
        }
        parts
    }

    /// As it stands on a screen.
    pub(crate) fn line(&self, width: usize, colours: bool) -> Line<'static> {
        let spans = self.fit(width).into_iter().map(|part| Span::styled(part.text, part.tone.style(colours)));
        Line::from(spans.collect::<Vec<_>>())
    }

    /// Without any style.
    pub(crate) fn plain(&self, width: usize) -> String {
        let text: String = self.fit(width).into_iter().map(|part| part.text).collect();
        text.trim_end().to_owned()
    }
}

/// How many columns a terminal needs for a text.
pub(crate) fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// The beginning of a text, with an ellipsis if there is more than fits.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if columns(&kept) + columns(c.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A text in lines of at most `width` columns, broken between words; each but the first begins with `indent`.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| columns(line));
        if line > 0 && line + 1 + columns(word) > width && line > columns(indent) {
            lines.push(indent.to_owned());
        } else if line > 0 {
            lines.last_mut().expect("there is always one").push(' ');
        }
        lines.last_mut().expect("there is always one").push_str(word);
    }
    lines
}

/// `1.2 MB`.
pub(crate) fn bytes(count: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut count, mut unit) = (count.max(0.0), 0);
    while count >= 1000.0 && unit + 1 < units.len() {
        count /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count:.0} B") } else { format!("{count:.1} {}", units[unit]) }
}

/// `1.9 ms`, `0.4 s`, `12 min`.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_05 => "0 ms".to_owned(),
        s if s < 0.0095 => format!("{:.1} ms", s * 1e3),
        s if s < 0.1 => format!("{:.0} ms", s * 1e3),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `41 s`, `2 min 5 s`, `3 h 2 min`.
pub(crate) fn uptime(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_spared_goes_before_anything_is_cut() {
        let row =
            Row::new().with(Tone::Strong, "Redis ").spare(2, Tone::Dim, "p99 3 ms ").spare(1, Tone::Plain, "lag 0 ");
        assert_eq!(row.plain(40), "Redis p99 3 ms lag 0");
        assert_eq!(row.plain(14), "Redis lag 0");
        assert_eq!(row.plain(7), "Redis");
        assert_eq!(row.plain(4), "Red…");
        assert_eq!(row.plain(0), "");
    }

    #[test]
    fn figures_read_well() {
        assert_eq!([bytes(0.0), bytes(999.0), bytes(1_234_567.0)], ["0 B", "999 B", "1.2 MB"]);
        let spans = [0.0, 0.0019, 0.012, 0.4, 41.0, 300.0].map(span);
        assert_eq!(spans, ["0 ms", "1.9 ms", "12 ms", "0.4 s", "41 s", "5 min"]);
    }

    #[test]
    fn text_breaks_between_words_only() {
        assert_eq!(wrapped("one two three four", 9, "  "), ["one two", "  three", "  four"]);
        assert_eq!(wrapped("a-word-that-is-too-long b", 5, ""), ["a-word-that-is-too-long", "b"]);
    }
}
