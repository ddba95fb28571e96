//! Columns → JSON, byte for byte as Flink writes it: no blanks, declared order, NULLs written, Java's numbers.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Date32Type, Decimal128Type, Float32Type, Float64Type, Time32MillisecondType};
use base64::Engine;
use thm_codec::java_json;

use super::{JsonOptions, TimestampFormat};
use crate::catalog::PhysicalColumn;
use crate::expr::{EvalError, text};
use crate::types::time::TimeText;
use crate::types::{LogicalType, decimal, time};

/// Writes some columns of a table as objects.
#[derive(Clone, Debug)]
pub struct JsonWriter {
    /// Index in the batch, `"name":`, type.
    fields: Vec<(usize, Vec<u8>, LogicalType)>,
    options: JsonOptions,
}

impl JsonWriter {
    /// For some columns under the names they have in the record.
    #[must_use]
    pub fn new(columns: &[PhysicalColumn], fields: &[(usize, String)], options: JsonOptions) -> Self {
        let field = |(index, written): &(usize, String)| {
            let mut name = Vec::new();
            java_json::write_string(&mut name, written);
            name.push(b':');
            (*index, name, columns[*index].data_type.kind)
        };
        Self { fields: fields.iter().map(field).collect(), options }
    }

    /// For the rows of one batch: what kind of column each is, is looked at once and not for every value.
    #[must_use]
    pub fn rows<'a>(&'a self, columns: &'a [ArrayRef]) -> JsonRows<'a> {
        let field = |(index, name, kind): &'a (usize, Vec<u8>, LogicalType)| {
            let array = &columns[*index];
            Field { name, nulls: array.nulls(), values: Values::of(array, *kind) }
        };
        JsonRows { writer: self, fields: self.fields.iter().map(field).collect() }
    }

    /// Appends a value that is not NULL.
    pub(super) fn value(
        &self,
        out: &mut Vec<u8>,
        array: &ArrayRef,
        row: usize,
        kind: LogicalType,
    ) -> Result<(), EvalError> {
        match kind {
            _ if kind.is_nested() => return super::nested::write(self, &self.options, out, (array, row), kind),
            LogicalType::Boolean => {
                out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
            }
            LogicalType::Char(_) | LogicalType::VarChar(_) => {
                java_json::write_string(out, array.as_string::<i32>().value(row));
            }
            LogicalType::Float => java_json::write_f32(out, array.as_primitive::<Float32Type>().value(row)),
            LogicalType::Double => java_json::write_f64(out, array.as_primitive::<Float64Type>().value(row)),
            LogicalType::Decimal { scale, .. } => {
                write_decimal(
                    out,
                    array.as_primitive::<Decimal128Type>().value(row),
                    scale,
                    self.options.plain_decimals,
                );
            }
            LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
                base64(out, array.as_binary::<i32>().value(row));
            }
            // Of a TIME no fraction is written.
            LogicalType::Time(_) => {
                out.push(b'"');
                let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
                time::write_time(out, millis / 1_000, 0, 0);
                out.push(b'"');
            }
            LogicalType::Date | LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
                out.push(b'"');
                time_text(out, array, row, kind, self.options.timestamps);
                out.push(b'"');
            }
            _ => {
                let mut buffer = itoa::Buffer::new();
                out.extend_from_slice(buffer.format(text::integer(array, row, kind)).as_bytes());
            }
        }
        Ok(())
    }
}

/// The rows of one batch.
pub struct JsonRows<'a> {
    writer: &'a JsonWriter,
    fields: Vec<Field<'a>>,
}

