//! SELECT: FROM, WHERE and the projection; GROUP BY and its kin are refused by name.

use sqlparser::ast::{
    Distinct, Expr as Ast, FunctionArguments, GroupByExpr, Ident, Select, SelectItem, SelectItemQualifiedWildcardKind,
    Spanned as _,
};

use super::access;
use super::expr::Typer;
use super::query::{Binder, Blocking, Origin, Query, Step, stateful, twice};
use super::scope::{Named, Scope, ScopeColumn};
use super::subquery::Lifted;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;
use crate::parser::reserved;
use crate::parser::statement::name_of;
use crate::types::LogicalType;

/// Aggregate functions, for errors that say more than "unknown function".
const AGGREGATES: &[&str] = &[
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "VAR_POP",
    "VAR_SAMP",
    "VARIANCE",
    "STDDEV",
    "COLLECT",
    "LISTAGG",
    "FIRST_VALUE",
    "LAST_VALUE",
    "ARRAY_AGG",
    "JSON_OBJECTAGG",
    "JSON_ARRAYAGG",
    "APPROX_COUNT_DISTINCT",
];

impl Binder<'_> {
    /// Types a SELECT; gives the columns below it too, which ORDER BY may use.
    pub(super) fn select(&mut self, ast: &Select) -> SqlResult<(Query, Scope)> {
        refuse_clauses(ast)?;
        refuse_aggregates(ast)?;
        let (mut query, scope) = self.from(ast)?;
        if let Some(condition) = &ast.selection {
            if ast.from.is_empty() {
                return Err(SqlDiagnostic::new(condition.span(), "Incorrect syntax near the keyword 'WHERE'")
                    .with_hint("WHERE stands behind FROM."));
            }
            let mut subqueries = Lifted::new(self, &scope, &mut query);
            let condition = Typer::with_subqueries(&scope, &mut subqueries).condition(condition, "WHERE clause")?;
            query.steps.push(Step::Filter(condition));
        }
        query.columns = projection(&ast.projection, &scope, &mut Lifted::new(self, &scope, &mut query))?;
        match &ast.distinct {
            None | Some(Distinct::All) => Ok((query, scope)),
            Some(Distinct::Distinct) => {
                let columns = query.schema();
                let distinct = Origin::Blocking(Box::new(Blocking::Distinct(query)), ast.span());
                Ok((Query::over(distinct, columns), Scope::default()))
            }
            Some(Distinct::On(_)) => Err(SqlDiagnostic::new(ast.span(), "DISTINCT ON is not supported")
                .with_hint("Flink has no DISTINCT ON either.")),
        }
    }
}

fn refuse_clauses(ast: &Select) -> SqlResult<()> {
    let clauses = [
        (ast.qualify.is_some() || !ast.named_window.is_empty(), "WINDOW"),
        (ast.top.is_some() || ast.into.is_some() || ast.prewhere.is_some(), "this clause"),
        (!ast.lateral_views.is_empty() || !ast.connect_by.is_empty(), "this clause"),
        (!ast.cluster_by.is_empty() || !ast.distribute_by.is_empty() || !ast.sort_by.is_empty(), "this clause"),
        (ast.exclude.is_some() || ast.value_table_mode.is_some() || ast.select_modifiers.is_some(), "this clause"),
    ];
    match clauses.iter().find(|(found, _)| *found) {
        None => Ok(()),
        Some((_, "WINDOW")) => Err(stateful("WINDOW", ast.span())),
        Some((_, clause)) => {
            Err(SqlDiagnostic::new(ast.span(), format!("{clause} is not supported")).with_hint("Flink has it neither."))
        }
    }
}

/// Says of a grouped query what is wrong with it in Flink, or that groups are not supported yet.
fn refuse_aggregates(ast: &Select) -> SqlResult<()> {
    if let Some(condition) = &ast.selection
        && aggregate(condition).is_some()
    {
        return Err(SqlDiagnostic::new(condition.span(), "Aggregate expression is illegal in WHERE clause")
            .with_hint("Write the condition on groups into HAVING."));
    }
    let items = || {
        ast.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        })
    };
    let keys: &[Ast] = match &ast.group_by {
        GroupByExpr::Expressions(keys, _) => keys,
        GroupByExpr::All(_) => &[],
    };
    let used = items().find_map(aggregate);
    if keys.is_empty() && used.is_none() && ast.having.is_none() {
        return Ok(());
    }
    let plain = |expr: &&Ast| matches!(expr, Ast::Identifier(_) | Ast::CompoundIdentifier(_));
    let names: Vec<String> = keys.iter().map(Ast::to_string).collect();
    let grouped = |expr: &&Ast| {
        let shown = expr.to_string();
        names
            .iter()
            .any(|key| *key == shown || key.ends_with(&format!(".{shown}")) || shown.ends_with(&format!(".{key}")))
    };
    if let Some(wrong) = items().filter(plain).find(|expr| !grouped(expr))
        && keys.iter().all(|key| matches!(key, Ast::Identifier(_) | Ast::CompoundIdentifier(_)))
    {
        return Err(SqlDiagnostic::new(wrong.span(), format!("Expression '{wrong}' is not being grouped"))
            .with_hint("Add it to GROUP BY, or aggregate it."));
    }
    Err(match used {
        Some(name) if keys.is_empty() => stateful(&format!("aggregate function {name}"), ast.span()),
        _ => stateful("GROUP BY", ast.span()),
    })
}

