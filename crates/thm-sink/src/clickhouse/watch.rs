//! For those who look on: how many rows the connector's tables have.

use thm_api::{ConnectorConfig, Error, ErrorKind, Hosts, Result};

use super::client::Client;
use super::config::ClickHouseConfig;

/// Counts the rows of a connector's tables again and again.
pub struct TableWatch {
    client: Client,
    /// Quoted, with their database.
    tables: Vec<String>,
}

impl TableWatch {
    /// For the tables of these topics, with the connector's options (secrets resolved); opens nothing.
    pub fn new<'a>(config: &ConnectorConfig, hosts: &Hosts, topics: impl Iterator<Item = &'a str>) -> Result<Self> {
        let config = ClickHouseConfig::parse(config)?;
        let quoted = |name: &str| format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"));
        let table = |topic| format!("{}.{}", quoted(&config.database), quoted(config.table_of(topic)));
        let mut tables: Vec<String> = topics.map(table).collect();
        tables.sort();
        tables.dedup();
        Ok(Self { client: Client::new(&config, hosts)?, tables })
    }

    /// Rows of all of them, versions that no merge has removed yet included: the server knows this without reading.
    pub async fn rows(&self) -> Result<u64> {
        let mut rows = 0;
        for table in &self.tables {
            let answer = self.client.query("counting rows", table, format!("SELECT count() FROM {table}")).await?;
            rows += answer
                .trim()
                .parse::<u64>()
                .map_err(|error| Error::new(ErrorKind::SinkMismatch, "counting rows", table).with_source(error))?;
        }
        Ok(rows)
    }
}
