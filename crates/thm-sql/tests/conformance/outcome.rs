//! One case → what became of it.

use serde_json::Value;
use thm_sql::planner::bounded::{Answer, BoundedError, answer_in};
use thm_sql::{CompileContext, compile};

use crate::{deviations, part_two, values};

/// What became of a statement.
pub enum Outcome {
    /// Same types and values.
    Passed,
    /// Other than Flink on purpose: the reason.
    Deviates(&'static str),
    /// An error, as in Flink; and whether it has Flink's words.
    Refused { worded: bool },
    /// Different, or something that we lack.
    Failed(String),
    /// Part two: what of it.
    Skipped(&'static str),
}

/// Runs a case.
pub fn of(case: &Value) -> Outcome {
    let sql = case["sql"].as_str().unwrap_or_default();
    let outcome = run(case, sql);
    match (outcome, part_two::of(sql)) {
        (Outcome::Failed(_) | Outcome::Refused { worded: false }, Some(part)) => Outcome::Skipped(part),
        (Outcome::Failed(why), None) => {
            deviations::of(sql, case["error"]["root"].as_str()).map_or(Outcome::Failed(why), Outcome::Deviates)
        }
        (outcome, _) => outcome,
    }
}

fn run(case: &Value, sql: &str) -> Outcome {
    let setup: Vec<&str> =
        case["setup"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let asks = matches!(word.as_str(), "SELECT" | "VALUES" | "WITH" | "(" | "TABLE") || word.starts_with('(');
    if !asks || !setup.is_empty() {
        return planned(case, &setup, sql);
    }
    let zone = case["config"]["table.local-time-zone"].as_str().unwrap_or("UTC");
    match (answer_in(zone, sql), case.get("error")) {
        (Ok(found), None) => values::compare(case, &found),
        (Ok(found), Some(error)) => {
            Outcome::Failed(format!("gives {:?}, Flink fails: {}", values::rows(&found), error["root"]))
        }
        (Err(BoundedError::Plan(error)), None) => Outcome::Failed(format!("refused: {error:?}")),
        (Err(error @ BoundedError::Run(_)), None) => Outcome::Failed(format!("fails: {error}")),
        (Err(BoundedError::Plan(found)), Some(error)) => refused(found.message(), error),
        (Err(BoundedError::Run(found)), Some(error)) => refused(&found.message, error),
    }
}

/// Statements that are only planned: DDL, INSERT, and queries of tables.
fn planned(case: &Value, setup: &[&str], sql: &str) -> Outcome {
    let script = setup.iter().copied().chain([sql]).collect::<Vec<_>>().join(";\n");
    match (compile("case", &script, &CompileContext::default()), case.get("error")) {
        (Ok(_), None) if case.get("rows").is_none() => Outcome::Passed,
        (Ok(_), None) => Outcome::Failed("planned; rows of tables are not compared yet".to_owned()),
        (Ok(_), Some(error)) => Outcome::Failed(format!("accepted, Flink fails: {}", error["root"])),
        (Err(found), None) => Outcome::Failed(format!("refused: {found:?}")),
        (Err(found), Some(error)) => refused(found.message(), error),
    }
}

/// Both fail; what we merely lack is no error of the statement's.
fn refused(found: &str, error: &Value) -> Outcome {
    if found.contains("not supported yet") {
        return Outcome::Failed(format!("lacked: {found}"));
    }
    let root = error["root"].as_str().unwrap_or_default();
    let words = root.split_once(": ").map_or(root, |(_, words)| words).lines().next().unwrap_or_default().trim();
    let start: String = words.chars().take(24).collect();
    Outcome::Refused { worded: !start.is_empty() && found.contains(&start) }
}

/// For a test's message.
#[allow(dead_code)]
pub fn types(found: &Answer) -> Vec<String> {
    found.schema.iter().map(|(_, data_type)| data_type.to_string()).collect()
}
