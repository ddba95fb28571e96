//! A query → its typed relation: where rows come from, what they pass, which columns come out.
//!
//! Subqueries, views and WITH are folded into their users, so below a query stands a line, a union of lines, or
//! something that has to see all rows:
//!
//! ```text
//!   scan | values | union of queries | blocking (sort, join, distinct, …)
//!      └─▶ (filter | look-up | unnest | project)*  └─▶ columns
//! ```

use std::sync::Arc;

use sqlparser::ast::{
    Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, OrderByKind, Query as AstQuery, SetExpr,
    SetOperator, SetQuantifier, Spanned as _, Values,
};
use sqlparser::tokenizer::Span;

use super::expr::Typer;
use super::lookup_hint::LookupHint;
use super::scope::{Named, Scope, ScopeColumn};
use super::subquery::Subquery;
use super::{call, fold};
use crate::catalog::{Catalog, Table};
use crate::error::{STATELESS_HINT, SqlDiagnostic, SqlResult};
use crate::expr::Expr;
use crate::parser::hints::Hints;
use crate::parser::reserved;
use crate::types::{DataType, LogicalType, coerce};

/// Deepest nesting of queries: they are walked recursively.
const MAX_DEPTH: usize = 64;

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A table of the catalog.
    Scan(Arc<Table>),
    /// Constants; SELECT without FROM is one row without columns.
    Values {
        /// Type of each column.
        types: Vec<DataType>,
        /// Rows of constants.
        rows: Vec<Vec<Expr>>,
    },
    /// UNION ALL: the rows of all, whose columns have the same types.
    Union(Vec<Query>),
    /// What has to see all rows, or keep state on a stream.
    Blocking(Box<Blocking>, Span),
}

/// What has to see all rows of its inputs.
#[derive(Clone, Debug)]
pub enum Blocking {
    /// ORDER BY, OFFSET and LIMIT; gives the first `visible` columns.
    Sort {
        /// What is sorted.
        input: Query,
        /// Output columns to sort by, most important first.
        keys: Vec<SortKey>,
        /// Rows to skip.
        offset: usize,
        /// Rows to give.
        limit: Option<usize>,
        /// How many columns come out.
        visible: usize,
    },
    /// SELECT DISTINCT.
    Distinct(Query),
    /// UNION, INTERSECT and EXCEPT other than UNION ALL.
    SetOperation {
        /// Which.
        operator: SetOperator,
        /// Whether copies count.
        all: bool,
        /// Left side.
        left: Query,
        /// Right side, of the same types.
        right: Query,
    },
    /// A join; gives the columns of both sides.
    Join {
        /// Left side.
        left: Query,
        /// Right side.
        right: Query,
        /// Over the columns of both sides.
        condition: Option<Expr>,
        /// Whether left rows without a match stay.
        left_outer: bool,
        /// Whether right rows without a match stay.
        right_outer: bool,
    },
}

impl Blocking {
    /// What it is called in SQL.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Sort { keys, .. } if keys.is_empty() => "LIMIT".to_owned(),
            Self::Sort { .. } => "ORDER BY".to_owned(),
            Self::Distinct(_) => "SELECT DISTINCT".to_owned(),
            Self::SetOperation { operator, all, .. } => format!("{operator}{}", if *all { " ALL" } else { "" }),
            Self::Join { .. } => "a join of streams".to_owned(),
        }
    }
}

/// One key of ORDER BY.
#[derive(Clone, Copy, Debug)]
pub struct SortKey {
    /// Output column of the input.
    pub column: usize,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// What rows pass, in order.
#[derive(Clone, Debug)]
pub enum Step {
    /// WHERE.
    Filter(Expr),
    /// `JOIN … FOR SYSTEM_TIME AS OF`; adds the table's physical columns.
    Lookup(Lookup),
    /// `CROSS JOIN UNNEST`; adds one column per field of the collection's elements.
    Unnest(Unnest),
    /// A subquery of an expression; adds one column.
    Subquery(Subquery),
}

/// A look-up join.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The table that is looked up.
    pub table: Arc<Table>,
    /// LEFT JOIN: rows without a match stay, with NULLs.
    pub outer: bool,
    /// Expressions of the left side, texts of which are compared with …
    pub keys: Vec<Expr>,
    /// … these expressions over the table's own physical columns.
    pub table_keys: Vec<Expr>,
    /// What else must hold, over all columns.
    pub residual: Option<Expr>,
    /// How it is asked, where it asks a database.
    pub hint: LookupHint,
    /// Where it stands.
    pub span: Span,
}

