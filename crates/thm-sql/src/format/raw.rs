//! `raw`: a column's bytes as they are; numbers in their machine form.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type};

use super::cells::Cell;
use super::{RawOptions, ReadError};
use crate::expr::{EvalError, text};
use crate::types::LogicalType;

/// Appends a value; false if it is NULL.
pub fn write(
    out: &mut Vec<u8>,
    array: &ArrayRef,
    row: usize,
    kind: LogicalType,
    options: RawOptions,
) -> Result<bool, EvalError> {
    if text::is_null(array, row, kind) {
        return Ok(false);
    }
    let width = match kind {
        LogicalType::TinyInt => 1,
        LogicalType::SmallInt => 2,
        LogicalType::Int => 4,
        LogicalType::BigInt => 8,
        _ => 0,
    };
    let mut bytes: Vec<u8> = match kind {
        LogicalType::Char(_) | LogicalType::VarChar(_) => {
            options.charset.encode(out, array.as_string::<i32>().value(row));
            return Ok(true);
        }
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            out.extend_from_slice(array.as_binary::<i32>().value(row));
            return Ok(true);
        }
        LogicalType::Boolean => vec![u8::from(array.as_boolean().value(row))],
        LogicalType::Float => array.as_primitive::<Float32Type>().value(row).to_be_bytes().to_vec(),
        LogicalType::Double => array.as_primitive::<Float64Type>().value(row).to_be_bytes().to_vec(),
        _ if width > 0 => text::integer(array, row, kind).to_be_bytes()[8 - width..].to_vec(),
        _ => {
            return Err(EvalError {
                message: format!("The 'raw' format doesn't supports '{kind}' as column type."),
                row,
            });
        }
    };
    if options.little_endian {
        bytes.reverse();
    }
    out.extend_from_slice(&bytes);
    Ok(true)
}

/// Reads a value.
pub fn read(bytes: Option<&[u8]>, kind: LogicalType, options: RawOptions) -> Result<Option<Cell<'_>>, ReadError> {
    let Some(bytes) = bytes else { return Ok(None) };
    let bad = || ReadError::Record(format!("{} bytes are no {kind}", bytes.len()));
    let ordered = || {
        let mut ordered = bytes.to_vec();
        if options.little_endian {
            ordered.reverse();
        }
        ordered
    };
    let integer = |width: usize| {
        let ordered = ordered();
        let negative = ordered.first().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xFF } else { 0 }; 8];
        let tail = wide.len().checked_sub(ordered.len()).filter(|_| ordered.len() == width)?;
        wide[tail..].copy_from_slice(&ordered);
        Some(Cell::Integer(i64::from_be_bytes(wide)))
    };
    let cell = match kind {
        LogicalType::Char(_) | LogicalType::VarChar(_) => Cell::Text(options.charset.decode(bytes)),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => Cell::Bytes(bytes.to_vec()),
        LogicalType::Boolean if bytes.len() == 1 => Cell::Boolean(bytes[0] != 0),
        LogicalType::TinyInt => integer(1).ok_or_else(bad)?,
        LogicalType::SmallInt => integer(2).ok_or_else(bad)?,
        LogicalType::Int => integer(4).ok_or_else(bad)?,
        LogicalType::BigInt => integer(8).ok_or_else(bad)?,
        LogicalType::Float => {
            let bytes: [u8; 4] = ordered().try_into().map_err(|_| bad())?;
            Cell::Double(f64::from(f32::from_be_bytes(bytes)))
        }
        LogicalType::Double => Cell::Double(f64::from_be_bytes(ordered().try_into().map_err(|_| bad())?)),
        _ => return Err(bad()),
    };
    Ok(Some(cell))
}
