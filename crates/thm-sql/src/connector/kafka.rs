//! Options of `kafka` and `upsert-kafka`, and of the formats inside them.

use super::options::Options;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::{JsonOptions, TimestampFormat};
use crate::parser::ast::Spanned;

/// Where a source starts when the job has no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Startup {
    /// The log's start.
    Earliest,
    /// The high watermark at the first start.
    Latest,
}

/// What a source's records hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// One JSON object a row.
    Json,
    /// Debezium's envelope, one change a record.
    DebeziumJson,
}

/// A `kafka` table.
#[derive(Clone, Debug)]
pub struct KafkaTable {
    /// Its topic.
    pub topic: String,
    /// Format of values.
    pub format: ValueFormat,
    /// The format's options.
    pub json: JsonOptions,
    /// Where to start; `None` if the table does not say, which only a source must.
    pub startup: Option<Startup>,
}

/// An `upsert-kafka` table.
#[derive(Clone, Debug)]
pub struct UpsertTable {
    /// Its topic.
    pub topic: String,
    /// Options of the key's format.
    pub key: JsonOptions,
    /// Options of the value's format.
    pub value: JsonOptions,
    /// `value.fields-include` = EXCEPT_KEY.
    pub except_key: bool,
}

/// Delivery is exactly-once into the log whatever these say.
const DELIVERY: &[&str] = &["sink.delivery-guarantee", "sink.transactional-id-prefix", "sink.parallelism"];

/// Reads `kafka` options.
pub(super) fn read(options: &mut Options<'_>, primary_key: &[usize]) -> SqlResult<KafkaTable> {
    let topic = topic(options)?;
    let format = match (options.take("value.format"), options.take("format")) {
        (Some(_), Some(second)) => {
            return Err(SqlDiagnostic::new(second.span, "'format' and 'value.format' are both given")
                .with_hint("They say the same; keep one."));
        }
        (Some(format), None) | (None, Some(format)) => format,
        (None, None) => options.required("format")?,
    };
    let format_name = format.value.clone();
    let format = match format_name.as_str() {
        "json" => ValueFormat::Json,
        "debezium-json" => ValueFormat::DebeziumJson,
        other => return Err(unknown_format(other, &format)),
    };
    if format == ValueFormat::Json && !primary_key.is_empty() {
        return Err(SqlDiagnostic::new(
            options.span(),
            "a 'kafka' table with the format 'json' can't have a PRIMARY KEY",
        )
        .with_hint("Use the connector 'upsert-kafka', or remove the key."));
    }
    let json = json_options(options, &prefixes(&format_name, &["value.", ""]))?;
    let startup = match options.take("scan.startup.mode") {
        None => None,
        Some(mode) => Some(match mode.value.as_str() {
            "earliest-offset" => Startup::Earliest,
            "latest-offset" => Startup::Latest,
            other => {
                let message = format!("'scan.startup.mode' = '{other}' is not supported yet");
                return Err(SqlDiagnostic::new(mode.span, message)
                    .with_hint("Write 'earliest-offset' or 'latest-offset'; a job goes on from its checkpoint after the first start."));
            }
        }),
    };
    options.without_effect(DELIVERY);
    options.without_effect(&["scan.topic-partition-discovery.interval", "scan.parallelism"]);
    Ok(KafkaTable { topic, format, json, startup })
}

/// Reads `upsert-kafka` options.
pub(super) fn read_upsert(options: &mut Options<'_>, primary_key: &[usize]) -> SqlResult<UpsertTable> {
    let topic = topic(options)?;
    let key_format = options.required("key.format")?;
    let value_format = options.required("value.format")?;
    for format in [&key_format, &value_format] {
        if format.value != "json" {
            return Err(
                unknown_format(&format.value, format).with_hint("'upsert-kafka' takes the format 'json' so far.")
            );
        }
    }
    if primary_key.is_empty() {
        let message = "'upsert-kafka' tables require to define a PRIMARY KEY constraint. The PRIMARY KEY specifies which columns \
                       should be read from or write to the Kafka message key.";
        return Err(SqlDiagnostic::new(options.span(), message)
            .with_hint("Add PRIMARY KEY (column) NOT ENFORCED to the columns."));
    }
    let key = json_options(options, &prefixes("json", &["key."]))?;
    let value = json_options(options, &prefixes("json", &["value.", ""]))?;
    let except_key = match options.take("value.fields-include") {
        None => false,
        Some(fields) => match fields.value.as_str() {
            "ALL" => false,
            "EXCEPT_KEY" => true,
            other => {
                let message = format!("Could not parse value '{other}' for key 'value.fields-include'.");
                return Err(SqlDiagnostic::new(fields.span, message).with_hint("Write 'ALL' or 'EXCEPT_KEY'."));
            }
        },
    };
    options.without_effect(DELIVERY);
    options.without_effect(&["sink.buffer-flush.max-rows", "sink.buffer-flush.interval"]);
    Ok(UpsertTable { topic, key, value, except_key })
}

