//! What SHOW and DESCRIBE say of the catalog, in Flink's form.

use std::fmt::Write as _;

use serde_json::Value;
use sqlparser::tokenizer::Span;

use super::{Catalog, ColumnKind, Object, Path, table};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{ColumnKind as WrittenKind, CreateTable, Name, Pattern, Show, Shown};
use crate::types::nested::RowField;
use crate::types::{DataType, LogicalType, MAX_LENGTH, read};

/// Rows that a statement shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableResult {
    /// Name and type of each column.
    pub columns: Vec<(String, DataType)>,
    /// Rows.
    pub rows: Vec<Vec<Value>>,
}

impl TableResult {
    /// One column of texts.
    #[must_use]
    pub fn texts(name: &str, rows: impl IntoIterator<Item = String>) -> Self {
        let columns = vec![(name.to_owned(), LogicalType::STRING.nullable(true))];
        Self { columns, rows: rows.into_iter().map(|text| vec![Value::String(text)]).collect() }
    }
}

/// `SHOW …`, except of jars.
pub fn show(catalog: &Catalog, show: &Show) -> SqlResult<TableResult> {
    let kept = |name: &String| show.like.as_ref().is_none_or(|pattern| matches(pattern, name));
    let names = |title: &str, names: Vec<String>| Ok(TableResult::texts(title, names.into_iter().filter(kept)));
    let inside = |path: &&Path| path.catalog == catalog.current.0 && path.database == catalog.current.1;
    match &show.what {
        Shown::Tables(None) => {
            let all = catalog.objects.keys().chain(catalog.temporary.keys()).filter(inside);
            names("table name", sorted(all.map(|path| path.name.clone())))
        }
        Shown::Tables(Some(database)) => {
            let (of_catalog, of_database) = catalog.database_of(database)?;
            if !catalog.databases.get(&of_catalog).is_some_and(|known| known.contains(&of_database)) {
                return Err(catalog.no_database(&of_database, &of_catalog, database.span));
            }
            let all = catalog.objects.keys().chain(catalog.temporary.keys());
            let all = all.filter(|path| path.catalog == of_catalog && path.database == of_database);
            names("table name", sorted(all.map(|path| path.name.clone())))
        }
        Shown::Views => {
            let all = catalog.objects.iter().chain(&catalog.temporary);
            let views = all.filter(|(path, entry)| inside(path) && matches!(entry.object, Object::View(_)));
            names("view name", sorted(views.map(|(path, _)| path.name.clone())))
        }
        Shown::Functions { user: true } => names("function name", Vec::new()),
        Shown::Functions { user: false } => {
            let known = crate::functions::names().chain(crate::analyzer::call::REWRITTEN.iter().copied());
            // Operators have names with a space in them.
            let known = known.filter(|name| !name.contains(' '));
            names("function name", sorted(known.map(str::to_ascii_lowercase)))
        }
        Shown::Databases => {
            let known = catalog.databases.get(&catalog.current.0).into_iter().flatten().cloned();
            names("database name", sorted(known))
        }
        Shown::Catalogs => names("catalog name", sorted(catalog.databases.keys().cloned())),
        Shown::CurrentDatabase => names("current database name", vec![catalog.current.1.clone()]),
        Shown::CurrentCatalog => names("current catalog name", vec![catalog.current.0.clone()]),
        Shown::Modules => names("module name", vec!["core".to_owned()]),
        Shown::Jobs => {
            Err(SqlDiagnostic::new(Span::empty(), "SHOW JOBS is not supported: a session knows of no engine")
                .with_hint("`thm job list` shows the jobs of one."))
        }
        Shown::Jars => names("jars", Vec::new()),
        Shown::Columns(name) => {
            let mut described = describe(catalog, name)?;
            described.rows.retain(|row| row[0].as_str().is_none_or(|name| kept(&name.to_owned())));
            Ok(described)
        }
        Shown::CreateTable(name) => {
            let path = catalog.path(name)?;
            match catalog.find(&path).map(|entry| &entry.object) {
                Some(Object::Table(written)) => Ok(TableResult::texts("result", [create_table(&path, written)?])),
                Some(Object::View(_)) => Err(SqlDiagnostic::new(
                    name.span,
                    format!("SHOW CREATE TABLE is only supported for tables, but {} is a view.", path.quoted()),
                )
                .with_hint("Please use SHOW CREATE VIEW instead.")),
                None => Err(missing(name, &path, "TABLE", "Table")),
            }
        }
        Shown::CreateView(name) => {
            let path = catalog.path(name)?;
            match catalog.find(&path).map(|entry| &entry.object) {
                Some(Object::View(view)) => {
                    let columns: Vec<String> = view.schema.iter().map(|(name, _)| format!("`{name}`")).collect();
                    let temporary = if catalog.temporary.contains_key(&path) { "TEMPORARY " } else { "" };
                    let text =
                        format!("CREATE {temporary}VIEW {}({}) as\n{}", path.quoted(), columns.join(", "), view.query);
                    Ok(TableResult::texts("result", [text]))
                }
                Some(Object::Table(_)) => Err(SqlDiagnostic::new(
                    name.span,
                    format!("SHOW CREATE VIEW is only supported for views, but {} is a table.", path.quoted()),
                )
                .with_hint("Please use SHOW CREATE TABLE instead.")),
                None => Err(missing(name, &path, "VIEW", "View")),
            }
        }
    }
}

