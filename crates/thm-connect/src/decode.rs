//! From the log's batches to a sink's records.
//!
//! A [`FetchedBatch`] goes in, a [`SinkChunk`] comes out, its keys, values and headers slices of the batch. The
//! decoded columns go along untouched while the tail cache holds them.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use thm_api::{
    Error, ErrorKind, FetchedBatch, LogBatch, Offset, Origin, Result, RowMeta, SinkChunk, SinkRecord, SinkRecords,
    TopicPartition,
};
use thm_codec::origin;
use thm_codec::record_batch::{
    self, BatchHeader, CodecError, Compression, HeaderBlock, Headers, Record as SourceRecord,
};

/// Largest batch, decompressed: what the log accepts from a producer, several times over.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

type HeaderList = Arc<[(Bytes, Option<Bytes>)]>;

/// Most records have no headers to list: they share this.
static NO_HEADERS: LazyLock<HeaderList> = LazyLock::new(|| Arc::from([]));

/// One log batch, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The records at or after the offset that was asked for; none of a control batch.
    pub(crate) chunk: SinkChunk,
    /// Offset after the batch's last record, also of records that compaction took away.
    pub(crate) next: Offset,
    /// Bytes of the records' keys and values.
    pub(crate) bytes: usize,
    /// Bytes that it keeps alive: the batch, its records, its columns. A part of it keeps all of the batch alive.
    pub(crate) held: usize,
}

/// Memory that a batch takes once it is decoded: its bytes, a [`SinkRecord`] for each of its records, and the columns
/// that come along, though others may hold them too: once they leave the tail cache it is we who do. Packed batches
/// take a multiple of it, which is only known afterwards.
pub(crate) fn held_bytes(batch: &LogBatch) -> usize {
    record_batch_bytes(batch) + column_bytes(batch)
}

fn record_batch_bytes(batch: &LogBatch) -> usize {
    batch.bytes.len() + batch.records as usize * size_of::<SinkRecord>()
}

fn column_bytes(batch: &LogBatch) -> usize {
    batch.decoded.as_ref().map_or(0, |columns| columns.bytes())
}

/// A log batch decoded for whoever reads it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// All its records; none of a control batch.
    pub(crate) records: Arc<Vec<SinkRecord>>,
    /// Whether some of them are for one connector alone.
    is_addressed: bool,
    /// Offset after the last record, also of one that compaction took away.
    next: Offset,
    /// Bytes of the records' keys and values.
    bytes: usize,
    /// Bytes of the batch and its records.
    pub(crate) held: usize,
}

/// Decodes all records of `fetched`.
pub(crate) fn parse(partition: &TopicPartition, fetched: &FetchedBatch) -> Result<Parsed> {
    let corrupt = |error: CodecError| {
        let object = format!("{partition} at offset {}", fetched.base_offset);
        Error::new(ErrorKind::LogCorrupt, "decoding a batch", object).with_source(error)
    };
    let header = BatchHeader::parse(&fetched.batch.bytes).map_err(corrupt)?;
    let base = fetched.base_offset.0;
    let mut records = Vec::with_capacity(fetched.batch.records as usize);
    let (mut total, mut held, mut is_addressed) = (0, record_batch_bytes(&fetched.batch), false);
    let mut rows = RowsOf { meta: fetched.batch.decoded.as_ref().map_or(&[], |decoded| &decoded.meta), at: 0 };
    if !header.is_control() {
        let bytes = match header.compression() {
            Compression::None => fetched.batch.bytes.clone(),
            _ => record_batch::decompress(&fetched.batch.bytes, MAX_DECOMPRESSED_BYTES).map_err(corrupt)?,
        };
        held += bytes.len().saturating_sub(fetched.batch.bytes.len());
        for record in record_batch::records(&bytes).map_err(corrupt)? {
            let SourceRecord { offset_delta, timestamp_ms, key, value, headers } = record.map_err(corrupt)?;
            let offset = Offset(base + i64::from(offset_delta));
            let (origin, headers) = rows.origin(offset_delta, headers);
            is_addressed |= addressee(&headers).is_some();
            let record = SinkRecord { offset, timestamp_ms, key, value, headers, origin };
            total += record_bytes(&record);
            held += record.headers.len() * size_of::<(Bytes, Option<Bytes>)>();
            records.push(record);
        }
    }
    let next = Offset(base + i64::from(header.last_offset_delta) + 1);
    Ok(Parsed { records: Arc::new(records), is_addressed, next, bytes: total, held })
}

