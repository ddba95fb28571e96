//! Evaluates a query over rows that have an end: what tests and the shell need. Everything is in memory.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_empty_array};
use arrow::compute::{SortOptions, concat, take};
use sqlparser::ast::SetOperator;
use sqlparser::tokenizer::Span;
use thm_api::RowKind;

use super::Selection;
use crate::analyzer::query::{Binder, Blocking, Origin, Query, SortKey, Step, stateful};
use crate::analyzer::subquery::{Asked, Subquery};
use crate::catalog::{Catalog, Table};
use crate::error::SqlDiagnostic;
use crate::expr::{EvalError, Expr, ExprKind, Input, text, truth};
use crate::operator::unnest;
use crate::parser;
use crate::parser::hints::Hints;
use crate::stack::with_room;
use crate::types::zone::{NOT_A_SESSION_ZONE, Zone};
use crate::types::{DataType, LogicalType};

/// Most pairs of rows that a join looks at: beyond that a shell is the wrong tool.
const DEFAULT_MAX_PAIRS: usize = 50_000_000;

/// Columns of a result.
#[derive(Debug)]
pub struct Answer {
    /// Name and type of each column.
    pub schema: Vec<(String, DataType)>,
    /// Values of each column.
    pub columns: Vec<ArrayRef>,
    /// Number of rows.
    pub rows: usize,
    /// What each row means.
    pub kinds: Vec<RowKind>,
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
    /// A table cannot be read.
    #[error("{0}")]
    Read(#[from] thm_api::Error),
}

/// Rows of a table: all columns of a scan, and what each row means.
#[derive(Debug, Default)]
pub struct Rows {
    /// Physical columns, then metadata.
    pub columns: Vec<ArrayRef>,
    /// One per row.
    pub kinds: Vec<RowKind>,
}

/// Reads tables.
pub trait Tables {
    /// All rows of a table that has an end.
    fn read(&self, table: &Table) -> Result<Rows, BoundedError>;
}

/// No tables: only constants are evaluated.
pub struct NoTables;

impl Tables for NoTables {
    fn read(&self, table: &Table) -> Result<Rows, BoundedError> {
        let message = format!("this query reads the table '{}'", table.name);
        Err(SqlDiagnostic::new(Span::empty(), message).with_hint("Only constants are evaluated here.").into())
    }
}

/// Answers a query that reads no table, with times in UTC.
pub fn answer(text: &str) -> Result<Answer, BoundedError> {
    answer_in("UTC", text)
}

/// Answers a query that reads no table, in a time zone.
pub fn answer_in(zone: &str, text: &str) -> Result<Answer, BoundedError> {
    let source = Arc::new(text.to_owned());
    let zone = Zone::of_session(zone).ok_or_else(|| {
        SqlDiagnostic::new(Span::empty(), NOT_A_SESSION_ZONE).with_hint("Write a name such as 'Asia/Riyadh'.")
    })?;
    with_room(|| plan_and_run(text, zone)).map_err(|error| match error {
        BoundedError::Plan(error) => BoundedError::Plan(error.in_text("query", &source)),
        other => other,
    })
}

fn plan_and_run(text: &str, zone: Zone) -> Result<Answer, BoundedError> {
    let ast = parser::parse_query(text)?;
    let (catalog, hints) = (Catalog::default(), Hints::default());
    let mut query = Binder::new(&catalog, &hints).query(&ast)?;
    query.unique_names();
    run(&Selection { query, zone }, &NoTables)
}

/// Answers a query in its session's time zone.
pub fn run(selection: &Selection, tables: &dyn Tables) -> Result<Answer, BoundedError> {
    let (query, zone) = (&selection.query.clone().computed(), selection.zone);
    let rows = Runner { tables, zone }.query(query)?;
    let answer = Answer { schema: query.schema(), rows: rows.kinds.len(), columns: rows.columns, kinds: rows.kinds };
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

struct Runner<'a> {
    tables: &'a dyn Tables,
    zone: Zone,
}

impl Runner<'_> {
    /// The output columns of a query.
    fn query(&self, query: &Query) -> Result<Rows, BoundedError> {
        let mut rows = self.origin(&query.origin)?;
        for step in &query.steps {
            match step {
                Step::Filter(condition) => {
                    let kept = condition.evaluate(&Input::new(&rows.columns, rows.kinds.len()).in_zone(self.zone))?;
                    let kept = BooleanArray::new(truth(kept.as_boolean()), None);
                    for column in &mut rows.columns {
                        *column = arrow::compute::filter(column, &kept).map_err(run_error)?;
                    }
                    let mut kept = kept.values().iter();
                    rows.kinds.retain(|_| kept.next().unwrap_or(false));
                }
                Step::Unnest(step) => {
                    let collection =
                        step.collection.evaluate(&Input::new(&rows.columns, rows.kinds.len()).in_zone(self.zone))?;
                    let types: Vec<LogicalType> = step.types.iter().map(|data_type| data_type.kind).collect();
                    let found = unnest::expand(
                        &collection,
                        step.collection.data_type.kind,
                        &types,
                        step.ordinality,
                        step.outer,
                    )?;
                    rows = Rows { columns: taken(&rows.columns, &found.rows)?, kinds: pick(&rows.kinds, &found.rows) };
                    rows.columns.extend(found.columns);
                }
                Step::Subquery(subquery) => {
                    let column = self.subquery(subquery, &rows)?;
                    rows.columns.push(column);
                }
                Step::Lookup(lookup) => return Err(stateful("a look-up outside of a job", lookup.span).into()),
            }
        }
        let mut columns = Vec::with_capacity(query.columns.len());
        for (_, value) in &query.columns {
            let input = Input::new(&rows.columns, rows.kinds.len()).in_zone(self.zone);
            columns.push(match value {
                Some(value) => value.evaluate(&input)?,
                None => arrow::array::new_null_array(&LogicalType::TimestampLtz(3).to_arrow(), rows.kinds.len()),
            });
        }
        Ok(Rows { columns, kinds: rows.kinds })
    }

