//! One case → what became of it.

use serde_json::Value;
use thm_sql::parser::parse_script;
use thm_sql::planner::bounded::{Answer, BoundedError, answer_in};
use thm_sql::planner::{self, Session, TableResult};
use thm_sql::{CompileContext, SqlDiagnostic};

use crate::{deviations, formats, part_two, values};

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
    let outcome = if formats::is_one(case) || reads_files(case) { formats::of(case) } else { run(case, sql) };
    match (outcome, part_two::of(sql).or_else(|| part_two::option(case))) {
        (Outcome::Failed(_) | Outcome::Refused { worded: false }, Some(part)) => Outcome::Skipped(part),
        (Outcome::Failed(why), None) => deviations::of(sql, case, &why).map_or(Outcome::Failed(why), Outcome::Deviates),
        (outcome, _) => outcome,
    }
}

/// A query of files, whose rows are known.
fn reads_files(case: &Value) -> bool {
    let setup = case["setup"].as_array().into_iter().flatten().filter_map(Value::as_str);
    case.get("rows").is_some() && setup.into_iter().any(|text| text.contains("'filesystem'"))
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
        (Err(error), None) => Outcome::Failed(format!("fails: {error}")),
        (Err(BoundedError::Plan(found)), Some(error)) => refused(found.message(), error),
        (Err(found), Some(error)) => refused(&found.to_string(), error),
    }
}

/// Statements of a session: DDL, INSERT, SHOW, and queries of tables, which are planned as streams.
fn planned(case: &Value, setup: &[&str], sql: &str) -> Outcome {
    match (session(setup, sql), case.get("error")) {
        (Ok(shown), None) => match (shown, case.get("rows")) {
            (_, None) => Outcome::Passed,
            (Some(table), Some(rows)) => same_table(&table.rows, rows),
            (None, Some(rows)) if *rows == serde_json::json!([["+I", "OK"]]) => Outcome::Passed,
            (None, Some(_)) => Outcome::Failed("planned; rows of tables are not compared yet".to_owned()),
        },
        (Ok(_), Some(error)) => Outcome::Failed(format!("accepted, Flink fails: {}", error["root"])),
        (Err(found), None) => Outcome::Failed(format!("refused: {found:?}")),
        (Err(found), Some(error)) => refused(found.message(), error),
    }
}

fn session(setup: &[&str], sql: &str) -> Result<Option<TableResult>, SqlDiagnostic> {
    let mut session = Session::new(CompileContext::default());
    let mut shown = None;
    for text in setup.iter().copied().chain([sql]) {
        let parsed = parse_script(text)?;
        if parsed.len() > 1 {
            return Err(SqlDiagnostic::new(parsed[1].span, "only single statement supported"));
        }
        for statement in parsed {
            shown = match session.execute(&statement, None)? {
                planner::Outcome::Table(table) => Some(table),
                planner::Outcome::Select(selection) => {
                    selection.check_stream()?;
                    None
                }
                planner::Outcome::Jobs(_) | planner::Outcome::Done => None,
            };
        }
    }
    Ok(shown)
}

/// Rows that a statement shows, without the kind that the recording has before each. Plans are ours, so that they are
/// only there.
fn same_table(found: &[Vec<Value>], wanted: &Value) -> Outcome {
    let wanted: Vec<Vec<Value>> = wanted
        .as_array()
        .map(|rows| rows.iter().filter_map(Value::as_array).map(|row| row[1..].to_vec()).collect())
        .unwrap_or_default();
    let plan = |row: &[Value]| row.first().and_then(Value::as_str).is_some_and(|text| text.starts_with("== Abstract"));
    if found == wanted || wanted.first().is_some_and(|row| plan(row)) {
        return Outcome::Passed;
    }
    Outcome::Failed(format!("shows {found:?}, Flink {wanted:?}"))
}

/// Both fail; what we merely lack is no error of the statement's.
pub fn refused(found: &str, error: &Value) -> Outcome {
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
