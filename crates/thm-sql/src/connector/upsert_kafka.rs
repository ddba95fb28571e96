//! Options of `upsert-kafka`.

use super::kafka::{self, Stop, Topics};
use super::scan;
use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::{Format, ValueFormat, options as format_options};
use crate::options::{Options, Usage};

/// An `upsert-kafka` table.
#[derive(Clone, Debug)]
pub struct UpsertTable {
    /// Its topics.
    pub topics: Topics,
    /// Format of keys.
    pub key: Format,
    /// Format of values.
    pub value: Format,
    /// What the key's columns begin with in the table alone.
    pub prefix: String,
    /// Whether the key's columns are not in the value.
    pub except_key: bool,
    /// Where a source ends.
    pub stop: Stop,
}

/// Reads `upsert-kafka` options.
pub(super) fn read(
    options: &mut Options<'_>,
    columns: &[PhysicalColumn],
    primary_key: &[usize],
    usage: Usage,
) -> SqlResult<UpsertTable> {
    let properties = kafka::properties(options)?;
    let topics = kafka::topics(options, None)?;
    let span = options.span();
    let mut format = |name: &str| {
        let kind = if usage == Usage::Sink { "sink" } else { "scan" };
        options.take(name).ok_or_else(|| {
            SqlDiagnostic::new(span, format!("Could not find required {kind} format '{name}'."))
                .with_hint(format!("Add '{name}' = 'json' to the WITH clause."))
        })
    };
    let (key, value) = (format("key.format")?, format("value.format")?);
    if primary_key.is_empty() {
        let message = "'upsert-kafka' tables require to define a PRIMARY KEY constraint. The PRIMARY KEY specifies which columns \
                       should be read from or write to the Kafka message key. The PRIMARY KEY also defines records in the \
                       'upsert-kafka' table should update or delete on which keys.";
        return Err(
            SqlDiagnostic::new(span, message).with_hint("Add PRIMARY KEY (column) NOT ENFORCED to the columns.")
        );
    }
    let changes = |name: &str, format: &Format, span| {
        if format.kind != ValueFormat::DebeziumJson {
            return Ok(());
        }
        let message = format!(
            "'upsert-kafka' connector doesn't support 'debezium-json' as {name} format, because 'debezium-json' is not in \
             insert-only mode."
        );
        Err(SqlDiagnostic::new(span, message).with_hint("Write 'json'."))
    };
    let (key_span, value_span) = (key.span, value.span);
    let key = format_options::read(options, &key, "key.", usage)?;
    changes("key", &key, key_span)?;
    let value = format_options::read(options, &value, "value.", usage)?;
    changes("value", &value, value_span)?;
    let (prefix, except_key) = kafka::key_columns(options, columns, primary_key)?;
    flush(options, usage)?;
    let stop = scan::stop(options, &properties, &topics, usage)?;
    kafka::check_delivery(options, usage)?;
    Ok(UpsertTable { topics, key, value, prefix, except_key, stop })
}

/// Buffering has no effect: every change is written, in order.
fn flush(options: &mut Options<'_>, usage: Usage) -> SqlResult<()> {
    let rows = options.peek("sink.buffer-flush.max-rows");
    let interval = options.peek("sink.buffer-flush.interval");
    let many: i64 = Options::number(rows.as_ref())?.unwrap_or(0);
    let long = Options::duration(interval.as_ref())?.unwrap_or_default();
    if usage == Usage::Sink && (many > 0) != (long.as_millis() > 0) {
        let message = "'sink.buffer-flush.max-rows' and 'sink.buffer-flush.interval' must be set to be greater than zero together \
                       to enable sink buffer flushing.";
        return Err(SqlDiagnostic::new(options.span(), message).with_hint("Give both, or none."));
    }
    options.without_effect(&["sink.buffer-flush.max-rows", "sink.buffer-flush.interval"]);
    Ok(())
}
