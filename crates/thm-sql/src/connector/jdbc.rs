//! Options of `jdbc`, and what its `table-name` reads: a table, or a subquery of plain columns and casts to text over
//! one. Where the table is captured it is fed by the topic of its changes and the database is never asked; otherwise
//! look-ups ask it, with the cache and the retries that the options say.

use std::time::Duration;

use sqlparser::ast::{
    CastKind, DataType as Written, Expr as Ast, GroupByExpr, Ident, ObjectName, ObjectNamePart, Select, SelectItem,
    SetExpr, Statement, TableFactor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use thm_api::Secret;

use super::Usage;
use super::options::Options;
use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::Spanned;
use crate::types::LogicalType;

/// A `jdbc` table.
#[derive(Clone, Debug)]
pub struct JdbcTable {
    /// `jdbc:postgresql://host:port/database`, without `jdbc:`.
    pub url: String,
    /// User and password, if given.
    pub login: Option<(String, Secret)>,
    /// `table-name` as written, to be read FROM.
    pub relation: String,
    /// Schema, if `table-name` says one.
    pub schema: Option<String>,
    /// The database's table; `None` for a subquery that is more than plain columns of one table.
    pub table: Option<String>,
    /// For each declared column, the database's column.
    pub columns: Vec<String>,
    /// How look-ups that ask the database remember answers.
    pub cache: Option<Cache>,
    /// How often a failed look-up is tried again.
    pub max_retries: u32,
}

/// The cache of look-ups that ask the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Most keys.
    pub max_rows: Option<u64>,
    /// Time after which an answer is forgotten.
    pub after_write: Option<Duration>,
    /// Time without use after which an answer is forgotten.
    pub after_access: Option<Duration>,
    /// Whether "there is none" is remembered.
    pub missing: bool,
}

/// Flink's `lookup.max-retries`.
const DEFAULT_MAX_RETRIES: u32 = 3;

/// Reads `jdbc` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn], usage: Usage) -> SqlResult<JdbcTable> {
    let url = options.required("url")?;
    let name = options.required("table-name")?;
    let address = url.value.strip_prefix("jdbc:").filter(|rest| rest.starts_with("postgresql://"));
    let address = address.ok_or_else(|| {
        let message = format!(
            "Could not find any jdbc factory that can handle url '{}' that implements \
             'org.apache.flink.connector.jdbc.core.database.JdbcFactory' in the classpath.",
            url.value
        );
        SqlDiagnostic::new(url.span, message).with_hint("Write 'jdbc:postgresql://host:port/database'.")
    })?;
    let login = match (options.take("username"), options.take("password")) {
        (Some(user), Some(password)) => Some((user.value, Secret::new(password.value))),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            let message = "Either all or none of the following options should be provided:\nusername\npassword";
            return Err(SqlDiagnostic::new(one.span, message).with_hint("Give both, or none."));
        }
    };
    let _ = options.take("driver");
    check_types(options, columns)?;
    scan(options, usage)?;
    let cache = cache(options)?;
    let retries = options.take("lookup.max-retries");
    let max_retries: i64 = Options::number(retries.as_ref())?.unwrap_or_else(|| i64::from(DEFAULT_MAX_RETRIES));
    let max_retries = u32::try_from(max_retries).map_err(|_| {
        let message = format!("The value of 'lookup.max-retries' option shouldn't be negative, but is {max_retries}.");
        SqlDiagnostic::new(retries.as_ref().map_or(options.span(), |text| text.span), message)
    })?;
    options.without_effect(&["connection.max-retry-timeout", "sink.buffer-flush.max-rows"]);
    options.without_effect(&["sink.buffer-flush.interval", "sink.max-retries", "sink.parallelism"]);
    let source = table_name(&name)?;
    let inside = columns.iter().map(|column| source.column(&column.name, &name)).collect::<SqlResult<_>>()?;
    Ok(JdbcTable {
        url: address.to_owned(),
        login,
        relation: name.value.clone(),
        schema: source.schema,
        table: source.table,
        columns: inside,
        cache,
        max_retries,
    })
}

