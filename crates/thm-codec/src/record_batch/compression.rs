//! Compressed bodies, as producers send them: gzip, snappy (with Java's framing), lz4 and zstd.
//!
//! The log stores what it gets uncompressed, for LZ4 and zstd need extra packages in several clients.

use std::io::{Read, Write};

use bytes::Bytes;

use super::header::{BatchHeader, HEADER_BYTES, LENGTH_FROM};
use super::writer::recompute_crc;
use super::{CodecError, check_crc};

/// The lowest three bits of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
    Unknown,
}

impl Compression {
    pub(super) const fn from_attributes(attributes: i16) -> Self {
        match attributes & 7 {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => Self::Unknown,
        }
    }

    const fn attribute(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
            Self::Unknown => 7,
        }
    }
}

/// First bytes of the framing that Java's snappy library writes.
const XERIAL_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;

/// The same records as an uncompressed batch of at most `max_bytes`, with a new CRC. An uncompressed batch
/// comes back as it is. The stored CRC is checked first.
pub fn decompress(batch: &Bytes, max_bytes: usize) -> Result<Bytes, CodecError> {
    check_crc(batch)?;
    let header = BatchHeader::parse(batch)?;
    let batch = batch.slice(..header.total_bytes());
    let body = &batch[HEADER_BYTES..];
    let body = match header.compression() {
        Compression::None => return Ok(batch),
        Compression::Gzip => read_all(flate2::read::MultiGzDecoder::new(body), "gzip", max_bytes)?,
        Compression::Snappy => unsnappy(body, max_bytes)?,
        Compression::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(body), "lz4", max_bytes)?,
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(body).map_err(|_| CodecError::Compression("zstd"))?;
            read_all(decoder, "zstd", max_bytes)?
        }
        Compression::Unknown => return Err(CodecError::Compression("known compression")),
    };
    Ok(with_body(&batch, &body, Compression::None))
}

/// The same records in a compressed body; for clients and tests.
pub fn compress(batch: &Bytes, compression: Compression) -> Result<Bytes, CodecError> {
    let plain = decompress(batch, usize::MAX)?;
    let body = &plain[HEADER_BYTES..];
    let failed = |_| CodecError::Compression("body to compress");
    let body = match compression {
        Compression::None | Compression::Unknown => return Ok(plain),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish()).map_err(failed)?
        }
        Compression::Snappy => {
            snap::raw::Encoder::new().compress_vec(body).map_err(|_| CodecError::Compression("snappy"))?
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(body).map_err(failed)?;
            encoder.finish().map_err(|_| CodecError::Compression("lz4"))?
        }
        Compression::Zstd => zstd::stream::encode_all(body, 0).map_err(failed)?,
    };
    Ok(with_body(&plain, &body, compression))
}

fn with_body(batch: &[u8], body: &[u8], compression: Compression) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&batch[..HEADER_BYTES]);
    out.extend_from_slice(body);
    let length = (out.len() - LENGTH_FROM) as i32;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let attributes = (i16::from_be_bytes([out[21], out[22]]) & !7) | compression.attribute();
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    recompute_crc(&mut out);
    Bytes::from(out)
}

fn read_all(reader: impl Read, name: &'static str, max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    let limit = (max_bytes as u64).saturating_add(1);
    reader.take(limit).read_to_end(&mut out).map_err(|_| CodecError::Compression(name))?;
    if out.len() > max_bytes { Err(CodecError::TooLarge(max_bytes)) } else { Ok(out) }
}

fn unsnappy(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    if !body.starts_with(XERIAL_MAGIC) {
        return unsnappy_block(body, max_bytes);
    }
    let mut out = Vec::new();
    let mut rest = body.get(XERIAL_HEADER_BYTES..).ok_or(CodecError::Compression("snappy"))?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let block = after.get(..length).ok_or(CodecError::Compression("snappy"))?;
        out.extend_from_slice(&unsnappy_block(block, max_bytes - out.len())?);
        rest = &after[length..];
    }
    if rest.is_empty() { Ok(out) } else { Err(CodecError::Compression("snappy")) }
}

fn unsnappy_block(block: &[u8], max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let length = snap::raw::decompress_len(block).map_err(|_| CodecError::Compression("snappy"))?;
    if length > max_bytes {
        return Err(CodecError::TooLarge(max_bytes));
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(|_| CodecError::Compression("snappy"))
}