    /// The column that a subquery adds beside some rows.
    fn subquery(&self, subquery: &Subquery, rows: &Rows) -> Result<ArrayRef, BoundedError> {
        let found = self.query(&subquery.query)?;
        if found.kinds.iter().any(|kind| *kind != RowKind::Insert) {
            return Err(stateful("a subquery of updates and deletes", subquery.span).into());
        }
        let (count, others) = (rows.kinds.len(), found.kinds.len());
        match &subquery.asked {
            Asked::Exists => Ok(Arc::new(BooleanArray::from(vec![others > 0; count]))),
            Asked::Value if others > 1 => {
                let message = "SingleValueAggFunction received more than one element.".to_owned();
                Err(EvalError { message, row: 0 }.into())
            }
            Asked::Value => {
                let row = UInt32Array::from(vec![(others == 1).then_some(0); count]);
                Ok(take(&found.columns[0], &row, None).map_err(run_error)?)
            }
            Asked::Any(condition) => {
                not_too_many(count, others, subquery.span)?;
                let mut out = Vec::with_capacity(count);
                for row in (0_u32..).take(count) {
                    let holds = beside_all(rows, row, &found, (condition, self.zone))?;
                    let holds = holds.as_boolean();
                    let unknown = (holds.null_count() > 0).then_some(None);
                    out.push(if holds.true_count() > 0 { Some(true) } else { unknown.unwrap_or(Some(false)) });
                }
                Ok(Arc::new(BooleanArray::from(out)))
            }
        }
    }

    fn origin(&self, origin: &Origin) -> Result<Rows, BoundedError> {
        match origin {
            Origin::Scan(table) => self.tables.read(table),
            Origin::Values { types, rows } => {
                Ok(Rows { columns: constants(types, rows, self.zone)?, kinds: vec![RowKind::Insert; rows.len()] })
            }
            Origin::Union(branches) => {
                let mut all: Option<Rows> = None;
                for branch in branches {
                    let more = self.query(branch)?;
                    all = Some(match all {
                        None => more,
                        Some(rows) => appended(rows, &more)?,
                    });
                }
                Ok(all.unwrap_or_default())
            }
            Origin::Blocking(blocking, span) => self.blocking(blocking, *span),
        }
    }

