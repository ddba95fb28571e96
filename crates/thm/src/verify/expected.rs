//! What the enriched row of an event must be, computed apart from the engine with whole numbers.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::NaiveDateTime;
use serde_json::Value;

use super::history::{History, Last};
use super::report::Difference;

/// Largest value of DECIMAL(5,2), in hundredths.
const MAX_PERCENT_HUNDREDTHS: i64 = 99_999;
/// Largest value of DECIMAL(10,2), in hundredths.
const MAX_SECONDS_HUNDREDTHS: i64 = 9_999_999_999;

/// The topic's last row is another; which columns is looked up for those that are shown.
pub const TOPIC_DIFFERS: &str = "differs";

/// A row of `engagement_events`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the columns' names")]
pub struct Event {
    pub id: i64,
    pub content_id: Option<String>,
    pub user_id: Option<String>,
    pub event_type: Option<String>,
    /// Microseconds since 1970.
    pub event_us: i64,
    pub duration_ms: Option<i32>,
    pub device: Option<String>,
    pub raw_payload: Option<String>,
}

/// What enrichment takes from `content`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns' names")]
pub struct Content {
    pub content_type: Option<String>,
    pub length_seconds: Option<i32>,
}

/// An enriched row as ClickHouse shows it: NULL in a column that cannot be NULL is the column's default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns' names")]
pub struct EnrichedRow {
    pub id: i64,
    pub content_id: String,
    pub user_id: String,
    pub event_type: String,
    /// Milliseconds since 1970.
    pub event_ms: i64,
    pub device: String,
    pub content_type: String,
    pub length_seconds: i32,
    /// Hundredths.
    pub engagement_seconds: Option<i64>,
    /// Hundredths.
    pub engagement_pct: Option<i64>,
    pub raw_payload: String,
}

impl EnrichedRow {
    /// From a value of the enriched topic.
    pub fn of_record(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let hundredths = |name: &str| value[name].as_f64().map(|number| (number * 100.0).round() as i64);
        let moment = NaiveDateTime::parse_from_str(value["event_ts"].as_str()?, "%Y-%m-%d %H:%M:%S%.3f").ok()?;
        Some(Self {
            id: value["id"].as_i64()?,
            content_id: text("content_id"),
            user_id: text("user_id"),
            event_type: text("event_type"),
            event_ms: moment.and_utc().timestamp_millis(),
            device: text("device"),
            content_type: text("content_type"),
            length_seconds: value["length_seconds"].as_i64().and_then(|length| length.try_into().ok()).unwrap_or(0),
            engagement_seconds: hundredths("engagement_seconds"),
            engagement_pct: hundredths("engagement_pct"),
            raw_payload: text("raw_payload"),
        })
    }

