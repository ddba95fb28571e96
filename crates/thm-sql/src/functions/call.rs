//! A call being evaluated: its arguments row by row, and builders for its result. What is read is borrowed from the
//! arguments' arrays, what is written goes into one buffer per column.

use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanBuilder, PrimitiveArray, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Date32Type, Float64Type, Int32Type, Int64Type};

use crate::expr::{EvalError, Input, Mask, Vector, counts, text};
use crate::types::time::Moment;
use crate::types::{DataType, LogicalType};

/// A call of a function on a batch.
pub struct Call<'a> {
    /// Arguments.
    pub values: &'a [Vector],
    /// Their types.
    pub types: &'a [DataType],
    /// The result's type.
    pub to: LogicalType,
    /// What it is evaluated on.
    pub input: &'a Input<'a>,
    /// For which rows a failure counts.
    pub mask: Mask<'a>,
    /// Rows to compute: one if all arguments are constants.
    pub count: usize,
    /// Whether that one row stands for all.
    pub scalar: bool,
}

impl<'a> Call<'a> {
    /// Number of arguments.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Type of an argument.
    #[must_use]
    pub fn kind(&self, argument: usize) -> LogicalType {
        self.types.get(argument).map_or(LogicalType::Null, |data_type| data_type.kind)
    }

    /// Index of a row in an argument's array.
    #[must_use]
    pub fn at(&self, argument: usize, row: usize) -> usize {
        self.values[argument].at(row)
    }

    /// Whether an argument is NULL.
    #[must_use]
    pub fn is_null(&self, argument: usize, row: usize) -> bool {
        let value = &self.values[argument];
        text::is_null(&value.array, value.at(row), self.types[argument].kind)
    }

    /// Whether any argument is NULL.
    #[must_use]
    pub fn any_null(&self, row: usize) -> bool {
        (0..self.values.len()).any(|argument| self.is_null(argument, row))
    }

    /// A text.
    #[must_use]
    pub fn text(&self, argument: usize, row: usize) -> &'a str {
        let value = &self.values[argument];
        value.array.as_string::<i32>().value(value.at(row))
    }

    /// Bytes, or a text's.
    #[must_use]
    pub fn bytes(&self, argument: usize, row: usize) -> &'a [u8] {
        let value = &self.values[argument];
        match value.array.data_type() {
            ArrowType::Utf8 => value.array.as_string::<i32>().value(value.at(row)).as_bytes(),
            _ => value.array.as_binary::<i32>().value(value.at(row)),
        }
    }

    /// An INT.
    #[must_use]
    pub fn int(&self, argument: usize, row: usize) -> i32 {
        let value = &self.values[argument];
        value.array.as_primitive::<Int32Type>().value(value.at(row))
    }

    /// A BIGINT.
    #[must_use]
    pub fn long(&self, argument: usize, row: usize) -> i64 {
        let value = &self.values[argument];
        value.array.as_primitive::<Int64Type>().value(value.at(row))
    }

    /// A DOUBLE.
    #[must_use]
    pub fn double(&self, argument: usize, row: usize) -> f64 {
        let value = &self.values[argument];
        value.array.as_primitive::<Float64Type>().value(value.at(row))
    }

    /// A BOOLEAN.
    #[must_use]
    pub fn boolean(&self, argument: usize, row: usize) -> bool {
        let value = &self.values[argument];
        value.array.as_boolean().value(value.at(row))
    }

    /// A TIMESTAMP, TIMESTAMP_LTZ or DATE.
    #[must_use]
    pub fn moment(&self, argument: usize, row: usize) -> Moment {
        let value = &self.values[argument];
        match self.kind(argument) {
            LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => text::moment(&value.array, value.at(row), p),
            _ => Moment::midnight(value.array.as_primitive::<Date32Type>().value(value.at(row))),
        }
    }

    /// NULL, or failure where it counts.
    pub fn failed<T>(&self, row: usize, message: impl FnOnce() -> String) -> Result<Option<T>, EvalError> {
        if counts(self.mask, row, self.scalar) {
            return Err(EvalError { message: message(), row });
        }
        Ok(None)
    }

    /// The result.
    #[must_use]
    pub fn vector(&self, array: impl Array + 'static) -> Vector {
        Vector { array: Arc::new(array), scalar: self.scalar }
    }

    /// Numbers, for rows where all arguments have a value.
    pub fn numbers<T: ArrowPrimitiveType>(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
    ) -> Result<Vector, EvalError> {
        self.numbers_or_null::<T>(|row| if self.any_null(row) { Ok(None) } else { compute(row) })
    }

    /// Numbers, NULLs included.
    pub fn numbers_or_null<T: ArrowPrimitiveType>(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
    ) -> Result<Vector, EvalError> {
        let mut out = PrimitiveArray::<T>::builder(self.count);
        for row in 0..self.count {
            out.append_option(compute(row)?);
        }
        Ok(self.vector(out.finish().with_data_type(self.to.to_arrow())))
    }

    /// Truth values, for rows where all arguments have a value.
    pub fn booleans(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<bool>, EvalError>,
    ) -> Result<Vector, EvalError> {
        self.booleans_or_null(|row| if self.any_null(row) { Ok(None) } else { compute(row) })
    }

    /// Truth values, NULLs included.
    pub fn booleans_or_null(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<bool>, EvalError>,
    ) -> Result<Vector, EvalError> {
        let mut out = BooleanBuilder::with_capacity(self.count);
        for row in 0..self.count {
            out.append_option(compute(row)?);
        }
        Ok(self.vector(out.finish()))
    }

    /// Texts, for rows where all arguments have a value; `compute` appends to its buffer and gives `None` for NULL.
    pub fn texts(
        &self,
        mut compute: impl FnMut(usize, &mut String) -> Result<Option<()>, EvalError>,
    ) -> Result<Vector, EvalError> {
        self.texts_or_null(|row, out| if self.any_null(row) { Ok(None) } else { compute(row, out) })
    }

    /// Texts, NULLs included.
    pub fn texts_or_null(
        &self,
        mut compute: impl FnMut(usize, &mut String) -> Result<Option<()>, EvalError>,
    ) -> Result<Vector, EvalError> {
        let mut out = StringBuilder::with_capacity(self.count, self.count * 16);
        let mut buffer = String::new();
        for row in 0..self.count {
            buffer.clear();
            match compute(row, &mut buffer)? {
                Some(()) => out.append_value(&buffer),
                None => out.append_null(),
            }
        }
        Ok(self.vector(out.finish()))
    }

    /// Slices of a text argument, for rows where all arguments have a value.
    pub fn slices(&self, mut compute: impl FnMut(usize) -> Option<&'a str>) -> Result<Vector, EvalError> {
        let mut out = StringBuilder::with_capacity(self.count, self.count * 16);
        for row in 0..self.count {
            out.append_option(if self.any_null(row) { None } else { compute(row) });
        }
        Ok(self.vector(out.finish()))
    }

    /// Bytes, for rows where all arguments have a value.
    pub fn binaries(
        &self,
        mut compute: impl FnMut(usize, &mut Vec<u8>) -> Result<Option<()>, EvalError>,
    ) -> Result<Vector, EvalError> {
        let mut out = BinaryBuilder::with_capacity(self.count, self.count * 16);
        let mut buffer = Vec::new();
        for row in 0..self.count {
            buffer.clear();
            let found = if self.any_null(row) { None } else { compute(row, &mut buffer)? };
            match found {
                Some(()) => out.append_value(&buffer),
                None => out.append_null(),
            }
        }
        Ok(self.vector(out.finish()))
    }
}
