//! What the log looks at in a `RecordBatch` v2: its own consistency, and the base offset it has to write.
//!
//! Everything else in a batch passes untouched; the batch's CRC starts after the base offset, so it stays right.

use bytes::{Bytes, BytesMut};
use thm_api::{Error, ErrorKind, LogBatch, Result, TopicPartition};
use thm_codec::record_batch::{self, BatchHeader};

/// A batch keeps the buffer it came in if that wastes at most this many bytes; a larger buffer (a network read,
/// say) would count for little in the tail cache and hold much.
const SLACK_BYTES: usize = 4096;

/// Refuses a batch whose header does not agree with itself or with what stands beside it.
pub(crate) fn check(partition: &TopicPartition, batch: &LogBatch, max_bytes: usize) -> Result<()> {
    let refuse = |cause: String| {
        Err(Error::new(ErrorKind::InvalidRecord, "appending to", partition.to_string()).with_source(cause))
    };
    let header = match BatchHeader::parse(&batch.bytes) {
        Ok(header) => header,
        Err(error) => return refuse(error.to_string()),
    };
    if header.total_bytes() != batch.bytes.len() {
        return refuse(format!("{} bytes are given, the header says {}", batch.bytes.len(), header.total_bytes()));
    }
    if batch.bytes.len() > max_bytes {
        return refuse(format!("the batch has {} bytes, at most {max_bytes} are allowed", batch.bytes.len()));
    }
    let records = i64::from(batch.records);
    if records == 0 || i64::from(header.records) != records || i64::from(header.last_offset_delta) + 1 != records {
        return refuse(format!(
            "{records} records are given, the header says {} with a last offset delta of {}",
            header.records, header.last_offset_delta
        ));
    }
    if !batch.positions.is_empty() && batch.positions.len() as i64 != records {
        return refuse(format!("{} positions stand beside {records} records", batch.positions.len()));
    }
    Ok(())
}

/// The batch with its base offset written. In place if nobody else holds the bytes, else in a copy.
pub(crate) fn with_base_offset(bytes: Bytes, base_offset: i64) -> Bytes {
    let mut own = match bytes.try_into_mut() {
        Ok(own) if own.capacity() <= own.len() + own.len() / 4 + SLACK_BYTES => own,
        Ok(wide) => BytesMut::from(wide.as_ref()),
        Err(shared) => BytesMut::from(shared.as_ref()),
    };
    record_batch::set_base_offset(&mut own, base_offset);
    own.freeze()
}
