//! Options of `datagen`: made-up rows, random or in sequence.

use sqlparser::tokenizer::Span;

use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::Options;
use crate::parser::ast::Spanned;
use crate::types::LogicalType;

/// Flink's `rows-per-second`.
const DEFAULT_ROWS_PER_SECOND: u64 = 10_000;
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
}

/// Reads `datagen` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn]) -> SqlResult<DatagenTable> {
    let rate = options.take("rows-per-second");
    let rows_per_second = Options::number(rate.as_ref())?.unwrap_or(DEFAULT_ROWS_PER_SECOND).max(1);
    let number = options.take("number-of-rows");
    let number_of_rows = Options::number(number.as_ref())?;
    options.without_effect(&["scan.parallelism"]);
    let fields = columns.iter().map(|column| field(options, column)).collect::<SqlResult<_>>()?;
    Ok(DatagenTable { rows_per_second, number_of_rows, fields })
}

fn field(options: &mut Options<'_>, column: &PhysicalColumn) -> SqlResult<Generator> {
    let PhysicalColumn { name, data_type } = column;
    let mut take = |what: &str| options.take(&format!("fields.{name}.{what}"));
    let kind = take("kind");
    let (start, end) = (take("start"), take("end"));
    let (min, max, length) = (take("min"), take("max"), take("length"));
    let (null_rate, max_past, varies) = (take("null-rate"), take("max-past"), take("var-len"));
    if data_type.kind.is_nested() {
        return Err(SqlDiagnostic::new(options.span(), format!("datagen cannot make up a {}", data_type.kind))
            .with_hint("Declare columns of plain types."));
    }
    if Options::choice(kind.as_ref(), &[("random", false), ("sequence", true)])?.unwrap_or(false) {
        let (start, end) = (Options::number(start.as_ref())?, Options::number(end.as_ref())?);
        let (Some(start), Some(end)) = (start, end) else {
            let message = format!(
                "Could not find required property 'fields.{name}.start' or 'fields.{name}.end' for sequence generator."
            );
            return Err(SqlDiagnostic::new(options.span(), message).with_hint("Give both."));
        };
        return Ok(Generator::Sequence { start, end });
    }
    let varies = Options::boolean(varies)?;
    let length = length_of(column, length.as_ref(), varies, options.span())?;
    Ok(Generator::Random {
        min: Options::number(min.as_ref())?,
        max: Options::number(max.as_ref())?,
        length,
        varies,
        null_rate: Options::number(null_rate.as_ref())?.unwrap_or(0.0),
        max_past_ms: Options::duration(max_past.as_ref())?
            .map_or(0, |past| i64::try_from(past.as_millis()).unwrap_or(i64::MAX)),
    })
}

/// How long texts and bytes are, by Flink's rules.
fn length_of(column: &PhysicalColumn, given: Option<&Spanned<String>>, varies: bool, span: Span) -> SqlResult<usize> {
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
