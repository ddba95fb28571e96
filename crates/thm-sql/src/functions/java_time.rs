//! Java's date patterns (`DateTimeFormatter`): written and read, English names, weeks that begin on Sunday.

use thm_codec::java_date::{DAYS, MONTHS, quoted, width};

use crate::types::time::{self, Moment, civil_from_days, days_from_civil};

const UNCLOSED: &str = "Pattern ends with an incomplete string literal";

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A letter and how often it stands.
    Field(char, usize),
    /// `[` and `]`
    Start,
    End,
}

/// A pattern that has been taken apart.
#[derive(Clone, Debug)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads a pattern; unknown letters are refused as Java refuses them.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' => text(&mut pieces, &quoted(&mut letters).ok_or(UNCLOSED)?),
                '[' => pieces.push(Piece::Start),
                ']' => pieces.push(Piece::End),
                '{' | '}' | '#' => return Err(format!("Pattern includes reserved character: '{letter}'")),
                _ if letter.is_ascii_alphabetic() => {
                    let width = width(letter, &mut letters);
                    if !"GuyDMLdQqYwWEecFaBhKkHmsSAnNVvzOXxZ".contains(letter) {
                        return Err(format!("Unknown pattern letter: {letter}"));
                    }
                    if width > most(letter) {
                        return Err(format!("Too many pattern letters: {letter}"));
                    }
                    pieces.push(Piece::Field(letter, width));
                }
                other => text(&mut pieces, other.encode_utf8(&mut [0; 4])),
            }
        }
        Ok(Self { pieces })
    }

    /// Appends what clocks show in this pattern.
    pub fn write(&self, out: &mut String, shown: Moment) -> Result<(), String> {
        let fields = Fields::new(shown);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, width) => fields.write(out, *letter, *width, shown)?,
                Piece::Start | Piece::End => {}
            }
        }
        Ok(())
    }

    /// Reads a text: missing parts are those of 1970-01-01 00:00:00; `None` if it does not match or there is no such
    /// date. `whole`: nothing may follow. The second value is the offset that the text names.
    #[must_use]
    pub fn read(&self, text: &str, whole: bool) -> Option<(Moment, Option<i64>)> {
        let mut reader = Reader { rest: text, found: Found::default() };
        let mut at = 0;
        while at < self.pieces.len() {
            at = match &self.pieces[at] {
                Piece::Start => self.optional(&mut reader, at)?,
                Piece::End => at + 1,
                piece => {
                    let adjacent = matches!(self.pieces.get(at + 1), Some(Piece::Field(next, _)) if is_number(*next));
                    reader.piece(piece, adjacent)?;
                    at + 1
                }
            };
        }
        if whole && !reader.rest.is_empty() {
            return None;
        }
        reader.found.moment()
    }

    /// An optional part is read whole or not at all.
    fn optional(&self, reader: &mut Reader<'_>, start: usize) -> Option<usize> {
        let end = (start + 1..self.pieces.len()).find(|at| self.pieces[*at] == Piece::End).unwrap_or(self.pieces.len());
        let mut trial = Reader { rest: reader.rest, found: reader.found.clone() };
        let fits = self.pieces[start + 1..end].iter().all(|piece| trial.piece(piece, false).is_some());
        if fits {
            *reader = trial;
        }
        Some(end + 1)
    }
}

fn most(letter: char) -> usize {
    match letter {
        'S' => 9,
        'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'w' | 'e' | 'c' => 5,
        'D' => 3,
        'W' | 'a' | 'F' => 1,
        'G' | 'E' | 'M' | 'L' | 'Q' | 'q' | 'B' | 'X' | 'x' | 'Z' => 5,
        'z' | 'O' | 'v' => 4,
        'V' => 2,
        _ => 19,
    }
}

fn is_number(letter: char) -> bool {
    "uyDMLdQYwWFhKkHmsSAnN".contains(letter)
}

fn text(pieces: &mut Vec<Piece>, more: &str) {
    if let Some(Piece::Text(text)) = pieces.last_mut() {
        text.push_str(more);
    } else {
        pieces.push(Piece::Text(more.to_owned()));
    }
}

/// Everything that a pattern may show of a moment.
pub(super) struct Fields {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) days: i64,
    pub(super) second_of_day: i64,
    pub(super) nanos: u32,
}

