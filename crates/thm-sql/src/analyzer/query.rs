//! A query → its typed relation: where rows come from, which look-ups and filters they pass, which columns come out.
//!
//! Subqueries are folded into their users, so the tree below a query is a line:
//! `scan or values → (look-up | filter)* → columns`.

use std::sync::Arc;

use sqlparser::ast::{
    Expr as Ast, GroupByExpr, JoinConstraint, JoinOperator, Query as AstQuery, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned as _, TableFactor, TableVersion, Values,
};
use sqlparser::tokenizer::Span;

use super::expr::Typer;
use super::lookup;
use super::scope::{Scope, ScopeColumn};
use crate::catalog::{Catalog, Table};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;
use crate::parser::statement::unqualified;
use crate::types::{DataType, coerce};

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
}

/// What rows pass, in order.
#[derive(Clone, Debug)]
pub enum Step {
    /// WHERE.
    Filter(Expr),
    /// `JOIN … FOR SYSTEM_TIME AS OF`; adds the table's physical columns.
    Lookup(Lookup),
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
    /// Where it stands.
    pub span: Span,
}

/// A typed query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where rows come from.
    pub origin: Origin,
    /// What they pass.
    pub steps: Vec<Step>,
    /// Names and values of the columns that come out; `None` is `PROCTIME()`.
    pub columns: Vec<(String, Option<Expr>)>,
    /// Columns of origin and look-ups together.
    width: usize,
}

/// Types a query.
pub fn query(catalog: &Catalog, ast: &AstQuery) -> SqlResult<Query> {
    if let Some(with) = &ast.with {
        return Err(SqlDiagnostic::new(with.span(), "WITH is not supported yet").with_hint("Write a subquery in FROM."));
    }
    let extra = [
        (ast.order_by.is_some(), "ORDER BY"),
        (ast.limit_clause.is_some() || ast.fetch.is_some(), "LIMIT"),
        (!ast.locks.is_empty() || ast.for_clause.is_some() || ast.settings.is_some(), "FOR"),
        (!ast.pipe_operators.is_empty() || ast.format_clause.is_some(), "this clause"),
    ];
    if let Some((_, clause)) = extra.iter().find(|(found, _)| *found) {
        return Err(SqlDiagnostic::new(ast.span(), format!("{clause} is not supported yet"))
            .with_hint("A stream has no end to sort or cut; remove it."));
    }
    match &*ast.body {
        SetExpr::Select(select) => self::select(catalog, select),
        SetExpr::Query(inner) => query(catalog, inner),
        SetExpr::Values(rows) => values(rows),
        SetExpr::SetOperation { op, .. } => Err(SqlDiagnostic::new(ast.span(), format!("{op} is not supported yet"))
            .with_hint("Write one INSERT for each side; several may write the same table.")),
        _ => Err(SqlDiagnostic::new(ast.span(), "this is not a query").with_hint("Write SELECT …")),
    }
}

fn values(ast: &Values) -> SqlResult<Query> {
    let scope = Scope::default();
    let mut rows = Vec::with_capacity(ast.rows.len());
    for row in &ast.rows {
        let row: SqlResult<Vec<Expr>> = row.content.iter().map(|value| Typer::new(&scope).expr(value)).collect();
        rows.push(row?);
    }
    let width = rows.first().map_or(0, Vec::len);
    let span = ast.rows.first().and_then(|row| row.content.first()).map_or(Span::empty(), |value| value.span());
    let mut types = Vec::with_capacity(width);
    for column in 0..width {
        let all: Option<Vec<DataType>> = rows.iter().map(|row| row.get(column).map(|value| value.data_type)).collect();
        let common = all.and_then(|all| coerce::common_type(&all)).ok_or_else(|| {
            SqlDiagnostic::new(span, "Values passed to VALUES operator must have compatible types")
                .with_hint("Give every row the same number of values, and cast them to one type.")
        })?;
        types.push(common);
    }
    for row in &mut rows {
        *row = std::mem::take(row).into_iter().zip(&types).map(|(value, to)| value.cast(to.kind)).collect();
    }
    let column =
        |(index, data_type): (usize, &DataType)| (format!("EXPR${index}"), Some(Expr::column(index, *data_type)));
    let columns = types.iter().enumerate().map(column).collect();
    Ok(Query { origin: Origin::Values { types, rows }, steps: Vec::new(), columns, width })
}

