//! Options of `datagen`: made-up rows, random or in sequence.

use sqlparser::tokenizer::Span;

use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::{Given, Options};
use crate::types::{DataType, LogicalType};

/// Flink's `rows-per-second`.
const DEFAULT_ROWS_PER_SECOND: u64 = 10_000;
/// Flink's length of random collections.
const DEFAULT_ELEMENTS: usize = 3;
/// Flink's length of random texts.
const DEFAULT_LENGTH: usize = 100;

/// A `datagen` table.
#[derive(Clone, Debug)]
pub struct DatagenTable {
    /// Most rows a second.
    pub rows_per_second: u64,
    /// Rows in all; endless without.
    pub number_of_rows: Option<u64>,
    /// By physical column.
    pub fields: Vec<Generator>,
}

/// How a column is made up.
#[derive(Clone, Debug, PartialEq)]
pub enum Generator {
    /// Each value from `start` to `end`, in order; then the source ends.
    Sequence {
        /// First.
        start: i64,
        /// Last.
        end: i64,
    },
    /// Any value.
    Random {
        /// Smallest, if the type has an order.
        min: Option<f64>,
        /// Largest.
        max: Option<f64>,
        /// Length of texts and bytes.
        length: usize,
        /// Whether that is the longest, and each has a length of its own.
        varies: bool,
        /// Share of NULLs, 0 to 1.
        null_rate: f64,
        /// For times: how long ago at most, milliseconds.
        max_past_ms: i64,
    },
    /// An ARRAY.
    List {
        /// How each element is made up.
        element: Box<Generator>,
        /// How many there are.
        length: usize,
        /// Share of NULLs.
        null_rate: f64,
    },
    /// A MAP or MULTISET.
    Entries {
        /// How each key or element is made up; those that come twice are there once.
        key: Box<Generator>,
        /// How each value is made up; of a MULTISET every element is there once.
        value: Option<Box<Generator>>,
        /// How many are made up.
        length: usize,
        /// Share of NULLs.
        null_rate: f64,
    },
    /// A ROW.
    Row {
        /// How each field is made up.
        fields: Vec<Generator>,
        /// Share of NULLs.
        null_rate: f64,
    },
}

/// Reads `datagen` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn]) -> SqlResult<DatagenTable> {
    let rate = options.take("rows-per-second");
    let rows_per_second = Options::number::<i64>(rate.as_ref())?;
    if let Some((rate, _)) = rate.zip(rows_per_second.filter(|rate| *rate < 1)) {
        let message = format!("'rows-per-second' = '{}' gives no rows", rate.value);
        return Err(SqlDiagnostic::new(rate.span, message).with_hint("Write 1 or more."));
    }
    let rows_per_second = rows_per_second.map_or(DEFAULT_ROWS_PER_SECOND, i64::unsigned_abs);
    let number = options.take("number-of-rows");
    let number_of_rows = Options::number::<i64>(number.as_ref())?.map(|rows| rows.max(0).unsigned_abs());
    options.parallelism("scan.parallelism", true)?;
    let fields = columns.iter().map(|column| field(options, column)).collect::<SqlResult<_>>()?;
    Ok(DatagenTable { rows_per_second, number_of_rows, fields })
}

/// Takes those options of a column that its kind and type have; the others are refused with all that are left.
fn field(options: &mut Options<'_>, column: &PhysicalColumn) -> SqlResult<Generator> {
    let how = options.take(&format!("fields.{}.kind", column.name));
    match how.as_ref().map_or("random", |how| how.value.as_str()) {
        "sequence" => sequence(options, column),
        "random" => random(options, column),
        other => {
            let at = how.as_ref().map_or(options.span(), |how| how.span);
            Err(SqlDiagnostic::new(at, format!("Unsupported generator kind: {other}"))
                .with_hint("Write 'random' or 'sequence'."))
        }
    }
}

/// A part of a column, whose options stand behind its name.
fn part(column: &PhysicalColumn, name: &str, data_type: DataType) -> PhysicalColumn {
    PhysicalColumn { name: format!("{}.{name}", column.name), data_type }
}

fn random(options: &mut Options<'_>, column: &PhysicalColumn) -> SqlResult<Generator> {
    let PhysicalColumn { name, data_type } = column;
    let kind = data_type.kind;
    if kind.is_nested() {
        return nested(options, column);
    }
    let mut take = |what: &str| options.take(&format!("fields.{name}.{what}"));
    let sized = kind.is_text() || kind.is_binary();
    let moment = kind.is_timestamp();
    let (min, max) = if kind.is_numeric() { (take("min"), take("max")) } else { (None, None) };
    let (length, varies) = (if sized { take("length") } else { None }, take("var-len"));
    let null_rate = if kind.is_numeric() || kind.is_text() || moment { take("null-rate") } else { None };
    let max_past = if moment { take("max-past") } else { None };
    let varies = Options::boolean(varies)?;
    let length = length_of(column, length.as_ref(), varies, options.span())?;
    Ok(Generator::Random {
        min: bound(min.as_ref(), kind)?,
        max: bound(max.as_ref(), kind)?,
        length,
        varies,
        null_rate: Options::number(null_rate.as_ref())?.unwrap_or(0.0),
        max_past_ms: Options::duration(max_past.as_ref())?
            .map_or(0, |past| i64::try_from(past.as_millis()).unwrap_or(i64::MAX)),
    })
    .and_then(|made| in_order(made, min.or(max).map_or(options.span(), |given| given.span)))
}