    fn inserts(&self, query: &Query, what: &Blocking, span: Span) -> Result<Rows, BoundedError> {
        let rows = self.query(query)?;
        if rows.kinds.iter().any(|kind| *kind != RowKind::Insert) {
            return Err(stateful(&format!("{} over updates and deletes", what.name()), span).into());
        }
        Ok(rows)
    }

    fn blocking(&self, blocking: &Blocking, span: Span) -> Result<Rows, BoundedError> {
        match blocking {
            Blocking::Sort { input, keys, offset, limit, visible } => {
                let rows = self.inserts(input, blocking, span)?;
                let types: Vec<DataType> = input.schema().into_iter().map(|(_, data_type)| data_type).collect();
                let order = sorted(&rows, &types, keys)?;
                let order: Vec<u32> = order.into_iter().skip(*offset).take(limit.unwrap_or(usize::MAX)).collect();
                let columns = taken(&rows.columns[..*visible], &order)?;
                Ok(Rows { columns, kinds: pick(&rows.kinds, &order) })
            }
            Blocking::Distinct(input) => {
                let rows = self.inserts(input, blocking, span)?;
                let keys = row_keys(&rows, &kinds_of(input));
                let mut seen = std::collections::HashSet::new();
                let first: Vec<u32> =
                    (0_u32..).zip(&keys).filter(|(_, key)| seen.insert(*key)).map(|(at, _)| at).collect();
                Ok(Rows { columns: taken(&rows.columns, &first)?, kinds: pick(&rows.kinds, &first) })
            }
            Blocking::SetOperation { operator, all, left, right } => {
                let kinds = kinds_of(left);
                let (a, b) = (self.inserts(left, blocking, span)?, self.inserts(right, blocking, span)?);
                set_operation(*operator, *all, a, &b, &kinds)
            }
            Blocking::Join { left, right, condition, left_outer, right_outer } => {
                let (a, b) = (self.inserts(left, blocking, span)?, self.inserts(right, blocking, span)?);
                join(&a, &b, (condition.as_ref(), self.zone), (*left_outer, *right_outer), span)
            }
        }
    }
}

fn kinds_of(query: &Query) -> Vec<LogicalType> {
    query.schema().into_iter().map(|(_, data_type)| data_type.kind).collect()
}

fn pick(kinds: &[RowKind], rows: &[u32]) -> Vec<RowKind> {
    rows.iter().map(|row| kinds.get(*row as usize).copied().unwrap_or(RowKind::Insert)).collect()
}

fn taken(columns: &[ArrayRef], rows: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
    let indices = UInt32Array::from(rows.to_vec());
    columns.iter().map(|column| take(column, &indices, None).map_err(run_error)).collect()
}

fn appended(mut rows: Rows, more: &Rows) -> Result<Rows, EvalError> {
    for (column, other) in rows.columns.iter_mut().zip(&more.columns) {
        *column = concat(&[column, other]).map_err(run_error)?;
    }
    rows.kinds.extend_from_slice(&more.kinds);
    Ok(rows)
}

/// Each row as bytes that are equal where rows are: NULLs are equal here.
fn row_keys(rows: &Rows, kinds: &[LogicalType]) -> Vec<String> {
    let mut keys = Vec::with_capacity(rows.kinds.len());
    for row in 0..rows.kinds.len() {
        let mut key = String::new();
        for (column, kind) in rows.columns.iter().zip(kinds) {
            if text::is_null(column, row, *kind) {
                key.push_str("n;");
                continue;
            }
            let mut part = String::new();
            text::write(&mut part, column, row, *kind);
            // Writing to a String never fails.
            let _ = write!(key, "{}:{part}", part.len());
        }
        keys.push(key);
    }
    keys
}

