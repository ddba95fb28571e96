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

/// What so many bytes take with their length before them.
fn sized_len(bytes: Option<usize>) -> usize {
    bytes.map_or(1, |bytes| varint_len(bytes as i32) + bytes)
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

    fn length(&mut self, bytes: Option<usize>) {
        self.varint(bytes.map_or(-1, |bytes| bytes as i32));
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Builds one batch after the other. Base offset 0, no producer id. Between a batch and the first record of the next it
/// holds no memory.
#[derive(Debug)]
pub struct BatchWriter {
    /// The batch; behind `end` an open record.
    buffer: Vec<u8>,
    /// Where its records end.
    end: usize,
    /// What the next buffer is made with.
    room: usize,
    /// Bytes that the last record had before its value.
    before_value: usize,
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
        let (buffer, end, room, before_value) = (Vec::new(), HEADER_BYTES, HEADER_BYTES, 0);
        Self { buffer, end, room, before_value, records: 0, base_timestamp: 0, max_timestamp: 0 }
    }

    /// Appends a record. Lengths must fit 31 bits, as everywhere in the protocol.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeaderBlock) {
        self.make_ready();
        let lengths = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        let (length, [before_key, before_value]) = self.heads(timestamp_ms, lengths, headers);
        let out = &mut self.buffer;
        out.reserve(length);
        out.extend_from_slice(before_key.bytes());
        out.extend_from_slice(key.unwrap_or_default());
        out.extend_from_slice(before_value.bytes());
        out.extend_from_slice(value.unwrap_or_default());
        self.end_record(headers);
    }

    /// Opens a record, whose value is then written where it stays.
    pub fn open(&mut self) -> OpenRecord<'_> {
        self.make_ready();
        // Records of a table are alike: what comes before the value will most likely fit this gap, and nothing is moved.
        let value_at = self.end + self.before_value;
        self.buffer.resize(value_at, 0);
        OpenRecord { writer: self, value_at }
    }

    /// Forgets an open record, and makes a buffer where there is none.
    fn make_ready(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::with_capacity(self.room);
            self.buffer.resize(HEADER_BYTES, 0);
            self.end = HEADER_BYTES;
        }
        self.buffer.truncate(self.end);
    }

    /// Numbers of the next record: its whole length, what comes before its key and what between key and value.
    fn heads(
        &mut self,
        timestamp_ms: i64,
        (key, value): (Option<usize>, Option<usize>),
        headers: &HeaderBlock,
    ) -> (usize, [Head; 2]) {
        if self.records == 0 {
            self.base_timestamp = timestamp_ms;
            self.max_timestamp = timestamp_ms;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        let delta = timestamp_ms.wrapping_sub(self.base_timestamp);
        let offset_delta = self.records as i32;
        let length = 1
            + varlong_len(delta)
            + varint_len(offset_delta)
            + sized_len(key)
            + sized_len(value)
            + varint_len(headers.count)
            + headers.encoded.len();
        let (mut before_key, mut before_value) = (Head::default(), Head::default());
        before_key.varint(length as i32);
        // Attributes: none are defined.
        before_key.unsigned(0);
        before_key.varlong(delta);
        before_key.varint(offset_delta);
        before_key.length(key);
        before_value.length(value);
        (length + varint_len(length as i32), [before_key, before_value])
    }

    /// What stands behind the value.
    fn end_record(&mut self, headers: &HeaderBlock) {
        write_varint(&mut self.buffer, headers.count);
        self.buffer.extend_from_slice(&headers.encoded);
        self.end = self.buffer.len();
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
        self.end
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
        self.room = (self.end + self.end / SPARE_PART).min(MOST_SPARE_BYTES);
        let mut batch = std::mem::take(&mut self.buffer);
        batch.truncate(std::mem::replace(&mut self.end, HEADER_BYTES));
        seal(&mut batch, 0, self.records, self.base_timestamp, self.max_timestamp);
        self.records = 0;
        Bytes::from(batch)
    }
}

/// A record of a [`BatchWriter`] whose value is being written. Dropped without [`Self::close`] it never was.
#[derive(Debug)]
pub struct OpenRecord<'a> {
    writer: &'a mut BatchWriter,
    value_at: usize,
}

impl OpenRecord<'_> {
    /// Where the value is appended. What was there before is not the record's, and stays.
    pub const fn value(&mut self) -> &mut Vec<u8> {
        &mut self.writer.buffer
    }

    /// Makes it a record. Lengths must fit 31 bits.
    pub fn close(self, timestamp_ms: i64, key: Option<&[u8]>, headers: &HeaderBlock) {
        let Self { writer, value_at } = self;
        let value_bytes = writer.buffer.len() - value_at;
        let lengths = (key.map(<[u8]>::len), Some(value_bytes));
        let (_, [before_key, before_value]) = writer.heads(timestamp_ms, lengths, headers);
        let (before_key, key, before_value) = (before_key.bytes(), key.unwrap_or_default(), before_value.bytes());
        let before = before_key.len() + key.len() + before_value.len();
        let start = writer.end;
        if start + before != value_at {
            writer.buffer.resize(start + before.max(writer.before_value) + value_bytes, 0);
            writer.buffer.copy_within(value_at..value_at + value_bytes, start + before);
            writer.buffer.truncate(start + before + value_bytes);
            writer.before_value = before;
        }
        let (of_key, of_value) = (start + before_key.len(), start + before - before_value.len());
        writer.buffer[start..of_key].copy_from_slice(before_key);
        writer.buffer[of_key..of_value].copy_from_slice(key);
        writer.buffer[of_value..start + before].copy_from_slice(before_value);
        writer.end_record(headers);
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