fn select(catalog: &Catalog, ast: &Select) -> SqlResult<Query> {
    refuse_clauses(ast)?;
    let (mut query, mut scope) = from(catalog, ast)?;
    if let Some(condition) = &ast.selection {
        query.steps.push(Step::Filter(Typer::new(&scope).condition(condition, "WHERE")?));
    }
    query.columns = projection(&ast.projection, &mut scope)?;
    Ok(query)
}

fn refuse_clauses(ast: &Select) -> SqlResult<()> {
    let grouped =
        !matches!(&ast.group_by, GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty());
    let clauses = [
        (ast.distinct.is_some(), "SELECT DISTINCT"),
        (grouped, "GROUP BY"),
        (ast.having.is_some(), "HAVING"),
        (ast.qualify.is_some() || !ast.named_window.is_empty(), "WINDOW"),
        (ast.top.is_some() || ast.into.is_some() || ast.prewhere.is_some(), "this clause"),
        (!ast.lateral_views.is_empty() || !ast.connect_by.is_empty(), "this clause"),
        (!ast.cluster_by.is_empty() || !ast.distribute_by.is_empty() || !ast.sort_by.is_empty(), "this clause"),
        (ast.exclude.is_some() || ast.value_table_mode.is_some() || ast.select_modifiers.is_some(), "this clause"),
    ];
    match clauses.iter().find(|(found, _)| *found) {
        None => Ok(()),
        Some((_, clause)) => Err(SqlDiagnostic::new(ast.span(), format!("{clause} is not supported yet"))
            .with_hint("Jobs are stateless so far: projections, filters and look-ups.")),
    }
}

fn from(catalog: &Catalog, ast: &Select) -> SqlResult<(Query, Scope)> {
    let table = match ast.from.as_slice() {
        [] => {
            let origin = Origin::Values { types: Vec::new(), rows: vec![Vec::new()] };
            return Ok((Query { origin, steps: Vec::new(), columns: Vec::new(), width: 0 }, Scope::default()));
        }
        [only] => only,
        [_, second, ..] => {
            return Err(SqlDiagnostic::new(second.span(), "a join of streams is not supported yet")
                .with_hint("Look a table up with JOIN t FOR SYSTEM_TIME AS OF e.proc_time ON …."));
        }
    };
    let (mut query, mut scope) = relation(catalog, &table.relation)?;
    for join in &table.joins {
        let (outer, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => (false, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (true, on),
            other => {
                let shown = format!("{other:?}");
                let kind = shown.split('(').next().unwrap_or("this").to_owned();
                return Err(SqlDiagnostic::new(join.relation.span(), format!("join type {kind} is not supported"))
                    .with_hint("A look-up join is JOIN or LEFT JOIN."));
            }
        };
        let JoinConstraint::On(condition) = constraint else {
            return Err(SqlDiagnostic::new(join.relation.span(), "a join needs ON").with_hint("Write ON a.x = b.y."));
        };
        join_table(catalog, &join.relation, outer, condition, (&mut query, &mut scope))?;
    }
    Ok((query, scope))
}

/// What FROM starts with.
fn relation(catalog: &Catalog, factor: &TableFactor) -> SqlResult<(Query, Scope)> {
    match factor {
        TableFactor::Table { name, alias, version: None, args: None, sample: None, with_hints, .. }
            if with_hints.is_empty() =>
        {
            let name = unqualified(name)?;
            let table = catalog.get(&name.value, name.span)?;
            let alias = alias.as_ref().map_or(name.value.as_str(), |alias| alias.name.value.as_str());
            let scope = Scope { columns: table.scope(alias) };
            let width = table.physical.len();
            Ok((Query { origin: Origin::Scan(table), steps: Vec::new(), columns: Vec::new(), width }, scope))
        }
        TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
            let mut inner = query(catalog, subquery)?;
            let mut names: Vec<String> = inner.columns.iter().map(|(name, _)| name.clone()).collect();
            let table = alias.as_ref().map(|alias| alias.name.value.clone());
            let given = alias.as_ref().map_or(&[][..], |alias| alias.columns.as_slice());
            if !given.is_empty() {
                if given.len() != names.len() {
                    let message = format!(
                        "List of column aliases must have same degree as table; table has {} columns",
                        names.len()
                    );
                    return Err(SqlDiagnostic::new(factor.span(), message));
                }
                names = given.iter().map(|column| column.name.value.clone()).collect();
            }
            let values = std::mem::take(&mut inner.columns);
            let column = |(name, (_, value))| ScopeColumn { table: table.clone(), name, value };
            let columns = names.into_iter().zip(values).map(column).collect();
            Ok((inner, Scope { columns }))
        }
        TableFactor::Table { name, version: Some(_), .. } => {
            Err(SqlDiagnostic::new(factor.span(), format!("{name} FOR SYSTEM_TIME AS OF must be joined to a stream"))
                .with_hint("Write FROM events AS e JOIN t FOR SYSTEM_TIME AS OF e.proc_time ON …."))
        }
        other => Err(SqlDiagnostic::new(other.span(), "this kind of table is not supported yet")
            .with_hint("FROM takes a table or a subquery.")),
    }
}

