//! A page of `/api/log`: records of a partition as JSON, written straight from the log's batches.
//!
//! ```text
//!   log.read(from, at most PAGE_BYTES) ──▶ records ──▶ {"records":[…],"next":…,"end":…}, cut at PAGE_BYTES of text
//! ```
//! A page costs the batches and its text: no tree of values stands between, which would be ten times as large. It always
//! holds at least one record if there is one, so whoever asks on at `next` comes to the end.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::Serialize;
use thm_api::{Error, ErrorKind, FetchedBatch, Position, ReadResult, TopicPartition};
use thm_codec::origin;
use thm_codec::record_batch::{self, BatchHeader, CodecError, Compression, Record};

/// Bytes of batches that one page reads, and of text after which it ends: a few thousand records. Whoever reads a whole
/// topic asks often; a larger page saves it little and costs the engine its size.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Largest batch, decompressed: what the log accepts from a producer, several times over.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// One record as it stands in a page.
#[derive(Serialize)]
struct Row<'a> {
    offset: i64,
    timestamp: i64,
    position: Option<Position>,
    op: Option<&'static str>,
    commit_us: Option<i64>,
    old: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
}

/// The page of what was read of a partition, from an offset on.
///
/// # Errors
/// `LogCorrupt` where a batch is none.
pub(super) fn page(partition: &TopicPartition, read: &ReadResult, from: i64) -> thm_api::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(PAGE_BYTES + PAGE_BYTES / 4);
    text.extend_from_slice(b"{\"records\":[");
    let mut next = from;
    for batch in &read.batches {
        let corrupt = |error: CodecError| {
            let object = format!("{partition} at offset {}", batch.base_offset);
            Error::new(ErrorKind::LogCorrupt, "reading a batch for a page", object).with_source(error)
        };
        next = push_batch(&mut text, batch, next).map_err(corrupt)?;
        if text.len() >= PAGE_BYTES {
            break;
        }
    }
    if text.ends_with(b",") {
        text.pop();
    }
    text.extend_from_slice(format!("],\"next\":{next},\"end\":{}}}", read.high_watermark).as_bytes());
    Ok(text)
}

/// Adds a batch's records at or after an offset, until the page is full; the offset to go on at.
fn push_batch(text: &mut Vec<u8>, batch: &FetchedBatch, from: i64) -> Result<i64, CodecError> {
    let positions = &batch.batch.positions;
    let full_at = each_record(batch, from, |offset, place, record| {
        push_record(text, offset, positions.get(place).copied(), record);
        if text.len() < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(offset) }
    })?;
    Ok(full_at.map_or(from.max(batch.next_offset().0), |offset| offset + 1))
}

/// Calls `take` with offset, place in the batch and content of a batch's records at or after an offset, until it has
/// enough; what it then says.
///
/// # Errors
/// The batch is none.
pub(super) fn each_record<T>(
    batch: &FetchedBatch,
    from: i64,
    mut take: impl FnMut(i64, usize, &Record) -> ControlFlow<T>,
) -> Result<Option<T>, CodecError> {
    let bytes = match BatchHeader::parse(&batch.batch.bytes)?.compression() {
        Compression::None => batch.batch.bytes.clone(),
        _ => record_batch::decompress(&batch.batch.bytes, MAX_DECOMPRESSED_BYTES)?,
    };
    for (place, record) in record_batch::records(&bytes)?.enumerate() {
        let record = record?;
        let offset = batch.base_offset.0 + i64::from(record.offset_delta);
        if offset >= from
            && let ControlFlow::Break(enough) = take(offset, place, &record)
        {
            return Ok(Some(enough));
        }
    }
    Ok(None)
}

