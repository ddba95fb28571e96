//! Options of formats inside a table's WITH clause.

use super::charset::Charset;
use super::{CsvOptions, Format, JsonOptions, MapNullKey, RawOptions, TimestampFormat, ValueFormat};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::{Given, Options, Usage};

/// An option of `json` alone.
const FAIL_ON_MISSING: &str = "fail-on-missing-field";
/// Names of all formats, sorted.
const FORMATS: [&str; 4] = ["csv", "debezium-json", "json", "raw"];

/// Reads the options of a format; `before` is what stands before `json.…`.
pub fn read(options: &mut Options<'_>, name: &Given, before: &str, usage: Usage) -> SqlResult<Format> {
    let prefix = format!("{before}{}.", name.value);
    let mut out = Format::default();
    match name.value.as_str() {
        "json" => {
            out.kind = ValueFormat::Json;
            out.json = json(options, &prefix, usage)?;
            out.json.fail_on_missing_field = Options::boolean(options.take(&format!("{prefix}{FAIL_ON_MISSING}")))?;
            if usage != Usage::Sink && out.json.ignore_parse_errors && out.json.fail_on_missing_field {
                let message = "fail-on-missing-field and ignore-parse-errors shouldn't both be true.";
                return Err(SqlDiagnostic::new(options.span(), message).with_hint("Keep one of them."));
            }
        }
        "debezium-json" => {
            out.kind = ValueFormat::DebeziumJson;
            out.json = json(options, &prefix, usage)?;
            out.json.schema_include = schema_include(options, &prefix, usage)?;
        }
        "csv" => {
            out.kind = ValueFormat::Csv;
            out.csv = csv(options, &prefix)?;
        }
        "raw" => {
            out.kind = ValueFormat::Raw;
            out.raw = raw(options, &prefix)?;
        }
        other => {
            let factory = if usage == Usage::Sink { "Serialization" } else { "Deserialization" };
            let message = format!(
                "Could not find any factory for identifier '{other}' that implements \
                 'org.apache.flink.table.factories.{factory}FormatFactory' in the classpath.\n\nAvailable factory identifiers \
                 are:\n\n{}",
                FORMATS.join("\n")
            );
            return Err(SqlDiagnostic::new(name.span, message)
                .with_hint(format!("Available formats are {}.", FORMATS.join(", "))));
        }
    }
    Ok(out)
}

fn schema_include(options: &mut Options<'_>, prefix: &str, usage: Usage) -> SqlResult<bool> {
    let written = options.take(&format!("{prefix}schema-include"));
    let span = written.as_ref().map(|text| text.span);
    let on = Options::boolean(written)?;
    match span {
        Some(span) if on && usage == Usage::Sink => Err(SqlDiagnostic::new(
            span,
            "Debezium JSON serialization doesn't support 'debezium-json.schema-include' option been set to true.",
        )
        .with_hint("Remove the option.")),
        _ => Ok(on),
    }
}

