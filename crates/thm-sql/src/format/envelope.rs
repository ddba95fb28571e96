//! Debezium's envelope → its parts.
//!
//! ```text
//!   value ─┬─ plain ───▶ Cursor: one pass, the fields of `after` in the same one ─┐
//!          └─ else ────▶ serde_json: what is not wanted is looked through as well ┴─▶ Envelope
//! ```
//! Invariant: whatever the quick way takes, the slow one takes apart alike; errors are the slow one's.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thm_api::Op;
use thm_codec::json_cursor::{Cursor, Odd};

use super::json_read::{self, Found};
use super::{Field, Place, ReadError};

/// One change as its record tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<'a> {
    /// What happened.
    pub op: Op,
    /// The old row, if it is there and not null.
    pub before: Option<&'a str>,
    /// The fields of the new row that are wanted, if it is there and not null.
    pub after: Option<Found<'a>>,
    /// Where the change comes from, as JSON.
    pub source: Option<&'a str>,
    /// Commit time in microseconds, if `source` says it.
    pub commit_us: Option<i64>,
    /// `schema` and `table` of `source` as JSON; empty where it says none.
    pub table: (&'a str, &'a str),
    /// When the connector wrote it, milliseconds since 1970, as JSON.
    pub ingestion_ms: Option<&'a str>,
    /// The schema beside the envelope, as JSON.
    pub schema: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Takes a record's value apart; `schema_include` says that the envelope is its `payload`.
    pub fn read(
        value: &'a [u8],
        fields: &[Field],
        schema_include: bool,
        last: &mut LastSource,
    ) -> Result<Self, ReadError> {
        let (schema, value) = if schema_include { payload(value)? } else { (None, value) };
        let plain = std::str::from_utf8(value).map_err(|_| Odd).and_then(|text| Self::plain(text, fields, last));
        let read = plain.or_else(|Odd| Self::any(value, fields))?;
        Ok(Self { schema, ..read })
    }

    fn plain(text: &'a str, fields: &[Field], last: &mut LastSource) -> Result<Self, Odd> {
        let mut cursor = Cursor::new(text);
        let (mut op, mut before, mut after, mut source, mut ts_ms) = (None, None, None, None, None);
        cursor.open()?;
        while let Some(name) = cursor.name()? {
            match name {
                "before" => once(&mut before, cursor.value()?)?,
                "after" if cursor.is_object() => {
                    once(&mut after, Some(json_read::members(&mut cursor, fields, &Place::Value)?))?;
                }
                "after" => {
                    let null = cursor.value()? == "null";
                    once(&mut after, None)?;
                    if !null {
                        return Err(Odd);
                    }
                }
                "op" => once(&mut op, cursor.value()?)?,
                "source" => once(&mut source, last.read(&mut cursor)?)?,
                "ts_ms" => once(&mut ts_ms, cursor.value()?)?,
                _ => drop(cursor.value()?),
            }
        }
        let op = match op.ok_or(Odd)?.as_bytes() {
            [b'"', letter, b'"'] => Op::from_letter(*letter).ok_or(Odd)?,
            _ => return Err(Odd),
        };
        Ok(source.ok_or(Odd)?.envelope(op, (not_null(before), after.flatten()), ts_ms))
    }

    fn any(value: &'a [u8], fields: &[Field]) -> Result<Self, ReadError> {
        let found = last_members(value, ["before", "after", "op", "source", "ts_ms"]);
        let [before, after, op, source, ts_ms] = found.map_err(|error| corrupt(error.to_string()))?;
        let op: Option<Cow<'_, str>> = match op {
            Some(op) => serde_json::from_str(op).map_err(|error| corrupt(error.to_string()))?,
            None => None,
        };
        let letter = op.as_deref().unwrap_or("null");
        let op = match letter.as_bytes() {
            [letter] => Op::from_letter(*letter),
            _ => None,
        };
        let op = op.ok_or_else(|| corrupt(format!("unknown \"op\" value \"{letter}\"")))?;
        let source = source.map(Source::any).unwrap_or_default();
        // Of a delete the new row is not looked at.
        let after = match not_null(after).filter(|_| op != Op::Delete) {
            Some(row) => Some(json_read::object(row.as_bytes(), fields)?),
            None => None,
        };
        Ok(source.envelope(op, (not_null(before), after), ts_ms))
    }
}