/// The records of `fetched`, which was `parsed`, at or after `from`. Those that are for another connector alone are left
/// out, as if they had been compacted away.
pub(crate) fn select(parsed: &Parsed, connector: &str, fetched: FetchedBatch, from: Offset) -> Decoded {
    let mut records = SinkRecords::from(Arc::clone(&parsed.records));
    let mut bytes = parsed.bytes;
    if fetched.base_offset < from || parsed.is_addressed {
        let before = records.partition_point(|record| record.offset < from);
        records = records.split_off(before);
        if parsed.is_addressed {
            records.retain(|record| addressee(&record.headers).is_none_or(|name| name == connector.as_bytes()));
        }
        bytes = records.iter().map(record_bytes).sum();
    }
    let held = parsed.held + column_bytes(&fetched.batch);
    let chunk = SinkChunk { base_offset: fetched.base_offset, records, columns: fetched.batch.decoded };
    Decoded { chunk, next: parsed.next, bytes, held }
}

/// What the tail cache knows of a batch's records.
struct RowsOf<'a> {
    /// In record order; empty if nothing is known.
    meta: &'a [RowMeta],
    at: usize,
}

impl RowsOf<'_> {
    /// Where a record comes from, and its list of headers. Where a row is known its headers are not parsed: they say
    /// the same. Records are asked for in order.
    fn origin(&mut self, record: i32, headers: Headers) -> (Option<Origin>, HeaderList) {
        while self.meta.get(self.at).is_some_and(|row| i64::from(row.record) < i64::from(record)) {
            self.at += 1;
        }
        let row = self.meta.get(self.at).filter(|row| i64::from(row.record) == i64::from(record));
        if let Some(RowMeta { op, position, commit_us, .. }) = row.filter(|row| origin::are_plain(&headers, row.op)) {
            let origin = Origin { op: *op, position: *position, commit_us: *commit_us, old: None };
            return (Some(origin), Arc::clone(&NO_HEADERS));
        }
        let origin = origin::parse(&headers);
        let headers = header_list(&headers, origin.as_ref());
        (origin, headers)
    }
}

/// The connector that a record was replayed for, if it is for one alone.
fn addressee(headers: &HeaderList) -> Option<&[u8]> {
    let to = headers.iter().find(|(name, _)| name.as_ref() == origin::TO.as_bytes());
    to.and_then(|(_, value)| value.as_deref())
}

/// The headers as a list. Those of our own jobs' records are all in the origin, and a list for each would cost more
/// than the rest of the record.
fn header_list(headers: &Headers, origin: Option<&Origin>) -> HeaderList {
    let in_origin = origin.map_or(0, |origin| if origin.old.is_some() { 4 } else { 3 });
    if headers.len() == in_origin { Arc::clone(&NO_HEADERS) } else { headers.iter().collect() }
}

/// All headers of a record, as they stood in the log.
pub(crate) fn push_all_headers(record: &SinkRecord, block: &mut HeaderBlock) {
    match &record.origin {
        Some(Origin { op, position, commit_us, old }) if record.headers.is_empty() => {
            origin::push_headers(block, *op, *position, *commit_us, old.as_deref());
        }
        _ => {
            for (name, value) in record.headers.iter() {
                block.push(&String::from_utf8_lossy(name), value.as_deref());
            }
        }
    }
}