fn missing(name: &Name, path: &Path, what: &str, kind: &str) -> SqlDiagnostic {
    let message =
        format!("Could not execute SHOW CREATE {what}. {kind} with identifier {} does not exist.", path.quoted());
    SqlDiagnostic::new(name.span, message).with_hint("SHOW TABLES lists what there is.")
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// LIKE on a name.
fn matches(pattern: &Pattern, name: &str) -> bool {
    fn like(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('%', rest)), _) => (0..=name.len()).any(|skip| like(rest, &name[skip..])),
            (Some((wanted, rest)), Some((found, others))) => (*wanted == '_' || wanted == found) && like(rest, others),
            _ => false,
        }
    }
    let fold = |text: &str| if pattern.any_case { text.to_lowercase() } else { text.to_owned() };
    let (wanted, found): (Vec<char>, Vec<char>) = (fold(&pattern.text).chars().collect(), fold(name).chars().collect());
    like(&wanted, &found) != pattern.negated
}

/// `DESCRIBE name`.
pub fn describe(catalog: &Catalog, name: &Name) -> SqlResult<TableResult> {
    let path = catalog.path(name)?;
    let object = catalog.find(&path).map(|entry| &entry.object).ok_or_else(|| {
        let message = format!("Tables or views with the identifier '{path}' doesn't exist");
        SqlDiagnostic::new(name.span, message).with_hint("SHOW TABLES lists what there is.")
    })?;
    let text = |name: &str| (name.to_owned(), LogicalType::STRING.nullable(true));
    let mut columns = vec![text("name"), text("type")];
    columns.push(("null".to_owned(), LogicalType::Boolean.nullable(true)));
    columns.extend(["key", "extras", "watermark"].map(text));
    let rows = match object {
        Object::View(view) => {
            view.schema.iter().map(|(name, data_type)| row(name, *data_type, "", None, None, None)).collect()
        }
        Object::Table(written) => {
            let mut rows = describe_table(&path, written)?;
            // Comments have a column only where there is one.
            if written.columns.iter().any(|column| column.comment.is_some()) {
                columns.push(text("comment"));
                for (row, column) in rows.iter_mut().zip(&written.columns) {
                    row.push(column.comment.clone().into());
                }
            }
            rows
        }
    };
    Ok(TableResult { columns, rows })
}

