//! Builds uncompressed batches in one growing buffer: no allocation per record.

use bytes::Bytes;

use super::header::{CRC_FROM, HEADER_BYTES, LENGTH_FROM};
use super::varint::{varint_len, write_varint, zigzag};

/// Headers of a record, encoded once and used for many records.
#[derive(Clone, Debug, Default)]
pub struct HeaderBlock {
    count: i32,
    encoded: Vec<u8>,
}

impl HeaderBlock {
    /// Headers with values.
    #[must_use]
    pub fn of(headers: &[(&str, &[u8])]) -> Self {
        let mut block = Self::default();
        for (name, value) in headers {
            block.push(name, Some(value));
        }
        block
    }

    /// Empties the block, keeping its memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.encoded.clear();
    }

    /// Appends a header.
    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        self.count += 1;
        write_bytes(&mut self.encoded, Some(name.as_bytes()));
        write_bytes(&mut self.encoded, value);
    }
}

/// A new buffer is larger than the batch before it by so much of that: rows of a table differ in length.
const SPARE_PART: usize = 8;
/// No more is reserved before a record comes: writers cut batches at a megabyte, and one huge record is no rule.
const MOST_SPARE_BYTES: usize = (1 << 20) + (1 << 18);

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_varint(out, -1),
        Some(bytes) => {
            write_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(bytes.len() as i32) + bytes.len())
}

/// A few numbers of a record, put together before they are appended.
#[derive(Default)]
struct Head {
    bytes: [u8; HEAD_BYTES],
    len: usize,
}

/// Three varints, the attributes, and one varint of 64 bits.
const HEAD_BYTES: usize = 3 * 5 + 1 + 10;

impl Head {
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes[self.len] = value as u8 | 0x80;
            self.len += 1;
            value >>= 7;
        }
        self.bytes[self.len] = value as u8;
        self.len += 1;
    }

    fn varint(&mut self, value: i32) {
        self.unsigned(u64::from(zigzag(value)));
    }

    fn varlong(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    fn length(&mut self, bytes: Option<&[u8]>) {
        self.varint(bytes.map_or(-1, |bytes| bytes.len() as i32));
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Builds one batch after the other. Base offset 0, no producer id. Between a batch and the first record of the next it
/// holds no memory.
#[derive(Debug)]
pub struct BatchWriter {
    buffer: Vec<u8>,
    /// What the next buffer is made with.
    room: usize,
    records: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Default for BatchWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchWriter {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: Vec::new(), room: HEADER_BYTES, records: 0, base_timestamp: 0, max_timestamp: 0 }
    }

    /// Appends a record. Lengths must fit 31 bits, as everywhere in the protocol.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeaderBlock) {
        if self.records == 0 {
            self.buffer = Vec::with_capacity(self.room);
            self.buffer.resize(HEADER_BYTES, 0);
            self.base_timestamp = timestamp_ms;
            self.max_timestamp = timestamp_ms;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        let delta = timestamp_ms.wrapping_sub(self.base_timestamp);
        let offset_delta = self.records as i32;
        let length = 1
            + varlong_len(delta)
            + varint_len(offset_delta)
            + bytes_len(key)
            + bytes_len(value)
            + varint_len(headers.count)
            + headers.encoded.len();
        let out = &mut self.buffer;
        out.reserve(length + 5);
        let mut head = Head::default();
        head.varint(length as i32);
        // Attributes: none are defined.
        head.unsigned(0);
        head.varlong(delta);
        head.varint(offset_delta);
        head.length(key);
        out.extend_from_slice(head.bytes());
        out.extend_from_slice(key.unwrap_or_default());
        let mut head = Head::default();
        head.length(value);
        out.extend_from_slice(head.bytes());
        out.extend_from_slice(value.unwrap_or_default());
        write_varint(out, headers.count);
        out.extend_from_slice(&headers.encoded);
        self.records += 1;
    }

    /// Number of records so far.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.records
    }

    /// Bytes so far, header included.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        if self.records == 0 { HEADER_BYTES } else { self.buffer.len() }
    }

    /// Whether no record is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The batch with header and CRC; the writer is empty again. A batch of no records is empty bytes.
    pub fn finish(&mut self) -> Bytes {
        if self.records == 0 {
            return Bytes::new();
        }
        // Batches of a flood are of one size: the next buffer has room for one like this, as a buffer that is outgrown is
        // copied, here and once more by a log that does not keep memory of which half is used.
        self.room = (self.buffer.len() + self.buffer.len() / SPARE_PART).min(MOST_SPARE_BYTES);
        let mut batch = std::mem::take(&mut self.buffer);
        seal(&mut batch, 0, self.records, self.base_timestamp, self.max_timestamp);
        self.records = 0;
        Bytes::from(batch)
    }
}

fn varlong_len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

/// Fills the fixed header of `batch`, whose records stand behind it already, and computes the CRC.
fn seal(batch: &mut [u8], attributes: i16, records: u32, base_timestamp: i64, max_timestamp: i64) {
    let length = (batch.len() - LENGTH_FROM) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[12..16].copy_from_slice(&(-1_i32).to_be_bytes());
    batch[16] = 2;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[23..27].copy_from_slice(&(records as i32 - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&base_timestamp.to_be_bytes());
    batch[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    batch[51..53].copy_from_slice(&(-1_i16).to_be_bytes());
    batch[53..57].copy_from_slice(&(-1_i32).to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    recompute_crc(batch);
}

/// Writes the CRC of the bytes as they are.
pub(super) fn recompute_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
