//! The target table as the server describes it, and whether it is fit for what we do with it.
//!
//! ```text
//!  system.tables  ─▶ engine, version and is_deleted columns, deduplication window, sorting key
//!  system.columns ─▶ columns we write, in table order; those of the sorting key
//! ```

use serde::Deserialize;
use thm_api::{Error, ErrorKind, Result};

use super::client::Client;
use super::quote::{identifier, literal};
use super::types::ColumnType;

/// How many of the last inserts' tokens the table should remember. A partition has one insert under way, so one
/// per partition would do; the log that the server keeps of ten thousand is a megabyte.
pub const DEFAULT_DEDUPLICATION_WINDOW: u64 = 10_000;

/// A column that an insert may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// The type as the server prints it.
    pub type_name: String,
    /// What we send; `None` for a type we cannot write.
    pub ty: Option<ColumnType>,
    /// Whether it has a DEFAULT expression.
    pub has_default: bool,
}

/// The target.
#[derive(Clone, Debug)]
pub struct Table {
    /// Database.
    pub database: String,
    /// Table.
    pub name: String,
    /// Insertable columns in table order.
    pub columns: Vec<Column>,
    /// Engine name, `Replicated…` and `Shared…` included.
    pub engine: String,
    /// Places of the sorting key's columns in `columns`.
    pub sort_key: Vec<usize>,
    /// Place of the version column, of an engine that has one.
    pub version: Option<usize>,
    /// Place of the deletion mark, of an engine that has one.
    pub is_deleted: Option<usize>,
    /// Whether the table remembers tokens, so that a repeated insert changes nothing.
    pub deduplicates: bool,
}

#[derive(Deserialize)]
struct TableRow {
    engine: String,
    engine_full: String,
}

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    r#type: String,
    default_kind: String,
    is_in_sorting_key: u8,
}

impl Table {
    /// `database.table` for messages.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }

    /// `` `database`.`table` `` for statements.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.database), identifier(&self.name))
    }

    /// A table of which only the name is known.
    #[must_use]
    pub fn named(database: &str, name: &str) -> Self {
        let row = TableRow { engine: String::new(), engine_full: String::new() };
        Self::assemble(database, name, row, Vec::new())
    }

    /// The place of a column.
    #[must_use]
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|candidate| candidate.name == column)
    }

    /// Whether a later insert of the same sorting key replaces the row.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.engine.ends_with("ReplacingMergeTree")
    }

    /// Asks the server; `None` if there is no such table.
    pub async fn describe(client: &Client, database: &str, name: &str) -> Result<Option<Self>> {
        const DOING: &str = "reading a table's description from ClickHouse";
        let label = format!("{database}.{name}");
        let filter = |table: &str| format!("database = {} AND {table} = {}", literal(database), literal(name));
        let sql = format!("SELECT engine, engine_full FROM system.tables WHERE {} FORMAT JSONEachRow", filter("name"));
        let answer = client.query(DOING, &label, sql).await?;
        let Some(line) = answer.lines().next() else { return Ok(None) };
        let table: TableRow = parse_line(line, &label)?;
        let sql = format!(
            "SELECT name, type, default_kind, is_in_sorting_key FROM system.columns WHERE {} ORDER BY position \
             FORMAT JSONEachRow",
            filter("table")
        );
        let answer = client.query(DOING, &label, sql).await?;
        let rows = answer.lines().map(|line| parse_line(line, &label)).collect::<Result<Vec<ColumnRow>>>()?;
        Ok(Some(Self::assemble(database, name, table, rows)))
    }

    fn assemble(database: &str, name: &str, table: TableRow, rows: Vec<ColumnRow>) -> Self {
        let insertable = rows.into_iter().filter(|row| matches!(row.default_kind.as_str(), "" | "DEFAULT"));
        let (mut columns, mut sort_key) = (Vec::new(), Vec::new());
        for row in insertable {
            if row.is_in_sorting_key != 0 {
                sort_key.push(columns.len());
            }
            let ty = ColumnType::parse(&row.r#type);
            columns.push(Column {
                name: row.name,
                type_name: row.r#type,
                ty,
                has_default: !row.default_kind.is_empty(),
            });
        }
        let arguments = engine_arguments(&table.engine_full);
        let place = |argument: Option<&&str>| {
            let name = argument?.trim_matches('`');
            columns.iter().position(|column| column.name == name)
        };
        let replaces = table.engine.ends_with("ReplacingMergeTree");
        let version = replaces.then(|| place(arguments.first())).flatten();
        let is_deleted = replaces.then(|| place(arguments.get(1))).flatten();
        let deduplicates = remembers_tokens(&table.engine, &table.engine_full);
        Self {
            database: database.to_owned(),
            name: name.to_owned(),
            columns,
            engine: table.engine,
            sort_key,
            version,
            is_deleted,
            deduplicates,
        }
    }

    /// Makes the table remember tokens if it does not and we may; otherwise says so, once per opening.
    pub async fn ensure_deduplication(&mut self, client: &Client) -> Result<()> {
        if self.deduplicates {
            return Ok(());
        }
        let sql = format!(
            "ALTER TABLE {} MODIFY SETTING non_replicated_deduplication_window = {DEFAULT_DEDUPLICATION_WINDOW}",
            self.quoted()
        );
        match client.query("setting a table's deduplication window", &self.label(), sql).await {
            Ok(_) => {
                self.deduplicates = true;
                tracing::info!(table = %self.label(), window = DEFAULT_DEDUPLICATION_WINDOW, "deduplication window set");
            }
            Err(error) if error.kind() == ErrorKind::SinkUnreachable => return Err(error),
            Err(error) => {
                tracing::warn!(table = %self.label(), %error, "no deduplication window, rows are right under FINAL only");
            }
        }
        Ok(())
    }

    /// Refuses a table that we cannot write, before the first row.
    pub fn check(&self) -> Result<()> {
        let writable = self.columns.iter().filter(|column| column.ty.is_some()).count();
        let unfit = self.sort_key.iter().map(|place| &self.columns[*place]).find(|column| column.ty.is_none());
        if let Some(column) = unfit {
            return Err(self.mismatch(
                &column.name,
                format!(
                    "Column {} of {} has type {}, which we cannot write, and it is part of the sorting key.",
                    column.name,
                    self.label(),
                    column.type_name
                ),
            ));
        }
        if writable == 0 {
            return Err(
                self.mismatch("columns", format!("No column of {} has a type that we can write.", self.label()))
            );
        }
        Ok(())
    }

    /// An error about a column of this table.
    #[must_use]
    pub fn mismatch(&self, column: &str, hint: String) -> Error {
        Error::new(
            ErrorKind::SinkMismatch,
            "comparing the table with the records",
            format!("{}.{column}", self.label()),
        )
        .with_hint(hint)
    }
}