fn row(
    name: &str,
    data_type: DataType,
    mark: &str,
    key: Option<String>,
    extras: Option<String>,
    watermark: Option<String>,
) -> Vec<Value> {
    let shown = format!("{}{mark}", data_type.kind);
    vec![name.into(), shown.into(), data_type.nullable.into(), key.into(), extras.into(), watermark.into()]
}

fn describe_table(path: &Path, written: &CreateTable) -> SqlResult<Vec<Vec<Value>>> {
    let parts = table::parts(path, written)?;
    let key: Vec<&str> = written.primary_key.iter().map(|column| column.value.as_str()).collect();
    let out = parts.columns.iter().zip(&written.columns).map(|(column, source)| {
        let in_key = key.contains(&column.name.as_str());
        let watermark = written.watermark.as_ref().filter(|(name, _)| name.value == column.name);
        let (data_type, mark) = match &column.kind {
            ColumnKind::Physical(index) => (parts.physical[*index].data_type, ""),
            ColumnKind::Metadata(index) => (parts.metadata[*index].declared, ""),
            ColumnKind::Computed(expr) => (expr.data_type, ""),
            ColumnKind::ProcTime => (LogicalType::TimestampLtz(3).nullable(false), " *PROCTIME*"),
        };
        let mark = if watermark.is_some() { " *ROWTIME*" } else { mark };
        let extras = match &source.kind {
            WrittenKind::Physical(_) => None,
            WrittenKind::Computed(expr) => Some(format!("AS {}", quoted(expr))),
            WrittenKind::Metadata { key, is_virtual, .. } => {
                let from = key.as_ref().map_or_else(String::new, |key| format!(" FROM '{}'", key.value));
                Some(format!("METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" }))
            }
        };
        let key = in_key.then(|| format!("PRI({})", key.join(", ")));
        row(&column.name, data_type, mark, key, extras, watermark.map(|(_, strategy)| quoted(strategy)))
    });
    Ok(out.collect())
}

/// An expression with its column names in backticks, as Flink keeps it.
pub(super) fn quoted(expr: &sqlparser::ast::Expr) -> String {
    use sqlparser::ast::{Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments};
    match expr {
        Ast::Identifier(name) => format!("`{}`", name.value),
        Ast::CompoundIdentifier(parts) => {
            parts.iter().map(|part| format!("`{}`", part.value)).collect::<Vec<_>>().join(".")
        }
        Ast::BinaryOp { left, op, right } => format!("{} {op} {}", quoted(left), quoted(right)),
        Ast::Nested(inner) => format!("({})", quoted(inner)),
        Ast::Function(call) if call.name.to_string() == "$INTERVAL" => {
            let words = call.args.to_string();
            let words: Vec<&str> = words.trim_matches(['(', ')']).split(", ").collect();
            match words.as_slice() {
                [amount, unit, rest @ ..] => {
                    let to = rest.first().map_or_else(String::new, |to| format!(" TO {}", to.trim_matches('\'')));
                    format!("INTERVAL {amount} {}{to}", unit.trim_matches('\''))
                }
                _ => expr.to_string(),
            }
        }
        Ast::Cast { expr, data_type, .. } => {
            let shown = read::any_type(data_type, Span::empty())
                .map_or_else(|_| data_type.to_string(), |kind| kind.to_string());
            format!("CAST({} AS {shown})", quoted(expr))
        }
        Ast::Function(call) if !call.name.to_string().starts_with('$') => {
            let FunctionArguments::List(list) = &call.args else { return expr.to_string() };
            let value = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => quoted(value),
                other => other.to_string(),
            };
            let arguments: Vec<String> = list.args.iter().map(value).collect();
            format!("{}({})", call.name.to_string().to_ascii_uppercase(), arguments.join(", "))
        }
        other => other.to_string(),
    }
}