impl Fields {
    pub(super) fn new(local: Moment) -> Self {
        let days = local.seconds.div_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        Self { year, month, day, days, second_of_day: local.seconds.rem_euclid(86_400), nanos: local.nanos }
    }

    /// 0 is Sunday.
    pub(super) fn weekday(&self) -> usize {
        usize::try_from((self.days + 4).rem_euclid(7)).unwrap_or(0)
    }

    fn day_of_year(&self) -> i64 {
        self.days - i64::from(days_from_civil(self.year, 1, 1).unwrap_or(0)) + 1
    }

    /// Year and week of the United States: weeks begin on Sunday, the first holds 1 January.
    pub(super) fn week(&self) -> (i64, i64) {
        let first = |year: i64| {
            let days = i64::from(days_from_civil(year, 1, 1).unwrap_or(0));
            days - (days + 4).rem_euclid(7)
        };
        let year = if self.days >= first(self.year + 1) { self.year + 1 } else { self.year };
        (year, (self.days - first(year)) / 7 + 1)
    }

    /// The part of the day, in English.
    fn period(&self, width: usize) -> &'static str {
        match self.second_of_day / 60 {
            0 if width == 5 => "mi",
            720 if width == 5 => "n",
            0 => "midnight",
            720 => "noon",
            360..720 => "in the morning",
            721..1_080 => "in the afternoon",
            1_080..1_260 => "in the evening",
            _ => "at night",
        }
    }

    fn write(&self, out: &mut String, letter: char, width: usize, shown: Moment) -> Result<(), String> {
        let hour = self.second_of_day / 3_600;
        let of_era = if self.year <= 0 { 1 - self.year } else { self.year };
        match letter {
            'y' => write_year(out, of_era, width),
            'u' => write_year(out, self.year, width),
            'Y' => write_year(out, self.week().0, width),
            'G' => out.push_str(match (self.year > 0, width) {
                (true, 4) => "Anno Domini",
                (true, 5) => "A",
                (true, _) => "AD",
                (false, 4) => "Before Christ",
                (false, 5) => "B",
                (false, _) => "BC",
            }),
            'M' | 'L' if width > 2 => out.push_str(name(MONTHS[usize::try_from(self.month - 1).unwrap_or(0)], width)),
            'E' => out.push_str(name(DAYS[self.weekday()], width)),
            'e' | 'c' if width > 2 => out.push_str(name(DAYS[self.weekday()], width)),
            'Q' | 'q' => match width {
                3 => {
                    out.push('Q');
                    number(out, i64::from((self.month - 1) / 3 + 1), 1);
                }
                4 => out.push_str(
                    ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"]
                        [usize::try_from((self.month - 1) / 3).unwrap_or(0)],
                ),
                _ => number(out, i64::from((self.month - 1) / 3 + 1), width.min(2)),
            },
            'a' => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            'B' => out.push_str(self.period(width)),
            'S' => {
                let start = out.len();
                time::write_digits(out, u64::from(self.nanos), 9);
                out.truncate(start + width.min(9));
            }
            'V' | 'z' | 'v' | 'O' | 'X' | 'x' | 'Z' => return Err(no_zone(letter, shown)),
            _ => number(out, self.numeric(letter, hour), width),
        }
        Ok(())
    }

    pub(super) fn numeric(&self, letter: char, hour: i64) -> i64 {
        let clock = |value: i64, most: i64| if value == 0 { most } else { value };
        match letter {
            'M' | 'L' => i64::from(self.month),
            'd' => i64::from(self.day),
            'D' => self.day_of_year(),
            'w' => self.week().1,
            'W' => (i64::from(self.day) + (self.days - i64::from(self.day) + 1 + 4).rem_euclid(7) - 1) / 7 + 1,
            'e' | 'c' => i64::try_from(self.weekday()).unwrap_or(0) + 1,
            'F' => (i64::from(self.day) - 1) % 7 + 1,
            'h' => clock(hour % 12, 12),
            'K' => hour % 12,
            'k' => clock(hour, 24),
            'H' => hour,
            'm' => self.second_of_day / 60 % 60,
            's' => self.second_of_day % 60,
            'A' => self.second_of_day * 1_000 + i64::from(self.nanos / 1_000_000),
            'n' => i64::from(self.nanos),
            _ => self.second_of_day * 1_000_000_000 + i64::from(self.nanos),
        }
    }
}

