//! The session's time zone: what `table.local-time-zone` names.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

/// UTC, a fixed offset, or a zone with rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// UTC.
    #[default]
    Utc,
    /// Seconds east of UTC.
    Fixed(i32),
    /// A zone of the time zone database.
    Named(Tz),
}

/// Names that Java keeps for zones of today.
const OLD_NAMES: [(&str, &str); 28] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

impl Zone {
    /// Reads what Java's `ZoneId.of` reads: `UTC`, `Asia/Riyadh`, `+03:00`, `GMT-8`; `default` is UTC here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "UTC" | "GMT" | "Z" | "UT" | "Etc/UTC" | "default" => return Some(Self::Utc),
            _ => {}
        }
        let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if offset.starts_with(['+', '-']) {
            return fixed(offset).map(Self::Fixed);
        }
        text.parse().ok().map(Self::Named)
    }

    /// Reads what Java's `TimeZone.getTimeZone` reads: names, the old names of three letters, `GMT+3`; none for others, of
    /// which it makes UTC.
    #[must_use]
    pub fn parse_as_time_zone(text: &str) -> Option<Self> {
        if let Some(offset) = text.strip_prefix("GMT").filter(|offset| offset.starts_with(['+', '-'])) {
            return fixed(offset).map(Self::Fixed);
        }
        if text.starts_with(['+', '-']) || text == "default" {
            return None;
        }
        let name = OLD_NAMES.iter().find(|(old, _)| *old == text).map_or(text, |(_, name)| name);
        Self::parse(name)
    }

    /// The zone's short name at a moment, if it has one.
    #[must_use]
    pub fn abbreviation(self, seconds: i64) -> Option<String> {
        let Self::Named(zone) = self else { return (self == Self::Utc).then(|| "UTC".to_owned()) };
        let at = chrono::DateTime::from_timestamp(seconds, 0)?.naive_utc();
        let name = zone.offset_from_utc_datetime(&at).to_string();
        name.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(name)
    }

    /// As `to_utc`, but what a clock shows twice is the second time: so do Java's calendars.
    #[must_use]
    pub fn to_utc_of_calendar(self, local: i64) -> i64 {
        let first = self.to_utc(local);
        let later = local - self.offset_at(first + 86_400);
        if later + self.offset_at(later) == local { later.max(first) } else { first }
    }

    /// Seconds that local clocks are ahead of UTC at a moment.
    #[must_use]
    pub fn offset_at(self, seconds: i64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Fixed(offset) => i64::from(offset),
            Self::Named(zone) => chrono::DateTime::from_timestamp(seconds, 0)
                .map_or(0, |at| i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())),
        }
    }

    /// UTC's seconds of what local clocks show. As in Java, what a clock shows twice is the first time, and what it
    /// skips is read with the offset before.
    #[must_use]
    pub fn to_utc(self, local: i64) -> i64 {
        let Self::Named(zone) = self else { return local - self.offset_at(local) };
        let Some(shown) = chrono::DateTime::from_timestamp(local, 0) else { return local };
        let offset = match zone.offset_from_local_datetime(&shown.naive_utc()) {
            chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => offset.fix(),
            // A day before is certainly before the gap, and no zone moves its clocks twice within a day.
            chrono::LocalResult::None => {
                return local - self.offset_at(local - self.offset_at(local - 86_400) - 86_400);
            }
        };
        local - i64::from(offset.local_minus_utc())
    }
}

/// `+3`, `+03`, `+03:00`, `-0830`
fn fixed(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        _ => (1, &text[1..]),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None => (rest, "0"),
    };
    let plain = |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(hours) || !plain(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn clocks_that_jump_are_read_as_java_reads_them() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        // 2020-03-29 02:30 does not exist, 2020-10-25 02:30 exists twice.
        assert_eq!(berlin.to_utc(1_585_449_000), 1_585_449_000 - 3_600);
        assert_eq!(berlin.to_utc(1_603_593_000), 1_603_593_000 - 7_200);
        assert_eq!(berlin.offset_at(1_585_449_000), 7_200);
    }

    #[test]
    fn reads_names_and_offsets() {
        assert_eq!(Zone::parse("GMT-08:00"), Some(Zone::Fixed(-28_800)));
        assert_eq!(Zone::parse("+0330"), Some(Zone::Fixed(12_600)));
        assert_eq!(Zone::parse("UTC"), Some(Zone::Utc));
        assert_eq!(Zone::parse("Mars/Phobos"), None);
    }
}
