//! Java's `SimpleDateFormat` in UTC, as far as numbers and names of months and days go.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use thm_codec::java_date::{DAYS, MONTHS, quoted, width};

/// A pattern such as `yyyy-MM-dd HH:mm:ss.SSS`.
#[derive(Clone, Debug)]
pub(super) struct DateFormat {
    pattern: String,
    parts: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A letter and how often it stands.
    Field(char, usize),
}

impl DateFormat {
    /// Reads a pattern.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(letter) = rest.next() {
            let piece = match letter {
                '\'' => Piece::Literal(quoted(&mut rest).ok_or("Unterminated quote")?),
                letter if letter.is_ascii_alphabetic() => {
                    let count = width(letter, &mut rest);
                    if !"GyYMLdDEuaHkKhmsSzZX".contains(letter) {
                        return Err(format!("Illegal pattern character '{letter}'"));
                    }
                    Piece::Field(letter, count)
                }
                other => Piece::Literal(other.to_string()),
            };
            parts.push(piece);
        }
        Ok(Self { pattern: pattern.to_owned(), parts })
    }

    /// As written.
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The text of a moment, in milliseconds since 1970.
    pub(super) fn format(&self, millis: i64) -> String {
        let Some(time) = DateTime::<Utc>::from_timestamp_millis(millis) else { return millis.to_string() };
        let mut out = String::new();
        for piece in &self.parts {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Field(letter, count) => out.push_str(&field(&time, *letter, *count)),
            }
        }
        out
    }

    /// The moment that a text stands for; what follows it is not looked at, as in Java.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let mut found = Found { year: 1970, month: 1, day: 1, ..Found::default() };
        let mut rest = text;
        for (place, piece) in self.parts.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Piece::Field(letter, count) => {
                    let abuts =
                        matches!(self.parts.get(place + 1), Some(Piece::Field(next, _)) if next.is_ascii_alphabetic());
                    rest = found.take(rest, *letter, *count, abuts)?;
                }
            }
        }
        found.millis()
    }
}

fn field(time: &DateTime<Utc>, letter: char, count: usize) -> String {
    let padded = |number: i64| format!("{number:0count$}");
    let named = |name: &str| if count >= 4 { name.to_owned() } else { name[..3].to_owned() };
    match letter {
        'G' => if time.year() > 0 { "AD" } else { "BC" }.to_owned(),
        'y' | 'Y' => {
            let year = if letter == 'Y' { i64::from(time.iso_week().year()) } else { i64::from(time.year_ce().1) };
            if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { padded(year) }
        }
        'M' | 'L' if count >= 3 => named(MONTHS[time.month0() as usize]),
        'M' | 'L' => padded(time.month().into()),
        'd' => padded(time.day().into()),
        'D' => padded(time.ordinal().into()),
        'E' => named(DAYS[time.weekday().num_days_from_sunday() as usize]),
        'u' => padded(time.weekday().number_from_monday().into()),
        'a' => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => padded(time.hour().into()),
        'k' => padded(if time.hour() == 0 { 24 } else { time.hour().into() }),
        'K' => padded((time.hour() % 12).into()),
        'h' => padded(time.hour12().1.into()),
        'm' => padded(time.minute().into()),
        's' => padded(time.second().into()),
        'S' => padded(time.timestamp_subsec_millis().into()),
        'z' if count >= 4 => "Coordinated Universal Time".to_owned(),
        'z' => "UTC".to_owned(),
        'Z' => "+0000".to_owned(),
        _ => "Z".to_owned(),
    }
}

/// Fields of a text that is being read.
#[derive(Default)]
struct Found {
    year: i32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: i64,
    half: Option<bool>,
    minute: i64,
    second: i64,
    millis: i64,
    offset_minutes: i64,
}

