//! One table column while a batch is built: cells in, an Arrow array out.
//!
//! A cell that does not fit leaves a NULL in its place and is told to the caller, which then refuses the whole
//! batch naming the record; so such a NULL is never sent.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayBuilder, ArrayRef, ArrowPrimitiveType, BooleanBuilder, PrimitiveBuilder, StringArray,
    StringBuilder,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::arrow_cells::CellReader;
use super::cell::{Cell, Misfit};
use super::types::{Kind, unit_digits};

/// First and last day of `Date` and of `Date32` (1900-01-01 to 2299-12-31).
const DATE_DAYS: std::ops::RangeInclusive<i64> = 0..=65_535;
const DATE32_DAYS: std::ops::RangeInclusive<i64> = -25_567..=120_529;

/// Bytes of text to expect per value: enough that a batch of short texts grows its buffer once or twice.
const TEXT_BYTES_GUESS: usize = 16;

/// A column under construction.
#[derive(Debug)]
pub struct ColumnBuilder {
    kind: Kind,
    array: Array,
}

#[derive(Debug)]
enum Array {
    I8(PrimitiveBuilder<Int8Type>),
    I16(PrimitiveBuilder<Int16Type>),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    U8(PrimitiveBuilder<UInt8Type>),
    U16(PrimitiveBuilder<UInt16Type>),
    U32(PrimitiveBuilder<UInt32Type>),
    U64(PrimitiveBuilder<UInt64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    Bool(BooleanBuilder),
    Decimal(PrimitiveBuilder<Decimal128Type>),
    Text(StringBuilder),
    Days(PrimitiveBuilder<Date32Type>),
    Seconds(PrimitiveBuilder<TimestampSecondType>),
    Millis(PrimitiveBuilder<TimestampMillisecondType>),
    Micros(PrimitiveBuilder<TimestampMicrosecondType>),
    Nanos(PrimitiveBuilder<TimestampNanosecondType>),
}

/// Runs `$body` with `$builder` bound to whichever builder it is.
macro_rules! any {
    ($array:expr, $builder:ident => $body:expr) => {
        match $array {
            Array::I8($builder) => $body,
            Array::I16($builder) => $body,
            Array::I32($builder) => $body,
            Array::I64($builder) => $body,
            Array::U8($builder) => $body,
            Array::U16($builder) => $body,
            Array::U32($builder) => $body,
            Array::U64($builder) => $body,
            Array::F32($builder) => $body,
            Array::F64($builder) => $body,
            Array::Bool($builder) => $body,
            Array::Decimal($builder) => $body,
            Array::Text($builder) => $body,
            Array::Days($builder) => $body,
            Array::Seconds($builder) => $body,
            Array::Millis($builder) => $body,
            Array::Micros($builder) => $body,
            Array::Nanos($builder) => $body,
        }
    };
}

fn primitive<T: ArrowPrimitiveType>(kind: Kind, rows: usize) -> PrimitiveBuilder<T> {
    PrimitiveBuilder::with_capacity(rows).with_data_type(kind.arrow_type())
}

impl ColumnBuilder {
    /// For a column of that kind and about so many rows.
    #[must_use]
    pub fn new(kind: Kind, rows: usize) -> Self {
        let array = match kind {
            Kind::Int { bits: 8, signed: true } => Array::I8(primitive(kind, rows)),
            Kind::Int { bits: 16, signed: true } => Array::I16(primitive(kind, rows)),
            Kind::Int { bits: 32, signed: true } => Array::I32(primitive(kind, rows)),
            Kind::Int { signed: true, .. } => Array::I64(primitive(kind, rows)),
            Kind::Int { bits: 8, signed: false } => Array::U8(primitive(kind, rows)),
            Kind::Int { bits: 16, signed: false } => Array::U16(primitive(kind, rows)),
            Kind::Int { bits: 32, signed: false } => Array::U32(primitive(kind, rows)),
            Kind::Int { signed: false, .. } => Array::U64(primitive(kind, rows)),
            Kind::Float32 => Array::F32(primitive(kind, rows)),
            Kind::Float64 => Array::F64(primitive(kind, rows)),
            Kind::Bool => Array::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::Decimal { .. } => Array::Decimal(primitive(kind, rows)),
            Kind::String | Kind::FixedString(_) | Kind::Uuid | Kind::ServerParsed => {
                Array::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES_GUESS))
            }
            Kind::Date | Kind::Date32 => Array::Days(primitive(kind, rows)),
            Kind::DateTime => Array::Seconds(primitive(kind, rows)),
            Kind::DateTime64 { scale } => match unit_digits(scale) {
                0 => Array::Seconds(primitive(kind, rows)),
                3 => Array::Millis(primitive(kind, rows)),
                6 => Array::Micros(primitive(kind, rows)),
                _ => Array::Nanos(primitive(kind, rows)),
            },
        };
        Self { kind, array }
    }

    /// Adds a cell; on `Err` a NULL stands in its place.
    pub fn push(&mut self, cell: &Cell<'_>) -> Result<(), Misfit> {
        if *cell == Cell::Null {
            self.push_null();
            return Ok(());
        }
        let pushed = self.push_value(cell);
        if pushed.is_err() {
            self.push_null();
        }
        pushed
    }

    /// Adds `rows` of a decoded column, as [`Self::push`] would one by one; each that does not fit is told by its place in
    /// `rows`.
    pub fn extend(&mut self, reader: &CellReader<'_>, rows: &[usize], mut misfits: impl FnMut(usize, Misfit)) {
        if let (Kind::String, Array::Text(builder), Some(texts)) = (self.kind, &mut self.array, reader.texts()) {
            return extend_texts(builder, texts, rows);
        }
        for (at, row) in rows.iter().enumerate() {
            if let Err(misfit) = self.push(&reader.cell(*row)) {
                misfits(at, misfit);
            }
        }
    }

    /// Adds a NULL.
    pub fn push_null(&mut self) {
        any!(&mut self.array, builder => builder.append_null());
    }

    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        any!(&self.array, builder => builder.len())
    }

    /// The array; the builder is empty after it.
    pub fn finish(&mut self) -> ArrayRef {
        any!(&mut self.array, builder => Arc::new(builder.finish()) as ArrayRef)
    }

    fn push_value(&mut self, cell: &Cell<'_>) -> Result<(), Misfit> {
        let kind = self.kind;
        match &mut self.array {
            Array::I8(builder) => push_int(builder, cell),
            Array::I16(builder) => push_int(builder, cell),
            Array::I32(builder) => push_int(builder, cell),
            Array::I64(builder) => push_int(builder, cell),
            Array::U8(builder) => push_int(builder, cell),
            Array::U16(builder) => push_int(builder, cell),
            Array::U32(builder) => push_int(builder, cell),
            Array::U64(builder) => push_int(builder, cell),
            Array::F32(builder) => cell.to_float().and_then(narrow).map(|value| builder.append_value(value)),
            Array::F64(builder) => cell.to_float().map(|value| builder.append_value(value)),
            Array::Bool(builder) => cell.to_bool().map(|value| builder.append_value(value)),
            Array::Decimal(builder) => push_decimal(builder, kind, cell),
            Array::Text(builder) => push_text(builder, kind, cell),
            Array::Days(builder) => push_days(builder, kind, cell),
            Array::Seconds(builder) => push_ticks(builder, kind, cell),
            Array::Millis(builder) => push_ticks(builder, kind, cell),
            Array::Micros(builder) => push_ticks(builder, kind, cell),
            Array::Nanos(builder) => push_ticks(builder, kind, cell),
        }
    }
}