/// A collection's elements as rows.
#[derive(Clone, Debug)]
pub struct Unnest {
    /// The ARRAY, MAP or MULTISET, over the columns before.
    pub collection: Expr,
    /// Types of the columns it adds.
    pub types: Vec<DataType>,
    /// Whether it adds the element's number, from 1, as its last column.
    pub ordinality: bool,
    /// LEFT JOIN: rows with an empty collection stay, with NULLs.
    pub outer: bool,
}

/// A typed query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where rows come from.
    pub origin: Origin,
    /// What they pass.
    pub steps: Vec<Step>,
    /// What comes out: name and value; no value is `PROCTIME()`.
    pub columns: Vec<(String, Option<Expr>)>,
    /// Columns that expressions may use after the last step.
    pub width: usize,
}

impl Query {
    /// A query that gives the columns of its origin.
    #[must_use]
    pub fn over(origin: Origin, columns: Vec<(String, DataType)>) -> Self {
        let width = columns.len();
        let column =
            |(index, (name, data_type)): (usize, (String, DataType))| (name, Some(Expr::column(index, data_type)));
        Self { origin, steps: Vec::new(), columns: columns.into_iter().enumerate().map(column).collect(), width }
    }

    /// The query with the time of its run where a column is `PROCTIME()`.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.columns.iter_mut().for_each(|(_, value)| *value = Some(call::now_where_none(value.take())));
        self
    }

    /// Names and types of what comes out; `PROCTIME()` is a TIMESTAMP_LTZ(3).
    #[must_use]
    pub fn schema(&self) -> Vec<(String, DataType)> {
        let data_type = |value: &Option<Expr>| {
            value.as_ref().map_or(LogicalType::TimestampLtz(3).nullable(false), |value| value.data_type)
        };
        self.columns.iter().map(|(name, value)| (name.clone(), data_type(value))).collect()
    }

    /// Gives names that come twice a number, as Calcite does.
    pub fn unique_names(&mut self) {
        let mut seen: Vec<String> = Vec::with_capacity(self.columns.len());
        for (name, _) in &mut self.columns {
            let base = name.clone();
            let mut number = 0;
            while seen.contains(name) {
                *name = format!("{base}{number}");
                number += 1;
            }
            seen.push(name.clone());
        }
    }

    /// Adds aliases: as many as there are columns.
    pub(super) fn rename(&mut self, names: &[String], span: Span) -> SqlResult<()> {
        if names.is_empty() {
            return Ok(());
        }
        if names.len() != self.columns.len() {
            let message = format!(
                "List of column aliases must have same degree as table; table has {} columns, whereas alias list has {} columns",
                self.columns.len(),
                names.len()
            );
            return Err(SqlDiagnostic::new(span, message).with_hint("Name every column, or none."));
        }
        self.columns.iter_mut().zip(names).for_each(|((name, _), alias)| name.clone_from(alias));
        Ok(())
    }

    /// The columns that come out as a scope.
    #[must_use]
    pub fn scope(&self, table: Option<&str>) -> Scope {
        let column = |(name, value): &(String, Option<Expr>)| ScopeColumn {
            table: table.map(str::to_owned),
            name: name.clone(),
            value: value.clone(),
            named: Named::Both,
        };
        Scope { columns: self.columns.iter().map(column).collect() }
    }
}

/// Binds the queries of one statement.
pub struct Binder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) hints: &'a Hints,
    pub(super) with: Vec<(String, Query)>,
    pub(super) depth: usize,
}