/// What PostgreSQL has no type for.
fn check_types(options: &Options<'_>, columns: &[PhysicalColumn]) -> SqlResult<()> {
    for PhysicalColumn { name, data_type } in columns {
        let message = match data_type.kind {
            LogicalType::Map(_) | LogicalType::Row(_) | LogicalType::Multiset(_) => {
                format!("The PostgreSQL dialect doesn't support type: {}.", data_type.kind)
            }
            LogicalType::Timestamp(7..) | LogicalType::TimestampLtz(7..) => format!(
                "The precision of field '{name}' is out of the TIMESTAMP precision range [1, 6] supported by PostgreSQL dialect."
            ),
            _ => continue,
        };
        return Err(SqlDiagnostic::new(options.span(), message).with_hint("Declare the column with another type."));
    }
    Ok(())
}

/// Options of scans: all or none of them, and only look-ups are made here.
fn scan(options: &mut Options<'_>, usage: Usage) -> SqlResult<()> {
    const PARTITION: [&str; 4] =
        ["scan.partition.column", "scan.partition.num", "scan.partition.lower-bound", "scan.partition.upper-bound"];
    let given: Vec<_> = PARTITION.iter().filter_map(|key| options.take(key)).collect();
    if let Some(first) = given.first().filter(|_| given.len() < PARTITION.len()) {
        let message =
            format!("Either all or none of the following options should be provided:\n{}", PARTITION.join("\n"));
        return Err(SqlDiagnostic::new(first.span, message).with_hint("Give all four, or none."));
    }
    if usage != Usage::Source {
        options.without_effect(&["scan.fetch-size", "scan.auto-commit"]);
    }
    Ok(())
}

fn cache(options: &mut Options<'_>) -> SqlResult<Option<Cache>> {
    let kind = options.take("lookup.cache");
    let span = kind.as_ref().map_or(options.span(), |kind| kind.span);
    let (partial, full) = match kind.as_ref().map(|kind| kind.value.to_ascii_uppercase()).as_deref() {
        None | Some("NONE") => (false, false),
        Some("PARTIAL") => (true, false),
        Some("FULL") => (false, true),
        Some(other) => {
            let message = format!(
                "Could not parse value '{other}' for key 'lookup.cache'. Expected one of: [[NONE, PARTIAL, FULL]]"
            );
            return Err(SqlDiagnostic::new(span, message).with_hint("Write 'NONE' or 'PARTIAL'."));
        }
    };
    if full {
        return Err(SqlDiagnostic::new(span, "'lookup.cache' = 'FULL' is not supported")
            .with_hint("Let a source capture the table: then the whole of it is at hand and never stale."));
    }
    let mut take = |new: &str, old: &str| {
        let new = if partial { options.take(new) } else { None };
        let old = options.take(old);
        new.or(old.filter(|_| !partial))
    };
    let rows = take("lookup.partial-cache.max-rows", "lookup.cache.max-rows");
    let written = take("lookup.partial-cache.expire-after-write", "lookup.cache.ttl");
    let missing = take("lookup.partial-cache.caching-missing-key", "lookup.cache.caching-missing-key");
    let access = if partial { options.take("lookup.partial-cache.expire-after-access") } else { None };
    let cache = Cache {
        max_rows: Options::number(rows.as_ref())?,
        after_write: Options::duration(written.as_ref())?,
        after_access: Options::duration(access.as_ref())?,
        missing: missing.map_or(Ok(true), |text| Options::boolean(Some(text)))?,
    };
    let bounded = cache.max_rows.is_some() || cache.after_write.is_some() || cache.after_access.is_some();
    if partial && !bounded {
        let message = "Missing 'lookup.partial-cache.expire-after-access', 'lookup.partial-cache.expire-after-write' or \
                       'lookup.partial-cache.max-rows' in the configuration. The cache will not have evictions under this \
                       configuration and could lead to potential memory issues as the cache size may grow indefinitely.";
        return Err(SqlDiagnostic::new(span, message).with_hint("Add 'lookup.partial-cache.max-rows'."));
    }
    Ok(bounded.then_some(cache))
}

/// What `table-name` says.
struct Source {
    schema: Option<String>,
    table: Option<String>,
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