/// The first aggregate function in an expression, outside of windows.
fn aggregate(expr: &Ast) -> Option<String> {
    let among = |inner: &[&Ast]| inner.iter().find_map(|inner| aggregate(inner));
    match expr {
        Ast::Function(call) => {
            let name = call.name.to_string().to_ascii_uppercase();
            if AGGREGATES.contains(&name.as_str()) && call.over.is_none() {
                return Some(name);
            }
            let FunctionArguments::List(list) = &call.args else { return None };
            list.args.iter().find_map(|argument| match argument {
                sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(inner)) => aggregate(inner),
                _ => None,
            })
        }
        Ast::BinaryOp { left, right, .. } => among(&[left, right]),
        Ast::UnaryOp { expr, .. } | Ast::Nested(expr) | Ast::Cast { expr, .. } | Ast::IsNull(expr) => among(&[expr]),
        Ast::IsNotNull(expr) => among(&[expr]),
        Ast::Case { conditions, else_result, .. } => conditions
            .iter()
            .find_map(|when| among(&[&when.condition, &when.result]))
            .or_else(|| else_result.as_deref().and_then(aggregate)),
        _ => None,
    }
}

fn projection(items: &[SelectItem], scope: &Scope, subqueries: &mut Lifted<'_, '_>) -> SqlResult<Columns> {
    let mut out: Columns = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match expr {
                    Ast::Identifier(name) => name.value.clone(),
                    Ast::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |name| name.value.clone()),
                    _ => format!("EXPR${}", out.len()),
                };
                out.push((name, selected(expr, scope, subqueries)?));
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                reserved::check_name(alias)?;
                out.push((alias.value.clone(), selected(expr, scope, subqueries)?));
            }
            SelectItem::Wildcard(options) => {
                refuse_options(&options.to_string(), item)?;
                if scope.columns.is_empty() {
                    return Err(SqlDiagnostic::new(item.span(), "SELECT * requires a FROM clause")
                        .with_hint("Name a table in FROM."));
                }
                out.extend(starred(scope, item)?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                refuse_options(&options.to_string(), item)?;
                let table = name_of(name)?;
                let of_table = |column: &&ScopeColumn| column.is_of(table.last());
                if !scope.columns.iter().any(|column| of_table(&column)) {
                    if let Some(fields) = fields_of(&table.parts, scope) {
                        out.extend(fields?);
                        continue;
                    }
                    return Err(SqlDiagnostic::new(table.span, format!("Unknown identifier '{}'", table.last()))
                        .with_hint("Name an alias of FROM before the star."));
                }
                let columns = scope.columns.iter().filter(of_table);
                out.extend(columns.map(|column| (column.name.clone(), column.value.clone())));
            }
            other => {
                return Err(SqlDiagnostic::new(other.span(), format!("`{other}` is not supported in SELECT"))
                    .with_hint("Write expressions with AS and a name."));
            }
        }
    }
    Ok(out)
}

/// `*`: every column once. A subquery that has a name twice is ambiguous, two tables that have it are not.
fn starred(scope: &Scope, item: &SelectItem) -> SqlResult<Columns> {
    let shown = || scope.columns.iter().filter(|column| column.named != Named::WithTable);
    let table = scope.columns.first().and_then(|column| column.table.as_deref());
    let alone = shown().all(|column| column.table.as_deref() == table && column.named == Named::Both);
    if alone && let Some(name) = twice(shown().map(|column| column.name.as_str())) {
        return Err(SqlDiagnostic::new(item.span(), format!("Column '{name}' is ambiguous"))
            .with_hint("Give the columns of the subquery names of their own."));
    }
    Ok(shown().map(|column| (column.name.clone(), column.value.clone())).collect())
}

/// Names and values of columns.
type Columns = Vec<(String, Option<Expr>)>;

/// `table.row.*`: the fields of a row, if the name is one.
fn fields_of(parts: &[String], scope: &Scope) -> Option<SqlResult<Columns>> {
    let parts = parts.iter().map(Ident::new).collect();
    let row = Typer::new(scope).value(&Ast::CompoundIdentifier(parts)).ok()?;
    let LogicalType::Row(fields) = row.data_type.kind else { return None };
    let field = |name: &str| {
        let value = access::field(row.clone(), &Ident::with_quote('`', name))?;
        Ok((name.to_owned(), Some(value)))
    };
    Some(fields.iter().map(|known| field(&known.name)).collect())
}

/// EXCEPT, REPLACE and the like behind a star.
fn refuse_options(options: &str, item: &SelectItem) -> SqlResult<()> {
    if options.is_empty() {
        return Ok(());
    }
    Err(SqlDiagnostic::new(item.span(), format!("*{options} is not supported")).with_hint("Name the columns."))
}

/// A selected expression; a column that is `PROCTIME()` may be passed on by a subquery.
fn selected(ast: &Ast, scope: &Scope, subqueries: &mut Lifted<'_, '_>) -> SqlResult<Option<Expr>> {
    let parts = match ast {
        Ast::Identifier(name) => std::slice::from_ref(name),
        Ast::CompoundIdentifier(parts) => parts.as_slice(),
        other if crate::catalog::table::is_proctime(other) => return Ok(None),
        _ => &[],
    };
    let known = scope.columns.iter().any(|column| parts.last().is_some_and(|name| column.name == name.value));
    // What is no column of that table may be a field of a row.
    if known && parts.len() <= 2 && scope.find(parts, ast.span()).is_ok_and(|column| column.value.is_none()) {
        return Ok(None);
    }
    Typer::with_subqueries(scope, subqueries).value(ast).map(Some)
}
