//! Units of time: EXTRACT, FLOOR and CEIL to a unit, differences, and intervals added. The unit is a constant text, the
//! first argument, which the analyzer puts there.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    Date32Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};

use super::bind::{Bound, strict};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::time::{Moment, civil_from_days, days_from_civil};
use crate::types::{LogicalType, unit_for};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("EXTRACT", "Write EXTRACT(YEAR FROM time).", |a| strict(a, LogicalType::BigInt), extract),
    Function::new("FLOOR TO", "Write FLOOR(time TO HOUR).", same_as_second, |call| to_unit(call, false)),
    Function::new("CEIL TO", "Write CEIL(time TO HOUR).", same_as_second, |call| to_unit(call, true)),
    Function::new(
        "TIMESTAMPDIFF",
        "Write TIMESTAMPDIFF(SECOND, earlier, later).",
        |a| strict(a, LogicalType::Int),
        |call| {
            call.numbers::<Int32Type>(|row| {
                let (from, to) = (point(call, 1, row), point(call, 2, row));
                // As Java cuts a long to an int.
                Ok(Some(difference(call.text(0, row), from, to) as i32))
            })
        },
    ),
    Function::new(
        "TIMESTAMPDIFF NANOSECOND",
        "Write TIMESTAMPDIFF(NANOSECOND, earlier, later).",
        |a| strict(a, LogicalType::BigInt),
        |call| {
            call.numbers::<Int64Type>(|row| {
                Ok(Some(difference(call.text(0, row), point(call, 1, row), point(call, 2, row))))
            })
        },
    ),
    Function::new(
        "MINUS TIMES",
        "Write (later - earlier) DAY.",
        |a| strict(a, LogicalType::IntervalSecond),
        |call| call.numbers::<Int64Type>(|row| Ok(Some(millis_between(point(call, 1, row), point(call, 0, row))))),
    ),
    Function::new(
        "MINUS TIMES MONTH",
        "Write (later - earlier) MONTH.",
        |a| strict(a, LogicalType::IntervalMonth),
        |call| {
            call.numbers::<Int32Type>(|row| {
                Ok(i32::try_from(months_between(point(call, 1, row), point(call, 0, row))).ok())
            })
        },
    ),
    // time, interval; the result's type may have a time where the first has none.
    Function::new("PLUS INTERVAL", "Write time + INTERVAL '1' DAY.", |_| None, plus),
];

fn same_as_second(arguments: Vec<Expr>) -> Bound {
    let kind = arguments.get(1)?.data_type.kind;
    strict(arguments, kind)
}

/// A column of times in the result's type.
pub(super) fn moments(
    call: &Call<'_>,
    mut compute: impl FnMut(usize) -> Result<Option<Moment>, EvalError>,
) -> Result<Vector, EvalError> {
    let mut given = |row: usize| if call.any_null(row) { Ok(None) } else { compute(row) };
    let array = match call.to {
        LogicalType::Date => built::<Date32Type>(call, |row| Ok(given(row)?.and_then(Moment::day)))?,
        LogicalType::Time(_) => built::<Time32MillisecondType>(call, |row| Ok(given(row)?.map(Moment::millis_of_day)))?,
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            let unit = unit_for(p);
            let wide = |row: usize| Ok(given(row)?.and_then(|moment| moment.to(p, unit)));
            match unit {
                TimeUnit::Microsecond => built::<TimestampMicrosecondType>(call, wide)?,
                TimeUnit::Nanosecond => built::<TimestampNanosecondType>(call, wide)?,
                _ => built::<TimestampMillisecondType>(call, wide)?,
            }
        }
        other => return Err(EvalError { message: format!("{other} is no time"), row: 0 }),
    };
    Ok(Vector { array, scalar: call.scalar })
}

fn built<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    mut compute: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let mut out = PrimitiveArray::<T>::builder(call.count);
    for row in 0..call.count {
        out.append_option(compute(row)?);
    }
    Ok(Arc::new(out.finish().with_data_type(call.to.to_arrow())))
}

