//! Times from and to texts and numbers, and the time now.

use arrow::datatypes::Int64Type;

use super::bind::{Bound, maybe, never, strict, take};
use super::java_time::Pattern;
use super::simple_date::SimplePattern;
use super::time_units::moments;
use super::{Call, Changes, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;
use crate::types::time::{self, Moment, Width};
use crate::types::zone::Zone;

/// The pattern of times without one.
const STANDARD: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "DATE_FORMAT",
        "Write DATE_FORMAT(timestamp, 'yyyy-MM-dd HH:mm:ss.SSS').",
        |a| maybe(take(a, &["st", "tt"])?, LogicalType::STRING),
        date_format,
    ),
    Function::new(
        "TO_TIMESTAMP",
        "Write TO_TIMESTAMP(text) or TO_TIMESTAMP(text, 'yyyy-MM-dd HH:mm:ss').",
        |a| maybe(take(a, &["t", "tt"])?, LogicalType::Timestamp(3)),
        to_timestamp,
    ),
    Function::new(
        "TO_DATE",
        "Write TO_DATE(text) or TO_DATE(text, 'yyyy-MM-dd').",
        |a| maybe(take(a, &["t", "tt"])?, LogicalType::Date),
        to_date,
    ),
    Function::new(
        "TO_TIMESTAMP_LTZ",
        "Write TO_TIMESTAMP_LTZ(milliseconds, 3) or TO_TIMESTAMP_LTZ(seconds, 0).",
        bind_to_ltz,
        to_ltz,
    ),
    Function::new(
        "UNIX_TIMESTAMP",
        "Write UNIX_TIMESTAMP(text) or UNIX_TIMESTAMP(text, 'yyyy-MM-dd HH:mm:ss').",
        |a| strict(take(a, &["t", "tt"])?, LogicalType::BigInt),
        unix_timestamp,
    ),
    Function::new(
        "UNIX_TIMESTAMP NOW",
        "Write UNIX_TIMESTAMP().",
        |a| never(take(a, &[""])?, LogicalType::BigInt),
        |call| call.numbers::<Int64Type>(|_| Ok(Some(call.input.now().seconds))),
    )
    .changing(Changes::PerBatch),
    Function::new(
        "FROM_UNIXTIME",
        "Write FROM_UNIXTIME(seconds) or FROM_UNIXTIME(seconds, 'yyyy-MM-dd HH:mm:ss').",
        |a| maybe(take(a, &["l", "lt"])?, LogicalType::STRING),
        from_unixtime,
    ),
    Function::new(
        "CONVERT_TZ",
        "Write CONVERT_TZ('2020-01-01 00:00:00', 'UTC', 'Asia/Riyadh').",
        |a| maybe(take(a, &["ttt"])?, LogicalType::STRING),
        convert_tz,
    ),
    now("CURRENT_TIMESTAMP", "Write CURRENT_TIMESTAMP.", |a| never(take(a, &[""])?, LogicalType::TimestampLtz(3))),
    now("NOW", "Write NOW().", |a| never(take(a, &[""])?, LogicalType::TimestampLtz(3))),
    now("CURRENT_ROW_TIMESTAMP", "Write CURRENT_ROW_TIMESTAMP().", |a| {
        never(take(a, &[""])?, LogicalType::TimestampLtz(3))
    }),
    now("PROCTIME", "Write PROCTIME().", |a| never(take(a, &[""])?, LogicalType::TimestampLtz(3))),
    now("LOCALTIMESTAMP", "Write LOCALTIMESTAMP.", |a| never(take(a, &[""])?, LogicalType::Timestamp(3))),
    now("CURRENT_DATE", "Write CURRENT_DATE.", |a| never(take(a, &[""])?, LogicalType::Date)),
    now("CURRENT_TIME", "Write CURRENT_TIME.", |a| never(take(a, &[""])?, LogicalType::Time(0))),
    now("LOCALTIME", "Write LOCALTIME.", |a| never(take(a, &[""])?, LogicalType::Time(0))),
];

const fn now(name: &'static str, usage: &'static str, bind: super::Bind) -> Function {
    Function::new(name, usage, bind, current).changing(Changes::PerBatch)
}

/// The time at which the batch is evaluated; what clocks show is the session's zone's.
fn current(call: &Call<'_>) -> Result<Vector, EvalError> {
    let now = call.input.now();
    let local = Moment { seconds: now.seconds + call.input.zone.offset_at(now.seconds), nanos: now.nanos };
    let shown = if matches!(call.to, LogicalType::TimestampLtz(_)) { now } else { local };
    moments(call, |_| Ok(Some(shown)))
}

/// One pattern per batch if it is a constant; what is wrong with it is said where it counts.
struct Patterns<'a, T> {
    call: &'a Call<'a>,
    argument: Option<usize>,
    new: fn(&str) -> Result<T, String>,
    kept: Option<(&'a str, Result<T, String>)>,
}

impl<'a, T> Patterns<'a, T> {
    fn new(call: &'a Call<'a>, argument: usize, new: fn(&str) -> Result<T, String>) -> Self {
        Self { call, argument: if call.len() > argument { Some(argument) } else { None }, new, kept: None }
    }

    fn read(&mut self, row: usize) -> Result<&T, &String> {
        let text = self.argument.map_or(STANDARD, |argument| self.call.text(argument, row));
        if self.kept.as_ref().is_none_or(|(known, _)| *known != text) {
            self.kept = Some((text, (self.new)(text)));
        }
        self.kept.as_ref().map(|(_, pattern)| pattern.as_ref()).expect("it has just been put there")
    }