fn parse_line<'l, T: Deserialize<'l>>(line: &'l str, label: &str) -> Result<T> {
    serde_json::from_str(line).map_err(|error| {
        Error::new(ErrorKind::SinkMismatch, "reading a table's description from ClickHouse", label)
            .with_hint("The server's answer is not ClickHouse's: check hostname and port.")
            .with_source(error)
    })
}

/// `ReplicatedReplacingMergeTree('/path', '{replica}', version, is_deleted) ORDER BY …`: the column names.
fn engine_arguments(engine_full: &str) -> Vec<&str> {
    let Some((_, rest)) = engine_full.split_once('(') else { return Vec::new() };
    // Without arguments the first bracket belongs to a later clause.
    if engine_full.split_once(' ').is_some_and(|(head, _)| !head.contains('(')) {
        return Vec::new();
    }
    let inside = rest.split_once(')').map_or("", |(inside, _)| inside);
    inside.split(',').map(str::trim).filter(|part| !part.is_empty() && !part.starts_with('\'')).collect()
}

/// Replicated and shared tables do by default; others need a window.
fn remembers_tokens(engine: &str, engine_full: &str) -> bool {
    let setting = |name: &str| {
        let (_, rest) = engine_full.split_once(&format!(" {name} = "))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    if engine.starts_with("Replicated") || engine.starts_with("Shared") {
        return setting("replicated_deduplication_window") != Some(0);
    }
    setting("non_replicated_deduplication_window").is_some_and(|window| window > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_name_their_version_and_deletion_mark() {
        let none: Vec<&str> = Vec::new();
        assert_eq!(engine_arguments("ReplacingMergeTree ORDER BY (event_ts, id)"), none);
        assert_eq!(engine_arguments("ReplacingMergeTree(version, is_deleted) ORDER BY id"), ["version", "is_deleted"]);
        let replicated = "ReplicatedReplacingMergeTree('/t/{shard}', '{replica}', v) PARTITION BY toYYYYMM(ts)";
        assert_eq!(engine_arguments(replicated), ["v"]);
    }

    #[test]
    fn a_window_is_remembered_or_not() {
        let plain = "ReplacingMergeTree ORDER BY id SETTINGS index_granularity = 8192";
        assert!(!remembers_tokens("ReplacingMergeTree", plain));
        assert!(remembers_tokens("ReplacingMergeTree", &format!("{plain}, non_replicated_deduplication_window = 100")));
        assert!(!remembers_tokens("ReplacingMergeTree", &format!("{plain}, non_replicated_deduplication_window = 0")));
        assert!(remembers_tokens("ReplicatedReplacingMergeTree", plain));
    }
}
