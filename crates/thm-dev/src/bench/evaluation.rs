//! The rows that SQL evaluation promises: operators and the look-up join per core, and each function beside them, as
//! whoever has the evaluator measured them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::report::{Report, Verdict};

/// What arithmetic, comparisons and casts must reach, rows per second on one core.
const MUST_OPERATORS: f64 = 1e6;
/// What the look-up join must reach in memory, rows per second on one core.
const MUST_LOOKUP: f64 = 2e6;

/// What an expression is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationFamily {
    /// Arithmetic, comparisons, logic, casts.
    Operator,
    /// A function of the library.
    Function,
    /// The look-up join.
    Lookup,
}

/// How fast one expression is.
#[derive(Clone, Debug)]
pub struct EvaluationSpeed {
    /// What it is one of.
    pub family: EvaluationFamily,
    /// The function's name; of others what they are.
    pub name: &'static str,
    /// The expression, as SQL.
    pub expression: &'static str,
    /// Rows per second of CPU time.
    pub rows_per_second: f64,
}

/// Adds a row for the slowest of each family, and a table of all.
pub(super) fn add_rows(speeds: &[EvaluationSpeed], report: &mut Report) {
    let rows = [
        (EvaluationFamily::Operator, "arithmetic, comparisons and casts: the slowest", Some(MUST_OPERATORS)),
        (EvaluationFamily::Function, "functions: the slowest", None),
        (EvaluationFamily::Lookup, "look-up join in memory", Some(MUST_LOOKUP)),
    ];
    for (family, what, must) in rows {
        let of_family = speeds.iter().filter(|speed| speed.family == family);
        let Some(slowest) = of_family.min_by(|a, b| a.rows_per_second.total_cmp(&b.rows_per_second)) else { continue };
        let (bound, verdict) = match must {
            Some(must) => (format!("≥ {} million", must / 1e6), Verdict::of(slowest.rows_per_second >= must)),
            None => ("beside it".to_owned(), Verdict::Reported),
        };
        let measured = format!("{} million, {}", millions(slowest), slowest.expression);
        report.row(format!("SQL, rows/s per core, {what}"), &bound, measured, verdict);
    }
    for (family, heading) in [
        (EvaluationFamily::Operator, "Operators and casts, million rows/s per core, batches of 8,192"),
        (EvaluationFamily::Function, "Functions, million rows/s per core, batches of 8,192"),
    ] {
        report.note(heading, table(speeds, family));
    }
    let all: Vec<Value> = speeds.iter().map(as_json).collect();
    report.raw.push(("functions", all.into()));
}

fn table(speeds: &[EvaluationSpeed], family: EvaluationFamily) -> String {
    let mut chosen: Vec<_> = speeds.iter().filter(|speed| speed.family == family).collect();
    chosen.sort_by_key(|speed| (speed.name, speed.expression));
    let width = |of: fn(&EvaluationSpeed) -> &str| chosen.iter().map(|speed| of(speed).len()).max().unwrap_or(0);
    let (name, expression) = (width(|speed| speed.name), width(|speed| speed.expression));
    let mut text = String::new();
    for speed in chosen {
        // An operator's name is its expression.
        if speed.name != speed.expression {
            let _ = write!(text, "{:<name$}  ", speed.name);
        }
        let _ = writeln!(text, "{:<expression$}  {:>8}", speed.expression, millions(speed));
    }
    text
}

fn millions(speed: &EvaluationSpeed) -> String {
    format!("{:.2}", speed.rows_per_second / 1e6)
}

fn as_json(speed: &EvaluationSpeed) -> Value {
    json!({"name": speed.name, "expression": speed.expression, "rows_per_cpu_second": speed.rows_per_second.round()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_a_family_stands_for_it() {
        let speed = |family, expression, rows_per_second| EvaluationSpeed {
            family,
            name: expression,
            expression,
            rows_per_second,
        };
        let speeds = [
            speed(EvaluationFamily::Operator, "i + 1", 9e7),
            speed(EvaluationFamily::Operator, "CAST(d AS STRING)", 9e5),
            speed(EvaluationFamily::Lookup, "look-up join", 3e6),
        ];
        let mut report = Report::default();
        add_rows(&speeds, &mut report);
        let found: Vec<_> = report.rows.iter().map(|row| (row.measured.as_str(), row.verdict)).collect();
        let wanted = [
            ("0.90 million, CAST(d AS STRING)", Verdict::NotReached),
            ("3.00 million, look-up join", Verdict::Reached),
        ];
        assert_eq!(found, wanted);
        assert!(report.notes[0].1.starts_with("CAST(d AS STRING)"), "in the order of names: {}", report.notes[0].1);
    }
}
