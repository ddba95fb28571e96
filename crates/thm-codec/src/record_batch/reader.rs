//! Records of an uncompressed batch, as slices of it.

use bytes::Bytes;

use super::header::{BatchHeader, HEADER_BYTES};
use super::varint::{read_varint, read_varlong};
use super::{CodecError, Compression};

/// One record; key, value and headers share the batch's memory.
#[derive(Clone, Debug)]
pub struct Record {
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

/// Headers of a record, checked, read when asked for.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    count: usize,
    encoded: Bytes,
}

impl Headers {
    /// Number of headers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names and values in order; a name may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> + '_ {
        let mut at = 0;
        (0..self.count).map_while(move |_| {
            let name = read_bytes(&self.encoded, &mut at).ok()??;
            Some((name, read_bytes(&self.encoded, &mut at).ok()?))
        })
    }

    /// The same without a share in the batch's memory: a share costs two atomic operations.
    pub fn borrowed(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> + '_ {
        let mut at = 0;
        (0..self.count).map_while(move |_| {
            let name = skip_bytes(&self.encoded, &mut at).ok()??;
            let value = skip_bytes(&self.encoded, &mut at).ok()?;
            Some((self.encoded.get(name)?, value.and_then(|value| self.encoded.get(value))))
        })
    }

    /// The headers' bytes: for each the name and the value, each behind its length.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Makes a value of [`Self::borrowed`] outlive the headers.
    #[must_use]
    pub fn share(&self, value: &[u8]) -> Bytes {
        self.encoded.slice_ref(value)
    }

    /// The last value under a name, as Kafka Connect takes it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Bytes> {
        let value = self.borrowed().filter(|(key, _)| *key == name.as_bytes()).last()?.1?;
        Some(self.share(value))
    }
}

/// Iterator over the records of a batch; stops after the first error.
#[derive(Debug)]
pub struct Records {
    batch: Bytes,
    at: usize,
    left: u32,
    base_timestamp: i64,
    append_time: Option<i64>,
}

/// Opens an uncompressed batch. The CRC is not checked here.
pub fn records(batch: &Bytes) -> Result<Records, CodecError> {
    let header = BatchHeader::parse(batch)?;
    if header.compression() != Compression::None {
        return Err(CodecError::Compression("uncompressed body"));
    }
    Ok(Records {
        batch: batch.slice(..header.total_bytes()),
        at: HEADER_BYTES,
        left: header.records,
        base_timestamp: header.base_timestamp,
        append_time: header.has_log_append_time().then_some(header.max_timestamp),
    })
}

impl Iterator for Records {
    type Item = Result<Record, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read_record();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

impl Records {
    fn read_record(&mut self) -> Result<Record, CodecError> {
        let batch = &self.batch;
        let at = &mut self.at;
        let length = usize::try_from(read_varint(batch, at)?).map_err(|_| CodecError::Malformed("record length"))?;
        let end = at.checked_add(length).filter(|end| *end <= batch.len());
        let end = end.ok_or(CodecError::Truncated { have: batch.len(), need: at.saturating_add(length) })?;
        *at += 1; // attributes, unused
        let delta = read_varlong(batch, at)?;
        let offset_delta = read_varint(batch, at)?;
        let key = read_bytes(batch, at)?;
        let value = read_bytes(batch, at)?;
        let count = usize::try_from(read_varint(batch, at)?).map_err(|_| CodecError::Malformed("header count"))?;
        let from = *at;
        for _ in 0..count {
            skip_bytes(batch, at)?.ok_or(CodecError::Malformed("header without a name"))?;
            skip_bytes(batch, at)?;
        }
        if *at != end {
            return Err(CodecError::Malformed("record length does not match its fields"));
        }
        let headers = Headers { count, encoded: if count == 0 { Bytes::new() } else { batch.slice(from..end) } };
        let timestamp_ms = self.append_time.unwrap_or(self.base_timestamp.wrapping_add(delta));
        Ok(Record { offset_delta, timestamp_ms, key, value, headers })
    }
}

fn skip_bytes(bytes: &[u8], at: &mut usize) -> Result<Option<std::ops::Range<usize>>, CodecError> {
    let length = read_varint(bytes, at)?;
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let end = at.checked_add(length).filter(|end| *end <= bytes.len());
    let end = end.ok_or(CodecError::Truncated { have: bytes.len(), need: at.saturating_add(length) })?;
    let range = *at..end;
    *at = end;
    Ok(Some(range))
}

fn read_bytes(bytes: &Bytes, at: &mut usize) -> Result<Option<Bytes>, CodecError> {
    Ok(skip_bytes(bytes, at)?.map(|range| bytes.slice(range)))
}
