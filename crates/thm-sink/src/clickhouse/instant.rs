//! Text to moments: the timestamp forms that reach a `DateTime64` column, all read as UTC.
//!
//! In: `2025-08-23 05:40:00.123`, the same with `T`, with `Z` or an offset, a date alone, or digits alone (an
//! epoch). Out: [`Instant`], or `None` for anything else: nothing is guessed, nothing saturates.

/// A moment: seconds since 1970, UTC, and nanoseconds into that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// May be negative.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// 0001-01-01 00:00:00 and 9999-12-31 23:59:59, the moments that have a text form in ClickHouse.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

impl Instant {
    /// A moment inside the years 1 to 9999.
    #[must_use]
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (FIRST_SECOND..=LAST_SECOND).contains(&seconds).then_some(Self { seconds, nanos })
    }

    /// From a count of 10^-`digits` seconds.
    #[must_use]
    pub fn from_ticks(ticks: i64, digits: u32) -> Option<Self> {
        let per_second = 10_i64.checked_pow(digits)?;
        let nanos = ticks.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Self::new(ticks.div_euclid(per_second), u32::try_from(nanos).ok()?)
    }

    /// As a count of 10^-`digits` seconds, finer digits dropped; `None` beyond 64 bits.
    #[must_use]
    pub fn ticks(self, digits: u32) -> Option<i64> {
        let per_second = 10_i64.checked_pow(digits)?;
        let fraction = i64::from(self.nanos) / (1_000_000_000 / per_second);
        self.seconds.checked_mul(per_second)?.checked_add(fraction)
    }

    /// From a number of seconds as text, `1755927600.123`; no exponent.
    #[must_use]
    pub fn from_seconds_text(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let seconds: i64 = whole.parse().ok()?;
        let nanos = fraction_nanos(fraction.as_bytes())?;
        if whole.starts_with('-') && nanos > 0 {
            return Self::new(seconds - 1, 1_000_000_000 - nanos);
        }
        Self::new(seconds, nanos)
    }

    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() >= 9 && bytes.iter().all(u8::is_ascii_digit) {
            return parse_epoch_digits(text);
        }
        let days = days_from_civil(bytes.get(..10)?)?;
        let rest = &bytes[10..];
        if rest.is_empty() {
            return Self::new(days * 86_400, 0);
        }
        let (b'T' | b't' | b' ', clock) = rest.split_first()? else { return None };
        let (second_of_day, nanos, zone) = parse_clock(clock)?;
        let offset = parse_zone(zone)?;
        Self::new(days * 86_400 + second_of_day - offset, nanos)
    }
}

/// Digits alone: seconds, milliseconds, microseconds or nanoseconds by their number, as ClickHouse's own
/// `best_effort` reads them.
fn parse_epoch_digits(text: &str) -> Option<Instant> {
    let digits = match text.len() {
        9 | 10 => 0,
        13 => 3,
        16 => 6,
        19 => 9,
        _ => return None,
    };
    Instant::from_ticks(text.parse().ok()?, digits)
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for digit in digits {
        value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(value)
}

/// `yyyy-MM-dd` to days since 1970-01-01, in the proleptic Gregorian calendar; also the day must exist.
pub fn days_from_civil(text: &[u8]) -> Option<i64> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..])?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last_day = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1 || day < 1 || day > last_day {
        return None;
    }
    // Years that begin in March: the leap day is the last of its year, so month lengths need no table.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468)
}

/// `HH:mm[:ss[.fraction]]`: second of the day, nanoseconds, and what follows.
fn parse_clock(text: &[u8]) -> Option<(i64, u32, &[u8])> {
    let two = |at: usize| number(text.get(at..at + 2)?);
    let (hour, minute) = (two(0)?, two(3)?);
    if text[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let of_day = hour * 3_600 + minute * 60;
    if text.get(5) != Some(&b':') {
        return Some((of_day, 0, &text[5..]));
    }
    let second = two(6)?;
    if second > 59 {
        return None;
    }
    let rest = &text[8..];
    let Some((b'.' | b',', fraction)) = rest.split_first() else { return Some((of_day + second, 0, rest)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((of_day + second, fraction_nanos(&fraction[..digits])?, &fraction[digits..]))
}

/// Digits after a point as nanoseconds; those beyond the ninth are dropped.
fn fraction_nanos(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kept = &digits[..digits.len().min(9)];
    let missing = 9 - u32::try_from(kept.len()).ok()?;
    u32::try_from(number(kept)? * 10_i64.pow(missing)).ok()
}

/// Nothing, `Z`, `UTC`, `±HH`, `±HHmm` or `±HH:mm`: seconds east of UTC.
fn parse_zone(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let (sign, rest) = match text {
        [] | b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [_, _] => (number(rest)?, 0),
        [h @ .., b':', m1, m2] | [h @ .., m1, m2] if h.len() == 2 => (number(h)?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<i64> {
        Instant::parse(text)?.ticks(3)
    }

    #[test]
    fn forms_with_and_without_zone_are_the_same_moment() {
        for text in [
            "2025-08-23 05:40:00",
            "2025-08-23 05:40",
            "2025-08-23T05:40:00",
            "2025-08-23T05:40:00Z",
            "2025-08-23T05:40:00.000000Z",
            "2025-08-23 08:40:00+03",
            "2025-08-23T08:40:00+03:00",
            "2025-08-23T02:10:00-0330",
            "1755927600",
            "1755927600000",
        ] {
            assert_eq!(millis(text), Some(1_755_927_600_000), "{text}");
        }
    }

    #[test]
    fn fractions_and_years_before_1970() {
        assert_eq!(millis("2025-08-23 05:40:00.123987"), Some(1_755_927_600_123));
        assert_eq!(millis("1969-12-31 23:59:59.500"), Some(-500));
        assert_eq!(millis("0001-01-01 00:00:00"), Some(-62_135_596_800_000));
        assert_eq!(millis("2024-02-29"), Some(1_709_164_800_000));
        assert_eq!(Instant::from_seconds_text("-0.5").and_then(|at| at.ticks(3)), Some(-500));
        assert_eq!(Instant::from_seconds_text("1755927600.123").and_then(|at| at.ticks(3)), Some(1_755_927_600_123));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in [
            "",
            "yesterday",
            "2025-02-29",
            "2025-13-01",
            "2025-08-23 24:00:00",
            "2025-08-23 05:40:00 CET",
            "2025-08-23 05:40:00.",
            "12345",
            "2025-08-23X05:40:00",
            "0000-01-01",
            "2025-08-23 05",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn beyond_the_calendar_is_nothing() {
        assert_eq!(Instant::from_seconds_text("1755927600123"), None);
        assert_eq!(Instant::parse("2300-01-01").and_then(|at| at.ticks(9)), None);
    }
}
