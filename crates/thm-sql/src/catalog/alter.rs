//! `ALTER TABLE`: columns, key and watermark of a table that there is. A change is made to a copy, which is checked as a
//! new table is, and takes the table's place only then.

use sqlparser::ast::{Expr, Ident};
use sqlparser::tokenizer::{Span, Token, Tokenizer};

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{Column, ColumnKind, CreateTable, Fragment, Position, SchemaChange};
use crate::parser::dialect::FlinkDialect;

/// Changes a table's schema.
pub(super) fn apply(table: &mut CreateTable, change: &SchemaChange) -> SqlResult<()> {
    match change {
        SchemaChange::Add(fragment) => add(table, fragment),
        SchemaChange::Modify(fragment) => modify(table, fragment),
        SchemaChange::Drop(columns) => drop_columns(table, columns),
        SchemaChange::DropKey { constraint, span } => drop_key(table, constraint.as_ref(), *span),
        SchemaChange::DropWatermark(span) => match table.watermark.take() {
            Some(_) => Ok(()),
            None => Err(failed(*span, "The base table does not define any watermark strategy.")),
        },
        SchemaChange::Rename(from, to) => rename(table, from, to),
    }
}

fn failed(span: Span, why: &str) -> SqlDiagnostic {
    SqlDiagnostic::new(span, format!("Failed to execute ALTER TABLE statement. {why}"))
        .with_hint("DESCRIBE shows what the table has.")
}

fn add(table: &mut CreateTable, fragment: &Fragment) -> SqlResult<()> {
    twice(fragment.columns.iter().map(|(column, _)| &column.name), "Encounter duplicate column")?;
    for (column, position) in &fragment.columns {
        let name = &column.name;
        if place(table, name).is_some() {
            let why = format!("Try to add a column `{}` which already exists in the table.", name.value);
            return Err(failed(name.span, &why));
        }
        insert(table, column.clone(), position.as_ref(), table.columns.len())?;
    }
    if let Some(column) = fragment.primary_key.first() {
        if !table.primary_key.is_empty() {
            let why = format!(
                "The base table has already defined the primary key constraint [{}]. You might want to drop it before \
                 adding a new one.",
                listed(&table.primary_key)
            );
            return Err(failed(column.span, &why));
        }
        set_key(table, fragment)?;
    }
    if let Some((column, strategy)) = &fragment.watermark {
        if let Some((known, expression)) = &table.watermark {
            let why = format!(
                "The base table has already defined the watermark strategy `{}` AS {}. You might want to drop it before \
                 adding a new one.",
                known.value,
                super::show::quoted(expression)
            );
            return Err(failed(column.span, &why));
        }
        if place(table, column).is_none() {
            let names: Vec<&str> = table.columns.iter().map(|column| column.name.value.as_str()).collect();
            let message = format!(
                "Invalid column name '{}' for rowtime attribute in watermark declaration. Available columns are: [{}]",
                column.value,
                names.join(", ")
            );
            return Err(SqlDiagnostic::new(column.span, message));
        }
        table.watermark = Some((column.clone(), strategy.clone()));
    }
    Ok(())
}

fn modify(table: &mut CreateTable, fragment: &Fragment) -> SqlResult<()> {
    twice(fragment.columns.iter().map(|(column, _)| &column.name), "Encounter duplicate column")?;
    for (column, position) in &fragment.columns {
        let Some(at) = place(table, &column.name) else {
            let why = format!("Try to modify a column `{}` which does not exist in the table.", column.name.value);
            return Err(failed(column.name.span, &why));
        };
        table.columns.remove(at);
        insert(table, column.clone(), position.as_ref(), at)?;
    }
    if let Some(column) = fragment.primary_key.first() {
        if table.primary_key.is_empty() {
            let why = "The base table does not define any primary key constraint. You might want to add a new one.";
            return Err(failed(column.span, why));
        }
        keep_not_null(table);
        set_key(table, fragment)?;
    }
    if let Some((column, strategy)) = &fragment.watermark {
        if table.watermark.is_none() {
            let why = "The base table does not define any watermark. You might want to add a new one.";
            return Err(failed(column.span, why));
        }
        table.watermark = Some((column.clone(), strategy.clone()));
    }
    Ok(())
}

fn drop_columns(table: &mut CreateTable, columns: &[Ident]) -> SqlResult<()> {
    twice(columns.iter(), "Duplicate column")?;
    for name in columns {
        if place(table, name).is_none() {
            let why = format!("The column `{}` does not exist in the base table.", name.value);
            return Err(failed(name.span, &why));
        }
    }
    let dropped = |name: &str| columns.iter().any(|column| column.value == name);
    for name in columns {
        if table.primary_key.iter().any(|column| column.value == name.value) {
            return Err(failed(name.span, &format!("The column `{}` is used as the primary key.", name.value)));
        }
        not_referenced(table, name, &|user| !dropped(user))?;
    }
    table.columns.retain(|column| !dropped(&column.name.value));
    Ok(())
}

