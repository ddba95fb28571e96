//! Evaluates a query over constants at once: what tests, and later a shell, need. No tables, no log.

use std::sync::Arc;

use arrow::array::ArrayRef;
use sqlparser::tokenizer::Span;

use crate::analyzer::query::{self, Origin, Step};
use crate::catalog::Catalog;
use crate::error::SqlDiagnostic;
use crate::expr::{EvalError, Expr, Input, truth};
use crate::parser;
use crate::types::DataType;
use crate::types::zone::Zone;

/// Columns of a result.
#[derive(Debug)]
pub struct Answer {
    /// Name and type of each column.
    pub schema: Vec<(String, DataType)>,
    /// Values of each column.
    pub columns: Vec<ArrayRef>,
    /// Number of rows.
    pub rows: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BoundedError {
    /// The text is wrong or asks for what we lack.
    #[error("{0}")]
    Plan(#[from] SqlDiagnostic),
    /// A value cannot be computed.
    #[error("{0}")]
    Run(#[from] EvalError),
}

/// Answers a query that reads no table, with times in UTC.
pub fn answer(text: &str) -> Result<Answer, BoundedError> {
    answer_in("UTC", text)
}

/// Answers a query that reads no table, in a time zone.
pub fn answer_in(zone: &str, text: &str) -> Result<Answer, BoundedError> {
    let source = Arc::new(text.to_owned());
    let zone = Zone::parse(zone).ok_or_else(|| {
        SqlDiagnostic::new(Span::empty(), format!("'{zone}' is not a time zone"))
            .with_hint("Write a name such as 'Asia/Riyadh'.")
    })?;
    plan_and_run(text, zone).map_err(|error| match error {
        BoundedError::Plan(error) => BoundedError::Plan(error.in_text("query", &source)),
        run => run,
    })
}

fn plan_and_run(text: &str, zone: Zone) -> Result<Answer, BoundedError> {
    let ast = parser::parse_query(text)?;
    let query = query::query(&Catalog::default(), &ast)?;
    let Origin::Values { types, rows } = &query.origin else {
        return Err(no_tables().into());
    };
    let mut columns = constants(types, rows, zone)?;
    let mut count = rows.len();
    for step in &query.steps {
        let Step::Filter(condition) = step else { return Err(no_tables().into()) };
        let kept = condition.evaluate(&Input::new(&columns, count).in_zone(zone))?;
        let kept = arrow::array::BooleanArray::new(truth(arrow::array::AsArray::as_boolean(&kept)), None);
        count = kept.true_count();
        for column in &mut columns {
            *column = arrow::compute::filter(column, &kept).map_err(run_error)?;
        }
    }
    let mut answer = Answer { schema: Vec::new(), columns: Vec::new(), rows: count };
    for (name, value) in query.columns {
        let value = value.ok_or_else(no_tables)?;
        answer.columns.push(value.evaluate(&Input::new(&columns, count).in_zone(zone))?);
        answer.schema.push((name, value.data_type));
    }
    not_null(&answer)?;
    Ok(answer)
}

/// Flink refuses to emit a NULL in a column that is NOT NULL, which DECIMAL overflow may cause.
fn not_null(answer: &Answer) -> Result<(), EvalError> {
    let wrong = answer
        .schema
        .iter()
        .zip(&answer.columns)
        .find(|((_, data_type), column)| !data_type.nullable && column.null_count() > 0);
    match wrong {
        None => Ok(()),
        Some(((name, _), _)) => {
            let message = format!("Column '{name}' is NOT NULL, however, a null value is being written into it.");
            Err(EvalError { message, row: 0 })
        }
    }
}

fn constants(types: &[DataType], rows: &[Vec<Expr>], zone: Zone) -> Result<Vec<ArrayRef>, EvalError> {
    let mut out = Vec::with_capacity(types.len());
    for column in 0..types.len() {
        let values: Result<Vec<ArrayRef>, EvalError> =
            rows.iter().map(|row| row[column].evaluate(&Input::new(&[], 1).in_zone(zone))).collect();
        let values = values?;
        let parts: Vec<&dyn arrow::array::Array> = values.iter().map(AsRef::as_ref).collect();
        out.push(arrow::compute::concat(&parts).map_err(run_error)?);
    }
    Ok(out)
}

fn run_error(error: arrow::error::ArrowError) -> EvalError {
    EvalError { message: error.to_string(), row: 0 }
}

fn no_tables() -> SqlDiagnostic {
    SqlDiagnostic::new(Span::empty(), "this query reads a table").with_hint("Only constants are evaluated here.")
}
