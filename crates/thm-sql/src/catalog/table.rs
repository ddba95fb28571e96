//! A written `CREATE TABLE` → a [`Table`]: types, key, computed and metadata columns, connector.

use sqlparser::ast::{Expr as Ast, Spanned as _};

use super::Path;
use crate::analyzer::expr::Typer;
use crate::analyzer::scope::{Named, Scope, ScopeColumn};
use crate::connector::{self, Connector};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;
use crate::options::Usage;
use crate::parser::ast::{ColumnKind as WrittenKind, CreateTable, WrittenType};
use crate::types::{DataType, LogicalType, coerce, read};

/// A column that the connector reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalColumn {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub data_type: DataType,
}

/// A column that the connector knows beside the record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataColumn {
    /// Its name.
    pub name: String,
    /// The connector's key.
    pub key: String,
    /// The type that the connector gives and takes.
    pub natural: DataType,
    /// The type it is declared as.
    pub declared: DataType,
    /// Whether sinks leave it out.
    pub is_virtual: bool,
}

/// What a declared column is.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// The n-th physical column.
    Physical(usize),
    /// The n-th metadata column.
    Metadata(usize),
    /// An expression over the physical and metadata columns.
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
    /// Its own name.
    pub name: String,
    /// Where it is.
    pub path: Path,
    /// All columns in declared order.
    pub columns: Vec<Column>,
    /// Those that the connector reads from or writes into the record.
    pub physical: Vec<PhysicalColumn>,
    /// Those that it knows beside it.
    pub metadata: Vec<MetadataColumn>,
    /// Physical columns of the primary key.
    pub primary_key: Vec<usize>,
    /// What stands behind it.
    pub connector: Connector,
}

impl Table {
    /// Columns that a scan gives: the physical ones, then metadata.
    #[must_use]
    pub fn width(&self) -> usize {
        self.physical.len() + self.metadata.len()
    }

    /// The columns as a query sees them.
    #[must_use]
    pub fn scope(&self, alias: &str) -> Vec<ScopeColumn> {
        let value = |kind: &ColumnKind| match kind {
            ColumnKind::Physical(index) => Some(Expr::column(*index, self.physical[*index].data_type.seen())),
            ColumnKind::Metadata(index) => {
                let column = &self.metadata[*index];
                let natural = Expr::column(self.physical.len() + index, column.natural);
                Some(declared(natural, column.declared))
            }
            ColumnKind::Computed(expr) => Some(expr.clone()),
            ColumnKind::ProcTime => None,
        };
        let of = |column: &Column| ScopeColumn {
            table: Some(alias.to_owned()),
            name: column.name.clone(),
            value: value(&column.kind),
            named: Named::Both,
        };
        self.columns.iter().map(of).collect()
    }

    /// The columns that INSERT fills, in declared order: without computed and virtual ones. Each with its index among
    /// physical and metadata columns.
    #[must_use]
    pub fn sink_columns(&self) -> Vec<(usize, PhysicalColumn)> {
        let of = |column: &Column| match column.kind {
            ColumnKind::Physical(index) => Some((index, self.physical[index].clone())),
            ColumnKind::Metadata(index) if !self.metadata[index].is_virtual => {
                let data_type = self.metadata[index].declared;
                Some((self.physical.len() + index, PhysicalColumn { name: column.name.clone(), data_type }))
            }
            _ => None,
        };
        self.columns.iter().filter_map(of).collect()
    }
}

/// A metadata value as it is declared.
fn declared(natural: Expr, to: DataType) -> Expr {
    let out = natural.cast(to.kind);
    Expr { data_type: to, ..out }
}

/// Checks what can be checked without the connector.
pub fn check(path: &Path, written: &CreateTable) -> SqlResult<()> {
    columns_of(path, written, &mut |_, _, declared| Ok(declared)).map(drop)
}

/// Builds the table for a use; gives what of its options has no effect.
pub fn build(path: &Path, written: &CreateTable, usage: Usage) -> SqlResult<(Table, Vec<String>)> {
    let (connector, notices) = {
        let plain = columns_of(path, written, &mut |_, _, declared| Ok(declared))?;
        connector::of(path, written, &plain.physical, &plain.primary_key, usage)?
    };
    let columns = columns_of(path, written, &mut |column, key, declared| {
        let is_virtual = matches!(&column.kind, WrittenKind::Metadata { is_virtual: true, .. });
        if usage == Usage::Sink && is_virtual {
            return Ok(declared);
        }
        let natural = connector.metadata(key, usage).ok_or_else(|| {
            let message = no_such_metadata(path, (&column.name.value, key), &connector, usage);
            SqlDiagnostic::new(column.name.span, message)
                .with_hint("Name one of these with METADATA FROM '…'; add VIRTUAL if it is only read.")
        })?;
        let (from, to) = if usage == Usage::Sink { (declared, natural) } else { (natural, declared) };
        if !coerce::explicit_cast(from.kind, to.kind) {
            let direction = if usage == Usage::Sink { "to" } else { "from" };
            let message = format!(
                "Invalid data type for metadata column '{}' with metadata key '{key}' of table '{path}'. The column cannot \
                 be declared as '{declared}' because the type must be castable {direction} metadata type '{natural}'.",
                column.name.value
            );
            return Err(SqlDiagnostic::new(column.name.span, message).with_hint(format!("Declare it as {natural}.")));
        }
        Ok(natural)
    })?;
    let Columns { columns, physical, metadata, primary_key } = columns;
    let table =
        Table { name: path.name.clone(), path: path.clone(), columns, physical, metadata, primary_key, connector };
    Ok((table, notices))
}

