//! Arrow columns of captured rows, built value by value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};

/// Arrow type of a captured column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// bool
    Boolean,
    /// int2
    Int16,
    /// int4
    Int32,
    /// int8
    Int64,
    /// float4
    Float32,
    /// float8
    Float64,
    /// Text as Debezium writes it, numeric in plain text, and all else as its JSON shows it.
    Utf8,
    /// date
    Date32,
    /// timestamp: microseconds, no zone
    Timestamp,
    /// timestamptz: microseconds, UTC
    TimestampUtc,
}

impl ColumnKind {
    /// Arrow's name of it.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
            Self::Date32 => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// A column under construction. A push of another kind than the column's is a NULL: the table of types never does
/// that, and its test runs every rule.
#[derive(Debug)]
pub struct ColumnBuilder {
    kind: ColumnKind,
    inner: Inner,
    scratch: Vec<u8>,
    /// Values of the last column that was finished, and bytes of its texts: the next will be much the same.
    room: (usize, usize),
}

#[derive(Debug)]
enum Inner {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Utf8(StringBuilder),
    Date32(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Inner {
    /// With room for so many values, and so many bytes of texts.
    fn with_room(kind: ColumnKind, values: usize, bytes: usize) -> Self {
        let timestamps = || TimestampMicrosecondBuilder::with_capacity(values);
        match kind {
            ColumnKind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(values)),
            ColumnKind::Int16 => Self::Int16(Int16Builder::with_capacity(values)),
            ColumnKind::Int32 => Self::Int32(Int32Builder::with_capacity(values)),
            ColumnKind::Int64 => Self::Int64(Int64Builder::with_capacity(values)),
            ColumnKind::Float32 => Self::Float32(Float32Builder::with_capacity(values)),
            ColumnKind::Float64 => Self::Float64(Float64Builder::with_capacity(values)),
            ColumnKind::Utf8 => Self::Utf8(StringBuilder::with_capacity(values, bytes)),
            ColumnKind::Date32 => Self::Date32(Date32Builder::with_capacity(values)),
            ColumnKind::Timestamp => Self::Timestamp(timestamps()),
            ColumnKind::TimestampUtc => Self::Timestamp(timestamps().with_timezone("UTC")),
        }
    }
}

impl ColumnBuilder {
    /// An empty column.
    #[must_use]
    pub fn new(kind: ColumnKind) -> Self {
        Self { kind, inner: Inner::with_room(kind, 0, 0), scratch: Vec::new(), room: (0, 0) }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        match &mut self.inner {
            Inner::Boolean(builder) => builder.append_null(),
            Inner::Int16(builder) => builder.append_null(),
            Inner::Int32(builder) => builder.append_null(),
            Inner::Int64(builder) => builder.append_null(),
            Inner::Float32(builder) => builder.append_null(),
            Inner::Float64(builder) => builder.append_null(),
            Inner::Utf8(builder) => builder.append_null(),
            Inner::Date32(builder) => builder.append_null(),
            Inner::Timestamp(builder) => builder.append_null(),
        }
    }

    /// Appends a boolean.
    pub fn push_bool(&mut self, value: bool) {
        match &mut self.inner {
            Inner::Boolean(builder) => builder.append_value(value),
            _ => self.push_null(),
        }
    }

    /// Appends an integer, a day number or a count of microseconds; as text where the column is text.
    pub fn push_int(&mut self, value: i64) {
        match &mut self.inner {
            Inner::Int64(builder) => builder.append_value(value),
            Inner::Int32(builder) => builder.append_option(i32::try_from(value).ok()),
            Inner::Int16(builder) => builder.append_option(i16::try_from(value).ok()),
            Inner::Date32(builder) => builder.append_option(i32::try_from(value).ok()),
            Inner::Timestamp(builder) => builder.append_value(value),
            Inner::Utf8(_) => self.push_with(|out| thm_codec::debezium::write_int(out, value)),
            _ => self.push_null(),
        }
    }

    /// Appends a single-precision number.
    pub fn push_f32(&mut self, value: f32) {
        match &mut self.inner {
            Inner::Float32(builder) => builder.append_value(value),
            _ => self.push_null(),
        }
    }

    /// Appends a double-precision number.
    pub fn push_f64(&mut self, value: f64) {
        match &mut self.inner {
            Inner::Float64(builder) => builder.append_value(value),
            _ => self.push_null(),
        }
    }

    /// Appends a text.
    pub fn push_str(&mut self, value: &str) {
        match &mut self.inner {
            Inner::Utf8(builder) => builder.append_value(value),
            _ => self.push_null(),
        }
    }

    /// Appends ASCII text that `write` writes.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        match (&mut self.inner, std::str::from_utf8(&self.scratch)) {
            (Inner::Utf8(builder), Ok(text)) => builder.append_value(text),
            _ => self.push_null(),
        }
    }

    /// Before the first value: makes room for a column like the one before. Without values a builder holds no memory.
    pub fn begin(&mut self) {
        let (values, bytes) = self.room;
        self.inner = Inner::with_room(self.kind, values, bytes + bytes / SPARE_PART);
    }

    /// The column; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        let column: ArrayRef = match &mut self.inner {
            Inner::Boolean(builder) => Arc::new(builder.finish()),
            Inner::Int16(builder) => Arc::new(builder.finish()),
            Inner::Int32(builder) => Arc::new(builder.finish()),
            Inner::Int64(builder) => Arc::new(builder.finish()),
            Inner::Float32(builder) => Arc::new(builder.finish()),
            Inner::Float64(builder) => Arc::new(builder.finish()),
            Inner::Utf8(builder) => {
                let texts = builder.finish();
                self.room.1 = texts.value_data().len();
                Arc::new(texts)
            }
            Inner::Date32(builder) => Arc::new(builder.finish()),
            Inner::Timestamp(builder) => Arc::new(builder.finish()),
        };
        self.room.0 = column.len();
        column
    }
}

/// Texts of the next column may be longer by so much of all their bytes.
const SPARE_PART: usize = 8;
