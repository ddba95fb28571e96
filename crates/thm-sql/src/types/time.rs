//! Dates and times as numbers and as text.
//!
//! A [`Moment`] is seconds since 1970 (UTC, proleptic Gregorian) and nanoseconds; Arrow's arrays hold it in the unit of
//! the type's precision. Text is written and read without allocation per field, for it is on the hot path.

use arrow::datatypes::TimeUnit;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A point in time, or a local date and time, since 1970-01-01 00:00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, 0 to 999,999,999.
    pub nanos: u32,
}

/// Units of a second.
const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

impl Moment {
    /// From Arrow's number.
    #[must_use]
    pub const fn of(value: i64, unit: TimeUnit) -> Self {
        let scale = per_second(unit);
        let rest = value.rem_euclid(scale) * (1_000_000_000 / scale);
        Self { seconds: value.div_euclid(scale), nanos: rest as u32 }
    }

    /// To Arrow's number, cut to `precision` digits; `None` outside the unit's range.
    #[must_use]
    pub fn to(self, precision: u8, unit: TimeUnit) -> Option<i64> {
        let keep = 10_u32.pow(u32::from(9 - precision.min(9)));
        let nanos = i64::from(self.nanos / keep * keep);
        let scale = per_second(unit);
        self.seconds.checked_mul(scale)?.checked_add(nanos / (1_000_000_000 / scale))
    }

    /// Midnight of a day since 1970.
    #[must_use]
    pub const fn midnight(days: i32) -> Self {
        Self { seconds: days as i64 * DAY, nanos: 0 }
    }

    /// Its day since 1970.
    #[must_use]
    pub fn day(self) -> Option<i32> {
        i32::try_from(self.seconds.div_euclid(DAY)).ok()
    }

    /// Milliseconds since midnight.
    #[must_use]
    pub fn millis_of_day(self) -> i32 {
        let millis = self.seconds.rem_euclid(DAY) * 1_000 + i64::from(self.nanos / 1_000_000);
        i32::try_from(millis).expect("a day has 86.4 million milliseconds")
    }
}

/// Day since 1970 of a date, if it exists.
#[must_use]
pub fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i32> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let of_era_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    i32::try_from(era * 146_097 + of_era_days - 719_468).ok()
}

const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month, day of a day since 1970.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// Where the text of a time goes: a text, or the bytes of a record.
pub trait TimeText {
    /// Appends.
    fn add(&mut self, text: &str);
}

