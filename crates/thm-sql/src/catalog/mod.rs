//! Tables that a script has created: columns, key, and what their WITH options mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlparser::ast::{Expr as Ast, Spanned as _};
use sqlparser::tokenizer::Span;

use crate::analyzer::expr::Typer;
use crate::analyzer::scope::{Scope, ScopeColumn};
use crate::connector::{self, Connector};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;
use crate::parser::ast::{ColumnKind as WrittenKind, CreateTable, Spanned};
use crate::types::{DataType, LogicalType, read};

/// A column that the connector reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalColumn {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub data_type: DataType,
}

/// What a declared column is.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// The n-th physical column.
    Physical(usize),
    /// An expression over the physical columns.
    Computed(Expr),
    /// `PROCTIME()`.
    ProcTime,
}

/// A declared column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ColumnKind,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// All columns in declared order.
    pub columns: Vec<Column>,
    /// Those that the connector reads or writes.
    pub physical: Vec<PhysicalColumn>,
    /// Physical columns of the primary key.
    pub primary_key: Vec<usize>,
    /// What stands behind it.
    pub connector: Connector,
}

impl Table {
    /// The columns as a query sees them, the physical ones starting at `offset` of its input.
    #[must_use]
    pub fn scope(&self, alias: &str) -> Vec<ScopeColumn> {
        let value = |kind: &ColumnKind| match kind {
            ColumnKind::Physical(index) => Some(Expr::column(*index, self.physical[*index].data_type)),
            ColumnKind::Computed(expr) => Some(expr.clone()),
            ColumnKind::ProcTime => None,
        };
        let of = |column: &Column| ScopeColumn {
            table: Some(alias.to_owned()),
            name: column.name.clone(),
            value: value(&column.kind),
        };
        self.columns.iter().map(of).collect()
    }
}

/// Tables by name.
#[derive(Debug, Default)]
pub struct Catalog {
    tables: BTreeMap<String, Arc<Table>>,
}

impl Catalog {
    /// The table of that name.
    pub fn get(&self, name: &str, span: Span) -> SqlResult<Arc<Table>> {
        self.tables.get(name).cloned().ok_or_else(|| {
            let known = self.tables.keys().map(String::as_str);
            let hint = match crate::functions::nearest(name, known) {
                Some(near) => format!("Did you mean '{near}'?"),
                None => "Create it with CREATE TABLE before this statement.".to_owned(),
            };
            SqlDiagnostic::new(span, format!("Object '{name}' not found")).with_hint(hint)
        })
    }

    /// `DROP TABLE`.
    pub fn drop_table(&mut self, name: &Spanned<String>, if_exists: bool) -> SqlResult<()> {
        if self.tables.remove(&name.value).is_none() && !if_exists {
            let message =
                format!("Table with identifier 'default_catalog.default_database.{}' does not exist.", name.value);
            return Err(SqlDiagnostic::new(name.span, message).with_hint("Write DROP TABLE IF EXISTS."));
        }
        Ok(())
    }

    /// `CREATE TABLE`; gives what of its options has no effect here.
    pub fn create_table(&mut self, written: &CreateTable) -> SqlResult<Vec<String>> {
        let name = &written.name.value;
        if self.tables.contains_key(name) {
            if written.if_not_exists {
                return Ok(Vec::new());
            }
            let message = format!("Table (or view) default_catalog.default_database.{name} already exists.");
            return Err(SqlDiagnostic::new(written.name.span, message)
                .with_hint("Write DROP TABLE IF EXISTS before it, or CREATE TABLE IF NOT EXISTS."));
        }
        let (table, notices) = table_of(written)?;
        self.tables.insert(name.clone(), Arc::new(table));
        Ok(notices)
    }
}

fn table_of(written: &CreateTable) -> SqlResult<(Table, Vec<String>)> {
    let mut physical: Vec<PhysicalColumn> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for column in &written.columns {
        let name = column.name.value.as_str();
        if names.contains(&name) {
            return Err(SqlDiagnostic::new(
                column.name.span,
                format!("A column named '{name}' already exists in the table."),
            ));
        }
        names.push(name);
        if let WrittenKind::Physical { data_type, span, nullable } = &column.kind {
            let data_type = read::logical_type(data_type, *span)?.nullable(*nullable);
            physical.push(PhysicalColumn { name: name.to_owned(), data_type });
        }
    }
    let primary_key = primary_key(written, &mut physical)?;
    let columns = columns(written, &physical)?;
    watermark(written, &columns, &physical)?;
    let (connector, notices) = connector::of(written, &physical, &primary_key)?;
    Ok((Table { name: written.name.value.clone(), columns, physical, primary_key, connector }, notices))
}

/// Columns of the key, which become NOT NULL as in Flink.
fn primary_key(written: &CreateTable, physical: &mut [PhysicalColumn]) -> SqlResult<Vec<usize>> {
    let mut key = Vec::new();
    for column in &written.primary_key {
        let found = physical.iter().position(|known| known.name == column.value).ok_or_else(|| {
            SqlDiagnostic::new(
                column.span,
                format!("Primary key column '{}' is not defined in the schema", column.value),
            )
            .with_hint("A primary key names columns with a type.")
        })?;
        physical[found].data_type.nullable = false;
        key.push(found);
    }
    Ok(key)
}

fn columns(written: &CreateTable, physical: &[PhysicalColumn]) -> SqlResult<Vec<Column>> {
    let scope = Scope {
        columns: physical
            .iter()
            .enumerate()
            .map(|(index, column)| ScopeColumn {
                table: None,
                name: column.name.clone(),
                value: Some(Expr::column(index, column.data_type)),
            })
            .collect(),
    };
    let mut next = 0;
    let mut out = Vec::with_capacity(written.columns.len());
    for column in &written.columns {
        let kind = match &column.kind {
            WrittenKind::Physical { .. } => {
                next += 1;
                ColumnKind::Physical(next - 1)
            }
            WrittenKind::Computed(ast) if is_proctime(ast) => ColumnKind::ProcTime,
            WrittenKind::Computed(ast) => ColumnKind::Computed(Typer::new(&scope).value(ast)?),
        };
        out.push(Column { name: column.name.value.clone(), kind });
    }
    Ok(out)
}

fn is_proctime(ast: &Ast) -> bool {
    matches!(ast, Ast::Function(call) if call.to_string().eq_ignore_ascii_case("PROCTIME()"))
}

/// Checks `WATERMARK FOR`; no operator here needs event time yet, so nothing else follows from it.
fn watermark(written: &CreateTable, columns: &[Column], physical: &[PhysicalColumn]) -> SqlResult<()> {
    let Some((name, _)) = &written.watermark else { return Ok(()) };
    let column = columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
        let message = format!("The rowtime attribute field '{}' is not defined in the table schema", name.value);
        SqlDiagnostic::new(name.span, message)
    })?;
    let kind = match &column.kind {
        ColumnKind::Physical(index) => physical[*index].data_type.kind,
        ColumnKind::Computed(expr) => expr.data_type.kind,
        ColumnKind::ProcTime => LogicalType::TimestampLtz(3),
    };
    match kind {
        LogicalType::Timestamp(0..=3) | LogicalType::TimestampLtz(0..=3) => Ok(()),
        other => {
            let strategy = written.watermark.as_ref().map_or(name.span, |(_, strategy)| strategy.span());
            let message = "Invalid data type of time field for watermark definition. The field must be of type TIMESTAMP(p) or \
                           TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3";
            Err(SqlDiagnostic::new(strategy, format!("{message}, but it is {other}")))
        }
    }
}