/// Flink's words for a metadata column that the connector does not have.
fn no_such_metadata(path: &Path, (column, key): (&str, &str), connector: &Connector, usage: Usage) -> String {
    let sink = usage == Usage::Sink;
    let (kind, interface) = if sink { ("Sink", "Writing") } else { ("Source", "Reading") };
    let use_of = interface.to_lowercase();
    let Some(class) = connector.class(usage) else {
        let (persistable, advice) = if sink {
            ("persistable ", "If the column should not be persisted, it can be declared with the VIRTUAL keyword.")
        } else {
            ("", "Therefore, metadata cannot be read from the given source.")
        };
        return format!(
            "Table '{path}' declares {persistable}metadata columns, but the underlying DynamicTable{kind} doesn't implement the \
             Supports{interface}Metadata interface. {advice}"
        );
    };
    format!(
        "Invalid metadata key '{key}' in column '{column}' of table '{path}'. The DynamicTable{kind} class '{class}' supports \
         the following metadata keys for {use_of}:\n{}",
        connector.metadata_keys(usage).join("\n")
    )
}

/// The parts of a table that do not need its connector.
pub(super) struct Columns {
    pub columns: Vec<Column>,
    pub physical: Vec<PhysicalColumn>,
    pub metadata: Vec<MetadataColumn>,
    primary_key: Vec<usize>,
}

/// Columns as they are declared, without the connector.
pub(super) fn parts(path: &Path, written: &CreateTable) -> SqlResult<Columns> {
    columns_of(path, written, &mut |_, _, declared| Ok(declared))
}

type Natural<'a> = dyn FnMut(&crate::parser::ast::Column, &str, DataType) -> SqlResult<DataType> + 'a;

/// Columns with their types; `natural` says the connector's type of a metadata key.
fn columns_of(path: &Path, written: &CreateTable, natural: &mut Natural<'_>) -> SqlResult<Columns> {
    let type_of = |written: &WrittenType| -> SqlResult<DataType> {
        Ok(read::any_type(&written.data_type, written.span)?.nullable(written.nullable))
    };
    let mut physical: Vec<PhysicalColumn> = Vec::new();
    let mut metadata: Vec<MetadataColumn> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for column in &written.columns {
        let name = column.name.value.as_str();
        if names.contains(&name) {
            let message = format!("A regular Column named '{name}' already exists in the table.");
            return Err(SqlDiagnostic::new(column.name.span, message));
        }
        names.push(name);
        match &column.kind {
            WrittenKind::Physical(written) => {
                physical.push(PhysicalColumn { name: name.to_owned(), data_type: type_of(written)? });
            }
            WrittenKind::Metadata { data_type, key, is_virtual } => {
                let key = key.as_ref().map_or(name, |key| key.value.as_str());
                if let Some(twin) = metadata.iter().find(|known| known.key == key) {
                    let message = format!(
                        "The column `{}` and `{name}` in the table are both from the same metadata key '{key}'. Please \
                         specify one of the columns as the metadata column and use the computed column syntax to specify \
                         the others.",
                        twin.name
                    );
                    return Err(SqlDiagnostic::new(column.name.span, message));
                }
                let declared = type_of(data_type)?;
                let natural = natural(column, key, declared)?;
                let (name, key, is_virtual) = (name.to_owned(), key.to_owned(), *is_virtual);
                metadata.push(MetadataColumn { name, key, natural, declared, is_virtual });
            }
            WrittenKind::Computed(_) => {}
        }
    }
    let primary_key = primary_key(written, &mut physical)?;
    let columns = declared_columns(written, &physical, &metadata)?;
    watermark(path, written, &columns, &physical, &metadata)?;
    Ok(Columns { columns, physical, metadata, primary_key })
}

/// Columns of the key, which become NOT NULL as in Flink.
fn primary_key(written: &CreateTable, physical: &mut [PhysicalColumn]) -> SqlResult<Vec<usize>> {
    let mut key = Vec::new();
    for column in &written.primary_key {
        let found = physical.iter().position(|known| known.name == column.value).ok_or_else(|| {
            let message = format!("Primary key column '{}' is not defined in the schema", column.value);
            SqlDiagnostic::new(column.span, message).with_hint("A primary key names columns with a type.")
        })?;
        if key.contains(&found) {
            let message = format!(
                "Invalid primary key '{}'. A primary key must not contain duplicate columns. Found: [{}]",
                super::alter::constraint_of(written),
                column.value
            );
            return Err(SqlDiagnostic::new(column.span, message));
        }
        physical[found].data_type.nullable = false;
        key.push(found);
    }
    Ok(key)
}

