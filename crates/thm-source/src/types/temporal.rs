//! Dates, times and intervals, as `time.precision.mode` and `interval.handling.mode` have them.
//!
//! | mode | date | time | timestamp |
//! |---|---|---|---|
//! | adaptive | days | ms up to `(3)`, else µs | the same |
//! | adaptive_time_microseconds | days | µs | as adaptive |
//! | microseconds, nanoseconds | days | µs, ns | µs, ns |
//! | connect | days | ms | ms |
//! | isostring | `2024-02-29Z` | `13:14:15Z` | `2024-02-29T13:14:15Z` |
//! | structured | a struct of its parts ([`structured`]) | the same | the same |
//!
//! Times with a zone are texts in UTC in every mode but the last, which also has its own form of intervals.

use std::io::Write as _;

use thm_codec::debezium::{MICROS_PER_DAY, PG_EPOCH_DAYS, PG_EPOCH_MICROS, write_day, write_int, write_time_of_day};

use super::structured::{self, Zone};
use super::{Cell, ColumnType, Done, Fields, ValueError, fixed};
use crate::options::{IntervalMode, TimeMode};

/// What the stream of the recorded connector shows for an infinite date: days since 1970.
const INFINITE_DAYS: [i64; 2] = [2_146_033_979, -2_147_472_691];
/// The JDBC driver's infinite timestamps: milliseconds since 1970.
const INFINITE_MILLIS: [i64; 2] = [9_223_372_036_825_200_000, -9_223_372_036_832_400_000];
const INFINITE_ISO: [&str; 2] = ["+292278994-08-16T23:00:00Z", "-292275055-05-16T23:00:00Z"];
const INFINITE_INTERVALS: [&[u8]; 2] = [b"infinity", b"-infinity"];
const INFINITE_ISO_DATE: [&str; 2] = ["+5877611-06-21Z", "-5877611-06-22Z"];

pub(super) fn date(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let days = i32::from_be_bytes(fixed(bytes, "date")?);
    let since_1970 = i64::from(days) + i64::from(PG_EPOCH_DAYS);
    let infinite = infinite(days == i32::MAX, days == i32::MIN);
    if matches!(kind.modes.time, TimeMode::IsoString | TimeMode::Structured) {
        match (kind.modes.time, infinite) {
            (TimeMode::Structured, _) => structured::write_date(cell.json, since_1970, infinite),
            (_, Some(end)) => {
                let _ = write!(cell.json, "\"{}\"", INFINITE_ISO_DATE[end]);
            }
            (_, None) => {
                cell.json.push(b'"');
                write_day(cell.json, since_1970);
                cell.json.extend_from_slice(b"Z\"");
            }
        }
        if let Some(column) = &mut cell.column {
            column.push_int(if infinite.is_some() { days.into() } else { since_1970 });
        }
        return Ok(());
    }
    match infinite {
        // Infinities stay at the ends of the column.
        Some(end) => cell.ints(INFINITE_DAYS[end], days.into()),
        None => cell.int(since_1970),
    }
    Ok(())
}

/// Index of an infinity's constants.
fn infinite(positive: bool, negative: bool) -> Option<usize> {
    if positive { Some(0) } else { negative.then_some(1) }
}

pub(super) fn time(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let micros = i64::from_be_bytes(fixed(bytes, "time")?);
    let shown = match kind.modes.time {
        TimeMode::IsoString => {
            cell.json.push(b'"');
            write_trimmed_time(cell.json, micros.rem_euclid(MICROS_PER_DAY));
            cell.json.extend_from_slice(b"Z\"");
            if let Some(column) = &mut cell.column {
                column.push_int(micros);
            }
            return Ok(());
        }
        TimeMode::Adaptive if kind.fraction_digits() > 3 => micros,
        TimeMode::Adaptive | TimeMode::Connect => micros / 1_000,
        TimeMode::AdaptiveTimeMicros | TimeMode::Micros => micros,
        TimeMode::Nanos => micros.checked_mul(1_000).ok_or(ValueError("time"))?,
        TimeMode::Structured => {
            let of_day = micros.clamp(0, MICROS_PER_DAY);
            return cell.json(|out| {
                structured::write_time(out, of_day, kind.fraction_digits());
                Ok(())
            });
        }
    };
    cell.int(shown);
    Ok(())
}