/// A DATE, TIME or TIMESTAMP; a TIMESTAMP_LTZ as the session's clocks show it.
fn point(call: &Call<'_>, argument: usize, row: usize) -> Moment {
    match call.kind(argument) {
        LogicalType::Time(_) => {
            let value = &call.values[argument];
            let millis = value.array.as_primitive::<Time32MillisecondType>().value(value.at(row));
            Moment::of(i64::from(millis), TimeUnit::Millisecond)
        }
        LogicalType::TimestampLtz(_) => {
            let moment = call.moment(argument, row);
            let offset = call.input.zone.calendar_offset_at(moment.seconds);
            Moment { seconds: moment.seconds + offset, nanos: moment.nanos }
        }
        _ => call.moment(argument, row),
    }
}

fn extract(call: &Call<'_>) -> Result<Vector, EvalError> {
    let kind = call.kind(1);
    call.numbers::<Int64Type>(|row| {
        let unit = call.text(0, row);
        Ok(match kind {
            LogicalType::IntervalMonth => of_months(unit, i64::from(call.int(1, row))),
            LogicalType::IntervalSecond => of_millis(unit, call.long(1, row)),
            // Flink reads a DATE's number of days as milliseconds here.
            LogicalType::Date if matches!(unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND") => {
                of_millis(unit, point(call, 1, row).seconds / 86_400)
            }
            _ => of_moment(unit, point(call, 1, row)),
        })
    })
}

fn of_months(unit: &str, months: i64) -> Option<i64> {
    match unit {
        "YEAR" => Some(months / 12),
        "QUARTER" => Some(months % 12 / 3 + 1),
        "MONTH" => Some(months % 12),
        "DECADE" => Some(months / 120),
        "CENTURY" => Some(months / 1_200),
        "MILLENNIUM" => Some(months / 12_000),
        _ => None,
    }
}

fn of_millis(unit: &str, millis: i64) -> Option<i64> {
    match unit {
        "DAY" => Some(millis / 86_400_000),
        "HOUR" => Some(millis / 3_600_000 % 24),
        "MINUTE" => Some(millis / 60_000 % 60),
        "SECOND" => Some(millis / 1_000 % 60),
        "MILLISECOND" => Some(millis % 1_000),
        "EPOCH" => Some(millis / 1_000),
        _ => None,
    }
}

/// ISO weeks; DOW counts from Sunday, ISODOW from Monday, both from 1.
fn of_moment(unit: &str, at: Moment) -> Option<i64> {
    let days = at.seconds.div_euclid(86_400);
    let second = at.seconds.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    let whole = |value: i64, of: i64| if value > 0 { (value + of - 1) / of } else { (value - of + 1) / of };
    Some(match unit {
        "YEAR" => year,
        "QUARTER" => i64::from((month - 1) / 3 + 1),
        "MONTH" => i64::from(month),
        "DAY" => i64::from(day),
        "DOY" => days - i64::from(days_from_civil(year, 1, 1)?) + 1,
        "DOW" => (days + 4).rem_euclid(7) + 1,
        "ISODOW" => (days + 3).rem_euclid(7) + 1,
        "WEEK" => iso_week(days).1,
        "ISOYEAR" => iso_week(days).0,
        "DECADE" => year.div_euclid(10),
        "CENTURY" => whole(year, 100),
        "MILLENNIUM" => whole(year, 1_000),
        "HOUR" => second / 3_600,
        "MINUTE" => second / 60 % 60,
        "SECOND" => second % 60,
        "MILLISECOND" => i64::from(at.nanos / 1_000_000),
        "MICROSECOND" => i64::from(at.nanos / 1_000),
        "NANOSECOND" => i64::from(at.nanos),
        "EPOCH" => at.seconds,
        _ => return None,
    })
}

fn iso_week(days: i64) -> (i64, i64) {
    // The week's Thursday says which year it belongs to.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, ..) = civil_from_days(thursday);
    let first = days_from_civil(year, 1, 1).map_or(thursday, i64::from);
    (year, (thursday - first) / 7 + 1)
}

