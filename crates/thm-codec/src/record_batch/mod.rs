//! Kafka's `RecordBatch` v2, the unit of the log.
//!
//! ```text
//!  0        8       12       16    17     21      23          27        35        43
//!  ├────────┼────────┼────────┼─────┼──────┼───────┼───────────┼─────────┼─────────┤
//!  │ base   │ length │ leader │magic│ CRC  │ attri-│ last off- │ base    │ max     │
//!  │ offset │        │ epoch  │ = 2 │ 32C  │ butes │ set delta │ time    │ time    │
//!  ├────────┴─┬──────┴──┬─────┴─────┴──────┼───────┴───────────┴─────────┴─────────┘
//!  │ producer │ producer│ base     │ record │ records …
//!  │ id       │ epoch   │ sequence │ count  │   each: varint length, attributes, varint time delta,
//!  └──────────┴─────────┴──────────┴────────┘   varint offset delta, key, value, headers
//!  43         51        53         57       61
//! ```
//! The CRC begins at the attributes, so the base offset can be rewritten without it and batches are stored as
//! they came. Source: the Kafka protocol guide, "Record Batch".

mod compression;
mod header;
mod reader;
#[cfg(test)]
mod tests;
mod varint;
mod writer;

pub use compression::{Compression, compress, decompress};
pub use header::{BatchHeader, HEADER_BYTES, check_crc, set_base_offset};
pub use reader::{Headers, Record, Records, records};
pub use varint::{read_varint, read_varlong, write_varint, write_varlong};
pub use writer::{BatchWriter, HeaderBlock, OpenRecord};

/// Why bytes are no record batch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// Fewer bytes than the format says.
    #[error("record batch ends after {have} bytes, needs {need}")]
    Truncated {
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// A magic byte other than 2.
    #[error("record batch has magic {0}; only 2 is supported")]
    Magic(i8),
    /// The checksum does not match.
    #[error("record batch has CRC {stored:08x}, its bytes give {computed:08x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A length, count or varint that cannot be.
    #[error("record batch is malformed: {0}")]
    Malformed(&'static str),
    /// A compressed body that cannot be read.
    #[error("record batch body is no valid {0}")]
    Compression(&'static str),
    /// A body that would grow beyond the limit.
    #[error("record batch is larger than {0} bytes when decompressed")]
    TooLarge(usize),
}