fn drop_key(table: &mut CreateTable, constraint: Option<&Ident>, span: Span) -> SqlResult<()> {
    if table.primary_key.is_empty() {
        return Err(failed(span, "The base table does not define any primary key."));
    }
    let known = constraint_of(table);
    if let Some(name) = constraint.filter(|name| name.value != known) {
        let why = format!(
            "The base table does not define a primary key constraint named '{}'. Available constraint name: ['{known}'].",
            name.value
        );
        return Err(failed(name.span, &why));
    }
    keep_not_null(table);
    table.primary_key.clear();
    table.constraint = None;
    Ok(())
}

fn rename(table: &mut CreateTable, from: &Ident, to: &Ident) -> SqlResult<()> {
    let Some(at) = place(table, from) else {
        return Err(failed(from.span, &format!("The column `{}` does not exist in the base table.", from.value)));
    };
    if place(table, to).is_some() {
        return Err(failed(to.span, &format!("The column `{}` already existed in table schema.", to.value)));
    }
    not_referenced(table, from, &|_| true)?;
    if !table.primary_key.is_empty() {
        table.constraint = Some(constraint_of(table));
    }
    for column in table.primary_key.iter_mut().filter(|column| column.value == from.value) {
        column.value.clone_from(&to.value);
    }
    table.columns[at].name = to.clone();
    Ok(())
}

fn place(table: &CreateTable, name: &Ident) -> Option<usize> {
    table.columns.iter().position(|column| column.name.value == name.value)
}

fn insert(table: &mut CreateTable, column: Column, position: Option<&Position>, otherwise: usize) -> SqlResult<()> {
    let at = match position {
        None => otherwise,
        Some(Position::First) => 0,
        Some(Position::After(name)) => match place(table, name) {
            Some(at) => at + 1,
            None => {
                let why = format!("Referenced column `{}` by 'AFTER' does not exist in the table.", name.value);
                return Err(failed(name.span, &why));
            }
        },
    };
    table.columns.insert(at, column);
    Ok(())
}

fn set_key(table: &mut CreateTable, fragment: &Fragment) -> SqlResult<()> {
    table.primary_key.clone_from(&fragment.primary_key);
    table.constraint.clone_from(&fragment.constraint);
    let missing = table.primary_key.iter().find(|column| place(table, column).is_none());
    match missing {
        None => Ok(()),
        Some(column) => {
            let message =
                format!("Invalid primary key '{}'. Column '{}' does not exist.", constraint_of(table), column.value);
            Err(SqlDiagnostic::new(column.span, message).with_hint("A primary key names columns with a type."))
        }
    }
}

/// The name of the key: one that it was given, or that of its columns.
pub(super) fn constraint_of(table: &CreateTable) -> String {
    let names = || table.primary_key.iter().map(|column| column.value.as_str()).collect::<Vec<_>>().join("_");
    table.constraint.clone().unwrap_or_else(|| format!("PK_{}", names()))
}

/// Columns that were in the key stay NOT NULL.
fn keep_not_null(table: &mut CreateTable) {
    for column in &mut table.columns {
        if let ColumnKind::Physical(written) = &mut column.kind
            && table.primary_key.iter().any(|key| key.value == column.name.value)
        {
            written.nullable = false;
        }
    }
}

/// Refuses to take a column from the watermark, or from computed columns that stay.
fn not_referenced(table: &CreateTable, name: &Ident, stays: &dyn Fn(&str) -> bool) -> SqlResult<()> {
    let in_watermark = |(column, strategy): &(Ident, Expr)| column.value == name.value || names(strategy, &name.value);
    if table.watermark.as_ref().is_some_and(in_watermark) {
        return Err(failed(name.span, &format!("The column `{}` is referenced by watermark expression.", name.value)));
    }
    let uses = |column: &&Column| match &column.kind {
        ColumnKind::Computed(expression) => stays(&column.name.value) && names(expression, &name.value),
        _ => false,
    };
    match table.columns.iter().find(uses) {
        None => Ok(()),
        Some(column) => {
            let why = format!("The column `{}` is referenced by computed column `{}`.", name.value, column.name.value);
            Err(failed(name.span, &why))
        }
    }
}

/// Whether an expression has a name in it.
fn names(expression: &Expr, name: &str) -> bool {
    let text = expression.to_string();
    let tokens = Tokenizer::new(&FlinkDialect, &text).tokenize().unwrap_or_default();
    tokens.iter().any(|token| matches!(token, Token::Word(word) if word.value == name))
}

fn twice<'a>(names: impl Iterator<Item = &'a Ident>, what: &str) -> SqlResult<()> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name.value.as_str()) {
            return Err(failed(name.span, &format!("{what} `{}`.", name.value)));
        }
        seen.push(&name.value);
    }
    Ok(())
}

fn listed(names: &[Ident]) -> String {
    names.iter().map(|name| format!("`{}`", name.value)).collect::<Vec<_>>().join(", ")
}