/// A column of the batch, and `"name":`.
struct Field<'a> {
    name: &'a [u8],
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// A column as what it is; the types that most tables are made of.
enum Values<'a> {
    /// Untyped NULLs.
    Nothing,
    Boolean(&'a BooleanArray),
    Text(&'a StringArray),
    Int(&'a Int32Array),
    BigInt(&'a Int64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    Other(&'a ArrayRef, LogicalType),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef, kind: LogicalType) -> Self {
        match kind {
            LogicalType::Null => Self::Nothing,
            LogicalType::Boolean => Self::Boolean(array.as_boolean()),
            LogicalType::Char(_) | LogicalType::VarChar(_) => Self::Text(array.as_string()),
            LogicalType::Int => Self::Int(array.as_primitive()),
            LogicalType::BigInt => Self::BigInt(array.as_primitive()),
            LogicalType::Double => Self::Double(array.as_primitive()),
            LogicalType::Decimal { scale, .. } => Self::Decimal(array.as_primitive(), scale),
            _ => Self::Other(array, kind),
        }
    }
}

impl JsonRows<'_> {
    /// Whether fields that are NULL are left out.
    #[must_use]
    pub const fn leaves_nulls_out(&self) -> bool {
        self.writer.options.ignore_null_fields
    }

    /// Appends the object of a row.
    pub fn write(&self, out: &mut Vec<u8>, row: usize) -> Result<(), EvalError> {
        out.push(b'{');
        let mut first = true;
        for field in &self.fields {
            let null = field.nulls.is_some_and(|nulls| nulls.is_null(row)) || matches!(field.values, Values::Nothing);
            if null && self.writer.options.ignore_null_fields {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(field.name);
            if null {
                out.extend_from_slice(b"null");
            } else {
                self.value(out, &field.values, row)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn value(&self, out: &mut Vec<u8>, values: &Values<'_>, row: usize) -> Result<(), EvalError> {
        match values {
            Values::Nothing => out.extend_from_slice(b"null"),
            Values::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Values::Text(array) => java_json::write_string(out, array.value(row)),
            Values::Int(array) => out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
            Values::BigInt(array) => out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
            Values::Double(array) => java_json::write_f64(out, array.value(row)),
            Values::Decimal(array, scale) => {
                write_decimal(out, array.value(row), *scale, self.writer.options.plain_decimals);
            }
            Values::Other(array, kind) => return self.writer.value(out, array, row, *kind),
        }
        Ok(())
    }
}

/// Appends a date or time as JSON and CSV have it; a fraction without trailing zeros.
pub(super) fn time_text(
    out: &mut impl TimeText,
    array: &ArrayRef,
    row: usize,
    kind: LogicalType,
    standard: TimestampFormat,
) {
    match kind {
        LogicalType::Date => time::write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        LogicalType::Time(_) => {
            let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
            let nanos = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
            time::write_time(out, millis / 1_000, nanos, time::needed_fraction(nanos));
        }
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            let moment = text::moment(array, row, p);
            let fraction = time::needed_fraction(moment.nanos);
            time::write_timestamp(out, moment, standard.separator(), fraction);
            if matches!(kind, LogicalType::TimestampLtz(_)) {
                out.add("Z");
            }
        }
        _ => {}
    }
}

/// Appends a DECIMAL without trailing zeros.
pub(super) fn decimal_text(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType, plain: bool) {
    let LogicalType::Decimal { scale, .. } = kind else { return };
    let mut digits = Vec::with_capacity(40);
    write_decimal(&mut digits, array.as_primitive::<Decimal128Type>().value(row), scale, plain);
    out.push_str(&String::from_utf8_lossy(&digits));
}

/// Bytes in Base64, quoted.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    let most = bytes.len().div_ceil(3) * 4;
    out.resize(start + most, 0);
    let written = base64::engine::general_purpose::STANDARD.encode_slice(bytes, &mut out[start..]);
    out.truncate(start + written.expect("four letters for every three bytes have room"));
    out.push(b'"');
}

/// A DECIMAL without trailing zeros: plain, or as Java's `BigDecimal` prints itself, `1E+2`.
fn write_decimal(out: &mut Vec<u8>, value: i128, scale: u8, plain: bool) {
    if value == 0 {
        out.push(b'0');
        return;
    }
    let (unscaled, scale) = stripped(value, i32::from(scale));
    if plain && scale < 0 {
        out.extend_from_slice(itoa::Buffer::new().format(unscaled).as_bytes());
        out.extend(std::iter::repeat_n(b'0', scale.unsigned_abs() as usize));
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs());
    let adjusted = i32::try_from(digits.len()).unwrap_or(39) - 1 - scale;
    if plain || scale >= 0 && adjusted >= -6 {
        let scale = u8::try_from(scale).unwrap_or(0);
        out.extend_from_slice(decimal::plain(&mut [0; decimal::PLAIN_BYTES], unscaled, scale).as_bytes());
        return;
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits.as_bytes()[..1]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[1..]);
    }
    out.extend_from_slice(if adjusted < 0 { b"E" } else { b"E+" });
    out.extend_from_slice(itoa::Buffer::new().format(adjusted).as_bytes());
}

/// Without trailing zeros; most values fit 64 bits, whose division is cheap.
fn stripped(value: i128, mut scale: i32) -> (i128, i32) {
    let mut wide = value;
    while i64::try_from(wide).is_err() && wide % 10 == 0 {
        wide /= 10;
        scale -= 1;
    }
    let Ok(mut narrow) = i64::try_from(wide) else { return (wide, scale) };
    while narrow % 10 == 0 {
        narrow /= 10;
        scale -= 1;
    }
    (i128::from(narrow), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: i128, scale: u8, plain: bool) -> String {
        let mut out = Vec::new();
        write_decimal(&mut out, value, scale, plain);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn decimals_as_java_prints_them() {
        assert_eq!(shown(100, 0, false), "1E+2");
        assert_eq!(shown(180_000, 2, false), "1.8E+3");
        assert_eq!(shown(0, 2, false), "0");
        assert_eq!(shown(12_346, 2, false), "123.46");
        assert_eq!(shown(-50, 2, false), "-0.5");
        assert_eq!(shown(1, 8, false), "1E-8");
        assert_eq!(shown(180_000, 2, true), "1800");
        assert_eq!(shown(1, 8, true), "0.00000001");
        assert_eq!(shown(1_250, 2, true), "12.5");
    }
}