/// With as many digits of the fraction as it has.
fn write_trimmed_time(out: &mut Vec<u8>, micros: i64) {
    let fraction = micros % 1_000_000;
    write_time_of_day(out, micros, if fraction == 0 { 0 } else { 6 });
    if fraction != 0 {
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

pub(super) fn timetz(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "timetz");
    let (micros, west) = (fields.i64()?, fields.i32()?);
    fields.end()?;
    if kind.modes.time == TimeMode::Structured {
        let (of_day, east) = (micros.clamp(0, MICROS_PER_DAY), -i64::from(west));
        return cell.json(|out| {
            structured::write_timetz(out, of_day, east, kind.fraction_digits());
            Ok(())
        });
    }
    // The end of the day in UTC is a time of its own, as in PostgreSQL.
    let of_day = match (micros, west) {
        (MICROS_PER_DAY, 0) => MICROS_PER_DAY,
        _ => micros.wrapping_add(i64::from(west) * 1_000_000).rem_euclid(MICROS_PER_DAY),
    };
    cell.plain_text(|out| {
        write_trimmed_time(out, of_day);
        out.push(b'Z');
    });
    Ok(())
}

/// Days since 1970 and microseconds of that day.
fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(MICROS_PER_DAY) + i64::from(PG_EPOCH_DAYS), micros.rem_euclid(MICROS_PER_DAY))
}

/// Microseconds since 1970 as Java counts them: whole seconds stop at the end of 64 bits, the fraction wraps.
fn java_micros(days: i64, of_day: i64) -> i64 {
    let seconds = days.saturating_mul(86_400) + of_day / 1_000_000;
    seconds.saturating_mul(1_000_000).wrapping_add(of_day % 1_000_000)
}

/// Nanoseconds since 1970; `None` where 64 bits do not hold them.
fn nanos(days: i64, of_day: i64) -> Option<i64> {
    days.checked_mul(MICROS_PER_DAY)?.checked_add(of_day)?.checked_mul(1_000)
}

pub(super) fn timestamp(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let micros = i64::from_be_bytes(fixed(bytes, "timestamp")?);
    let infinite = infinite(micros == i64::MAX, micros == i64::MIN);
    let (days, of_day) = split(micros);
    let column_value = if infinite.is_some() { micros } else { java_micros(days, of_day) };
    let millis = match kind.modes.time {
        TimeMode::Adaptive | TimeMode::AdaptiveTimeMicros => kind.fraction_digits() <= 3,
        mode => mode == TimeMode::Connect,
    };
    match (kind.modes.time, infinite) {
        (TimeMode::Structured, _) => {
            structured::write_timestamp(cell.json, (days, of_day), infinite, Zone::None, kind.fraction_digits());
        }
        (TimeMode::IsoString, Some(end)) => {
            let _ = write!(cell.json, "\"{}\"", INFINITE_ISO[end]);
        }
        (TimeMode::IsoString, None) => {
            cell.json.push(b'"');
            write_day(cell.json, days);
            cell.json.push(b'T');
            write_trimmed_time(cell.json, of_day);
            cell.json.extend_from_slice(b"Z\"");
        }
        (_, Some(end)) => write_int(cell.json, if millis { INFINITE_MILLIS[end] } else { micros }),
        (TimeMode::Nanos, None) => match nanos(days, of_day) {
            Some(nanos) => write_int(cell.json, nanos),
            // Debezium shows what it cannot count as null.
            None => cell.json.extend_from_slice(b"null"),
        },
        _ if millis => write_int(cell.json, days * 86_400_000 + of_day / 1_000),
        _ => write_int(cell.json, column_value),
    }
    if let Some(column) = &mut cell.column {
        column.push_int(column_value);
    }
    Ok(())
}

