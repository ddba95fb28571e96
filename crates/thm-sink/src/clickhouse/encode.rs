//! A record batch to the bytes of one insert: the statement, then an Arrow stream of exactly one batch.
//!
//! The server's deduplication goes by blocks, so the same rows in two batches would be other blocks: there is always
//! one. Arrow's writer adds nothing of its own, so the same batch is the same bytes.

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use thm_api::{Error, ErrorKind, Result};

/// `statement` followed by the stream, end marker included.
pub fn insert_body(statement: &str, rows: &RecordBatch) -> Result<Bytes> {
    let mut body = Vec::with_capacity(statement.len() + rows.get_array_memory_size() + 1_024);
    body.extend_from_slice(statement.as_bytes());
    let write = |body: &mut Vec<u8>| {
        let mut writer = StreamWriter::try_new(body, rows.schema_ref())?;
        writer.write(rows)?;
        writer.finish()
    };
    write(&mut body)
        .map_err(|error| Error::new(ErrorKind::Internal, "encoding an Arrow stream", "rows").with_source(error))?;
    Ok(body.into())
}