fn sorted(rows: &Rows, types: &[DataType], keys: &[SortKey]) -> Result<Vec<u32>, EvalError> {
    let mut order: Vec<u32> = (0_u32..).take(rows.kinds.len()).collect();
    let mut compare = Vec::with_capacity(keys.len());
    for key in keys {
        if types[key.column].kind.is_nested() {
            return Err(EvalError { message: format!("{} cannot be sorted", types[key.column].kind), row: 0 });
        }
        let column = &rows.columns[key.column];
        let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
        compare.push(arrow::array::make_comparator(column, column, options).map_err(run_error)?);
    }
    order.sort_by(|a, b| {
        let by = |compare: &arrow::array::DynComparator| compare(*a as usize, *b as usize);
        compare.iter().map(by).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    });
    Ok(order)
}

fn set_operation(
    operator: SetOperator,
    all: bool,
    left: Rows,
    right: &Rows,
    kinds: &[LogicalType],
) -> Result<Rows, BoundedError> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    if operator == SetOperator::Union {
        let rows = appended(left, right)?;
        let keys = row_keys(&rows, kinds);
        let kept: Vec<u32> =
            (0_u32..).zip(keys).filter(|(_, key)| counts.insert(key.clone(), 1).is_none()).map(|(at, _)| at).collect();
        return Ok(Rows { columns: taken(&rows.columns, &kept)?, kinds: pick(&rows.kinds, &kept) });
    }
    for key in row_keys(right, kinds) {
        *counts.entry(key).or_default() += 1;
    }
    let intersect = operator == SetOperator::Intersect;
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for (at, key) in (0_u32..).zip(row_keys(&left, kinds)) {
        let there = counts.get_mut(&key).filter(|count| **count > 0);
        let matched = match there {
            Some(count) if all => {
                *count -= 1;
                true
            }
            Some(_) => true,
            None => false,
        };
        if matched == intersect && (all || seen.insert(key)) {
            kept.push(at);
        }
    }
    Ok(Rows { columns: taken(&left.columns, &kept)?, kinds: pick(&left.kinds, &kept) })
}

fn not_too_many(rows: usize, others: usize, span: Span) -> Result<(), SqlDiagnostic> {
    if rows.saturating_mul(others) <= DEFAULT_MAX_PAIRS {
        return Ok(());
    }
    let message = format!("a join of {rows} with {others} rows is too large for a shell");
    Err(SqlDiagnostic::new(span, message).with_hint("Filter both sides before the join."))
}

/// A condition over one row and each of the others.
fn beside_all(rows: &Rows, row: u32, others: &Rows, (condition, zone): (&Expr, Zone)) -> Result<ArrayRef, EvalError> {
    let count = others.kinds.len();
    let mut columns = taken(&rows.columns, &vec![row; count])?;
    columns.extend(others.columns.iter().cloned());
    condition.evaluate(&Input::new(&columns, count).in_zone(zone))
}

/// Every pair of rows for which the condition is TRUE, and rows without a match where the join is outer.
fn join(
    left: &Rows,
    right: &Rows,
    (condition, zone): (Option<&Expr>, Zone),
    (left_outer, right_outer): (bool, bool),
    span: Span,
) -> Result<Rows, BoundedError> {
    let (rows, others) = (left.kinds.len(), right.kinds.len());
    not_too_many(rows, others, span)?;
    let (mut from_left, mut from_right): (Vec<Option<u32>>, Vec<Option<u32>>) = (Vec::new(), Vec::new());
    let mut met = vec![false; others];
    for row in (0_u32..).take(rows) {
        let all: Vec<u32> = (0_u32..).take(others).collect();
        let passes = match condition {
            None => vec![true; others],
            Some(condition) => truth(beside_all(left, row, right, (condition, zone))?.as_boolean()).iter().collect(),
        };
        let mut any = false;
        for (other, _) in all.into_iter().zip(passes).filter(|(_, passes)| *passes) {
            any = true;
            met[other as usize] = true;
            from_left.push(Some(row));
            from_right.push(Some(other));
        }
        if !any && left_outer {
            from_left.push(Some(row));
            from_right.push(None);
        }
    }
    if right_outer {
        for (other, _) in (0_u32..).zip(&met).filter(|(_, met)| !**met) {
            from_left.push(None);
            from_right.push(Some(other));
        }
    }
    let count = from_left.len();
    let sides = [(left, UInt32Array::from(from_left)), (right, UInt32Array::from(from_right))];
    let mut columns = Vec::new();
    for (side, indices) in sides {
        for column in &side.columns {
            columns.push(take(column, &indices, None).map_err(run_error)?);
        }
    }
    Ok(Rows { columns, kinds: vec![RowKind::Insert; count] })
}