/// A type in DDL: STRING and BYTES are written out.
fn written_type(data_type: DataType) -> String {
    let null = if data_type.nullable { "" } else { " NOT NULL" };
    match data_type.kind {
        LogicalType::VarChar(MAX_LENGTH) => format!("VARCHAR({MAX_LENGTH}){null}"),
        LogicalType::VarBinary(MAX_LENGTH) => format!("VARBINARY({MAX_LENGTH}){null}"),
        LogicalType::TimestampLtz(p) => format!("TIMESTAMP({p}) WITH LOCAL TIME ZONE{null}"),
        LogicalType::Array(of) => format!("ARRAY<{}>{null}", written_type(*of)),
        LogicalType::Multiset(of) => format!("MULTISET<{}>{null}", written_type(*of)),
        LogicalType::Map(entry) => format!("MAP<{}, {}>{null}", written_type(entry.key), written_type(entry.value)),
        LogicalType::Row(fields) => {
            let field = |field: &RowField| format!("`{}` {}", field.name, written_type(field.data_type));
            format!("ROW<{}>{null}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        kind => format!("{kind}{null}"),
    }
}

fn create_table(path: &Path, written: &CreateTable) -> SqlResult<String> {
    let parts = table::parts(path, written)?;
    let temporary = if written.temporary { "TEMPORARY " } else { "" };
    let mut lines = Vec::new();
    for (column, source) in parts.columns.iter().zip(&written.columns) {
        let comment =
            source.comment.as_ref().map_or_else(String::new, |text| format!(" COMMENT '{}'", text.replace('\'', "''")));
        let definition = match (&column.kind, &source.kind) {
            (ColumnKind::Physical(index), _) => written_type(parts.physical[*index].data_type),
            (ColumnKind::Metadata(index), WrittenKind::Metadata { key, is_virtual, .. }) => {
                let from = key.as_ref().map_or_else(String::new, |key| format!(" FROM '{}'", key.value));
                let kind = written_type(parts.metadata[*index].declared);
                format!("{kind} METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" })
            }
            (_, WrittenKind::Computed(expr)) => format!("AS {}", quoted(expr)),
            _ => String::new(),
        };
        lines.push(format!("  `{}` {definition}{comment}", column.name));
    }
    if let Some((column, strategy)) = &written.watermark {
        lines.push(format!("  WATERMARK FOR `{}` AS {}", column.value, quoted(strategy)));
    }
    if !written.primary_key.is_empty() {
        let names: Vec<&str> = written.primary_key.iter().map(|column| column.value.as_str()).collect();
        let name = super::alter::constraint_of(written);
        lines.push(format!("  CONSTRAINT `{name}` PRIMARY KEY (`{}`) NOT ENFORCED", names.join("`, `")));
    }
    let mut out = format!("CREATE {temporary}TABLE {} (\n{}\n)", path.quoted(), lines.join(",\n"));
    if let Some(comment) = &written.comment {
        // Writing to a String never fails.
        let _ = writeln!(out, " COMMENT '{}'", comment.replace('\'', "''"));
    } else {
        out.push(' ');
    }
    let mut options: Vec<(&str, &str)> =
        written.options.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str())).collect();
    java_map_order(&mut options);
    let secret =
        |key: &str| key.to_ascii_lowercase().contains("password") || key.to_ascii_lowercase().contains("secret");
    let shown = |(key, value): &(&str, &str)| {
        let value = if secret(key) { "******" } else { value };
        format!("  '{key}' = '{}'", value.replace('\'', "''"))
    };
    let shown: Vec<String> = options.iter().map(shown).collect();
    let _ = write!(out, "WITH (\n{}\n)\n", shown.join(",\n"));
    Ok(out)
}

/// The order in which a Java HashMap lists its keys, which is the order that Flink shows.
fn java_map_order(options: &mut [(&str, &str)]) {
    let wanted = u32::try_from(options.len() * 4 / 3 + 1).unwrap_or(u32::MAX / 2);
    let buckets = wanted.next_power_of_two();
    let bucket = |key: &str| {
        let hash = key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) & (buckets - 1)
    };
    options.sort_by_key(|(key, _)| bucket(key));
}