impl Found {
    fn take<'a>(&mut self, text: &'a str, letter: char, count: usize, abuts: bool) -> Option<&'a str> {
        if matches!(letter, 'M' | 'L') && count >= 3 {
            let (place, rest) = name(text, &MONTHS)?;
            self.month = place as u32 + 1;
            return Some(rest);
        }
        match letter {
            'E' => return name(text, &DAYS).map(|(_, rest)| rest),
            'G' => return text.strip_prefix("AD").or_else(|| text.strip_prefix("BC")),
            'a' => {
                self.half = Some(text.get(..2)?.eq_ignore_ascii_case("PM"));
                return text.get(2..);
            }
            'z' | 'Z' | 'X' => return self.zone(text),
            _ => {}
        }
        let text = text.trim_start();
        let limit = if abuts { count } else { usize::MAX };
        let sign = usize::from(text.starts_with('-'));
        let length = sign + text[sign..].bytes().take(limit).take_while(u8::is_ascii_digit).count();
        let number: i64 = text.get(..length)?.parse().ok()?;
        match letter {
            // Two digits are of the hundred years around now.
            'y' if count <= 2 && length == 2 => {
                let century = Utc::now().year() - 80;
                let year = century - century.rem_euclid(100) + i32::try_from(number).ok()?;
                self.year = if year < century { year + 100 } else { year };
            }
            'y' => self.year = number.try_into().ok()?,
            'M' | 'L' => self.month = number.try_into().ok()?,
            'd' => self.day = number.try_into().ok()?,
            'D' => self.day_of_year = Some(number.try_into().ok()?),
            'H' | 'K' => self.hour = number,
            'k' => self.hour = number % 24,
            'h' => self.hour = number % 12,
            'm' => self.minute = number,
            's' => self.second = number,
            'S' => self.millis = number,
            _ => {}
        }
        text.get(length..)
    }

    fn zone<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        for known in ["UTC", "GMT", "Z"] {
            if let Some(rest) = text.strip_prefix(known) {
                return Some(rest);
            }
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let digits = text.strip_prefix(['+', '-'])?;
        let hours: i64 = digits.get(..2)?.parse().ok()?;
        let rest = &digits[2..];
        let minutes = rest.strip_prefix(':').unwrap_or(rest);
        let (minutes, rest) = match minutes.get(..2).and_then(|two| two.parse::<i64>().ok()) {
            Some(number) => (number, &minutes[2..]),
            None => (0, rest),
        };
        self.offset_minutes = sign * (hours * 60 + minutes);
        Some(rest)
    }

    fn millis(&self) -> Option<i64> {
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(self.year, 1)? + TimeDelta::days(i64::from(day) - 1),
            // A month or day too many is one of the next year or month.
            None => {
                let months = i64::from(self.year) * 12 + i64::from(self.month) - 1;
                let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
                let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, 1)?;
                first.checked_add_signed(TimeDelta::days(i64::from(self.day) - 1))?
            }
        };
        let hour = if self.half == Some(true) { self.hour + 12 } else { self.hour };
        let minutes = hour * 60 + self.minute - self.offset_minutes;
        let day = NaiveDateTime::new(date, NaiveTime::MIN).and_utc().timestamp_millis();
        day.checked_add((minutes * 60 + self.second) * 1000 + self.millis)
    }
}

/// A name at the start of a text, whole or its first three letters.
fn name<'a>(text: &'a str, names: &[&str]) -> Option<(usize, &'a str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    names.iter().enumerate().find_map(|(place, name)| {
        let length = [*name, &name[..3]].into_iter().find(|name| starts(name))?.len();
        Some((place, &text[length..]))
    })
}

/// Connect's own dates and times as text, as `Cast` writes them; none for what is neither.
pub(super) fn logical_text(schema: Option<&str>, number: i64) -> Option<String> {
    let (millis, pattern) = match schema?.strip_prefix("org.apache.kafka.connect.data.")? {
        "Date" => (number.checked_mul(86_400_000)?, "yyyy-MM-dd"),
        "Time" => (number, "HH:mm:ss.SSS'Z'"),
        "Timestamp" => (number, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"),
        _ => return None,
    };
    DateFormat::new(pattern).ok().map(|format| format.format(millis))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dates_as_java_writes_and_reads_them() {
        let moment = 1_704_164_645_678;
        let cases = [
            ("yyyyMMdd", "20240102"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-01-02T03:04:05.678Z"),
            ("EEE, d MMM yy h:mm a", "Tue, 2 Jan 24 3:04 AM"),
            ("''yyyy'x'", "'2024x"),
            ("D k K u Z", "2 3 3 2 +0000"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(DateFormat::new(pattern).unwrap().format(moment), expected);
        }
        let parse = |pattern: &str, text: &str| DateFormat::new(pattern).unwrap().parse(text);
        assert_eq!(parse("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-01-02T03:04:05.678Z"), Some(moment));
        assert_eq!(parse("yyyyMMddHHmm", "202401020304"), Some(moment - 5_678));
        assert_eq!(parse("yyyy-MM-dd Z", "2024-01-02 +0100"), Some(1_704_150_000_000));
        assert_eq!(parse("d MMMM yyyy", "31 February 2024"), Some(1_709_337_600_000));
        assert_eq!(parse("yyyy", "x"), None);
        assert!(DateFormat::new("yyyy-b").is_err() && DateFormat::new("'x").is_err());
    }
}