    /// Tells rows apart within this process.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Names of the columns in which two rows differ.
    pub fn differing_columns(&self, other: &Self) -> String {
        let pairs: [(&str, bool); 10] = [
            ("content_id", self.content_id == other.content_id),
            ("user_id", self.user_id == other.user_id),
            ("event_type", self.event_type == other.event_type),
            ("event_ts", self.event_ms == other.event_ms),
            ("device", self.device == other.device),
            ("content_type", self.content_type == other.content_type),
            ("length_seconds", self.length_seconds == other.length_seconds),
            ("engagement_seconds", self.engagement_seconds == other.engagement_seconds),
            ("engagement_pct", self.engagement_pct == other.engagement_pct),
            ("raw_payload", self.raw_payload == other.raw_payload),
        ];
        let names: Vec<_> = pairs.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// `numerator / denominator` rounded half away from zero.
fn divide_half_up(numerator: i64, denominator: i64) -> i64 {
    let (sign, numerator, denominator) =
        (numerator.signum() * denominator.signum(), numerator.unsigned_abs(), denominator.unsigned_abs());
    let rounded = (2 * u128::from(numerator) + u128::from(denominator)) / (2 * u128::from(denominator));
    sign * i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// Builds expected rows from events and content versions.
pub struct Expected<'a> {
    history: &'a History,
}

impl<'a> Expected<'a> {
    /// With the content versions of `history`.
    pub fn new(history: &'a History) -> Self {
        Self { history }
    }

    /// The row an event must have; `None` where the filter drops it.
    fn row(&self, event: &Event) -> Option<EnrichedRow> {
        let event_type = event.event_type.clone()?;
        let content = event.content_id.as_deref().and_then(|content| self.history.content_for(event.id, content));
        let length = content.and_then(|content| content.length_seconds);
        let seconds = event.duration_ms.map(|duration| divide_half_up(i64::from(duration), 10));
        let percent = event.duration_ms.zip(length.filter(|length| *length != 0)).map(|(duration, length)| {
            // duration_ms / 1000 / length * 100, in hundredths: duration_ms * 10 / length
            divide_half_up(i64::from(duration) * 10, i64::from(length))
        });
        Some(EnrichedRow {
            id: event.id,
            content_id: event.content_id.clone().unwrap_or_default(),
            user_id: event.user_id.clone().unwrap_or_default(),
            event_type,
            event_ms: event.event_us.div_euclid(1000),
            device: event.device.clone().unwrap_or_default(),
            content_type: content.and_then(|content| content.content_type.clone()).unwrap_or_default(),
            length_seconds: length.unwrap_or(0),
            engagement_seconds: seconds.filter(|seconds| seconds.abs() <= MAX_SECONDS_HUNDREDTHS),
            engagement_pct: percent.filter(|percent| percent.abs() <= MAX_PERCENT_HUNDREDTHS),
            raw_payload: event.raw_payload.clone().unwrap_or_default(),
        })
    }

    /// What differs between the truth, the rows found in ClickHouse and the topic's last records, for the same range of
    /// ids; `live` are those that the topic has a row of. The leaderboard and the API are compared with the topic.
    pub fn compare(&self, live: impl Iterator<Item = i64>, truth: &[Event], found: &[EnrichedRow]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let known: HashSet<i64> = truth.iter().map(|event| event.id).collect();
        let lost = live.filter(|id| !known.contains(id));
        differences.extend(lost.map(|id| Difference::new("topic", id, "is there, but not in PostgreSQL")));
        let mut found_by_id: BTreeMap<i64, Vec<&EnrichedRow>> = BTreeMap::new();
        for row in found {
            found_by_id.entry(row.id).or_default().push(row);
        }
        for event in truth {
            let (rows, row) = (found_by_id.remove(&event.id).unwrap_or_default(), self.row(event));
            let last = self.history.last(event.id);
            let is_foreign = last.is_none() && self.history.foreign.contains(&event.id);
            let topic = if is_foreign { None } else { in_topic(row.as_ref(), last) };
            differences.extend(topic.map(|what| Difference::new("topic", event.id, what)));
            let what = in_clickhouse(row.as_ref(), &rows);
            differences.extend(what.map(|what| Difference::new("ClickHouse", event.id, what)));
        }
        for (id, _) in found_by_id {
            if !self.history.foreign.contains(&id) {
                differences.push(Difference::new("ClickHouse", id, "is there, but not in PostgreSQL"));
            }
        }
        differences
    }

    /// Columns in which the topic's last row of an event is not what it should be.
    pub fn columns_off(&self, event: &Event, last: &EnrichedRow) -> Option<String> {
        self.row(event).map(|row| row.differing_columns(last))
    }
}

fn in_topic(row: Option<&EnrichedRow>, last: Option<Last>) -> Option<&'static str> {
    let last = last.and_then(|last| last.row);
    match (row.map(EnrichedRow::fingerprint), last) {
        (None, None) => None,
        (Some(should), Some(is)) if should == is => None,
        (None, Some(_)) => Some("is there, but the filter drops it"),
        (Some(_), None) => Some("is missing, or its last record is a deletion"),
        (Some(_), Some(_)) => Some(TOPIC_DIFFERS),
    }
}

fn in_clickhouse(row: Option<&EnrichedRow>, found: &[&EnrichedRow]) -> Option<String> {
    match (row, found) {
        (None, []) => None,
        (None, _) => Some("is there, but the filter drops it".to_owned()),
        (Some(_), []) => Some("is missing".to_owned()),
        (Some(expected), [row]) if expected == *row => None,
        (Some(expected), [row]) => Some(format!("differs in {}", expected.differing_columns(row))),
        (Some(_), rows) => Some(format!("is there {} times under FINAL", rows.len())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_record_of_the_topic_is_read_as_clickhouse_shows_it() {
        let text = r#"{"id":7,"content_id":"c","user_id":null,"event_type":"play","event_ts":"2025-08-23 05:40:00.123",
            "device":"ios","content_type":null,"length_seconds":null,"engagement_seconds":2147483.65,
            "engagement_pct":0.29,"raw_payload":"{\"a\": 1}"}"#;
        let row = EnrichedRow::of_record(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(
            (row.event_ms, row.engagement_seconds, row.engagement_pct),
            (1_755_927_600_123, Some(214_748_365), Some(29))
        );
        assert_eq!((row.user_id.as_str(), row.length_seconds, row.raw_payload.as_str()), ("", 0, "{\"a\": 1}"));
        let other = EnrichedRow { device: "android".to_owned(), ..row.clone() };
        assert_ne!(row.fingerprint(), other.fingerprint());
        assert_eq!(row.differing_columns(&other), "device");
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(divide_half_up(12_345, 10), 1_235);
        assert_eq!(divide_half_up(-12_345, 10), -1_235);
        assert_eq!(divide_half_up(12_344, 10), 1_234);
        assert_eq!(divide_half_up(1, 3), 0);
        assert_eq!(divide_half_up(2, 3), 1);
    }
}
