//! Idempotency keys: what is the same for every attempt at a change, whatever restarts.
//!
//! ```text
//!   change      <topic>/<topic uuid>/<generation>/<record key>/<commit position>[:d]     :d = its tombstone
//!   foreign     <topic>/<topic uuid>/<generation>/<partition>/<offset>
//!   batch       <topic>/<topic uuid>/<generation>/<partition>/<first offset>-<last offset>
//! ```
//! A recreated topic and a reset group are new lives: what is sent then is meant to be sent.

use std::fmt::Write;

use reqwest::header::HeaderValue;
use thm_api::{Generation, Offset, SinkPartition, SinkRecord};

/// A longer record key is replaced by a hash of it: servers limit headers to about 8 KiB.
const MAX_KEY_BYTES: usize = 512;

/// Makes the keys of one partition.
pub(super) struct Identity<'a> {
    partition: &'a SinkPartition,
    prefix: String,
}

impl<'a> Identity<'a> {
    pub fn new(partition: &'a SinkPartition, generation: Generation) -> Self {
        let prefix = format!("{}/{}/{}/", partition.partition.topic, partition.topic_uuid, generation.0);
        Self { partition, prefix }
    }

    /// The key of a record posted alone.
    pub fn of_record(&self, record: &SinkRecord) -> HeaderValue {
        let mut text = self.prefix.clone();
        match (&record.origin, &record.key) {
            (Some(origin), Some(key)) => {
                push_key(&mut text, key);
                let _ = write!(text, "/{}", origin.position);
                if record.value.is_none() {
                    text.push_str(":d");
                }
            }
            _ => {
                let _ = write!(text, "{}/{}", self.partition.partition.partition, record.offset);
            }
        }
        header(&text)
    }

    /// The key of records posted together.
    pub fn of_batch(&self, first: Offset, last: Offset) -> HeaderValue {
        header(&format!("{}{}/{first}-{last}", self.prefix, self.partition.partition.partition))
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("topic names, numbers and escaped keys are visible ASCII")
}

/// Visible ASCII stays, other bytes and `%` are written as `%XX`.
fn push_key(text: &mut String, key: &[u8]) {
    if key.len() > MAX_KEY_BYTES {
        let _ = write!(text, "fnv:{:032x}", fnv1a(key));
        return;
    }
    for byte in key {
        match byte {
            b'!'..=b'~' if *byte != b'%' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

/// FNV-1a, 128 bits (the constants are the algorithm's): stable for ever, unlike a hasher of the standard library.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use thm_api::{Lsn, Op, Origin, Position, TopicPartition};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_name_the_change_not_its_place() {
        let partition = SinkPartition { partition: TopicPartition::new("t", 2), topic_uuid: Uuid::nil() };
        let identity = Identity::new(&partition, Generation(3));
        let position = Position::new(Lsn(0x16_B374_D848), 3);
        let origin = Origin { op: Op::Create, position, commit_us: 0, old: None };
        let mut record = SinkRecord {
            offset: Offset(9),
            timestamp_ms: 0,
            key: Some(Bytes::from_static("{\"id\":\"ä %\"}".as_bytes())),
            value: Some(Bytes::new()),
            headers: Arc::from([]),
            origin: Some(origin),
        };
        let prefix = "t/00000000-0000-0000-0000-000000000000/3/";
        let key = |record: &SinkRecord| identity.of_record(record).to_str().map(str::to_owned).ok();
        let text = format!("{prefix}{{\"id\":\"%C3%A4%20%25\"}}/16/B374D848:3");
        assert_eq!(key(&record), Some(text.clone()));
        record.offset = Offset(10);
        assert_eq!(key(&record), Some(text.clone()));
        record.value = None;
        assert_eq!(key(&record), Some(text + ":d"));
        record.origin = None;
        assert_eq!(key(&record), Some(format!("{prefix}2/10")));
        assert_eq!(identity.of_batch(Offset(1), Offset(5)), format!("{prefix}2/1-5"));
    }
}
