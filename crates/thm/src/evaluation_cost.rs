//! `thm bench`, stage functions: rows per second of CPU time of every operator and function of Flink SQL, and of the
//! look-up join, on one thread.

use anyhow::{Context, Result};
use thm_dev::{EvaluationFamily, EvaluationSpeed};
use thm_sql::evaluation_cost::{Family, Subject, subjects};

/// Measures each for so long, microseconds of CPU time.
///
/// # Errors
/// When a sample cannot be evaluated.
pub fn measure(each_us: u64) -> Result<Vec<EvaluationSpeed>> {
    let subjects = subjects().context("making the look-up table")?;
    subjects.into_iter().map(|subject| measure_one(subject, each_us)).collect()
}

fn measure_one(mut subject: Subject, each_us: u64) -> Result<EvaluationSpeed> {
    let mut batch = || subject.run().with_context(|| format!("evaluating {}", subject.text));
    // Once for the caches and the allocator.
    batch()?;
    let (began, mut rows) = (thm_dev::thread_cpu_us(), 0);
    let elapsed_us = loop {
        rows += batch()?;
        let elapsed_us = thm_dev::thread_cpu_us() - began;
        if elapsed_us >= each_us.max(1) {
            break elapsed_us;
        }
    };
    let family = match subject.family {
        Family::Operator => EvaluationFamily::Operator,
        Family::Function => EvaluationFamily::Function,
        Family::Lookup => EvaluationFamily::Lookup,
    };
    let rows_per_second = rows as f64 * 1e6 / elapsed_us as f64;
    Ok(EvaluationSpeed { family, name: subject.name, expression: subject.text, rows_per_second })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_family_has_speeds() {
        let speeds = measure(1).unwrap();
        assert!(speeds.iter().all(|speed| speed.rows_per_second > 0.0));
        for family in [EvaluationFamily::Operator, EvaluationFamily::Function, EvaluationFamily::Lookup] {
            assert!(speeds.iter().any(|speed| speed.family == family), "{family:?}");
        }
    }
}