    fn of(&mut self, row: usize) -> Result<Option<&T>, EvalError> {
        let call = self.call;
        match self.read(row) {
            Ok(pattern) => Ok(Some(pattern)),
            Err(message) => call.failed(row, || message.clone()),
        }
    }
}

/// What the session's clocks show at a moment.
fn local(moment: Moment, zone: Zone) -> Moment {
    Moment { seconds: moment.seconds + zone.offset_at(moment.seconds), nanos: moment.nanos }
}

fn date_format(call: &Call<'_>) -> Result<Vector, EvalError> {
    if call.kind(0).is_text() {
        return text_format(call);
    }
    let mut patterns = Patterns::new(call, 1, Pattern::new);
    let zone = call.input.zone;
    call.texts(|row, out| {
        let moment = call.moment(0, row);
        let shown = match call.kind(0) {
            LogicalType::TimestampLtz(_) => local(moment, zone),
            _ => moment,
        };
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        match pattern.write(out, shown) {
            Ok(()) => Ok(Some(())),
            Err(message) => call.failed(row, || message),
        }
    })
}

/// A text is read and written by the older patterns.
fn text_format(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1, SimplePattern::new);
    let standard = SimplePattern::new(STANDARD).map_err(|message| EvalError { message, row: 0 })?;
    let zone = call.input.zone;
    call.texts(|row, out| {
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        let Some(seconds) = standard.read(call.text(0, row), zone) else { return Ok(None) };
        pattern.write(out, seconds, zone);
        Ok(Some(()))
    })
}

/// Without a pattern: a date, and behind a blank a time with up to nine digits of a second. A pattern that is none gives
/// NULL.
fn to_timestamp(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1, Pattern::new);
    moments(call, |row| {
        let text = call.text(0, row);
        if call.len() == 1 {
            return Ok(plain_timestamp(text));
        }
        let Ok(pattern) = patterns.read(row) else { return Ok(None) };
        // Flink reads a text that does not fit the pattern as if there were none.
        Ok(pattern.read(text, true).map(|(moment, _)| moment).or_else(|| plain_timestamp(text.trim())))
    })
}

/// `2020-2-29 12:34:56.789`, or the day alone.
fn plain_timestamp(text: &str) -> Option<Moment> {
    let date =
        || Some(text).filter(|text| text.matches('-').count() == 2 && text.len() >= 8).and_then(time::parse_date);
    let whole = time::parse_timestamp(text, b" ", Width::Any);
    whole.or_else(|| date().filter(|_| !text.contains([' ', 'T'])).map(Moment::midnight))
}

/// What a pattern cannot read is NULL: the real one shows a day of the year 1705471.
fn to_date(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1, SimplePattern::new);
    moments(call, |row| {
        if call.len() == 1 {
            return Ok(time::parse_date(call.text(0, row)).map(Moment::midnight));
        }
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        let seconds = pattern.read(call.text(0, row), Zone::Utc);
        let days = seconds.and_then(|seconds| i32::try_from(seconds.div_euclid(86_400)).ok());
        Ok(days.map(Moment::midnight))
    })
}

fn bind_to_ltz(arguments: Vec<Expr>) -> Bound {
    let mut arguments = take(arguments, &["ni"])?;
    // Digits after the point are cut, but a DOUBLE's count.
    if !arguments[0].data_type.kind.is_approximate() {
        let number = arguments.remove(0).cast(LogicalType::BigInt);
        arguments.insert(0, number);
    } else {
        let number = arguments.remove(0).cast(LogicalType::Double);
        arguments.insert(0, number);
    }
    maybe(arguments, LogicalType::TimestampLtz(3))
}

fn to_ltz(call: &Call<'_>) -> Result<Vector, EvalError> {
    let exact = call.kind(0) == LogicalType::BigInt;
    moments(call, |row| {
        let millis = match (call.int(1, row), exact) {
            (0, true) => call.long(0, row).checked_mul(1_000),
            (3, true) => Some(call.long(0, row)),
            (0, false) => Some((call.double(0, row) * 1_000.0) as i64),
            (3, false) => Some(call.double(0, row) as i64),
            (unit, _) => {
                return call.failed(row, || {
                    format!(
                        "The precision value '{unit}' for function TO_TIMESTAMP_LTZ(numeric, precision) is unsupported, the supported value is '0' for second or '3' for millisecond."
                    )
                });
            }
        };
        // From the year 1 to the year 9999.
        let known = millis.filter(|millis| (-62_135_596_800_000..253_402_300_800_000).contains(millis));
        Ok(known.map(|millis| Moment::of(millis, arrow::datatypes::TimeUnit::Millisecond)))
    })
}

/// What cannot be read is the least BIGINT, as in Flink.
fn unix_timestamp(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1, SimplePattern::new);
    call.numbers::<Int64Type>(|row| {
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        Ok(Some(pattern.read(call.text(0, row), call.input.zone).unwrap_or(i64::MIN)))
    })
}

fn from_unixtime(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1, SimplePattern::new);
    call.texts(|row, out| {
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        pattern.write(out, call.long(0, row), call.input.zone);
        Ok(Some(()))
    })
}

/// A zone that is not known is UTC, as in Java.
fn convert_tz(call: &Call<'_>) -> Result<Vector, EvalError> {
    let standard = SimplePattern::new(STANDARD).map_err(|message| EvalError { message, row: 0 })?;
    call.texts(|row, out| {
        let zone = |argument: usize| Zone::parse_as_time_zone(call.text(argument, row)).unwrap_or_default();
        let Some(seconds) = standard.read(call.text(0, row), zone(1)) else { return Ok(None) };
        standard.write(out, seconds, zone(2));
        Ok(Some(()))
    })
}