pub(super) fn timestamptz(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let micros = i64::from_be_bytes(fixed(bytes, "timestamptz")?);
    let (days, of_day) = split(micros);
    match micros {
        _ if kind.modes.time == TimeMode::Structured => {
            let infinite = infinite(micros == i64::MAX, micros == i64::MIN);
            structured::write_timestamp(cell.json, (days, of_day), infinite, Zone::Utc, kind.fraction_digits());
        }
        i64::MAX => cell.json.extend_from_slice(b"\"infinity\""),
        i64::MIN => cell.json.extend_from_slice(b"\"-infinity\""),
        _ => {
            cell.json.push(b'"');
            write_day(cell.json, days);
            cell.json.push(b'T');
            write_time_of_day(cell.json, of_day, kind.fraction_digits());
            cell.json.extend_from_slice(b"Z\"");
        }
    }
    if let Some(column) = &mut cell.column {
        let infinite = matches!(micros, i64::MAX | i64::MIN);
        column.push_int(if infinite { micros } else { micros.saturating_add(PG_EPOCH_MICROS) });
    }
    Ok(())
}

/// The parts of an interval, each with its own sign.
pub(super) struct Interval {
    pub(super) years: i32,
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) hours: i64,
    pub(super) minutes: i64,
    pub(super) micros: i64,
    /// Index of an infinity, which PostgreSQL has from release 17 on.
    infinite: Option<usize>,
}

impl Interval {
    /// No time at all.
    pub(super) const ZERO: Self =
        Self { years: 0, months: 0, days: 0, hours: 0, minutes: 0, micros: 0, infinite: None };

    fn parse(bytes: &[u8]) -> Result<Self, ValueError> {
        let mut fields = Fields::new(bytes, "interval");
        let (micros, days, months) = (fields.i64()?, fields.i32()?, fields.i32()?);
        fields.end()?;
        let infinite = infinite(
            (micros, days, months) == (i64::MAX, i32::MAX, i32::MAX),
            (micros, days, months) == (i64::MIN, i32::MIN, i32::MIN),
        );
        let (hour, minute) = (3_600_000_000, 60_000_000);
        let (hours, minutes, micros) = (micros / hour, micros % hour / minute, micros % minute);
        Ok(Self { years: months / 12, months: months % 12, days, hours, minutes, micros, infinite })
    }
}

/// Days of a month on average, as Debezium counts.
const DAYS_PER_MONTH: f64 = 365.25 / 12.0;

pub(super) fn interval(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let parts = Interval::parse(bytes)?;
    if kind.modes.time == TimeMode::Structured {
        if parts.infinite.is_some() {
            return Err(ValueError("interval that time.precision.mode=structured can show"));
        }
        return cell.json(|out| {
            structured::write_interval(out, &parts, kind.fraction_digits());
            Ok(())
        });
    }
    // Summed as the JDBC driver does, whose last bit shows in the result.
    let seconds = (parts.micros / 1_000_000) as f64 + (parts.micros % 1_000_000) as f64 / 1e6;
    match kind.modes.interval {
        IntervalMode::Numeric => {
            let months = parts.years.saturating_mul(12).saturating_add(parts.months);
            let days = f64::from(months) * DAYS_PER_MONTH + f64::from(parts.days);
            let total = ((days * 24.0 + parts.hours as f64) * 60.0 + parts.minutes as f64) * 60.0 + seconds;
            // An infinite one, too long for 64 bits, stops at their ends.
            let micros = (total * 1e6) as i64;
            write_int(cell.json, micros);
            if let Some(column) = &mut cell.column {
                column.push_int(micros);
            }
        }
        IntervalMode::String => cell.plain_text(|out| {
            if let Some(end) = parts.infinite {
                return out.extend_from_slice(INFINITE_INTERVALS[end]);
            }
            let Interval { years, months, days, hours, minutes, micros, .. } = parts;
            let _ = write!(out, "P{years}Y{months}M{days}DT{hours}H{minutes}M");
            write_seconds(out, micros);
            out.push(b'S');
        }),
    }
    Ok(())
}

