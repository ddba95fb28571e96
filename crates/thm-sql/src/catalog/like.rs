//! `CREATE TABLE … LIKE other (INCLUDING|EXCLUDING|OVERWRITING what …)`: what the new table takes over.
//!
//! Columns with a type always come along. By default the rest does, too, and options that the new table has itself win;
//! what is said twice otherwise is a conflict.

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{Column, ColumnKind, CreateTable, Like};

/// What the rules say of one part of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Including,
    Excluding,
    Overwriting,
}

/// Parts that a table may have again with OVERWRITING.
const OVERWRITABLE: [&str; 4] = ["GENERATED", "METADATA", "OPTIONS", "WATERMARKS"];

/// Adds to a table what it takes over from another.
pub(super) fn apply(table: &mut CreateTable, other: &CreateTable, like: &Like) -> SqlResult<()> {
    check_rules(like)?;
    columns(table, other, like)?;
    constraints(table, other, like)?;
    watermark(table, other, like)?;
    let how = rule(like, "OPTIONS", How::Overwriting);
    if how != How::Excluding {
        let own = std::mem::replace(&mut table.options, other.options.clone());
        let twice = own.iter().find(|(key, _)| other.options.iter().any(|(known, _)| known.value == key.value));
        if let Some((key, _)) = twice.filter(|_| how == How::Including) {
            let base = other.options.iter().find(|(known, _)| known.value == key.value);
            let value = base.map_or("", |(_, value)| value.value.as_str());
            let message = format!(
                "There already exists an option ['{}' -> '{value}']  in the base table. You might want to specify \
                 EXCLUDING OPTIONS or OVERWRITING OPTIONS.",
                key.value
            );
            return Err(SqlDiagnostic::new(key.span, message));
        }
        super::merge_options(&mut table.options, &own);
    }
    Ok(())
}

fn rule(like: &Like, what: &str, default: How) -> How {
    let said = |name: &str| like.rules.iter().rev().find(|(_, known)| known == name).map(|(how, _)| how.as_str());
    match said(what).or_else(|| said("ALL")) {
        Some("INCLUDING") => How::Including,
        Some("EXCLUDING") => How::Excluding,
        Some(_) => How::Overwriting,
        None => default,
    }
}

fn check_rules(like: &Like) -> SqlResult<()> {
    for (at, (how, what)) in like.rules.iter().enumerate() {
        if how == "OVERWRITING" && !OVERWRITABLE.contains(&what.as_str()) {
            let message = format!("Illegal merging strategy 'OVERWRITING' for '{what}' option.");
            return Err(SqlDiagnostic::new(like.source.span, message).with_hint("Write INCLUDING or EXCLUDING."));
        }
        if like.rules[..at].iter().any(|(_, earlier)| earlier == what) {
            return Err(SqlDiagnostic::new(like.source.span, "Each like option feature can be declared only once.")
                .with_hint(format!("Keep one rule of {what}.")));
        }
    }
    Ok(())
}

fn columns(table: &mut CreateTable, other: &CreateTable, like: &Like) -> SqlResult<()> {
    let how = |column: &Column| match column.kind {
        ColumnKind::Physical(_) => How::Including,
        ColumnKind::Computed(_) => rule(like, "GENERATED", How::Including),
        ColumnKind::Metadata { .. } => rule(like, "METADATA", How::Including),
    };
    let key_stays: Vec<&str> = other.primary_key.iter().map(|column| column.value.as_str()).collect();
    let mut columns: Vec<Column> =
        other.columns.iter().filter(|column| how(column) != How::Excluding).cloned().collect();
    for column in &mut columns {
        // A column of the key is NOT NULL, also where the key does not come along.
        if let ColumnKind::Physical(written) = &mut column.kind
            && key_stays.contains(&column.name.value.as_str())
        {
            written.nullable = false;
        }
    }
    for own in std::mem::take(&mut table.columns) {
        match columns.iter_mut().find(|column| column.name.value == own.name.value) {
            None => columns.push(own),
            Some(base) if same_kind(base, &own) && how(base) == How::Overwriting => *base = own,
            Some(_) => {
                let message = format!("A column named '{}' already exists in the base table.", own.name.value);
                return Err(SqlDiagnostic::new(own.name.span, message)
                    .with_hint("Give it another name; computed and metadata columns may be OVERWRITING."));
            }
        }
    }
    table.columns = columns;
    Ok(())
}

const fn same_kind(a: &Column, b: &Column) -> bool {
    matches!(
        (&a.kind, &b.kind),
        (ColumnKind::Computed(_), ColumnKind::Computed(_)) | (ColumnKind::Metadata { .. }, ColumnKind::Metadata { .. })
    )
}

fn constraints(table: &mut CreateTable, other: &CreateTable, like: &Like) -> SqlResult<()> {
    if other.primary_key.is_empty() || rule(like, "CONSTRAINTS", How::Including) == How::Excluding {
        return Ok(());
    }
    if let Some(column) = table.primary_key.first() {
        let message = "The base table already has a primary key. You might want to specify EXCLUDING CONSTRAINTS.";
        return Err(SqlDiagnostic::new(column.span, message));
    }
    table.primary_key.clone_from(&other.primary_key);
    table.constraint.clone_from(&other.constraint);
    Ok(())
}

fn watermark(table: &mut CreateTable, other: &CreateTable, like: &Like) -> SqlResult<()> {
    let how = rule(like, "WATERMARKS", How::Including);
    let Some((base, _)) = other.watermark.as_ref().filter(|_| how != How::Excluding) else { return Ok(()) };
    match &table.watermark {
        None => table.watermark.clone_from(&other.watermark),
        Some((own, _)) if how == How::Including && own.value == base.value => {
            let message = format!(
                "There already exists a watermark spec for column '{}' in the base table. You might want to specify \
                 EXCLUDING WATERMARKS or OVERWRITING WATERMARKS.",
                own.value
            );
            return Err(SqlDiagnostic::new(own.span, message));
        }
        Some(_) => {}
    }
    Ok(())
}
