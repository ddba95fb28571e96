//! The fixed 61 bytes at the front of a batch.

use super::{CodecError, Compression};

/// Length of the fixed header.
pub const HEADER_BYTES: usize = 61;
/// The length field counts from here on.
pub(super) const LENGTH_FROM: usize = 12;
/// The CRC covers the batch from here on.
pub(super) const CRC_FROM: usize = 21;

/// The fixed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol guide's")]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub records: u32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Reads the header and checks that the whole batch is there and its counts agree; the CRC is
    /// [`check_crc`]'s.
    pub fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() < HEADER_BYTES {
            return Err(CodecError::Truncated { have: bytes.len(), need: HEADER_BYTES });
        }
        let magic = bytes[16] as i8;
        if magic != 2 {
            return Err(CodecError::Magic(magic));
        }
        let records = i32::from_be_bytes(array(bytes, 57));
        let header = Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            batch_length: i32::from_be_bytes(array(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            magic,
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            records: u32::try_from(records).map_err(|_| CodecError::Malformed("negative record count"))?,
        };
        header.check(bytes.len())?;
        Ok(header)
    }

    fn check(&self, have: usize) -> Result<(), CodecError> {
        let least = (HEADER_BYTES - LENGTH_FROM) as i32;
        if self.batch_length < least {
            return Err(CodecError::Malformed("batch length below the header's"));
        }
        if self.records == 0 || self.last_offset_delta as i64 != i64::from(self.records) - 1 {
            return Err(CodecError::Malformed("last offset delta is not record count less one"));
        }
        let need = self.total_bytes();
        if have < need {
            return Err(CodecError::Truncated { have, need });
        }
        Ok(())
    }

    /// How the records are compressed; `Malformed` kinds show as [`Compression::Unknown`].
    #[must_use]
    pub const fn compression(&self) -> Compression {
        Compression::from_attributes(self.attributes)
    }

    /// Offset after the last record.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.base_offset + self.last_offset_delta as i64 + 1
    }

    /// Whether it holds transaction markers instead of records.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether it belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Whether its times are the broker's instead of the producer's.
    #[must_use]
    pub const fn has_log_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }

    /// Length of the whole batch in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        LENGTH_FROM + self.batch_length as usize
    }
}

/// Compares the stored CRC with that of the bytes; the batch may be followed by others.
pub fn check_crc(bytes: &[u8]) -> Result<(), CodecError> {
    let header = BatchHeader::parse(bytes)?;
    let computed = crc32c::crc32c(&bytes[CRC_FROM..header.total_bytes()]);
    if computed == header.crc { Ok(()) } else { Err(CodecError::Crc { stored: header.crc, computed }) }
}

/// Writes the base offset; the CRC does not cover it. Bytes shorter than a header are left alone.
pub fn set_base_offset(bytes: &mut [u8], base_offset: i64) {
    if let Some(field) = bytes.get_mut(..8) {
        field.copy_from_slice(&base_offset.to_be_bytes());
    }
}