fn name(full: &'static str, width: usize) -> &'static str {
    match width {
        4 => full,
        5 => &full[..1],
        _ => &full[..3],
    }
}

fn number(out: &mut String, value: i64, width: usize) {
    if value < 0 {
        out.push('-');
    }
    time::write_digits(out, value.unsigned_abs(), width.max(1));
}

/// Two letters are the last two digits; beyond four digits, and where the width is passed, there is a sign.
fn write_year(out: &mut String, year: i64, width: usize) {
    if width == 2 {
        time::write_digits(out, year.unsigned_abs() % 100, 2);
        return;
    }
    if year < 0 {
        out.push('-');
    } else if width >= 4 && year >= 10_i64.pow(u32::try_from(width.min(18)).unwrap_or(18)) {
        out.push('+');
    }
    time::write_digits(out, year.unsigned_abs(), width);
}

/// A time that clocks show has no zone, and neither has a TIMESTAMP_LTZ when it is shown.
fn no_zone(letter: char, local: Moment) -> String {
    let mut moment = String::new();
    time::write_timestamp(&mut moment, local, 'T', time::needed_fraction(local.nanos));
    match letter {
        'V' | 'z' | 'v' => format!("Unable to extract ZoneId from temporal {moment}"),
        _ => "Unsupported field: OffsetSeconds".to_owned(),
    }
}

/// What a text has said so far.
#[derive(Clone, Default)]
struct Found {
    year: Option<i64>,
    before_christ: bool,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_day_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanos: u32,
    offset: Option<i64>,
}

impl Found {
    fn moment(&self) -> Option<(Moment, Option<i64>)> {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_christ { 1 - year } else { year };
        let days = match self.day_of_year {
            Some(day) if self.month.is_none() => i64::from(days_from_civil(year, 1, 1)?) + day - 1,
            _ => i64::from(days_from_civil(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?),
        };
        let hour = match (self.hour, self.half_day_hour) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 },
            (None, None) => 0,
        };
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let seconds = days * 86_400 + hour * 3_600 + self.minute * 60 + self.second;
        Some((Moment { seconds, nanos: self.nanos }, self.offset))
    }
}

struct Reader<'a> {
    rest: &'a str,
    found: Found,
}

