//! The SQL we send: the insert with its token, deletes in pieces.
//!
//! Values inside a DELETE must mean exactly the stored value whatever the server's time zone or input settings are,
//! so times are compared as the integers they are stored as ([`comparable`] on the column, [`value`] beside it).

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use thm_api::{Generation, Offset, SinkPartition};

use super::quote::{identifier, literal};
use super::table::Table;
use super::types::{Kind, unit_digits};

/// Keys in one DELETE: the text stays far below the server's limit of a query, and a mutation is one scan anyway.
pub const DEFAULT_DELETE_KEYS: usize = 5_000;

/// What the server remembers of an insert: the same range of the same topic in the same generation.
#[must_use]
pub fn token(
    connector: &str,
    generation: Generation,
    partition: &SinkPartition,
    first: Offset,
    last: Offset,
) -> String {
    let SinkPartition { partition, topic_uuid } = partition;
    format!("{connector}/{}/{topic_uuid}/{}/{first}-{last}", generation.0, partition.partition)
}

/// `INSERT INTO … FORMAT ArrowStream`, to be followed by the stream.
#[must_use]
pub fn insert(table: &Table, columns: &[usize], token: &str) -> String {
    let names: Vec<_> = columns.iter().map(|place| identifier(&table.columns[*place].name)).collect();
    format!(
        "INSERT INTO {} ({}) SETTINGS async_insert=0, insert_deduplicate=1, insert_deduplication_token={}, \
         input_format_null_as_default=1 FORMAT ArrowStream\n",
        table.quoted(),
        names.join(", "),
        literal(token)
    )
}

/// The same into nowhere: the server reads and converts the rows, and keeps none.
#[must_use]
pub fn dry_run(table: &Table, columns: &[usize]) -> String {
    let structure: Vec<_> = columns
        .iter()
        .map(|place| format!("{} {}", identifier(&table.columns[*place].name), table.columns[*place].type_name))
        .collect();
    format!(
        "INSERT INTO FUNCTION null({}) SETTINGS async_insert=0, input_format_null_as_default=1 FORMAT ArrowStream\n",
        literal(&structure.join(", "))
    )
}

/// `DELETE FROM … WHERE key IN (…) [AND sort key NOT IN (…)]`.
///
/// `keys` are the touched rows' identities and `kept` the sorting keys of their rows in the same batch; both are
/// lists of tuples that [`tuple`] wrote.
#[must_use]
pub fn delete(table: &Table, key: &[usize], keys: &[String], kept: &[String]) -> String {
    let mut sql = format!("DELETE FROM {} WHERE {} IN ({})", table.quoted(), columns(table, key), keys.join(","));
    if !kept.is_empty() {
        let _ = write!(sql, " AND {} NOT IN ({})", columns(table, &table.sort_key), kept.join(","));
    }
    sql
}

/// The left side of an IN: the columns as [`value`] writes their values.
fn columns(table: &Table, places: &[usize]) -> String {
    let list: Vec<_> = places
        .iter()
        .map(|place| {
            let column = &table.columns[*place];
            comparable(&identifier(&column.name), column.ty.map(|ty| ty.kind))
        })
        .collect();
    if let [single] = list.as_slice() { single.clone() } else { format!("({})", list.join(", ")) }
}

fn comparable(column: &str, kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::DateTime64 { .. }) => format!("reinterpretAsInt64({column})"),
        Some(Kind::DateTime) => format!("toUInt32({column})"),
        Some(Kind::Date | Kind::Date32) => format!("toInt32({column})"),
        Some(Kind::Decimal { .. }) => format!("toString({column})"),
        _ => column.to_owned(),
    }
}

/// One row's values of these columns, as an IN list wants them; `None` if a value is NULL and its column's
/// default cannot be known here.
#[must_use]
pub fn tuple(table: &Table, places: &[usize], arrays: &[&ArrayRef], row: usize) -> Option<String> {
    let mut list = Vec::with_capacity(places.len());
    for (place, array) in places.iter().zip(arrays) {
        let column = &table.columns[*place];
        let kind = column.ty?.kind;
        if array.is_null(row) {
            list.push((!column.has_default).then(|| type_default(kind)).flatten()?);
        } else {
            list.push(value(array, kind, row)?);
        }
    }
    Some(if let [single] = list.as_slice() { single.clone() } else { format!("({})", list.join(",")) })
}

/// What the server puts in place of a NULL.
fn type_default(kind: Kind) -> Option<String> {
    Some(match kind {
        Kind::Int { .. } | Kind::DateTime | Kind::DateTime64 { .. } | Kind::Date | Kind::Date32 => "0".to_owned(),
        Kind::Float32 | Kind::Float64 => "0.".to_owned(),
        Kind::Bool => "false".to_owned(),
        Kind::Decimal { .. } => "'0'".to_owned(),
        Kind::String | Kind::FixedString(_) => "''".to_owned(),
        Kind::Uuid => literal("00000000-0000-0000-0000-000000000000"),
        Kind::ServerParsed => return None,
    })
}

fn value(array: &ArrayRef, kind: Kind, row: usize) -> Option<String> {
    Some(match kind {
        Kind::Int { .. } => integer(array, row)?,
        Kind::Float32 => format!("{:e}", array.as_primitive::<Float32Type>().value(row)),
        Kind::Float64 => format!("{:e}", array.as_primitive::<Float64Type>().value(row)),
        Kind::Bool => array.as_boolean().value(row).to_string(),
        Kind::Decimal { scale, .. } => {
            let unscaled = array.as_primitive::<arrow::datatypes::Decimal128Type>().value(row);
            literal(&plain_decimal(unscaled, scale.into()))
        }
        Kind::String | Kind::FixedString(_) | Kind::Uuid | Kind::ServerParsed => {
            literal(array.as_string::<i32>().value(row))
        }
        Kind::Date | Kind::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        Kind::DateTime => array.as_primitive::<TimestampSecondType>().value(row).to_string(),
        Kind::DateTime64 { scale } => {
            // The array counts in Arrow's unit, the table in ticks of its own scale.
            let per_tick = 10_i64.pow(unit_digits(scale) - u32::from(scale));
            ticks(array, row)?.div_euclid(per_tick).to_string()
        }
    })
}

fn integer(array: &ArrayRef, row: usize) -> Option<String> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        _ => return None,
    })
}

fn ticks(array: &ArrayRef, row: usize) -> Option<i64> {
    Some(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => array.as_primitive::<TimestampSecondType>().value(row),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array.as_primitive::<TimestampMillisecondType>().value(row),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(row),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array.as_primitive::<TimestampNanosecondType>().value(row),
        _ => return None,
    })
}

/// As ClickHouse's `toString` prints a decimal: no exponent, no trailing zeros.
fn plain_decimal(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if unscaled < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(identifier("a`b\\"), "`a\\`b\\\\`");
        assert_eq!(literal("it's \\"), "'it\\'s \\\\'");
    }

    #[test]
    fn decimals_print_as_the_server_prints_them() {
        assert_eq!(plain_decimal(1050, 2), "10.5");
        assert_eq!(plain_decimal(-5, 2), "-0.05");
        assert_eq!(plain_decimal(0, 2), "0");
        assert_eq!(plain_decimal(12_000, 0), "12000");
    }
}
