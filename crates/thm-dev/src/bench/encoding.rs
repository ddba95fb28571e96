//! The encoding row of the budget: CPU per row from frame to record, by stage, as whoever has the encoder measured it.

use std::fmt::Write as _;

use nix::time::{ClockId, clock_gettime};

use super::report::{Report, Verdict};

/// What the base table may cost, microseconds per row over all stages.
const MUST_US: f64 = 1.5;

/// What a row of one table costs.
#[derive(Clone, Debug)]
pub struct EncodingCost {
    /// Which table.
    pub table: &'static str,
    /// Stage, and its CPU time per row in microseconds, in the order of the way.
    pub stages: Vec<(&'static str, f64)>,
}

impl EncodingCost {
    /// Of all stages together.
    #[must_use]
    pub fn total_us(&self) -> f64 {
        self.stages.iter().map(|(_, us)| us).sum()
    }
}

/// Adds its rows: the first table is the one with a budget.
pub(super) fn add_rows(costs: &[EncodingCost], report: &mut Report) {
    for (index, cost) in costs.iter().enumerate() {
        let mut stages = String::new();
        for (name, us) in &cost.stages {
            let _ = write!(stages, "{}{name} {us:.2}", if stages.is_empty() { "" } else { ", " });
        }
        let (must, verdict) = match index {
            0 => (format!("≤ {MUST_US} µs"), Verdict::of(cost.total_us() <= MUST_US)),
            _ => ("beside it".to_owned(), Verdict::Reported),
        };
        let measured = format!("{:.2} µs ({stages})", cost.total_us());
        report.row(format!("CPU per row, frame → record in the log, {}", cost.table), &must, measured, verdict);
    }
}

/// CPU time of the calling thread so far, microseconds. The clock, for what `getrusage` says moves in ticks.
#[must_use]
pub fn thread_cpu_us() -> u64 {
    cpu_us(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of this process with all its threads so far, microseconds.
#[must_use]
pub fn process_cpu_us() -> u64 {
    cpu_us(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_us(clock: ClockId) -> u64 {
    clock_gettime(clock)
        .map_or(0, |time| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000).unwrap_or(0))
}
