//! Fields of a record's JSON, without building a tree: wanted fields are slices, others are skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thm_api::SinkRecord;

use super::config::Fields;
use super::values::{Time, Values, scalar};

/// Numbers at least this large are microseconds since 1970, smaller ones milliseconds: as milliseconds it is the year 5138.
const MICROS_FROM: i64 = 100_000_000_000_000;

/// The wanted fields of a value; the error says why it is no event.
pub(super) fn values<'a>(value: &'a [u8], fields: &Fields) -> Result<Values<'a>, String> {
    let mut reader = serde_json::Deserializer::from_slice(value);
    let values =
        Wanted(fields).deserialize(&mut reader).map_err(|error| format!("value is no JSON object: {error}"))?;
    reader.end().map_err(|error| format!("value is no JSON object: {error}"))?;
    Ok(values)
}

/// The identity in a record's key: its field of that name, else the key's whole text.
pub(super) fn id_of_key<'a>(record: &'a SinkRecord, field: &str) -> Option<Cow<'a, str>> {
    let key = record.key.as_deref().filter(|key| !key.is_empty())?;
    let fields = Fields { id: field.to_owned(), content: String::new(), kind: String::new(), time: String::new() };
    match values(key, &fields).ok().and_then(|values| values.id.flatten()) {
        Some(id) => Some(id),
        None => match serde_json::from_slice::<&RawValue>(key) {
            Ok(raw) => Some(scalar(raw).unwrap_or(Cow::Borrowed(raw.get()))),
            Err(_) => Some(String::from_utf8_lossy(key)),
        },
    }
}

/// ISO-8601 with or without zone (UTC then), or the contract's `yyyy-MM-dd HH:mm:ss.SSS`, or a number since 1970.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(if number.abs() >= MICROS_FROM { number.div_euclid(1_000) } else { number });
    }
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"));
    Some(naive.ok()?.and_utc().timestamp_millis())
}

struct Wanted<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Values<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Values<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Values::default();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let name = name.0.as_ref();
            let place = if name == self.0.id {
                &mut values.id
            } else if name == self.0.content {
                &mut values.content
            } else if name == self.0.kind {
                &mut values.kind
            } else if name == self.0.time {
                values.time = Some(scalar(map.next_value()?).map(Time::Text));
                continue;
            } else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *place = Some(scalar(map.next_value()?));
        }
        Ok(values)
    }
}

/// A field name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