fn declared_columns(
    written: &CreateTable,
    physical: &[PhysicalColumn],
    metadata: &[MetadataColumn],
) -> SqlResult<Vec<Column>> {
    let scope = Scope { columns: columns_in_scope(physical, metadata) };
    let (mut next, mut next_metadata) = (0, 0);
    let mut out = Vec::with_capacity(written.columns.len());
    for column in &written.columns {
        let kind = match &column.kind {
            WrittenKind::Physical(_) => {
                next += 1;
                ColumnKind::Physical(next - 1)
            }
            WrittenKind::Metadata { .. } => {
                next_metadata += 1;
                ColumnKind::Metadata(next_metadata - 1)
            }
            WrittenKind::Computed(ast) if is_proctime(ast) => ColumnKind::ProcTime,
            WrittenKind::Computed(ast) => {
                ColumnKind::Computed(Typer::new(&scope).value(ast).map_err(unknown_identifier)?)
            }
        };
        out.push(Column { name: column.name.value.clone(), kind });
    }
    Ok(out)
}

/// Physical and metadata columns by name, as expressions over what a scan gives.
fn columns_in_scope(physical: &[PhysicalColumn], metadata: &[MetadataColumn]) -> Vec<ScopeColumn> {
    let mut out: Vec<ScopeColumn> = physical
        .iter()
        .enumerate()
        .map(|(index, column)| named(&column.name, Expr::column(index, column.data_type)))
        .collect();
    out.extend(metadata.iter().enumerate().map(|(index, column)| {
        let natural = Expr::column(physical.len() + index, column.natural);
        named(&column.name, declared(natural, column.declared))
    }));
    out
}

fn named(name: &str, value: Expr) -> ScopeColumn {
    ScopeColumn { table: None, name: name.to_owned(), value: Some(value), named: Named::Both }
}

/// A column that is not there is an identifier that is not known, where no table is read.
fn unknown_identifier(error: SqlDiagnostic) -> SqlDiagnostic {
    let unknown = error.message().strip_prefix("Column ").and_then(|rest| rest.strip_suffix(" not found in any table"));
    match unknown.map(|name| format!("Unknown identifier {name}")) {
        Some(message) => error.reworded(message),
        None => error,
    }
}

/// Whether an expression is `PROCTIME()`.
#[must_use]
pub fn is_proctime(ast: &Ast) -> bool {
    matches!(ast, Ast::Function(call) if call.to_string().eq_ignore_ascii_case("PROCTIME()"))
}

/// Checks `WATERMARK FOR`; no operator here needs event time yet, so nothing else follows from it.
fn watermark(
    path: &Path,
    written: &CreateTable,
    columns: &[Column],
    physical: &[PhysicalColumn],
    metadata: &[MetadataColumn],
) -> SqlResult<()> {
    let Some((name, strategy)) = &written.watermark else { return Ok(()) };
    let column = columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
        let message =
            format!("The rowtime attribute field '{}' is not defined in the table schema of {path}", name.value);
        SqlDiagnostic::new(name.span, message)
    })?;
    let kind = match &column.kind {
        ColumnKind::Physical(index) => physical[*index].data_type.kind,
        ColumnKind::Metadata(index) => metadata[*index].declared.kind,
        ColumnKind::Computed(expr) => expr.data_type.kind,
        ColumnKind::ProcTime => {
            let message = "A watermark can not be defined for a processing-time attribute.";
            return Err(SqlDiagnostic::new(name.span, message).with_hint("Leave the WATERMARK out."));
        }
    };
    let is_time = |kind: LogicalType| matches!(kind, LogicalType::Timestamp(0..=3) | LogicalType::TimestampLtz(0..=3));
    let rule = "must be of type TIMESTAMP(p) or TIMESTAMP_LTZ(p), the supported precision 'p' is from 0 to 3, but the";
    if !is_time(kind) {
        let message = format!(
            "Invalid data type of time field for watermark definition. The field {rule} time field type is {kind}"
        );
        return Err(SqlDiagnostic::new(name.span, message));
    }
    let mut scope = Scope { columns: columns_in_scope(physical, metadata) };
    for column in columns {
        if let ColumnKind::Computed(value) = &column.kind {
            scope.columns.push(named(&column.name, value.clone()));
        }
    }
    let typed = Typer::new(&scope).value(strategy).map_err(unknown_identifier)?.data_type.kind;
    if !is_time(typed) {
        let message = format!(
            "Invalid data type of expression for watermark definition. The field {rule} watermark expression type is {typed}"
        );
        return Err(SqlDiagnostic::new(strategy.span(), message));
    }
    Ok(())
}
