//! Java's older date patterns (`SimpleDateFormat`), which Flink uses for UNIX_TIMESTAMP, FROM_UNIXTIME, TO_DATE with a
//! pattern, CONVERT_TZ and DATE_FORMAT of a text.
//!
//! ```text
//!   pattern ─▶ pieces ─┬─▶ write: the fields of a moment
//!                      └─▶ read:  numbers, signs included, are put together whatever their size: month 13 is January
//! ```
//! Days before 15 October 1582 are those of the Julian calendar. What follows the part that was read does not matter.

use thm_codec::java_date::{DAYS, MONTHS, quoted, width};

use super::java_time::{Fields, strip_ignoring_case};
use crate::types::time::{self, Moment, days_from_civil};
use crate::types::zone::Zone;

/// The first day of the Gregorian calendar, in days since 1970.
const GREGORIAN_FROM: i64 = -141_427;
/// Two digits of a year mean one from 80 years ago to 19 years on; the middle of that is held fixed here, so that a
/// job's answers do not change with the year in which it runs.
const CENTURY_FROM: i64 = 1946;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A letter and how often it stands.
    Field(char, usize),
}

/// A pattern that has been taken apart.
#[derive(Clone, Debug)]
pub struct SimplePattern {
    pieces: Vec<Piece>,
}

impl SimplePattern {
    /// Reads a pattern; unknown letters are refused as Java refuses them.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                pieces.push(Piece::Text(quoted(&mut letters).ok_or("Unterminated quote")?));
            } else if letter.is_ascii_alphabetic() {
                let width = width(letter, &mut letters);
                if !"GyMdkHmsSEDFwWahKzZYuXL".contains(letter) {
                    return Err(format!("Illegal pattern character '{letter}'"));
                }
                if letter == 'X' && width > 3 {
                    return Err(format!("invalid ISO 8601 format: length={width}"));
                }
                pieces.push(Piece::Field(letter, width));
            } else {
                pieces.push(Piece::Text(letter.to_string()));
            }
        }
        Ok(Self { pieces })
    }

    /// Appends what the clocks of a zone show at a second since 1970.
    pub fn write(&self, out: &mut String, seconds: i64, zone: Zone) {
        let offset = zone.calendar_offset_at(seconds);
        let fields = hybrid(Moment { seconds: seconds + offset, nanos: 0 });
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field('z', _) => write_name(out, zone, seconds, offset),
                Piece::Field(letter @ ('Z' | 'X'), width) => write_offset(out, *letter, *width, offset),
                Piece::Field(letter, width) => write_field(out, &fields, *letter, *width),
            }
        }
    }

    /// The second since 1970 that a text names, in a zone unless it names one itself; `None` if it does not match.
    #[must_use]
    pub fn read(&self, text: &str, zone: Zone) -> Option<i64> {
        let mut reader = Reader { text: text.as_bytes(), at: 0, found: Found::default() };
        for (position, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(wanted) => {
                    let rest = reader.text.get(reader.at..)?;
                    rest.starts_with(wanted.as_bytes()).then_some(())?;
                    reader.at += wanted.len();
                }
                Piece::Field(letter, width) => {
                    let touches = matches!(self.pieces.get(position + 1), Some(Piece::Field(..)));
                    reader.field(*letter, *width, touches)?;
                }
            }
        }
        let local = reader.found.seconds();
        Some(match reader.found.offset {
            Some(offset) => local - offset,
            None => zone.to_utc_of_calendar(local),
        })
    }
}

/// The fields of a day in the calendar of its time.
fn hybrid(local: Moment) -> Fields {
    let mut fields = Fields::new(local);
    if fields.days < GREGORIAN_FROM {
        (fields.year, fields.month, fields.day) = julian_from_days(fields.days);
    }
    fields
}