/// What is told of an envelope's `source`.
#[derive(Clone, Copy, Default)]
struct Source<'a> {
    text: Option<&'a str>,
    commit_us: Option<i64>,
    table: (&'a str, &'a str),
}

impl<'a> Source<'a> {
    /// Flink does not look at times and names: a source that is not as it should be must not cost the record.
    fn any(text: &'a str) -> Self {
        let found = last_members(text.as_bytes(), ["ts_us", "ts_ms", "schema", "table"]);
        let [ts_us, ts_ms, schema, table] = found.unwrap_or_default();
        let name = |text: Option<&'a str>| not_null(text).unwrap_or_default();
        Self { text: Some(text), commit_us: commit_us(ts_us, ts_ms), table: (name(schema), name(table)) }
    }

    fn envelope(
        self,
        op: Op,
        (before, after): (Option<&'a str>, Option<Found<'a>>),
        ingestion_ms: Option<&'a str>,
    ) -> Envelope<'a> {
        let Self { text: source, commit_us, table } = self;
        Envelope { op, before, after, source, commit_us, table, ingestion_ms, schema: None }
    }
}

/// The `source` of the last record. All rows of a snapshot have the same one, and it is the longest part of their records:
/// what it says is looked for once.
#[derive(Debug, Default)]
pub struct LastSource {
    text: String,
    commit_us: Option<i64>,
    /// Where in the text `schema` and `table` are.
    schema: Range<usize>,
    table: Range<usize>,
}

