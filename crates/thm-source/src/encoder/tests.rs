//! What the encoder writes, read by a JSON parser: the same values.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;
use thm_api::{ConnectorConfig, Lsn};
use thm_codec::debezium::EnvelopeVersion;
use thm_codec::record_batch::records;

use super::*;
use crate::options::Options;
use crate::pgoutput::{Relation, RelationColumn};
use crate::table::TableFacts;

/// Values of one row, and whether they are written with their schemas.
#[derive(Clone, Debug)]
struct Row {
    id: i64,
    small: Option<i16>,
    flag: Option<bool>,
    real: Option<f64>,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    uuid: Option<u128>,
}

fn row() -> impl Strategy<Value = Row> {
    let of = (any::<i64>(), any::<Option<i16>>(), any::<Option<bool>>(), any::<Option<f64>>());
    // PostgreSQL's texts hold no NUL.
    let text = prop::option::of("[^\\x00]{0,20}");
    let rest = (text, any::<Option<Vec<u8>>>(), any::<Option<u128>>());
    (of, rest).prop_map(|((id, small, flag, real), (text, bytes, uuid))| Row {
        id,
        small,
        flag,
        real,
        text,
        bytes,
        uuid,
    })
}

impl Row {
    fn tuple(&self) -> Vec<u8> {
        let values = [
            Some(self.id.to_be_bytes().to_vec()),
            self.small.map(|value| value.to_be_bytes().to_vec()),
            self.flag.map(|value| vec![u8::from(value)]),
            self.real.map(|value| value.to_be_bytes().to_vec()),
            self.text.clone().map(String::into_bytes),
            self.bytes.clone(),
            self.uuid.map(|value| value.to_be_bytes().to_vec()),
        ];
        let mut out = vec![0, values.len() as u8];
        for value in values {
            match value {
                None => out.push(b'n'),
                Some(bytes) => {
                    out.push(b'b');
                    out.extend((bytes.len() as u32).to_be_bytes());
                    out.extend(bytes);
                }
            }
        }
        out
    }

    /// Whether an object of JSON has these values, each in its type's form.
    fn is(&self, shown: &Value) -> bool {
        let real = match self.real {
            None => shown["real"].is_null(),
            Some(real) if real.is_finite() => shown["real"].as_f64() == Some(real),
            Some(real) if real.is_nan() => shown["real"] == "NaN",
            Some(real) => shown["real"] == if real > 0.0 { "Infinity" } else { "-Infinity" },
        };
        let uuid = self.uuid.map(|value| uuid::Uuid::from_u128(value).to_string());
        real && shown["id"] == self.id
            && shown["small"] == Value::from(self.small)
            && shown["flag"] == Value::from(self.flag)
            && shown["text"] == self.text.as_deref().map_or(Value::Null, Value::from)
            && shown["bytes"] == Value::from(self.bytes.as_ref().map(|bytes| STANDARD.encode(bytes)))
            && shown["uuid"] == Value::from(uuid)
            && shown.as_object().map(serde_json::Map::len) == Some(7)
    }
}

fn encoder(schemas: bool) -> Encoder {
    let mut values = std::collections::BTreeMap::new();
    for (name, value) in [
        ("database.hostname", "h"),
        ("database.user", "u"),
        ("database.dbname", "d"),
        ("topic.prefix", "pg"),
        ("key.converter.schemas.enable", if schemas { "true" } else { "false" }),
        ("value.converter.schemas.enable", if schemas { "true" } else { "false" }),
    ] {
        values.insert(name.to_owned(), value.to_owned());
    }
    let options = Options::parse(&ConnectorConfig::new(values)).unwrap();
    let columns = [("id", 20), ("small", 21), ("flag", 16), ("real", 701), ("text", 25), ("bytes", 17), ("uuid", 2950)];
    let column = |(name, type_oid): (&str, u32)| RelationColumn {
        identity: name == "id",
        name: name.to_owned(),
        type_oid,
        type_modifier: -1,
    };
    let columns = columns.into_iter().map(column).collect();
    let relation = Relation { oid: 1, schema: "public".to_owned(), name: "t".to_owned(), identity: b'f', columns };
    let facts = TableFacts { key: vec!["id".to_owned()], ..TableFacts::default() };
    let headers = ContextHeaders::new(EnvelopeVersion::V3_7, true, "pg", 0, "run");
    let mut encoder = Encoder::new(headers, Rules { tombstones: true, ..Rules::default() });
    encoder.set_table(Arc::new(Table::new(relation, &facts, &options).unwrap())).unwrap();
    encoder
}

fn payload(bytes: Option<bytes::Bytes>, schemas: bool) -> Value {
    let mut shown: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    if schemas { shown["payload"].take() } else { shown }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_read_back_to_the_values_they_were_made_of(rows in prop::collection::vec((row(), row()), 1..4), schemas: bool) {
        let mut encoder = encoder(schemas);
        for (place, (old, new)) in rows.iter().enumerate() {
            let (old, new) = (old.tuple(), new.tuple());
            let change = RowChange::Update(
                Some((OldImage::Full, Tuple::parse(&old).unwrap())),
                Tuple::parse(&new).unwrap(),
            );
            let position = Position::new(Lsn(5), place as u64 + 1);
            encoder.push(1, change, &RowOrigin { position, change: Change::default(), now: EventTime(0) }).unwrap();
        }
        let append = encoder.cut().unwrap().remove(0);
        let mut found = records(&append.batch.bytes).unwrap().map(|record| record.unwrap());
        for (old, new) in &rows {
            let next = found.next().unwrap();
            let (key, value) = (payload(next.key, schemas), payload(next.value, schemas));
            prop_assert!(old.is(&value["before"]), "{value}");
            if old.id == new.id {
                prop_assert!(new.is(&value["after"]) && value["op"] == "u", "{value}");
                continue;
            }
            prop_assert!(key["id"] == old.id && value["op"] == "d" && value["after"].is_null(), "{value}");
            prop_assert!(found.next().unwrap().value.is_none());
            let next = found.next().unwrap();
            let (key, value) = (payload(next.key, schemas), payload(next.value, schemas));
            prop_assert!(key["id"] == new.id && new.is(&value["after"]) && value["op"] == "c", "{value}");
        }
        prop_assert!(found.next().is_none());
    }
}
