//! Which tables are captured, and lists of regular expressions.

use regex::{Regex, RegexBuilder};
use thm_api::{ConnectorConfig, Result};

use super::invalid;

/// Which tables are captured: anchored, case-insensitive expressions over `schema` and `schema.table`.
#[derive(Clone, Debug, Default)]
pub struct TableFilter {
    schema_include: Vec<Regex>,
    schema_exclude: Vec<Regex>,
    table_include: Vec<Regex>,
    table_exclude: Vec<Regex>,
    /// The table of signals is captured whatever the lists say.
    signals: Option<String>,
}

impl TableFilter {
    pub(super) fn parse(config: &ConnectorConfig) -> Result<Self> {
        let list = |option: &str| {
            expressions(config, option).map_err(|error| invalid(option, config.text(option, "")).with_source(error))
        };
        Ok(Self {
            schema_include: list("schema.include.list")?,
            schema_exclude: list("schema.exclude.list")?,
            table_include: list("table.include.list")?,
            table_exclude: list("table.exclude.list")?,
            signals: config.list("signal.data.collection").into_iter().next(),
        })
    }

    /// Whether the table is captured.
    #[must_use]
    pub fn includes(&self, schema: &str, table: &str) -> bool {
        let full = format!("{schema}.{table}");
        let any = |list: &[Regex], text: &str| list.iter().any(|expression| expression.is_match(text));
        if self.signals.as_ref() == Some(&full) {
            return true;
        }
        (self.schema_include.is_empty() || any(&self.schema_include, schema))
            && !any(&self.schema_exclude, schema)
            && (self.table_include.is_empty() || any(&self.table_include, &full))
            && !any(&self.table_exclude, &full)
    }
}

/// The expressions of a list option; a comma inside one is written `\,`.
pub(crate) fn expressions(config: &ConnectorConfig, option: &str) -> Result<Vec<Regex>, regex::Error> {
    let text = config.text(option, "").replace("\\,", "\u{0}");
    let parts = text.split(',').map(|part| part.trim().replace('\u{0}', ","));
    let anchored = |part: String| RegexBuilder::new(&format!("^(?:{part})$")).case_insensitive(true).build();
    parts.filter(|part| !part.is_empty()).map(anchored).collect()
}

/// The same, or an error that names the option.
pub(crate) fn expression_list(config: &ConnectorConfig, option: &str) -> Result<Vec<Regex>> {
    expressions(config, option).map_err(|error| invalid(option, config.text(option, "")).with_source(error))
}

/// Plain names in `table.include.list`: what must exist, for nobody writes a table's full name by chance.
#[must_use]
pub fn named_tables(config: &ConnectorConfig) -> Vec<String> {
    let plain = |entry: &String| entry.chars().all(|c| c.is_alphanumeric() || "._-$".contains(c));
    config.list("table.include.list").into_iter().map(|entry| entry.replace("\\.", ".")).filter(plain).collect()
}