fn unknown_format(name: &str, at: &Spanned<String>) -> SqlDiagnostic {
    let message = format!(
        "Could not find any factory for identifier '{name}' that implements 'DeserializationFormatFactory' in the classpath."
    );
    SqlDiagnostic::new(at.span, message).with_hint("Available formats are 'json' and 'debezium-json'.")
}

fn topic(options: &mut Options<'_>) -> SqlResult<String> {
    let topic = options.required("topic")?;
    options.required("properties.bootstrap.servers")?;
    options.accept_prefix("properties.");
    let name = topic.value.trim();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 249 || !name.bytes().all(legal) {
        return Err(SqlDiagnostic::new(topic.span, format!("'{name}' is not the name of one topic"))
            .with_hint("Name one topic, of letters, digits, '.', '_' and '-'; several topics are not supported yet."));
    }
    Ok(name.to_owned())
}

fn prefixes(format: &str, before: &[&str]) -> Vec<String> {
    before.iter().map(|before| format!("{before}{format}.")).collect()
}

fn json_options(options: &mut Options<'_>, prefixes: &[String]) -> SqlResult<JsonOptions> {
    let keys = |name: &str| prefixes.iter().map(|prefix| format!("{prefix}{name}")).collect::<Vec<_>>();
    let mut flag = |name: &str| Options::boolean(options.take_any(&keys(name)));
    let ignore_parse_errors = flag("ignore-parse-errors")?;
    let fail_on_missing_field = flag("fail-on-missing-field")?;
    let plain_decimals = flag("encode.decimal-as-plain-number")?;
    let ignore_null_fields = flag("encode.ignore-null-fields")?;
    if let Some(schema) = options.take_any(&keys("schema-include")).filter(|schema| schema.value != "false") {
        return Err(SqlDiagnostic::new(schema.span, "'schema-include' = 'true' is not supported yet")
            .with_hint("Let the source write envelopes without schema, as it does by default."));
    }
    let timestamps = match options.take_any(&keys("timestamp-format.standard")) {
        None => TimestampFormat::Sql,
        Some(standard) => match standard.value.as_str() {
            "SQL" => TimestampFormat::Sql,
            "ISO-8601" => TimestampFormat::Iso,
            other => {
                let message = format!(
                    "Unsupported value '{other}' for timestamp-format.standard. Supported values are [SQL, ISO-8601]."
                );
                return Err(SqlDiagnostic::new(standard.span, message));
            }
        },
    };
    if ignore_parse_errors && fail_on_missing_field {
        return Err(SqlDiagnostic::new(
            options.span(),
            "fail-on-missing-field and ignore-parse-errors shouldn't both be true.",
        ));
    }
    if let Some(parser) = options.take_any(&keys("decode.json-parser.enabled")).filter(|parser| parser.value != "true")
    {
        return Err(SqlDiagnostic::new(parser.span, "'decode.json-parser.enabled' = 'false' is not supported")
            .with_hint("Remove the option: records are read as Flink's JSON parser reads them."));
    }
    for name in ["map-null-key.mode", "map-null-key.literal"] {
        let spelled = keys(name);
        let spelled: Vec<&str> = spelled.iter().map(String::as_str).collect();
        options.without_effect(&spelled);
    }
    Ok(JsonOptions { ignore_parse_errors, fail_on_missing_field, plain_decimals, ignore_null_fields, timestamps })
}