fn join_table(
    catalog: &Catalog,
    factor: &TableFactor,
    outer: bool,
    condition: &Ast,
    (query, scope): (&mut Query, &mut Scope),
) -> SqlResult<()> {
    let span = factor.span();
    let TableFactor::Table { name, alias, version, args: None, sample: None, .. } = factor else {
        return Err(SqlDiagnostic::new(span, "a join with a subquery is not supported yet")
            .with_hint("Look a jdbc table up; a subquery may stand in its 'table-name'."));
    };
    let name = unqualified(name)?;
    let table = catalog.get(&name.value, name.span)?;
    match version {
        Some(TableVersion::ForSystemTimeAsOf(time)) => proc_time(scope, time)?,
        Some(other) => {
            return Err(SqlDiagnostic::new(span, format!("{other} is not supported"))
                .with_hint("Write FOR SYSTEM_TIME AS OF e.proc_time."));
        }
        None => {
            return Err(SqlDiagnostic::new(span, "a join of streams is not supported yet")
                .with_hint("For a look-up write FOR SYSTEM_TIME AS OF e.proc_time behind the table's name."));
        }
    }
    let alias = alias.as_ref().map_or(name.value.as_str(), |alias| alias.name.value.as_str());
    let lookup = lookup::bind(&table, alias, outer, condition, (scope, query.width), span)?;
    query.steps.push(Step::Lookup(lookup));
    query.width += table.physical.len();
    Ok(())
}

/// `FOR SYSTEM_TIME AS OF` takes a column that is `PROCTIME()`.
fn proc_time(scope: &Scope, time: &Ast) -> SqlResult<()> {
    let refused = || {
        SqlDiagnostic::new(
            time.span(),
            "Temporal table join currently only supports 'FOR SYSTEM_TIME AS OF' left table's proctime field",
        )
        .with_hint("Declare `proc_time AS PROCTIME()` in the left table and name it here.")
    };
    let column = match time {
        Ast::Identifier(name) => scope.find(std::slice::from_ref(name), time.span())?,
        Ast::CompoundIdentifier(parts) => scope.find(parts, time.span())?,
        _ => return Err(refused()),
    };
    if column.value.is_none() { Ok(()) } else { Err(refused()) }
}

fn projection(items: &[SelectItem], scope: &mut Scope) -> SqlResult<Vec<(String, Option<Expr>)>> {
    let mut out: Vec<(String, Option<Expr>)> = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match expr {
                    Ast::Identifier(name) => name.value.clone(),
                    Ast::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |name| name.value.clone()),
                    _ => format!("EXPR${}", out.len()),
                };
                out.push((name, selected(expr, scope)?));
            }
            SelectItem::ExprWithAlias { expr, alias } => out.push((alias.value.clone(), selected(expr, scope)?)),
            SelectItem::Wildcard(_) => {
                out.extend(scope.columns.iter().map(|column| (column.name.clone(), column.value.clone())));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let table = unqualified(name)?;
                let of_table = scope.columns.iter().filter(|column| column.table.as_ref() == Some(&table.value));
                out.extend(of_table.map(|column| (column.name.clone(), column.value.clone())));
            }
            other => {
                return Err(SqlDiagnostic::new(other.span(), format!("`{other}` is not supported in SELECT"))
                    .with_hint("Write expressions with AS and a name."));
            }
        }
    }
    Ok(out)
}

/// A selected expression; a column that is `PROCTIME()` may be passed on by a subquery.
fn selected(ast: &Ast, scope: &Scope) -> SqlResult<Option<Expr>> {
    let parts = match ast {
        Ast::Identifier(name) => std::slice::from_ref(name),
        Ast::CompoundIdentifier(parts) => parts.as_slice(),
        _ => &[],
    };
    if !parts.is_empty() && scope.find(parts, ast.span())?.value.is_none() {
        return Ok(None);
    }
    Typer::new(scope).value(ast).map(Some)
}
