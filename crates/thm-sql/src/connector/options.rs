//! The options of one table, taken one by one so that what is left over can be refused by name.

use sqlparser::tokenizer::Span;

use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::{CreateTable, Spanned};

/// Options of a WITH clause.
pub struct Options<'a> {
    table: &'a str,
    span: Span,
    left: Vec<(Spanned<String>, Spanned<String>)>,
    without_effect: Vec<String>,
}

impl<'a> Options<'a> {
    /// Of a table.
    #[must_use]
    pub fn new(table: &'a CreateTable) -> Self {
        Self {
            table: &table.name.value,
            span: table.name.span,
            left: table.options.clone(),
            without_effect: Vec::new(),
        }
    }

    /// Where the table's name stands.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Takes an option.
    pub fn take(&mut self, key: &str) -> Option<Spanned<String>> {
        let at = self.left.iter().position(|(known, _)| known.value == key)?;
        Some(self.left.remove(at).1)
    }

    /// Takes the first of several spellings.
    pub fn take_any(&mut self, keys: &[String]) -> Option<Spanned<String>> {
        keys.iter().find_map(|key| self.take(key))
    }

    /// Takes an option that must be there.
    pub fn required(&mut self, key: &str) -> SqlResult<Spanned<String>> {
        self.take(key).ok_or_else(|| {
            let message =
                format!("One or more required options are missing.\n\nMissing required options are:\n\n{key}");
            SqlDiagnostic::new(self.span, message)
                .with_hint(format!("Add '{key}' to the WITH clause of {}.", self.table))
        })
    }

    /// Takes all options that start so; any value is fine.
    pub fn accept_prefix(&mut self, prefix: &str) {
        self.left.retain(|(key, _)| !key.value.starts_with(prefix));
    }

    /// Takes options that cannot change the result here, and says so once.
    pub fn without_effect(&mut self, keys: &[&str]) {
        for key in keys {
            if self.take(key).is_some() {
                self.without_effect.push((*key).to_owned());
            }
        }
    }

    /// true or false.
    pub fn boolean(value: Option<Spanned<String>>) -> SqlResult<bool> {
        match value {
            None => Ok(false),
            Some(text) => match text.value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(SqlDiagnostic::new(text.span, format!("'{}' is not a boolean", text.value))
                    .with_hint("Write 'true' or 'false'.")),
            },
        }
    }

    /// Refuses what nobody took.
    pub fn finish(self, connector: &str) -> SqlResult<Vec<String>> {
        if let Some((key, _)) = self.left.first() {
            let message =
                format!("Unsupported options found for '{connector}'.\n\nUnsupported options:\n\n{}", key.value);
            return Err(SqlDiagnostic::new(key.span, message).with_hint(
                "Remove the option; it is not supported, and would change what the job does if it were ignored.",
            ));
        }
        let table = self.table;
        let notice = |key: &String| format!("option '{key}' of table {table} has no effect here");
        Ok(self.without_effect.iter().map(notice).collect())
    }
}
