//! Dates, times and intervals as structs of their parts: `time.precision.mode = structured`.
//!
//! ```text
//!   date       {"year":2024,"month":2,"day":29,"specialValue":null}
//!   time       {"hour":13,"minute":14,"second":15,"nanos":678901000,"precision":6}
//!   timestamp  both in one; with a zone also "offsetSeconds":0,"zoneId":"Z", for PostgreSQL keeps none
//!   timetz     with "offsetSeconds" as the value has it, not in UTC
//!   interval   {"years":1,"months":2,"days":3,"hours":4,"minutes":5,"seconds":6,"nanos":789000000,"precision":6}
//! ```
//! An infinite date or timestamp has nulls for parts and `POSITIVE_INFINITY` or `NEGATIVE_INFINITY` as its special value.
//! The parts of an interval each have their own sign.

use thm_codec::debezium::{Schema, civil, write_int};

use super::temporal::Interval;

const INFINITIES: [&[u8]; 2] = [b"\"POSITIVE_INFINITY\"", b"\"NEGATIVE_INFINITY\""];

/// `"name":value` pairs between braces, one after the other.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Parts<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out }
    }

    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn int(&mut self, name: &str, value: i64) {
        self.name(name);
        write_int(self.out, value);
    }

    fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    fn day(&mut self, days: i64) {
        let (year, month, day) = civil(days);
        self.int("year", year);
        self.int("month", month.cast_signed());
        self.int("day", day.cast_signed());
    }

    fn time(&mut self, micros: i64) {
        let seconds = micros / 1_000_000;
        self.int("hour", seconds / 3600);
        self.int("minute", seconds / 60 % 60);
        self.int("second", seconds % 60);
        self.int("nanos", micros % 1_000_000 * 1_000);
    }

    fn nulls(&mut self, names: &[&str]) {
        for name in names {
            self.raw(name, b"null");
        }
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// A date; `infinite` is the index of an infinity.
pub(super) fn write_date(out: &mut Vec<u8>, days: i64, infinite: Option<usize>) {
    let mut parts = Parts::open(out);
    match infinite {
        None => parts.day(days),
        Some(_) => parts.nulls(&["year", "month", "day"]),
    }
    parts.raw("specialValue", infinite.map_or(b"null", |end| INFINITIES[end]));
    parts.close();
}

/// A time of day; the end of the day is hour 24.
pub(super) fn write_time(out: &mut Vec<u8>, micros: i64, digits: usize) {
    let mut parts = Parts::open(out);
    parts.time(micros);
    parts.int("precision", digits as i64);
    parts.close();
}

/// A time of day with its own offset.
pub(super) fn write_timetz(out: &mut Vec<u8>, micros: i64, offset_seconds: i64, digits: usize) {
    let mut parts = Parts::open(out);
    parts.time(micros);
    parts.int("offsetSeconds", offset_seconds);
    parts.int("precision", digits as i64);
    parts.close();
}

/// What a timestamp says of its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// The type has none.
    None,
    /// UTC.
    Utc,
    /// UTC without a name, as Debezium makes it where it does not know the value.
    Nameless,
}

/// A timestamp of a day and the microseconds in it.
pub(super) fn write_timestamp(
    out: &mut Vec<u8>,
    (days, of_day): (i64, i64),
    infinite: Option<usize>,
    zone: Zone,
    digits: usize,
) {
    let mut parts = Parts::open(out);
    match infinite {
        None => {
            parts.day(days);
            parts.time(of_day);
        }
        Some(_) => parts.nulls(&["year", "month", "day", "hour", "minute", "second", "nanos"]),
    }
    match zone {
        Zone::None => {}
        Zone::Utc | Zone::Nameless if infinite.is_some() => parts.nulls(&["offsetSeconds", "zoneId"]),
        Zone::Utc | Zone::Nameless => {
            parts.int("offsetSeconds", 0);
            parts.raw("zoneId", if zone == Zone::Utc { b"\"Z\"" } else { b"null" });
        }
    }
    parts.raw("specialValue", infinite.map_or(b"null", |end| INFINITIES[end]));
    parts.int("precision", digits as i64);
    parts.close();
}

/// An interval.
pub(super) fn write_interval(out: &mut Vec<u8>, interval: &Interval, digits: usize) {
    let mut parts = Parts::open(out);
    parts.int("years", interval.years.into());
    parts.int("months", interval.months.into());
    parts.int("days", interval.days.into());
    parts.int("hours", interval.hours);
    parts.int("minutes", interval.minutes);
    parts.int("seconds", interval.micros / 1_000_000);
    parts.int("nanos", interval.micros % 1_000_000 * 1_000);
    parts.int("precision", digits as i64);
    parts.close();
}

/// JSON of an unknown value of a NOT NULL column, by the type's name in the catalog.
pub(super) fn zero(type_name: &str, digits: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match type_name {
        "date" => write_date(&mut out, 0, None),
        "time" => write_time(&mut out, 0, digits),
        "timetz" => write_timetz(&mut out, 0, 0, digits),
        "timestamp" => write_timestamp(&mut out, (0, 0), None, Zone::None, digits),
        "timestamptz" => write_timestamp(&mut out, (0, 0), None, Zone::Nameless, digits),
        _ => write_interval(&mut out, &Interval::ZERO, digits),
    }
    out
}

const DAY: &[(&str, &str)] = &[("year", "int32"), ("month", "int8"), ("day", "int8")];
const TIME: &[(&str, &str)] = &[("hour", "int8"), ("minute", "int8"), ("second", "int8"), ("nanos", "int32")];
const OFFSET: (&str, &str) = ("offsetSeconds", "int32");
const SPECIAL: (&str, &str) = ("specialValue", "string");
const PRECISION: (&str, &str) = ("precision", "int32");

/// The schema of a type's structs, by the type's name in the catalog.
pub(super) fn schema(type_name: &str) -> Schema {
    let (name, fields): (&str, Vec<(&str, &'static str)>) = match type_name {
        "date" => ("StructuredDate", [DAY, &[SPECIAL]].concat()),
        "time" => ("StructuredTime", [TIME, &[PRECISION]].concat()),
        "timetz" => ("StructuredZonedTime", [TIME, &[OFFSET, PRECISION]].concat()),
        "timestamp" => ("StructuredTimestamp", [DAY, TIME, &[SPECIAL, PRECISION]].concat()),
        "timestamptz" => {
            ("StructuredZonedTimestamp", [DAY, TIME, &[OFFSET, ("zoneId", "string"), SPECIAL, PRECISION]].concat())
        }
        _ => {
            let parts = ["years", "months", "days", "hours", "minutes"].map(|name| (name, "int32"));
            let rest = [("seconds", "int64"), ("nanos", "int32"), PRECISION];
            ("StructuredDuration", [parts.as_slice(), &rest].concat())
        }
    };
    let optional = |(name, kind): (&str, &'static str)| (name.to_owned(), Schema::plain(kind).or_null());
    let fields = fields.into_iter().map(optional).collect();
    Schema::of(thm_codec::debezium::SchemaKind::Struct(fields)).named(format!("io.debezium.time.{name}"), 1)
}
