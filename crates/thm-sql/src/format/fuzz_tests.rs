//! Bytes that nobody meant to send: whatever comes, `json` and `debezium-json` give a row or an error, never a panic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::debezium_json::{self, LastSource, OldRows};
use super::json_read::{self, Dialect};
use super::{Field, JsonOptions, Place, TimestampFormat};
use crate::types::LogicalType as T;

const ENVELOPE: &str = r#"{"before":{"id":1,"at":null},"after":{"id":1,"name":"é\u00e9\ud83d\ude00","price":"12.50","at":"2024-01-02T03:04:05.678901Z","day":19724,"flag":true,"tags":["a",null],"map":{"k":1},"bytes":"AQI="},"source":{"version":"3.7.0","ts_ms":1704164645678,"ts_us":1704164645678901,"schema":"public","table":"t"},"transaction":null,"op":"u","ts_ms":1704164645700}"#;

fn fields() -> Vec<Field> {
    let of = |(name, kind): (&str, T)| Field { name: name.to_owned(), kind, needed: true, place: Place::Value };
    let columns = [
        ("id", T::BigInt),
        ("name", T::STRING),
        ("price", T::Decimal { precision: 10, scale: 2 }),
        ("at", T::Timestamp(3)),
        ("day", T::Date),
        ("flag", T::Boolean),
        ("tags", T::array(T::STRING.nullable(true))),
        ("map", T::map(T::STRING.nullable(false), T::Int.nullable(true))),
        ("bytes", T::BYTES),
    ];
    columns.map(of).to_vec()
}

/// Reads a text in every way.
fn try_all(bytes: &[u8]) {
    let fields = fields();
    let mut last = LastSource::default();
    for timestamps in [TimestampFormat::Sql, TimestampFormat::Iso] {
        for ignore_parse_errors in [false, true] {
            for schema_include in [false, true] {
                let options = JsonOptions { timestamps, ignore_parse_errors, schema_include, ..JsonOptions::default() };
                for old_rows in [OldRows::Unread, OldRows::IfThere, OldRows::Needed] {
                    let _ = debezium_json::read(Some(bytes), Some(bytes), &fields, &options, old_rows, &mut last);
                }
                if let Ok(found) = json_read::object(bytes, &fields) {
                    let _ = json_read::row(&found, &fields, &options, Dialect::Json);
                }
            }
        }
    }
}

#[test]
fn the_envelope_itself_is_read() {
    let options = JsonOptions { ignore_parse_errors: true, ..JsonOptions::default() };
    let change = debezium_json::read(
        None,
        Some(ENVELOPE.as_bytes()),
        &fields(),
        &options,
        OldRows::Needed,
        &mut LastSource::default(),
    );
    assert_eq!(change.unwrap().unwrap().table, ("\"public\"", "\"t\""));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        try_all(&bytes);
    }

    #[test]
    fn no_damaged_envelope_panics(
        cut in 0..ENVELOPE.len(),
        flips in proptest::collection::vec((0..ENVELOPE.len(), any::<u8>()), 0..6),
    ) {
        let mut bytes = ENVELOPE.as_bytes().to_vec();
        flips.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        try_all(&bytes);
        try_all(&bytes[..cut]);
    }

    #[test]
    fn no_value_panics(
        value in prop_oneof![
            "-?[0-9]{1,40}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,5})?",
            "\"[0-9T:. Z+-]{0,40}\"",
            "\"[^\"\\\\]{0,20}\"",
            Just("[[],{},null]".to_owned()),
            Just("{\"a\":[1,{}]}".to_owned()),
        ],
        at in 0..9_usize,
    ) {
        let name = fields()[at].name.clone();
        let row = format!("{{\"{name}\":{value}}}");
        try_all(row.as_bytes());
        try_all(format!("{{\"before\":{row},\"after\":{row},\"op\":\"u\",\"source\":{row}}}").as_bytes());
    }
}