/// Constants as columns.
pub(crate) fn constants(types: &[DataType], rows: &[Vec<Expr>], zone: Zone) -> Result<Vec<ArrayRef>, EvalError> {
    let mut out = Vec::with_capacity(types.len());
    for (column, data_type) in types.iter().enumerate() {
        let values: Result<Vec<ArrayRef>, EvalError> =
            rows.iter().map(|row| row[column].evaluate(&Input::new(&[], 1).in_zone(zone))).collect();
        let values = values?;
        let parts: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        out.push(if parts.is_empty() {
            new_empty_array(&data_type.kind.to_arrow())
        } else {
            concat(&parts).map_err(run_error)?
        });
    }
    Ok(out)
}

fn run_error(error: arrow::error::ArrowError) -> EvalError {
    EvalError { message: error.to_string(), row: 0 }
}

/// A query's plan for people.
#[must_use]
pub fn explain(query: &Query) -> String {
    let mut out = String::new();
    explain_into(&mut out, query, 0);
    out
}

fn explain_into(out: &mut String, query: &Query, depth: usize) {
    let indent = "   ".repeat(depth);
    let names: Vec<&str> = query.columns.iter().map(|(name, _)| name.as_str()).collect();
    // Writing to a String never fails.
    let _ = writeln!(out, "{indent}Calc(select=[{}])", names.join(", "));
    for step in query.steps.iter().rev() {
        let _ = match step {
            Step::Filter(condition) => writeln!(out, "{indent}+- Filter({})", shape(condition)),
            Step::Lookup(lookup) => writeln!(out, "{indent}+- LookupJoin(table=[{}])", lookup.table.path),
            Step::Unnest(_) => writeln!(out, "{indent}+- Correlate(UNNEST)"),
            Step::Subquery(subquery) => {
                let _ = writeln!(out, "{indent}+- Subquery");
                explain_into(out, &subquery.query, depth + 1);
                Ok(())
            }
        };
    }
    let _ = match &query.origin {
        Origin::Scan(table) => writeln!(out, "{indent}+- TableSourceScan(table=[{}])", table.path),
        Origin::Values { rows, .. } => writeln!(out, "{indent}+- Values({} rows)", rows.len()),
        Origin::Union(branches) => {
            let _ = writeln!(out, "{indent}+- Union(all=[true])");
            branches.iter().for_each(|branch| explain_into(out, branch, depth + 1));
            Ok(())
        }
        Origin::Blocking(blocking, _) => {
            let _ = writeln!(out, "{indent}+- {}", blocking.name());
            match &**blocking {
                Blocking::Sort { input, .. } | Blocking::Distinct(input) => explain_into(out, input, depth + 1),
                Blocking::SetOperation { left, right, .. } | Blocking::Join { left, right, .. } => {
                    explain_into(out, left, depth + 1);
                    explain_into(out, right, depth + 1);
                }
            }
            Ok(())
        }
    };
}

/// The outermost operation of a condition.
fn shape(condition: &Expr) -> &'static str {
    match &condition.kind {
        ExprKind::And(..) => "AND",
        ExprKind::Or(..) => "OR",
        ExprKind::Compare { .. } => "comparison",
        _ => "condition",
    }
}
