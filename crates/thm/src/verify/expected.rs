//! What the enriched row of an event must be, computed apart from the engine with whole numbers.

use std::collections::BTreeMap;

use super::history::History;
use super::report::Difference;

/// Largest value of DECIMAL(5,2), in hundredths.
const MAX_PERCENT_HUNDREDTHS: i64 = 99_999;
/// Largest value of DECIMAL(10,2), in hundredths.
const MAX_SECONDS_HUNDREDTHS: i64 = 9_999_999_999;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    fn differing_columns(&self, other: &Self) -> String {
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

    /// What differs between the truth and the rows found, for the same range of ids.
    pub fn compare(&self, truth: &[Event], found: &[EnrichedRow]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut found_by_id: BTreeMap<i64, Vec<&EnrichedRow>> = BTreeMap::new();
        for row in found {
            found_by_id.entry(row.id).or_default().push(row);
        }
        for event in truth {
            let rows = found_by_id.remove(&event.id).unwrap_or_default();
            let what = match (self.row(event), rows.as_slice()) {
                (None, []) => continue,
                (None, _) => "is there, but the filter drops it".to_owned(),
                (Some(_), []) => "is missing".to_owned(),
                (Some(expected), [row]) if expected == **row => continue,
                (Some(expected), [row]) => format!("differs in {}", expected.differing_columns(row)),
                (Some(_), rows) => format!("is there {} times under FINAL", rows.len()),
            };
            differences.push(Difference::new("ClickHouse", event.id, what));
        }
        for (id, _) in found_by_id {
            if !self.history.foreign.contains(&id) {
                differences.push(Difference::new("ClickHouse", id, "is there, but not in PostgreSQL"));
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(divide_half_up(12_345, 10), 1_235);
        assert_eq!(divide_half_up(-12_345, 10), -1_235);
        assert_eq!(divide_half_up(12_344, 10), 1_234);
        assert_eq!(divide_half_up(1, 3), 0);
        assert_eq!(divide_half_up(2, 3), 1);
    }
}
