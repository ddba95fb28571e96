//! `restart-strategy.*`: what becomes of a job after a failure that may pass by itself. Other failures end it: asking
//! again would fail again at the same record.

use std::time::Duration;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::Spanned;

use crate::options::parse_duration;

/// When a job starts again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restart {
    /// Never.
    None,
    /// After a fixed pause, so many times.
    Fixed {
        /// Most restarts.
        attempts: u32,
        /// Pause before each.
        delay: Duration,
    },
    /// After pauses that grow, without end. A run without failure for so long starts them anew.
    Growing {
        /// First pause.
        initial: Duration,
        /// Longest pause.
        max: Duration,
        /// What a pause is multiplied by to get the next.
        multiplier: f64,
        /// Time without failure after which the first pause comes again.
        reset_after: Duration,
    },
}

impl Default for Restart {
    /// Flink's `exponential-delay`, its default with checkpoints on.
    fn default() -> Self {
        Self::Growing {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            multiplier: 1.5,
            reset_after: Duration::from_secs(3_600),
        }
    }
}

/// Keys that are read; their values are checked when they are set.
pub(super) const KEYS: [&str; 8] = [
    "restart-strategy",
    "restart-strategy.type",
    "restart-strategy.fixed-delay.attempts",
    "restart-strategy.fixed-delay.delay",
    "restart-strategy.exponential-delay.initial-backoff",
    "restart-strategy.exponential-delay.max-backoff",
    "restart-strategy.exponential-delay.backoff-multiplier",
    "restart-strategy.exponential-delay.reset-backoff-threshold",
];

/// Whether a key takes a value.
pub(super) fn check(key: &str, value: &Spanned<String>) -> SqlResult<()> {
    let text = value.value.as_str();
    let (fits, hint) = match key {
        "restart-strategy" | "restart-strategy.type" => {
            (strategy(text).is_some(), "Write 'none', 'fixed-delay' or 'exponential-delay'.")
        }
        "restart-strategy.fixed-delay.attempts" => (text.parse::<u32>().is_ok(), "Write a whole number."),
        "restart-strategy.exponential-delay.backoff-multiplier" => {
            (text.parse::<f64>().is_ok_and(|by| by.is_finite() && by >= 1.0), "Write a number from 1.0 up.")
        }
        _ => (parse_duration(text).is_some(), "Write a number and a unit: '10s'."),
    };
    if fits {
        return Ok(());
    }
    Err(SqlDiagnostic::new(value.span, format!("'{key}' = '{text}' is not supported")).with_hint(hint))
}

fn strategy(name: &str) -> Option<Restart> {
    Some(match name.to_ascii_lowercase().as_str() {
        "none" | "off" | "disable" => Restart::None,
        // Flink's defaults.
        "fixed-delay" | "fixeddelay" => Restart::Fixed { attempts: 1, delay: Duration::from_secs(1) },
        "exponential-delay" | "exponentialdelay" => Restart::default(),
        _ => return None,
    })
}

/// What options say that have been set.
pub(super) fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Restart {
    let time = |key: &str| get(&format!("restart-strategy.{key}")).and_then(parse_duration);
    let chosen = get("restart-strategy.type").or_else(|| get("restart-strategy")).and_then(strategy);
    match chosen.unwrap_or_default() {
        Restart::None => Restart::None,
        Restart::Fixed { attempts, delay } => Restart::Fixed {
            attempts: get("restart-strategy.fixed-delay.attempts")
                .and_then(|text| text.parse().ok())
                .unwrap_or(attempts),
            delay: time("fixed-delay.delay").unwrap_or(delay),
        },
        Restart::Growing { initial, max, multiplier, reset_after } => Restart::Growing {
            initial: time("exponential-delay.initial-backoff").unwrap_or(initial),
            max: time("exponential-delay.max-backoff").unwrap_or(max),
            multiplier: get("restart-strategy.exponential-delay.backoff-multiplier")
                .and_then(|text| text.parse().ok())
                .unwrap_or(multiplier),
            reset_after: time("exponential-delay.reset-backoff-threshold").unwrap_or(reset_after),
        },
    }
}

impl Restart {
    /// Pause before restart number `count`, from 0; `None` if there is no more. `last` is the pause before this one.
    #[must_use]
    pub fn pause(&self, count: u32, last: Option<Duration>) -> Option<Duration> {
        match *self {
            Self::None => None,
            Self::Fixed { attempts, delay } => (count < attempts).then_some(delay),
            Self::Growing { initial, max, multiplier, .. } => {
                Some(last.map_or(initial, |last| last.mul_f64(multiplier)).min(max))
            }
        }
    }

    /// Whether a run of this length makes failures before it forgotten.
    #[must_use]
    pub fn forgets(&self, ran: Duration) -> bool {
        matches!(self, Self::Growing { reset_after, .. } if ran >= *reset_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_longest_and_fixed_ones_end() {
        let growing = of(|key| (key == "restart-strategy.exponential-delay.max-backoff").then_some("2 s"));
        let mut last = None;
        let mut seen = Vec::new();
        for count in 0..4 {
            last = growing.pause(count, last);
            seen.push(last.map_or(0, |pause| pause.as_millis()));
        }
        assert_eq!(seen, [1_000, 1_500, 2_000, 2_000]);
        let fixed = Restart::Fixed { attempts: 2, delay: Duration::from_secs(3) };
        assert_eq!((0..3).filter_map(|count| fixed.pause(count, None)).count(), 2);
        assert_eq!(of(|key| (key == "restart-strategy.type").then_some("off")), Restart::None);
    }
}
