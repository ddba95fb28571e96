//! Names that an expression may use.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::Expr;

/// A column that can be named, as an expression over the columns below it: computed columns and subqueries are
/// folded into their users.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// Alias or name of its table.
    pub table: Option<String>,
    /// Its name.
    pub name: String,
    /// What it stands for; `None` for `PROCTIME()`, which is only good for `FOR SYSTEM_TIME AS OF`.
    pub value: Option<Expr>,
    /// Under which names it is known.
    pub named: Named,
}

/// Under which names a column is known. A join `USING (k)` has a column `k` of both sides, and still `a.k` and `b.k`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// With its table before it and without.
    #[default]
    Both,
    /// Without a table: the column of both sides of a join.
    Alone,
    /// Only with its table: one side's column.
    WithTable,
}

impl ScopeColumn {
    /// Whether it is a column of a table of FROM.
    #[must_use]
    pub fn is_of(&self, table: &str) -> bool {
        self.named != Named::Alone && self.table.as_deref() == Some(table)
    }
}

/// The columns of FROM.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// In order of FROM.
    pub columns: Vec<ScopeColumn>,
}

impl Scope {
    /// The column of that name, by its parts.
    pub fn find(&self, parts: &[Ident], span: Span) -> SqlResult<&ScopeColumn> {
        let (table, column) = match parts {
            [column] => (None, column),
            [table, column] => (Some(table), column),
            _ => {
                let name = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
                return Err(SqlDiagnostic::new(span, format!("Column '{name}' not found in any table"))
                    .with_hint("Fields of rows are not supported yet; name a column, or table.column."));
            }
        };
        let named = |candidate: &&ScopeColumn| {
            candidate.name == column.value
                && match table {
                    None => candidate.named != Named::WithTable,
                    Some(table) => candidate.is_of(&table.value),
                }
        };
        let mut found = self.columns.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(SqlDiagnostic::new(span, format!("Column '{}' is ambiguous", column.value))
                .with_hint("Write the table's alias before it.")),
            (None, _) => Err(self.missing(table, column, span)),
        }
    }

    fn missing(&self, table: Option<&Ident>, column: &Ident, span: Span) -> SqlDiagnostic {
        let message = match table {
            Some(table) if !self.columns.iter().any(|known| known.table.as_deref() == Some(table.value.as_str())) => {
                format!("Table '{}' not found", table.value)
            }
            Some(table) => format!("Column '{}' not found in table '{}'", column.value, table.value),
            None => format!("Column '{}' not found in any table", column.value),
        };
        let names = self.columns.iter().map(|known| known.name.as_str());
        let error = SqlDiagnostic::new(span, message);
        match crate::functions::nearest(&column.value, names) {
            Some(near) => error.with_hint(format!("Did you mean '{near}'? Names are case-sensitive.")),
            None => error,
        }
    }
}
