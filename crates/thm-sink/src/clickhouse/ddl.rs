//! CREATE TABLE: the table we make under `auto.create`, and the one we tell the operator to make.

use arrow::datatypes::DataType;
use thm_api::Result;

use super::quote::identifier;
use super::table::{DEFAULT_DEDUPLICATION_WINDOW, Table};
use super::types::Kind;

/// The columns of the enriched events, as the contract has them.
const ENRICHED: &[(&str, &str)] = &[
    ("id", "UInt64"),
    ("content_id", "String"),
    ("user_id", "String"),
    ("event_type", "LowCardinality(String)"),
    ("event_ts", "DateTime64(3)"),
    ("device", "LowCardinality(String)"),
    ("content_type", "LowCardinality(String)"),
    ("length_seconds", "Int32"),
    ("engagement_seconds", "Nullable(Decimal(10, 2))"),
    ("engagement_pct", "Nullable(Decimal(5, 2))"),
    ("raw_payload", "String"),
];

/// The contract's table for enriched events under another name: what to run where it is missing.
#[must_use]
pub fn suggested(database: &str, table: &str) -> String {
    let columns: Vec<_> = ENRICHED.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
    format!(
        "CREATE TABLE {}.{} ({}) ENGINE = ReplacingMergeTree ORDER BY (event_ts, id)",
        identifier(database),
        identifier(table),
        columns.join(", ")
    )
}

/// Our own table for records with these columns: keyed by the record's key, so that updates and deletes are
/// inserts. `columns` are names and ClickHouse types.
#[must_use]
pub fn create(database: &str, table: &str, columns: &[(String, String)], key: &[String]) -> String {
    let mut lines: Vec<_> = columns.iter().map(|(name, ty)| format!("{} {ty}", identifier(name))).collect();
    lines.push("version UInt64".to_owned());
    lines.push("is_deleted UInt8".to_owned());
    let key: Vec<_> = key.iter().map(|name| identifier(name)).collect();
    let key = if let [single] = key.as_slice() { single.clone() } else { format!("({})", key.join(", ")) };
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{} ({}) ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY {key} \
         SETTINGS non_replicated_deduplication_window = {}",
        identifier(database),
        identifier(table),
        lines.join(", "),
        DEFAULT_DEDUPLICATION_WINDOW
    )
}

/// The columns of a table for records with fields of these names: the contract's where they are the contract's,
/// else from the decoded types; `None` where a type is not known.
#[must_use]
pub fn columns_for(
    names: &[String],
    decoded: Option<&arrow::datatypes::Schema>,
    key: &[String],
) -> Option<Vec<(String, String)>> {
    let known = |name: &String| ENRICHED.iter().find(|(known, _)| known == name);
    if names.iter().all(|name| known(name).is_some()) {
        let typed = names.iter().filter_map(known);
        return Some(typed.map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned())).collect());
    }
    let schema = decoded?;
    let typed = names.iter().map(|name| {
        let plain = type_for(schema.field_with_name(name).ok()?.data_type())?;
        let ty = if key.contains(name) { plain } else { format!("Nullable({plain})") };
        Some((name.clone(), ty))
    });
    typed.collect()
}

/// The ClickHouse type of an Arrow type.
pub fn type_for(arrow: &DataType) -> Option<String> {
    let name = match arrow {
        DataType::Boolean => "Bool",
        DataType::Int8 => "Int8",
        DataType::Int16 => "Int16",
        DataType::Int32 => "Int32",
        DataType::Int64 => "Int64",
        DataType::UInt64 => "UInt64",
        DataType::Float32 => "Float32",
        DataType::Float64 => "Float64",
        DataType::Utf8 | DataType::LargeUtf8 => "String",
        DataType::Date32 => "Date32",
        DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => "DateTime64(3, 'UTC')",
        DataType::Timestamp(_, _) => "DateTime64(6, 'UTC')",
        DataType::Decimal128(precision, scale) => return Some(format!("Decimal({precision}, {scale})")),
        _ => return None,
    };
    Some(name.to_owned())
}

/// Refuses a table that has all columns of the enriched events but one of a kind that takes none of their values:
/// found here it is one error before the first row, later it would be a dead letter for each.
pub fn check_contract(table: &Table) -> Result<()> {
    if !ENRICHED.iter().all(|(name, _)| table.place(name).is_some()) {
        return Ok(());
    }
    let numbers: &[&str] = &["id", "length_seconds", "engagement_seconds", "engagement_pct"];
    for (name, wanted) in ENRICHED {
        let column = table.columns.iter().find(|column| column.name == *name);
        let Some(column) = column else { continue };
        let fits = match column.ty.map(|ty| ty.kind) {
            None => false,
            Some(Kind::String) => true,
            Some(Kind::Int { .. }) => numbers.contains(name) && !name.starts_with("engagement"),
            Some(Kind::Decimal { .. } | Kind::Float32 | Kind::Float64) => numbers.contains(name),
            Some(Kind::DateTime | Kind::DateTime64 { .. }) => *name == "event_ts",
            Some(Kind::Uuid | Kind::FixedString(_) | Kind::ServerParsed) => {
                !numbers.contains(name) && *name != "event_ts"
            }
            Some(Kind::Bool | Kind::Date | Kind::Date32) => false,
        };
        if !fits {
            let hint = format!(
                "Column {name} of {} has type {}; the records need {wanted}. Run: ALTER TABLE {} MODIFY COLUMN {} {wanted}",
                table.label(),
                column.type_name,
                table.quoted(),
                identifier(name)
            );
            return Err(table.mismatch(name, hint));
        }
    }
    Ok(())
}
