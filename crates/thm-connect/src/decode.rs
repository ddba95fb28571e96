//! From the log's batches to a sink's records.
//!
//! A [`FetchedBatch`] goes in, a [`SinkChunk`] comes out, its keys, values and headers slices of the batch. The
//! decoded columns go along untouched while the tail cache holds them.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use thm_api::{Error, ErrorKind, FetchedBatch, Offset, Result, SinkChunk, SinkRecord, TopicPartition};
use thm_codec::origin;
use thm_codec::record_batch::{self, BatchHeader, CodecError, Compression, Headers};

/// Largest batch, decompressed: what the log accepts from a producer, several times over.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

type HeaderList = Arc<[(Bytes, Option<Bytes>)]>;

/// Foreign records mostly have no headers: they share this list.
static NO_HEADERS: LazyLock<HeaderList> = LazyLock::new(|| Arc::from([]));

/// One log batch, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The records at or after the offset that was asked for; none of a control batch.
    pub(crate) chunk: SinkChunk,
    /// Offset after the batch's last record, also of records that compaction took away.
    pub(crate) next: Offset,
}

/// Decodes the records of `fetched` at or after `from`.
pub(crate) fn decode(partition: &TopicPartition, fetched: FetchedBatch, from: Offset) -> Result<Decoded> {
    let corrupt = |error: CodecError| {
        let object = format!("{partition} at offset {}", fetched.base_offset);
        Error::new(ErrorKind::LogCorrupt, "decoding a batch", object).with_source(error)
    };
    let header = BatchHeader::parse(&fetched.batch.bytes).map_err(corrupt)?;
    let base = fetched.base_offset.0;
    let mut records = Vec::with_capacity(fetched.batch.records as usize);
    if !header.is_control() {
        let bytes = match header.compression() {
            Compression::None => fetched.batch.bytes.clone(),
            _ => record_batch::decompress(&fetched.batch.bytes, MAX_DECOMPRESSED_BYTES).map_err(corrupt)?,
        };
        for record in record_batch::records(&bytes).map_err(corrupt)? {
            let record = record.map_err(corrupt)?;
            let offset = Offset(base + i64::from(record.offset_delta));
            if offset >= from {
                records.push(SinkRecord {
                    offset,
                    timestamp_ms: record.timestamp_ms,
                    origin: origin::parse(&record.headers),
                    headers: header_list(&record.headers),
                    key: record.key,
                    value: record.value,
                });
            }
        }
    }
    Ok(Decoded {
        chunk: SinkChunk { base_offset: fetched.base_offset, records, columns: fetched.batch.decoded },
        next: Offset(base + i64::from(header.last_offset_delta) + 1),
    })
}

fn header_list(headers: &Headers) -> HeaderList {
    if headers.is_empty() { Arc::clone(&NO_HEADERS) } else { headers.iter().collect() }
}

/// Bytes of a record's key and value.
pub(crate) fn record_bytes(record: &SinkRecord) -> usize {
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}
