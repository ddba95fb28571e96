//! What the person at the terminal reads: one plain line per fact, with the time since the start.
//!
//! ```text
//!    1.4s  postgres      ready on :5432
//! ```

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Instant;

use parking_lot::Mutex;

/// Lines that a journal keeps: what happened lately, for a screen with room for a few.
const DEFAULT_JOURNAL_LINES: usize = 200;

/// Writes progress lines to standard output, or to a journal while a screen has the terminal. A closed output is no
/// error: the stack runs on.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    began: Instant,
}

impl Default for Console {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Console {
    /// When it began to count the seconds.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// One fact about `subject`.
    pub fn fact(&self, subject: &str, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.plain(&format!("{seconds:7.1}s  {subject:<12}  {text}"));
    }

    /// A line, or lines, as they are.
    pub fn plain(&self, text: &str) {
        if JOURNAL.take(text) {
            return;
        }
        let mut out = io::stdout().lock();
        // A reader that has gone away (`thm dev | head`) must not end the services.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// Where lines go while a screen has the terminal: a process has one of each.
pub(crate) static JOURNAL: Journal = Journal { lines: Mutex::new(None) };

/// The last lines, kept while it is open.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// None while closed.
    lines: Mutex<Option<VecDeque<String>>>,
}

impl Journal {
    /// Takes lines from now on.
    pub(crate) fn open(&self) {
        self.lines.lock().get_or_insert_default();
    }

    /// Takes no more; gives what it has.
    pub(crate) fn close(&self) -> Vec<String> {
        self.lines.lock().take().into_iter().flatten().collect()
    }

    /// The last `count` lines.
    pub(crate) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock();
        let lines = lines.iter().flatten();
        let mut last: Vec<String> = lines.rev().take(count).cloned().collect();
        last.reverse();
        last
    }

    /// Whether it took the text.
    fn take(&self, text: &str) -> bool {
        let mut lines = self.lines.lock();
        let Some(lines) = lines.as_mut() else { return false };
        lines.extend(text.lines().map(str::to_owned));
        lines.drain(..lines.len().saturating_sub(DEFAULT_JOURNAL_LINES));
        true
    }
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(4000), "4,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn an_open_journal_keeps_the_last_lines_and_a_closed_one_none() {
        let journal = Journal::default();
        assert!(!journal.take("before"));
        journal.open();
        for number in 0..300 {
            assert!(journal.take(&number.to_string()));
        }
        assert_eq!(journal.last(2), ["298", "299"]);
        assert_eq!(journal.close().len(), DEFAULT_JOURNAL_LINES);
        assert!(journal.last(2).is_empty());
    }
}
