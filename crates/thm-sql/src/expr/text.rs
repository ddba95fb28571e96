//! Any value as text, as CAST to STRING shows it.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use thm_codec::java_json::FloatText;

use crate::types::time::{self, Moment};
use crate::types::zone::Zone;
use crate::types::{LogicalType, decimal, unit_for};

/// Appends a value that is not NULL; a TIMESTAMP_LTZ as clocks of a zone show it.
pub fn write_in(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType, zone: Zone) {
    match kind {
        LogicalType::TimestampLtz(p) if zone != Zone::Utc => {
            let utc = moment(array, row, p);
            let local = Moment { seconds: utc.seconds + zone.offset_at(utc.seconds), nanos: utc.nanos };
            time::write_timestamp(out, local, ' ', p);
        }
        LogicalType::Array(of) => {
            let items = array.as_list::<i32>().value(row);
            several(out, ('[', ']'), items.len(), |out, item| write_item(out, &items, item, of.kind, zone));
        }
        LogicalType::Map(_) | LogicalType::Multiset(_) => {
            let Some(entry) = kind.entry() else { return };
            let items = array.as_list::<i32>().value(row);
            let items = items.as_struct();
            several(out, ('{', '}'), items.len(), |out, item| {
                write_item(out, items.column(0), item, entry.key.kind, zone);
                out.push('=');
                write_item(out, items.column(1), item, entry.value.kind, zone);
            });
        }
        LogicalType::Row(fields) => {
            let columns = array.as_struct().columns();
            several(out, ('(', ')'), fields.len(), |out, field| {
                write_item(out, &columns[field], row, fields[field].data_type.kind, zone);
            });
        }
        _ => write(out, array, row, kind),
    }
}

fn several(out: &mut String, (open, close): (char, char), count: usize, mut item: impl FnMut(&mut String, usize)) {
    out.push(open);
    for position in 0..count {
        if position > 0 {
            out.push_str(", ");
        }
        item(out, position);
    }
    out.push(close);
}

fn write_item(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType, zone: Zone) {
    if is_null(array, row, kind) { out.push_str("NULL") } else { write_in(out, array, row, kind, zone) }
}

/// Appends a value that is not NULL, times in UTC.
pub fn write(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType) {
    use std::fmt::Write;
    match kind {
        LogicalType::Null => {}
        LogicalType::Boolean => out.push_str(if array.as_boolean().value(row) { "TRUE" } else { "FALSE" }),
        LogicalType::Decimal { scale, .. } => {
            decimal::write_plain(out, array.as_primitive::<Decimal128Type>().value(row), scale);
        }
        LogicalType::Float => {
            out.push_str(FloatText::of_f32(array.as_primitive::<Float32Type>().value(row)).as_str());
        }
        LogicalType::Double => {
            out.push_str(FloatText::of_f64(array.as_primitive::<Float64Type>().value(row)).as_str());
        }
        LogicalType::Char(_) | LogicalType::VarChar(_) => out.push_str(array.as_string::<i32>().value(row)),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            out.push_str(&String::from_utf8_lossy(array.as_binary::<i32>().value(row)));
        }
        LogicalType::Date => time::write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        // Flink keeps no fraction in a TIME that it prints.
        LogicalType::Time(_) => {
            let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
            time::write_time(out, millis / 1_000, 0, 0);
        }
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            time::write_timestamp(out, moment(array, row, p), ' ', p);
        }
        LogicalType::IntervalMonth => {
            let months = array.as_primitive::<Int32Type>().value(row);
            let (sign, size) = (if months < 0 { '-' } else { '+' }, months.unsigned_abs());
            let _ = write!(out, "{sign}{}-{:02}", size / 12, size % 12);
        }
        LogicalType::IntervalSecond => {
            let millis = array.as_primitive::<Int64Type>().value(row);
            let (sign, size) = (if millis < 0 { '-' } else { '+' }, millis.unsigned_abs());
            let _ = write!(out, "{sign}{} ", size / 86_400_000);
            let of_day = i64::try_from(size % 86_400_000 / 1_000).unwrap_or(0);
            time::write_time(out, of_day, u32::try_from(size % 1_000).unwrap_or(0) * 1_000_000, 3);
        }
        LogicalType::Array(_) | LogicalType::Map(_) | LogicalType::Multiset(_) | LogicalType::Row(_) => {
            write_in(out, array, row, kind, Zone::Utc);
        }
        _ => out.push_str(itoa::Buffer::new().format(integer(array, row, kind))),
    }
}

/// The value of an integer column.
#[must_use]
pub fn integer(array: &ArrayRef, row: usize, kind: LogicalType) -> i64 {
    match kind {
        LogicalType::TinyInt => i64::from(array.as_primitive::<Int8Type>().value(row)),
        LogicalType::SmallInt => i64::from(array.as_primitive::<Int16Type>().value(row)),
        LogicalType::Int => i64::from(array.as_primitive::<Int32Type>().value(row)),
        _ => array.as_primitive::<Int64Type>().value(row),
    }
}

/// The value of a TIMESTAMP or TIMESTAMP_LTZ column.
#[must_use]
pub fn moment(array: &ArrayRef, row: usize, precision: u8) -> Moment {
    let unit = unit_for(precision);
    let value = match unit {
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
        _ => array.as_primitive::<TimestampMillisecondType>().value(row),
    };
    Moment::of(value, unit)
}

/// Whether the row has no value; of untyped NULLs no row has one.
#[must_use]
pub fn is_null(array: &ArrayRef, row: usize, kind: LogicalType) -> bool {
    kind == LogicalType::Null || array.is_null(row)
}