/// A position comes from the frame, else from the headers.
fn push_record(text: &mut Vec<u8>, offset: i64, position: Option<Position>, record: &Record) {
    let origin = origin::parse(&record.headers);
    let row = Row {
        offset,
        timestamp: record.timestamp_ms,
        position: position.or(origin.as_ref().map(|origin| origin.position)),
        op: origin.as_ref().map(|origin| origin.op.as_str()),
        commit_us: origin.as_ref().map(|origin| origin.commit_us),
        old: origin.as_ref().and_then(|origin| origin.old.as_ref()).map(lossy),
        key: record.key.as_ref().map(lossy),
        value: record.value.as_ref().map(lossy),
    };
    serde_json::to_writer(&mut *text, &row).expect("numbers and texts are always JSON");
    text.push(b',');
}

fn lossy(bytes: &Bytes) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;
    use thm_api::{LogBatch, Lsn, Offset, Op};
    use thm_codec::record_batch::{BatchWriter, HeaderBlock};

    use super::*;

    fn fetched(base_offset: i64, values: &[&[u8]]) -> FetchedBatch {
        let mut writer = BatchWriter::new();
        for value in values {
            let mut headers = HeaderBlock::default();
            origin::push_headers(&mut headers, Op::Create, Position::new(Lsn(7), 1), 5, None);
            writer.push(1, Some(b"k"), Some(value), &headers);
        }
        let (bytes, records) = (writer.finish(), values.len() as u32);
        let batch = LogBatch { bytes, records, positions: [].into(), decoded: None };
        FetchedBatch { base_offset: Offset(base_offset), batch, producer: None }
    }

    fn parsed(read: &ReadResult, from: i64) -> (Value, usize) {
        let text = page(&TopicPartition::new("t", 0), read, from).unwrap();
        (serde_json::from_slice(&text).unwrap(), text.len())
    }

    #[test]
    fn records_are_told_with_what_their_headers_say() {
        let batches = vec![fetched(3, &[b"a", b"\"b\""]), fetched(5, &[b"c"])];
        let read = ReadResult { batches, high_watermark: Offset(6), log_start: Offset(0) };
        let (page, _) = parsed(&read, 4);
        let record = serde_json::json!({"offset": 4, "timestamp": 1, "position": Position::new(Lsn(7), 1), "op": "c",
            "commit_us": 5, "old": null, "key": "k", "value": "\"b\""});
        assert_eq!(page["records"][0], record);
        assert_eq!(page["records"].as_array().map(Vec::len), Some(2));
        assert_eq!((&page["next"], &page["end"]), (&Value::from(6), &Value::from(6)));
        let nothing = ReadResult { batches: vec![], ..read };
        assert_eq!(parsed(&nothing, 6).0, serde_json::json!({"records": [], "next": 6, "end": 6}));
    }

    #[test]
    fn a_page_ends_inside_a_batch_rather_than_grow_beyond_its_size() {
        // As text each byte of the value takes six.
        let large = vec![1_u8; 10_000];
        let values = vec![large.as_slice(); 50];
        let read = ReadResult {
            batches: vec![fetched(0, &values), fetched(50, &values)],
            high_watermark: Offset(100),
            log_start: Offset(0),
        };
        let (mut from, mut seen) = (0, Vec::new());
        while from < 100 {
            let (page, bytes) = parsed(&read, from);
            assert!(bytes < PAGE_BYTES + 70_000, "{bytes}");
            seen.extend(page["records"].as_array().unwrap().iter().filter_map(|record| record["offset"].as_i64()));
            from = page["next"].as_i64().unwrap();
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_packed_batch_is_read_and_a_broken_one_named() {
        let mut batch = fetched(0, &[b"a", b"b"]);
        batch.batch.bytes = record_batch::compress(&batch.batch.bytes, Compression::Gzip).unwrap();
        let mut read = ReadResult { batches: vec![batch], high_watermark: Offset(2), log_start: Offset(0) };
        assert_eq!(parsed(&read, 0).0["records"].as_array().map(Vec::len), Some(2));
        read.batches[0].batch.bytes.truncate(70);
        let error = page(&TopicPartition::new("t", 0), &read, 0).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::LogCorrupt, "t-0 at offset 0"));
    }
}