/// The start of the unit that a moment lies in.
fn floor(unit: &str, at: Moment) -> Option<Moment> {
    let days = at.seconds.div_euclid(86_400);
    let (year, month, _) = civil_from_days(days);
    let cut = |size: i64| Moment { seconds: at.seconds.div_euclid(size) * size, nanos: 0 };
    let date = |year: i64, month: u32| days_from_civil(year, month, 1).map(Moment::midnight);
    match unit {
        "NANOSECOND" => Some(at),
        "MICROSECOND" => Some(Moment { nanos: at.nanos / 1_000 * 1_000, ..at }),
        "MILLISECOND" => Some(Moment { nanos: at.nanos / 1_000_000 * 1_000_000, ..at }),
        "SECOND" => Some(cut(1)),
        "MINUTE" => Some(cut(60)),
        "HOUR" => Some(cut(3_600)),
        "DAY" => Some(cut(86_400)),
        "WEEK" => Some(Moment { seconds: (days - (days + 4).rem_euclid(7)) * 86_400, nanos: 0 }),
        "MONTH" => date(year, month),
        "QUARTER" => date(year, (month - 1) / 3 * 3 + 1),
        "YEAR" => date(year, 1),
        "DECADE" => date(year.div_euclid(10) * 10, 1),
        "CENTURY" => date((year - 1).div_euclid(100) * 100 + 1, 1),
        "MILLENNIUM" => date((year - 1).div_euclid(1_000) * 1_000 + 1, 1),
        _ => None,
    }
}

/// The start of the unit behind that of a moment.
fn next(unit: &str, start: Moment) -> Option<Moment> {
    let later = |seconds: i64| Some(Moment { seconds: start.seconds + seconds, ..start });
    let nanos = |more: u32| {
        let sum = start.nanos + more;
        Some(Moment { seconds: start.seconds + i64::from(sum / 1_000_000_000), nanos: sum % 1_000_000_000 })
    };
    match unit {
        "MICROSECOND" => nanos(1_000),
        "MILLISECOND" => nanos(1_000_000),
        "SECOND" => later(1),
        "MINUTE" => later(60),
        "HOUR" => later(3_600),
        "DAY" => later(86_400),
        "WEEK" => later(7 * 86_400),
        "MONTH" => add_months(start, 1),
        "QUARTER" => add_months(start, 3),
        "YEAR" => add_months(start, 12),
        "DECADE" => add_months(start, 120),
        "CENTURY" => add_months(start, 1_200),
        "MILLENNIUM" => add_months(start, 12_000),
        _ => Some(start),
    }
}

fn to_unit(call: &Call<'_>, up: bool) -> Result<Vector, EvalError> {
    let zone = call.input.zone;
    let zoned = matches!(call.to, LogicalType::TimestampLtz(_));
    moments(call, |row| {
        let (unit, mut at) = (call.text(0, row), point(call, 1, row));
        // CEIL is Calcite's: days and longer units look at the date alone, and some always go on to the next.
        if up && matches!(unit, "WEEK" | "MONTH" | "QUARTER" | "YEAR") {
            at = Moment { seconds: at.seconds.div_euclid(86_400) * 86_400, nanos: 0 };
        }
        let always = match unit {
            "DAY" => call.kind(1) == LogicalType::Date,
            unit => matches!(unit, "DECADE" | "CENTURY" | "MILLENNIUM"),
        };
        let start = floor(unit, at);
        let found = if up && (always || start != Some(at)) { start.and_then(|start| next(unit, start)) } else { start };
        // As in the real one, the way back is by the offset of the value, not of the unit's beginning.
        let offset = if zoned { zone.calendar_offset_at(call.moment(1, row).seconds) } else { 0 };
        Ok(found.map(|local| Moment { seconds: local.seconds - offset, nanos: local.nanos }))
    })
}

