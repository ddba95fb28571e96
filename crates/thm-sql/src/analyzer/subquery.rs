//! Subqueries in expressions. What they read does not depend on the row beside them, so each is answered once, in a
//! step of its own that adds a column:
//!
//! ```text
//!   WHERE k IN (SELECT …)  ─▶  Subquery: adds a BOOLEAN column  ─▶  Filter: that column
//!   SELECT (SELECT …) + 1  ─▶  Subquery: adds its value         ─▶  columns: that column + 1
//! ```
//! One that names a column of the row beside it would be a join, and is refused as Flink refuses it over constants.

use sqlparser::ast::{Expr as Ast, Query as AstQuery, Spanned as _};
use sqlparser::tokenizer::Span;

use super::compare;
use super::expr::Typer;
use super::query::{Binder, Query, Step, stateful};
use super::scope::Scope;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{CompareOp, Expr};
use crate::types::{DataType, LogicalType, coerce};

/// What is asked of a subquery.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Its only value, or NULL where it has no row.
    Value,
    /// Whether it has a row.
    Exists,
    /// Whether the condition, over the columns before and then its own, holds for one of its rows; unknown where it is
    /// unknown for one and holds for none.
    Any(Expr),
}

/// A subquery of an expression.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is answered once.
    pub query: Query,
    /// What becomes of its rows.
    pub asked: Asked,
    /// Type of the column that it adds.
    pub data_type: DataType,
    /// Where it stands.
    pub span: Span,
}

impl Subquery {
    /// Why a stream cannot have it: its rows may change while the stream goes on.
    #[must_use]
    pub fn refused(&self) -> SqlDiagnostic {
        stateful("a subquery in an expression", self.span)
    }
}

/// What takes the subqueries of an expression and gives the columns that stand for them.
pub(super) trait Subqueries {
    /// `(SELECT …)` where a value stands.
    fn value(&mut self, ast: &AstQuery) -> SqlResult<Expr>;

    /// `EXISTS (SELECT …)`.
    fn exists(&mut self, ast: &AstQuery) -> SqlResult<Expr>;

    /// `value IN (SELECT …)`: each part of a row is compared with the column of its place.
    fn contains(&mut self, values: Vec<Expr>, ast: &AstQuery) -> SqlResult<Expr>;

    /// `value op ANY (SELECT …)`.
    fn some(&mut self, value: Expr, op: CompareOp, ast: &AstQuery) -> SqlResult<Expr>;
}

/// Adds the steps of subqueries to the query whose expressions they stand in.
pub(super) struct Lifted<'a, 'b> {
    binder: &'a mut Binder<'b>,
    outside: Scope,
    query: &'a mut Query,
}

impl<'a, 'b> Lifted<'a, 'b> {
    /// For expressions over the columns of a query so far, known by the names of a scope.
    pub(super) fn new(binder: &'a mut Binder<'b>, scope: &Scope, query: &'a mut Query) -> Self {
        Self { binder, outside: scope.clone(), query }
    }

    fn add(&mut self, query: Query, asked: Asked, data_type: DataType, span: Span) -> Expr {
        let column = Expr::column(self.query.width, data_type);
        self.query.width += 1;
        self.query.steps.push(Step::Subquery(Subquery { query, asked, data_type, span }));
        column
    }

    fn bound(&mut self, ast: &AstQuery) -> SqlResult<Query> {
        let query = self.binder.query(ast).map_err(|error| {
            if names_column_outside(&error, &self.outside) {
                SqlDiagnostic::new(ast.span(), "unexpected correlate variable $cor0 in the plan")
                    .with_hint("The subquery names a column of the row beside it: write a join instead.")
            } else {
                error
            }
        })?;
        Ok(query.computed())
    }
}

impl Subqueries for Lifted<'_, '_> {
    fn value(&mut self, ast: &AstQuery) -> SqlResult<Expr> {
        let query = self.bound(ast)?;
        let data_type = match query.schema().as_slice() {
            [(_, only)] if only.kind.is_nested() => {
                let kind = only.kind.to_string();
                let root = kind.split(['<', '(']).next().unwrap_or_default();
                let message = format!("SINGLE_VALUE aggregate function doesn't support type '{root}'.");
                return Err(SqlDiagnostic::new(ast.span(), message).with_hint("Select one of its elements or fields."));
            }
            [(_, only)] => only.with_nullable(true),
            all => {
                let message = format!("Cannot apply '$SCALAR_QUERY' to a query of {} columns", all.len());
                return Err(SqlDiagnostic::new(ast.span(), message).with_hint("Select one column."));
            }
        };
        Ok(self.add(query, Asked::Value, data_type, ast.span()))
    }

    fn exists(&mut self, ast: &AstQuery) -> SqlResult<Expr> {
        let query = self.bound(ast)?;
        Ok(self.add(query, Asked::Exists, LogicalType::Boolean.nullable(false), ast.span()))
    }

    fn contains(&mut self, values: Vec<Expr>, ast: &AstQuery) -> SqlResult<Expr> {
        let query = self.bound(ast)?;
        let span = ast.span();
        let columns = query.schema();
        let wrong = || {
            SqlDiagnostic::new(span, "Values passed to IN operator must have compatible types")
                .with_hint("Select as many columns as there are values before IN, of the same types.")
        };
        if columns.len() != values.len() {
            return Err(wrong());
        }
        let mut pairs = Vec::with_capacity(values.len());
        for ((at, (_, data_type)), value) in columns.iter().enumerate().zip(values) {
            let (x, y) = (value.data_type.kind, data_type.kind);
            let converts = x.is_text() && y.is_numeric() || x.is_numeric() && y.is_text();
            if !converts && coerce::common_type(&[value.data_type, *data_type]).is_none() {
                return Err(wrong());
            }
            pairs.push((value, Expr::column(self.query.width + at, *data_type)));
        }
        let condition = compare::all_equal(pairs.into_iter(), span)?;
        let data_type = condition.data_type;
        Ok(self.add(query, Asked::Any(condition), data_type, span))
    }

    fn some(&mut self, value: Expr, op: CompareOp, ast: &AstQuery) -> SqlResult<Expr> {
        let query = self.bound(ast)?;
        let span = ast.span();
        let columns = query.schema();
        let [(_, column)] = columns.as_slice() else {
            return Err(SqlDiagnostic::new(span, "Values passed to IN operator must have compatible types")
                .with_hint("Select one column."));
        };
        let condition = compare::of(op, value, Expr::column(self.query.width, *column), span)?;
        let data_type = condition.data_type;
        Ok(self.add(query, Asked::Any(condition), data_type, span))
    }
}

/// Whether a name that a subquery does not know is one of the row beside it.
fn names_column_outside(error: &SqlDiagnostic, outside: &Scope) -> bool {
    outside.columns.iter().any(|column| {
        let unknown_table =
            column.table.as_ref().is_some_and(|table| error.message() == format!("Table '{table}' not found"));
        unknown_table || error.message() == format!("Column '{}' not found in any table", column.name)
    })
}

/// The values before IN: those of a row one by one.
pub(super) fn values(typer: &mut Typer<'_>, ast: &Ast) -> SqlResult<Vec<Expr>> {
    match ast {
        Ast::Tuple(values) => values.iter().map(|value| typer.value(value)).collect(),
        Ast::Nested(inner) => values(typer, inner),
        one => Ok(vec![typer.value(one)?]),
    }
}