impl<'a> Binder<'a> {
    /// For a statement with its hints.
    #[must_use]
    pub const fn new(catalog: &'a Catalog, hints: &'a Hints) -> Self {
        Self { catalog, hints, with: Vec::new(), depth: 0 }
    }

    /// Types a query.
    pub fn query(&mut self, ast: &AstQuery) -> SqlResult<Query> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlDiagnostic::new(ast.span(), "the queries are nested too deeply")
                .with_hint("Split them with CREATE VIEW."));
        }
        let known = self.with.len();
        let out = self.with_clause(ast).and_then(|()| self.sorted(ast));
        self.with.truncate(known);
        self.depth -= 1;
        out
    }

    fn with_clause(&mut self, ast: &AstQuery) -> SqlResult<()> {
        let Some(with) = &ast.with else { return Ok(()) };
        if with.recursive {
            return Err(SqlDiagnostic::new(with.span(), "WITH RECURSIVE is not supported")
                .with_hint("Flink 1.20 has no recursive queries either."));
        }
        for one in &with.cte_tables {
            let columns = one.alias.columns.iter().map(|column| &column.name);
            std::iter::once(&one.alias.name).chain(columns).try_for_each(reserved::check_name)?;
            let mut query = self.query(&one.query)?;
            let names: Vec<String> = one.alias.columns.iter().map(|column| column.name.value.clone()).collect();
            query.rename(&names, one.alias.name.span)?;
            if let Some(name) = twice(query.columns.iter().map(|(name, _)| name.as_str())) {
                let message = format!("Column has duplicate column name '{name}' and no column list specified");
                return Err(SqlDiagnostic::new(one.alias.name.span, message)
                    .with_hint("Write the names of all columns behind the name of the query."));
            }
            self.with.push((one.alias.name.value.clone(), query));
        }
        Ok(())
    }

    fn sorted(&mut self, ast: &AstQuery) -> SqlResult<Query> {
        let extra = !ast.locks.is_empty() || ast.for_clause.is_some() || ast.settings.is_some();
        if extra || !ast.pipe_operators.is_empty() || ast.format_clause.is_some() {
            return Err(SqlDiagnostic::new(ast.span(), "this clause is not supported").with_hint("Remove it."));
        }
        let (mut query, inside) = self.body(&ast.body)?;
        let (offset, limit) = limits(ast)?;
        let keys = match &ast.order_by {
            None => Vec::new(),
            Some(order_by) => match &order_by.kind {
                OrderByKind::Expressions(keys) => keys.clone(),
                OrderByKind::All(_) => {
                    return Err(SqlDiagnostic::new(ast.span(), "ORDER BY ALL is not supported")
                        .with_hint("Name the columns to sort by."));
                }
            },
        };
        if keys.is_empty() && offset == 0 && limit.is_none() {
            return Ok(query);
        }
        let visible = query.columns.len();
        let columns = query.schema();
        let mut sort = Vec::with_capacity(keys.len());
        for key in &keys {
            let column = self.sort_column(&key.expr, &mut query, &inside, visible)?;
            let descending = key.options.asc == Some(false);
            // NULL is the smallest value.
            let nulls_first = key.options.nulls_first.unwrap_or(!descending);
            sort.push(SortKey { column, descending, nulls_first });
        }
        let sort = Blocking::Sort { input: query, keys: sort, offset, limit, visible };
        Ok(Query::over(Origin::Blocking(Box::new(sort), ast.span()), columns))
    }

    /// The output column that a key of ORDER BY is; one that is not selected is added behind the others.
    fn sort_column(&mut self, key: &Ast, query: &mut Query, inside: &Scope, visible: usize) -> SqlResult<usize> {
        if let Ast::Value(value) = key
            && let sqlparser::ast::Value::Number(number, _) = &value.value
        {
            let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            return at.filter(|at| *at < visible).ok_or_else(|| {
                SqlDiagnostic::new(key.span(), "Ordinal out of range").with_hint("Columns are counted from 1.")
            });
        }
        let mut outside = query.scope(None);
        outside.columns.truncate(visible);
        if let Ast::Identifier(name) = key
            && let Some(at) = outside.columns.iter().position(|column| column.name == name.value)
        {
            return Ok(at);
        }
        let value = match Typer::new(&outside).value(key) {
            Ok(value) => value,
            Err(_) => Typer::new(inside).value(key)?,
        };
        query.columns.push((format!("EXPR${}", query.columns.len()), Some(value)));
        Ok(query.columns.len() - 1)
    }

    /// A query without ORDER BY, and the columns below its SELECT.
    fn body(&mut self, body: &SetExpr) -> SqlResult<(Query, Scope)> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(inner) => Ok((self.query(inner)?, Scope::default())),
            SetExpr::Values(rows) => Ok((values(rows)?, Scope::default())),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    _ => {
                        return Err(SqlDiagnostic::new(body.span(), format!("{op} {set_quantifier} is not supported"))
                            .with_hint("Write UNION ALL."));
                    }
                };
                let (left, right) = (self.body(left)?.0, self.body(right)?.0);
                set_operation(*op, all, left, right, body.span()).map(|query| (query, Scope::default()))
            }
            _ => Err(SqlDiagnostic::new(body.span(), "this is not a query").with_hint("Write SELECT …")),
        }
    }
}