impl Reader<'_> {
    fn piece(&mut self, piece: &Piece, adjacent: bool) -> Option<()> {
        match piece {
            Piece::Text(text) => {
                self.rest = strip_ignoring_case(self.rest, text)?;
                Some(())
            }
            Piece::Field(letter, width) => self.field(*letter, *width, adjacent),
            Piece::Start | Piece::End => Some(()),
        }
    }

    /// Digits: as many as the pattern has where a number follows at once, else any.
    fn number(&mut self, width: usize, adjacent: bool) -> Option<i64> {
        let most = if adjacent { width } else { 18 };
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count == 0 || adjacent && count < width {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().ok()
    }

    fn field(&mut self, letter: char, width: usize, adjacent: bool) -> Option<()> {
        match letter {
            'y' | 'u' | 'Y' => {
                let negative = self.rest.strip_prefix('-').filter(|_| !adjacent);
                self.rest = negative.or(self.rest.strip_prefix('+').filter(|_| !adjacent)).unwrap_or(self.rest);
                let before = self.rest.len();
                let year = self.number(width, adjacent)?;
                let short = width == 2 && before - self.rest.len() <= 2;
                let year = if short { 2_000 + year } else { year };
                self.found.year = Some(if negative.is_some() { -year } else { year });
            }
            'M' | 'L' if width > 2 => self.found.month = Some(self.one_of(&MONTHS, width)?),
            'M' | 'L' => self.found.month = Some(u32::try_from(self.number(width, adjacent)?).ok()?),
            'd' => self.found.day = Some(u32::try_from(self.number(width, adjacent)?).ok()?),
            'D' => self.found.day_of_year = Some(self.number(width, adjacent)?),
            'H' | 'k' => {
                let hour = self.number(width, adjacent)?;
                self.found.hour = Some(if letter == 'k' && hour == 24 { 0 } else { hour });
            }
            'h' | 'K' => self.found.half_day_hour = Some(self.number(width, adjacent)?).filter(|hour| *hour <= 12),
            'm' => self.found.minute = self.number(width, adjacent)?,
            's' => self.found.second = self.number(width, adjacent)?,
            'S' => {
                let count = self.rest.bytes().take(9).take_while(u8::is_ascii_digit).count();
                let (digits, rest) = self.rest.split_at(count);
                self.rest = rest;
                let value: u32 = if count == 0 { 0 } else { digits.parse().ok()? };
                self.found.nanos = value * 10_u32.pow(9 - u32::try_from(count).ok()?);
            }
            'n' => self.found.nanos = u32::try_from(self.number(width, adjacent)?).ok()?,
            'E' | 'e' | 'c' => drop(self.one_of(&DAYS, width)?),
            'a' => self.found.afternoon = Some(self.one_of(&["AM", "PM"], 4)? == 2),
            'G' => self.found.before_christ = self.one_of(&["AD", "BC"], 4)? == 2,
            'X' | 'x' | 'Z' | 'O' | 'z' | 'V' => self.offset()?,
            _ => return None,
        }
        Some(())
    }

    /// Position, from 1, of the name that stands here.
    fn one_of(&mut self, names: &[&'static str], width: usize) -> Option<u32> {
        for full in [true, false] {
            for (position, name) in names.iter().enumerate() {
                let wanted = if full || name.len() < 3 { name } else { &name[..3] };
                if full && width == 3 && name.len() > 3 {
                    continue;
                }
                if let Some(rest) = strip_ignoring_case(self.rest, wanted) {
                    self.rest = rest;
                    return u32::try_from(position + 1).ok();
                }
            }
        }
        None
    }

    fn offset(&mut self) -> Option<()> {
        let rest = ["UTC", "GMT", "Z"].iter().find_map(|word| self.rest.strip_prefix(word));
        if let Some(rest) = rest {
            self.rest = rest;
            self.found.offset = Some(0);
            if !rest.starts_with(['+', '-']) {
                return Some(());
            }
        }
        let sign = if self.rest.starts_with('-') { -1 } else { 1 };
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hours = self.number(2, true)?;
        let rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = rest.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if minutes.is_some() {
            self.rest = &rest[2..];
        }
        let minutes: i64 = minutes.map_or(Some(0), |digits| digits.parse().ok())?;
        self.found.offset = Some(sign * (hours * 3_600 + minutes * 60));
        Some(())
    }
}

pub(super) fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str, pattern: &str) -> String {
        let local = time::parse_zoned(text, b"T").unwrap();
        let mut out = String::new();
        Pattern::new(pattern).unwrap().write(&mut out, local).unwrap();
        out
    }

    fn read(text: &str, pattern: &str) -> Option<String> {
        let (moment, _) = Pattern::new(pattern).unwrap().read(text, true)?;
        let mut out = String::new();
        time::write_timestamp(&mut out, moment, ' ', 3);
        Some(out)
    }

    #[test]
    fn years_are_shown_as_java_shows_them() {
        assert_eq!(shown("2026-03-01T00:00:00.0079Z", "yyyy-M-d HH:mm:ss.SSS yy"), "2026-3-1 00:00:00.007 26");
        assert_eq!(shown("-0043-03-15T10:00:00Z", "yyyy uuuu-MM-dd"), "0044 -0043-03-15");
        assert_eq!(shown("+10000-01-01T00:00:00Z", "yyyy uuuu"), "+10000 +10000");
    }

    #[test]
    fn every_letter_has_its_field() {
        let at = "2020-02-29T13:04:05.678901234Z";
        assert_eq!(shown(at, "EEEE, MMM d D w W e a h K k"), "Saturday, Feb 29 60 9 5 7 PM 1 1 13");
        assert_eq!(shown(at, "G Q QQQ A n"), "AD 1 Q1 47045678 678901234");
        assert_eq!(Pattern::new("b").unwrap_err(), "Unknown pattern letter: b");
    }

    #[test]
    fn reads_numbers_of_any_width_unless_they_touch() {
        assert_eq!(read("2020-2-9", "yyyy-MM-dd").as_deref(), Some("2020-02-09 00:00:00.000"));
        assert_eq!(read("20200229", "yyyyMMdd").as_deref(), Some("2020-02-29 00:00:00.000"));
        assert_eq!(read("13:04", "HH:mm").as_deref(), Some("1970-01-01 13:04:00.000"));
        assert_eq!(read("Feb 9, 2020 1:02 PM", "MMM d, yyyy h:mm a").as_deref(), Some("2020-02-09 13:02:00.000"));
        assert_eq!(read("2019-02-29", "yyyy-MM-dd"), None);
    }
}