/// Texts as they are: at once where they stand side by side.
fn extend_texts(builder: &mut StringBuilder, texts: &StringArray, rows: &[usize]) {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
    if last - first + 1 == rows.len() && texts.null_count() == 0 {
        let appended = builder.append_array(&texts.slice(*first, rows.len()));
        return appended.expect("a batch's texts are within 2 GiB");
    }
    for row in rows {
        builder.append_option(texts.is_valid(*row).then(|| texts.value(*row)));
    }
}

fn push_int<T>(builder: &mut PrimitiveBuilder<T>, cell: &Cell<'_>) -> Result<(), Misfit>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i128>,
{
    let value = T::Native::try_from(cell.to_int()?).map_err(|_| Misfit("a number out of its range"))?;
    builder.append_value(value);
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest float is what a float column holds; overflow is refused"
)]
fn narrow(value: f64) -> Result<f32, Misfit> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() { Err(Misfit("a number out of its range")) } else { Ok(narrow) }
}

fn push_decimal(builder: &mut PrimitiveBuilder<Decimal128Type>, kind: Kind, cell: &Cell<'_>) -> Result<(), Misfit> {
    if let Kind::Decimal { precision, scale } = kind {
        builder.append_value(cell.to_decimal(precision.into(), scale.into())?);
    }
    Ok(())
}

