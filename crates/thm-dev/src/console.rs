//! What the person at the terminal reads: one plain line per fact, with the time since the start.
//!
//! ```text
//!    1.4s  postgres      ready on :5432
//! ```

use std::io::{self, Write};
use std::time::Instant;

/// Writes progress lines to standard output. A closed output is no error: the stack runs on.
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
    /// One fact about `subject`.
    pub fn fact(&self, subject: &str, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.plain(&format!("{seconds:7.1}s  {subject:<12}  {text}"));
    }

    /// A line, or lines, as they are.
    pub fn plain(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A reader that has gone away (`thm dev | head`) must not end the services.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
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
}
