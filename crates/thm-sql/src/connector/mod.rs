//! WITH options → what stands behind a table. Every option is read by name; one that nobody reads is refused.

pub mod jdbc;
pub mod kafka;
pub mod options;

use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::parser::ast::CreateTable;
use options::Options;

/// What stands behind a table.
#[derive(Clone, Debug)]
pub enum Connector {
    /// A topic, one record a row or change.
    Kafka(kafka::KafkaTable),
    /// A topic that keeps the last row of each key.
    UpsertKafka(kafka::UpsertTable),
    /// A database table, for look-ups.
    Jdbc(jdbc::JdbcTable),
}

/// Reads a table's options; gives notices of those that have no effect here.
pub fn of(
    table: &CreateTable,
    columns: &[PhysicalColumn],
    primary_key: &[usize],
) -> SqlResult<(Connector, Vec<String>)> {
    let mut options = Options::new(table);
    let name = options.required("connector")?;
    let connector = match name.value.as_str() {
        "kafka" => Connector::Kafka(kafka::read(&mut options, primary_key)?),
        "upsert-kafka" => Connector::UpsertKafka(kafka::read_upsert(&mut options, primary_key)?),
        "jdbc" => Connector::Jdbc(jdbc::read(&mut options, columns)?),
        other => {
            let message = format!(
                "Could not find any factory for identifier '{other}' that implements 'DynamicTableFactory' in the classpath."
            );
            return Err(SqlDiagnostic::new(name.span, message)
                .with_hint("Available connectors are 'kafka', 'upsert-kafka' and 'jdbc' (for look-ups)."));
        }
    };
    let notices = options.finish(&name.value)?;
    Ok((connector, notices))
}