fn push_text(builder: &mut StringBuilder, kind: Kind, cell: &Cell<'_>) -> Result<(), Misfit> {
    let text = cell.to_text()?;
    match kind {
        Kind::FixedString(bytes) if text.len() > bytes => return Err(Misfit("a text longer than it holds")),
        Kind::Uuid => {
            let uuid = uuid::Uuid::try_parse(&text).map_err(|_| Misfit("a text that is no UUID"))?;
            builder.append_value(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
        }
        _ => builder.append_value(&text),
    }
    Ok(())
}

fn push_days(builder: &mut PrimitiveBuilder<Date32Type>, kind: Kind, cell: &Cell<'_>) -> Result<(), Misfit> {
    let range = if kind == Kind::Date { DATE_DAYS } else { DATE32_DAYS };
    let days = Some(cell.to_days()?).filter(|days| range.contains(days));
    let days = days.and_then(|days| i32::try_from(days).ok()).ok_or(Misfit("a date out of its range"))?;
    builder.append_value(days);
    Ok(())
}

fn push_ticks<T>(builder: &mut PrimitiveBuilder<T>, kind: Kind, cell: &Cell<'_>) -> Result<(), Misfit>
where
    T: ArrowPrimitiveType<Native = i64>,
{
    let ticks = match kind {
        Kind::DateTime64 { scale } => cell.to_ticks(unit_digits(scale), scale.into())?,
        _ => {
            let seconds = cell.to_ticks(0, 0)?;
            u32::try_from(seconds).map_err(|_| Misfit("a timestamp out of its range"))?.into()
        }
    };
    builder.append_value(ticks);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::AsArray;
    use arrow::datatypes::DataType;

    use super::*;
    use crate::clickhouse::types::ColumnType;

    fn built(name: &str, cells: &[Cell<'_>]) -> (ArrayRef, Vec<Option<&'static str>>) {
        let mut column = ColumnBuilder::new(ColumnType::parse(name).unwrap().kind, cells.len());
        let misfits = cells.iter().map(|cell| column.push(cell).err().map(|misfit| misfit.0)).collect();
        assert_eq!(column.len(), cells.len());
        (column.finish(), misfits)
    }

    #[test]
    fn integers_never_wrap() {
        let cells = [Cell::Number("2147483647"), Cell::Number("3000000000"), Cell::Null, Cell::Bool(true)];
        let (array, misfits) = built("Int32", &cells);
        assert_eq!(misfits, [None, Some("a number out of its range"), None, None]);
        let values: Vec<_> = array.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(values, [Some(i32::MAX), None, None, Some(1)]);
        assert!(built("UInt64", &[Cell::Number("-1")]).1[0].is_some());
        assert!(built("UInt64", &[Cell::Number("18446744073709551616")]).1[0].is_some());
        assert!(built("Float32", &[Cell::Number("1e39")]).1[0].is_some());
    }

    #[test]
    fn arrays_have_the_type_the_server_is_told() {
        for name in ["DateTime64(3)", "DateTime64(6)", "DateTime", "Date", "Decimal(10, 2)", "UUID", "Bool", "UInt8"] {
            let kind = ColumnType::parse(name).unwrap().kind;
            assert_eq!(*built(name, &[Cell::Null]).0.data_type(), kind.arrow_type(), "{name}");
        }
        assert_eq!(*built("Enum8('a' = 1)", &[Cell::Null]).0.data_type(), DataType::Utf8);
    }

    #[test]
    fn times_and_dates_have_their_ranges() {
        assert!(built("DateTime", &[Cell::Text("1969-12-31 23:59:59".into())]).1[0].is_some());
        assert!(built("DateTime", &[Cell::Text("2106-02-07 06:28:16".into())]).1[0].is_some());
        assert!(built("Date", &[Cell::Text("2149-06-07".into())]).1[0].is_some());
        assert_eq!(
            built("Date32", &[Cell::Text("1900-01-01".into()), Cell::Text("2299-12-31".into())]).1,
            [None, None]
        );
        assert!(built("DateTime64(9)", &[Cell::Text("2300-01-01 00:00:00".into())]).1[0].is_some());
    }
}