/// The same day of a later month, or its last day.
fn add_months(at: Moment, months: i64) -> Option<Moment> {
    let (year, month, day) = civil_from_days(at.seconds.div_euclid(86_400));
    let all = year.checked_mul(12)?.checked_add(i64::from(month) - 1)?.checked_add(months)?;
    let (year, month) = (all.div_euclid(12), u32::try_from(all.rem_euclid(12)).ok()? + 1);
    let days = (28..=day.max(28)).rev().find_map(|last| days_from_civil(year, month, last.min(day)))?;
    Some(Moment { seconds: i64::from(days) * 86_400 + at.seconds.rem_euclid(86_400), nanos: at.nanos })
}

fn plus(call: &Call<'_>) -> Result<Vector, EvalError> {
    let zone = call.input.zone;
    let zoned = matches!(call.to, LogicalType::TimestampLtz(_));
    moments(call, |row| {
        if call.kind(1) == LogicalType::IntervalMonth {
            let months = i64::from(call.int(1, row));
            let local = add_months(point(call, 0, row), months);
            let utc = |local: Moment| Moment { seconds: zone.to_utc(local.seconds), nanos: local.nanos };
            return Ok(if zoned { local.map(utc) } else { local });
        }
        let at = if zoned { call.moment(0, row) } else { point(call, 0, row) };
        let millis = call.long(1, row);
        // Parts of days do not touch a DATE.
        Ok(add_millis(at, if call.to == LogicalType::Date { millis / 86_400_000 * 86_400_000 } else { millis }))
    })
}

fn add_millis(at: Moment, millis: i64) -> Option<Moment> {
    let more = Moment::of(millis, TimeUnit::Millisecond);
    let nanos = at.nanos + more.nanos;
    let seconds = at.seconds.checked_add(more.seconds)?.checked_add(i64::from(nanos / 1_000_000_000))?;
    Some(Moment { seconds, nanos: nanos % 1_000_000_000 })
}

fn millis_between(from: Moment, to: Moment) -> i64 {
    let millis = |at: Moment| at.seconds.wrapping_mul(1_000).wrapping_add(i64::from(at.nanos / 1_000_000));
    millis(to).wrapping_sub(millis(from))
}

/// Whole months between two moments, the last day of a shorter month counting as the same day.
fn months_between(from: Moment, to: Moment) -> i64 {
    let of_day = |at: Moment| (at.seconds.rem_euclid(86_400), at.nanos / 1_000_000);
    let day = |at: Moment| Moment { seconds: at.seconds.div_euclid(86_400) * 86_400, nanos: 0 };
    let (first, last) = (day(from), day(to));
    let months = if last < first { -months_up(last, first) } else { months_up(first, last) };
    let same_day = add_months(first, months) == Some(last);
    // Calcite's rule, also backwards.
    if same_day && of_day(to) < of_day(from) { months - 1 } else { months }
}

/// Most months that can be added to an earlier day without passing a later one.
fn months_up(first: Moment, last: Moment) -> i64 {
    let month = |at: Moment| {
        let (year, month, _) = civil_from_days(at.seconds.div_euclid(86_400));
        year * 12 + i64::from(month)
    };
    let months = month(last) - month(first);
    if add_months(first, months).is_some_and(|reached| reached > last) { months - 1 } else { months }
}

/// Whole units between two moments, cut towards zero.
fn difference(unit: &str, from: Moment, to: Moment) -> i64 {
    let millis = millis_between(from, to);
    match unit {
        "MILLISECOND" => millis,
        "MICROSECOND" | "FRAC_SECOND" => millis.wrapping_mul(1_000),
        "NANOSECOND" => millis.wrapping_mul(1_000_000),
        "SECOND" => millis / 1_000,
        "MINUTE" => millis / 60_000,
        "HOUR" => millis / 3_600_000,
        "DAY" => millis / 86_400_000,
        "WEEK" => millis / (7 * 86_400_000),
        "MONTH" => months_between(from, to),
        "QUARTER" => months_between(from, to) / 3,
        _ => months_between(from, to) / 12,
    }
}