impl LastSource {
    /// The object that is the cursor's next value.
    fn read<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Source<'a>, Odd> {
        if !cursor.is_object() {
            return Err(Odd);
        }
        let start = cursor.clone();
        if !cursor.take_known(&self.text) {
            self.learn(cursor)?;
        }
        let text = start.until(cursor);
        let part = |place: &Range<usize>| text.get(place.clone()).unwrap_or_default();
        Ok(Source { text: Some(text), commit_us: self.commit_us, table: (part(&self.schema), part(&self.table)) })
    }

    fn learn(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Odd> {
        let (mut ts_us, mut ts_ms, mut schema, mut table) = (None, None, None, None);
        let start = cursor.clone();
        cursor.open()?;
        while let Some(name) = cursor.name()? {
            let value = cursor.value()?;
            let end = cursor.position() - start.position();
            let place = if value == "null" { 0..0 } else { end - value.len()..end };
            match name {
                "ts_us" => once(&mut ts_us, value)?,
                "ts_ms" => once(&mut ts_ms, value)?,
                "schema" => once(&mut schema, place)?,
                "table" => once(&mut table, place)?,
                _ => {}
            }
        }
        self.commit_us = commit_us(ts_us, ts_ms);
        (self.schema, self.table) = (schema.unwrap_or_default(), table.unwrap_or_default());
        self.text.clear();
        self.text.push_str(start.until(cursor));
        Ok(())
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn commit_us(ts_us: Option<&str>, ts_ms: Option<&str>) -> Option<i64> {
    ts_us.and_then(number).or_else(|| number(ts_ms?)?.checked_mul(1_000))
}

/// A member that comes twice is refused by the slow way.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Odd> {
    if slot.is_some() {
        return Err(Odd);
    }
    *slot = Some(value);
    Ok(())
}

fn not_null(text: Option<&str>) -> Option<&str> {
    text.filter(|text| *text != "null")
}

/// Schema and payload of a record that has both.
fn payload(value: &[u8]) -> Result<(Option<&str>, &[u8]), ReadError> {
    let found = last_members(value, ["schema", "payload"]);
    let [schema, payload] = found.map_err(|error| corrupt(error.to_string()))?;
    let payload = payload.ok_or_else(|| corrupt("there is no \"payload\"".to_owned()))?;
    Ok((schema, payload.as_bytes()))
}

/// The texts of some members of an object; of one that comes twice, the last.
fn last_members<'a, const N: usize>(
    text: &'a [u8],
    names: [&'static str; N],
) -> Result<[Option<&'a str>; N], serde_json::Error> {
    struct Last<const N: usize>([&'static str; N]);
    impl<'de, const N: usize> Visitor<'de> for Last<N> {
        type Value = [Option<&'de str>; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = [None; N];
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                match self.0.iter().position(|known| *known == name) {
                    Some(at) => found[at] = Some(map.next_value::<&'de RawValue>()?.get()),
                    None => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(found)
        }
    }
    json_read::first_value(text).deserialize_map(Last(names))
}

/// Flink's words for a record that is no envelope.
pub fn corrupt(why: String) -> ReadError {
    ReadError::Record(format!("Corrupt Debezium JSON message: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::types::LogicalType;

    const RECORD: &str = concat!(
        r#"{"before":{"id":1,"b":"old"},"after":{"id":1,"a":"x\"y","b":null,"c":[1,{"d":2.5e3}]},"source":{"version":"3.7","#,
        r#""ts_ms":1700000000000,"schema":"public","table":"t","ts_us":1700000000000001,"lsn":7},"transaction":null,"op":"u","#,
        r#""ts_ms":1700000000005}"#
    );

    fn fields() -> Vec<Field> {
        let field =
            |name: &str, place| Field { name: name.to_owned(), kind: LogicalType::STRING, needed: name != "a", place };
        vec![
            field("b", Place::Value),
            field("id", Place::Value),
            field("a", Place::Value),
            field("c", Place::Value),
            field("id", Place::Key),
        ]
    }

    #[test]
    fn an_envelope_of_debezium_is_taken_apart_in_one_pass() {
        let fields = fields();
        let found = Envelope::plain(RECORD, &fields, &mut LastSource::default()).unwrap();
        assert_eq!(found, Envelope::any(RECORD.as_bytes(), &fields).unwrap());
        assert_eq!(found.after, Some(vec![Some("null"), Some("1"), None, Some(r#"[1,{"d":2.5e3}]"#), None]));
        assert_eq!((found.op, found.commit_us), (Op::Update, Some(1_700_000_000_000_001)));
        assert_eq!((found.table, found.ingestion_ms), (("\"public\"", "\"t\""), Some("1700000000005")));
        assert_eq!(found.before, Some(r#"{"id":1,"b":"old"}"#));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_slow_way() {
        for (from, to) in [
            ("\"op\":\"u\"", "\"op\":\"x\""),
            ("\"op\":\"u\"", "\"op\":\"\\u0075\""),
            ("\"op\":\"u\"", "\"op\":\"u\",\"op\":\"u\""),
            ("\"source\":{", "\"source\":null,\"x\":{"),
            ("\"after\":{", "\"after\":null,\"after\":{"),
            ("\"after\":{", "\"after\":7,\"x\":{"),
            ("\"table\"", "\"schema\""),
        ] {
            let text = RECORD.replace(from, to);
            assert_ne!(text, RECORD);
            assert_eq!(Envelope::plain(&text, &fields(), &mut LastSource::default()), Err(Odd), "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree_on_damaged_records(
            damage in prop::collection::vec((any::<Index>(), select(b"\"\\{}[]:,0-.e \nun".to_vec()), 0..3), 0..3),
            piece in (any::<Index>(), any::<Index>(), any::<Index>()),
        ) {
            let mut bytes = RECORD.as_bytes().to_vec();
            let (from, length) = (piece.0.index(bytes.len()), piece.1.index(30));
            let copied: Vec<u8> = bytes[from..].iter().take(length).copied().collect();
            let to = piece.2.index(bytes.len());
            bytes.splice(to..to, copied);
            for (place, byte, how) in damage {
                let place = place.index(bytes.len());
                match how {
                    0 => bytes[place] = byte,
                    1 => drop(bytes.remove(place)),
                    _ => bytes.insert(place, byte),
                }
            }
            let text = String::from_utf8(bytes).unwrap();
            let fields = fields();
            let mut last = LastSource::default();
            Envelope::plain(RECORD, &fields, &mut last).unwrap();
            // A record is read alike whatever came before it, and leaves nothing false behind.
            for text in [&*text, RECORD, &*text] {
                let found = Envelope::plain(text, &fields, &mut last);
                prop_assert_eq!(&found, &Envelope::plain(text, &fields, &mut LastSource::default()));
                if let Ok(found) = found {
                    prop_assert_eq!(found, Envelope::any(text.as_bytes(), &fields).unwrap());
                }
            }
        }
    }
}
