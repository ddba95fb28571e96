//! Times from and to texts and numbers, and the time now.

use arrow::datatypes::Int64Type;

use super::bind::{Bound, maybe, never, strict, take};
use super::java_time::{Pattern, Shown};
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
struct Patterns<'a> {
    call: &'a Call<'a>,
    argument: Option<usize>,
    kept: Option<(&'a str, Result<Pattern, String>)>,
}

impl<'a> Patterns<'a> {
    const fn new(call: &'a Call<'a>, argument: usize) -> Self {
        Self { call, argument: if call.len() > argument { Some(argument) } else { None }, kept: None }
    }

    fn of(&mut self, row: usize) -> Result<Option<&Pattern>, EvalError> {
        let text = self.argument.map_or(STANDARD, |argument| self.call.text(argument, row));
        if self.kept.as_ref().is_none_or(|(known, _)| *known != text) {
            self.kept = Some((text, Pattern::new(text)));
        }
        match &self.kept {
            Some((_, Ok(pattern))) => Ok(Some(pattern)),
            Some((_, Err(message))) => self.call.failed(row, || message.clone()),
            None => Ok(None),
        }
    }
}

/// What the session's clocks show at a moment.
fn local(moment: Moment, zone: Zone) -> Moment {
    Moment { seconds: moment.seconds + zone.offset_at(moment.seconds), nanos: moment.nanos }
}

fn zone_name(zone: Zone) -> String {
    match zone {
        Zone::Utc => "UTC".to_owned(),
        Zone::Named(zone) => zone.name().to_owned(),
        Zone::Fixed(offset) => {
            format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3_600, offset.abs() / 60 % 60)
        }
    }
}

fn date_format(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1);
    let standard = Pattern::new(STANDARD).map_err(|message| EvalError { message, row: 0 })?;
    let zone = call.input.zone;
    let name = zone_name(zone);
    call.texts(|row, out| {
        let shown = match call.kind(0) {
            LogicalType::TimestampLtz(_) => {
                let moment = call.moment(0, row);
                Shown { local: local(moment, zone), zone: Some((zone.offset_at(moment.seconds), &name)) }
            }
            LogicalType::Timestamp(_) => Shown { local: call.moment(0, row), zone: None },
            _ => match standard.read(call.text(0, row), false) {
                Some((read, _)) => Shown { local: read, zone: Some((zone.offset_at(read.seconds), &name)) },
                None => return Ok(None),
            },
        };
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        match pattern.write(out, &shown) {
            Ok(()) => Ok(Some(())),
            Err(message) => call.failed(row, || message),
        }
    })
}

/// Without a pattern: a date, and behind a blank a time with up to nine digits of a second.
fn to_timestamp(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1);
    moments(call, |row| {
        let text = call.text(0, row);
        if call.len() == 1 {
            return Ok(plain_timestamp(text));
        }
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
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

fn to_date(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1);
    moments(call, |row| {
        if call.len() == 1 {
            return Ok(time::parse_date(call.text(0, row)).map(Moment::midnight));
        }
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        Ok(pattern.read(call.text(0, row), false).map(|(moment, _)| moment))
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
    let mut patterns = Patterns::new(call, 1);
    call.numbers::<Int64Type>(|row| {
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        let read = pattern.read(call.text(0, row), false);
        Ok(Some(read.map_or(i64::MIN, |(moment, offset)| match offset {
            Some(offset) => moment.seconds - offset,
            None => call.input.zone.to_utc(moment.seconds),
        })))
    })
}

fn from_unixtime(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut patterns = Patterns::new(call, 1);
    let zone = call.input.zone;
    let name = zone_name(zone);
    call.texts(|row, out| {
        let moment = Moment { seconds: call.long(0, row), nanos: 0 };
        let Some(pattern) = patterns.of(row)? else { return Ok(None) };
        let shown = Shown { local: local(moment, zone), zone: Some((zone.offset_at(moment.seconds), &name)) };
        match pattern.write(out, &shown) {
            Ok(()) => Ok(Some(())),
            Err(message) => call.failed(row, || message),
        }
    })
}

/// A zone that is not known is UTC, as in Java.
fn convert_tz(call: &Call<'_>) -> Result<Vector, EvalError> {
    let standard = Pattern::new(STANDARD).map_err(|message| EvalError { message, row: 0 })?;
    call.texts(|row, out| {
        let Some((read, _)) = standard.read(call.text(0, row), false) else { return Ok(None) };
        let zone = |argument: usize| Zone::parse(call.text(argument, row)).unwrap_or_default();
        let utc = Moment { seconds: zone(1).to_utc(read.seconds), nanos: 0 };
        time::write_timestamp(out, local(utc, zone(2)), ' ', 0);
        Ok(Some(()))
    })
}