/// The first name that was there before.
pub(crate) fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Some(name);
        }
        seen.push(name);
    }
    None
}

/// OFFSET and LIMIT or FETCH.
fn limits(ast: &AstQuery) -> SqlResult<(usize, Option<usize>)> {
    let count = |expr: &Ast| match expr {
        Ast::Value(value) => match &value.value {
            sqlparser::ast::Value::Number(number, _) => number.parse::<usize>().ok(),
            _ => None,
        },
        _ => None,
    };
    let number = |expr: &Ast| {
        count(expr).ok_or_else(|| {
            SqlDiagnostic::encountered(expr.span(), &expr.to_string(), "<UNSIGNED_INTEGER_LITERAL>")
                .with_hint("LIMIT and OFFSET take a plain number.")
        })
    };
    let (mut offset, mut limit) = (0, None);
    match &ast.limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit: written, offset: skipped, limit_by }) if limit_by.is_empty() => {
            limit = written.as_ref().map(number).transpose()?;
            offset = skipped.as_ref().map(|skipped| number(&skipped.value)).transpose()?.unwrap_or(0);
        }
        Some(_) => {
            let message = "'LIMIT start, count' is not allowed under the current SQL conformance level";
            return Err(SqlDiagnostic::new(ast.span(), message).with_hint("Write LIMIT n OFFSET m."));
        }
    }
    if let Some(fetch) = &ast.fetch {
        if fetch.with_ties || fetch.percent {
            return Err(SqlDiagnostic::new(ast.span(), "this form of FETCH is not supported")
                .with_hint("Write FETCH FIRST n ROWS ONLY."));
        }
        limit = Some(fetch.quantity.as_ref().map(number).transpose()?.unwrap_or(1));
    }
    if ast.order_by.is_some() && offset > 0 && limit.is_none() {
        return Err(SqlDiagnostic::new(ast.span(), "Not support limitEnd is max value now!")
            .with_hint("Write LIMIT before OFFSET."));
    }
    Ok((offset, limit))
}

