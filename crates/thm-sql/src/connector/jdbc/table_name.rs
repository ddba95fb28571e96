//! What `table-name` reads: a table, or a subquery of plain columns and casts to text over one; anything else is left to
//! the database.

use sqlparser::ast::{
    CastKind, DataType as Written, Expr as Ast, GroupByExpr, Ident, ObjectName, ObjectNamePart, Select, SelectItem,
    SetExpr, Statement, TableFactor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::statement::identifier;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::Given;

/// What `table-name` says.
pub(super) struct Source {
    pub schema: Option<String>,
    pub table: Option<String>,
    /// Name outside → column inside, for a subquery.
    selected: Option<Vec<(String, String)>>,
}

impl Source {
    /// What a query that asks the database reads FROM. The table itself where it is known: a subquery's cast of a key would
    /// keep its index from being used.
    pub fn relation(&self, written: &str) -> String {
        match (&self.selected, &self.schema, &self.table) {
            (Some(_), Some(schema), Some(table)) => format!("{}.{}", identifier(schema), identifier(table)),
            (Some(_), None, Some(table)) => identifier(table),
            _ => written.to_owned(),
        }
    }

    /// The database's column behind a declared one.
    pub fn column(&self, declared: &str, at: &Given) -> SqlResult<String> {
        let Some(selected) = &self.selected else { return Ok(declared.to_owned()) };
        let found = selected.iter().find(|(outside, _)| outside == declared);
        found.map(|(_, inside)| inside.clone()).ok_or_else(|| {
            SqlDiagnostic::new(at.span, format!("column '{declared}' is not selected by 'table-name'"))
                .with_hint("Add it to the subquery's SELECT, or remove it from the table.")
        })
    }
}

pub(super) fn read(at: &Given) -> SqlResult<Source> {
    let refused = || {
        SqlDiagnostic::new(at.span, format!("'table-name' = '{}' cannot be read", at.value)).with_hint(
            "Name a table, or write a subquery of plain columns and casts to text over one: \
             '(SELECT CAST(id AS VARCHAR) AS id, title FROM content) AS c'.",
        )
    };
    let text = format!("SELECT * FROM {}", at.value);
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &text).map_err(|_| refused())?;
    let (Some(Statement::Query(query)), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refused());
    };
    let select = query.body.as_select().ok_or_else(refused)?;
    match only_table(select).ok_or_else(refused)? {
        TableFactor::Table { name, args: None, .. } => {
            let (schema, table) = schema_and_table(name).ok_or_else(refused)?;
            Ok(Source { schema, table: Some(table), selected: None })
        }
        TableFactor::Derived { subquery, lateral: false, .. } => {
            // A subquery that is more than plain columns is asked of the database.
            Ok(plain_subquery(subquery).unwrap_or(Source { schema: None, table: None, selected: None }))
        }
        _ => Err(refused()),
    }
}

fn plain_subquery(subquery: &sqlparser::ast::Query) -> Option<Source> {
    let plain = subquery.with.is_none() && subquery.limit_clause.is_none() && subquery.fetch.is_none();
    let SetExpr::Select(inner) = &*subquery.body else { return None };
    let Some(TableFactor::Table { name, args: None, .. }) = only_table(inner).filter(|_| plain) else { return None };
    let (schema, table) = schema_and_table(name)?;
    let selected: Option<Vec<_>> = inner.projection.iter().map(selected).collect();
    Some(Source { schema, table: Some(table), selected: Some(selected?) })
}

/// The one table of a SELECT that does nothing but select.
fn only_table(select: &Select) -> Option<&TableFactor> {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let plain = select.selection.is_none() && select.distinct.is_none() && select.having.is_none() && !grouped;
    match select.from.as_slice() {
        [only] if plain && only.joins.is_empty() => Some(&only.relation),
        _ => None,
    }
}

/// PostgreSQL folds names without quotes to lower case.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn schema_and_table(name: &ObjectName) -> Option<(Option<String>, String)> {
    let part = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) => Some(folded(ident)),
        ObjectNamePart::Function(_) => None,
    };
    match name.0.as_slice() {
        [table] => Some((None, part(table)?)),
        [schema, table] => Some((Some(part(schema)?), part(table)?)),
        _ => None,
    }
}

/// Name outside and column inside of `column`, `CAST(column AS VARCHAR)` or `column::text`, with or without alias.
fn selected(item: &SelectItem) -> Option<(String, String)> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(folded(alias))),
        _ => return None,
    };
    let inside = column_of(expr)?;
    Some((alias.unwrap_or_else(|| inside.clone()), inside))
}

fn column_of(expr: &Ast) -> Option<String> {
    match expr {
        Ast::Identifier(ident) => Some(folded(ident)),
        Ast::CompoundIdentifier(parts) => parts.last().map(folded),
        Ast::Nested(inner) => column_of(inner),
        Ast::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            let text = matches!(
                data_type,
                Written::Varchar(None) | Written::Text | Written::CharacterVarying(None) | Written::CharVarying(None)
            );
            if text { column_of(expr) } else { None }
        }
        _ => None,
    }
}
