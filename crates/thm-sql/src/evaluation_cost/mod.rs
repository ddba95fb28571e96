//! What evaluation costs: an expression for each operator and function, a look-up join in memory, and batches for both.
//!
//! ```text
//!   samples, one an expression ──┐
//!   a stream and its look-up ────┴─▶ Subject ──run()──▶ rows that have been computed
//! ```
//! No I/O: `thm bench` holds the clock. Invariant: expressions and the join run as jobs run them, on batches of
//! [`BATCH_ROWS`] rows.

pub mod samples;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, StringArray};
use bytes::Bytes;
use thm_api::{Op, Position, RowKind};

use crate::expr::{EvalError, Expr, ExprKind, Input};
use crate::format::Meta;
use crate::operator::lookup_join::{LookupJoin, STREAM, TABLE};
use crate::operator::{Operator, Rows};
use crate::types::LogicalType;

/// Rows of a batch, as a job evaluates them.
pub const BATCH_ROWS: usize = 8_192;
/// Rows of the table that is looked up: what the demo's SQL file lets a real Flink cache.
const TABLE_ROWS: usize = 5_000;

/// What a subject is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Arithmetic, comparisons, logic, casts.
    Operator,
    /// A function of the library.
    Function,
    /// The look-up join.
    Lookup,
}

/// Something whose speed can be measured.
pub struct Subject {
    /// What it is one of.
    pub family: Family,
    /// The function's name; of others what they are.
    pub name: &'static str,
    /// The expression, as SQL.
    pub text: &'static str,
    work: Work,
}

enum Work {
    Evaluate { expr: Box<Expr>, columns: Arc<Vec<ArrayRef>> },
    Join { join: Box<LookupJoin>, rows: Rows },
}

/// All operators, all functions, the look-up join.
///
/// # Errors
/// Never, as long as the look-up table's rows can be indexed.
pub fn subjects() -> Result<Vec<Subject>, EvalError> {
    let scope = samples::scope();
    let columns = Arc::new(samples::batch(BATCH_ROWS, |row| row % 16 != 3));
    let subject = |family: Family, text: &'static str| {
        let expr = samples::typed(&scope, text);
        let name = if family == Family::Function { function_of(&expr).unwrap_or(text) } else { text };
        let work = Work::Evaluate { expr: Box::new(expr), columns: Arc::clone(&columns) };
        Subject { family, name, text, work }
    };
    let operators = samples::OPERATORS.iter().map(|text| subject(Family::Operator, text));
    let calls = samples::CALLS.iter().map(|text| subject(Family::Function, text));
    let mut all: Vec<Subject> = operators.chain(calls).collect();
    all.push(lookup()?);
    Ok(all)
}

impl Subject {
    /// Computes one batch; gives its rows.
    ///
    /// # Errors
    /// Never, for the samples' own values.
    pub fn run(&mut self) -> Result<usize, EvalError> {
        match &mut self.work {
            Work::Evaluate { expr, columns } => {
                let found = expr.evaluate(&Input::new(columns, BATCH_ROWS))?;
                Ok(std::hint::black_box(found).len())
            }
            Work::Join { join, rows } => {
                let mut out = Vec::with_capacity(1);
                join.process(STREAM, rows.clone(), &mut out)?;
                Ok(std::hint::black_box(out).iter().map(Rows::len).sum())
            }
        }
    }
}

/// The name of the outermost function.
fn function_of(expr: &Expr) -> Option<&'static str> {
    match &expr.kind {
        ExprKind::Call { function, .. } => Some(function.name),
        _ => expr.children().into_iter().find_map(function_of),
    }
}

/// Events with content: a LEFT JOIN by a uuid as text, of which one in a hundred is not there.
fn lookup() -> Result<Subject, EvalError> {
    let (text, number) = (LogicalType::STRING, LogicalType::Int);
    let key = |index| vec![Expr::column(index, text.nullable(true))];
    let mut join = LookupJoin::new(vec![text, text, text, text, number], (key(1), key(0)), None, true);
    let columns: Vec<ArrayRef> = vec![
        texts(TABLE_ROWS, uuid),
        texts(TABLE_ROWS, |row| format!("slug-{row}")),
        texts(TABLE_ROWS, |row| format!("The title of number {row}")),
        texts(TABLE_ROWS, |row| ["podcast", "newsletter", "video"][row % 3].to_owned()),
        Arc::new((0..TABLE_ROWS).map(|row| i32::try_from(row).ok()).collect::<Int32Array>()),
    ];
    let records = (0..TABLE_ROWS).map(|row| Bytes::from(format!("{{\"id\":\"{}\"}}", uuid(row)))).collect();
    join.keys(records);
    join.process(TABLE, Rows { columns, meta: inserts(TABLE_ROWS) }, &mut Vec::new())?;
    let of_row = |row: usize| uuid(if row % 100 == 7 { TABLE_ROWS } else { row * 7_919 % TABLE_ROWS });
    let columns = vec![texts(BATCH_ROWS, |row| row.to_string()), texts(BATCH_ROWS, of_row)];
    Ok(Subject {
        family: Family::Lookup,
        name: "look-up join",
        text: "LEFT JOIN t FOR SYSTEM_TIME AS OF p ON t.id = content_id",
        work: Work::Join { join: Box::new(join), rows: Rows { columns, meta: inserts(BATCH_ROWS) } },
    })
}

fn texts(rows: usize, of_row: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..rows).map(of_row)))
}

fn uuid(row: usize) -> String {
    uuid::Uuid::from_u128((row as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_string()
}

fn inserts(rows: usize) -> Vec<Meta> {
    let meta = |offset| Meta {
        kind: RowKind::Insert,
        op: Op::Create,
        position: Position::default(),
        commit_us: 0,
        timestamp_ms: 0,
        offset,
        whole: false,
    };
    (0..).take(rows).map(meta).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_subject_computes_its_rows() {
        let mut all = subjects().unwrap();
        for subject in &mut all {
            assert_eq!(subject.run().unwrap(), BATCH_ROWS, "{}", subject.text);
        }
        for family in [Family::Operator, Family::Function, Family::Lookup] {
            assert!(all.iter().any(|subject| subject.family == family), "{family:?}");
        }
    }
}