fn set_operation(operator: SetOperator, all: bool, left: Query, right: Query, span: Span) -> SqlResult<Query> {
    let shown = format!("{operator}{}", if all { " ALL" } else { "" });
    if left.columns.len() != right.columns.len() {
        return Err(SqlDiagnostic::new(span, format!("Column count mismatch in {shown}"))
            .with_hint("Both sides select the same number of columns."));
    }
    let (names, types) = (left.schema(), right.schema());
    let mut columns = Vec::with_capacity(names.len());
    for (number, ((name, a), (_, b))) in (1..).zip(names.into_iter().zip(types)) {
        let common = coerce::common_type(&[a, b]).ok_or_else(|| {
            SqlDiagnostic::new(span, format!("Type mismatch in column {number} of {shown}"))
                .with_hint("Cast one side to the type of the other.")
        })?;
        columns.push((name, common));
    }
    let mut sides = [left, right];
    for side in &mut sides {
        for ((_, value), (_, common)) in side.columns.iter_mut().zip(&columns) {
            let cast = call::now_where_none(value.take()).cast(common.kind);
            *value = Some(Expr { data_type: common.kind.nullable(cast.data_type.nullable), ..cast });
        }
    }
    let [left, right] = sides;
    let origin = if operator == SetOperator::Union && all {
        let mut branches = Vec::new();
        for side in [left, right] {
            match side {
                Query { origin: Origin::Union(inner), steps, columns, .. }
                    if steps.is_empty() && is_identity(&columns) =>
                {
                    branches.extend(inner);
                }
                side => branches.push(side),
            }
        }
        Origin::Union(branches)
    } else {
        if operator == SetOperator::Minus {
            return Err(SqlDiagnostic::new(span, "MINUS is not allowed under the current SQL conformance level")
                .with_hint("Write EXCEPT."));
        }
        Origin::Blocking(Box::new(Blocking::SetOperation { operator, all, left, right }), span)
    };
    Ok(Query::over(origin, columns))
}

/// Whether columns are those of the origin as they are.
fn is_identity(columns: &[(String, Option<Expr>)]) -> bool {
    let same = |(index, (_, value)): (usize, &(String, Option<Expr>))| matches!(value, Some(Expr { kind: crate::expr::ExprKind::Column(at), .. }) if *at == index);
    columns.iter().enumerate().all(same)
}

/// The values of a row of VALUES: a ROW in it alone is the row.
fn fields(row: &[Ast]) -> Vec<&Ast> {
    match row {
        [Ast::Nested(only)] => fields(std::slice::from_ref(only)),
        [Ast::Tuple(values)] => values.iter().collect(),
        [Ast::Function(call)] if call.name.to_string().eq_ignore_ascii_case("ROW") => {
            let FunctionArguments::List(list) = &call.args else { return Vec::new() };
            list.args
                .iter()
                .filter_map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                    _ => None,
                })
                .collect()
        }
        values => values.iter().collect(),
    }
}

fn values(ast: &Values) -> SqlResult<Query> {
    let scope = Scope::default();
    let mut rows = Vec::with_capacity(ast.rows.len());
    for row in &ast.rows {
        let row: SqlResult<Vec<Expr>> =
            fields(&row.content).into_iter().map(|value| Typer::new(&scope).value(value)).collect();
        rows.push(row?);
    }
    let width = rows.first().map_or(0, Vec::len);
    let span = ast.rows.first().and_then(|row| row.content.first()).map_or(Span::empty(), |value| value.span());
    let mut types = Vec::with_capacity(width);
    for column in 0..width {
        let all: Option<Vec<DataType>> = rows.iter().map(|row| row.get(column).map(|value| value.data_type)).collect();
        let all = all.filter(|_| rows.iter().all(|row| row.len() == width));
        let common = all.and_then(|all| coerce::common_type(&all)).ok_or_else(|| {
            SqlDiagnostic::new(span, "Values passed to VALUES operator must have compatible types")
                .with_hint("Give every row the same number of values, and cast them to one type.")
        })?;
        types.push(common);
    }
    for row in &mut rows {
        *row = std::mem::take(row).into_iter().zip(&types).map(|(value, to)| value.cast(to.kind)).collect();
    }
    // Of a single row the planner computes each value.
    if let [row] = rows.as_mut_slice() {
        for value in row.iter_mut().filter(|value| value.data_type.kind == LogicalType::Float && value.is_constant()) {
            *value = fold::computed_float(value.clone());
        }
    }
    let columns = types.iter().enumerate().map(|(index, data_type)| (format!("EXPR${index}"), *data_type)).collect();
    Ok(Query::over(Origin::Values { types, rows }, columns))
}

/// What to say where a stream would have to keep state.
#[must_use]
pub fn stateful(what: &str, span: Span) -> SqlDiagnostic {
    SqlDiagnostic::new(span, format!("{what} keeps state, which is not supported on a stream yet"))
        .with_hint(STATELESS_HINT)
}