impl TimeText for String {
    fn add(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl TimeText for Vec<u8> {
    fn add(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Every number of two digits, one after the other.
const PAIRS: &str = "\
    00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354\
    555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Appends a number with at least `width` digits.
pub fn write_digits(out: &mut impl TimeText, number: u64, width: usize) {
    if width == 2 && number < 100 {
        let at = number as usize * 2;
        return out.add(&PAIRS[at..at + 2]);
    }
    let mut buffer = itoa::Buffer::new();
    // Zero has no digits of its own.
    let digits = if number == 0 { "" } else { buffer.format(number) };
    out.add(&"00000000000000000000"[..width.saturating_sub(digits.len()).min(20)]);
    out.add(digits);
}

/// Appends `yyyy-MM-dd`.
pub fn write_date(out: &mut impl TimeText, days: i64) {
    let (year, month, day) = civil_from_days(days);
    if year < 0 {
        out.add("-");
    }
    write_digits(out, year.unsigned_abs(), 4);
    out.add("-");
    write_digits(out, u64::from(month), 2);
    out.add("-");
    write_digits(out, u64::from(day), 2);
}

/// Appends `MM-dd HH:mm:ss.SSSSSSSSS` and gives the year that belongs before it.
pub fn write_after_year(out: &mut impl TimeText, moment: Moment) -> i64 {
    let (year, month, day) = civil_from_days(moment.seconds.div_euclid(DAY));
    write_digits(out, u64::from(month), 2);
    out.add("-");
    write_digits(out, u64::from(day), 2);
    out.add(" ");
    write_time(out, moment.seconds.rem_euclid(DAY), moment.nanos, 9);
    year
}

/// Appends `HH:mm:ss` and, for `fraction` > 0, a point and that many digits.
pub fn write_time(out: &mut impl TimeText, second_of_day: i64, nanos: u32, fraction: u8) {
    let second = second_of_day.unsigned_abs();
    write_digits(out, second / 3_600, 2);
    out.add(":");
    write_digits(out, second / 60 % 60, 2);
    out.add(":");
    write_digits(out, second % 60, 2);
    if fraction > 0 {
        out.add(".");
        let kept = nanos / 10_u32.pow(u32::from(9 - fraction.min(9)));
        write_digits(out, u64::from(kept), usize::from(fraction.min(9)));
    }
}

/// Appends date, separator and time with a fixed number of fraction digits.
pub fn write_timestamp(out: &mut impl TimeText, moment: Moment, separator: char, fraction: u8) {
    write_date(out, moment.seconds.div_euclid(DAY));
    out.add(separator.encode_utf8(&mut [0; 4]));
    write_time(out, moment.seconds.rem_euclid(DAY), moment.nanos, fraction);
}

/// Fraction digits that are needed to say `nanos`, without trailing zeros.
#[must_use]
pub fn needed_fraction(nanos: u32) -> u8 {
    let mut left = nanos;
    let mut needed = 9;
    while needed > 0 && left.is_multiple_of(10) {
        left /= 10;
        needed -= 1;
    }
    needed
}

/// Reads numbers and separators from the front of a text.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn number(&mut self, at_least: usize, at_most: usize) -> Option<i64> {
        let (mut number, mut count) = (0, 0);
        while let Some(digit @ b'0'..=b'9') = self.rest.get(count).filter(|_| count < at_most) {
            number = number * 10 + i64::from(digit - b'0');
            count += 1;
        }
        if count < at_least.max(1) {
            return None;
        }
        self.rest = &self.rest[count..];
        Some(number)
    }

    /// Four digits or, as ISO 8601 and Java's `EXCEEDS_PAD` have it, `+` and more, or `-` and at least four.
    fn signed_year(&mut self) -> Option<i64> {
        if self.eat(b'+') {
            return self.number(5, 10);
        }
        if self.eat(b'-') {
            return self.number(4, 10).filter(|year| *year != 0).map(|year| -year);
        }
        self.number(4, 4)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn fraction(&mut self, width: Width) -> Option<u32> {
        if !self.eat(b'.') {
            return Some(0);
        }
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Java's formatters have nothing against a point without digits.
        if count == 0 && width == Width::Full {
            return Some(0);
        }
        if count == 0 || count > 9 {
            return None;
        }
        let value = self.number(count, count)?;
        u32::try_from(value).ok().map(|value| value * 10_u32.pow(9 - u32::try_from(count).unwrap_or(9)))
    }
}

/// How strict a timestamp's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Fields have all their digits, as in JSON; years may have a sign.
    Full,
    /// `2020-2-9 1:2:3` is fine, as in CAST.
    Any,
}

/// Reads `yyyy-MM-dd<separator>HH:mm:ss[.fraction]` and gives what follows it.
fn read_timestamp(text: &str, separators: &[u8], width: Width) -> Option<(Moment, usize)> {
    let least = if width == Width::Full { 2 } else { 1 };
    let mut reader = Reader { rest: text.as_bytes() };
    let year = if width == Width::Full { reader.signed_year()? } else { reader.number(4, 4)? };
    reader.expect(b'-')?;
    let month = u32::try_from(reader.number(least, 2)?).ok()?;
    reader.expect(b'-')?;
    let day = u32::try_from(reader.number(least, 2)?).ok()?;
    let days = days_from_civil(year, month, day)?;
    // ISO 8601's `T` may be a small one.
    let iso = separators == b"T" && width == Width::Full;
    if !(separators.iter().any(|separator| reader.eat(*separator)) || iso && reader.eat(b't')) {
        return None;
    }
    let hour = reader.number(least, 2)?;
    reader.expect(b':')?;
    let minute = reader.number(least, 2)?;
    let (second, nanos) = if reader.eat(b':') {
        (reader.number(least, 2)?, reader.fraction(width)?)
    } else {
        // ISO 8601 may leave the seconds out.
        iso.then_some((0, 0))?
    };
    // The next day's midnight; without a zone ISO 8601 as Java has it knows no such hour.
    let end_of_day = (hour, minute, second, nanos) == (24, 0, 0, 0) && !(iso && reader.rest.is_empty());
    if (hour > 23 && !end_of_day) || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(days) * DAY + hour * 3_600 + minute * 60 + second;
    Some((Moment { seconds, nanos }, reader.rest.len()))
}

/// Reads a timestamp without zone; nothing may follow it.
#[must_use]
pub fn parse_timestamp(text: &str, separators: &[u8], width: Width) -> Option<Moment> {
    read_timestamp(text, separators, width).filter(|(_, rest)| *rest == 0).map(|(moment, _)| moment)
}

/// Reads a timestamp without zone, or with `Z` or an offset such as `+03:00` behind it, as UTC.
#[must_use]
pub fn parse_zoned(text: &str, separators: &[u8]) -> Option<Moment> {
    let (moment, rest) = read_timestamp(text, separators, Width::Full)?;
    let zone = &text[text.len() - rest..];
    if matches!(zone, "" | "Z") {
        return Some(moment);
    }
    let mut reader = Reader { rest: zone.as_bytes() };
    let sign = if reader.eat(b'+') { 1 } else { reader.expect(b'-').map(|()| -1)? };
    let hours = reader.number(2, 2)?;
    let minutes = if reader.eat(b':') { reader.number(2, 2)? } else { 0 };
    let fine = reader.rest.is_empty() && hours <= 18 && minutes <= 59;
    fine.then(|| Moment { seconds: moment.seconds - sign * (hours * 3_600 + minutes * 60), nanos: moment.nanos })
}

/// Reads a date as CAST does: `yyyy`, `yyyy-MM` or `yyyy-MM-dd`, blanks around it, a time behind a blank ignored.
#[must_use]
pub fn parse_date(text: &str) -> Option<i32> {
    let text = text.trim();
    let date = text.split(' ').next()?;
    let mut reader = Reader { rest: date.as_bytes() };
    let year = reader.number(1, 4)?;
    let mut parts = [1, 1];
    for part in &mut parts {
        if reader.rest.is_empty() {
            break;
        }
        reader.expect(b'-')?;
        *part = u32::try_from(reader.number(1, 2)?).ok()?;
    }
    if !reader.rest.is_empty() || year == 0 {
        return None;
    }
    days_from_civil(year, parts[0], parts[1])
}

/// Reads `HH[:mm[:ss[.fraction]]]` as milliseconds of the day.
#[must_use]
pub fn parse_time(text: &str) -> Option<i32> {
    let mut reader = Reader { rest: text.trim().as_bytes() };
    let hour = reader.number(1, 2)?;
    let minute = if reader.eat(b':') { reader.number(1, 2)? } else { 0 };
    let (second, nanos) = if reader.eat(b':') { (reader.number(1, 2)?, reader.fraction(Width::Any)?) } else { (0, 0) };
    // Flink adds the parts up: a 60th second is the next minute.
    let fine = reader.rest.is_empty() && hour <= 23 && minute <= 59 && second <= 60;
    let millis = (hour * 3_600 + minute * 60 + second) * 1_000 + i64::from(nanos / 1_000_000);
    fine.then(|| i32::try_from(millis).ok()).flatten()
}

/// Reads `yyyy-MM-dd` as ISO 8601 has it: all digits, a sign before years of more or fewer than four.
#[must_use]
pub fn parse_full_date(text: &str) -> Option<i32> {
    let mut reader = Reader { rest: text.as_bytes() };
    let year = reader.signed_year()?;
    reader.expect(b'-')?;
    let month = u32::try_from(reader.number(2, 2)?).ok()?;
    reader.expect(b'-')?;
    let day = u32::try_from(reader.number(2, 2)?).ok()?;
    reader.rest.is_empty().then(|| days_from_civil(year, month, day)).flatten()
}

/// Reads `HH:mm:ss[.fraction]` with all its digits as milliseconds of the day; a day's end is its start.
#[must_use]
pub fn parse_full_time(text: &str) -> Option<i32> {
    let mut reader = Reader { rest: text.as_bytes() };
    let hour = reader.number(2, 2)?;
    reader.expect(b':')?;
    let minute = reader.number(2, 2)?;
    reader.expect(b':')?;
    let (second, nanos) = (reader.number(2, 2)?, reader.fraction(Width::Full)?);
    if (hour, minute, second, nanos) == (24, 0, 0, 0) {
        return Some(0);
    }
    let fine = reader.rest.is_empty() && hour <= 23 && minute <= 59 && second <= 59;
    let millis = (hour * 3_600 + minute * 60 + second) * 1_000 + i64::from(nanos / 1_000_000);
    fine.then(|| i32::try_from(millis).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(moment: Moment, fraction: u8) -> String {
        let mut out = String::new();
        write_timestamp(&mut out, moment, ' ', fraction);
        out
    }

    #[test]
    fn days_and_dates_agree_over_nine_thousand_years() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (year, month, day) = civil_from_days(i64::from(days));
            assert_eq!(days_from_civil(year, month, day), Some(days));
        }
        assert_eq!(days_from_civil(2019, 2, 29), None);
    }

    #[test]
    fn reads_debezium_and_plain_forms() {
        let zoned = parse_zoned("2024-01-02T03:05:01.123456Z", b"T").map(|moment| shown(moment, 6));
        assert_eq!(zoned.as_deref(), Some("2024-01-02 03:05:01.123456"));
        let offset = parse_zoned("2024-01-02T03:05:01+03:30", b"T").map(|moment| shown(moment, 0));
        assert_eq!(offset.as_deref(), Some("2024-01-01 23:35:01"));
        assert_eq!(parse_timestamp("2024-01-02T03:05:01Z", b"T", Width::Full), None);
        assert_eq!(parse_timestamp("2024-1-2 3:5:1", b" ", Width::Full), None);
        assert!(parse_timestamp("2024-1-2 3:5:1", b" ", Width::Any).is_some());
    }

    #[test]
    fn reads_all_that_iso_8601_lets_json_say() {
        let read = |text| parse_zoned(text, b"T").map(|moment| shown(moment, 0));
        assert_eq!(read("-0043-03-15T10:00:00Z").as_deref(), Some("-0043-03-15 10:00:00"));
        assert_eq!(read("+294246-12-31T24:00:00.000Z").as_deref(), Some("294247-01-01 00:00:00"));
        assert_eq!(read("2026-04-01T09:30Z").as_deref(), Some("2026-04-01 09:30:00"));
        for wrong in ["10000-01-01T00:00:00Z", "+2026-01-01T00:00:00Z", "-0000-01-01T00:00:00Z", "2026-01-01T24:00:01Z"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(parse_timestamp("2026-01-01 24:00:01", b" ", Width::Any), None);
    }

    #[test]
    fn times_before_1970_keep_their_fraction() {
        let moment = Moment::of(-1, TimeUnit::Millisecond);
        assert_eq!(shown(moment, 3), "1969-12-31 23:59:59.999");
        assert_eq!(moment.to(3, TimeUnit::Millisecond), Some(-1));
        assert_eq!(moment.to(0, TimeUnit::Millisecond), Some(-1_000));
    }
}