fn json(options: &mut Options<'_>, prefix: &str, usage: Usage) -> SqlResult<JsonOptions> {
    let mut flag = |name: &str| Options::boolean(options.take(&format!("{prefix}{name}")));
    let ignore_parse_errors = flag("ignore-parse-errors")?;
    let plain_decimals = flag("encode.decimal-as-plain-number")?;
    let ignore_null_fields = flag("encode.ignore-null-fields")?;
    let timestamps = match options.take(&format!("{prefix}timestamp-format.standard")) {
        None => TimestampFormat::Sql,
        Some(standard) => match standard.value.as_str() {
            "SQL" => TimestampFormat::Sql,
            "ISO-8601" => TimestampFormat::Iso,
            other => {
                let message = format!(
                    "Unsupported value '{other}' for timestamp-format.standard. Supported values are [SQL, ISO-8601]."
                );
                return Err(SqlDiagnostic::new(standard.span, message).with_hint("Write 'SQL' or 'ISO-8601'."));
            }
        },
    };
    let map_null_key = match options.take(&format!("{prefix}map-null-key.mode")) {
        None => MapNullKey::Fail,
        Some(mode) => match mode.value.to_ascii_uppercase().as_str() {
            "FAIL" => MapNullKey::Fail,
            "DROP" => MapNullKey::Drop,
            "LITERAL" => MapNullKey::Literal,
            // What only writes is not looked at by what reads, as in Flink.
            _ if usage != Usage::Sink => MapNullKey::Fail,
            _ => {
                let message = format!(
                    "Unsupported value '{}' for option map-null-key.mode. Supported values are [LITERAL, FAIL, DROP].",
                    mode.value
                );
                return Err(SqlDiagnostic::new(mode.span, message).with_hint("Write 'FAIL', 'DROP' or 'LITERAL'."));
            }
        },
    };
    let literal = options.take(&format!("{prefix}map-null-key.literal"));
    let map_null_literal = literal.map_or("null", |text| super::interned(&text.value));
    Ok(JsonOptions {
        ignore_parse_errors,
        fail_on_missing_field: false,
        plain_decimals,
        ignore_null_fields,
        timestamps,
        schema_include: false,
        map_null_key,
        map_null_literal,
    })
}

fn csv(options: &mut Options<'_>, prefix: &str) -> SqlResult<CsvOptions> {
    let mut take = |name: &str| options.take(&format!("{prefix}{name}"));
    let character = |text: Option<Given>, name: &str| match text {
        None => Ok(None),
        Some(text) => {
            let unescaped = match text.value.as_str() {
                "\\t" => "\t",
                other => other,
            };
            let mut chars = unescaped.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Ok(Some(only)),
                _ => Err(SqlDiagnostic::new(
                    text.span,
                    format!("Option 'csv.{name}' must be a string with single character, but was: {}", text.value),
                )
                .with_hint("Write one character.")),
            }
        }
    };
    let delimiter = character(take("field-delimiter"), "field-delimiter")?.unwrap_or(',');
    let quote = character(take("quote-character"), "quote-character")?;
    let escape = character(take("escape-character"), "escape-character")?;
    let no_quotes = Options::boolean(take("disable-quote-character"))?;
    if no_quotes && quote.is_some() {
        let message = "Format cannot define a quote character and disabled quote character at the same time.";
        return Err(SqlDiagnostic::new(options.span(), message).with_hint("Keep one of them."));
    }
    let mut take = |name: &str| options.take(&format!("{prefix}{name}"));
    let comments = Options::boolean(take("allow-comments"))?;
    let ignore_parse_errors = Options::boolean(take("ignore-parse-errors"))?;
    let array_delimiter = character(take("array-element-delimiter"), "array-element-delimiter")?.unwrap_or(';').into();
    let null_literal = take("null-literal").map(|text| text.value);
    // Flink's own default says true, and does not take effect.
    let scientific = Options::boolean(take("write-bigdecimal-in-scientific-notation"))?;
    let quote = if no_quotes { None } else { Some(quote.unwrap_or('"')) };
    Ok(CsvOptions {
        delimiter,
        quote,
        escape,
        comments,
        ignore_parse_errors,
        array_delimiter,
        null_literal,
        scientific,
    })
}

fn raw(options: &mut Options<'_>, prefix: &str) -> SqlResult<RawOptions> {
    let charset = match options.take(&format!("{prefix}charset")) {
        None => Charset::Utf8,
        Some(name) => Charset::named(&name.value).ok_or_else(|| {
            SqlDiagnostic::new(name.span, format!("Unsupported 'raw.charset' name: {}.", name.value))
                .with_hint("Write 'UTF-8', 'UTF-16', 'UTF-16LE', 'UTF-16BE', 'ISO-8859-1' or 'US-ASCII'.")
        })?,
    };
    let endianness = options.take(&format!("{prefix}endianness"));
    let little = Options::choice(endianness.as_ref(), &[("big-endian", false), ("little-endian", true)])?;
    Ok(RawOptions { little_endian: little.unwrap_or(false), charset })
}