/// Collections and rows, each part of which has options of its own.
fn nested(options: &mut Options<'_>, column: &PhysicalColumn) -> SqlResult<Generator> {
    let mut take = |what: &str| options.take(&format!("fields.{}.{what}", column.name));
    let kind = column.data_type.kind;
    let null_rate = Options::number(take("null-rate").as_ref())?.unwrap_or(0.0);
    let length = if matches!(kind, LogicalType::Row(_)) { None } else { take("length") };
    let length = Options::number(length.as_ref())?.unwrap_or(DEFAULT_ELEMENTS);
    let mut of = |name: &str, data_type: DataType| random(options, &part(column, name, data_type));
    Ok(match kind {
        LogicalType::Array(element) => {
            Generator::List { element: Box::new(of("element", *element)?), length, null_rate }
        }
        LogicalType::Map(entry) => {
            let (key, value) = (of("key", entry.key)?, of("value", entry.value)?);
            Generator::Entries { key: Box::new(key), value: Some(Box::new(value)), length, null_rate }
        }
        LogicalType::Multiset(element) => {
            Generator::Entries { key: Box::new(of("element", *element)?), value: None, length, null_rate }
        }
        LogicalType::Row(fields) => {
            let fields: SqlResult<_> = fields.iter().map(|field| of(&field.name, field.data_type)).collect();
            Generator::Row { fields: fields?, null_rate }
        }
        _ => return Err(SqlDiagnostic::new(options.span(), format!("Unsupported type: {kind}"))),
    })
}

/// The least or the greatest value of a number's type.
fn bound(given: Option<&Given>, kind: LogicalType) -> SqlResult<Option<f64>> {
    if kind.is_integer() {
        return Ok(Options::number::<i64>(given)?.map(|bound| bound as f64));
    }
    Options::number(given)
}

fn in_order(made: Generator, span: Span) -> SqlResult<Generator> {
    match made {
        Generator::Random { min: Some(min), max: Some(max), .. } if min > max => {
            let message = format!("lower bound ({min}) must be strictly less than upper bound ({max})");
            Err(SqlDiagnostic::new(span, message).with_hint("Exchange 'min' and 'max'."))
        }
        made => Ok(made),
    }
}

fn sequence(options: &mut Options<'_>, column: &PhysicalColumn) -> SqlResult<Generator> {
    let PhysicalColumn { name, data_type } = column;
    let kind = data_type.kind;
    if !(kind.is_numeric() || kind.is_text() || kind.is_binary()) {
        return Err(SqlDiagnostic::new(options.span(), format!("Unsupported type: {kind}"))
            .with_hint("A sequence is of numbers, texts or bytes; remove the option 'kind'."));
    }
    let mut end = |what: &str| {
        let key = format!("fields.{name}.{what}");
        let given = options.take(&key);
        Options::number(given.as_ref())?.ok_or_else(|| {
            let message = format!("Could not find required property '{key}' for sequence generator.");
            SqlDiagnostic::new(options.span(), message).with_hint("Give 'start' and 'end'.")
        })
    };
    Ok(Generator::Sequence { start: end("start")?, end: end("end")? })
}

/// How long texts and bytes are, by Flink's rules.
fn length_of(column: &PhysicalColumn, given: Option<&Given>, varies: bool, span: Span) -> SqlResult<usize> {
    let PhysicalColumn { name, data_type } = column;
    let kind = data_type.kind;
    let (most, fixed) = match kind {
        LogicalType::Char(n) | LogicalType::Binary(n) => (n as usize, true),
        LogicalType::VarChar(n) | LogicalType::VarBinary(n) => (n as usize, false),
        _ => (usize::MAX, true),
    };
    if varies && fixed {
        let message = format!(
            "Only supports specifying 'fields.{name}.var-len' option for variable-length types (VARCHAR/STRING/VARBINARY/BYTES). \
             The type of field '{name}' is not within this range."
        );
        return Err(SqlDiagnostic::new(span, message).with_hint("Remove the option."));
    }
    let Some(length) = Options::number::<usize>(given)? else {
        return Ok(if fixed && most < usize::MAX { most } else { DEFAULT_LENGTH.min(most) });
    };
    let at = given.map_or(span, |text| text.span);
    if length == 0 {
        return Err(SqlDiagnostic::new(at, "length (0)").with_hint("Write 1 or more."));
    }
    if fixed && most < usize::MAX {
        let message = format!("Custom length for fixed-length type ({kind}) field '{name}' is not supported.");
        return Err(SqlDiagnostic::new(at, message).with_hint("Remove the option: the type says the length."));
    }
    if length > most {
        let message = format!(
            "Custom length '{length}' for variable-length type ({kind}) field '{name}' should be shorter than '{most}' defined in \
             the schema."
        );
        return Err(SqlDiagnostic::new(at, message).with_hint("Write a smaller one, or declare a longer type."));
    }
    Ok(length)
}
