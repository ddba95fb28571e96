//! The session's time zone: what `table.local-time-zone` names.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

use super::time::{civil_from_days, days_from_civil};

/// 1900-01-01: what Java's calendars know of a zone begins here.
const CALENDARS_BEGIN: i64 = -2_208_988_800;
/// 2100-01-01: the zone database's transitions are written out up to here.
const WRITTEN_OUT: i64 = 4_102_444_800;
/// What is wrong with a session's zone, in Flink's words.
pub const NOT_A_SESSION_ZONE: &str = "Invalid time zone. The value should be a Time Zone Database (TZDB) ID such as \
     'America/Los_Angeles' to include daylight saving time. Fixed offsets are supported using 'GMT-03:00' or 'GMT+03:00'. \
     Or use 'UTC' without time zone and daylight saving time.";

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

    /// Reads what Flink takes for `table.local-time-zone`: what both of Java's zone classes read in the same way. An offset
    /// needs `GMT` before it.
    #[must_use]
    pub fn of_session(text: &str) -> Option<Self> {
        let other_class = text.starts_with(['+', '-']) || text.starts_with("UT") && text != "UTC" || text == "Z";
        if other_class || OLD_NAMES.iter().any(|(old, _)| *old == text) { None } else { Self::parse(text) }
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

    /// As `to_utc`, but by what Java's calendars know of the zone, and what a clock shows twice is the second time.
    #[must_use]
    pub fn to_utc_of_calendar(self, local: i64) -> i64 {
        let first = self.to_utc(local);
        if first < CALENDARS_BEGIN {
            return local - self.standard();
        }
        let later = local - self.offset_at(first + 86_400);
        if later + self.offset_at(later) == local { later.max(first) } else { first }
    }

    /// Seconds that local clocks are ahead of UTC at a moment, as Java's calendars know it: before 1900 it is today's
    /// standard time.
    #[must_use]
    pub fn calendar_offset_at(self, seconds: i64) -> i64 {
        if seconds < CALENDARS_BEGIN { self.standard() } else { self.offset_at(seconds) }
    }

    /// Today's standard time: winter's.
    fn standard(self) -> i64 {
        self.offset_at(WRITTEN_OUT - 1).min(self.offset_at(WRITTEN_OUT - 183 * 86_400))
    }

    /// Seconds that local clocks are ahead of UTC at a moment.
    #[must_use]
    pub fn offset_at(self, seconds: i64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Fixed(offset) => i64::from(offset),
            Self::Named(zone) => chrono::DateTime::from_timestamp(seconds - beyond(zone, seconds), 0)
                .map_or(0, |at| i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())),
        }
    }

    /// UTC's seconds of what local clocks show. As in Java, what a clock shows twice is the first time, and what it
    /// skips is read with the offset before.
    #[must_use]
    pub fn to_utc(self, local: i64) -> i64 {
        let Self::Named(zone) = self else { return local - self.offset_at(local) };
        let Some(shown) = chrono::DateTime::from_timestamp(local - beyond(zone, local), 0) else { return local };
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

/// How many seconds before a moment a zone's clocks do the same, for moments that its transitions are not written out for:
/// a year that begins on the same day of the week and is as long. Transitions follow such years, but Morocco's, which
/// follow the moon, are known up to 2087 only.
fn beyond(zone: Tz, seconds: i64) -> i64 {
    if seconds < WRITTEN_OUT {
        return 0;
    }
    if matches!(zone, Tz::Africa__Casablanca | Tz::Africa__El_Aaiun) {
        return seconds - (WRITTEN_OUT - 1);
    }
    let Ok(days) = i32::try_from(seconds.div_euclid(86_400)) else { return seconds - (WRITTEN_OUT - 1) };
    let begin = |year: i64| days_from_civil(year, 1, 1).map_or(0, i64::from);
    let (year, ..) = civil_from_days(i64::from(days));
    let shape = |year: i64| (begin(year).rem_euclid(7), begin(year + 1) - begin(year));
    // 28 years without a century's exception hold every shape.
    let like = (2072..2100).find(|other| shape(*other) == shape(year)).unwrap_or(2099);
    (begin(year) - begin(like)) * 86_400
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
    fn years_beyond_the_written_ones_have_the_same_rules() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        // 2100-07-01, 2100-12-01, and 2500-03-28 02:30, which is skipped.
        assert_eq!(berlin.offset_at(4_118_083_200), 7_200);
        assert_eq!(berlin.offset_at(4_131_302_400), 3_600);
        assert_eq!(berlin.to_utc(16_732_665_000), 16_732_665_000 - 3_600);
        let casablanca = Zone::parse("Africa/Casablanca").unwrap();
        assert_eq!(casablanca.offset_at(4_118_083_200), 3_600);
    }

    #[test]
    fn calendars_know_todays_standard_time_before_1900() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(berlin.offset_at(-3_000_000_000), 3_208);
        assert_eq!(berlin.calendar_offset_at(-3_000_000_000), 3_600);
        assert_eq!(berlin.to_utc_of_calendar(-3_000_000_000), -3_000_003_600);
    }

    #[test]
    fn a_session_takes_offsets_behind_gmt_only() {
        assert_eq!(Zone::of_session("GMT+02:00"), Some(Zone::Fixed(7_200)));
        assert_eq!(Zone::of_session("UTC"), Some(Zone::Utc));
        for other in ["+02:00", "UTC+2", "UT", "Z", "EST", "Mars/Phobos"] {
            assert_eq!(Zone::of_session(other), None, "{other}");
        }
    }

    #[test]
    fn reads_names_and_offsets() {
        assert_eq!(Zone::parse("GMT-08:00"), Some(Zone::Fixed(-28_800)));
        assert_eq!(Zone::parse("+0330"), Some(Zone::Fixed(12_600)));
        assert_eq!(Zone::parse("UTC"), Some(Zone::Utc));
        assert_eq!(Zone::parse("Mars/Phobos"), None);
    }
}
