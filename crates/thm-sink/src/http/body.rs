//! From records to what is posted: stored bytes as they are, one by one or framed together.

use std::collections::BTreeSet;

use bytes::Bytes;
use thm_api::{Offset, Op, SinkBatch, SinkRecord};

use super::config::{Batching, HttpSettings};

/// A record that is to be posted.
pub(super) struct Post<'a> {
    pub record: &'a SinkRecord,
    pub body: Bytes,
}

impl Post<'_> {
    pub fn offset(&self) -> Offset {
        self.record.offset
    }
}

/// The records of a batch that are wanted and not `delivered` yet.
pub(super) fn posts<'a>(settings: &HttpSettings, batch: &'a SinkBatch, delivered: &BTreeSet<i64>) -> Vec<Post<'a>> {
    let open = batch.records().filter(|record| !delivered.contains(&record.offset.0));
    open.filter_map(|record| body(settings, record).map(|body| Post { record, body })).collect()
}

/// `None` for what is skipped.
fn body(settings: &HttpSettings, record: &SinkRecord) -> Option<Bytes> {
    let is_snapshot = record.origin.as_ref().is_some_and(|origin| origin.op == Op::Read);
    match &record.value {
        Some(value) if settings.post_snapshot || !is_snapshot => Some(value.clone()),
        None if settings.post_deletes => Some(deletion(record.key.as_deref().unwrap_or_default())),
        _ => None,
    }
}

/// The key's fields and a mark, as Debezium's flattening has it; a key that is no object stands in a field `key`.
fn deletion(key: &[u8]) -> Bytes {
    let key = key.trim_ascii();
    let fields = key.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).map(<[u8]>::trim_ascii);
    let mut body = b"{".to_vec();
    match fields {
        Some(b"") => {}
        Some(fields) => {
            body.extend_from_slice(fields);
            body.push(b',');
        }
        None => {
            body.extend_from_slice(b"\"key\":");
            match serde_json::from_slice::<serde::de::IgnoredAny>(key) {
                Ok(_) => body.extend_from_slice(key),
                Err(_) => {
                    let text = String::from_utf8_lossy(key);
                    body.extend(serde_json::to_vec(&text).expect("a text is always JSON"));
                }
            }
            body.push(b',');
        }
    }
    body.extend_from_slice(b"\"__deleted\":\"true\"}");
    Bytes::from(body)
}

/// Several bodies in one.
pub(super) fn together(batching: &Batching, posts: &[Post<'_>]) -> Bytes {
    let frame = batching.prefix.len() + batching.suffix.len() + posts.len() * batching.separator.len();
    let mut all = Vec::with_capacity(frame + posts.iter().map(|post| post.body.len()).sum::<usize>());
    all.extend_from_slice(batching.prefix.as_bytes());
    for (index, post) in posts.iter().enumerate() {
        if index > 0 {
            all.extend_from_slice(batching.separator.as_bytes());
        }
        all.extend_from_slice(&post.body);
    }
    all.extend_from_slice(batching.suffix.as_bytes());
    Bytes::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_names_its_key() {
        for (key, body) in [
            ("{\"id\":1}", "{\"id\":1,\"__deleted\":\"true\"}"),
            ("{}", "{\"__deleted\":\"true\"}"),
            ("17", "{\"key\":17,\"__deleted\":\"true\"}"),
            ("a\"b", "{\"key\":\"a\\\"b\",\"__deleted\":\"true\"}"),
        ] {
            assert_eq!(deletion(key.as_bytes()), body);
        }
    }
}