/// Year, month and day of the Julian calendar.
fn julian_from_days(days: i64) -> (i64, u32, u32) {
    // Days since 1 March of the year 0, in cycles of four years.
    let shifted = days + 719_470;
    let (cycle, rest) = (shifted.div_euclid(1_461), shifted.rem_euclid(1_461));
    let of_cycle = (rest - rest / 1_460) / 365;
    let of_year = rest - of_cycle * 365;
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (cycle * 4 + of_cycle + year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// Days since 1970 of the first of a month, of whichever calendar it belongs to.
fn first_of_month(year: i64, month: u32) -> i64 {
    let gregorian = i64::from(days_from_civil(year, month, 1).unwrap_or(0));
    if year > 9_999 || gregorian >= GREGORIAN_FROM - 14 {
        // October 1582 begins in the Julian calendar, four days before the reform.
        return if (year, month) == (1582, 10) { GREGORIAN_FROM - 4 } else { gregorian_days(year, month) };
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * i64::from((month + 9) % 12) + 2) / 5;
    shifted_year.div_euclid(4) * 1_461 + shifted_year.rem_euclid(4) * 365 + of_year - 719_470
}

/// As `days_from_civil`, for years of any size.
fn gregorian_days(year: i64, month: u32) -> i64 {
    let (cycles, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    cycles * 146_097 + i64::from(days_from_civil(of_cycle + 2_000, month, 1).unwrap_or(0)) - 5 * 146_097
}

fn write_field(out: &mut String, fields: &Fields, letter: char, width: usize) {
    let month = usize::try_from(fields.month - 1).unwrap_or(0);
    let named = |name: &'static str| if width >= 4 { name } else { &name[..3] };
    match letter {
        'y' | 'Y' => {
            let year = if letter == 'y' { fields.year } else { fields.week().0 };
            let of_era = if year <= 0 { 1 - year } else { year }.unsigned_abs();
            if width == 2 {
                time::write_digits(out, of_era % 100, 2);
            } else {
                time::write_digits(out, of_era, width);
            }
        }
        'G' => out.push_str(if fields.year > 0 { "AD" } else { "BC" }),
        'M' | 'L' if width > 2 => out.push_str(named(MONTHS[month])),
        'E' => out.push_str(named(DAYS[fields.weekday()])),
        'a' => out.push_str(if fields.second_of_day < 43_200 { "AM" } else { "PM" }),
        'D' => time::write_digits(out, u64::try_from(day_of_year(fields)).unwrap_or(1), width),
        'u' => time::write_digits(out, u64::try_from((fields.weekday() + 6) % 7 + 1).unwrap_or(1), width),
        'F' => time::write_digits(out, u64::from((fields.day - 1) / 7 + 1), width),
        'S' => time::write_digits(out, u64::from(fields.nanos / 1_000_000), width),
        _ => {
            let number = fields.numeric(letter, fields.second_of_day / 3_600);
            time::write_digits(out, number.unsigned_abs(), width);
        }
    }
}

fn day_of_year(fields: &Fields) -> i64 {
    fields.days - first_of_month(fields.year, 1) + 1
}

fn write_name(out: &mut String, zone: Zone, seconds: i64, offset: i64) {
    match zone.abbreviation(seconds) {
        Some(name) => out.push_str(&name),
        None => {
            out.push_str("GMT");
            write_offset(out, 'X', 3, offset);
        }
    }
}

fn write_offset(out: &mut String, letter: char, width: usize, offset: i64) {
    if letter == 'X' && offset == 0 {
        out.push('Z');
        return;
    }
    let (sign, hours, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 3_600, offset.abs() / 60 % 60);
    out.push_str(&match (letter, width) {
        ('X', 1) => format!("{sign}{hours:02}"),
        ('X', 3) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}{minutes:02}"),
    });
}

/// What a text has said so far. Of two fields for the same thing the later one counts.
#[derive(Default)]
struct Found {
    before_christ: bool,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    afternoon: bool,
    /// Whether the hour is one of half a day.
    half: bool,
    minute: i64,
    second: i64,
    millis: i64,
    offset: Option<i64>,
}

impl Found {
    fn seconds(&self) -> i64 {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_christ { 1 - year } else { year };
        let days = match self.day_of_year {
            Some(day) => first_of_month(year, 1) + day - 1,
            None => {
                let month = self.month.unwrap_or(0);
                let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12));
                let day = self.day.unwrap_or(1);
                let first = first_of_month(year, u32::try_from(month + 1).unwrap_or(1));
                // Ten days of October 1582 were left out.
                let skipped = if (year, month) == (1582, 9) && day >= 15 { 10 } else { 0 };
                first + day - 1 - skipped
            }
        };
        let hour = if self.half && self.afternoon { self.hour + 12 } else { self.hour };
        days * 86_400 + hour * 3_600 + self.minute * 60 + self.second + self.millis.div_euclid(1_000)
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    found: Found,
}

impl Reader<'_> {
    /// A field; where another touches it, a number has at most the pattern's width, blanks before it included.
    fn field(&mut self, letter: char, width: usize, touches: bool) -> Option<()> {
        let start = self.at;
        while matches!(self.text.get(self.at)?, b' ' | b'\t') {
            self.at += 1;
        }
        let end = if touches { start + width } else { self.text.len() };
        let first = self.at;
        match letter {
            'G' => self.found.before_christ = self.one_of(&["AD", "BC"])? == 1,
            'a' => self.found.afternoon = self.one_of(&["AM", "PM"])? == 1,
            'E' => drop(self.one_of(&DAYS)?),
            'M' | 'L' if width > 2 => {
                let month = i64::try_from(self.one_of(&MONTHS)?).ok()?;
                self.month(month);
            }
            'z' | 'Z' | 'X' => self.zone()?,
            _ => {
                let number = self.number(end)?;
                let digits = &self.text[first..self.at];
                let short = width <= 2 && digits.len() == 2 && digits.iter().all(u8::is_ascii_digit);
                self.numeric(letter, number, short);
            }
        }
        Some(())
    }

    fn month(&mut self, month: i64) {
        (self.found.month, self.found.day_of_year) = (Some(month), None);
    }

    fn numeric(&mut self, letter: char, number: i64, short: bool) {
        let found = &mut self.found;
        match letter {
            'y' | 'Y' if short => {
                let year = CENTURY_FROM / 100 * 100 + number;
                found.year = Some(if year < CENTURY_FROM { year + 100 } else { year });
            }
            'y' | 'Y' => found.year = Some(number),
            'M' | 'L' => self.month(number - 1),
            'd' => (found.day, found.day_of_year) = (Some(number), None),
            'D' => found.day_of_year = Some(number),
            'H' => (found.hour, found.half) = (number, false),
            'k' => (found.hour, found.half) = (if number == 24 { 0 } else { number }, false),
            'h' => (found.hour, found.half) = (if number == 12 { 0 } else { number }, true),
            'K' => (found.hour, found.half) = (number, true),
            'm' => found.minute = number,
            's' => found.second = number,
            'S' => found.millis = number,
            // Weeks and days of weeks say nothing beside a date.
            _ => {}
        }
    }

    /// An integer with its sign, up to a place; as Java's `int` if it is longer.
    fn number(&mut self, end: usize) -> Option<i64> {
        let text = self.text.get(..end)?.get(self.at..)?;
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        self.at += count + usize::from(negative);
        let value = std::str::from_utf8(&digits[..count]).ok()?.parse::<i64>();
        let value = value.map_or(i32::MAX, |value| value as i32);
        Some(i64::from(if negative { value.wrapping_neg() } else { value }))
    }

    /// Position of the name that stands here, whole or by its first three letters.
    fn one_of(&mut self, names: &[&'static str]) -> Option<usize> {
        let rest = std::str::from_utf8(self.text.get(self.at..)?).ok()?;
        for width in [usize::MAX, 3] {
            for (position, name) in names.iter().enumerate() {
                let wanted = &name[..name.len().min(width)];
                if strip_ignoring_case(rest, wanted).is_some() {
                    self.at += wanted.len();
                    return Some(position);
                }
            }
        }
        None
    }

    /// `+0300`, `-08:00`, `Z`, `GMT+3`, or a zone's short name.
    fn zone(&mut self) -> Option<()> {
        let rest = std::str::from_utf8(self.text.get(self.at..)?).ok()?;
        let end = rest.find(|letter: char| letter != ':' && !letter.is_ascii_alphanumeric() && !"+-".contains(letter));
        let word = &rest[..end.unwrap_or(rest.len())];
        let zone = if word.starts_with(['+', '-']) { Zone::parse(word)? } else { Zone::parse_as_time_zone(word)? };
        self.found.offset = Some(zone.offset_at(self.found.seconds()));
        self.at += word.len();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, pattern: &str) -> Option<String> {
        let seconds = SimplePattern::new(pattern).unwrap().read(text, Zone::Utc)?;
        let mut out = String::new();
        SimplePattern::new("yyyy-MM-dd HH:mm:ss").unwrap().write(&mut out, seconds, Zone::Utc);
        Some(out)
    }

    #[test]
    fn numbers_of_any_size_are_put_together() {
        assert_eq!(read("2020-13-01", "yyyy-MM-dd").as_deref(), Some("2021-01-01 00:00:00"));
        assert_eq!(read("2019-02-29 25:61:61", "yyyy-MM-dd HH:mm:ss").as_deref(), Some("2019-03-02 02:02:01"));
        assert_eq!(read("2020-02-29 12:34:56", "yyyyMMddHHmmss").as_deref(), Some("2019-12-01 22:09:12"));
        assert_eq!(read("Feb 29, 2020 1:02 pm", "MMM d, yyyy h:mm a").as_deref(), Some("2020-02-29 13:02:00"));
        assert_eq!(read("29/02/20", "dd/MM/yy").as_deref(), Some("2020-02-29 00:00:00"));
        assert_eq!(read("x", "yyyy"), None);
    }

    #[test]
    fn days_before_the_reform_are_julian() {
        for day in ["0001-01-01", "0029-02-28", "1500-02-29", "1582-10-04", "1582-10-15", "1582-11-01", "2020-02-29"] {
            assert_eq!(read(day, "yyyy-MM-dd"), Some(format!("{day} 00:00:00")), "{day}");
        }
        let seconds = SimplePattern::new("yyyy").unwrap().read("29", Zone::Utc).unwrap();
        assert_eq!(seconds, -61_252_156_800);
    }

    #[test]
    fn letters_that_are_not_known_are_refused() {
        assert_eq!(SimplePattern::new("nope").unwrap_err(), "Illegal pattern character 'n'");
        assert_eq!(SimplePattern::new("'x").unwrap_err(), "Unterminated quote");
    }
}