/// Bytes of a record's key and value.
pub(crate) fn record_bytes(record: &SinkRecord) -> usize {
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::{LogBatch, Lsn, Op, Position, RowKind};
    use thm_codec::record_batch::BatchWriter;

    use super::*;

    /// A batch as it stands in the log from offset 10 on.
    fn fetched(bytes: Bytes, records: u32) -> FetchedBatch {
        let batch = LogBatch { bytes, records, positions: Arc::from([]), decoded: None };
        FetchedBatch { base_offset: Offset(10), batch, producer: None }
    }

    fn decode(partition: &TopicPartition, connector: &str, fetched: FetchedBatch, from: i64) -> Result<Decoded> {
        let parsed = parse(partition, &fetched)?;
        Ok(select(&parsed, connector, fetched, Offset(from)))
    }

    fn three() -> Bytes {
        let mut writer = BatchWriter::new();
        let mut own = HeaderBlock::default();
        origin::push_headers(&mut own, Op::Create, Position::new(Lsn(7), 1), 5, None);
        writer.push(1, Some(b"k"), Some(b"own"), &own);
        writer.push(2, None, None, &HeaderBlock::default());
        writer.push(3, None, Some(b"foreign"), &HeaderBlock::of(&[("a", b"b")]));
        writer.finish()
    }

    #[test]
    fn records_before_the_offset_are_left_out_and_all_headers_can_be_had_again() {
        let partition = TopicPartition::new("t", 0);
        let decoded = decode(&partition, "c", fetched(three(), 3), 10).unwrap();
        assert_eq!(decoded.next, Offset(13));
        let records = &decoded.chunk.records;
        assert_eq!(records.iter().map(|record| record.offset.0).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(records[0].origin.as_ref().unwrap().position, Position::new(Lsn(7), 1));
        assert!(records[0].headers.is_empty() && records[1].value.is_none());
        assert_eq!(&*records[2].headers, [(Bytes::from("a"), Some(Bytes::from("b")))]);
        let mut writer = BatchWriter::new();
        for record in records {
            let mut headers = HeaderBlock::default();
            push_all_headers(record, &mut headers);
            writer.push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        assert_eq!(writer.finish(), three());
        let later = decode(&partition, "c", fetched(three(), 3), 12).unwrap();
        assert_eq!(later.chunk.records.len(), 1);
    }

    #[test]
    fn where_rows_are_known_records_come_from_where_their_headers_say() {
        let partition = TopicPartition::new("t", 0);
        let position = |ordinal| Position::new(Lsn(7), ordinal);
        let mut writer = BatchWriter::new();
        for (ordinal, old) in [(0, None), (1, Some(b"{}".as_slice())), (2, None), (3, None)] {
            let op = if old.is_some() { Op::Update } else { Op::Create };
            let mut headers = HeaderBlock::default();
            origin::push_headers(&mut headers, op, position(ordinal), 5, old);
            if ordinal == 3 {
                headers.push(origin::TO, Some(b"d"));
            }
            writer.push(1, Some(b"k"), Some(b"v"), &headers);
        }
        // The third record has no row, the second one has two.
        let row = |kind, op, record: u32| {
            let position = position(u64::from(record));
            RowMeta { kind, op, position, commit_us: 5, record }
        };
        let meta = [
            row(RowKind::Insert, Op::Create, 0),
            row(RowKind::UpdateBefore, Op::Update, 1),
            row(RowKind::UpdateAfter, Op::Update, 1),
            row(RowKind::Insert, Op::Create, 3),
        ];
        let batch = writer.finish();
        let origins = |meta: &[RowMeta]| {
            let mut rows = RowsOf { meta, at: 0 };
            let records = record_batch::records(&batch).unwrap().map(Result::unwrap);
            records.map(|record| rows.origin(record.offset_delta, record.headers)).collect::<Vec<_>>()
        };
        assert_eq!(origins(&meta), origins(&[]));
        assert!(origins(&meta)[1].0.as_ref().is_some_and(|origin| origin.old.is_some()));
        assert!(addressee(&origins(&meta)[3].1) == Some(b"d"));
        // What a row says is taken where its record has no more than that: here another commit time.
        let other = [RowMeta { commit_us: 6, ..meta[0] }];
        assert_eq!(origins(&other)[0].0.as_ref().map(|origin| origin.commit_us), Some(6));
        assert_eq!(decode(&partition, "c", fetched(batch.clone(), 4), 10).unwrap().bytes, 3 * 2);
    }

    #[test]
    fn a_record_for_one_connector_is_passed_over_by_all_others() {
        let partition = TopicPartition::new("t", 0);
        let mut writer = BatchWriter::new();
        let mut own = HeaderBlock::default();
        origin::push_headers(&mut own, Op::Create, Position::new(Lsn(7), 1), 5, None);
        own.push(origin::TO, Some(b"c"));
        writer.push(1, None, Some(b"first"), &own);
        writer.push(1, None, Some(b"second"), &HeaderBlock::default());
        let batch = writer.finish();
        let values = |connector: &str| {
            let decoded = decode(&partition, connector, fetched(batch.clone(), 2), 10).unwrap();
            assert_eq!(decoded.next, Offset(12));
            let values = decoded.chunk.records.into_vec().into_iter().map(|record| record.value.unwrap());
            values.collect::<Vec<_>>()
        };
        assert_eq!(values("c"), ["first", "second"]);
        assert_eq!(values("d"), ["second"]);
    }

    #[test]
    fn compressed_batches_are_read_and_broken_ones_named() {
        let partition = TopicPartition::new("t", 0);
        let gzip = record_batch::compress(&three(), Compression::Gzip).unwrap();
        assert_eq!(decode(&partition, "c", fetched(gzip, 3), 10).unwrap().chunk.records.len(), 3);
        let mut cut = three();
        cut.truncate(80);
        let error = decode(&partition, "c", fetched(cut, 3), 10).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::LogCorrupt, "t-0 at offset 10"));
    }
}