/// Seconds with sign and as many digits of the fraction as there are.
fn write_seconds(out: &mut Vec<u8>, micros: i64) {
    if micros < 0 {
        out.push(b'-');
    }
    let magnitude = micros.unsigned_abs();
    write_int(out, magnitude / 1_000_000);
    if !magnitude.is_multiple_of(1_000_000) {
        let _ = write!(out, ".{:06}", magnitude % 1_000_000);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// PostgreSQL's text of a day: years before 1 as `0044-03-15 BC`.
fn print_day(out: &mut Vec<u8>, days: i64) -> bool {
    let mut iso = Vec::new();
    write_day(&mut iso, days);
    let text = String::from_utf8_lossy(&iso).into_owned();
    let tail = &text[text.len() - 6..];
    let year: i64 = text[..text.len() - 6].parse().unwrap_or(0);
    let shown = if year < 1 { 1 - year } else { year };
    let _ = write!(out, "{shown:04}{tail}");
    year < 1
}

pub(super) fn print_date(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    match i32::from_be_bytes(fixed(bytes, "date")?) {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        days => {
            if print_day(out, i64::from(days) + i64::from(PG_EPOCH_DAYS)) {
                out.extend_from_slice(b" BC");
            }
        }
    }
    Ok(())
}

pub(super) fn print_time(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    write_trimmed_time(out, i64::from_be_bytes(fixed(bytes, "time")?).max(0));
    Ok(())
}

pub(super) fn print_timetz(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "timetz");
    let (micros, west) = (fields.i64()?, fields.i32()?);
    write_trimmed_time(out, micros.max(0));
    let east = west.saturating_neg();
    let _ = write!(out, "{}{:02}", if east < 0 { '-' } else { '+' }, east.abs() / 3600);
    if east % 3600 != 0 {
        let _ = write!(out, ":{:02}", east.abs() / 60 % 60);
    }
    if east % 60 != 0 {
        let _ = write!(out, ":{:02}", east.abs() % 60);
    }
    Ok(())
}

pub(super) fn print_timestamp(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let micros = i64::from_be_bytes(fixed(bytes, "timestamp")?);
    if matches!(micros, i64::MAX | i64::MIN) {
        out.extend_from_slice(if micros > 0 { b"infinity" } else { b"-infinity" });
        return Ok(());
    }
    let (days, of_day) = split(micros);
    let before_christ = print_day(out, days);
    out.push(b' ');
    write_trimmed_time(out, of_day);
    // Our sessions are in UTC.
    if kind.rule.oid == super::rules::TIMESTAMPTZ {
        out.extend_from_slice(b"+00");
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

/// `1 year 2 mons 3 days 04:05:06.789`, PostgreSQL's default style.
pub(super) fn print_interval(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let parts = Interval::parse(bytes)?;
    if let Some(end) = parts.infinite {
        out.extend_from_slice(INFINITE_INTERVALS[end]);
        return Ok(());
    }
    let (mut first, mut negative) = (true, false);
    for (count, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if count != 0 {
            let plus = if negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            let _ = write!(out, "{}{plus}{count} {unit}{plural}", if first { "" } else { " " });
            (first, negative) = (false, count < 0);
        }
    }
    let Interval { hours, minutes, micros, .. } = parts;
    if hours != 0 || minutes != 0 || micros != 0 || first {
        let minus = hours < 0 || minutes < 0 || micros < 0;
        let sign = if minus {
            "-"
        } else if negative {
            "+"
        } else {
            ""
        };
        let _ = write!(out, "{}{sign}{:02}:{:02}:", if first { "" } else { " " }, hours.abs(), minutes.abs());
        if micros.abs() < 10_000_000 {
            out.push(b'0');
        }
        write_seconds(out, micros.abs());
    }
    Ok(())
}
