//! Options of `jdbc`, and what its `table-name` reads: a table, or a subquery of plain columns and casts to text over
//! one. Such a table is fed by the topic that carries the table's changes; the database is never asked.

use sqlparser::ast::{
    CastKind, DataType as Written, Expr as Ast, GroupByExpr, Ident, ObjectName, ObjectNamePart, Select, SelectItem,
    SetExpr, Statement, TableFactor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::options::Options;
use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::Spanned;

/// A `jdbc` table.
#[derive(Clone, Debug)]
pub struct JdbcTable {
    /// Schema, if `table-name` says one.
    pub schema: Option<String>,
    /// The database's table.
    pub table: String,
    /// For each declared column, the database's column.
    pub columns: Vec<String>,
}

/// A look-up here is never stale and asks nobody, so these have no effect.
const CACHE: &[&str] = &[
    "lookup.cache",
    "lookup.cache.max-rows",
    "lookup.cache.ttl",
    "lookup.cache.caching-missing-key",
    "lookup.max-retries",
    "lookup.partial-cache.expire-after-access",
    "lookup.partial-cache.expire-after-write",
    "lookup.partial-cache.caching-missing-key",
    "lookup.partial-cache.max-rows",
    "connection.max-retry-timeout",
];

/// Reads `jdbc` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn]) -> SqlResult<JdbcTable> {
    let url = options.required("url")?;
    if !url.value.starts_with("jdbc:postgresql:") {
        return Err(SqlDiagnostic::new(url.span, format!("'{}' is not a PostgreSQL address", url.value))
            .with_hint("Write 'jdbc:postgresql://host:port/database'."));
    }
    let name = options.required("table-name")?;
    for accepted in ["username", "password", "driver"] {
        let _ = options.take(accepted);
    }
    options.without_effect(CACHE);
    let source = table_name(&name)?;
    let columns = columns.iter().map(|column| source.column(&column.name, &name)).collect::<SqlResult<_>>()?;
    Ok(JdbcTable { schema: source.schema, table: source.table, columns })
}

/// What `table-name` says.
struct Source {
    schema: Option<String>,
    table: String,
    /// Name outside → column inside, for a subquery.
    selected: Option<Vec<(String, String)>>,
}

impl Source {
    fn column(&self, declared: &str, at: &Spanned<String>) -> SqlResult<String> {
        let Some(selected) = &self.selected else { return Ok(declared.to_owned()) };
        let found = selected.iter().find(|(outside, _)| outside == declared);
        found.map(|(_, inside)| inside.clone()).ok_or_else(|| {
            SqlDiagnostic::new(at.span, format!("column '{declared}' is not selected by 'table-name'"))
                .with_hint("Add it to the subquery's SELECT, or remove it from the table.")
        })
    }
}

fn table_name(at: &Spanned<String>) -> SqlResult<Source> {
    let refused = || {
        SqlDiagnostic::new(at.span, format!("'table-name' = '{}' is not supported", at.value)).with_hint(
            "Name a captured table, or write a subquery of plain columns and casts to text over one: \
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
            Ok(Source { schema, table, selected: None })
        }
        TableFactor::Derived { subquery, lateral: false, .. } => {
            let plain = subquery.with.is_none() && subquery.limit_clause.is_none() && subquery.fetch.is_none();
            let SetExpr::Select(inner) = &*subquery.body else { return Err(refused()) };
            let Some(TableFactor::Table { name, args: None, .. }) = only_table(inner).filter(|_| plain) else {
                return Err(refused());
            };
            let (schema, table) = schema_and_table(name).ok_or_else(refused)?;
            let selected: Option<Vec<_>> = inner.projection.iter().map(selected).collect();
            Ok(Source { schema, table, selected: Some(selected.ok_or_else(refused)?) })
        }
        _ => Err(refused()),
    }
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
