//! Records for rows that are gone, or other ones, without a change of the database that says so.
//!
//! ```text
//!   the last record of a key:  {"before":…,"after":ROW,"source":…,"op":"r",…}
//!   gone                  ──▶  {"before":ROW,"after":null,"source":NEW,"transaction":null,"op":"d",…}
//!   another row now       ──▶  {"before":ROW,"after":ROW NOW,"source":NEW,"transaction":null,"op":"u",…}
//! ```
//!
//! Rows are copied as they stand; nothing of them is parsed. Values with their schema (`{"schema":…,"payload":…}`) keep it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::EventTime;
use super::value::write_int;

/// The parts of a stored value that matter here.
#[derive(Clone, Copy, Debug)]
pub struct StoredEnvelope<'a> {
    schema: Option<&'a str>,
    after: Option<&'a str>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    op: &'a str,
}

impl<'a> StoredEnvelope<'a> {
    /// `None`: the value is no envelope (a transform may have taken it off).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let outer = serde_json::from_str::<Outer<'_>>(text).ok();
        let outer = outer.and_then(|outer| Some((outer.schema?.get(), outer.payload?.get())));
        let (schema, payload) = match outer {
            Some((schema, payload)) => (Some(schema), payload),
            None => (None, text),
        };
        let inner: Inner<'_> = serde_json::from_str(payload).ok()?;
        let after = inner.after.map(RawValue::get).filter(|after| *after != "null");
        matches!(inner.op, "c" | "u" | "r" | "d").then_some(Self { schema, after })
    }

    /// The row after the change; `None` where there is none any more.
    #[must_use]
    pub const fn row(&self) -> Option<&'a str> {
        self.after
    }

    /// The row is gone.
    #[must_use]
    pub fn delete(&self, source: &[u8], now: EventTime) -> Vec<u8> {
        self.write(self.after.unwrap_or("null"), "null", "d", source, now)
    }

    /// The row was `before`, and is this one now.
    #[must_use]
    pub fn update(&self, before: &str, source: &[u8], now: EventTime) -> Vec<u8> {
        self.write(before, self.after.unwrap_or("null"), "u", source, now)
    }

    fn write(&self, before: &str, after: &str, op: &str, source: &[u8], now: EventTime) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + before.len() + after.len() + source.len());
        if let Some(schema) = self.schema {
            for part in ["{\"schema\":", schema, ",\"payload\":"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        for part in [b"{\"before\":", before.as_bytes(), b",\"after\":", after.as_bytes(), b",\"source\":", source] {
            out.extend_from_slice(part);
        }
        for part in [",\"transaction\":null,\"op\":\"", op, "\",\"ts_ms\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        write_int(&mut out, now.0.div_euclid(1_000_000));
        out.extend_from_slice(b",\"ts_us\":");
        write_int(&mut out, now.0.div_euclid(1_000));
        out.extend_from_slice(b",\"ts_ns\":");
        write_int(&mut out, now.0);
        out.push(b'}');
        if self.schema.is_some() {
            out.push(b'}');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_as_they_stood() {
        let value = br#"{"before":null,"after":{"id":1,"n":1.50,"t":"\u00e4"},"source":{"lsn":1},"op":"r","ts_ms":1}"#;
        let stored = StoredEnvelope::parse(value);
        let delete = stored.map(|stored| stored.delete(b"{\"lsn\":2}", EventTime(3_000_000))).unwrap_or_default();
        let expected = r#"{"before":{"id":1,"n":1.50,"t":"\u00e4"},"after":null,"source":{"lsn":2},"transaction":null,"op":"d","ts_ms":3,"ts_us":3000,"ts_ns":3000000}"#;
        assert_eq!(String::from_utf8_lossy(&delete), expected);
        let again = StoredEnvelope::parse(&delete);
        assert!(again.is_some_and(|again| again.row().is_none()));
    }

    #[test]
    fn schemas_stay_and_flat_rows_are_no_envelopes() {
        let value = br#"{"schema":{"type":"struct"},"payload":{"after":{"id":1},"op":"c"}}"#;
        let update = StoredEnvelope::parse(value).map(|stored| stored.update("{\"id\":0}", b"{}", EventTime(0)));
        let text = String::from_utf8(update.unwrap_or_default()).unwrap_or_default();
        assert!(
            text.starts_with(
                r#"{"schema":{"type":"struct"},"payload":{"before":{"id":0},"after":{"id":1},"source":{}"#
            )
        );
        assert!(text.ends_with("}}"));
        assert!(StoredEnvelope::parse(br#"{"id":1,"op":"x"}"#).is_none());
        assert!(StoredEnvelope::parse(b"[]").is_none());
    }
}
