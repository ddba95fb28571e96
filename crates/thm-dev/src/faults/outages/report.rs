//! What an outage came to, in figures, and which of them miss their goal.

use std::time::Duration;

use clap::Args;

use super::super::stack::Part;
use super::scenario::{Scenario, short_name};
use crate::console::grouped;

/// A difference in lateness below this is the machine's own, in milliseconds.
const NOISE_MS: f64 = 20.0;

/// What must be reached; given as options, because a busy machine or a debug build reaches less.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Goals {
    /// The others' median lateness during the outage, as a multiple of before
    #[arg(long, value_name = "TIMES", default_value_t = 2.0)]
    max_slowdown: f64,
    /// How fast a late target catches up, as a multiple of the input
    #[arg(long, value_name = "TIMES", default_value_t = 5.0)]
    min_catch_up: f64,
    /// The engine's anonymous memory, MB
    #[arg(long, value_name = "MB", default_value_t = 150)]
    max_memory: u64,
}

/// How a target that was late came back.
pub(super) struct CaughtUp {
    pub(super) part: Part,
    /// From when it was back to the first delivery: the pause between two attempts.
    pub(super) delay: Duration,
    /// From there to the end.
    pub(super) taken: Duration,
    /// Its rate in that time over the input's; none if it was hardly behind.
    pub(super) times: Option<f64>,
}

/// What one outage came to.
pub(super) struct Found {
    /// p50 and p99 in milliseconds before and during, of targets that were not away.
    pub(super) others: Vec<(Part, [f64; 4])>,
    pub(super) caught_up: Vec<CaughtUp>,
    pub(super) memory_peak_bytes: u64,
    pub(super) rows: u64,
    /// What `verify` found.
    pub(super) difference: Option<String>,
}

impl Found {
    /// The goals that were missed, and what is wrong.
    pub(super) fn problems(&self, goals: &Goals) -> Vec<String> {
        let mut problems: Vec<String> = self.difference.iter().cloned().collect();
        for (part, [before, _, during, _]) in &self.others {
            if *during > before * goals.max_slowdown && during - before > NOISE_MS {
                let name = short_name(*part);
                problems.push(format!(
                    "{name} became {:.1} times as late, more than {}",
                    during / before,
                    goals.max_slowdown
                ));
            }
        }
        for late in &self.caught_up {
            if let Some(times) = late.times.filter(|times| *times < goals.min_catch_up) {
                let name = short_name(late.part);
                problems
                    .push(format!("{name} caught up at {times:.1} times the input, less than {}", goals.min_catch_up));
            }
        }
        if self.memory_peak_bytes > goals.max_memory << 20 {
            let peak = self.memory_peak_bytes >> 20;
            problems.push(format!("{peak} MB of memory, more than {}", goals.max_memory));
        }
        problems
    }

    pub(super) fn lines(&self, scenario: &Scenario, problems: &[String]) -> Vec<String> {
        let word = if problems.is_empty() { "passed" } else { "FAILED" };
        let memory = self.memory_peak_bytes >> 20;
        let mut lines = vec![format!("{scenario}: {word}, {} rows, {memory} MB at most", grouped(self.rows))];
        for (part, [p50, p99, p50_during, p99_during]) in &self.others {
            let (name, times) = (short_name(*part), p50_during / p50.max(f64::EPSILON));
            let tail = p99_during / p99.max(f64::EPSILON);
            lines.push(format!(
                "  {name}: p50 {p50:.1} -> {p50_during:.1} ms ({times:.2} times), p99 {p99:.1} -> {p99_during:.1} ms ({tail:.2} times)"
            ));
        }
        for late in &self.caught_up {
            let [delay, taken] = [late.delay, late.taken].map(|time| time.as_secs_f64());
            let name = short_name(late.part);
            lines.push(match late.times {
                Some(times) => {
                    format!(
                        "  {name}: began after {delay:.1} s, caught up in {taken:.1} s, at {times:.1} times the input"
                    )
                }
                None => format!("  {name}: was not behind"),
            });
        }
        lines.extend(problems.iter().map(|problem| format!("  {problem}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goal_can_be_missed() {
        let goals = Goals { max_slowdown: 2.0, min_catch_up: 5.0, max_memory: 150 };
        let found = |during: f64, times: f64, megabytes: u64, difference: Option<&str>| Found {
            others: vec![(Part::Redis, [30.0, 80.0, during, 90.0])],
            caught_up: vec![CaughtUp {
                part: Part::Api,
                delay: Duration::ZERO,
                taken: Duration::from_secs(4),
                times: Some(times),
            }],
            memory_peak_bytes: megabytes << 20,
            rows: 1_000,
            difference: difference.map(str::to_owned),
        };
        assert!(found(45.0, 5.1, 150, None).problems(&goals).is_empty());
        assert_eq!(found(90.0, 5.1, 150, None).problems(&goals), ["redis became 3.0 times as late, more than 2"]);
        assert_eq!(
            found(30.0, 3.3, 150, None).problems(&goals),
            ["http caught up at 3.3 times the input, less than 5"]
        );
        assert_eq!(found(30.0, 9.0, 151, None).problems(&goals), ["151 MB of memory, more than 150"]);
        assert_eq!(found(30.0, 9.0, 1, Some("one is missing")).problems(&goals), ["one is missing"]);
    }
}
